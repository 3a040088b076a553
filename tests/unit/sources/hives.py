"""Sources for tests: revisions from documents, and what the operator remembers."""

from __future__ import annotations

from skep.operator.engine.spec import Config, pairs
from skep.operator.sources.fleet import Fleet, Owner, survey
from skep.operator.sources.ledger import Ledger
from skep.operator.sources.revision import Revision, encode, from_config, labels_of
from tests.unit.crds.documents import plan_text, platform_text, stream, tenant_text

PLATFORM = platform_text()
PLAN = plan_text()
BROKEN = tenant_text("plann: free\n")  # acme, with a misspelt field


def tenant(name: str, spec: str = "") -> str:
    return tenant_text(spec, name=name)


def fleet_of(*names: str) -> list[str]:
    return [PLATFORM, PLAN, *map(tenant, names)]


def revision(
    source: str, index: int, *documents: str, number: int | None = None, body: bytes | None = None
) -> Revision:
    """One that `skep apply` made, unless *number* is 0: then it came the plain way."""
    text = stream(*documents).encode()
    number = index if number is None else number
    labels = labels_of(source, number, text, "test") if number else {"skep.source": source}
    name = f"{source}.r{number}" if number else f"{source}_{index}"
    made = from_config(
        Config(f"id-{source}-{index}", name, index, pairs(labels), encode(text) if body is None else body)
    )
    assert made is not None
    return made


def owners(source: str, *names: str, index: int = 1) -> dict[str, Owner]:
    return {name: Owner(source, index) for name in names}


def look(*revisions: Revision, ledger: Ledger | None = None, own: dict[str, Owner] | None = None) -> Fleet:
    return survey(revisions, ledger or Ledger(), own or {})
