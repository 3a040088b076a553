"""Amounts in words and as typed, in minor units of a currency.

By hand for two languages, as dates are: babel's data would cost each process more memory than all our words.
"""

from __future__ import annotations

import re

NBSP = "\u00a0"
THIN = "\u202f"

# Currencies that a form offers, with how many digits their minor unit has and how English writes them.
DIGITS = {"EUR": 2, "CHF": 2, "GBP": 2, "USD": 2, "CAD": 2, "SEK": 2, "NOK": 2, "DKK": 2, "PLN": 2, "CZK": 2,
          "MAD": 2, "TND": 3, "XOF": 0, "JPY": 0}  # fmt: skip
SYMBOLS = {"EUR": "€", "GBP": "£", "USD": "$", "JPY": "¥"}
MAX_AMOUNT = 100_000_000  # a million with two digits: more is a slip


def text(amount: int, currency: str, language: str) -> str:
    """€1,250.00, CHF 12.50; 1 250,00 €, 12,50 CHF."""
    digits = DIGITS.get(currency, 2)
    whole, rest = divmod(abs(amount), 10**digits)
    sign = "−" if amount < 0 else ""
    if language == "fr":
        number = f"{whole:,}".replace(",", THIN) + (f",{rest:0{digits}}" if digits else "")
        return f"{sign}{number}{NBSP}{SYMBOLS.get(currency, currency)}"
    number = f"{whole:,}" + (f".{rest:0{digits}}" if digits else "")
    symbol = SYMBOLS.get(currency)
    return f"{sign}{symbol}{number}" if symbol else f"{sign}{currency}{NBSP}{number}"


def typed(amount: int, currency: str) -> str:
    """For a field: 12.50; 0."""
    digits = DIGITS.get(currency, 2)
    whole, rest = divmod(amount, 10**digits)
    return f"{whole}.{rest:0{digits}}" if digits and rest else str(whole)


def parse(written: str, currency: str) -> int | None:
    """Minor units of what somebody typed: 12.50, 12,5, 1 250, € 12. None if that is no amount."""
    digits = DIGITS.get(currency, 2)
    bare = re.sub(r"[\s€£$¥'’]|" + re.escape(currency), "", written, flags=re.IGNORECASE)
    found = re.fullmatch(r"(\d{1,9})(?:[.,](\d{1,3}))?", bare, flags=re.ASCII)
    if found is None or len((found[2] or "").rstrip("0")) > digits:
        return None
    amount = int(found[1]) * 10**digits + int((found[2] or "").ljust(digits, "0")[:digits] or "0")
    return amount if amount <= MAX_AMOUNT else None
