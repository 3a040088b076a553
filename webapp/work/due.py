"""When the worker is needed next: one look at the tenant's rows, by the database's own clock."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from skep.webapp.settings import Quotas, Settings
from skep.webapp.store import jobs, quotas, webhooks
from skep.webapp.work import chores
from skep.webapp.work.chores import Chore

if TYPE_CHECKING:
    from skep.webapp.store.pool import Connection


NO_QUOTAS = Quotas()


@dataclass(frozen=True, slots=True)
class Duties:
    """What a worker of this image and these settings can do."""

    kinds: Collection[str]
    chores: Sequence[Chore]
    quotas: Quotas = NO_QUOTAS

    async def open_kinds(self, connection: Connection) -> Collection[str]:
        """Those that may be claimed in this transaction: not more mails than the plan has for a day."""
        if self.quotas.mails_per_day is None:
            return self.kinds
        await quotas.lock_mails(connection)
        if await quotas.mails_again_at(connection, self.quotas) is None:
            return self.kinds
        return [kind for kind in self.kinds if not _is_counted(kind)]

    async def due_in_s(self, connection: Connection) -> float | None:
        """Seconds until there is work; 0 or less: now. None: nothing is known to come."""
        moments = [
            await self._next_job(connection),
            await chores.next_due(connection, self.chores),
        ]
        first = min((moment for moment in moments if moment is not None), default=None)
        if first is None:
            return None
        now: datetime = await connection.fetchval("SELECT clock_timestamp()")
        return (first - now).total_seconds()

    async def _next_job(self, connection: Connection) -> datetime | None:
        due = await jobs.next_due(connection, self.kinds)
        if due is None or (again := await quotas.mails_again_at(connection, self.quotas)) is None:
            return due
        counted = await jobs.next_due(connection, [kind for kind in self.kinds if _is_counted(kind)])
        others = await jobs.next_due(connection, [kind for kind in self.kinds if not _is_counted(kind)])
        return min(moment for moment in (others, counted and max(counted, again)) if moment is not None)


def _is_counted(kind: str) -> bool:
    return kind.startswith("mail.") and kind not in quotas.NOT_COUNTED


MAIL_KINDS = (
    "mail.order_paid",
    "mail.order_placed",
    "mail.order_expired",
    "mail.tickets_cancelled",
    "mail.tickets_changed",
    "mail.tickets_again",
    "mail.refund_owed",
    "mail.event_cancelled",
    "mail.event_postponed",
    "mail.event_moved",
    "mail.waiting_joined",
    "mail.waiting_offer",
    "mail.invitation",
    "mail.reset",
)


def duties_of(settings: Settings) -> Duties:
    """Without a way to send mail, mails wait: nobody claims them."""
    todo = chores.chores(keep_names=timedelta(days=settings.retention_days))
    kinds = (webhooks.KIND, *(MAIL_KINDS if settings.mail is not None else ()))
    return Duties(kinds, todo, settings.quotas)
