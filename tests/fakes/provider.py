"""A payment provider that behaves as badly as real ones: its messages come late, twice and out of order."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from skep.webapp.shop import payments
from skep.webapp.shop.payments import Outcome, PaymentRef, Terms
from skep.webapp.shop.states import PaymentState
from skep.webapp.store import audit
from skep.webapp.store.pool import Database


class BadProvider:
    """Asynchronous: nothing is known when an order is placed. Messages wait in `outbox` until a test lets them go."""

    name = "bad"

    def __init__(self, database: Database) -> None:
        self._database = database
        self.begun: list[PaymentRef] = []
        self.outbox: list[tuple[str, PaymentState]] = []

    def offers(self, terms: Terms) -> bool:
        return terms.amount > 0

    def first_state(self) -> PaymentState:
        return PaymentState.CREATED

    def due_at(self, terms: Terms, now: datetime) -> datetime | None:
        return now + timedelta(minutes=30)

    async def begin(self, payment: PaymentRef) -> str | None:
        self.begun.append(payment)
        async with self._database.transaction() as connection:
            await payments.set_reference(connection, payment.id, self.reference(payment))
        return f"https://pay.example/{payment.id}"

    def reference(self, payment: PaymentRef) -> str:
        return f"bad-{payment.id}"

    def says(self, payment: PaymentRef, *states: PaymentState) -> None:
        self.outbox += [(self.reference(payment), state) for state in states]

    async def deliver(self) -> list[Outcome]:
        """Everything in the outbox, one message after the other, as its web hook would."""
        outcomes: list[Outcome] = []
        while self.outbox:
            reference, state = self.outbox.pop(0)
            outcomes.append(await self._heard(reference, state))
        return outcomes

    async def _heard(self, reference: str, state: PaymentState) -> Outcome:
        async with self._database.connection() as connection:
            payment: UUID | None = await payments.find(connection, self.name, reference)
        if payment is None:
            return "unknown"
        return await payments.record(self._database, payment, state, audit.PROVIDER)
