"""A door with ten devices: 5,000 tickets scanned, each counted once, and what a scan takes.

The floor is one bare `INSERT ... ON CONFLICT` that says the same to the database, without HTTP, tokens or a look at the
ticket. Devices are processes of their own that send what the door's page sends, one scan after the other.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from uuid import UUID

import asyncpg

from bench.report import Aim, Report, Row
from skep.webapp.ids import new_secret, uuid7
from skep.webapp.schema import migrate
from skep.webapp.settings import Settings
from skep.webapp.shop import doors
from skep.webapp.store import tokens
from tests.rig.postgres import running_postgres
from tests.rig.rows import Sample, make_event
from tests.rig.tenant import Tenant, make_tenant

DEVICES, TICKETS = 10, 5000
DEVICE_PROCESSES = 2
ALONE = 1000  # scans of one gate by itself
TWICE = 0.1  # of the tickets come again, at another gate
PER_SCAN = Aim(4.0, "ratio")


def run() -> Report:
    return asyncio.run(_run())


async def _run() -> Report:
    with tempfile.TemporaryDirectory(prefix="skep-bench-") as scratch, running_postgres() as server:
        admin = await asyncpg.connect(server.dsn())
        await admin.execute("ALTER SYSTEM SET log_statement = 'none'")
        await admin.execute("SELECT pg_reload_conf()")
        await admin.close()
        tenant = await make_tenant(server, Path(scratch))
        tenant.settings["database"]["poolMax"] = 10
        tenant.write()
        await migrate(Settings.read(tenant.env).database)
        eyes = await tenant.admin()
        sample = await make_event(eyes)
        hashes = await _sell(eyes, sample)
        floor_alone, floor = await _floor(tenant, eyes, sample, hashes)
        await doors.ensure_one(eyes, sample.event, "Entrance")
        list_id = await eyes.fetchval("SELECT id FROM checkin_list WHERE label = 'Entrance'")
        secrets = []
        for number in range(DEVICES + 2):  # a token may ask 20 times a second: two more for what is measured alone
            async with eyes.transaction():
                _, secret = await tokens.create(
                    eyes, kind="device", name=f"Gate {number}", scopes=tokens.DEVICE_SCOPES, event_ids=[sample.event],
                    member_id=None,
                )  # fmt: skip
            secrets.append(secret)
        async with tenant.running():
            await _scan(
                tenant, list_id, secrets[-1:], hashes[:ALONE], Path(scratch)
            )  # the API is loaded, plans are made
            await eyes.execute("DELETE FROM checkin")
            _, took, _ = await _scan(tenant, list_id, secrets[-2:-1], hashes[:ALONE], Path(scratch))
            alone = took / ALONE
            await eyes.execute("DELETE FROM checkin")
            statuses, seconds, times = await _scan(tenant, list_id, secrets[:DEVICES], hashes, Path(scratch))
        counted = await eyes.fetchval(
            "SELECT count(*) FROM checkin WHERE list_id = $1 AND mark IS NULL AND undone_at IS NULL", list_id
        )
        await eyes.close()
    scans = sum(statuses.values())
    if counted != TICKETS or statuses != {"201": TICKETS, "400": scans - TICKETS}:
        raise AssertionError(f"{counted} counted of {TICKETS}; answers: {statuses}")
    rows = (
        Row(f"counted, of {TICKETS} tickets at {DEVICES} gates", counted, "", aim=Aim(TICKETS)),
        Row("a scan, all gates at once", 1000 * seconds / scans, "ms", 1000 * floor_alone, PER_SCAN),
        Row("a scan at one gate, from asking to the answer", 1000 * alone, "ms", 1000 * floor_alone, PER_SCAN),
        Row("scans a second, next to ten bare loops", scans / seconds, "/s", 1 / floor),
        Row("p95 of one answer", 1000 * statistics.quantiles(times, n=20)[-1], "ms"),
    )
    notes = (
        f"One web process, one PostgreSQL with fsync off, {DEVICE_PROCESSES} processes of devices, all on this machine.",
        f"{scans - TICKETS} scans are of tickets that another gate let in: each was told when and where.",
        "Floor: one bare INSERT ... ON CONFLICT in an asyncpg loop; of scans a second, ten such loops at once.",
    )
    return Report("checkin", f"{DEVICES} devices at the doors", rows, notes)


async def _sell(eyes: asyncpg.Connection[asyncpg.Record], sample: Sample) -> list[str]:
    """Paid orders of one ticket each; the codes' hashes, as a device knows them."""
    secrets = [new_secret() for _ in range(TICKETS)]
    person, ids = uuid7(), [uuid7() for _ in range(TICKETS)]
    await eyes.execute("INSERT INTO person VALUES ($1, 'guest', 'Noor Haddad', 'noor@example.com', 'en')", person)
    alphabet = "ABCDEFGHJK"
    await eyes.execute(
        "INSERT INTO ticket_order (id, event_id, code, state, person_id, language, currency, paid_at) "
        "SELECT o.id, $2, o.code, 'paid', $3, 'en', 'EUR', clock_timestamp() FROM unnest($1::uuid[], $4::text[]) o(id, code)",
        ids,
        sample.event,
        person,
        ["".join(alphabet[int(digit)] for digit in f"{number:06}") for number in range(TICKETS)],
    )
    await eyes.execute(
        "INSERT INTO order_position (id, order_id, rank, session_id, type_id, gross, net, tax, tax_bp, secret) "
        "SELECT o.id, o.id, 0, $2, $3, 0, 0, 0, 0, o.secret FROM unnest($1::uuid[], $4::bytea[]) o(id, secret)",
        ids,
        sample.session,
        sample.type,
        secrets,
    )
    await eyes.execute("ANALYZE")
    return [hashlib.sha256(secret).hexdigest() for secret in secrets]


