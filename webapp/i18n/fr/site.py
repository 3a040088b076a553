"""Ce que l’équipe choisit pour tout le site ; et la confirmation par e-mail d’une place gratuite."""

from __future__ import annotations

MESSAGES: dict[str, str] = {
    "site.title": "Site et e-mails",
    "site.stale": "Quelqu’un d’autre a enregistré ces réglages pendant que vous les changiez. Votre saisie est ci-dessous et n’est pas encore enregistrée.",
    "site.stale.link": "Voir ce qui est enregistré",
    "site.mail": "E-mails aux invités",
    "site.mail.lead": "En {language} ; changez de langue pour écrire les autres.",
    "site.mail.from": "Les e-mails partent de {sender}.",
    "site.intro": "Chaque e-mail commence par",
    "site.intro.hint": "Un mot d’accueil, ou ce que tout le monde doit savoir. Vide : rien.",
    "site.footer": "Chaque e-mail finit par",
    "site.footer.hint": "Qui vous êtes, et comment vous joindre.",
    "site.reply": "Les réponses vont à",
    "site.reply.hint": "Vide : selon le réglage de qui gère cette plateforme.",
    "site.robots": "Contre les robots",
    "site.confirms": "Les billets gratuits ne comptent qu’une fois confirmés par e-mail",
    "site.confirms.hint": "Les places sont gardées deux heures ; sans confirmation, elles sont rendues.",
    "site.confirms.nomail": "Ce site ne peut pas encore envoyer d’e-mails, et personne ne pourrait confirmer. Demandez à "
    "qui gère cette plateforme d’indiquer un serveur d’e-mail.",
    "order.by-mail": "Encore une étape : regardez vos e-mails",
    "order.by-mail.lead": "{name}, nous vous avons écrit. Ouvrez le lien et confirmez : les billets seront à vous.",
    "order.by-mail.until": "Les places sont gardées jusqu’au {when}.",
    "method.by-mail": "À confirmer par e-mail",
    "method.by-mail.hint": "Nous vous écrivons ; le lien confirme vos billets.",
    "order.confirm": "Confirmer mes billets",
    "order.confirm.title": "Vous y êtes presque",
    "order.confirm.lead": "{name}, confirmez votre venue, et les billets sont à vous.",
    "order.unconfirmed": "Cette commande n’a pas été confirmée",
    "order.unconfirmed.lead": "{name}, personne ne l’a confirmée à temps, et les places ont été rendues. S’il en reste, "
    "inscrivez-vous de nouveau.",
    "mail.confirm.subject": "À confirmer : {event}",
    "mail.confirm.text": "{name}, confirmez votre venue, et vos billets pour {event} sont à vous. Si ce n’était pas "
    "vous, ne faites rien : les places seront rendues dans deux heures.",
    "mail.button.confirm": "Voir et confirmer",
}
