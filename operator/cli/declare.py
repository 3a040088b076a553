"""Commands that say what should be: validate, diff, apply, delete, history, undo, approve."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from pathlib import Path

import click

from skep.crds.declarations import gather
from skep.crds.reader import Problem, Reading, read_path, read_text
from skep.operator import names
from skep.operator.cli import output
from skep.operator.cli.command import EXIT_DIFFERS, EXIT_FAILED, Shared, command, skep
from skep.operator.cli.progress import Progress
from skep.operator.cli.view import View, look
from skep.operator.engine.port import Engine
from skep.operator.errors import NameTaken, TransientError, UsageError
from skep.operator.sources import publish
from skep.operator.sources.approvals import Request, Verb, new_id
from skep.operator.sources.fleet import Broken, Declared
from skep.operator.sources.publish import Draft, author, draft
from skep.operator.sources.revision import Revision, decode

DEFAULT_SOURCE = "default"

source_option = click.option("--source", default=DEFAULT_SOURCE, show_default=True, help="The source to publish to.")
prune_option = click.option("--prune", is_flag=True, help="PATH is the whole source: what it leaves out is deleted.")
wait_option = click.option("--wait", is_flag=True, help="Return when every tenant of PATH is Ready.")
timeout_option = click.option(
    "--timeout", "timeout_s", type=float, default=300.0, show_default=True, help="Seconds to wait."
)
path_argument = click.argument("path", type=click.Path(path_type=Path))


def tell(problems: Iterable[Problem]) -> None:
    for problem in problems:
        output.say(str(problem), err=True)


def count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


@skep.command("validate")
@path_argument
@command
async def validate(shared: Shared, path: Path) -> int:
    """Check declarations: every error at once, as file:line:column. PATH is a file or a directory, taken as a whole."""
    del shared
    reading = read_path(path)
    declarations, problems = gather(reading)
    tell(problems)
    if problems:
        output.say(f"{count(len(problems), 'problem')} in {path}", err=True)
        return EXIT_FAILED
    output.say(
        f"{path} is valid: {count(len(declarations.plans), 'plan')}, {count(len(declarations.tenants), 'tenant')}"
    )
    return 0


def read_or_fail(path: Path) -> Reading | None:
    reading = read_path(path)
    tell(reading.problems)
    if reading.problems:
        output.say(f"{count(len(reading.problems), 'problem')} in {path}; nothing was published", err=True)
        return None
    return reading


@skep.command("diff")
@path_argument
@source_option
@prune_option
@command
async def diff(shared: Shared, path: Path, source: str, prune: bool) -> int:
    """Show what `skep apply` would change, per tenant, object and field. Exit code 0: nothing; 10: something."""
    if (reading := read_or_fail(path)) is None:
        return EXIT_FAILED
    async with shared.target.connect() as engine:
        view = await look(engine)
        planned = draft(
            source, reading, view.revisions.get(source, ()), prune=prune, seen=view.ledger.seen.get(source, 0)
        )
        if problems := publish.check(planned, view.revisions):
            tell(problems)
            return EXIT_FAILED
        from skep.operator.cli.changes import changes_of  # all of the reconcilers: no other command waits for them

        lines = await changes_of(view, planned, engine)
    console = output.console()
    for line in lines:
        console.print(line)
    return EXIT_DIFFERS if lines else 0


@skep.command("apply")
@path_argument
@source_option
@prune_option
@wait_option
@timeout_option
@command
async def apply(shared: Shared, path: Path, source: str, prune: bool, wait: bool, timeout_s: float) -> int:
    """Publish declarations as the next revision of a source; the operator does the rest."""
    if (reading := read_or_fail(path)) is None:
        return EXIT_FAILED
    async with shared.target.connect() as engine:
        planned = await publish_reading(engine, reading, source=source, prune=prune)
        if planned is None:
            return EXIT_FAILED
        if not wait:
            return 0
        mine = [document for document in reading.documents if document.kind == "Tenant"]
        return await wait_ready(engine, [document.name for document in mine], timeout_s=timeout_s)


async def publish_reading(engine: Engine, reading: Reading, *, source: str, prune: bool) -> Draft | None:
    """Publish and say so; None if the documents do not fit together, which was told."""
    for _ in range(5):
        view = await look(engine)
        held = view.revisions.get(source, ())
        planned = draft(source, reading, held, prune=prune, seen=view.ledger.seen.get(source, 0))
        if problems := publish.check(planned, view.revisions):
            tell(problems)
            output.say(f"{count(len(problems), 'problem')}; nothing was published", err=True)
            return None
        if planned.unchanged:
            output.say(f"{held[0].label} already says exactly this")
            return planned
        try:
            revision = await publish.publish(engine, planned, author=author())
        except NameTaken:
            continue  # somebody published at the same time: merge into theirs
        output.say(f"published {revision.label} ({count(len(planned.documents), 'document')})")
        await publish.collect(engine, (revision, *held))
        return planned
    raise TransientError(f"others keep publishing to {source}", remedy="try again")


async def wait_ready(engine: Engine, tenants: list[str], *, timeout_s: float) -> int:
    """Until the operator followed and each tenant is Ready (or Suspended, if declared so); tells what keeps it."""
    deadline = time.monotonic() + timeout_s
    with Progress(tenants) as progress:
        while True:
            view = await look(engine)
            open_ = {name: word for name in tenants if (word := _unready(view, name)) is not None}
            progress.update(view, open_)
            if not open_:
                return 0
            if time.monotonic() > deadline:
                break
            await asyncio.sleep(0.2)
    for name, word in open_.items():
        output.say(f"{name} is not Ready after {timeout_s:g} s: {word}", err=True)
    output.say(f"look closer with `skep describe tenant {next(iter(open_))}`", err=True)
    return EXIT_FAILED


def _unready(view: View, name: str) -> str | None:
    """What still keeps the tenant from what is declared, in a sentence; None if nothing does."""
    fate, record, status = view.fleet.fate(name), view.records.get(name), view.statuses.get(name)
    match fate:
        case Declared():
            pass
        case Broken(problems=problems):
            return f"its declaration is not valid: {problems[0]}"
        case _:
            return "its declaration has not arrived"
    if view.announcement is None:
        return "no operator runs here"
    if record is None or status is None:
        return "the operator has not taken it up yet"
    ready = status.condition("Ready")
    followed = record.spec == fate.effective and status.observed_generation == record.generation
    if followed and status.phase in ("Ready", "Suspended"):
        return None
    if ready is None or status.phase in ("Ready", "Suspended"):
        return "the operator has not followed yet"
    return ready.message


@skep.command("delete")
@click.argument("kind", type=click.Choice(["tenant"]))
@click.argument("name")
@click.option(
    "--force",
    is_flag=True,
    help="Delete although a stack or another tool declares it; holds until that document changes.",
)
@command
async def delete(shared: Shared, kind: str, name: str, force: bool) -> int:
    """Publish a revision of the tenant's source without it. Its deletionPolicy says what happens to its data."""
    del kind
    async with shared.target.connect() as engine:
        view = await look(engine)
        view.tenant_named(name)
        found = view.documents().get(("Tenant", name))
        if found is None:
            raise UsageError(f"no source declares tenant {name} any more")
        revision, document = found
        if revision.number is None:  # not published by skep: whoever made it would bring the tenant back
            if not force:
                raise UsageError(
                    f"tenant {name} is declared in {revision.config_name}, line {document.line}, "
                    "which skep did not publish",
                    remedy="remove the document there and deploy again, or use --force",
                )
            await ask(engine, "forced-delete", name)
            output.say(f"tenant {name} is deleted until its document in {revision.config_name} changes")
            return 0
        gone = frozenset({("Tenant", name)})
        planned = draft(
            revision.source,
            Reading(),
            view.revisions[revision.source],
            prune=False,
            without=gone,
            seen=view.ledger.seen.get(revision.source, 0),
        )
        made = await publish.publish(engine, planned, author=author())
        await publish.collect(engine, (made, *view.revisions[revision.source]))
        policy = view.records[name].spec.deletion_policy if name in view.records else "Retain"
        kept = "its database is kept" if policy == "Retain" else "its database goes too"
        output.say(f"published {made.label} without tenant {name}; {kept} (deletionPolicy {policy})")
    return 0


