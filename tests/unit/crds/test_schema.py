"""The schemas for editors keep step with the models, and accept what the reader accepts."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from skep.crds.declarations import gather
from skep.crds.reader import KINDS, read_path
from skep.crds.schema import FOLDER, schemas
from tests.unit.crds.documents import plan_text, platform_text, tenant_text

DEMO = Path(__file__).parents[3] / "manifests" / "demo"
EXAMPLES = sorted(DEMO.rglob("*.yaml"))
FULL = (
    "app: {image: 'skep:2', replicas: 2, resources: {cpus: 500m, memory: 1Gi}, settings: {A_B: 1, c: true, d: x}}\n"
    "database: {connectionLimit: 5, statementTimeout: 5m, extensions: [vector]}\n"
)


@pytest.mark.parametrize("file", sorted(schemas()))
def test_the_schema_on_disk_is_the_generated_one(file: str) -> None:
    assert (FOLDER / file).read_text() == schemas()[file], "run: python -m skep.crds.schema"


def validator(file: str) -> Draft202012Validator:
    contents = {name: json.loads(text) for name, text in schemas().items()}
    registry: Registry[Any] = Registry().with_resources(
        (name, Resource.from_contents(content)) for name, content in contents.items()
    )
    Draft202012Validator.check_schema(contents[file])
    return Draft202012Validator(contents[file], registry=registry)


class Core(yaml.SafeLoader):
    """YAML 1.2, as editors read it: only true and false are flags."""


Core.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith((":bool", ":timestamp"))]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
Core.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), list("tf"))


def as_editors_read(text: str) -> Any:
    return yaml.load(text, Loader=Core)  # noqa: S506 - a SafeLoader


@pytest.mark.parametrize("path", EXAMPLES, ids=[str(path.relative_to(DEMO)) for path in EXAMPLES])
def test_each_example_names_a_schema_that_exists_and_fits(path: Path) -> None:
    first = path.read_text().splitlines()[0]
    schema = (path.parent / first.removeprefix("# yaml-language-server: $schema=")).resolve()
    assert schema.parent == FOLDER.resolve()
    validator(schema.name).validate(as_editors_read(path.read_text()))


@pytest.mark.parametrize(
    "text",
    [
        platform_text(),
        platform_text("networks: {edge: [a, b], data: [c]}\nbrake: {percent: 5}\ninsecure: true\ndefaults: {limits: {cpus: 1}}\n"),
        plan_text(),
        plan_text(FULL + "limits: {replicas: 3, memory: 2Gi}\n"),
        tenant_text(),
        tenant_text(FULL + "hosts: [a.org]\nowner: a@b.org\nsuspend: true\ndeletionPolicy: Delete\n"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("any_kind", [False, True])
def test_schemas_accept_what_the_reader_accepts(text: str, any_kind: bool) -> None:
    document = as_editors_read(text)
    validator("skep.schema.json" if any_kind else f"{document['kind'].lower()}.schema.json").validate(document)


@pytest.mark.parametrize(
    "text",
    [
        tenant_text("nope: x"),
        tenant_text("suspend: yes"),
        tenant_text("app: {replicas: 0}"),
        tenant_text("app: {settings: {a-b: x}}"),
        tenant_text("hosts: [A.org]"),
        tenant_text("deletionPolicy: delete"),
        tenant_text("database: {extensions: [postgis]}"),
        tenant_text(name="ab"),
        plan_text("limits: {memory: 512MB}"),
        platform_text(tls="on"),
        platform_text("networks: {edge: []}"),
    ],
)
def test_schemas_refuse_the_usual_mistakes(text: str) -> None:
    assert not validator("skep.schema.json").is_valid(as_editors_read(text))


def descriptions_missing(schema: Any, path: str = "") -> list[str]:
    if not isinstance(schema, dict):
        return []
    missing = [
        f"{path}.{name}"
        for name, field in schema.get("properties", {}).items()
        if "description" not in field and "$ref" not in field
    ]
    for key in ("properties", "$defs"):
        for name, field in schema.get(key, {}).items():
            missing += descriptions_missing(field, f"{path}.{name}")
    return missing


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_field_has_a_description(kind: str) -> None:
    assert descriptions_missing(json.loads(schemas()[f"{kind.lower()}.schema.json"])) == []


def test_the_demo_is_faultless() -> None:
    declarations, problems = gather(read_path(DEMO))
    assert problems == ()
    assert {name: tenant.spec.plan for name, tenant in declarations.tenants.items()} == {
        "acme": "pro",
        "birch": "free",
        "cedar": "free",
    }
