"""The migration files, and the plan made of them: pure, no database."""

from __future__ import annotations

import re

import pytest

from skep.webapp.errors import SchemaRefused
from skep.webapp.schema import Migration, load_migrations, migrations_hash, plan

A, B, C = (Migration(f"000{number}_{name}.sql", "", name * 64) for number, name in ((1, "a"), (2, "b"), (3, "c")))


def applied(*migrations: Migration) -> tuple[tuple[str, str], ...]:
    return tuple((migration.id, migration.checksum) for migration in migrations)


def test_what_is_missing_is_applied_in_order() -> None:
    assert plan((A, B, C), applied()) == (A, B, C)
    assert plan((A, B, C), applied(A)) == (B, C)
    assert plan((A, B, C), applied(A, B, C)) == ()


@pytest.mark.parametrize(
    ("known", "there", "said"),
    [
        pytest.param((A,), applied(A, B), "which this image does not know", id="newer database"),
        pytest.param((A, B), ((A.id, "f" * 64),), "must never change", id="changed file"),
        pytest.param((A, B, C), applied(A, C), "is missing below", id="a file squeezed in"),
    ],
)
def test_a_database_of_another_image_is_refused(
    known: tuple[Migration, ...], there: tuple[tuple[str, str], ...], said: str
) -> None:
    with pytest.raises(SchemaRefused, match=said):
        plan(known, there)


def test_the_hash_changes_with_name_content_and_order() -> None:
    hashes = {migrations_hash(many) for many in ((), (A,), (A, B), (B, A), (Migration(A.id, "", "f" * 64), B))}
    assert len(hashes) == 5


def test_the_files_are_numbered_and_no_number_is_used_twice() -> None:
    numbers = [int(migration.id[:4]) for migration in load_migrations()]
    assert numbers == sorted(set(numbers))
    assert all(re.fullmatch(r"\d{4}_[a-z_]+\.sql", migration.id) for migration in load_migrations())


@pytest.mark.parametrize("migration", load_migrations(), ids=lambda migration: migration.id)
def test_a_file_leaves_transactions_and_extensions_alone(migration: Migration) -> None:
    """It runs in one transaction of ours, on PostgreSQL 15 core, as a role that may make no extension."""
    bare = re.sub(r"--[^\n]*|(?s:\$\$.*?\$\$)", "", migration.sql).upper()  # a function's BEGIN is no transaction
    forbidden = (
        r"\b(BEGIN|COMMIT|ROLLBACK|CONCURRENTLY|EXTENSION|CITEXT|UUIDV7|VACUUM|COLLATE|SET ROLE|SECURITY DEFINER)\b"
    )
    assert not re.search(forbidden, bare)


def test_names_and_addresses_of_people_stand_in_one_table() -> None:
    sql = "\n".join(migration.sql for migration in load_migrations())
    tables = dict(re.findall(r"(?s)CREATE TABLE (\w+) \((.*?)\n\);", sql))
    personal = {table for table, body in tables.items() if re.search(r"(?m)^\s+(name|email|phone)\s", body)}
    assert personal == {"person"}
