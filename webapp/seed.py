"""Sample events, so that a fresh site shows what it can do: `python -m skep.webapp samples`.

`samples` says what; here it is written, and a part of it bought, by the same ways that people use. A site that has an
event already is left as it is.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, time, timedelta
from itertools import cycle
from typing import TYPE_CHECKING
from uuid import UUID

from skep.webapp.i18n import dates
from skep.webapp.ids import new_secret, secret_text
from skep.webapp.samples import Sample, samples_for
from skep.webapp.settings import Settings
from skep.webapp.shop import carts, catalog, orders
from skep.webapp.shop.orders import Purchase
from skep.webapp.shop.payments import BUILT_IN
from skep.webapp.store import events, offers
from skep.webapp.store.events import Draft
from skep.webapp.store.offers import TypeDraft
from skep.webapp.store.pool import Database

if TYPE_CHECKING:
    from skep.webapp.store.pool import Connection

ZONE = "Europe/Paris"
DETAILS = "Sample account\nFR76 3000 1000 0100 0000 0000 123"
WEEKS = 4
# Slowly at first, and most in the last days, as tickets are sold.
_SPREAD = """
WITH placed AS (
    SELECT id, row_number() OVER (ORDER BY id) AS number, count(*) OVER () AS all_of_them
    FROM ticket_order WHERE event_id = $1
)
UPDATE ticket_order o SET
    created_at = o.created_at - moved.by, paid_at = o.paid_at - moved.by
FROM (SELECT id, $2::interval * power(1 - number::float / (all_of_them + 1), 2) AS by FROM placed) moved
WHERE moved.id = o.id"""
BUYERS = ("Camille Laurent", "Noor Haddad", "Jonas Weber", "Inès Moreau", "Tom Okafor", "Lucie Petit", "Aya Tanaka")


async def seed(settings: Settings) -> int:
    """How many events were made; 0 where there are some already. Raises DatabaseDown."""
    database = Database(settings.database)
    await database.open()
    try:
        async with database.connection() as connection:
            if await connection.fetchval("SELECT EXISTS (SELECT FROM event)"):
                return 0
        samples = samples_for(settings.tenant)
        for sample in samples:
            async with database.transaction() as connection:
                event_id = await _make(connection, sample, settings.language)
            if event_id is not None:
                await _sell(database, event_id, sample, settings.language)
        return len(samples)
    finally:
        await database.close()


async def _make(connection: Connection, sample: Sample, language: str) -> UUID | None:
    """None if the address is taken: somebody else seeds at the same time."""
    zone = dates.zone(ZONE)
    day = (datetime.now(UTC).astimezone(zone) + timedelta(days=sample.in_days)).date()
    starts_at = datetime.combine(day, time(*sample.at), tzinfo=zone)
    lasts = timedelta(minutes=sample.minutes)
    is_free = not any(kind.price for kind in sample.types)
    draft = Draft(
        title=sample.title[language],
        description=sample.description[language],
        place=sample.place,
        language=language,
        timezone=ZONE,
        starts_at=starts_at,
        ends_at=starts_at + lasts,
        capacity=sample.places,
        currency="EUR",
        price=0,
        tax_bp=0,
        pays_on_site=True,
        transfer_details="" if is_free else DETAILS,
        self_cancel_hours=24,
    )
    event_id = await events.create(connection, draft, slug=sample.slug, member_id=None)
    if event_id is None:
        return None
    await connection.execute(
        "UPDATE event SET title = $2, description = $3 WHERE id = $1",
        event_id,
        json.dumps(sample.title, ensure_ascii=False),
        json.dumps(sample.description, ensure_ascii=False),
    )
    first = await connection.fetchval("SELECT id FROM event_session WHERE event_id = $1", event_id)
    await connection.execute("DELETE FROM ticket_type WHERE session_id = $1", first)
    pools = {first: await connection.fetchval("SELECT id FROM stock_pool WHERE session_id = $1", first)}
    for days in sample.again_in_days:
        again = starts_at + timedelta(days=days)
        other = await offers.create_session(connection, event_id, starts_at=again, ends_at=again + lasts, title={})
        pools[other] = await offers.create_pool(connection, other, size=sample.places)
    for session_id, pool_id in pools.items():
        for rank, kind in enumerate(sample.types):
            await offers.save_type(
                connection,
                TypeDraft(
                    session_id=session_id,
                    title=kind.title,
                    description=kind.description,
                    price=kind.price,
                    tax_bp=sample.tax_bp,
                    pool_ids=(pool_id,),
                    rank=rank,
                    max_per_order=kind.at_most,
                ),
            )
    for question in sample.questions:
        await offers.create_question(connection, event_id, question)
    if sample.voucher:
        await offers.create_voucher(connection, event_id, sample.voucher)
    await events.set_published(connection, event_id, published=True)
    return event_id


async def _sell(database: Database, event_id: UUID, sample: Sample, language: str) -> None:
    """So many tickets, a few an order, two orders in three of the first type; ordered over the weeks before today."""
    async with database.connection() as connection:
        first, *others = (await catalog.load_one(connection, event_id)).types
    left = sample.sold
    for number, name, kind in zip(cycle((2, 1, 4, 2, 3)), cycle(BUYERS), cycle((first, first, *others[:1]))):
        if left <= 0:
            break
        buyer = secret_text(new_secret())
        count = min(number, left, kind.max_per_order or number)
        await carts.add(database, event_id, buyer, {kind.id: count})
        async with database.connection() as connection:
            cart = await carts.find(connection, event_id, buyer)
        if cart is None:
            break
        email = f"{name.split()[0].lower().replace('è', 'e')}@samples.invalid"
        holders = {hold.id: "" for hold in cart.holds}
        method = "on-site" if cart.total.gross else "free"
        purchase = Purchase(name, email, language, holders, {}, method)
        await orders.place(database, event_id, buyer, cart.id, purchase, BUILT_IN)
        left -= count
    async with database.transaction() as connection:
        await connection.execute(_SPREAD, event_id, timedelta(days=WEEKS * 7))
