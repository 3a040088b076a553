"""Amounts in minor units of one currency, and the tax inside them. Pure.

A price is what people pay (gross). Its tax is taken out per line and rounded half up, so that the lines of an invoice
add up without a word about rounding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

WHOLE_BP = 10_000  # basis points in one

Effect = Literal["none", "set", "subtract", "percent"]


@dataclass(frozen=True, slots=True)
class Amount:
    """One line: `gross == net + tax`, all in minor units."""

    gross: int
    net: int
    tax: int


def with_tax(gross: int, tax_bp: int) -> Amount:
    """Split *gross*, which includes tax of *tax_bp* basis points on the net. Raises ValueError below zero."""
    if gross < 0 or tax_bp < 0:
        raise ValueError("neither a price nor a tax rate is below zero")
    net = divided_half_up(gross * WHOLE_BP, WHOLE_BP + tax_bp)
    return Amount(gross=gross, net=net, tax=gross - net)


def total(amounts: list[Amount]) -> Amount:
    return Amount(sum(a.gross for a in amounts), sum(a.net for a in amounts), sum(a.tax for a in amounts))


def divided_half_up(number: int, by: int) -> int:
    """*number* / *by*, both not negative, rounded to whole units; a half goes up."""
    return (2 * number + by) // (2 * by)


def discounted(price: int, effect: Effect, value: int) -> int:
    """The price with a voucher: `set` to *value*, `subtract` *value*, or *value* basis points less. Never below 0."""
    match effect:
        case "none":
            return price
        case "set":
            return value
        case "subtract":
            return max(0, price - value)
        case "percent":
            return price - divided_half_up(price * min(value, WHOLE_BP), WHOLE_BP)
