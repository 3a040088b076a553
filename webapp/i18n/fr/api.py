"""La page qui montre ce que sait faire l’API : la description elle-même est en anglais."""

from __future__ import annotations

MESSAGES: dict[str, str] = {
    "api.title": "Ce que sait faire l’API",
    "api.file": "La même pour les programmes, OpenAPI 3.1",
    "api.models": "Modèles",
    "api.problems": "Problèmes",
}
