"""Two people saved the same thing: what each wrote, side by side, where it differs. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from skep.webapp.i18n import Translator
from skep.webapp.organizer.event_form import changed

# The fields of each form with the keys of their labels, in the order of the form.
EVENT = {
    "title": "edit.field.title", "description": "edit.field.description", "language": "edit.field.language",
    "starts": "edit.field.starts", "ends": "edit.field.ends", "place": "edit.field.place",
    "timezone": "edit.field.timezone", "capacity": "edit.field.capacity", "currency": "edit.field.currency",
    "cancel_hours": "edit.field.cancel", "pays_on_site": "edit.field.onsite",
    "transfer_details": "edit.field.transfer",
}  # fmt: skip
SESSION = {"title": "edit.field.title", "starts": "edit.field.starts", "ends": "edit.field.ends"}
TYPE = {
    "title": "offer.type.title", "description": "offer.type.description", "price": "edit.field.price",
    "tax": "edit.field.tax", "starts": "offer.from", "ends": "offer.until", "min": "offer.min", "max": "offer.max",
    "needs_voucher": "offer.hidden", "is_active": "offer.active",
}  # fmt: skip
QUESTION = {
    "label": "offer.question", "hint": "offer.question.hint", "kind": "offer.kind", "choices": "offer.choices",
    "is_required": "offer.required.label",
}  # fmt: skip
_TICKED = frozenset({"pays_on_site", "needs_voucher", "is_active", "is_required"})


@dataclass(frozen=True, slots=True)
class Difference:
    label: str
    saved: str
    typed: str


def differences(
    labels: Mapping[str, str], saved: Mapping[str, str], typed: Mapping[str, str], t: Translator
) -> list[Difference]:
    """A box that is not ticked is not sent: then it says no."""
    whole = {name: typed.get(name, "" if name in _TICKED else saved.get(name, "")) for name in labels}
    differing = changed({name: saved.get(name, "") for name in labels}, whole)
    return [
        Difference(t(labels[name]), _shown(name, saved.get(name, ""), t), _shown(name, whole[name], t))
        for name in labels
        if name in differing
    ]


def _shown(name: str, value: str, t: Translator) -> str:
    if name in _TICKED:
        return t("answer.yes") if value == "yes" else t("answer.no")
    if name == "kind":
        return t(f"offer.kind.{value}") if value else ""
    return value.replace("T", " ") if name in ("starts", "ends") else value
