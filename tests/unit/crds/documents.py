"""Documents to try things on: text as people write it, and models."""

from __future__ import annotations

from textwrap import dedent, indent

from skep.crds.plan import Plan
from skep.crds.platform import Platform
from skep.crds.reader import Document, Reading, read_text
from skep.crds.tenant import Tenant


def header(kind: str, name: str) -> str:
    """The first four lines of a document, `spec:` being the fourth."""
    return f"apiVersion: skep/v1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec:\n"


def tenant_text(spec: str = "", *, name: str = "acme", plan: str = "free") -> str:
    """A Tenant: displayName in line 5, plan in line 6, *spec* from line 7 on."""
    return header("Tenant", name) + f"  displayName: Acme\n  plan: {plan}\n" + indent(dedent(spec), "  ")


def plan_text(spec: str = "", *, name: str = "free") -> str:
    """A Plan: *spec* from line 5 on."""
    return (header("Plan", name) + indent(dedent(spec), "  ")) if spec else header("Plan", name).replace("spec:\n", "")


def platform_text(spec: str = "", *, base_domain: str = "localhost", tls: str = "off", image: str = "skep:1") -> str:
    """A Platform: baseDomain in line 5, tls 6, databases 7, app 8 unless *spec* has it, then *spec*."""
    lines = f"  baseDomain: {base_domain}\n  tls: {tls}\n  databases: [{{name: main, host: postgres}}]\n"
    app = "" if spec.startswith("app:") or not image else f"  app: {{image: {image}}}\n"
    return header("Platform", "demo") + lines + app + indent(dedent(spec), "  ")


def stream(*texts: str) -> str:
    return "---\n".join(text if text.endswith("\n") else f"{text}\n" for text in texts)


def read(*texts: str) -> Reading:
    """One file, `f`, of these documents."""
    return read_text(stream(*texts).encode(), file="f")


def complaints(*texts: str) -> list[str]:
    """The problems of one file as `line:column: message`."""
    return [str(problem).removeprefix("f:") for problem in read(*texts).problems]


def only(*texts: str) -> Document:
    reading = read(*texts)
    assert not reading.problems, reading.problems
    (document,) = reading.documents
    return document


def make_tenant(spec: str = "", **names: str) -> Tenant:
    model = only(tenant_text(spec, **names)).model
    assert isinstance(model, Tenant)
    return model


def make_plan(spec: str = "", **names: str) -> Plan:
    model = only(plan_text(spec, **names)).model
    assert isinstance(model, Plan)
    return model


def make_platform(spec: str = "", **words: str) -> Platform:
    model = only(platform_text(spec, **words)).model
    assert isinstance(model, Platform)
    return model
