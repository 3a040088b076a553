"""The API's description, OpenAPI 3.1, made of the same models and operations that serve it. Pure."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from skep.webapp.api import accounts, attendees, carts, checkin, events, orders  # noqa: F401  # each registers its operations
from skep.webapp.api.operations import OPERATIONS, File, NoBody, Nothing, Operation
from skep.webapp.http.problems import PROBLEM_TYPE, PROBLEMS

VERSION = "1.0.0"
ORDER = ("events", "carts", "orders", "attendees", "checkin", "accounts")

_TOP: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {
        "title": "Events, tickets and check-in",
        "version": VERSION,
        "description": "Amounts are in minor units of the event's currency. Moments are RFC 3339 with a zone. Every "
        "error is application/problem+json with a stable `code`. Lists are paged by `cursor`, at most 100 a page.",
    },
    "servers": [{"url": "/api/v1"}],
}


def describe() -> dict[str, Any]:
    operations = sorted(OPERATIONS.values(), key=lambda o: (ORDER.index(o.tag), o.path, o.method))
    models: dict[type[BaseModel], JsonSchemaMode] = {}
    for operation in operations:
        if operation.body is not NoBody:
            models[operation.body] = "validation"
        if not issubclass(operation.answer, File) and operation.answer is not Nothing:
            models[operation.answer] = "serialization"
    refs, definitions = models_json_schema(
        list(models.items()),
        ref_template="#/components/schemas/{model}",
    )
    paths: dict[str, Any] = {}
    for operation in operations:
        schema_of = {model: refs[model, mode] for model, mode in models.items()}
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, schema_of)
    schemas = {name: _plain(schema) for name, schema in sorted(definitions.get("$defs", {}).items())}
    schemas["Problem"] = _problem()
    return {
        **_TOP,
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def text() -> str:
    """As it is committed."""
    return json.dumps(describe(), indent=1, ensure_ascii=False) + "\n"


def _operation(operation: Operation, schema_of: dict[type[BaseModel], Any]) -> dict[str, Any]:
    made: dict[str, Any] = {
        "operationId": operation.id,
        "tags": [operation.tag],
        "summary": operation.summary,
        "security": [{"token": []}] if operation.scope else [{}, {"token": []}],
        "x-scope": operation.scope,
    }
    if operation.description:
        made["description"] = operation.description
    if parameters := _parameters(operation):
        made["parameters"] = parameters
    if operation.body is not NoBody:
        made["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema_of[operation.body]}}}
    answer: dict[str, Any] = {"description": "Done"}
    if issubclass(operation.answer, File):
        answer["content"] = {operation.content_type.partition(";")[0]: {"schema": {"type": "string"}}}
    elif operation.answer is not Nothing:
        answer["content"] = {operation.content_type: {"schema": schema_of[operation.answer]}}
        if operation.method == "GET" or operation.versioned:
            answer["headers"] = {"ETag": {"schema": {"type": "string"}}}
    made["responses"] = {str(operation.status): answer, **_problems(operation)}
    if operation.method == "GET" and "headers" in answer:
        made["responses"]["304"] = {"description": "As you know it"}
    return made


def _problems(operation: Operation) -> dict[str, Any]:
    by_status: dict[int, list[str]] = {}
    for code in operation.errors:
        by_status.setdefault(PROBLEMS[code].status, []).append(code)
    return {
        str(status): {
            "description": ", ".join(codes),
            "content": {PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status, codes in sorted(by_status.items())
    }


def _parameters(operation: Operation) -> list[dict[str, Any]]:
    schema = operation.params.model_json_schema()
    required = schema.get("required", [])
    made = []
    for name, each in schema.get("properties", {}).items():
        in_path = name in operation.path_fields
        plain = _plain(each)
        parameter = {"name": name, "in": "path" if in_path else "query", "required": in_path or name in required}
        if words := plain.pop("description", None):
            parameter["description"] = words
        if "anyOf" in plain:  # absent is how a query says null
            (plain,) = [choice for choice in plain["anyOf"] if choice.get("type") != "null"]
        if plain.get("default", 0) is None:
            del plain["default"]
        made.append({**parameter, "schema": plain})
    if operation.idempotent:
        made.append(_header("Idempotency-Key", "The same key, the same answer, and no second effect, for 24 hours.",
                            {"type": "string", "pattern": "^[!-~]{8,100}$"}))  # fmt: skip
    if operation.needs_match:
        made.append(_header("If-Match", "The ETag of what you read.", {"type": "string"}, required=True))
    return made


def _header(name: str, words: str, schema: dict[str, Any], *, required: bool = False) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": required, "description": words, "schema": schema}


def _plain(schema: Any) -> Any:
    """Without the titles that pydantic makes of names."""
    if isinstance(schema, list):
        return [_plain(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: {name: _plain(each) for name, each in value.items()} if key in ("properties", "$defs") else _plain(value)
        for key, value in schema.items()
        if not (key == "title" and isinstance(value, str))
    }


def _problem() -> dict[str, Any]:
    return {
        "type": "object",
        "description": "RFC 9457. Some codes carry more members: already_redeemed says redeemed_at and gate.",
        "required": ["type", "title", "status", "code"],
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "code": {"type": "string", "enum": sorted(PROBLEMS)},
            "detail": {"type": "string"},
            "errors": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["field", "reason"],
                    "properties": {
                        "field": {"type": "string"},
                        "reason": {"type": "string"},
                        "detail": {"type": "string"},
                    },
                },
            },
        },
    }
