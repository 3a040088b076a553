"""Signing in and invitations."""

from __future__ import annotations

MESSAGES: dict[str, str] = {
    # La connexion
    "signin.title": "Connexion",
    "signin.lead": "Pour les organisateurs de {tenant}.",
    "signin.email": "Adresse e-mail",
    "signin.password": "Mot de passe",
    "signin.button": "Se connecter",
    "signin.wrong": "Cette adresse et ce mot de passe ne vont pas ensemble. Vérifiez les deux et réessayez.",
    "signin.often": "Il y a eu trop d’essais. Attendez {minutes} minutes, puis réessayez.",
    "signin.help": "Pas encore de compte, ou plus d’accès ? Demandez une invitation à qui gère cette plateforme.",
    "signout": "Se déconnecter",
    # L’invitation
    "invite.title": "Bienvenue chez {tenant}",
    "invite.page": "Créer votre compte",
    "invite.lead": "Créez votre compte d’organisateur. Ce lien ne sert qu’une fois.",
    "invite.name": "Votre nom",
    "invite.email": "Adresse e-mail",
    "invite.email.hint": "Elle servira à vous connecter.",
    "invite.password": "Mot de passe",
    "invite.password.hint": "Au moins 10 caractères. Quelques mots pris au hasard font très bien l’affaire.",
    "invite.button": "Créer le compte",
    "invite.reset.lead": "Vous avez déjà un compte. Choisissez un nouveau mot de passe ; tous les navigateurs "
    "connectés seront déconnectés.",
    "invite.reset.button": "Enregistrer le mot de passe",
    "invite.gone.title": "Cette invitation n’est plus valable",
    "invite.gone.text": "Elle a déjà servi, ou date de plus de sept jours. Demandez-en une nouvelle à la personne qui "
    "vous l’a donnée.",
    "invite.often": "Il y a eu trop d’essais. Attendez {minutes} minutes, puis réessayez.",
}
