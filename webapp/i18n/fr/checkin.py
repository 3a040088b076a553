"""À l’entrée."""

from __future__ import annotations

MESSAGES: dict[str, str] = {
    "checkin.title": "Contrôle des entrées",
    "checkin.noscript": "Cette page a besoin de JavaScript : elle lit les billets avec l’appareil photo.",
    "checkin.signin.text": "Cet appareil n’est pas connecté. Dans « Appareils et jetons », un organisateur affiche un "
    "code : visez-le avec l’appareil photo de ce téléphone, ou collez son adresse ici.",
    "checkin.signin.code": "Adresse ou code",
    "checkin.signin.button": "Connecter cet appareil",
    "checkin.lists": "Quelle entrée est-ce ?",
    "checkin.lists.none": "Aucune liste pour cet appareil en ce moment.",
    "checkin.change": "Autre liste",
    "checkin.camera": "Ce que voit l’appareil photo",
    "checkin.type": "Ou saisissez le code du billet",
    "checkin.type.button": "Vérifier",
    "checkin.answer.offline": "Sans réseau : décidé d’après la liste de cet appareil.",
    "checkin.answer.go": "Laisser entrer",
    "checkin.answer.cancel": "Pas maintenant",
    "checkin.answer.next": "Suivant",
    "checkin.answer.undo": "Annuler",
    # Dit par les scripts, qui remplissent %name% et les autres
    "checkin.enrol.gone": "Ce code a déjà servi ou est trop ancien. Demandez-en un nouveau.",
    "checkin.enrol.offline": "Pas de réseau. Il en faut une fois, pour se connecter.",
    "checkin.enrol.wrong": "Ce n’est ni l’adresse ni le code d’un appareil. Copiez-le en entier.",
    "checkin.signed.out": "Cet appareil a été déconnecté. Ses listes d’invités sont effacées ; les passages en attente "
    "restent ici, et seront envoyés quand il sera de nouveau connecté.",
    "checkin.storage": "Ce navigateur ne garde rien pour cette page, peut-être parce que sa fenêtre est privée. Une "
    "entrée doit se souvenir : ouvrez la page dans une fenêtre ordinaire.",
    "checkin.camera.tls": "L’appareil photo ne marche qu’en https, et cette page est venue sans. Saisissez les codes.",
    "checkin.camera.none": "Cet appareil n’a pas de caméra utilisable par un navigateur. Saisissez les codes.",
    "checkin.camera.refused": "Le navigateur n’a pas le droit d’utiliser la caméra. Autorisez-la dans ses réglages pour "
    "ce site, ou saisissez les codes.",
    "checkin.queue.none": "Tout est envoyé.",
    "checkin.queue.some": "En attente d’envoi : %count%",
    "checkin.offline": "Pas de réseau.",
    "checkin.doubts": "%count% des passages sans réseau en contredisent d’autres ; les organisateurs les voient signalés.",
    "checkin.count": "%inside% sur %expected%",
    "checkin.when": "%at%",
    "checkin.when.where": "%at%, %gate%",
    "checkin.undo.offline": "Pas de réseau : impossible d’annuler maintenant.",
    "checkin.result.in": "Entrez, %name%",
    "checkin.result.already_redeemed": "Déjà entré",
    "checkin.result.unknown_ticket": "Billet inconnu",
    "checkin.result.cancelled": "Annulé",
    "checkin.result.unpaid": "Pas payé",
    "checkin.result.wrong_list": "Autre entrée",
    "checkin.result.too_early": "Trop tôt",
    "checkin.result.incomplete": "D’abord une question",
    "checkin.result.foreign": "Pas un billet d’ici",
    "checkin.result.not_found": "Cette liste n’existe plus",
    "checkin.result.failed": "Cela n’a pas marché. Réessayez.",
}
