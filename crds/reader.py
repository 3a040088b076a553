"""From files to documents: every error of the input at once, each at the place that a person has to mend."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path as FilePath

from pydantic import ValidationError

from skep.crds import syntax
from skep.crds.base import API_VERSION, Metadata, Path, shown
from skep.crds.explain import explain, suggest
from skep.crds.plan import Plan
from skep.crds.platform import Platform
from skep.crds.syntax import Chunk, Place, Tree
from skep.crds.tenant import Tenant, TenantMetadata

FILE_MAX = 16 * 1024 * 1024  # bytes; 10,000 tenants are 2.2 MB
_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
SUFFIXES = (".yaml", ".yml")

AnyKind = Platform | Plan | Tenant
KINDS: dict[str, type[AnyKind]] = {"Platform": Platform, "Plan": Plan, "Tenant": Tenant}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to mend. *kind* and *name* are of the document it belongs to, None where they could not be read."""

    file: str
    line: int
    column: int
    message: str
    kind: str | None = None
    name: str | None = None

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.message}"


@dataclass(frozen=True, slots=True)
class Document:
    """One valid document. *text* is its YAML exactly as written, comments included, without the `---` around it."""

    model: AnyKind
    text: str
    file: str
    line: int  # where the text begins, from 1
    column: int = field(default=1, repr=False)  # more than 1 if the text follows a --- on its line

    @property
    def kind(self) -> str:
        return self.model.kind

    @property
    def name(self) -> str:
        return self.model.metadata.name

    def place(self, path: Path, *, of_key: bool = False) -> Place:
        """Line and column of the field at *path* (YAML names), or of the nearest written one above it.

        Reads the text again: places are wanted seldom, and cost memory.
        """
        return syntax.compose(Chunk(self.text, self.line, self.column)).place(path, of_key=of_key)

    def problem(self, path: Path, message: str) -> Problem:
        """A Problem at the field *path* of this document; the message begins with the path."""
        line, column = self.place(path)
        return Problem(self.file, line, column, f"{dotted(path)}: {message}", self.kind, self.name)


@dataclass(frozen=True, slots=True)
class Reading:
    """What an input holds. Only if it is *complete* may anybody conclude that something is absent from it.

    It is not if some document could not be read far enough to know its kind and name.
    """

    documents: tuple[Document, ...] = ()
    problems: tuple[Problem, ...] = ()
    complete: bool = True

    @classmethod
    def of(cls, readings: Iterable[Reading]) -> Reading:
        """Several readings as one, in their order."""
        parts = tuple(readings)
        return cls(
            documents=tuple(document for part in parts for document in part.documents),
            problems=tuple(problem for part in parts for problem in part.problems),
            complete=all(part.complete for part in parts),
        )


def dotted(path: Path) -> str:
    """`("spec", "hosts", 0)` as `spec.hosts[0]`; keys that are no plain words stand in quotes."""
    parts = (f".{part}" if isinstance(part, str) and _PLAIN_KEY.fullmatch(part) else _bracketed(part) for part in path)
    return "".join(parts).removeprefix(".")


def _bracketed(part: str | int) -> str:
    return f"[{part}]" if isinstance(part, int) else f"[{shown(part)}]"


def join(documents: tuple[Document, ...]) -> str:
    """The documents as one YAML stream, each as it was written."""
    return "---\n".join(text if text.endswith("\n") else f"{text}\n" for text in (d.text for d in documents))


def read_text(data: bytes, *, file: str) -> Reading:
    """The documents of one YAML stream; *file* is the name in messages."""
    if len(data) > FILE_MAX:
        message = f"has {len(data)} bytes; {FILE_MAX} are the most. Split it, or use several sources"
        return Reading(problems=(Problem(file, 1, 1, message),), complete=False)
    documents: list[Document] = []
    problems: list[Problem] = []
    complete = True
    for chunk in syntax.split(syntax.decode(data)):
        if syntax.is_empty(chunk):
            continue
        document, found, known = _read_chunk(chunk, file)
        if document:
            documents.append(document)
        problems += found
        complete = complete and known
    return Reading(tuple(documents), tuple(problems), complete)


def _read_chunk(chunk: Chunk, file: str) -> tuple[Document | None, list[Problem], bool]:
    """The document if it is faultless, its problems, and whether its kind and name are known."""
    tree = syntax.compose(chunk)
    faults = list(tree.faults)
    model: AnyKind | None = None
    if isinstance(tree.root, dict):
        if tree.is_whole:
            model, found = _validate(tree, tree.root)
            faults += found
    elif tree.is_whole and not faults:
        faults.append(
            (tree.place(()), "a document must be a mapping that begins with apiVersion, kind, metadata, spec")
        )
    if model and not faults:
        return Document(model, chunk.text, file, chunk.line, chunk.column), [], True
    kind, name = _identity(tree)
    problems = [
        Problem(file, line, column, text.replace("<tenant>", name) if kind == "Tenant" and name else text, kind, name)
        for (line, column), text in sorted(faults)
    ]
    return None, problems, kind is not None and name is not None and _is_single(chunk, tree)


