"""The API's description: in step with what serves it, and what would break programs is noticed."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from skep.webapp.api.compatibility import breaks
from skep.webapp.api.description import describe, text
from skep.webapp.api.operations import OPERATIONS, Call, Model, NoBody, operation
from skep.webapp.api.routes import DESCRIPTION, description

Document = dict[str, Any]


def test_the_committed_description_is_what_the_models_say() -> None:
    """Out of step: `.venv/bin/python -m skep.webapp.api`."""
    assert DESCRIPTION.read_text(encoding="utf-8") == text()


def test_nothing_breaks_where_nothing_changed() -> None:
    assert breaks(describe(), describe()) == []


def schemas(document: Document) -> Document:
    found: Document = document["components"]["schemas"]
    return found


def without_field(document: Document) -> None:
    del schemas(document)["EventOut"]["properties"]["title"]


def no_longer_always_there(document: Document) -> None:
    schemas(document)["EventOut"]["required"].remove("title")


def narrower_enum(document: Document) -> None:
    schemas(document)["OrderIn"]["properties"]["method"]["enum"].remove("transfer")


def narrower_query(document: Document) -> None:
    (state,) = [
        each for each in document["paths"]["/events/{event_id}/orders"]["get"]["parameters"] if each["name"] == "state"
    ]
    state["schema"]["enum"].remove("expired")


def required_parameter(document: Document) -> None:
    document["paths"]["/events"]["get"]["parameters"].append(
        {"name": "city", "in": "query", "required": True, "schema": {"type": "string"}}
    )


def required_field(document: Document) -> None:
    schemas(document)["ItemsIn"]["properties"]["channel"] = {"type": "string"}
    schemas(document)["ItemsIn"]["required"].append("channel")


def refused_field(document: Document) -> None:
    del schemas(document)["ScanIn"]["properties"]["list_version"]


def stricter(document: Document) -> None:
    schemas(document)["Item"]["properties"]["quantity"]["maximum"] = 10


def another_type(document: Document) -> None:
    schemas(document)["TypeOut"]["properties"]["price"]["type"] = "string"


def may_be_null(document: Document) -> None:
    price = schemas(document)["TypeOut"]["properties"]["price"]
    schemas(document)["TypeOut"]["properties"]["price"] = {"anyOf": [price, {"type": "null"}]}


def gone(document: Document) -> None:
    del document["paths"]["/me"]


def another_scope(document: Document) -> None:
    document["paths"]["/events"]["get"]["x-scope"] = "events:read"


def no_answer(document: Document) -> None:
    del document["paths"]["/me"]["get"]["responses"]["200"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (without_field, "title is gone"),
        (no_longer_always_there, "title may be missing now"),
        (narrower_enum, "'transfer' is refused now"),
        (narrower_query, "'expired' is refused now"),
        (required_parameter, "parameter city is required now"),
        (required_field, "channel is required now"),
        (refused_field, "list_version is refused now"),
        (stricter, "maximum is stricter now"),
        (another_type, "may be string now"),
        (may_be_null, "may be null now"),
        (gone, "GET /me: is gone"),
        (another_scope, "needs the scope events:read now"),
        (no_answer, "never answers 200 any more"),
    ],
)
def test_what_breaks_programs_is_said(change: Callable[[Document], None], sentence: str) -> None:
    changed = copy.deepcopy(describe())
    change(changed)
    found = breaks(describe(), changed)
    assert found
    assert any(sentence in each for each in found), found


def more_operations(document: Document) -> None:
    document["paths"]["/new"] = document["paths"]["/me"]


def more_fields(document: Document) -> None:
    schemas(document)["EventOut"]["properties"]["mood"] = {"type": "string"}
    schemas(document)["ItemsIn"]["properties"]["channel"] = {"type": "string"}


def wider(document: Document) -> None:
    schemas(document)["OrderIn"]["properties"]["method"]["enum"].append("card")
    schemas(document)["Item"]["properties"]["quantity"]["maximum"] = 1000


def optional_parameter(document: Document) -> None:
    document["paths"]["/events"]["get"]["parameters"].append(
        {"name": "city", "in": "query", "required": False, "schema": {"type": "string"}}
    )


@pytest.mark.parametrize("change", [more_operations, more_fields, wider, optional_parameter])
def test_what_breaks_nobody_is_let_through(change: Callable[[Document], None]) -> None:
    changed = copy.deepcopy(describe())
    change(changed)
    assert breaks(describe(), changed) == []


class Somewhere(Model):
    place: str


@pytest.mark.parametrize(
    ("path", "params", "errors", "why"),
    [
        ("/a/{b}", Somewhere, (), "no parameter for b"),
        ("/a", Somewhere, ("nonsense",), "no such problem"),
        ("/me", Somewhere, (), "registered twice"),
    ],
)
def test_what_does_not_fit_together_is_not_registered(
    path: str, params: type[Somewhere], errors: tuple[str, ...], why: str
) -> None:
    before = dict(OPERATIONS)
    with pytest.raises(ValueError, match=why):

        @operation("GET", path, scope=None, params=params, answer=Somewhere, errors=errors)
        async def unfit(call: Call[Somewhere, NoBody]) -> Somewhere:
            """Says something."""
            return Somewhere(place="")

    assert before == OPERATIONS


def test_every_operation_is_described_with_its_scope_and_errors() -> None:
    document = json.loads(text())
    said = {each["operationId"]: each for item in document["paths"].values() for each in item.values()}
    assert said.keys() == OPERATIONS.keys()
    for name, each in said.items():
        assert each["summary"]
        assert each["x-scope"] == OPERATIONS[name].scope
        assert "429" in each["responses"]


def test_a_process_that_nobody_asks_loads_neither_models_nor_pydantic() -> None:
    script = (
        "import sys; from skep.webapp import app; from skep.webapp.api import routes; routes.routes();"
        "print([name for name in ('pydantic', 'skep.webapp.api.models', 'cryptography') if name in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert said == "[]\n"


def test_every_reference_leads_somewhere() -> None:
    content, document = description()
    for name in set(json.dumps(document).split('"#/components/schemas/')[1:]):
        assert name.partition('"')[0] in document["components"]["schemas"]
    assert content.decode() == text()
