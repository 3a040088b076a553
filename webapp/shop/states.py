"""What an order and a payment may become. Pure: what is said twice, late or out of order has one answer here.

order:    pending ──> paid ──> cancelled        payment:  created ──> pending ──> confirmed ──> refunded
             ├──────> expired ──> paid (late, if there is stock)        └────────────┴──> failed
             └──────> cancelled
"""

from __future__ import annotations

from enum import StrEnum


class OrderState(StrEnum):
    PENDING = "pending"
    PAID = "paid"
    EXPIRED = "expired"
    CANCELLED = "cancelled"

    @property
    def holds_places(self) -> bool:
        return self in (OrderState.PENDING, OrderState.PAID)


class PaymentState(StrEnum):
    CREATED = "created"
    PENDING = "pending"
    CONFIRMED = "confirmed"
    FAILED = "failed"
    REFUNDED = "refunded"


_ORDER_WAYS = {
    OrderState.PENDING: {OrderState.PAID, OrderState.EXPIRED, OrderState.CANCELLED},
    OrderState.PAID: {OrderState.CANCELLED},
    OrderState.EXPIRED: {OrderState.PAID},
    OrderState.CANCELLED: frozenset[OrderState](),
}

# "failed" after "confirmed" is an old message that comes late: money that arrived stays arrived. "confirmed" after
# "failed" is believed: the provider corrected itself, and the money is there.
_PAYMENT_WAYS = {
    PaymentState.CREATED: {PaymentState.PENDING, PaymentState.CONFIRMED, PaymentState.FAILED},
    PaymentState.PENDING: {PaymentState.CONFIRMED, PaymentState.FAILED},
    PaymentState.CONFIRMED: {PaymentState.REFUNDED},
    PaymentState.FAILED: {PaymentState.CONFIRMED},
    PaymentState.REFUNDED: frozenset[PaymentState](),
}


def may_become(state: OrderState, wanted: OrderState) -> bool:
    return wanted in _ORDER_WAYS[state]


def payment_after(state: PaymentState, said: PaymentState) -> PaymentState | None:
    """The payment's next state when its provider says *said*; None if that changes nothing."""
    return said if said in _PAYMENT_WAYS[state] else None