def _identity(tree: Tree) -> tuple[str | None, str | None]:
    """Kind and name as far as they could be read; None for what is missing or not valid."""
    root = tree.root
    if not isinstance(root, dict):
        return None, None
    kind = root.get("kind")
    model = KINDS.get(kind) if isinstance(kind, str) else None
    metadata = root.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    if model is None or not isinstance(name, str):
        return (kind if model and isinstance(kind, str) else None), None
    try:
        (TenantMetadata if model is Tenant else Metadata).model_validate({"name": name})
    except ValidationError:
        return str(kind), None
    return str(kind), name


def _is_single(chunk: Chunk, tree: Tree) -> bool:
    """Whether a broken text is surely about one document: after a lost `---`, a second one may hide in the rest."""
    return tree.is_one and (tree.is_whole or syntax.count_kinds(chunk) == 1)


def _validate(tree: Tree, root: dict[str, syntax.Value]) -> tuple[AnyKind | None, list[tuple[Place, str]]]:
    kind = root.get("kind")
    faults: list[tuple[Place, str]] = []
    if not isinstance(kind, str) or kind not in KINDS:
        meant = suggest(kind, KINDS) if isinstance(kind, str) else None
        faults.append(_kind_fault(tree, root, meant))
        if not meant:
            return None, faults
        # What the rest would say if the kind were mended is worth saying now.
        kind, root = meant, {**root, "kind": meant}
    try:
        # By alias only: YAML knows no snake_case.
        model = KINDS[kind].model_validate(root, by_alias=True, by_name=False)
    except ValidationError as error:
        for path, of_key, message in explain(error, KINDS[kind]):
            if path not in tree.refused:
                faults.append((tree.place(path, of_key=of_key), f"{dotted(path)}: {message}" if path else message))
        return None, faults
    return model, faults


def _kind_fault(tree: Tree, root: dict[str, syntax.Value], meant: str | None) -> tuple[Place, str]:
    if root.get("kind") is None:
        known = ", ".join(KINDS)
        return tree.place(()), f"kind: missing; write one of {known}"
    kind = root["kind"]
    told = shown(kind) if isinstance(kind, str) else "this"
    if meant:
        return tree.place(("kind",)), f"kind: {told} is not known; did you mean {meant}?"
    if root.get("apiVersion") != API_VERSION:
        return tree.place(("kind",)), f"kind: {told} is not a kind of {API_VERSION}; known are {', '.join(KINDS)}"
    return tree.place(("kind",)), f"kind: {told} is not known; write one of {', '.join(KINDS)}"


def read_path(path: FilePath) -> Reading:
    """The documents of a file, or of all YAML files below a directory, by name; hidden ones are left out.

    File names in messages begin with *path* as it was given. What cannot be read is a Problem and makes the reading
    incomplete.
    """
    if not os.path.exists(path):  # Path.exists raises where a folder above may not be entered
        return _unread(path, "there is no such file or directory")
    if not path.is_dir():
        return _read_file(path)
    unread: list[Reading] = []
    readings = [_read_found(file, path) for file in _find(path, unread)]
    if not readings and not unread:
        return _unread(path, f"holds no {' or '.join('*' + suffix for suffix in SUFFIXES)} file")
    return Reading.of((*readings, *unread))


def _find(root: FilePath, unread: list[Reading]) -> list[FilePath]:
    """The YAML files below *root*, sorted; folders that cannot be looked into are told in *unread*."""

    def tell(error: OSError) -> None:
        unread.append(_unread(FilePath(error.filename), f"cannot be read: {error.strerror}"))

    files: list[FilePath] = []
    for folder, folders, names in os.walk(root, onerror=tell):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for link in (FilePath(folder, name) for name in folders):
            if link.is_symlink():
                unread.append(_unread(link, "links to directories are not followed; put the directory itself here"))
        files += [FilePath(folder, name) for name in names if name.endswith(SUFFIXES) and not name.startswith(".")]
    return sorted(files)


def _read_found(file: FilePath, root: FilePath) -> Reading:
    if file.is_symlink() and not file.resolve().is_relative_to(root.resolve()):
        return _unread(file, "this link leads out of the directory, so it is not followed; put the file itself here")
    if os.path.exists(file) and not os.path.isfile(file):  # a pipe that nobody writes to would hold us for ever
        return _unread(file, "is not a regular file; remove it")
    return _read_file(file)


def _read_file(path: FilePath) -> Reading:
    try:
        with path.open("rb") as opened:
            data = opened.read(FILE_MAX + 1)
    except OSError as error:
        return _unread(path, f"cannot be read: {error.strerror}")
    return read_text(data, file=str(path))


def _unread(path: FilePath, message: str) -> Reading:
    return Reading(problems=(Problem(str(path), 1, 1, message),), complete=False)
