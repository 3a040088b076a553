"""Which migration is still owed."""

from __future__ import annotations

import pytest

from skep.operator.engine.spec import Image, JobResult
from skep.operator.errors import TerminalError
from skep.operator.reconcilers.database.catalog import Catalog, Database
from skep.operator.reconcilers.database.template import find, key_of, migrations_of
from skep.operator.reconcilers.schema import desire, failure_key
from tests.unit.reconcilers.tenants import IMAGE, make_file, make_record

OTHER = Image("skep:2", "skep:2@sha256:bbb", "sha256:bbb")


def test_a_schema_that_is_up_to_date_owes_nothing() -> None:
    record = make_record(schema=key_of(IMAGE))
    assert desire(record, make_file(record), IMAGE, timeout_s=300) is None


def test_a_job_carries_what_a_task_would() -> None:
    record = make_record("app: {secrets: [{name: smtp, secret: acme-smtp}]}\n")
    job = desire(record, make_file(record), IMAGE, timeout_s=300)
    assert job is not None
    assert (job.image, job.args, job.networks, job.timeout_s) == (IMAGE.pinned, ("schema",), ("skep-data-1",), 300)
    assert [mount.file for mount in job.secrets] == ["database-password"], (
        "what the tenant brought is not for migrations"
    )


def test_the_same_work_has_the_same_name_and_other_work_another() -> None:
    record = make_record()
    edited = make_record(generation=2)
    jobs = [
        desire(one, make_file(one), image, timeout_s=300)
        for one, image in ((record, IMAGE), (record, IMAGE), (record, OTHER), (edited, IMAGE))
    ]
    names = [job.name for job in jobs if job is not None]
    assert names[0] == names[1]
    assert len(set(names)) == 3
    assert all(len(name) <= 63 for name in names)


def test_a_failure_holds_for_one_image_and_one_declaration() -> None:
    keys = {failure_key(make_record(generation=n), image) for n in (1, 2) for image in (IMAGE, OTHER)}
    assert len(keys) == 4


@pytest.mark.parametrize(
    ("image", "key"),
    [(IMAGE, "sha256:aaa"), (Image("skep:1", "skep:1", None), "skep:1")],
    ids=["digest", "a local image without one"],
)
def test_what_tells_two_images_apart(image: Image, key: str) -> None:
    assert key_of(image) == key


def database(name: str, comment: dict[str, object]) -> Database:
    return Database(name, "skep_admin", 0, False, comment, ())


@pytest.mark.parametrize(
    ("name", "comment", "found"),
    [
        pytest.param("skep_template_1", {"images": ["sha256:aaa"]}, True, id="its image"),
        pytest.param("skep_template_1", {"images": ["sha256:bbb", "sha256:aaa"]}, True, id="one of several"),
        pytest.param("skep_template_1", {"images": ["sha256:bbb"]}, False, id="another image"),
        pytest.param("skep_template_1", {}, False, id="not complete"),
        pytest.param("skep_building_1", {"images": ["sha256:aaa"]}, False, id="still being built"),
        pytest.param("t_acme_1", {"images": ["sha256:aaa"]}, False, id="a tenant's database"),
    ],
)
def test_only_a_complete_template_is_cloned(name: str, comment: dict[str, object], found: bool) -> None:
    assert find(Catalog("7", {name: database(name, comment)}), IMAGE) == (name if found else None)


@pytest.mark.parametrize(
    ("output", "hashed"),
    [
        pytest.param('{"migrations": "abc123"}\n', "abc123", id="one line"),
        pytest.param('starting\n{"migrations": "abc"}\n', "abc", id="after other words"),
        pytest.param('{"migrations": "old"}\n{"migrations": "new"}\nbye\n', "new", id="the last one counts"),
    ],
)
def test_the_answer_of_a_schema_job(output: str, hashed: str) -> None:
    assert migrations_of(output, IMAGE) == hashed


@pytest.mark.parametrize(
    "output",
    ["", "done\n", "{}", '{"migrations": 5}', '{"migrations": ""}', '{"migrations": "a; drop"}', '["migrations"]', "{"],
)
def test_an_image_that_does_not_keep_the_contract_is_told(output: str) -> None:
    with pytest.raises(TerminalError, match=r"docs/app-contract\.md"):
        migrations_of(output, IMAGE)


@pytest.mark.parametrize(("code", "ok"), [(0, True), (1, False), (None, False)])
def test_only_zero_is_success(code: int | None, ok: bool) -> None:
    assert JobResult(code, "").ok == ok
