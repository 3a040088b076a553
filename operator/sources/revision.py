"""A source's revision: one immutable config that holds a whole set of documents.

Two ways make one: `docker config create --label skep.source=NAME` (the plain Docker way), and `skep apply`, which
adds a number, a digest and an author. Order is the config's version index, raft's own: no clock, no name.
"""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from skep.operator import formats, names
from skep.operator.engine.spec import Config
from skep.operator.errors import UsageError

NUMBER = "skep.number"
DIGEST = "skep.digest"
AUTHOR = "skep.author"

MAX_STORED_BYTES = 1_000_000  # Swarm takes 1,023,999
MAX_PLAIN_BYTES = 16_000_000  # 70,000 tenants; more is a mistake or an attack on the operator's memory
PLAIN_UP_TO_BYTES = 200_000  # small bodies stay readable with `docker config inspect`


@dataclass(frozen=True, slots=True)
class Revision:
    """*number* and *author* are None for a revision that came the plain Docker way."""

    source: str
    index: int
    config_id: str
    config_name: str
    number: int | None
    digest: str
    author: str | None
    body: bytes
    format: str = formats.FIRST

    @property
    def label(self) -> str:
        """How people call it: `prod r7`, or the config's own name."""
        return f"{self.source} r{self.number}" if self.number is not None else self.config_name


def digest_of(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()


def encode(text: bytes) -> bytes:
    """The body to store. Raises UsageError if even compressed it is too large for one config."""
    if len(text) > MAX_PLAIN_BYTES:
        raise UsageError(
            f"{len(text):,} bytes of declarations are too many for one source", remedy="use several sources"
        )
    body = text if len(text) <= PLAIN_UP_TO_BYTES else gzip.compress(text, 6, mtime=0)
    if len(body) > MAX_STORED_BYTES:
        raise UsageError(
            f"the declarations take {len(body):,} bytes compressed, a config holds {MAX_STORED_BYTES:,}",
            remedy="use several sources",
        )
    return body


def decode(body: bytes) -> bytes:
    """The documents' text. Raises UsageError for a broken or oversized archive."""
    if not body.startswith(b"\x1f\x8b"):
        return body
    text = b""
    while body:  # `cat a.gz b.gz` is one archive of two members: reading only the first would lose documents silently
        unpacker = zlib.decompressobj(wbits=31)
        try:
            text += unpacker.decompress(body, MAX_PLAIN_BYTES + 1 - len(text))
        except zlib.error as error:
            raise UsageError(f"the gzip body is damaged: {error}") from error
        if len(text) > MAX_PLAIN_BYTES or not unpacker.eof:
            raise UsageError(f"the gzip body is cut off or unpacks to more than {MAX_PLAIN_BYTES:,} bytes")
        body = unpacker.unused_data
    return text


def from_config(config: Config) -> Revision | None:
    """The revision that *config* holds; None if it carries no source label."""
    labels = dict(config.labels)
    if not (source := labels.get(names.SOURCE)):
        return None
    number = labels.get(NUMBER, "")
    return Revision(
        source=source,
        index=config.version,
        config_id=config.id,
        config_name=config.name,
        number=int(number) if number.isdecimal() else None,
        digest=labels.get(DIGEST) or digest_of(config.data),
        author=labels.get(AUTHOR),
        body=config.data,
        format=labels.get(formats.LABEL, formats.FIRST),
    )


def by_source(revisions: Iterable[Revision]) -> Mapping[str, tuple[Revision, ...]]:
    """Each source's revisions, newest first."""
    sources: dict[str, list[Revision]] = {}
    for revision in revisions:
        sources.setdefault(revision.source, []).append(revision)
    return {
        source: tuple(sorted(held, key=lambda revision: -revision.index)) for source, held in sorted(sources.items())
    }


def labels_of(source: str, number: int, text: bytes, author: str) -> dict[str, str]:
    return {names.SOURCE: source, NUMBER: str(number), DIGEST: digest_of(text), AUTHOR: author}
