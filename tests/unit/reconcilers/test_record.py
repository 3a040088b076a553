"""The record: who a tenant is, from what its source says and what is known."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skep.operator.errors import TerminalError
from skep.operator.reconcilers import record as records
from skep.operator.reconcilers.record import ChangeRecord, CreateRecord, Record, Trace, desire, plan
from skep.operator.sources.fleet import Absent, Broken, Declared
from tests.unit.crds.documents import make_tenant
from tests.unit.reconcilers.tenants import NOW, UID, config_of, make_record, make_spec

LATER = datetime(2026, 6, 1, tzinfo=UTC)
words = st.text("abcdefghij0123456789-: ", max_size=20)


def declared(words: str = "", *, source: str = "prod", index: int = 9) -> Declared:
    return Declared(source, index, make_spec(words), make_tenant(words))


def wish(fate: Declared | Broken | Absent | None, known: Record | None, trace: Trace | None = None) -> Record | None:
    return desire(fate, known, trace, name="acme", fresh_uid="f" * 32, now=LATER)


@given(
    index=st.integers(0, 10**9), generation=st.integers(1, 10**6), secret_generation=st.integers(1, 99),
    provisioned=st.booleans(), leaving=st.sampled_from(["", "deleting", "retained"]),
    texts=st.fixed_dictionaries(dict.fromkeys(("server", "system_id", "edge_network", "data_network", "key_id", "schema", "schema_failed", "schema_said", "attempted", "latched", "source"), words)),
)  # fmt: skip
def test_a_record_survives_its_config(texts: dict[str, Any], **values: Any) -> None:
    record = replace(make_record(), **values, **texts, version=3)
    config = config_of(record, records.labels_of(record), data=records.data_of(record))
    assert records.from_config(config) == record


@pytest.mark.parametrize(
    ("words", "name"),
    [
        pytest.param("hosts: [a.example.org]\n", "hosts", id="hosts"),
        pytest.param("app: {settings: {language: fr}, replicas: 3}\n", "settings", id="settings"),
        pytest.param("app: {secrets: [{name: smtp, secret: acme-smtp}]}\n", "secrets", id="secrets"),
        pytest.param("database: {extensions: [vector, pg_trgm]}\n", "database", id="database"),
        pytest.param("owner: owner@example.org\nsuspend: true\n", "owner", id="owner"),
    ],
)
def test_a_spec_survives_its_label(words: str, name: str) -> None:
    spec = make_spec(words)
    again = records.load_spec(records.dump_spec(spec))
    assert getattr(again, name) == getattr(spec, name)
    assert again == spec


@pytest.mark.parametrize("text", ["", "0", "2", "11", "x"])
def test_a_format_that_it_does_not_know_is_refused(text: str) -> None:
    record = make_record()
    labels = records.labels_of(record) | {"skep.record.format": text}
    with pytest.raises(TerminalError) as caught:
        records.from_config(config_of(record, labels, data=records.data_of(record)))
    assert caught.value.reason == "UnknownRecordFormat"


@pytest.mark.parametrize(
    ("labels", "data"),
    [
        pytest.param({"skep.record.index": "x"}, None, id="index"),
        pytest.param({"skep.record.generation": ""}, None, id="generation"),
        pytest.param({"skep.record.spec": "{"}, None, id="spec cut"),
        pytest.param({"skep.record.spec": "{}"}, None, id="spec empty"),
        pytest.param({}, b"{", id="data cut"),
        pytest.param({}, b'{"name": "acme"}', id="data without uid"),
        pytest.param({}, b'{"name": "acme", "uid": "x", "createdAt": "yesterday"}', id="data without a time"),
    ],
)
def test_a_record_changed_by_hand_says_how_to_mend_it(labels: dict[str, str], data: bytes | None) -> None:
    record = make_record()
    config = config_of(record, records.labels_of(record) | labels, data=data or records.data_of(record))
    with pytest.raises(TerminalError, match=r"docker config rm skep\.record\.acme") as caught:
        records.from_config(config)
    assert caught.value.reason == "RecordDamaged"


def test_the_data_never_changes() -> None:
    """A config's data cannot change, so nothing that changes may be in it."""
    before = make_record()
    for field in fields(Record):
        if field.name not in ("name", "uid", "created_at"):
            changed = replace(before, **{field.name: getattr(make_record("suspend: true\n"), field.name)})
            assert records.data_of(changed) == records.data_of(before)


# desire


def test_a_new_tenant_gets_a_fresh_uid() -> None:
    made = wish(declared(), None)
    assert made is not None
    assert (made.uid, made.source, made.index, made.created_at) == ("f" * 32, "prod", 9, LATER)
    assert (made.generation, made.provisioned, made.leaving) == (1, False, "")


def test_a_uid_in_the_document_is_taken() -> None:
    fate = Declared(
        "prod",
        9,
        make_spec(),
        make_tenant().model_copy(update={"metadata": make_tenant().metadata.model_copy(update={"uid": UID})}),
    )
    made = wish(fate, None)
    assert made is not None
    assert made.uid == UID


