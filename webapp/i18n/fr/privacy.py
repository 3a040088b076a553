"""Ce que l’on garde d’une personne ; et ce qui attend la décision de quelqu’un."""

from __future__ import annotations

MESSAGES: dict[str, str] = {
    "privacy.title": "Les données d’une personne",
    "privacy.lead": "Quelqu’un demande ce que vous gardez à son sujet, ou veut le faire effacer ? Cherchez par son "
    "adresse e-mail.",
    "privacy.look": "Chercher",
    "privacy.nothing": "Rien n’est gardé sous cette adresse",
    "privacy.nothing.text": "Aucune commande ni liste d’attente ne la porte. Peut-être une autre adresse a-t-elle servi.",
    "privacy.held": "Ce qui est gardé sous cette adresse",
    "privacy.orders.one": "1 commande, avec ses billets et paiements",
    "privacy.orders.other": "{count} commandes, avec leurs billets et paiements",
    "privacy.answers.one": "{count} réponse à une question",
    "privacy.answers.other": "{count} réponses à des questions",
    "privacy.waiting.one": "{count} place sur une liste d’attente",
    "privacy.waiting.other": "{count} places sur des listes d’attente",
    "privacy.export": "Tout télécharger (JSON)",
    "privacy.erase": "Effacer",
    "privacy.erase.text": "Nom, adresse et réponses sont effacés partout, sans retour possible. Les commandes et les "
    "billets restent, sans nom : ils ne contiennent que des montants. Les noms d’autres invités de la même commande "
    "sont les leurs et restent.",
    "privacy.coming.one": "{count} billet pour un événement à venir reste valable, sans nom.",
    "privacy.coming.other": "{count} billets pour des événements à venir restent valables, sans nom.",
    "privacy.sure": "Je sais que c’est définitif",
    "privacy.sure.missing": "Confirmez que c’est définitif.",
    "privacy.erase.button": "Effacer les données de cette personne",
    "privacy.erased": "C’est effacé. Il ne reste que des montants et des dates.",
    "privacy.organizer": "Cette adresse est celle d’une personne de l’équipe. Retirez-la de l’équipe pour effacer son "
    "compte.",
    "parked.title": "En suspens",
    "parked.text": "Depuis {when}, ce site ne fait rien de lui-même : il a été restauré ou copié, et ce qui attendait "
    "alors a peut-être déjà eu lieu. Décidez pour chaque sorte si cela doit encore se faire.",
    "parked.chores": "Les commandes n’expirent pas et la liste d’attente ne reçoit pas les places libérées, tant que "
    "vous ne le dites pas.",
    "parked.none": "Aucun e-mail n’attend votre décision.",
    "parked.waits.one": "{count} en attente",
    "parked.waits.other": "{count} en attente",
    "parked.release": "Envoyer",
    "parked.drop": "Abandonner",
    "parked.resume": "Laisser le site agir de nouveau",
}
