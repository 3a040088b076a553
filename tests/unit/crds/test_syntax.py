"""What YAML may not do here, and where a broken document is told to be broken."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skep.crds.reader import read_text
from skep.crds.syntax import DEPTH_MAX, DOCUMENT_MAX, NODES_MAX, Chunk, compose, decode, split
from tests.unit.crds.documents import complaints, header, only, read, stream, tenant_text


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        pytest.param(
            "owner: &x a@b.org", "7:10: anchor &x is not allowed; write the value out where it is needed", id="anchor"
        ),
        pytest.param("owner: *x", "7:10: not YAML: alias *x is not allowed; write the value out", id="alias"),
        pytest.param("app: &x {}", "7:8: anchor &x is not allowed; write the value out where it is needed", id="on a map"),
        pytest.param("hosts: &x []", "7:10: anchor &x is not allowed; write the value out where it is needed", id="on a list"),
        pytest.param("<<: {plan: pro}", "7:3: merge key << is not allowed; write the values out", id="merge key"),
        pytest.param("owner: !!str a@b.org", "7:10: tag 'tag:yaml.org,2002:str' is not allowed; remove it", id="tag"),
        pytest.param("owner: !env X", "7:10: tag '!env' is not allowed; remove it", id="custom tag"),
        pytest.param("owner: !!python/object/apply:os.system [id]", "7:10: tag 'tag:yaml.org,2002:python/object/apply:os.system' is not allowed; remove it", id="python tag"),
        pytest.param("app: !x {}", "7:8: tag '!x' is not allowed; remove it", id="tag on a map"),
        pytest.param("plan: pro", "7:3: key 'plan' stands here twice, first in line 6; remove one", id="double key"),
        pytest.param("? [a]\n: b", "7:5: a key must be plain text", id="list as key"),
        pytest.param("? {a: b}\n: b", "7:5: a key must be plain text", id="map as key"),
        pytest.param("app: {? : b}", "the key is empty; write one before the colon", id="no key"),
        pytest.param("~: b", "7:3: the key is empty; write one before the colon", id="null key"),
        pytest.param('owner: "a\\0b"', "7:10: holds the control character U+0000; remove it", id="escaped control"),
        pytest.param("owner: a\tb\x01c", "7:13: the control character U+0001 may not stand in a document; remove it", id="control"),
        pytest.param("owner: a\u2028b", "7:11: the control character U+2028 may not stand in a document; remove it", id="hidden line"),
        pytest.param("owner: a\x85b", "7:11: the control character U+0085 may not stand in a document; remove it", id="next line"),
        pytest.param("owner: a\x7fb", "7:11: the control character U+007F may not stand in a document; remove it", id="delete"),
        pytest.param("owner: a\rb", "7:11: a carriage return stands alone; end lines with a newline", id="lone return"),
        pytest.param("\towner: a@b.org", None, id="tab"),
        pytest.param("owner: a: b", "7:11: not YAML: a colon where none is expected; put the text in quotes, or mend the indentation", id="colon"),
        pytest.param("owner: @me", "7:10: not YAML: '@' cannot begin a value; put the text in quotes", id="at sign"),
        pytest.param("owner: `me`", "7:10: not YAML: '`' cannot begin a value; put the text in quotes", id="backtick"),
        pytest.param("hosts: [a", "not YAML: a bracket is opened and never closed, or a comma is missing", id="open list"),
        pytest.param("app: {a: b", "not YAML: a bracket is opened and never closed, or a comma is missing", id="open map"),
        pytest.param("owner: 'a", "not YAML: a quote is opened and never closed", id="open quote"),
        pytest.param('owner: "a', "not YAML: a quote is opened and never closed", id="open double quote"),
        pytest.param("owner: 'it's'", "7:14: not YAML: something follows a value that has ended; check the quotes", id="quote in quotes"),
        pytest.param("owner", "not YAML: a key without its colon, or a line that belongs to nothing", id="no colon"),
        pytest.param("- a", "not YAML: this line is indented differently from its neighbours", id="list among keys"),
        pytest.param(" owner: x", "not YAML:", id="too far in"),
        pytest.param('owner: "\\ud800"', "not YAML: ", id="half a surrogate pair"),
        pytest.param('owner: "\\z"', "not YAML: ", id="unknown escape"),
    ],
)  # fmt: skip
def test_what_yaml_may_not_do_is_told_at_its_place(spec: str, expected: str | None) -> None:
    text = header("Tenant", "acme") + "  displayName: Acme\n  plan: free\n"
    lines = complaints(text + "\n".join("  " + line for line in spec.split("\n")) + "\n")
    if expected is None:
        expected = "not YAML: a tab stands where spaces are needed; indent with spaces"
    assert any(expected.replace("not YAML: alias", "alias") in line for line in lines), lines


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("just text\n", "1:1: a document must be a mapping that begins with apiVersion, kind, metadata, spec"),
        ("- a\n", "1:1: a document must be a mapping that begins with apiVersion, kind, metadata, spec"),
        ("null\n", "1:1: a document must be a mapping that begins with apiVersion, kind, metadata, spec"),
        ("\n\n42\n", "3:1: a document must be a mapping that begins with apiVersion, kind, metadata, spec"),
        ("%YAML 1.2\n---\n", "1:1: directives (lines that begin with %) are not allowed; remove the line"),
        ("a: b\n" * 3, "2:1: key 'a' stands here twice, first in line 1; remove one"),
        ("[" * 100_000, f"1:{DEPTH_MAX + 1}: nested more than {DEPTH_MAX} deep"),
        ("{a: " * 1000, f"nested more than {DEPTH_MAX} deep"),
        ("- " * 1000, f"nested more than {DEPTH_MAX} deep"),
        ("- x\n" * (NODES_MAX + 1), f"{NODES_MAX}:3: the document has more than {NODES_MAX} values; split it"),
        ("# " + "x" * DOCUMENT_MAX + "\na: b", f"the document has {DOCUMENT_MAX + 8} characters; {DOCUMENT_MAX} are the most"),
    ],
)  # fmt: skip
def test_a_document_that_is_none_is_told_so(text: str, expected: str) -> None:
    assert any(expected in line for line in complaints(text)), complaints(text)[:5]


def test_an_alias_bomb_is_refused_and_never_built() -> None:
    levels = "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]\n" for n in range(1, 30))
    lines = complaints(f"l0: &l0 [x]\n{levels}")
    assert len([line for line in lines if "alias" in line]) == 9 * 29


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("no", "no"), ("1.10", "1.10"), ("12:30:45", "12:30:45"), ("0123", "0123"), ("2026-99-99", "2026-99-99"),
        ("9" * 80, "9" * 80), ("1e5", "1e5"), ("0x1F", "0x1F"), (".inf", ".inf"), ("=", "="), ("'null'", "null"),
        ('"~"', "~"), ("yes", "yes"), ("NULLS", "NULLS"), ("'<<'", "<<"), ("true", "true"), ("|\n          two\n          lines\n", "two\nlines\n"),
    ],
)  # fmt: skip
def test_plain_values_mean_what_they_look_like(written: str, value: str) -> None:
    model = only(tenant_text(f"app:\n  settings:\n    value: {written}")).model
    assert model.spec.app.settings == {"value": value}  # type: ignore[union-attr]  # it is a Tenant


def test_bytes_that_are_not_utf8_are_told_at_their_place_and_hide_no_other_error() -> None:
    text = tenant_text("suspend: yes\n").encode().replace(b"Acme", b"Ac\xe4me")
    assert [str(problem) for problem in read_text(text, file="f").problems] == [
        "f:5:18: byte 0xe4 is not UTF-8; save the file as UTF-8",
        "f:7:12: spec.suspend: 'yes' is not true or false; write true",
    ]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "latin-1"])
def test_other_encodings_are_refused(encoding: str) -> None:
    reading = read_text(tenant_text().replace("Acme", "Äcme").encode(encoding), file="f")
    assert not reading.documents
    assert reading.problems


def test_a_byte_order_mark_and_windows_line_ends_are_fine() -> None:
    text = ("\ufeff" + stream(tenant_text(), tenant_text(name="birch"))).replace("\n", "\r\n")
    reading = read_text(text.encode(), file="f")
    assert [document.name for document in reading.documents] == ["acme", "birch"]
    assert "\r\n" in reading.documents[0].text


def test_an_error_in_one_document_never_hides_another() -> None:
    broken = header("Tenant", "broken") + "  hosts: [a\n"
    assert [(d.name, d.line) for d in read(broken, tenant_text(), 'x: "\n', tenant_text(name="birch")).documents] == [
        ("acme", 7),
        ("birch", 16),
    ]
    assert complaints(broken, tenant_text("suspend: yes"), 'x: "\n')[-2:] == [
        "13:12: spec.suspend: 'yes' is not true or false; write true",
        "16:1: not YAML: a quote is opened and never closed",
    ]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        pytest.param("a\n---\nb\n", [(1, 1, "a\n"), (3, 1, "b\n")], id="plain"),
        pytest.param("---\na\n", [(1, 1, ""), (2, 1, "a\n")], id="leading marker"),
        pytest.param("--- # note\na\n", [(1, 1, ""), (1, 4, " # note\na\n")], id="note on the marker"),
        pytest.param("--- {a: b}\n", [(1, 1, ""), (1, 4, " {a: b}\n")], id="content on the marker"),
        pytest.param("a\n...\n---\nb", [(1, 1, "a\n"), (3, 1, ""), (4, 1, "b")], id="dots"),
        pytest.param("a\r\n---  \r\nb\r\n", [(1, 1, "a\r\n"), (3, 1, "b\r\n")], id="windows"),
        pytest.param("a: |\n  ---\n---b: c\n ---\n", [(1, 1, "a: |\n  ---\n---b: c\n ---\n")], id="no markers"),
        pytest.param("a\n---", [(1, 1, "a\n"), (2, 4, "")], id="marker at the end"),
    ],
)
def test_documents_are_split_at_markers_and_know_their_place(text: str, lines: list[tuple[int, int, str]]) -> None:
    assert [(chunk.line, chunk.column, chunk.text) for chunk in split(text)] == lines


def test_places_on_the_markers_own_line_are_right() -> None:
    (complaint,) = complaints("--- {apiVersion: skep/v1, kind: Plan, metadata: {name: free}, sepc: {}}\n")
    assert complaint == "1:63: sepc: unknown field; did you mean spec?"


def test_columns_count_characters_not_bytes() -> None:
    (complaint,) = complaints(tenant_text("app: {settings: {a: 'äöü👋', b-b: x}}"))
    assert complaint.startswith("7:31: ")


YAMLISH = st.lists(
    st.sampled_from(
        ["apiVersion: skep/v1\n", "kind: Tenant\n", "metadata: {name: acme}\n", "spec:\n", "  plan: free\n", "---\n", "- ",
         "a", ": ", "\n", "  ", "\t", "[", "]", "{", "}", "&x ", "*x", "!!str ", "<<: ", "'", '"', "\\", "|\n", ">\n", "#",
         "%YAML 1.1\n", "...\n", "?", ",", "é", "👋", "\x00", "\ufeff", "\u2028", "\r", "\r\n", "~", "hosts:", '"\\n": ', "\\"]
    )
).map("".join)  # fmt: skip


@given(YAMLISH)
def test_any_text_is_read_without_a_traceback_and_every_place_is_in_the_file(text: str) -> None:
    lines = re.split("\n", text)
    for problem in read_text(text.encode(), file="f").problems:
        assert 1 <= problem.line <= len(lines) + 1
        assert problem.column >= 1
        assert "\n" not in str(problem)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_without_a_traceback(data: bytes) -> None:
    read_text(data, file="f")


@given(YAMLISH)
def test_splitting_loses_no_line(text: str) -> None:
    chunks = list(split(text))
    kept = "".join(chunk.text for chunk in chunks)
    without = re.sub(r"^(?:---|\.\.\.)(?=[ \t\r\n]|\Z)([ \t]*\r?\n)?", "", text, flags=re.MULTILINE)
    assert kept == without


def test_a_tree_names_the_nearest_written_place() -> None:
    tree = compose(Chunk("a:\n  b: [x, y]\n", 1, 1))
    assert tree.place(("a", "b", 1)) == (2, 10)
    assert tree.place(("a", "b"), of_key=True) == (2, 3)
    assert tree.place(("a", "c", "d")) == (1, 1)
    assert tree.place(("z",)) == (1, 1)


def test_decoding_marks_each_bad_byte() -> None:
    assert decode(b"\xef\xbb\xbfa\xff") == "a\udcff"


def test_a_refused_value_is_told_once() -> None:
    assert complaints(tenant_text("suspend: *x\nowner: *y\n")) == [
        "7:12: alias *x is not allowed; write the value out",
        "8:10: alias *y is not allowed; write the value out",
    ]
