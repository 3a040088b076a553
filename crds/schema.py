"""JSON Schemas of the kinds, for editors and other tools: `python -m skep.crds.schema` writes them next to this module.

They say what an editor can check while someone types. The reader is stricter, and has the last word.
"""

from __future__ import annotations

import ast
import inspect
import json
import textwrap
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from skep.crds.base import Model
from skep.crds.reader import KINDS

DIALECT = "https://json-schema.org/draft/2020-12/schema"
FOLDER = Path(__file__).parent


def schemas() -> dict[str, str]:
    """File name -> content: one for each kind, and `skep.schema.json` that picks one by a document's `kind`."""
    each = {f"{name.lower()}.schema.json": kind_schema(name) for name in KINDS}
    any_kind = {
        "$schema": DIALECT,
        "title": "skep",
        "description": "Any document of skep/v1, told apart by its kind.",
        "type": "object",
        "required": ["apiVersion", "kind"],
        "properties": {
            "apiVersion": {"const": "skep/v1"},
            "kind": {"enum": list(KINDS), "description": "What the document declares."},
        },
        "allOf": [
            {
                "if": {"properties": {"kind": {"const": name}}, "required": ["kind"]},
                "then": {"$ref": f"{name.lower()}.schema.json"},
            }
            for name in KINDS
        ],
    }
    return {
        file: json.dumps(schema, indent=2) + "\n" for file, schema in {**each, "skep.schema.json": any_kind}.items()
    }


def kind_schema(name: str) -> dict[str, Any]:
    """The schema of one kind, with YAML's field names."""
    generated = KINDS[name].model_json_schema(by_alias=True, mode="validation")
    models = {model.__name__: model for model in _models(Model)}
    for model, schema in (
        (KINDS[name], generated),
        *((models.get(key), made) for key, made in generated["$defs"].items()),
    ):
        for field, text in _descriptions(model).items() if model is not None else ():
            schema["properties"][field]["description"] = text
    return {"$schema": DIALECT, **_tidy(generated)}


def _models(parent: type[Model]) -> Iterator[type[Model]]:
    for child in parent.__subclasses__():
        yield child
        yield from _models(child)


def _descriptions(model: type[Model]) -> dict[str, str]:
    """Alias -> the docstring below a field. pydantic could collect them, but would parse the source at every import."""
    found: dict[str, str] = {}
    for base in reversed([base for base in model.__mro__ if issubclass(base, Model)]):
        source = ast.parse(textwrap.dedent(inspect.getsource(base)))
        body = next(node.body for node in source.body if isinstance(node, ast.ClassDef))
        for field, text in pairwise(body):
            match field, text:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str() as said)):
                    found[model.model_fields[name].alias or name] = inspect.cleandoc(said)
                case _:
                    pass
    return found


def _tidy(schema: Any) -> Any:
    """Without what only makes an editor's hints longer: titles, empty defaults, and `null` beside a real type."""
    if isinstance(schema, list):
        return [_tidy(item) for item in schema]
    if not isinstance(schema, dict):
        return " ".join(schema.split()) if isinstance(schema, str) else schema
    tidied = {
        key: {name: _tidy(field) for name, field in value.items()} if key in ("properties", "$defs") else _tidy(value)
        for key, value in schema.items()
        if key != "title" and not (key == "default" and (not value or isinstance(value, dict)) and value is not False)
    }
    if "patternProperties" in tidied:
        tidied["additionalProperties"] = False  # keys of another form are errors, as they are for the reader
    options = tidied.get("anyOf", [])
    if {"type": "null"} in options:
        rest = [option for option in options if option != {"type": "null"}]
        del tidied["anyOf"]
        tidied = {**rest[0], **tidied} if len(rest) == 1 else {"anyOf": rest, **tidied}
    return tidied


def main() -> None:
    for file, content in schemas().items():
        (FOLDER / file).write_text(content, encoding="utf-8")
        print(f"wrote {file}")


if __name__ == "__main__":
    main()
