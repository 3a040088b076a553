"""What is held of a person; and what waits for a person's word."""

from __future__ import annotations

MESSAGES: dict[str, str] = {
    "privacy.title": "A person’s data",
    "privacy.lead": "Somebody asks what you hold of them, or wants it erased? Look it up by their e-mail address.",
    "privacy.look": "Look up",
    "privacy.nothing": "Nothing is held of this address",
    "privacy.nothing.text": "No order and no place on a waiting list has it. Perhaps they used another address.",
    "privacy.held": "What is held of this address",
    "privacy.orders.one": "1 order, with its tickets and payments",
    "privacy.orders.other": "{count} orders, with their tickets and payments",
    "privacy.answers.one": "1 answer to a question",
    "privacy.answers.other": "{count} answers to questions",
    "privacy.waiting.one": "1 place on a waiting list",
    "privacy.waiting.other": "{count} places on waiting lists",
    "privacy.export": "Download everything (JSON)",
    "privacy.erase": "Erase",
    "privacy.erase.text": "Name, address and answers are erased everywhere and cannot be brought back. Orders and "
    "tickets stay, without a name: they hold amounts only. Names of other guests on the same order are theirs and stay.",
    "privacy.coming.one": "1 ticket for an event to come stays valid, without a name on it.",
    "privacy.coming.other": "{count} tickets for events to come stay valid, without a name on them.",
    "privacy.sure": "I know that this cannot be undone",
    "privacy.sure.missing": "Confirm that this cannot be undone.",
    "privacy.erase.button": "Erase this person’s data",
    "privacy.erased": "Erased. Only amounts and dates are left.",
    "privacy.organizer": "An organizer signs in with this address. Remove them from the team to erase their account.",
    "parked.title": "Held back",
    "parked.text": "Since {when} this site does nothing by itself: it was restored or copied, and what waited then may "
    "have happened already. Decide for each kind whether it still has to happen.",
    "parked.chores": "Orders do not expire, and the waiting list is not offered freed places, until you say so.",
    "parked.none": "No mail waits for your word.",
    "parked.waits.one": "1 waits",
    "parked.waits.other": "{count} wait",
    "parked.release": "Send",
    "parked.drop": "Drop",
    "parked.resume": "Let the site act by itself again",
}
