"""What could not be sent, and why."""

from __future__ import annotations

MESSAGES: dict[str, str] = {
    # Ce qui n’a pas pu être envoyé
    "outbox.title": "Boîte d’envoi",
    "outbox.lead": "Ces envois ont été abandonnés. Corrigez ce qui est indiqué, puis réessayez.",
    "outbox.empty": "Aucun envoi abandonné.",
    "outbox.waiting.one": "{count} e-mail en attente d’envoi.",
    "outbox.waiting.other": "{count} e-mails en attente d’envoi.",
    "outbox.what": "Quoi",
    "outbox.why": "Pourquoi",
    "outbox.tries.one": "{count} essai",
    "outbox.tries.other": "{count} essais",
    "outbox.again": "Réessayer",
    "outbox.again.all": "Tout réessayer",
    "outbox.again.done": "Nouvel essai en cours.",
    "outbox.kind.order_paid": "Billets",
    "outbox.kind.order_placed": "Commande reçue",
    "outbox.kind.order_expired": "Commande expirée",
    "outbox.kind.tickets_cancelled": "Billets annulés",
    "outbox.kind.tickets_changed": "Billet au nouveau nom",
    "outbox.kind.tickets_again": "Billets, à nouveau",
    "outbox.kind.refund_owed": "Remboursement",
    "outbox.kind.event_cancelled": "Événement annulé",
    "outbox.kind.event_postponed": "Événement reporté",
    "outbox.kind.event_moved": "Nouvelle date",
    "outbox.kind.waiting_joined": "Liste d’attente",
    "outbox.kind.waiting_offer": "Offre à la liste d’attente",
    "outbox.kind.invitation": "Invitation",
    "outbox.kind.reset": "Nouveau mot de passe",
    "outbox.dead.one": "{count} e-mail n’a pas pu être envoyé.",
    "outbox.dead.other": "{count} e-mails n’ont pas pu être envoyés.",
    "outbox.look": "Voir la boîte d’envoi",
    "mail.none.organizer": "Ce site ne peut pas encore envoyer d’e-mails : la personne qui l’administre doit "
    "indiquer un serveur. En attendant, les e-mails restent ici ; rien n’est perdu.",
    "mail.none.public": "Ce site ne peut pas envoyer d’e-mails pour le moment. Gardez l’adresse de cette page ; "
    "vos billets viendront par e-mail plus tard.",
    "mail.none.resend": "Ce site ne peut pas envoyer d’e-mails pour le moment. Votre demande est gardée, et "
    "traitée dès que possible.",
    "mail.none.reset": "Ce site ne peut pas envoyer d’e-mails pour le moment. Demandez une invitation à qui "
    "administre cette plateforme.",
    "reset.title": "Mot de passe oublié ?",
    "reset.text": "Indiquez votre adresse : nous vous envoyons un lien vers un nouveau mot de passe.",
    "reset.button": "Envoyer le lien",
    "reset.sent": "Si cette adresse a un compte, un e-mail avec un lien est en route. Il sert une fois, pendant un "
    "jour.",
    "orders.resend": "Renvoyer les billets",
    "notice.orders.resent": "Les billets vont être renvoyés à l’adresse de la commande.",
    # Pourquoi un envoi a échoué
    "outbox.why.auth": "Le serveur de mail n’accepte pas SMTP_USER et son mot de passe ({code}).",
    "outbox.why.recipient": "Le serveur de mail refuse ce destinataire ({code}).",
    "outbox.why.sender": "Le serveur de mail refuse MAIL_FROM ({code}).",
    "outbox.why.text": "Le serveur de mail refuse cet e-mail ({code}).",
    "outbox.why.answer": "Le serveur de mail a répondu {code}.",
    "outbox.why.silent": "Le serveur de mail n’a pas répondu.",
    "outbox.why.away": "Le serveur de mail est injoignable.",
    "outbox.why.tls": "Le certificat ou le chiffrement du serveur de mail n’est pas accepté.",
    "outbox.why.lacks": "Le serveur de mail ne sait pas faire ce que demandent SMTP_TLS, SMTP_USER ou cette adresse.",
    "outbox.why.secret": "Le secret smtp-password est illisible.",
    "outbox.why.folder": "Le dossier des e-mails n’est pas accessible en écriture.",
    "outbox.why.slow": "Cela a duré trop longtemps.",
    "outbox.why.memory": "Il fallait plus de mémoire que permis.",
    "outbox.why.mistake": "Une erreur de notre part ; le journal en dit plus.",
    "outbox.why.lost": "L’exécution n’a donné aucune réponse.",
}
