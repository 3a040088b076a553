"""What stands on every page, and errors."""

from __future__ import annotations

MESSAGES: dict[str, str] = {
    # The frame
    "skip": "Skip to content",
    "footer.organizers": "For organizers",
    "footer.public": "Public site",
    "home": "All events",
    "form.errors": "Please check the following:",
    # Errors
    "error.request": "Reference: {id}",
    "error.bad.title": "This request cannot be read",
    "error.bad.text": "Your browser sent something we do not understand. Go back and try again.",
    "error.foreign.title": "This form came from somewhere else",
    "error.foreign.text": "For your safety we only accept forms from our own pages, and only for as long as you are "
    "signed in. Go back, reload the page and try again.",
    "error.missing.title": "There is nothing here",
    "error.missing.text": "The page may have moved, or the link may be incomplete.",
    "error.method.title": "This page cannot do that",
    "error.method.text": "It was asked for something it does not offer. Start again from the front page.",
    "error.large.title": "That is too long",
    "error.large.text": "What you sent is larger than this form accepts. Go back, shorten it and try again.",
    "error.often.title": "A little slower, please",
    "error.often.text": "There were too many attempts. Wait a few minutes and try again.",
    "error.misdirected.title": "Wrong address",
    "error.misdirected.text": "This request reached the wrong site. Please reload the page.",
    "error.failed.title": "Something went wrong on our side",
    "error.failed.text": "The problem has been recorded. Try again in a moment; if it stays, tell the organizer the "
    "reference below.",
    "error.database.title": "We will be right back",
    "error.database.text": "The site cannot reach its data at the moment. Nothing is lost.",
    "error.busy.title": "Many people at once",
    "error.busy.text": "So many people want this at the same second that we could not take your request. Nothing was "
    "saved: go back and try again.",
    "error.retry.auto": "This page tries again by itself every few seconds.",
    "error.retry.form": "What you sent was not saved: go back and send it again in a moment.",
}
