"""Français. Les espaces insécables avant « : ; ! ? » et dans les guillemets sont mises par `_spaced`."""

from __future__ import annotations

import re

NBSP = "\u00a0"
THIN = "\u202f"  # narrow no-break space, before ; ! ? as French typographers do


def _spaced(text: str) -> str:
    """Plain spaces around French punctuation become the ones that do not break."""
    text = re.sub(r" ([;!?])", THIN + r"\1", text)
    text = re.sub(r" ([:»])", NBSP + r"\1", text)
    return text.replace("« ", "«" + NBSP)


_WRITTEN: dict[str, str] = {
    # Le cadre
    "skip": "Aller au contenu",
    "footer.organizers": "Espace organisateur",
    "footer.public": "Site public",
    "home": "Tous les événements",
    "form.errors": "Merci de vérifier ces points :",
    # La liste des événements
    "list.title": "Événements",
    "list.lead": "Les prochains rendez-vous.",
    "list.description": "Les prochains rendez-vous de {tenant}.",
    "list.empty.title": "Rien d’annoncé pour l’instant",
    "list.empty.text": "Les prochains événements paraîtront ici. À bientôt !",
    "list.newer": "Plus tôt",
    "list.older": "Plus tard",
    "list.pages": "Suite des événements",
    "list.missing": "Il n’y a pas d’événement sur cette page.",
    # La page d’un événement
    "event.when": "Quand",
    "event.where": "Où",
    "event.about": "À propos",
    "event.register": "S’inscrire",
    "event.register.lead": "Dites-nous simplement qui vient.",
    "event.register.button": "S’inscrire",
    "event.unlimited": "Ouvert à toute personne inscrite",
    "event.left.one": "{count} place restante",
    "event.left.other": "{count} places restantes",
    "event.full": "Complet",
    "event.full.text": "Toutes les places sont prises. Si l’une se libère, elle sera de nouveau proposée ici.",
    "event.over": "Cet événement est terminé",
    "event.over.text": "Merci à toutes les personnes venues. Les prochains rendez-vous sont en page d’accueil.",
    "event.draft": "Ceci est un brouillon, visible des organisateurs seulement.",
    "event.manage": "Gérer cet événement",
    "event.name": "Votre nom",
    "event.email": "Votre adresse e-mail",
    "event.email.hint": "Seul l’organisateur la voit.",
    # La confirmation
    "confirmed.page": "Inscription",
    "confirmed.title": "Votre inscription est enregistrée",
    "confirmed.lead": "Au plaisir de vous voir, {name}.",
    "confirmed.for": "Inscription au nom de {name} ({email})",
    "confirmed.keep": "Gardez l’adresse de cette page : elle prouve votre inscription. Toute personne qui la possède "
    "peut voir cette page.",
    "confirmed.back": "Revenir à l’événement",
    "confirmed.hidden": "L’organisateur a mis la page de l’événement hors ligne pour le moment. Votre inscription "
    "reste valable.",
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
    # L’espace organisateur
    "org.title": "Vos événements",
    "org.nav": "Espace organisateur",
    "org.events": "Événements",
    "org.new": "Nouvel événement",
    "org.summary": "{events}, {registered}",
    "org.summary.events.one": "{count} événement à venir",
    "org.summary.events.other": "{count} événements à venir",
    "org.summary.registered.one": "{count} inscription",
    "org.summary.registered.other": "{count} inscriptions",
    "org.empty.title": "Pas encore d’événement",
    "org.empty.text": "Décrivez votre premier événement. Il reste un brouillon jusqu’à sa publication.",
    "org.past": "Événements passés",
    "org.event": "Événement",
    "org.date": "Date",
    "org.status": "État",
    "org.registered": "Inscriptions",
    "org.of": "{registered} sur {capacity}",
    "org.draft": "Brouillon",
    "org.published": "Publié",
    "org.over": "Terminé",
    "org.older": "Événements antérieurs",
    "org.newer": "Événements ultérieurs",
    # Gérer un événement
    "manage.public": "Voir la page",
    "manage.edit": "Modifier",
    "manage.publish": "Publier",
    "manage.publish.text": "La page n’est pas encore publique. Une fois publiée, chacun peut la trouver et s’inscrire.",
    "manage.unpublish": "Mettre hors ligne",
    "manage.unpublish.text": "La page est publique.",
    "manage.unpublish.none": "La mettre hors ligne la rend invisible. Personne n’est encore inscrit.",
    "manage.unpublish.some.one": "La mettre hors ligne la rend invisible. La personne inscrite garde sa place et son "
    "lien.",
    "manage.unpublish.some.other": "La mettre hors ligne la rend invisible. Les {count} personnes inscrites gardent "
    "leur place et leur lien.",
    "manage.attendees": "Participants",
    "manage.attendees.empty": "Personne n’est encore inscrit.",
    "manage.attendees.draft": "Publiez l’événement pour ouvrir les inscriptions.",
    "manage.attendees.share": "Partagez l’adresse de la page pour le faire savoir.",
    "manage.attendees.all": "Tous les participants",
    "manage.left.one": "{count} place restante",
    "manage.left.other": "{count} places restantes",
    "manage.unlimited": "places illimitées",
    "attendees.title": "Participants",
    "attendees.name": "Nom",
    "attendees.email": "E-mail",
    "attendees.when": "Inscription",
    "attendees.print": "Imprimez cette page pour avoir une liste à l’entrée.",
    "attendees.count.one": "{count} personne",
    "attendees.count.other": "{count} personnes",
    # Le formulaire d’un événement
    "edit.new": "Nouvel événement",
    "edit.title": "Modifier l’événement",
    "edit.field.title": "Titre",
    "edit.field.description": "Description",
    "edit.field.description.hint": "Une ligne vide commence un paragraphe. Les adresses web deviennent des liens.",
    "edit.field.place": "Lieu",
    "edit.field.place.hint": "Nom et adresse, pour que l’on s’y retrouve.",
    "edit.field.starts": "Début",
    "edit.field.ends": "Fin",
    "edit.field.timezone": "Fuseau horaire",
    "edit.field.timezone.hint": "Celui du lieu, par exemple Europe/Paris.",
    "edit.field.capacity": "Places",
    "edit.field.capacity.hint": "Laissez vide s’il n’y a pas de limite.",
    "edit.field.language": "Langue",
    "edit.field.language.hint": "Celle dans laquelle vous écrivez.",
    "edit.what": "Quoi",
    "edit.when": "Quand et où",
    "edit.create": "Enregistrer le brouillon",
    "edit.save": "Enregistrer",
    "edit.cancel": "Annuler",
    "edit.stale": "Quelqu’un d’autre a enregistré cet événement pendant que vous le modifiiez. Votre saisie est "
    "ci-dessous et n’est pas encore enregistrée. Comparez-la à la page actuelle, puis enregistrez de nouveau pour la "
    "remplacer.",
    "edit.stale.link": "Voir ce qui est enregistré",
    # Après une action
    "notice.created": "Brouillon enregistré. Publiez-le quand vous serez prêt.",
    "notice.saved": "Modifications enregistrées.",
    "notice.published": "C’est publié : la page est publique.",
    "notice.unpublished": "La page est hors ligne, visible des organisateurs seulement.",
    "notice.signed-out": "Vous êtes déconnecté.",
    "notice.welcome": "Votre compte est prêt.",
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
    # Erreurs
    "error.request": "Référence : {id}",
    "error.bad.title": "Cette demande est illisible",
    "error.bad.text": "Votre navigateur a envoyé quelque chose que nous ne comprenons pas. Revenez en arrière et "
    "réessayez.",
    "error.foreign.title": "Ce formulaire vient d’ailleurs",
    "error.foreign.text": "Pour votre sécurité, nous n’acceptons que les formulaires de nos propres pages, et "
    "seulement tant que vous êtes connecté. Revenez en arrière, rechargez la page et réessayez.",
    "error.missing.title": "Il n’y a rien ici",
    "error.missing.text": "La page a peut-être changé d’adresse, ou le lien est incomplet.",
    "error.method.title": "Cette page ne sait pas faire cela",
    "error.method.text": "On lui a demandé ce qu’elle n’offre pas. Repartez de la page d’accueil.",
    "error.large.title": "C’est trop long",
    "error.large.text": "Votre envoi dépasse ce que ce formulaire accepte. Revenez en arrière, raccourcissez-le et "
    "réessayez.",
    "error.often.title": "Un peu moins vite, s’il vous plaît",
    "error.often.text": "Il y a eu trop d’essais. Attendez quelques minutes, puis réessayez.",
    "error.misdirected.title": "Mauvaise adresse",
    "error.misdirected.text": "Cette demande est arrivée au mauvais site. Rechargez la page, s’il vous plaît.",
    "error.failed.title": "Un problème est survenu chez nous",
    "error.failed.text": "Il a été enregistré. Réessayez dans un instant ; s’il persiste, donnez la référence "
    "ci-dessous à l’organisateur.",
    "error.database.title": "Nous revenons tout de suite",
    "error.database.text": "Le site n’arrive pas à joindre ses données pour le moment. Rien n’est perdu.",
    "error.busy.title": "Beaucoup de monde à la fois",
    "error.busy.text": "Tant de personnes veulent la même chose à cette seconde que nous n’avons pas pu prendre votre "
    "demande. Rien n’a été enregistré : revenez en arrière et réessayez.",
    "error.retry.auto": "Cette page réessaie d’elle-même toutes les quelques secondes.",
    "error.retry.form": "Votre envoi n’a pas été enregistré : revenez en arrière et renvoyez-le dans un instant.",
}

MESSAGES = {key: _spaced(text) for key, text in _WRITTEN.items()}
