"""What can be wrong with a field."""

from __future__ import annotations

MESSAGES: dict[str, str] = {
    # What can be wrong with a field
    "wrong.name": "Write your name.",
    "wrong.name.long": "Use at most {limit} characters for the name.",
    "wrong.email": "Write an e-mail address like lea@example.com.",
    "wrong.email.taken": "There is already an account with this address. Sign in instead, or use another address.",
    "wrong.password.short": "Use at least {limit} characters for the password.",
    "wrong.password.long": "Use at most {limit} characters for the password.",
    "wrong.password.same": "Choose a password that is not your e-mail address.",
    "wrong.title": "Give the event a title.",
    "wrong.long": "Use at most {limit} characters.",
    "wrong.starts": "Say when the event starts.",
    "wrong.ends": "Say when the event ends.",
    "wrong.order": "The end must be after the start.",
    "wrong.span": "An event lasts at most {limit} days.",
    "wrong.gap": "The clocks go forward at that hour, so this time does not exist. Choose an hour later.",
    "wrong.year": "Choose a date between {low} and {high}.",
    "wrong.timezone": "Choose a time zone from the list, like Europe/Paris.",
    "wrong.capacity": "Write a whole number from 1 to {limit}, or leave the field empty.",
    "wrong.capacity.taken.one": "1 person is already registered: offer at least that many places.",
    "wrong.capacity.taken.other": "{count} people are already registered: offer at least that many places.",
    "wrong.language": "Choose one of the languages.",
    "wrong.characters": "Remove the control characters.",
    "wrong.often": "There were many registrations from your network. Please wait {minutes} minutes and try again.",
}
