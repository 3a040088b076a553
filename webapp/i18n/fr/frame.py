"""What stands on every page, and errors."""

from __future__ import annotations

MESSAGES: dict[str, str] = {
    # Le cadre
    "skip": "Aller au contenu",
    "footer.organizers": "Espace organisateur",
    "footer.public": "Site public",
    "home": "Tous les événements",
    "form.errors": "Merci de vérifier ces points :",
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