@pytest.mark.parametrize(
    ("trace", "leaving"),
    [
        pytest.param(Trace(UID, "main", "7", True, False, "edge", "data"), "", id="a live tenant"),
        pytest.param(Trace(UID, "main", "7", True, True), "retained", id="a retained one"),
        pytest.param(Trace(UID), "", id="only a secret"),
    ],
)
def test_a_lost_record_is_made_again_from_its_traces(trace: Trace, leaving: str) -> None:
    made = wish(declared(), None, trace)
    assert made is not None
    assert (made.uid, made.server, made.system_id, made.provisioned) == (
        trace.uid, trace.server, trace.system_id, trace.provisioned,
    )  # fmt: skip
    assert (made.edge_network, made.data_network, made.leaving) == (trace.edge_network, trace.data_network, leaving)


@pytest.mark.parametrize(
    ("fate", "known", "changes"),
    [
        pytest.param(declared(index=99), {}, {}, id="an equal spec in a newer revision writes nothing"),
        pytest.param(
            declared("suspend: true\n"), {}, {"spec": make_spec("suspend: true\n"), "generation": 2}, id="an edit"
        ),
        pytest.param(declared(source="b"), {}, {"source": "b", "index": 9}, id="handed over"),
        pytest.param(Broken("prod", 9, ()), {}, {}, id="a broken document keeps the last good spec"),
        pytest.param(None, {}, {}, id="silence keeps everything"),
        pytest.param(Absent("prod", 9), {}, {"leaving": "deleting"}, id="left out"),
        pytest.param(Absent("prod", 9, "held"), {}, {}, id="held by the brake"),
        pytest.param(Absent("prod", 9), {"leaving": "deleting"}, {}, id="already leaving"),
        pytest.param(Absent("prod", 9), {"leaving": "retained"}, {}, id="a tombstone stays"),
        pytest.param(declared(), {"leaving": "deleting"}, {"leaving": ""}, id="taken back in time"),
        pytest.param(declared(), {"leaving": "retained"}, {}, id="a name taken again"),
        pytest.param(Broken("prod", 9, ()), {"leaving": "deleting"}, {}, id="broken while leaving"),
    ],
)
def test_what_a_fate_changes(fate: Any, known: dict[str, Any], changes: dict[str, Any]) -> None:
    before = make_record(**known)
    assert wish(fate, before) == replace(before, **changes)


def test_a_deletion_for_good_is_not_taken_back() -> None:
    leaving = replace(make_record("deletionPolicy: Delete\n"), leaving="deleting")
    assert wish(declared("deletionPolicy: Delete\n"), leaving) == leaving


@pytest.mark.parametrize("fate", [None, Broken("prod", 9, ()), Absent("prod", 9)])
def test_nothing_is_made_of_nothing(fate: Any) -> None:
    assert wish(fate, None) is None


# plan, approve


def test_an_equal_record_needs_no_action() -> None:
    assert plan(make_record(), make_record()) == ()
    assert plan(None, make_record()) == ()


def test_a_version_alone_is_no_change() -> None:
    assert plan(make_record(), replace(make_record(), version=7)) == ()


def test_a_missing_record_is_created_and_a_changed_one_says_what_changed() -> None:
    record = make_record()
    assert plan(record, None) == (CreateRecord(record),)
    changed = replace(record, latched="x", leaving="deleting")
    assert plan(changed, record) == (ChangeRecord(changed, ("skep.record.latched", "skep.record.leaving")),)


@pytest.mark.parametrize(
    ("verb", "known", "changes"),
    [
        pytest.param(
            "approve-database", {"schema": "x", "schema_failed": "y", "schema_said": "z"},
            {"provisioned": False, "system_id": "", "schema": "", "schema_failed": "", "schema_said": ""}, id="database",
        ),
        pytest.param("approve-adopt", {"leaving": "retained"}, {"leaving": ""}, id="adopt"),
        pytest.param("approve-adopt", {}, {}, id="adopt of a live tenant"),
        pytest.param("approve-adopt", {"leaving": "deleting"}, {}, id="adopt of a leaving one"),
        pytest.param("approve-purge", {}, {}, id="purge of a live tenant is refused"),
        pytest.param("approve-purge", {"leaving": "deleting"}, {}, id="purge of a leaving one"),
        pytest.param("anything", {"leaving": "retained"}, {}, id="another verb"),
    ],
)  # fmt: skip
def test_what_an_approval_changes(verb: str, known: dict[str, Any], changes: dict[str, Any]) -> None:
    before = make_record(**known)
    assert records.approve(before, verb) == replace(before, **changes)


def test_a_purge_overrules_the_policy() -> None:
    after = records.approve(make_record(leaving="retained"), "approve-purge")
    assert (after.leaving, after.spec.deletion_policy) == ("deleting", "Delete")


def test_fresh_uids_differ_in_what_names_the_database() -> None:
    assert len({records.new_uid()[:8] for _ in range(200)}) == 200
    assert NOW.tzinfo is UTC