@skep.command("history")
@click.argument("source", default=DEFAULT_SOURCE)
@command
async def history(shared: Shared, source: str) -> None:
    """List the revisions of a source, newest first."""
    async with shared.target.connect() as engine:
        view = await look(engine)
    held = _held(view, source)
    rows = []
    for revision in held:
        reading = read_text(decode(revision.body), file=revision.label)
        tenants = sum(1 for document in reading.documents if document.kind == "Tenant")
        mark = "current" if revision is held[0] else ""
        number = f"r{revision.number}" if revision.number is not None else revision.config_name
        rows.append((number, str(tenants), revision.digest[:12], revision.author or "-", mark))
    output.console().print(output.table(("REVISION", "TENANTS", "DIGEST", "AUTHOR", ""), rows))


def _held(view: View, source: str) -> tuple[Revision, ...]:
    if not (held := view.revisions.get(source, ())):
        known = ", ".join(view.revisions) or "none yet"
        raise UsageError(f"there is no source {source}", remedy=f"sources: {known}")
    return held


@skep.command("undo")
@click.argument("source", default=DEFAULT_SOURCE)
@click.option(
    "--to", "number", type=int, metavar="N", help="The revision to return to (default: the one before the newest)."
)
@command
async def undo(shared: Shared, source: str, number: int | None) -> int:
    """Publish an older revision's content again, under a new number."""
    async with shared.target.connect() as engine:
        view = await look(engine)
        held = _held(view, source)
        if number is None:
            older = held[1] if len(held) > 1 else None
        else:
            older = next((revision for revision in held if revision.number == number), None)
        if older is None:
            wanted = f"r{number}" if number is not None else "revision before the newest"
            raise UsageError(f"{source} has no {wanted}", remedy=f"`skep history {source}` lists what is kept")
        text = decode(older.body)
        next_number = max((revision.number or 0 for revision in held), default=0) + 1
        made = await publish.publish(
            engine,
            Draft(source, read_text(text, file=older.label).documents, text, next_number, unchanged=False),
            author=author(),
        )
        await publish.collect(engine, (made, *held))
        output.say(f"published {made.label} with the content of {older.label}")
    return 0


