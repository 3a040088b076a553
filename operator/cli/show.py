"""Commands that tell how things are: get, describe, events, history's neighbours for people and scripts."""

from __future__ import annotations

import asyncio
import difflib
import json
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import click
from rich.text import Text

from skep.crds.base import TENANT_NAME_PATTERN
from skep.operator import history
from skep.operator.cli import limits, output
from skep.operator.cli.changes import spec_document
from skep.operator.cli.command import Shared, command, skep
from skep.operator.cli.output import Format
from skep.operator.cli.reach import ask_database
from skep.operator.cli.view import View, look
from skep.operator.engine.port import Engine
from skep.operator.engine.spec import Service, Task
from skep.operator.errors import UsageError
from skep.operator.reconcilers import waiting
from skep.operator.reconcilers.placement import Fill
from skep.operator.reconcilers.status import Condition, Event, Status
from skep.operator.sources.fleet import SourceState

API = "skep/v1"
WATCH_S = 0.5  # between two looks of `-w`
SETTLED = ("Ready", "Suspended", "Retained")  # nothing is waited for


def tenant_item(view: View, name: str) -> dict[str, Any]:
    """A tenant as scripts see it: stable names, camelCase."""
    found = view.documents().get(("Tenant", name))
    record, status = view.records.get(name), view.statuses.get(name)
    document: dict[str, Any] = found[1].model.model_dump(mode="json", by_alias=True) if found is not None else {}
    metadata = document.get("metadata", {"name": name, "labels": {}, "annotations": {}})
    metadata["uid"] = record.uid if record is not None else None
    if record is not None:
        metadata |= {"generation": record.generation, "creationTimestamp": record.created_at.isoformat()}
        metadata["source"] = record.source
    return {
        "apiVersion": API,
        "kind": "Tenant",
        "metadata": metadata,
        "spec": document.get("spec"),
        "status": _status_item(status),
    }


def _status_item(status: Status | None) -> dict[str, Any]:
    if status is None:
        return {"phase": "Pending", "conditions": [], "urls": [], "observedGeneration": 0}
    return {
        "phase": status.phase,
        "conditions": [_condition_item(condition) for condition in status.conditions],
        "urls": list(status.urls),
        "observedGeneration": status.observed_generation,
        "image": status.image,
    }


def _condition_item(condition: Condition) -> dict[str, Any]:
    return {
        "type": condition.type,
        "status": condition.status,
        "reason": condition.reason,
        "message": condition.message,
        "observedGeneration": condition.observed_generation,
        "lastTransitionTime": condition.since.isoformat(),
    }


def _source_item(view: View, state: SourceState) -> dict[str, Any]:
    newest = state.newest
    return {
        "apiVersion": API,
        "kind": "Source",
        "metadata": {"name": state.name},
        "status": {
            "revision": newest.number if newest is not None else None,
            "config": newest.config_name if newest is not None else None,
            "digest": newest.digest if newest is not None else None,
            "author": newest.author if newest is not None else None,
            "tenants": state.tenants,
            "heldDeletions": state.held,
            "problem": state.problem,
            "problems": [str(problem) for problem in state.problems],
            "revisions": len(view.revisions.get(state.name, ())),
        },
    }


def _document_items(view: View, kind: str) -> list[dict[str, Any]]:
    return [
        document.model.model_dump(mode="json", by_alias=True)
        for (held, _), (_, document) in sorted(view.documents().items(), key=lambda item: item[0])
        if held == kind
    ]


def items_of(view: View, kind: str) -> list[dict[str, Any]]:
    match kind:
        case "tenants":
            return [tenant_item(view, name) for name in view.tenants]
        case "plans":
            return _document_items(view, "Plan")
        case "platforms":
            return [item | {"status": limits.status_item(view)} for item in _document_items(view, "Platform")]
        case _:
            return [_source_item(view, state) for state in view.fleet.sources]


def _tenant_rows(view: View, names: list[str], *, wide: bool) -> Any:
    rows = []
    for name in names:
        status, record = view.statuses.get(name), view.records.get(name)
        ready = status.condition("Ready") if status is not None else None
        row: list[str | Text] = [
            name,
            record.spec.plan if record is not None else "-",
            output.phase(status.phase if status is not None else "Pending"),
            ready.reason if ready is not None else "-",
            output.age(record.created_at if record is not None else None),
            status.urls[0] if status is not None and status.urls else "-",
        ]
        if wide:
            row += [
                record.source if record is not None else "-",
                record.server if record is not None else "-",
                status.image if status is not None else "-",
                record.uid if record is not None else "-",
            ]
        rows.append(row)
    headers = ["NAME", "PLAN", "PHASE", "REASON", "AGE", "URL"]
    return output.table(headers + (["SOURCE", "SERVER", "IMAGE", "UID"] if wide else []), rows)


