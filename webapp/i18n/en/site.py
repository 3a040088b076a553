"""What organizers choose for the whole site; and confirming a free place by mail."""

from __future__ import annotations

MESSAGES: dict[str, str] = {
    "site.title": "Site and mails",
    "site.stale": "Somebody else saved these settings while you were changing them. What you wrote is below and not saved yet.",
    "site.stale.link": "See what is saved",
    "site.mail": "Mails to guests",
    "site.mail.lead": "In {language}; switch your language to write the others.",
    "site.mail.from": "Mails come from {sender}.",
    "site.intro": "Each mail begins with",
    "site.intro.hint": "A greeting, or what everybody should know. Empty: nothing.",
    "site.footer": "Each mail ends with",
    "site.footer.hint": "Who you are, and how to reach you.",
    "site.reply": "Answers go to",
    "site.reply.hint": "Empty: as whoever runs this platform has set it.",
    "site.robots": "Against robots",
    "site.confirms": "Free tickets count only when their buyer has confirmed by mail",
    "site.confirms.hint": "The places are kept for two hours; whoever does not confirm gives them back.",
    "site.confirms.nomail": "This site cannot send mail yet, so nobody could confirm. Ask whoever runs this platform to "
    "name a mail server.",
    "order.by-mail": "One step left: look into your mailbox",
    "order.by-mail.lead": "{name}, we sent you a mail. Open its link and confirm, and the tickets are yours.",
    "order.by-mail.until": "The places are kept until {when}.",
    "method.by-mail": "To be confirmed by mail",
    "method.by-mail.hint": "We send you a mail; its link confirms your tickets.",
    "order.confirm": "Confirm my tickets",
    "order.confirm.title": "Almost there",
    "order.confirm.lead": "{name}, confirm that you are coming, and the tickets are yours.",
    "order.unconfirmed": "This order was not confirmed",
    "order.unconfirmed.lead": "{name}, nobody confirmed it in time, so the places were given back. If there are places "
    "left, you are welcome to register again.",
    "mail.confirm.subject": "Please confirm: {event}",
    "mail.confirm.text": "{name}, confirm that you are coming, and your tickets for {event} are yours. If this was not "
    "you, do nothing: the places are given back in two hours.",
    "mail.button.confirm": "Look and confirm",
}
