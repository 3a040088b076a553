"""What publishing a draft would change: the operator's own pure functions, run here on what the engine says now.

Databases are compared as declared, since the command line reaches no database; everything else as it is.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from datetime import UTC, datetime

from skep.crds.effective import EffectiveTenant
from skep.crds.platform import Platform
from skep.crds.reader import Document
from skep.operator import names
from skep.operator.cli.view import View
from skep.operator.engine.port import Engine
from skep.operator.errors import NotFound, SkepError
from skep.operator.reconcilers import app, record, secret
from skep.operator.reconcilers.placement import load_of, place, place_cache, room_of
from skep.operator.reconcilers.record import Record
from skep.operator.settings import Settings
from skep.operator.sources.fleet import Absent, Broken, Declared, read_revision, survey
from skep.operator.sources.publish import Draft
from skep.operator.sources.revision import Revision

NOBODY = "0" * 32  # the uid of a tenant that is not there yet


async def changes_of(view: View, draft: Draft, engine: Engine) -> list[str]:
    """Lines for people, a headed block a document; [] when nothing would change."""
    held = view.revisions.get(draft.source, ())
    lines = list(_shared_documents(draft, held))
    shared = bool(lines)  # a platform or plan may reach tenants of every source
    fleet = survey(
        [*(each for all_ in view.revisions.values() for each in all_), _as_revision(view, draft)],
        view.ledger,
        {name: each.owner for name, each in view.records.items() if each.leaving != "retained"},
    )
    if fleet.platform is None:
        return lines
    settings = view.announcement.settings() if view.announcement is not None else Settings()
    for name in sorted({*view.records, *fleet.tenants, *fleet.absent}):
        known, fate = view.records.get(name), fleet.fate(name)
        sources = {each.source for each in (known, fate) if each is not None}
        if draft.source not in sources and not shared:
            continue  # another source's tenant: whatever is under way there is not this draft's doing
        match fate, known:
            case Absent(held=str() as sentence), _:
                lines.append(f"! tenant {name}  {sentence}")
            case Absent(), Record(leaving="") as leaving:
                kept = leaving.spec.deletion_policy == "Retain"
                lines.append(f"- tenant {name}  deleted; its database {'is kept' if kept else 'goes too'}")
            case Declared(), Record(leaving="retained"):
                lines.append(f"! tenant {name}  its name holds retained data: `skep approve adopt {name}` or `purge`")
            case Declared() as declared, _:
                block = [line async for line in _tenant(name, declared, view, fleet.platform, settings, engine)]
                if block:
                    lines += [f"{'~' if known is not None else '+'} tenant {name}", *(f"    {line}" for line in block)]
            case Broken() as broken, _:
                lines += [f"! tenant {name}  {problem}" for problem in broken.problems]
            case _:
                pass
    return lines


def _as_revision(view: View, draft: Draft) -> Revision:
    newest = max((each.index for held in view.revisions.values() for each in held), default=0)
    seen = max(view.ledger.seen.values(), default=0)
    index = max(newest, seen) + 1
    return Revision(draft.source, index, "", f"{draft.source}.r{draft.number}", draft.number, "", None, draft.text)


def _shared_documents(draft: Draft, held: tuple[Revision, ...]) -> Iterator[str]:
    """Platforms and plans; what they mean for tenants stands with each tenant."""
    before = {} if not held else {(each.kind, each.name): each for each in read_revision(held[0]).documents}
    after = {(each.kind, each.name): each for each in draft.documents}
    for key in sorted(before.keys() | after.keys()):
        if key[0] == "Tenant":
            continue
        old, new = before.get(key), after.get(key)
        label = f"{key[0].lower()} {key[1]}"
        if old is None:
            yield f"+ {label}"
        elif new is None:
            yield f"- {label}"
        elif changed := list(_document_fields(old, new)):
            yield f"~ {label}"
            yield from (f"    {line}" for line in changed)


def _document_fields(old: Document, new: Document) -> Iterator[str]:
    before = dict(_flat(old.model.model_dump(mode="json", by_alias=True)))
    after = dict(_flat(new.model.model_dump(mode="json", by_alias=True)))
    yield from _pairs(before, after)


def _flat(value: object, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list | tuple) and any(isinstance(each, Mapping | list | tuple) for each in value):
        for index, inner in enumerate(value):
            yield from _flat(inner, f"{path}[{index}]")
    elif isinstance(value, list | tuple):
        yield path, ", ".join(map(str, value)) or "-"
    else:
        yield path, "-" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _pairs(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[str]:
    for key in sorted(before.keys() | after.keys()):
        have, want = before.get(key, "-"), after.get(key, "-")
        if have != want:
            yield f"{key}: {have} -> {want}"


def _spec_fields(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return {_camel(field.name): _spec_fields(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, tuple) and value and all(isinstance(each, tuple) and len(each) == 2 for each in value):
        return dict(value)
    return list(value) if isinstance(value, tuple) else value


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.title() for part in rest)


def spec_document(spec: EffectiveTenant) -> object:
    """An effective spec with the names that people write."""
    return _spec_fields(spec)


async def _tenant(
    name: str, fate: Declared, view: View, platform: Platform, settings: Settings, engine: Engine
) -> AsyncIterator[str]:
    known = view.records.get(name)
    desired = record.desire(fate, known, None, name=name, fresh_uid=NOBODY, now=datetime.now(UTC))
    if desired is None:
        return
    room = room_of(view.networks)
    key_id = view.announcement.key_id if view.announcement is not None else "k1"
    try:
        load = load_of(view.records.values())
        desired = place(replace(desired, key_id=desired.key_id or key_id), platform, load, room)
        desired = place_cache(desired, platform, load)
        file = app.settings_file(desired, platform, settings, view.service(names.service(name)))
    except SkepError as error:
        yield f"cannot be placed: {error}"
        return
    if known is None:
        yield f"database {names.database(name, NOBODY).removesuffix(NOBODY[:8])}<uid> on {desired.server}"
        yield f"service {names.service(name)}: {desired.spec.image}, {desired.spec.replicas} replicas"
        for host in desired.spec.hosts:
            yield f"route {host}"
        return
    if known.spec != desired.spec:
        before, after = dict(_flat(_spec_fields(known.spec))), dict(_flat(_spec_fields(desired.spec)))
        for line in _pairs(before, after):
            yield f"spec {line}"
    for owed in secret.plan(secret.desire(desired, None), view.secrets_of(name)):
        yield f"secret {owed.want.name}: create"
    try:
        image = await engine.resolve_image(desired.spec.image)
        actions = app.plan(
            app.desire(desired, file, image),
            view.service(names.service(name)),
            file,
            view.configs_of(name, "settings"),
        )
    except NotFound as error:
        yield f"image {desired.spec.image}: {error}"
        return
    for action in actions:
        match action:
            case app.CreateFile(file=made):
                yield f"config {made.name}: create"
            case app.CreateService(spec=spec):
                yield f"service {spec.name}: create"
            case app.UpdateService(spec=spec, because=because):
                for drift in because:
                    yield f"service {spec.name} {drift.field}: {drift.have} -> {drift.want}"
            case app.Collect():
                pass
