"""YAML as skep reads it: mappings, lists and text with their places; nothing that YAML can hide or blow up.

Anchors, aliases, merge keys, tags and duplicate keys are refused, as are control characters, depth and size, before
anything is built. Scalars stay text: `no`, `1.10` and `12:30` mean what they look like; the schema decides types.
Only `null`, `~` or nothing, written plainly, is None.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import yaml  # the stubs know no common type of both parsers' events and marks, hence Any

from skep.crds.base import Path, shown

# The same events and marks, ten times as fast; wheels have it, a source build without libyaml has not.
_LOADER: type[yaml.SafeLoader | yaml.CSafeLoader] = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader

DEPTH_MAX = 20  # the kinds need 7
NODES_MAX = 4_000  # a tenant has about 20
DOCUMENT_MAX = 256 * 1024  # characters

Value = dict[str, "Value"] | list["Value"] | str | None
Place = tuple[int, int]  # line and column, both from 1

# U+0085, U+2028 and U+2029 end a line for YAML and for few editors: places would lie. Lone surrogates stand for bytes
# that are not UTF-8 (see `decode`).
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]|\r(?!\n)")
_MARKER = re.compile(r"^(?:---|\.\.\.)(?=[ \t\r\n]|\Z)", re.MULTILINE)
_DIRECTIVE = re.compile(r"(?:[ \t]*(?:#.*)?\r?\n)*%")
_NULLS = frozenset(["", "~", "null", "Null", "NULL"])


@dataclass(frozen=True, slots=True)
class Chunk:
    """One document's text between its markers; *line* and *column* say where it begins in the file."""

    text: str
    line: int
    column: int


@dataclass(slots=True)
class Tree:
    """What a chunk says. *root* may be partial if there are *faults*.

    *keys* and *values* give the place of each path's key and value; *refused* paths have no real value. *is_whole* is
    False if reading stopped before the end. *is_one* is False if a key came twice where that may mean a lost `---`:
    then two documents ran into one.
    """

    root: Value = None
    keys: dict[Path, Place] = field(default_factory=dict)
    values: dict[Path, Place] = field(default_factory=dict)
    faults: list[tuple[Place, str]] = field(default_factory=list)
    refused: set[Path] = field(default_factory=set)
    is_whole: bool = True
    is_one: bool = True

    def place(self, path: Path, *, of_key: bool = False) -> Place:
        """Where *path* stands, or the nearest thing above it that is written."""
        first, second = (self.keys, self.values) if of_key else (self.values, self.keys)
        while path and path not in first and path not in second:
            path, (first, second) = path[:-1], (self.keys, self.values)
        return first.get(path) or second.get(path) or (1, 1)


def decode(data: bytes) -> str:
    """UTF-8 to text; each byte that is none becomes a lone surrogate, which `compose` reports at its place."""
    return data.decode("utf-8", errors="surrogateescape").removeprefix("\ufeff")


def split(text: str) -> Iterator[Chunk]:
    """The documents of a stream, the empty ones too.

    `---` or `...` at the beginning of a line ends a document wherever it stands in YAML, quoted and block text
    included; so each document can be read alone, and a broken one never hides the next.
    """
    start, line, column = 0, 1, 1
    for marker in _MARKER.finditer(text):
        yield Chunk(text[start : marker.start()], line, column)
        line += text.count("\n", start, marker.start())
        start, column = marker.end(), 4
        blank = re.compile(r"[ \t]*\r?\n").match(text, start)
        if blank:
            start, line, column = blank.end(), line + 1, 1
    yield Chunk(text[start:], line, column)


def is_empty(chunk: Chunk) -> bool:
    """Whether there is nothing but white space and comments."""
    return all(not line or line.startswith("#") for line in map(str.strip, chunk.text.split("\n")))


def count_kinds(chunk: Chunk) -> int:
    """How often a text seems to say `kind:`, wherever that is. More than once: it may be more than one document."""
    return len(re.findall(r"""\bkind["']?[ \t]*:""", chunk.text))


