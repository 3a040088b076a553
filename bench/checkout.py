"""Many buyers for few places, over HTTP: sold exactly, none lost; and how fast orders are taken on one event.

The floor is the SQL that an order needs, written down bare: asyncpg loops on the same server, without HTTP, pages or our
code around it, the lock and the count included. Buyers are processes of their own that send what a browser would send,
without reading more of a page than the cart's number.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from uuid import UUID

import asyncpg

from bench.report import Aim, Report, Row
from skep.webapp.ids import new_secret, order_code, uuid7
from skep.webapp.schema import migrate
from skep.webapp.settings import Settings
from skep.webapp.shop import stock
from tests.rig.postgres import running_postgres
from tests.rig.rows import Sample, make_event
from tests.rig.tenant import Tenant, make_tenant

BUYERS, PLACES = 1000, 100
AT_ONCE = 200
ORDERS = 1000
BUYER_PROCESSES = 2
FLOOR_LOOPS = 8
CART = re.compile(rb'name="cart" value="([0-9a-f-]{36})"')
PER_ORDER = Aim(2.0, "ratio")  # at least half as many orders a second as the floor
P95_S = Aim(1.0)


def run() -> Report:
    return asyncio.run(_run())


async def _run() -> Report:
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="skep-bench-") as scratch, running_postgres() as server:
        admin = await asyncpg.connect(server.dsn())
        await admin.execute("ALTER SYSTEM SET log_statement = 'none'")
        await admin.execute("SELECT pg_reload_conf()")
        await admin.close()
        tenant = await make_tenant(server, Path(scratch))
        tenant.settings["database"]["poolMax"] = 10
        tenant.settings["proxies"] = ["127.0.0.1"]  # each buyer has an address of their own, as behind a real proxy
        tenant.write()
        await migrate(Settings.read(tenant.env).database)
        eyes = await tenant.admin()
        async with tenant.running():
            crowd = await make_event(eyes, capacity=PLACES)
            outcome = await _storm(tenant, crowd, buyers=BUYERS, at_once=AT_ONCE)
            held = await eyes.fetchval("SELECT count(*) FROM order_position WHERE type_id = $1 AND is_held", crowd.type)
            rows += [
                Row(f"sold, of {PLACES} places to {BUYERS} buyers", held, "", aim=Aim(PLACES)),
                Row("told that they have a ticket", outcome.orders, "", float(held)),
            ]
            if not held == outcome.orders == PLACES:
                raise AssertionError(f"{held} places are taken, {outcome.orders} buyers have a ticket")
            for what, capacity in (("limited stock", ORDERS * 10), ("unlimited stock", None)):
                bare = await make_event(eyes, capacity=capacity)
                floor = await _floor(tenant, bare, limited=capacity is not None)
                sample = await make_event(eyes, capacity=capacity)
                found = await _storm(tenant, sample, buyers=ORDERS, at_once=AT_ONCE)
                rows += [
                    Row(f"an order, {what}", 1000 * found.seconds / found.orders, "ms", 1000 * floor, PER_ORDER),
                    Row(f"orders a second, {what}", found.orders / found.seconds, "/s", 1 / floor),
                    Row(f"p95 of one request, {AT_ONCE} buyers at once, {what}", found.p95_s, "s", aim=P95_S),
                ]
            jobs = await eyes.fetchval("SELECT count(*) FROM job")
        await eyes.close()
    notes = (
        f"One web process, one PostgreSQL with fsync off, {BUYER_PROCESSES} processes of buyers, all on this machine.",
        "An order is three requests: into the cart, the checkout's page, the checkout.",
        f"Floor: an order's SQL in {FLOOR_LOOPS} bare asyncpg loops, lock and count included.",
        "In it are the three reads of its requests: a type with its price, the cart at the checkout, the event's state.",
        f"{jobs} mails were queued in the orders' own transactions.",
        "An anchor: pretix, 8.3 orders a second an event with limited stock, 25 with unlimited (its own figures).",
    )
    return Report("checkout", f"{BUYERS} buyers at the till", tuple(rows), notes)


class Found:
    def __init__(self, parts: list[dict[str, list[float]]], seconds: float) -> None:
        self.seconds = seconds
        self.orders = int(sum(sum(part["orders"]) for part in parts))
        times = sorted(took for part in parts for took in part["times"])
        self.p95_s = statistics.quantiles(times, n=20)[-1]


async def _storm(tenant: Tenant, sample: Sample, *, buyers: int, at_once: int) -> Found:
    """So many buyers, each one ticket, *at_once* at any moment."""
    share = [str(number // BUYER_PROCESSES) for number in (buyers, at_once)]
    command = [sys.executable, "-m", "bench.checkout", str(tenant.port), tenant.uid, sample.slug, str(sample.type)]
    began = time.perf_counter()
    processes = [
        await asyncio.create_subprocess_exec(*command, *share, stdout=subprocess.PIPE) for _ in range(BUYER_PROCESSES)
    ]
    outputs = [(await process.communicate())[0] for process in processes]
    started = [json.loads(output) for output in outputs]
    seconds = max(part["ended"][0] for part in started) - min(part["began"][0] for part in started)
    assert seconds <= time.perf_counter() - began + 1
    return Found(started, seconds)


async def _floor(tenant: Tenant, sample: Sample, *, limited: bool) -> float:
    """Seconds an order takes in bare loops."""
    dsn = tenant.postgres.dsn(tenant.database)
    pool = await asyncpg.create_pool(dsn, min_size=FLOOR_LOOPS, max_size=FLOOR_LOOPS)

    async def loop(number: int) -> None:
        async with pool.acquire() as connection:
            for _ in range(number):
                with contextlib.suppress(asyncpg.UniqueViolationError):  # a random code twice: the app tries again
                    await _bare_order(connection, sample, limited=limited)

    await asyncio.gather(*(loop(5) for _ in range(FLOOR_LOOPS)))  # plans and pages are warm
    began = time.perf_counter()
    await asyncio.gather(*(loop(ORDERS // FLOOR_LOOPS) for _ in range(FLOOR_LOOPS)))
    seconds = time.perf_counter() - began
    await pool.close()
    return seconds / (ORDERS // FLOOR_LOOPS * FLOOR_LOOPS)


async def _bare_order(connection: asyncpg.pool.PoolConnectionProxy, sample: Sample, *, limited: bool) -> None:
    """Into the cart, the cart as the checkout shows it, the order. Reads only what the rows cannot be written without."""
    cart, order, person = uuid7(), uuid7(), uuid7()
    async with connection.transaction():
        if limited:
            await stock.lock(connection, [stock.pool_key(sample.pool)])
        await connection.execute(
            "INSERT INTO cart (id, event_id, buyer_sha256, expires_at, renew_until) VALUES ($1, $2, $3, "
            "clock_timestamp() + interval '30 min', clock_timestamp() + interval '90 min')",
            cart,
            sample.event,
            new_secret() * 2,
        )
        kind = await connection.fetchrow(
            "SELECT t.price, t.tax_bp, t.sales_start, t.sales_end, s.ends_at, e.status FROM ticket_type t "
            "JOIN event_session s ON s.id = t.session_id JOIN event e ON e.id = s.event_id WHERE t.id = $1",
            sample.type,
        )
        assert kind is not None
        pools = await stock.pools_by_id(connection, [sample.pool])
        assert pools[sample.pool].left != 0
        await connection.execute(
            "INSERT INTO cart_hold (id, cart_id, type_id, session_id, price, tax_bp) VALUES ($1, $2, $3, $4, 0, 0)",
            uuid7(),
            cart,
            sample.type,
            sample.session,
        )
    await connection.fetch("SELECT * FROM cart c JOIN cart_hold h ON h.cart_id = c.id WHERE c.id = $1", cart)
    async with connection.transaction():
        await connection.fetchrow("SELECT status, currency FROM event WHERE id = $1", sample.event)
        await connection.fetchrow("SELECT expires_at - clock_timestamp() FROM cart WHERE id = $1 FOR UPDATE", cart)
        await connection.fetch("SELECT * FROM cart_hold WHERE cart_id = $1", cart)
        await connection.execute("INSERT INTO person VALUES ($1, 'guest', 'Noor', 'noor@example.com', 'en')", person)
        await connection.execute(
            "INSERT INTO ticket_order (id, event_id, code, state, person_id, cart_id, language, currency, paid_at) "
            "VALUES ($1, $2, $3, 'paid', $4, $5, 'en', 'EUR', clock_timestamp())",
            order,
            sample.event,
            order_code(),
            person,
            cart,
        )
        await connection.execute("INSERT INTO order_link VALUES ($1, $2)", new_secret() * 2, order)
        await connection.execute(
            "INSERT INTO order_position (id, order_id, rank, session_id, type_id, gross, net, tax, tax_bp, secret) "
            "VALUES ($1, $2, 0, $3, $4, 0, 0, 0, 0, $5)",
            uuid7(),
            order,
            sample.session,
            sample.type,
            new_secret(),
        )
        await connection.execute(
            "INSERT INTO payment (id, order_id, provider, state, amount) VALUES ($1, $2, 'free', 'confirmed', 0)",
            uuid7(),
            order,
        )
        await connection.execute("INSERT INTO job (id, kind, payload) VALUES ($1, 'mail.order_paid', '{}')", uuid7())
        await connection.execute(
            "INSERT INTO audit (id, actor, action, object_kind, object_id) VALUES ($1, 'buyer', 'x', 'order', $2)",
            uuid7(),
            order,
        )
        await connection.execute("DELETE FROM cart WHERE id = $1", cart)


class Buyer:
    """One browser on one connection, as cheap as can be: the machine is to be busy with the app, not with us."""

    def __init__(self, number: int, port: int, uid: str, slug: str, kind: UUID) -> None:
        self.port, self.slug, self.kind = port, slug, kind
        address = f"198.18.{number // 250}.{number % 250}"
        self.head = f"Host: 127.0.0.1:{port}\r\nX-Skep-Tenant: {uid}\r\nOrigin: http://127.0.0.1:{port}\r\n"
        self.head += f"X-Forwarded-For: {address}\r\n"
        self.cookie = ""
        self.times: list[float] = []

    async def buy(self) -> bool:
        """Did they get a ticket? A busy answer is tried again, as people do."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        path = f"/events/{self.slug}"

        async def ask(method: str, target: str, body: str = "") -> tuple[int, str, bytes]:
            while True:
                began = time.perf_counter()
                form = f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n"
                cookie = f"Cookie: cart={self.cookie}\r\n" if self.cookie else ""
                writer.write(
                    f"{method} {target} HTTP/1.1\r\n{self.head}{cookie}{form if body else ''}\r\n{body}".encode()
                )
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = re.search(r"(?i)content-length: (\d+)", head)
                content = await reader.readexactly(int(length[1])) if length else b""
                self.times.append(time.perf_counter() - began)
                if found := re.search(r"(?i)set-cookie: cart=([^;]+)", head):
                    self.cookie = found[1]
                if (status := int(head[9:12])) != 503:
                    location = re.search(r"(?i)location: (\S+)", head)
                    return status, location[1] if location else "", content
                await asyncio.sleep(0.5)

        try:
            status, location, _ = await ask("POST", f"{path}/cart", f"n-{self.kind}=1")
            if status != 303 or "note=" in location:
                return False
            _, _, page = await ask("GET", f"{path}/checkout")
            cart = CART.search(page)
            if cart is None:
                return False
            form = f"cart={cart[1].decode()}&name=Noor&email=noor%40example.com"
            status, location, _ = await ask("POST", f"{path}/checkout", form)
            return status == 303 and location.startswith("/orders/")
        finally:
            writer.close()


async def _buyers(port: int, uid: str, slug: str, kind: UUID, buyers: int, at_once: int) -> None:
    """What a process of buyers does; its findings as JSON."""
    turns = asyncio.Semaphore(at_once)
    everybody = [Buyer(number, port, uid, slug, kind) for number in range(buyers)]

    async def one(buyer: Buyer) -> bool:
        async with turns:
            return await buyer.buy()

    began = time.perf_counter()  # CLOCK_MONOTONIC: the same for all processes of a machine
    got = await asyncio.gather(*(one(buyer) for buyer in everybody))
    ended = time.perf_counter()
    times = [took for buyer in everybody for took in buyer.times]
    print(json.dumps({"began": [began], "ended": [ended], "orders": [sum(got)], "times": times}))


if __name__ == "__main__":
    asyncio.run(
        _buyers(int(sys.argv[1]), sys.argv[2], sys.argv[3], UUID(sys.argv[4]), int(sys.argv[5]), int(sys.argv[6]))
    )
