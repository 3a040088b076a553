"""Documents, whose they are, when a reading is complete, and files."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from skep.crds.reader import FILE_MAX, Document, Problem, Reading, join, read_path, read_text
from tests.unit.crds.documents import complaints, header, only, plan_text, platform_text, read, stream, tenant_text


def test_a_stream_holds_many_documents_each_with_its_own_text_and_place() -> None:
    text = "# top\n" + platform_text() + "---\n\n# about free\n" + plan_text() + "--- # acme\n" + tenant_text()
    reading = read_text(text.encode(), file="all.yaml")
    assert [(d.kind, d.name, d.file, d.line) for d in reading.documents] == [
        ("Platform", "demo", "all.yaml", 1),
        ("Plan", "free", "all.yaml", 11),
        ("Tenant", "acme", "all.yaml", 16),
    ]
    assert reading.documents[0].text == "# top\n" + platform_text()
    assert reading.documents[1].text == "\n# about free\n" + plan_text()
    assert reading.documents[2].text == " # acme\n" + tenant_text()
    assert reading.complete


def test_joined_documents_read_the_same_again() -> None:
    reading = read(platform_text(), "# note\n" + plan_text(), tenant_text("suspend: true"))
    again = read_text(join(reading.documents).encode(), file="f")
    assert [document.model for document in again.documents] == [document.model for document in reading.documents]
    assert [document.text for document in again.documents] == [document.text for document in reading.documents]


def test_empty_documents_and_comments_are_nothing() -> None:
    assert read_text(b"", file="f") == Reading()
    assert read_text(b"---\n# only a note\n---\n\n...\n", file="f") == Reading()


def test_a_problem_reads_like_a_compilers() -> None:
    assert (
        str(Problem("tenants/acme.yaml", 7, 13, "spec.plan: missing")) == "tenants/acme.yaml:7:13: spec.plan: missing"
    )


def test_a_document_tells_the_place_of_its_fields() -> None:
    document = read("# first\n", tenant_text("hosts:\n  - a.org\n  - b.org")).documents[0]
    assert document.place(("spec", "hosts", 1)) == (11, 7)
    assert document.place(("spec", "hosts"), of_key=True) == (9, 3)
    assert document.problem(("spec", "hosts", 1), "is taken") == Problem(
        "f", 11, 7, "spec.hosts[1]: is taken", "Tenant", "acme"
    )


def test_problems_say_whose_document_they_are_about() -> None:
    (problem,) = read(tenant_text("suspend: yes")).problems
    assert (problem.kind, problem.name) == ("Tenant", "acme")
    (problem,) = read(plan_text("limits: {cpus: x}")).problems
    assert (problem.kind, problem.name) == ("Plan", "free")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("kind: Tenant\nmetadata: {name: acme}\nspec: {displayName: x, plan: y}\n", "1:1: apiVersion: missing; every Tenant needs it"),
        (tenant_text().replace("skep/v1", "skep/v2"), "1:13: apiVersion: 'skep/v2' is not known; write skep/v1"),
        (tenant_text().replace("kind: Tenant\n", ""), "1:1: kind: missing; write one of Platform, Plan, Tenant"),
        (tenant_text().replace("kind: Tenant", "kind: Tennant"), "2:7: kind: 'Tennant' is not known; did you mean Tenant?"),
        (tenant_text().replace("kind: Tenant", "kind: tenant"), "2:7: kind: 'tenant' is not known; did you mean Tenant?"),
        (tenant_text().replace("kind: Tenant", "kind: Tenants"), "2:7: kind: 'Tenants' is not known; did you mean Tenant?"),
        (tenant_text().replace("kind: Tenant", "kind: Release"), "2:7: kind: 'Release' is not known; write one of Platform, Plan, Tenant"),
        (tenant_text().replace("kind: Tenant", "kind: [Tenant]"), "2:7: kind: this is not known; write one of Platform, Plan, Tenant"),
        (tenant_text().replace("kind: Tenant", "kind:"), "1:1: kind: missing; write one of Platform, Plan, Tenant"),
        (
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n",
            "2:7: kind: 'ConfigMap' is not a kind of skep/v1; known are Platform, Plan, Tenant",
        ),
        (header("Tenant", "acme").replace("spec:\n", ""), "1:1: spec: missing; every Tenant needs it"),
        (header("Tenant", "acme"), "4:6: spec: has no value; write one"),
        (header("Tenant", "acme") + "  displayName: Acme\n", "4:1: spec.plan: missing; every Tenant needs it"),
        (header("Tenant", "acme") + "  displayName: Acme\n  plna: free\n", "6:3: spec.plna: unknown field; did you mean plan?"),
        (tenant_text() + "status: {}\n", "7:1: status: unknown field; known here: apiVersion, kind, metadata, spec"),
    ],
)  # fmt: skip
def test_a_wrong_head_is_told_in_one_line(text: str, expected: str) -> None:
    assert complaints(text) == [expected]


def test_a_misspelt_kind_hides_no_other_error() -> None:
    assert complaints(tenant_text("suspend: yes").replace("kind: Tenant", "kind: Tenent")) == [
        "2:7: kind: 'Tenent' is not known; did you mean Tenant?",
        "7:12: spec.suspend: 'yes' is not true or false; write true",
    ]


@pytest.mark.parametrize(
    ("text", "complete"),
    [
        pytest.param(tenant_text(), True, id="a good one"),
        pytest.param(tenant_text("suspend: yes"), True, id="a wrong field, but known whose"),
        pytest.param(tenant_text("unknown: x"), True, id="an unknown field, but known whose"),
        pytest.param(tenant_text("owner: &x y"), True, id="an anchor, but known whose"),
        pytest.param(tenant_text() + "  hosts: [a\n", True, id="broken below its name"),
        pytest.param(tenant_text().replace("skep/v1", "skep/v2"), True, id="another version, but known whose"),
        pytest.param("x: [\n" + tenant_text(), False, id="broken above its name"),
        pytest.param(tenant_text(name="Acme"), False, id="a wrong name: whose is it?"),
        pytest.param(tenant_text().replace("name: acme", "nam: acme"), False, id="no name"),
        pytest.param(tenant_text().replace("name: acme", "name: [acme]"), False, id="no name but a list"),
        pytest.param(tenant_text().replace("kind: Tenant", "kind: Tennant"), False, id="a misspelt kind"),
        pytest.param(tenant_text().replace("kind: Tenant\n", ""), False, id="no kind"),
        pytest.param(tenant_text() + tenant_text(name="birch"), False, id="a lost marker"),
        pytest.param(tenant_text() + "--\n" + tenant_text(name="birch"), False, id="a misspelt marker"),
        pytest.param(tenant_text() + " ---\n" + tenant_text(name="birch"), False, id="an indented marker"),
        pytest.param(tenant_text() + "metadata: {name: birch}\n", False, id="two names"),
        pytest.param(tenant_text().replace("{name: acme}", "{name: acme, name: birch}"), False, id="two names in one"),
        pytest.param("just text\n", False, id="no mapping"),
        pytest.param("[" * 100, False, id="too deep"),
        pytest.param("%YAML 1.2\n---\n" + tenant_text(), False, id="a directive"),
        pytest.param("# nothing\n", True, id="nothing"),
    ],
)
def test_a_reading_is_complete_if_every_document_is_known_by_kind_and_name(text: str, complete: bool) -> None:
    assert read(text).complete is complete
    assert read(tenant_text(name="cedar"), text).complete is complete
    assert "cedar" in [document.name for document in read(text, tenant_text(name="cedar")).documents]


def test_a_too_large_input_is_refused_unread() -> None:
    reading = read_text(b"#" * (FILE_MAX + 1), file="f")
    assert [str(problem) for problem in reading.problems] == [
        "f:1:1: has 16777217 bytes; 16777216 are the most. Split it, or use several sources"
    ]
    assert not reading.complete


def test_a_directory_is_read_whole_sorted_and_without_hidden_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in {
        "hive/b.yaml": tenant_text(name="birch"),
        "hive/a/z.yml": tenant_text(name="acme"),
        "hive/platform.yaml": platform_text(),
        "hive/.hidden.yaml": "not: [yaml",
        "hive/.git/x.yaml": "not: [yaml",
        "hive/README.md": "# not yaml: [",
        "hive/c.yaml~": "not: [yaml",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    reading = read_path(Path("hive"))
    assert [(document.file, document.name) for document in reading.documents] == [
        ("hive/a/z.yml", "acme"),
        ("hive/b.yaml", "birch"),
        ("hive/platform.yaml", "demo"),
    ]
    assert reading.complete
    assert not reading.problems


def test_every_error_of_a_directory_is_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.yaml").write_text(tenant_text("suspend: yes"))
    (tmp_path / "b.yaml").write_text("x: [\n")
    (tmp_path / "c.yaml").write_text(tenant_text("nope: x"))
    monkeypatch.chdir(tmp_path)
    assert [str(problem).split(": ")[0] for problem in read_path(Path(".")).problems] == [
        "a.yaml:7:12",
        "b.yaml:2:1",
        "c.yaml:7:3",
    ]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("nowhere", "nowhere:1:1: there is no such file or directory"),
        ("empty", "empty:1:1: holds no *.yaml or *.yml file"),
        ("pipe", "pipe/x.yaml:1:1: is not a regular file; remove it"),
        ("dangling", "dangling/x.yaml:1:1: cannot be read: No such file or directory"),
        ("away", "away/x.yaml:1:1: this link leads out of the directory, so it is not followed; put the file itself here"),
        ("linked", "linked/other:1:1: links to directories are not followed; put the directory itself here"),
        ("folder", "folder:1:1: holds no *.yaml or *.yml file"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_told_and_makes_the_reading_incomplete(
    path: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("empty", "dangling", "away", "pipe", "folder/x.yaml"):
        (tmp_path / folder).mkdir(parents=True)
    os.mkfifo(tmp_path / "pipe/x.yaml")
    (tmp_path / "secret").write_text("root key")
    (tmp_path / "dangling/x.yaml").symlink_to("gone.yaml")
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked/other").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "away/x.yaml").symlink_to("../secret")
    reading = read_path(Path(path))
    assert [str(problem) for problem in reading.problems] == [message]
    assert not reading.complete


def test_a_file_is_read_by_whatever_name_it_has(tmp_path: Path) -> None:
    (tmp_path / "acme.txt").write_text(tenant_text())
    assert [document.name for document in read_path(tmp_path / "acme.txt").documents] == ["acme"]


def test_a_link_within_the_directory_is_followed(tmp_path: Path) -> None:
    (tmp_path / ".data").mkdir()
    (tmp_path / ".data/acme").write_text(tenant_text())
    (tmp_path / "acme.yaml").symlink_to(".data/acme")
    assert [document.name for document in read_path(tmp_path).documents] == ["acme"]


def test_a_model_written_out_and_read_again_is_the_same() -> None:
    document = only(
        tenant_text(
            "app: {replicas: 2, resources: {cpus: 250m, memory: 1536Mi}, settings: {a: '1'}}\n"
            "database: {statementTimeout: 90s}\nhosts: [a.org]\n"
        )
    )
    written = document.model.written()
    assert written["spec"] == {
        "displayName": "Acme",
        "plan": "free",
        "hosts": ["a.org"],
        "app": {"replicas": 2, "resources": {"cpus": 0.25, "memory": "1536Mi"}, "settings": {"a": "1"}},
        "database": {"statementTimeout": "90s"},
    }
    assert type(document.model).model_validate(written) == document.model


def test_ten_thousand_tenants_are_read_in_seconds() -> None:
    text = stream(*(tenant_text("app:\n  settings:\n    accent: '#0a7d5a'\n", name=f"t{n:05}") for n in range(10_000)))
    started = time.perf_counter()
    reading = read_text(text.encode(), file="f")
    took_s = time.perf_counter() - started
    assert len(reading.documents) == 10_000
    assert not reading.problems
    assert took_s < 10, "0.5 s on two idle cores; far more means that something became quadratic"


def test_documents_are_values() -> None:
    first, second = only(tenant_text()), only(tenant_text())
    assert isinstance(first, Document)
    assert first == second