async def _floor(
    tenant: Tenant, eyes: asyncpg.Connection[asyncpg.Record], sample: Sample, hashes: list[str]
) -> tuple[float, float]:
    """Seconds a bare insert takes, in one loop and in all at once."""
    await doors.ensure_one(eyes, sample.event, "Floor")
    list_id = await eyes.fetchval("SELECT id FROM checkin_list")
    positions = [row["id"] for row in await eyes.fetch("SELECT id FROM order_position ORDER BY id")]
    dsn = tenant.postgres.dsn(tenant.database)
    pool = await asyncpg.create_pool(dsn, min_size=DEVICES, max_size=DEVICES)

    async def loop(mine: list[tuple[UUID, str]]) -> None:
        async with pool.acquire() as connection:
            for position, code in mine:
                await connection.fetchval(
                    "INSERT INTO checkin (id, list_id, position_id, code_sha256, nonce, gate, at) "
                    "VALUES ($1, $2, $3, $4, $5, 'Gate', clock_timestamp()) ON CONFLICT DO NOTHING RETURNING at",
                    uuid7(),
                    list_id,
                    position,
                    bytes.fromhex(code),
                    code,
                )

    all_ = list(zip(positions, hashes, strict=True))
    await asyncio.gather(*(loop(all_[number : 20 * DEVICES : DEVICES]) for number in range(DEVICES)))  # warm
    await eyes.execute("DELETE FROM checkin")
    began = time.perf_counter()
    await loop(all_[:ALONE])
    alone = (time.perf_counter() - began) / ALONE
    await eyes.execute("DELETE FROM checkin")
    began = time.perf_counter()
    await asyncio.gather(*(loop(all_[number::DEVICES]) for number in range(DEVICES)))
    seconds = time.perf_counter() - began
    await pool.close()
    await eyes.execute("DELETE FROM checkin")
    await eyes.execute("DELETE FROM checkin_list")
    return alone, seconds / TICKETS


async def _scan(
    tenant: Tenant, list_id: UUID, secrets: list[str], hashes: list[str], scratch: Path
) -> tuple[dict[str, int], float, list[float]]:
    """(how often each status, seconds in all, seconds of each answer)."""
    devices = len(secrets)
    shares = [hashes[number::devices] for number in range(devices)]
    if devices > 1:
        for number, share in enumerate(shares):
            share += shares[number - 1][: int(len(share) * TWICE)]  # seen at the neighbour's gate before
    processes = []
    for part in range(min(devices, DEVICE_PROCESSES)):
        work = scratch / f"devices-{part}.json"
        mine = [(secrets[number], shares[number]) for number in range(part, devices, DEVICE_PROCESSES)]
        work.write_text(json.dumps(mine))
        command = [sys.executable, "-m", "bench.checkin", str(tenant.port), tenant.uid, str(list_id), str(work)]
        processes.append(await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE))
    parts = [json.loads((await process.communicate())[0]) for process in processes]
    statuses: dict[str, int] = {}
    for part_said in parts:
        for status, number in part_said["statuses"].items():
            statuses[status] = statuses.get(status, 0) + number
    seconds = max(part_said["ended"] for part_said in parts) - min(part_said["began"] for part_said in parts)
    return statuses, seconds, [took for part_said in parts for took in part_said["times"]]


class Device:
    """One phone on one connection, as cheap as can be: the machine is to be busy with the app, not with us."""

    def __init__(self, port: int, uid: str, list_id: str, secret: str, hashes: list[str]) -> None:
        self.port, self.hashes = port, hashes
        self.head = (
            f"POST /api/v1/checkin-lists/{list_id}/scans HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nX-Skep-Tenant: {uid}\r\n"
            f"Authorization: Bearer {secret}\r\nContent-Type: application/json\r\n"
        )
        self.statuses: dict[str, int] = {}
        self.times: list[float] = []

    async def scan_all(self) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        for number, code in enumerate(self.hashes):
            nonce = hashlib.sha256(f"{self.head}{number}".encode()).hexdigest()[:32]
            body = f'{{"code_sha256":"{code}","nonce":"{nonce}","at":"2026-01-01T12:00:00Z"}}'
            began = time.perf_counter()
            writer.write(f"{self.head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            lower = head.lower()
            at = lower.index(b"content-length: ") + 16
            await reader.readexactly(int(lower[at : lower.index(b"\r", at)]))
            self.times.append(time.perf_counter() - began)
            status = head[9:12].decode()
            self.statuses[status] = self.statuses.get(status, 0) + 1
        writer.close()


async def _devices(port: int, uid: str, list_id: str, work: Path) -> None:
    """What a process of devices does; its findings as JSON."""
    given = json.loads(await asyncio.to_thread(work.read_text))
    phones = [Device(port, uid, list_id, secret, hashes) for secret, hashes in given]
    began = time.perf_counter()  # CLOCK_MONOTONIC: the same for all processes of a machine
    await asyncio.gather(*(phone.scan_all() for phone in phones))
    ended = time.perf_counter()
    statuses: dict[str, int] = {}
    for phone in phones:
        for status, number in phone.statuses.items():
            statuses[status] = statuses.get(status, 0) + number
    times = [took for phone in phones for took in phone.times]
    print(json.dumps({"began": began, "ended": ended, "statuses": statuses, "times": times}))


if __name__ == "__main__":
    asyncio.run(_devices(int(sys.argv[1]), sys.argv[2], sys.argv[3], Path(sys.argv[4])))
