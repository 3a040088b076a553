"""What stands on an invoice or a credit note: every printed text, ready to be drawn and stored as it is. Pure.

All texts are made once, when the document is issued, and kept: later words, names or prices change nothing of it. The
buyer's name alone is kept elsewhere (docs/adr/0018).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from skep.webapp.i18n import Translator, dates
from skep.webapp.shop.money import Amount, total

Series = Literal["invoice", "credit"]
LAYOUT = 1  # a later layout draws older documents as they were


@dataclass(frozen=True, slots=True)
class Seller:
    """Who sells. *footer*: bank, register, or why no tax is charged; *prefix* stands before the year in a number."""

    legal_name: str
    address: str
    vat_id: str
    footer: str
    prefix: str
    timezone: str
    version: int


@dataclass(frozen=True, slots=True)
class Place:
    """One ticket that was sold: what it is called, and its amount."""

    what: str
    amount: Amount
    tax_bp: int


@dataclass(frozen=True, slots=True)
class Line:
    what: str
    count: int
    unit: int
    amount: Amount
    tax_bp: int


@dataclass(frozen=True, slots=True)
class About:
    """The sale: *method* is the payment provider's name, *corrects* the label of the invoice that is taken back."""

    event: str
    code: str
    supplied_on: date
    currency: str
    method: str
    corrects: str | None = None


def label(seller: Seller, series: Series, year: int, number: int) -> str:
    """2026-0001; ACME-2026-0001; C2026-0001 for a credit note."""
    return f"{seller.prefix}{'C' if series == 'credit' else ''}{year}-{number:04}"


def lines(places: Sequence[Place]) -> tuple[Line, ...]:
    """Equal places as one line, in the order of the first of each. Sums, so that no line is rounded twice."""
    groups: dict[tuple[str, int, int], list[Amount]] = {}
    for place in places:
        groups.setdefault((place.what, place.amount.gross, place.tax_bp), []).append(place.amount)
    return tuple(
        Line(what, len(amounts), unit, total(amounts), tax_bp) for (what, unit, tax_bp), amounts in groups.items()
    )


def rates(sold: Sequence[Line]) -> dict[int, Amount]:
    """The amount of each tax rate, the lowest first."""
    return {
        tax_bp: total([line.amount for line in sold if line.tax_bp == tax_bp])
        for tax_bp in sorted({line.tax_bp for line in sold})
    }


def document(
    seller: Seller, series: Series, number: str, issued_on: date, about: About, places: Sequence[Place], t: Translator
) -> dict[str, Any]:
    """Everything printed but the buyer, as JSON says it."""
    sold = lines(places)
    whole = total([line.amount for line in sold])

    def money(amount: int) -> str:
        return t.money(-amount if series == "credit" else amount, about.currency)

    facts = [
        (t("invoice.number"), number),
        (t("invoice.date"), dates.plain_day(issued_on, t.language)),
        (t("invoice.order"), about.code),
        (t("invoice.supplied"), dates.plain_day(about.supplied_on, t.language)),
    ]
    if about.corrects is not None:
        facts.append((t("invoice.corrects"), about.corrects))
    else:
        facts.append((t("invoice.paid"), t(f"method.{about.method}")))
    return {
        "layout": LAYOUT,
        "language": t.language,
        "title": t(f"invoice.title.{series}"),
        "event": about.event,
        "seller": [seller.legal_name, *seller.address.splitlines()]
        + ([t("invoice.vat", number=seller.vat_id)] if seller.vat_id else []),
        "buyer": t("invoice.buyer"),
        "facts": [list(pair) for pair in facts],
        "head": [t(f"invoice.head.{name}") for name in ("what", "count", "unit", "tax", "gross")],
        "lines": [
            [
                line.what,
                str(line.count),
                t.money(line.unit, about.currency),
                t.percent(line.tax_bp),
                money(line.amount.gross),
            ]
            for line in sold
        ],
        "rates": [
            [
                t("invoice.rate", rate=t.percent(tax_bp)),
                t("invoice.rate.net", amount=money(amount.net)),
                t("invoice.rate.tax", amount=money(amount.tax)),
            ]
            for tax_bp, amount in rates(sold).items()
        ],
        "totals": [
            [t("invoice.net"), money(whole.net)],
            [t("invoice.tax"), money(whole.tax)],
            [t("invoice.gross"), money(whole.gross)],
        ],
        "footer": seller.footer.splitlines(),
    }
