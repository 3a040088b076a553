"""Searching by words: with and without accents, in any case, each of them somewhere."""

from __future__ import annotations

# PostgreSQL's core has only this for it. In both cases: lower() leaves letters with accents alone where the database's
# locale is C.
_BARE = (
    "translate(lower({}), 'àâäáãåéèêëíìîïóòôöõúùûüçñÀÂÄÁÃÅÉÈÊËÍÌÎÏÓÒÔÖÕÚÙÛÜÇÑ', "
    "'aaaaaaeeeeiiiiooooouuuucnaaaaaaeeeeiiiiooooouuuucn')"
)


def has_all(text: str, parameter: str) -> str:
    """SQL: has the expression *text* all words of the array *parameter* (as `patterns` makes it)?"""
    return f"{_BARE.format(text)} LIKE ALL (SELECT {_BARE.format('word')} FROM unnest({parameter}::text[]) AS word)"  # noqa: S608 (all parts are ours)


def patterns(words: str, *, most: int = 10) -> list[str]:
    """For LIKE, each word anywhere and meaning itself."""
    escaped = [word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") for word in words.split()[:most]]
    return [f"%{word}%" for word in escaped]