def _plan_rows(view: View) -> Any:
    used = [record.spec.plan for record in view.records.values() if not record.leaving]
    rows = []
    for item in _document_items(view, "Plan"):
        name = item["metadata"]["name"]
        rows.append((name, str(used.count(name))))
    return output.table(("NAME", "TENANTS"), rows)


def _platform_rows(view: View) -> Any:
    rows = [
        (item["metadata"]["name"], item["spec"]["baseDomain"], item["spec"]["tls"], str(len(item["spec"]["databases"])))
        for item in _document_items(view, "Platform")
    ]
    return output.table(("NAME", "BASE DOMAIN", "TLS", "DATABASE SERVERS"), rows)


def _source_rows(view: View) -> Any:
    rows = []
    for state in view.fleet.sources:
        word = state.problem or (f"{len(state.problems)} problems" if state.problems else "ok")
        if state.held:
            word = f"{state.held} deletions held: `skep approve deletions {state.name}`"
        newest = state.newest.label if state.newest is not None else "-"
        rows.append((state.name, newest, str(state.tenants), word))
    return output.table(("NAME", "REVISION", "TENANTS", "STATE"), rows)


KINDS = {
    "tenants": "tenants", "tenant": "tenants", "plans": "plans", "plan": "plans", "platforms": "platforms",
    "platform": "platforms", "sources": "sources", "source": "sources",
}  # fmt: skip


def kind_of(text: str) -> str:
    if (kind := KINDS.get(text.lower())) is not None:
        return kind
    near = difflib.get_close_matches(text, KINDS, 1)
    raise UsageError(
        f"there is no kind {text}", remedy=f"did you mean {near[0]}?" if near else "tenants, plans, platforms, sources"
    )


@skep.command("get")
@click.argument("kind")
@click.argument("name", required=False)
@output.format_option("table", "wide", "json", "yaml")
@click.option("-w", "--watch", is_flag=True, help="Print again whenever something changes, until Ctrl-C.")
@command
async def get(shared: Shared, kind: str, name: str | None, form: Format, watch: bool) -> int:
    """List tenants, plans, platforms or sources, or show one."""
    kind = kind_of(kind)
    async with shared.target.connect() as engine:
        last: object = None
        while True:
            view = await look(engine)
            items = items_of(view, kind)
            if name is not None:
                items = [item for item in items if item["metadata"]["name"] == name]
                if not items:
                    known = [item["metadata"]["name"] for item in items_of(view, kind)]
                    near = difflib.get_close_matches(name, known, 1)
                    raise UsageError(
                        f"there is no {kind[:-1]} {name}",
                        remedy=f"did you mean {near[0]}?" if near else f"`skep get {kind}` lists them",
                    )
            if items != last:
                last = items
                _print(view, kind, items, form, single=name is not None)
            if not watch:
                return 0
            await asyncio.sleep(WATCH_S)


def _print(view: View, kind: str, items: list[dict[str, Any]], form: Format, *, single: bool) -> None:
    if form in ("json", "yaml"):
        output.show(items[0] if single else {"apiVersion": API, "kind": "List", "items": items}, form)
        return
    if not items:
        output.say(f"no {kind} here yet; `skep apply PATH` declares some")
        return
    rows: Callable[[], Any] = {
        "tenants": lambda: _tenant_rows(view, [item["metadata"]["name"] for item in items], wide=form == "wide"),
        "plans": lambda: _plan_rows(view),
        "platforms": lambda: _platform_rows(view),
        "sources": lambda: _source_rows(view),
    }[kind]
    output.console().print(rows())


