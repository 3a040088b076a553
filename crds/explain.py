"""pydantic's errors in words for people: what stands there, what may stand there, and which field was meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from skep.crds.base import REFUSED, Model, Path, shown

Explained = tuple[Path, bool, str]  # path, whether its key is meant rather than its value, message


def suggest(word: str, known: Iterable[str]) -> str | None:
    """The one of *known* that was probably meant: another spelling of it, or a near miss."""
    if len(word) > 64:
        return None  # nobody misspells that much, and comparing takes time
    plain = {_plain(option): option for option in known}
    if _plain(word) in plain:
        return plain[_plain(word)]
    close = difflib.get_close_matches(_plain(word), plain, n=1, cutoff=0.7)
    return plain[close[0]] if close else None


def _plain(word: str) -> str:
    return word.lower().replace("_", "").replace("-", "")


def explain(error: ValidationError, kind: type[Model]) -> Iterator[Explained]:
    """Each error of *error*, which came from validating a *kind*, in the order of its fields."""
    errors = error.errors(include_url=False)
    mended = {
        (*path[:-1], meant)
        for path in (tuple(e["loc"]) for e in errors if e["type"] == "extra_forbidden")
        if (meant := suggest(str(path[-1]), fields_at(kind, path[:-1])))
    }
    above = {path[:end] for path in (tuple(e["loc"]) for e in errors) for end in range(len(path))}
    for details in errors:
        path = tuple(details["loc"])
        if details["type"] == "missing" and path in mended:
            continue  # it is there, misspelt; that is said already
        if details["type"] == "too_short" and path in above:
            continue  # only because faulty items do not count; those are told one by one
        if path and path[-1] == "[key]":
            yield path[:-1], True, _sentence(details)
        elif details["type"] == "extra_forbidden":
            yield path, True, _unknown(kind, path)
        elif details["type"] == "missing":
            yield (
                path,
                True,
                f"missing; every {kind.__name__} needs it" if len(path) <= 2 else "missing; it is needed here",
            )
        else:
            yield path, False, _sentence(details)


def _unknown(kind: type[Model], path: Path) -> str:
    word, here = str(path[-1]), fields_at(kind, path[:-1])
    if meant := suggest(word, here):
        return f"unknown field; did you mean {meant}?"
    elsewhere = [".".join(known) for known in _all_fields(kind) if known[-1] == word]
    if elsewhere:
        return f"unknown field here; did you mean {' or '.join(elsewhere)}?"
    return f"unknown field; known here: {', '.join(sorted(here))}"


def fields_at(kind: type[BaseModel], path: Path) -> tuple[str, ...]:
    """The YAML names of the fields of the mapping at *path*; empty if any key may stand there."""
    model: type[BaseModel] | None = kind
    for part in path:
        if isinstance(part, int) or model is None:
            continue
        model = next((_model_in(f.annotation) for f in model.model_fields.values() if f.alias == part), None)
    return tuple(str(field.alias) for field in model.model_fields.values()) if model else ()


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model within `X | None`, `tuple[X, ...]` or `Annotated[X, ...]`, if there is one."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((model for part in get_args(annotation) if (model := _model_in(part))), None)


@lru_cache(maxsize=16)
def _all_fields(kind: type[BaseModel]) -> tuple[tuple[str, ...], ...]:
    paths: list[tuple[str, ...]] = []
    for field in kind.model_fields.values():
        paths.append((str(field.alias),))
        if model := _model_in(field.annotation):
            paths += [(str(field.alias), *path) for path in _all_fields(model)]
    return tuple(paths)


def _sentence(details: ErrorDetails) -> str:
    path, value, context = details["loc"], details.get("input"), details.get("ctx", {})
    told = shown(value) if isinstance(value, str | int | float) else "this"
    match details["type"]:
        case kind if kind == REFUSED:
            return details["msg"]
        case _ if value is None:
            return (
                'has no value; write one, or "" for an empty text' if "settings" in path else "has no value; write one"
            )
        case "string_type":
            return f"must be text, not {_shape(value)}"
        case "int_type" | "int_parsing" | "float_type":
            return f"must be a number, not {_shape(value)}"
        case "model_type" | "dict_type" | "model_attributes_type":
            return f"must be a mapping of fields, not {_shape(value)}"
        case "tuple_type" | "list_type":
            return f"must be a list, not {_shape(value)}; begin each item with a dash"
        case "greater_than_equal":
            return f"{told} is too small; {context['ge']} is the least"
        case "less_than_equal":
            return f"{told} is too large; {context['le']} is the most"
        case "literal_error":
            options = [option.strip("'") for option in str(context["expected"]).replace(" or ", ", ").split(", ")]
            meant = suggest(value, options) if isinstance(value, str) else None
            choice = f"did you mean {meant}?" if meant and len(options) > 1 else f"write {' or '.join(options)}"
            return f"{told} is not known; {choice}"
        case "too_short":
            return f"needs at least {context['min_length']} item{'s' if context['min_length'] > 1 else ''}"
        case "too_long":
            return f"has {context['actual_length']} items; {context['max_length']} are the most"
        case "string_too_long":
            return f"is too long; {context['max_length']} characters are the most"
        case _:
            return f"{told}: {details['msg']}"


def _shape(value: object) -> str:
    match value:
        case dict():
            return "a mapping"
        case list() | tuple():
            return "a list"
        case str():
            return f"the text {shown(value)}"
        case _:
            return shown(value)
