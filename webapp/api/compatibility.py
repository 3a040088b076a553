"""What a change of the description would break for a program that was written against the one before. Pure.

Asked of requests and of answers differently: a request may come to allow more, an answer to promise more.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Document = dict[str, Any]


def breaks(old: Document, new: Document) -> list[str]:
    """One sentence for each thing that would break; empty if nothing would."""
    return list(_all(old, new))


def _all(old: Document, new: Document) -> Iterator[str]:
    for path, item in old["paths"].items():
        for method, before in item.items():
            where = f"{method.upper()} {path}"
            after = new["paths"].get(path, {}).get(method)
            if after is None:
                yield f"{where}: is gone"
                continue
            yield from _parameters(where, before, after)
            yield from _scope(where, before, after)
            yield from _request(where, before, after, old, new)
            yield from _answers(where, before, after, old, new)


def _scope(where: str, before: Document, after: Document) -> Iterator[str]:
    if after.get("x-scope") != before.get("x-scope") and after.get("x-scope") is not None:
        yield f"{where}: needs the scope {after['x-scope']} now"


def _parameters(where: str, before: Document, after: Document) -> Iterator[str]:
    known = {(each["in"], each["name"]): each for each in before.get("parameters", [])}
    found = {(each["in"], each["name"]): each for each in after.get("parameters", [])}
    for (place, name), each in found.items():
        if each["required"] and not known.get((place, name), {"required": False})["required"]:
            yield f"{where}: parameter {name} is required now"
    for (place, name), each in known.items():
        if (place, name) not in found:
            yield f"{where}: parameter {name} is gone"
        else:
            yield from _narrower(f"{where}: parameter {name}", each["schema"], found[place, name]["schema"], {}, {})


def _request(where: str, before: Document, after: Document, old: Document, new: Document) -> Iterator[str]:
    was, is_ = _body(before.get("requestBody")), _body(after.get("requestBody"))
    if is_ is not None and was is None:
        yield f"{where}: a body is required now"
    if was is not None and is_ is not None:
        yield from _narrower(f"{where}: body", was, is_, old, new)


def _answers(where: str, before: Document, after: Document, old: Document, new: Document) -> Iterator[str]:
    for status, answer in before["responses"].items():
        if status not in after["responses"]:
            if status[0] in "23":
                yield f"{where}: never answers {status} any more"
            continue
        was, is_ = _body(answer), _body(after["responses"][status])
        if was is not None and is_ is None:
            yield f"{where}: {status} has no body any more"
        elif was is not None and is_ is not None:
            yield from _wider(f"{where}: {status}", was, is_, old, new)


def _body(said: Document | None) -> Document | None:
    for content in (said or {}).get("content", {}).values():
        schema: Document = content["schema"]
        return schema
    return None


def _narrower(where: str, was: Document, is_: Document, old: Document, new: Document, depth: int = 0) -> Iterator[str]:
    """Does *is_* refuse something that *was* allowed?"""
    was, is_ = _resolved(was, old), _resolved(is_, new)
    if depth > 8:
        return
    if gone := _enum(was) - _enum(is_):
        if _enum(is_):
            yield f"{where}: {', '.join(sorted(gone))} is refused now"
    elif _enum(is_) and not _enum(was):
        yield f"{where}: takes a few values only now"
    for key, smaller in (("maximum", True), ("maxLength", True), ("maxItems", True), ("minimum", False),
                         ("minLength", False), ("minItems", False)):  # fmt: skip
        now, then = is_.get(key), was.get(key)
        if now is not None and (then is None or (now < then if smaller else now > then)):
            yield f"{where}: {key} is stricter now"
    if is_.get("pattern") not in (None, was.get("pattern")):
        yield f"{where}: must have another form now"
    if lost := _types(was) - _types(is_):
        yield f"{where}: may not be {', '.join(sorted(lost))} any more"
    for name in set(is_.get("required", [])) - set(was.get("required", [])):
        yield f"{where}: {name} is required now"
    for name, schema in was.get("properties", {}).items():
        if name not in is_.get("properties", {}):
            yield f"{where}: {name} is refused now"
        else:
            yield from _narrower(f"{where}.{name}", schema, is_["properties"][name], old, new, depth + 1)
    if "items" in was and "items" in is_:
        yield from _narrower(f"{where}[]", was["items"], is_["items"], old, new, depth + 1)


def _wider(where: str, was: Document, is_: Document, old: Document, new: Document, depth: int = 0) -> Iterator[str]:
    """Does *is_* lack, or say differently, what *was* promised?"""
    was, is_ = _resolved(was, old), _resolved(is_, new)
    if depth > 8:
        return
    if _enum(was) and (gone := _enum(was) - _enum(is_)):
        yield f"{where}: {', '.join(sorted(gone))} is gone from its values"
    if more := _types(is_) - _types(was):
        yield f"{where}: may be {', '.join(sorted(more))} now"
    for name, schema in was.get("properties", {}).items():
        if name not in is_.get("properties", {}):
            yield f"{where}: {name} is gone"
            continue
        if name in was.get("required", []) and name not in is_.get("required", []):
            yield f"{where}: {name} may be missing now"
        yield from _wider(f"{where}.{name}", schema, is_["properties"][name], old, new, depth + 1)
    if "items" in was and "items" in is_:
        yield from _wider(f"{where}[]", was["items"], is_["items"], old, new, depth + 1)


def _resolved(schema: Document, document: Document) -> Document:
    while "$ref" in schema and document:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if "anyOf" in schema:  # our unions are a thing or null
        choices = [_resolved(each, document) for each in schema["anyOf"]]
        solid = next((each for each in choices if each.get("type") != "null"), {})
        return {**solid, "type": sorted({kind for each in choices for kind in _types(each)})}
    return schema


def _types(schema: Document) -> set[str]:
    kind = schema.get("type")
    return set() if kind is None else {kind} if isinstance(kind, str) else set(kind)


def _enum(schema: Document) -> set[str]:
    values = schema.get("enum", [schema["const"]] if "const" in schema else [])
    return {repr(value) for value in values}