@skep.command("describe")
@click.argument("kind", type=click.Choice(["tenant", "platform"]))
@click.argument("name", required=False)
@click.option("--effective", is_flag=True, help="Show the spec after Platform, Plan and Tenant were joined.")
@output.format_option("table", "json", "yaml")
@command
async def describe(shared: Shared, kind: str, name: str | None, effective: bool, form: Format) -> int:
    """Tell everything about one tenant: what it waits for, since when, and what happened last.

    Of the platform: how full its networks and database servers are.
    """
    if kind == "tenant" and name is None:
        raise UsageError("which tenant?", remedy="`skep get tenants` lists them")
    if kind == "platform" and effective:
        raise UsageError("--effective is of tenants", remedy="`skep describe tenant NAME --effective`")
    async with shared.target.connect() as engine:
        view = await look(engine)
        if kind == "platform" or name is None:
            _describe_platform(view, name, form)
            return 0
        name = view.tenant_named(name)
        record = view.records.get(name)
        if effective:
            if record is None:
                raise UsageError(f"tenant {name} was never valid, so it has no effective spec")
            _show(spec_document(record.spec), form)
            return 0
        if form != "table":
            _show(tenant_item(view, name), form)
            return 0
        service = view.service(f"skep-{name}-web")
        tasks = await engine.list_tasks(service=service.id) if service is not None else ()
    _describe(view, name, service, tasks)
    return 0


def _show(document: object, form: Format) -> None:
    output.show(document, "yaml" if form == "table" else form)


def _describe(view: View, name: str, service: Service | None, tasks: Sequence[Task]) -> None:
    record, status = view.records.get(name), view.statuses.get(name)
    console = output.console()

    def line(label: str, value: object) -> None:
        console.print(f"{label + ':':<14}{value}")

    line("Tenant", name)
    if record is not None:
        line("Uid", record.uid)
        line("Plan", record.spec.plan)
        line("Source", record.source)
        line("Database", f"t_{name}_{record.uid[:8]} on {record.server or '-'}")
        line("Networks", f"{record.edge_network or '-'}, {record.data_network or '-'}")
        line("Image", record.spec.image)
        line("Deletion", record.spec.deletion_policy)
        line("Created", f"{record.created_at.isoformat()} ({output.age(record.created_at)} ago)")
        line("Generation", f"{record.generation} (observed {status.observed_generation if status else 0})")
    if status is not None:
        console.print(f"{'Phase:':<14}", output.phase(status.phase), sep="")
        for label, said in waits(status, service, tasks, now=datetime.now(UTC)):
            line(label, said)
        for url in status.urls:
            line("URL", url)
        console.print("\nConditions")
        rows = [
            (each.type, each.status, each.reason, output.age(each.since), each.message) for each in status.conditions
        ]
        console.print(output.table(("TYPE", "STATUS", "REASON", "SINCE", "MESSAGE"), rows))
    if tasks:
        console.print("\nTasks")
        lines = [
            (task.id[:12], task.node[:12], task.state, output.age(task.since), task.error or "-") for task in tasks
        ]
        console.print(output.table(("ID", "NODE", "STATE", "SINCE", "ERROR"), lines))
    if status is not None and status.events:
        console.print("\nEvents")
        events = [(output.age(event.at), event.reason, event.message) for event in status.events]
        console.print(output.table(("AGE", "REASON", "MESSAGE"), events))


def _describe_platform(view: View, name: str | None, form: Format) -> None:
    items = [item for item in items_of(view, "platforms") if name in (None, item["metadata"]["name"])]
    if not items:
        raise UsageError("no such Platform is declared", remedy="`skep get platforms` lists it")
    if form != "table":
        _show(items[0], form)
        return
    (item, console) = (items[0], output.console())
    spec, status = item["spec"], item["status"]
    for label, value in (
        ("Platform", item["metadata"]["name"]),
        ("Base domain", spec["baseDomain"]),
        ("TLS", spec["tls"]),
        ("App", spec["app"]["image"]),
        ("Tenants", len(view.tenants)),
        ("Edge", f"looks at the swarm every {status['edgeRefreshSeconds'] or 2:g} s"),
    ):
        console.print(f"{label + ':':<14}{value}")
    console.print("\nPlaces")
    rows = [
        (fill.kind, fill.name, str(fill.used), str(fill.room), f"{fill.share:.0%}", _room_word(fill))
        for fill in limits.places(view)
    ]
    console.print(output.table(("KIND", "NAME", "USED", "ROOM", "FULL", ""), rows))


def _room_word(fill: Fill) -> str:
    if not fill.is_nearly_full:
        return ""
    return f"{'full' if fill.share >= 1 else 'nearly full'}: {fill.remedy}"


