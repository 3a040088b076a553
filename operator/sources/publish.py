"""Publishing: from documents that somebody holds to a source's next revision."""

from __future__ import annotations

import contextlib
import getpass
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from skep.crds.declarations import gather
from skep.crds.reader import Document, Problem, Reading, join
from skep.operator.engine.port import Engine
from skep.operator.errors import InUse, NotFound, TransientError, UsageError
from skep.operator.names import revision as revision_name
from skep.operator.sources.fleet import read_revision
from skep.operator.sources.revision import Revision, digest_of, encode, from_config, labels_of

KEEP = 10  # revisions a source
NOTHING = b"# this source declares nothing any more\n"  # a config cannot be empty


@dataclass(frozen=True, slots=True)
class Draft:
    """What a source's next revision would hold. *unchanged*: the newest one holds exactly this text already."""

    source: str
    documents: tuple[Document, ...]
    text: bytes
    number: int
    unchanged: bool


def draft(
    source: str,
    reading: Reading,
    held: tuple[Revision, ...],
    *,
    prune: bool,
    without: frozenset[tuple[str, str]] = frozenset(),
    seen: int = 0,
) -> Draft:
    """Merge *reading* into the newest of *held* (newest first): added or replaced; with *prune* it is the whole source.

    Documents keep their order and their text, comments included; new ones come last. Raises UsageError where a merge
    would leave out, and so delete, what nobody asked to delete: the newest revision holds documents that cannot be
    read and are not replaced, or it is older than *seen*, the highest index of this source that the operator saw.
    """
    newest = held[0] if held else None
    given = {(document.kind, document.name): document for document in reading.documents}
    before: tuple[Document, ...] = ()
    if not prune:
        before = _to_merge_into(source, newest, frozenset(given) | without, seen)
    kept = {(document.kind, document.name) for document in before}
    merged = [given.get((document.kind, document.name), document) for document in before]
    merged += [document for key, document in given.items() if key not in kept]
    documents = tuple(document for document in merged if (document.kind, document.name) not in without)
    text = join(documents).encode() or NOTHING
    number = max((revision.number or 0 for revision in held), default=0) + 1
    return Draft(source, documents, text, number, newest is not None and newest.digest == digest_of(text))


def _to_merge_into(
    source: str, newest: Revision | None, replaced: frozenset[tuple[str, str]], seen: int
) -> tuple[Document, ...]:
    remedy = "publish the whole source with `skep apply PATH --prune`"
    if (newest.index if newest is not None else 0) < seen:
        raise UsageError(f"the newest revision of {source} is gone, so there is nothing to merge into", remedy=remedy)
    if newest is None:
        return ()
    reading = read_revision(newest)
    lost = [each for each in reading.problems if (each.kind, each.name) not in replaced]
    if lost or not reading.complete:
        problem = (lost or list(reading.problems))[0]
        raise UsageError(f"a merge would lose what cannot be read: {problem}", remedy=f"mend it, or {remedy}")
    return reading.documents


def check(draft: Draft, others: Mapping[str, tuple[Revision, ...]]) -> tuple[Problem, ...]:
    """What is wrong with the draft, next to what the other sources declare; their own faults are theirs."""
    documents = list(draft.documents)
    have = {(document.kind, document.name) for document in documents}
    for source, held in others.items():
        if source != draft.source and held:
            documents += [each for each in read_revision(held[0]).documents if (each.kind, each.name) not in have]
    mine = {id(document) for document in draft.documents}
    files = {document.file for document in documents if id(document) in mine}
    _, problems = gather(Reading(tuple(documents)))
    return tuple(problem for problem in problems if problem.file in files or not documents)


async def publish(engine: Engine, draft: Draft, *, author: str) -> Revision:
    """Create the revision; if somebody else took the number meanwhile, the caller looks again (NameTaken).

    Raises UsageError if it is too large for one config.
    """
    body = encode(draft.text)
    labels = labels_of(draft.source, draft.number, draft.text, author)
    config_id = await engine.create_config(revision_name(draft.source, draft.number), body, labels)
    revision = from_config(await engine.inspect_config(config_id))
    if revision is None:
        raise TransientError("the revision lost its label on the way", retry_after_s=1.0)
    return revision


async def collect(engine: Engine, held: Iterable[Revision], *, keep: int = KEEP) -> None:
    """Remove the oldest revisions beyond *keep*. *held* is newest first."""
    for revision in tuple(held)[keep:]:
        with contextlib.suppress(NotFound, InUse):
            await engine.remove_config(revision.config_id)


def author() -> str:
    """Who publishes, for the history: `user@host`."""
    try:
        return f"{getpass.getuser()}@{socket.gethostname()}"
    except (OSError, KeyError):
        return "unknown"
