"""What can be wrong with a field."""

from __future__ import annotations

MESSAGES: dict[str, str] = {
    # Ce qui ne va pas dans un champ
    "wrong.name": "Indiquez votre nom.",
    "wrong.name.long": "Le nom compte au plus {limit} caractères.",
    "wrong.email": "Indiquez une adresse e-mail comme lea@example.com.",
    "wrong.email.taken": "Un compte existe déjà avec cette adresse. Connectez-vous, ou prenez une autre adresse.",
    "wrong.password.short": "Le mot de passe compte au moins {limit} caractères.",
    "wrong.password.long": "Le mot de passe compte au plus {limit} caractères.",
    "wrong.password.same": "Choisissez un mot de passe différent de votre adresse e-mail.",
    "wrong.title": "Donnez un titre à l’événement.",
    "wrong.long": "Le texte compte au plus {limit} caractères.",
    "wrong.starts": "Indiquez quand l’événement commence.",
    "wrong.ends": "Indiquez quand l’événement finit.",
    "wrong.order": "La fin doit venir après le début.",
    "wrong.span": "Un événement dure au plus {limit} jours.",
    "wrong.gap": "À ce moment on passe à l’heure d’été : cette heure n’existe pas. Choisissez une heure plus tard.",
    "wrong.year": "Choisissez une date entre {low} et {high}.",
    "wrong.timezone": "Choisissez un fuseau de la liste, comme Europe/Paris.",
    "wrong.capacity": "Écrivez un nombre entier de 1 à {limit}, ou laissez le champ vide.",
    "wrong.capacity.taken.one": "{count} personne est déjà inscrite : prévoyez au moins autant de places.",
    "wrong.capacity.taken.other": "{count} personnes sont déjà inscrites : prévoyez au moins autant de places.",
    "wrong.language": "Choisissez l’une des langues.",
    "wrong.characters": "Retirez les caractères de contrôle.",
    "wrong.often": "Il y a eu beaucoup d’inscriptions depuis votre réseau. Attendez {minutes} minutes, puis réessayez.",
}