APPROVALS: dict[str, tuple[Verb, str]] = {
    "deletions": ("approve-deletions", "let a source's newest revision delete what the brake holds"),
    "database": ("approve-database", "make a tenant's lost database again, empty"),
    "adopt": ("approve-adopt", "take the retained data of a deleted tenant up again"),
    "purge": ("approve-purge", "remove the retained data of a deleted tenant for good"),
}


@skep.command("approve")
@click.argument("what", type=click.Choice(list(APPROVALS)))
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@command
async def approve(shared: Shared, what: str, name: str, yes: bool) -> int:
    """Say yes to what the operator will not do alone.

    \b
    deletions SOURCE   let a source's newest revision delete what the brake holds
    database TENANT    make a tenant's lost database again, empty
    adopt TENANT       take the retained data of a deleted tenant up again
    purge TENANT       remove the retained data of a deleted tenant for good
    """
    verb, meaning = APPROVALS[what]
    index: int | None = None
    async with shared.target.connect() as engine:
        view = await look(engine)
        if what == "deletions":
            state = next((state for state in view.fleet.sources if state.name == name and state.held), None)
            if state is None or state.newest is None:
                raise UsageError(f"the brake holds nothing of source {name}")
            meaning = f"delete {count(state.held, 'tenant')} of source {name} ({state.newest.label})"
            index = state.newest.index
        else:
            record = view.records.get(view.tenant_named(name))
            if what in ("adopt", "purge") and (record is None or record.leaving != "retained"):
                raise UsageError(f"tenant {name} has no retained data")
        if what != "adopt" and not yes:
            click.confirm(f"This will {meaning}. Go on?", abort=True, err=True)
        await ask(engine, verb, name, index=index)
    output.say(f"approved: {what} {name}")
    return 0


async def ask(engine: Engine, verb: Verb, target: str, *, index: int | None = None) -> None:
    request = Request(verb, target, author(), index=index)
    await engine.create_config(names.request(new_id()), request.body(), request.labels())
