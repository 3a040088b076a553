"""What a plan has no more room for."""

from __future__ import annotations

MESSAGES: dict[str, str] = {
    "quota.members.one": "This site’s plan has room for one organizer, and there is one. Ask whoever runs this "
    "platform for a larger plan.",
    "quota.members.other": "This site’s plan has room for {count} organizers, and there are as many. Ask one who has "
    "left to be removed, or whoever runs this platform for a larger plan.",
    "quota.events.one": "This site’s plan has room for one event that is not over. Wait until it is, cancel it, or "
    "ask whoever runs this platform for a larger plan.",
    "quota.events.other": "This site’s plan has room for {count} events that are not over. Cancel one, wait until one "
    "is over, or ask whoever runs this platform for a larger plan.",
    "quota.mails.one": "This site’s plan sends one mail a day, and it was sent. The next one leaves on {when}; nothing "
    "is lost. Ask whoever runs this platform for a larger plan.",
    "quota.mails.other": "This site’s plan sends {count} mails a day, and all were sent. The next one leaves on {when}; "
    "nothing is lost. Ask whoever runs this platform for a larger plan.",
}
