"""Mails, and tickets as a file."""

from __future__ import annotations

MESSAGES: dict[str, str] = {
    # Les e-mails
    "mail.paid.subject": "Vos billets : {event}",
    "mail.paid.text": "{name}, merci pour votre commande. À l’entrée, montrez le code du billet, sur papier ou sur "
    "votre téléphone.",
    "mail.onsite.subject": "Réservé pour vous : {event}",
    "mail.onsite.text": "{name}, vos billets sont réservés sous le code {code}. Vous payez à l’entrée.",
    "mail.transfer.subject": "Presque fini : {event}",
    "mail.transfer.text": "{name}, vos billets sont réservés. Ils seront valables, et envoyés par e-mail, dès "
    "l’arrivée de votre virement.",
    "mail.expired.subject": "Votre commande a expiré : {event}",
    "mail.expired.text": "{name}, le paiement de la commande {code} n’est pas arrivé à temps : les places ont été "
    "rendues. Si vous avez payé entre-temps, l’organisateur vous écrira.",
    "mail.changed.subject": "Votre billet change de nom : {event}",
    "mail.changed.text": "{name}, le nom sur un billet de la commande {code} a changé. Ce billet a un nouveau code "
    "; l’ancien n’ouvre plus la porte.",
    "mail.cancelled.subject": "Annulé : {event}",
    "mail.cancelled.text.one": "{name}, {count} billet de la commande {code} est annulé et n’est plus valable.",
    "mail.cancelled.text.other": "{name}, {count} billets de la commande {code} sont annulés et ne sont plus valables.",
    "mail.refund.subject": "Remboursement : {event}",
    "mail.refund.late": "{name}, le paiement de la commande {code} est arrivé après que les places ont été prises "
    "par d’autres. Nous en sommes désolés.",
    "mail.refund.twice": "{name}, la commande {code} a été payée deux fois.",
    "mail.refund.cancelled": "{name}, un paiement est arrivé pour la commande {code}, qui est annulée.",
    "mail.again.subject": "Vos billets, à nouveau : {event}",
    "mail.again.text": "{name}, voici le chemin vers vos billets.",
    "mail.joined.subject": "Sur la liste d’attente : {event}",
    "mail.joined.text": "{name}, vous êtes sur la liste pour « {what} ». Dès qu’un billet se libère pour vous, "
    "nous écrivons.",
    "mail.offer.subject": "Un billet s’est libéré pour vous : {event}",
    "mail.offer.text": "{name}, un billet « {what} » s’est libéré. Il vous est gardé jusqu’au {until} ; ensuite, "
    "la personne suivante sera contactée.",
    "mail.invitation.subject": "Organiser avec {site}",
    "mail.invitation.text": "Vous êtes invité·e à organiser des événements avec {site}. Choisissez un nom et un "
    "mot de passe pour commencer.",
    "mail.reset.subject": "Un nouveau mot de passe pour {site}",
    "mail.reset.text": "{name}, choisissez ici un nouveau mot de passe. Si vous ne l’avez pas demandé, ne faites "
    "rien : l’ancien reste.",
    "mail.account.once": "Le lien sert une seule fois.",
    "mail.attached": "Vos billets sont joints, en PDF.",
    "mail.button.order": "Votre commande",
    "mail.button.order.of": "Commande {code}",
    "mail.button.offer": "Prendre le billet",
    "mail.button.event": "Voir l’événement",
    "mail.button.invitation": "Accepter l’invitation",
    "mail.button.reset": "Choisir un mot de passe",
    "mail.because.order": "Vous recevez cet e-mail parce que vous avez commandé auprès de {site}.",
    "mail.because.again": "Vous recevez cet e-mail parce que quelqu’un a demandé à {site} de renvoyer les billets "
    "de cette adresse.",
    "mail.because.waiting": "Vous recevez cet e-mail parce que vous êtes sur une liste d’attente de {site}.",
    "mail.because.invitation": "Vous recevez cet e-mail parce qu’un organisateur de {site} a indiqué cette adresse.",
    "mail.because.reset": "Vous recevez cet e-mail parce que quelqu’un a demandé à {site} un nouveau mot de passe "
    "pour cette adresse.",
    # Les billets en fichier
    "ticket.holder": "Nom",
    "ticket.when": "Quand",
    "ticket.where": "Où",
    "ticket.code": "Commande",
    "ticket.number": "billet {number} sur {count}",
    "ticket.show": "Montrez ce code à l’entrée, sur papier ou sur votre téléphone.",
    "ticket.secret": "Qui l’a peut entrer, une seule fois. Ne le publiez nulle part.",
    "order.tickets": "Billets en PDF",
}