def waits(status: Status, service: Service | None, tasks: Sequence[Task], *, now: datetime) -> list[tuple[str, str]]:
    """What keeps a tenant from being Ready, as labelled lines: what for, since when, the last error, what comes next.

    The engine is asked once more, because it may know by now what the last report could not.
    """
    ready = status.condition("Ready")
    if ready is None or ready.status == "True" or status.phase in SETTLED:
        return []
    reason, message = ready.reason, ready.message
    if service is not None and reason in waiting.REASONS | {"Starting", "RollingOut"}:
        seen = waiting.why(service, tasks, now)
        reason, message = seen.reason, str(seen)
    since = status.events[-1].at if status.events else ready.since
    lines = [
        ("Waits for", f"{message} ({reason})"),
        ("Since", f"{since.isoformat()} ({output.age(since, now=now)} ago)"),
    ]
    failed = waiting.newest_failure(tasks)
    if failed is not None:
        lines.append(("Last error", f"{failed.error} (task {failed.id[:12]}, {output.age(failed.since, now=now)} ago)"))
    lines.append(("Tries again", status.next_try or "when something of it changes, and at each resync"))
    return lines


@skep.command("events")
@click.argument("name", required=False)
@output.format_option("table", "json", "yaml")
@click.option("-w", "--watch", is_flag=True, help="Go on printing what happens, until Ctrl-C.")
@click.option("--all", "everything", is_flag=True, help="All that is kept, of deleted tenants too.")
@command
async def events(shared: Shared, name: str | None, form: Format, watch: bool, everything: bool) -> int:
    """List what happened last, of one tenant or of all, oldest first.

    A tenant's status keeps its last ten events; --all asks the control database, which keeps half a year of them.
    """
    if everything and watch:
        raise UsageError("--all looks back, --watch ahead", remedy="use one of them")
    async with shared.target.connect() as engine:
        if everything:
            _print_all(await _kept_events(engine, name), form)
            return 0
        view = await look(engine)
        if name is not None:
            view.tenant_named(name)
        known = _events_of(view, name)
        _print_all(known, form)
        while watch:
            await asyncio.sleep(WATCH_S)
            now = _events_of(await look(engine), name)
            for entry in now:
                if entry not in known:
                    _print_one(entry, form)
            known = now
    return 0


Entry = tuple[datetime, str, Event]


async def _kept_events(engine: Engine, name: str | None) -> list[Entry]:
    if name is not None and re.fullmatch(TENANT_NAME_PATTERN, name) is None:
        raise UsageError(f"{name!r} is not a tenant's name")
    which = f"where tenant = '{name}'" if name is not None else ""
    query = f"select row_to_json(event) from event {which} order by at, id"  # noqa: S608 - a name of a-z, 0-9 and -
    said = await ask_database(engine, history.DATABASE, query)
    found = (json.loads(line) for line in said.splitlines())
    return [
        (at := datetime.fromisoformat(row["at"]), row["tenant"], Event(at, row["reason"], row["message"]))
        for row in found
    ]


def _events_of(view: View, name: str | None) -> list[Entry]:
    return sorted(
        (
            (event.at, tenant, event)
            for tenant, status in view.statuses.items()
            if name in (None, tenant)
            for event in status.events
        ),
        key=lambda entry: (entry[0], entry[1]),
    )


def _event_item(entry: Entry) -> dict[str, str]:
    at, tenant, event = entry
    return {"at": at.isoformat(), "tenant": tenant, "reason": event.reason, "message": event.message}


def _print_all(found: list[Entry], form: Format) -> None:
    if form != "table":
        _show({"apiVersion": API, "kind": "EventList", "items": [_event_item(entry) for entry in found]}, form)
        return
    rows = [(output.age(at), tenant, event.reason, event.message) for at, tenant, event in found]
    if not rows:
        output.say("no events yet")
        return
    output.console().print(output.table(("AGE", "TENANT", "REASON", "MESSAGE"), rows))


def _print_one(entry: Entry, form: Format) -> None:
    """A line as it happens; JSON as one object a line."""
    at, tenant, event = entry
    match form:
        case "json":
            output.say(json.dumps(_event_item(entry), ensure_ascii=False))
        case "yaml":
            output.say("---")
            _show(_event_item(entry), form)
        case _:
            output.say(f"{at:%H:%M:%S}  {tenant}  {event.reason}  {event.message}")
