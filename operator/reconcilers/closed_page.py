"""The page of a site that runs no task: what visitors read where there would be a proxy's three words. Pure.

It names nobody: the edge may show it for any tenant, and nothing of it comes from one.
"""

from __future__ import annotations

STYLE = (
    "body{margin:0;min-height:100vh;display:grid;place-items:center;font:18px/1.5 system-ui,sans-serif;"
    "background:#faf9f7;color:#1b1b1f}main{max-width:32em;padding:24px}h1{font-size:1.6em;line-height:1.25;margin:0 0 .5em}"
    "p{margin:0}@media(prefers-color-scheme:dark){body{background:#131417;color:#ecebe8}}"
)
HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Retry-After": "300",
    "Vary": "Accept-Language",
}
_WORDS = {
    "en": (
        "This site is closed for the moment",
        "Whoever runs it has paused it, or it is being mended. Tickets that you have stay good. Please come back later.",
    ),
    "fr": (
        "Ce site est fermé pour le moment",
        "L’équipe l’a mis en pause, ou il est en réparation. Vos billets restent valables. Revenez un peu plus tard.",
    ),
}


def page(accept_language: str) -> str:
    """French for who asks for it before English; without a word about it both."""
    asked = [part.partition(";")[0].strip().lower().partition("-")[0] for part in accept_language[:500].split(",")]
    languages = [next((each for each in asked if each in _WORDS), "")]
    shown = languages if languages[0] else list(_WORDS)
    body = "".join(
        f'<section lang="{language}"><h{rank}>{_WORDS[language][0]}</h{rank}><p>{_WORDS[language][1]}</p></section>'
        for rank, language in enumerate(shown, 1)
    )
    return (
        f'<!doctype html><html lang="{shown[0]}"><head><meta charset="utf-8"><title>{_WORDS[shown[0]][0]}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="robots" content="noindex">'
        f"<style>{STYLE}</style></head><body><main>{body}</main></body></html>\n"
    )