def compose(chunk: Chunk) -> Tree:
    """Reads one document. Never raises: what is wrong is in the tree's faults."""
    tree = Tree()
    text = chunk.text
    if len(text) > DOCUMENT_MAX:
        tree.faults.append(
            ((chunk.line, chunk.column), f"the document has {len(text)} characters; {DOCUMENT_MAX} are the most")
        )
        tree.is_whole = False
        return tree
    if bad := _FORBIDDEN.search(text):
        # Read on with the bad ones replaced one by one: places stay, and all other faults are found too.
        tree.faults.append((_place_of(chunk, text, bad.start()), _forbidden_fault(bad[0])))
        text = _FORBIDDEN.sub("\ufffd", text)
    if directive := _DIRECTIVE.match(text):
        place = _place_of(chunk, text, directive.end() - 1)
        tree.faults.append((place, "directives (lines that begin with %) are not allowed; remove the line"))
        tree.is_whole = False
        return tree
    _Composer(_LOADER(text), chunk, tree).run()
    return tree


def _place_of(chunk: Chunk, text: str, index: int) -> Place:
    line = text.count("\n", 0, index)
    column = index - (text.rfind("\n", 0, index) + 1)
    return chunk.line + line, column + (chunk.column if line == 0 else 1)


def _forbidden_fault(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        return f"byte 0x{code - 0xDC00:02x} is not UTF-8; save the file as UTF-8"
    if character == "\r":
        return "a carriage return stands alone; end lines with a newline"
    return f"the control character U+{code:04X} may not stand in a document; remove it"


class _Stop(Exception):
    """The rest of the document is not read; the reason is in the faults."""


class _Composer:
    """Builds one Tree from the parser's events, top down, so that a broken document still tells its first half."""

    def __init__(self, parser: yaml.SafeLoader | yaml.CSafeLoader, chunk: Chunk, tree: Tree) -> None:
        self._parser = parser
        self._chunk = chunk
        self._tree = tree
        self._nodes = 0

    def run(self) -> None:
        try:
            self._next()  # StreamStart
            if isinstance(self._next(), yaml.StreamEndEvent):
                return
            self._node(self._next(), (), partial(setattr, self._tree, "root"))
            self._next()  # DocumentEnd
            if not isinstance(extra := self._next(), yaml.StreamEndEvent):
                self._fault(extra, "a second document begins; put --- before it")
                self._tree.is_whole = False
        except _Stop:
            self._tree.is_whole = False
        except yaml.YAMLError as error:
            self._tree.is_whole = False
            self._tree.faults.append(self._syntax_fault(error))
        finally:
            self._parser.dispose()

    def _next(self) -> Any:
        return self._parser.get_event()

    def _place(self, mark: Any) -> Place:
        return self._chunk.line + mark.line, mark.column + (self._chunk.column if mark.line == 0 else 1)

    def _fault(self, event: yaml.Event, message: str) -> None:
        self._tree.faults.append((self._place(event.start_mark), message))

    def _node(self, event: yaml.Event, path: Path, put: Callable[[Value], object]) -> None:
        """Reads the node that *event* begins; *put* gives it to its parent before what it holds is read."""
        place = self._tree.values[path] = self._place(event.start_mark)
        self._nodes += 1
        if self._nodes > NODES_MAX:
            self._fault(event, f"the document has more than {NODES_MAX} values; split it")
            raise _Stop
        if isinstance(event, yaml.ScalarEvent):
            self._refuse_extras(event)
            put(self._scalar(event))
        elif isinstance(event, yaml.AliasEvent):
            self._fault(event, f"alias *{event.anchor} is not allowed; write the value out")
            self._tree.refused.add(path)
            put("")
        elif len(path) >= DEPTH_MAX:
            self._tree.faults.append((place, f"nested more than {DEPTH_MAX} deep"))
            raise _Stop
        elif isinstance(event, yaml.SequenceStartEvent):
            self._refuse_extras(event)
            items: list[Value] = []
            put(items)
            while not isinstance(event := self._next(), yaml.SequenceEndEvent):
                self._node(event, (*path, len(items)), items.append)
        else:
            self._refuse_extras(event)
            mapping: dict[str, Value] = {}
            put(mapping)
            while not isinstance(event := self._next(), yaml.MappingEndEvent):
                self._pair(event, path, mapping)

    def _pair(self, event: yaml.Event, path: Path, mapping: dict[str, Value]) -> None:
        key = self._key(event)
        if key is None:
            self._node(event, (*path, "?"), _discard)
            self._node(self._next(), (*path, "?"), _discard)
            return
        here = (*path, key)
        if key in mapping:
            self._fault(
                event, f"key {shown(key)} stands here twice, first in line {self._tree.keys[here][0]}; remove one"
            )
            if len(path) <= 1:
                self._tree.is_one = False
            self._node(self._next(), (*path, "?"), _discard)
            return
        self._tree.keys[here] = self._place(event.start_mark)
        self._node(self._next(), here, partial(mapping.__setitem__, key))

    def _key(self, event: yaml.Event) -> str | None:
        if not isinstance(event, yaml.ScalarEvent):
            self._fault(event, "a key must be plain text")
            return None
        if event.value == "<<" and event.implicit[0]:
            self._fault(event, "merge key << is not allowed; write the values out")
            return None
        self._refuse_extras(event)
        value = self._scalar(event)
        if value is None:
            self._fault(event, "the key is empty; write one before the colon")
        return value

    def _refuse_extras(self, event: Any) -> None:
        if event.anchor is not None:
            self._fault(event, f"anchor &{event.anchor} is not allowed; write the value out where it is needed")
        if event.tag is not None:
            self._fault(event, f"tag {shown(event.tag)} is not allowed; remove it")

    def _scalar(self, event: yaml.ScalarEvent) -> str | None:
        value: str = event.value
        if event.implicit[0] and value in _NULLS:
            return None
        # Escapes in double quotes can write what the text itself may not hold.
        if event.style == '"' and (bad := _FORBIDDEN.search(value)):
            self._fault(event, f"holds the control character U+{ord(bad[0]):04X}; remove it")
        return value

    def _syntax_fault(self, error: yaml.YAMLError) -> tuple[Place, str]:
        if not isinstance(error, yaml.MarkedYAMLError):
            return (self._chunk.line, self._chunk.column), f"not YAML: {error}"
        mark = error.problem_mark or error.context_mark
        place = self._place(mark) if mark else (self._chunk.line, self._chunk.column)
        lines = self._chunk.text.split("\n")
        line = lines[mark.line] if mark and mark.line < len(lines) else ""
        return place, f"not YAML: {_explain(error.problem or '', line, mark.column if mark else 0)}"


def _discard(value: Value) -> None:
    """Where the values of refused keys go: they are read for their own faults only."""


def _explain(problem: str, line: str, column: int) -> str:
    """The parser's complaint in words for people, with the usual cause."""
    if "\t" in line[: len(line) - len(line.lstrip())] or line[column : column + 1] == "\t":
        return "a tab stands where spaces are needed; indent with spaces"
    if "mapping values are not allowed" in problem:
        return "a colon where none is expected; put the text in quotes, or mend the indentation"
    if "cannot start any token" in problem:
        return f"{shown(line[column : column + 1])} cannot begin a value; put the text in quotes"
    if "could not find expected ':'" in problem:
        return "a key without its colon, or a line that belongs to nothing"
    if "unexpected end of stream" in problem or "unexpected document separator" in problem:
        return "a quote is opened and never closed"
    if "expected <block end>" in problem or "did not find expected key" in problem:
        if line[:column].strip():
            return "something follows a value that has ended; check the quotes"
        return "this line is indented differently from its neighbours"
    if "expected ',' or" in problem or "node content" in problem:
        return "a bracket is opened and never closed, or a comma is missing"
    return problem
