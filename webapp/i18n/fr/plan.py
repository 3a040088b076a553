"""Ce pour quoi l’offre n’a plus de place."""

from __future__ import annotations

MESSAGES: dict[str, str] = {
    "quota.members.one": "L’offre de ce site prévoit une seule personne dans l’équipe, et elle y est. Demandez une "
    "offre plus grande à qui gère cette plateforme.",
    "quota.members.other": "L’offre de ce site prévoit {count} personnes dans l’équipe, et elles y sont toutes. Faites "
    "retirer quelqu’un qui est parti, ou demandez une offre plus grande à qui gère cette plateforme.",
    "quota.events.one": "L’offre de ce site prévoit un seul événement à venir. Attendez qu’il soit passé, annulez-le, "
    "ou demandez une offre plus grande à qui gère cette plateforme.",
    "quota.events.other": "L’offre de ce site prévoit {count} événements à venir. Annulez-en un, attendez que l’un soit "
    "passé, ou demandez une offre plus grande à qui gère cette plateforme.",
    "quota.mails.one": "L’offre de ce site prévoit un e-mail par jour, et il est parti. Le prochain partira le {when} ; "
    "rien n’est perdu. Demandez une offre plus grande à qui gère cette plateforme.",
    "quota.mails.other": "L’offre de ce site prévoit {count} e-mails par jour, et tous sont partis. Le prochain partira "
    "le {when} ; rien n’est perdu. Demandez une offre plus grande à qui gère cette plateforme.",
}
