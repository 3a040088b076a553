"""A database's contents in numbers, by one connection in one snapshot: for the manifest, and to hold a restore against it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncpg

    Connection = asyncpg.Connection[asyncpg.Record]

_OURS = "n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_toast%' AND n.nspname NOT LIKE 'pg\\_temp%'"
_TABLES = (
    "SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "  # noqa: S608
    f"WHERE c.relkind IN ('r', 'm') AND {_OURS} ORDER BY 1"
)
_SEQUENCES = "SELECT format('%I.%I', schemaname, sequencename) AS name, last_value FROM pg_sequences ORDER BY 1"
# Names and definitions as PostgreSQL prints them; sorted by bytes, so that no collation has a say.
_STRUCTURE = f"""
SELECT encode(sha256(convert_to(coalesce(string_agg(line, E'\\n' ORDER BY line COLLATE "C"), ''), 'UTF8')), 'hex') FROM (
    SELECT format('column %s.%s.%s %s %s', n.nspname, c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull) AS line
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm') AND a.attnum > 0 AND NOT a.attisdropped AND {_OURS}
    UNION ALL
    SELECT format('constraint %s.%s %s', n.nspname, c.relname, pg_get_constraintdef(k.oid))
    FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE k.contype IN ('p', 'u', 'f', 'c', 'x') AND {_OURS}
    UNION ALL
    SELECT format('index %s', pg_get_indexdef(i.indexrelid))
    FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE {_OURS}
) AS lines"""  # noqa: S608 - the only thing put in is our own text


@dataclass(frozen=True, slots=True)
class Contents:
    """*tables*: rows by name. *unchecked*: foreign keys that PostgreSQL has not validated."""

    tables: dict[str, int]
    sequences: dict[str, int | None]
    structure: str
    unchecked: tuple[str, ...]


async def contents(connection: Connection) -> Contents:
    """Counts every row: seconds a gigabyte. Best called in a REPEATABLE READ transaction."""
    names = [row[0] for row in await connection.fetch(_TABLES)]
    tables = {name: int(await connection.fetchval(f"SELECT count(*) FROM {name}")) for name in names}  # noqa: S608 - quoted by format('%I')
    sequences = {row["name"]: row["last_value"] for row in await connection.fetch(_SEQUENCES)}
    structure = str(await connection.fetchval(_STRUCTURE))
    unchecked = await connection.fetch(
        "SELECT conname FROM pg_constraint WHERE contype = 'f' AND NOT convalidated ORDER BY 1"
    )
    return Contents(tables, sequences, structure, tuple(row[0] for row in unchecked))


def differences(wanted: Contents, found: Contents) -> tuple[str, ...]:
    """What *found* lacks or has otherwise, one sentence each; empty if they are the same."""
    said = [f"table {name} is missing" for name in sorted(wanted.tables.keys() - found.tables.keys())]
    said += [f"table {name} is not in the manifest" for name in sorted(found.tables.keys() - wanted.tables.keys())]
    said += [
        f"table {name} has {found.tables[name]} rows, the manifest says {rows}"
        for name, rows in sorted(wanted.tables.items())
        if name in found.tables and found.tables[name] != rows
    ]
    for name in sorted(wanted.sequences.keys() | found.sequences.keys()):
        have, want = found.sequences.get(name, "nothing"), wanted.sequences.get(name, "nothing")
        if have != want:
            said.append(f"sequence {name} stands at {have}, the manifest says {want}")
    if wanted.structure != found.structure:
        said.append("columns, constraints or indexes are not those of the manifest")
    said += [f"foreign key {name} is not validated" for name in found.unchecked if name not in wanted.unchecked]
    return tuple(said)
