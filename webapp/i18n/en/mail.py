"""Mails, and tickets as a file."""

from __future__ import annotations

MESSAGES: dict[str, str] = {
    # Mails
    "mail.paid.subject": "Your tickets: {event}",
    "mail.paid.text": "{name}, thank you for your order. Show the code on your ticket at the door, on paper or on "
    "your phone.",
    "mail.onsite.subject": "Reserved for you: {event}",
    "mail.onsite.text": "{name}, your tickets are reserved under the code {code}. You pay at the door.",
    "mail.transfer.subject": "Almost done: {event}",
    "mail.transfer.text": "{name}, your tickets are reserved. They are valid, and come by mail, once your transfer "
    "has arrived.",
    "mail.expired.subject": "Your order has expired: {event}",
    "mail.expired.text": "{name}, your payment for order {code} did not arrive in time, so the places were given "
    "back. If you paid meanwhile, the organizer will tell you.",
    "mail.changed.subject": "Your ticket has a new name: {event}",
    "mail.changed.text": "{name}, the name on a ticket of your order {code} was changed. That ticket has a new "
    "code; the old one no longer opens the door.",
    "mail.cancelled.subject": "Cancelled: {event}",
    "mail.cancelled.text.one": "{name}, 1 ticket of your order {code} is cancelled and no longer valid.",
    "mail.cancelled.text.other": "{name}, {count} tickets of your order {code} are cancelled and no longer valid.",
    "mail.refund.subject": "Money back: {event}",
    "mail.refund.late": "{name}, your payment for order {code} arrived after the places had gone to others. We are "
    "sorry.",
    "mail.refund.twice": "{name}, your order {code} was paid twice.",
    "mail.refund.cancelled": "{name}, a payment arrived for your order {code}, which is cancelled.",
    "mail.again.subject": "Your tickets again: {event}",
    "mail.again.text": "{name}, here is the way to your tickets.",
    "mail.joined.subject": "On the waiting list: {event}",
    "mail.joined.text": "{name}, you are on the list for “{what}”. When a ticket becomes free for you, we write at "
    "once.",
    "mail.offer.subject": "A ticket is free for you: {event}",
    "mail.offer.text": "{name}, a ticket “{what}” became free. It is kept for you until {until}; then the next one "
    "on the list is asked.",
    "mail.invitation.subject": "Organize with {site}",
    "mail.invitation.text": "You are invited to organize events with {site}. Choose a name and a password to begin.",
    "mail.reset.subject": "A new password for {site}",
    "mail.reset.text": "{name}, choose a new password here. If you did not ask for one, do nothing: the old one stays.",
    "mail.account.once": "The link works once.",
    "mail.attached": "Your tickets are attached as a PDF file.",
    "mail.button.order": "Your order",
    "mail.button.order.of": "Order {code}",
    "mail.button.offer": "Take the ticket",
    "mail.button.event": "See the event",
    "mail.button.invitation": "Accept the invitation",
    "mail.button.reset": "Choose a new password",
    "mail.because.order": "You get this mail because you ordered at {site}.",
    "mail.because.again": "You get this mail because somebody asked {site} to send the tickets of this address again.",
    "mail.because.waiting": "You get this mail because you joined a waiting list of {site}.",
    "mail.because.invitation": "You get this mail because an organizer of {site} wrote down this address.",
    "mail.because.reset": "You get this mail because somebody asked {site} for a new password for this address.",
    # Tickets as a file
    "ticket.holder": "Name",
    "ticket.when": "When",
    "ticket.where": "Where",
    "ticket.code": "Order",
    "ticket.number": "ticket {number} of {count}",
    "ticket.show": "Show this code at the door, on paper or on your phone.",
    "ticket.secret": "Whoever has it gets in, once. Do not post it anywhere.",
    "order.tickets": "Tickets as PDF",
}
