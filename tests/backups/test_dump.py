"""A backup is whole or it is none: what is in it, and what its failures leave behind."""

from __future__ import annotations

import asyncio
import hashlib
import json
import stat
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from skep.backups.dump import DUMP, DUMP_TAG, MANIFEST_TAG, back_up, find
from skep.backups.errors import DumpFailed, ToolMissing
from skep.backups.manifest import Manifest, parse
from skep.backups.repository import Repository
from tests.backups.conftest import Store, Tenant, about, bare_restic, children_of, is_gone, name_of, ran, seen


async def test_the_manifest_counts_what_the_dump_holds(tenant: Tenant, store: Store) -> None:
    manifest = await back_up(tenant.source, about(), store.repository)
    assert manifest.tables == {"public.event": 20, "public.ticket": 300}
    assert manifest.sequences == {"public.event_id_seq": 20, "public.ticket_id_seq": 300}
    assert manifest.settings == {"statement_timeout": "30s"}
    assert manifest.server_version.startswith("18")
    data = b"".join([chunk async for chunk in store.repository.read(manifest.dump, DUMP)])
    assert (len(data), hashlib.sha256(data).hexdigest()) == (manifest.size, manifest.sha256)
    code, listed = await ran(tenant.postgres.tool("pg_restore"), "--list", data=data)
    assert code == 0
    assert b"TABLE DATA public ticket" in listed


async def test_rows_written_meanwhile_are_in_neither(tenant: Tenant, store: Store, tmp_path: Path) -> None:
    """A pg_dump that waits for the test between its start and its first byte."""
    started, go = tmp_path / "started", tmp_path / "go"
    slow = script(
        tmp_path,
        f'touch {started}; while [ ! -e {go} ]; do sleep 0.02; done; exec {tenant.source.pg_dump} "$@"',
    )
    backing_up = asyncio.create_task(back_up(replace(tenant.source, pg_dump=str(slow)), about(), store.repository))
    await seen(started.exists)
    await tenant.run("INSERT INTO event (title) VALUES ('late')", "DELETE FROM ticket WHERE id <= 100")
    await asyncio.to_thread(go.touch)
    manifest = await backing_up
    assert manifest.tables == {"public.event": 20, "public.ticket": 300}
    data = b"".join([chunk async for chunk in store.repository.read(manifest.dump, DUMP)])
    _, sql = await ran(tenant.postgres.tool("pg_restore"), "--data-only", "--table=ticket", "--file=-", data=data)
    assert sum(line[:1].isdigit() for line in sql.splitlines()) == 300


async def test_a_second_run_of_the_same_backup_makes_nothing(tenant: Tenant, store: Store) -> None:
    first = await back_up(tenant.source, about(), store.repository)
    await tenant.run("INSERT INTO event (title) VALUES ('later')")
    assert await back_up(tenant.source, about(), store.repository) == first
    assert len(await store.repository.snapshots()) == 2


async def test_an_unchanged_database_adds_next_to_nothing(tenant: Tenant, store: Store) -> None:
    await tenant.run(
        "INSERT INTO event (title) SELECT (SELECT string_agg(md5(n::text || k), '') FROM generate_series(1, 40) k) "
        "FROM generate_series(1, 6000) n"
    )
    await back_up(tenant.source, about("b1"), store.repository)
    before = await store.repository.size()
    await back_up(tenant.source, about("b2"), store.repository)
    assert await store.repository.size() - before < before / 2, (
        "of some four chunks the first, with pg_dump's date, and the last"
    )


@pytest.mark.parametrize(
    "ending",
    [
        pytest.param("exit 1", id="it says that it failed"),
        pytest.param("kill -9 $$", id="it is killed"),
        pytest.param("echo 'pg_dump: error: connection lost' >&2; exit 3", id="it says why"),
    ],
)
async def test_a_dump_that_ends_badly_leaves_no_snapshot(
    tenant: Tenant, store: Store, tmp_path: Path, ending: str
) -> None:
    broken = script(tmp_path, f'{tenant.source.pg_dump} "$@"; {ending}')
    with pytest.raises(DumpFailed, match="pg_dump ended with"):
        await back_up(replace(tenant.source, pg_dump=str(broken)), about(), store.repository)
    assert await store.repository.snapshots() == ()
    await back_up(tenant.source, about(), store.repository)
    assert len(await store.repository.snapshots(DUMP_TAG)) == 1


async def test_the_control_a_truncated_stream_that_ends_well_would_have_been_stored(
    tenant: Tenant, store: Store
) -> None:
    """Why the pipe is held open: restic takes any end of its input for a good one."""
    words = ("backup", "--stdin", "--stdin-filename=/dump.pgdump")
    code, _ = await bare_restic(store, *words, data=b"half of a dump")
    assert code == 0
    assert len(await store.repository.snapshots()) == 1


async def test_a_job_killed_in_the_middle_leaves_no_snapshot_and_the_next_run_works(
    tenant: Tenant, store: Store, tmp_path: Path
) -> None:
    """SIGKILL of the job, after 50 MB of stream: restic must not take our end for the end of its input."""
    started = tmp_path / "started"
    endless = script(tmp_path, f"head -c 52428800 /dev/urandom; touch {started}; sleep 600")
    files = str(store.address_file), str(store.password_file)
    job = await asyncio.create_subprocess_exec(sys.executable, "-c", KILLED, str(endless), repr(tenant.source), *files)
    await seen(started.exists)
    children = [pid for pid in children_of(job.pid) if "restic" in name_of(pid)]
    assert children, "nothing was killed in the middle"
    job.kill()
    await job.wait()
    await seen(lambda: all(is_gone(pid) for pid in children))
    code, said = await bare_restic(store, "snapshots", "--json", "--no-lock")
    assert (code, json.loads(said or b"[]") or []) == (0, [])
    await store.repository.unlock(everyone=True)
    assert await back_up(tenant.source, about(), store.repository)
    await store.repository.check(share="100%")


KILLED = """
import asyncio, sys
from dataclasses import replace
from pathlib import Path, PosixPath
from skep.backups.dump import About, Source, back_up
from skep.backups.repository import Repository
source = replace(eval(sys.argv[2]), pg_dump=sys.argv[1])
repository = Repository(Path(sys.argv[3]), Path(sys.argv[4]))
asyncio.run(back_up(source, About("b0", "acme", "ab12cd34", "", "", "{}"), repository))
"""


async def test_a_dump_without_its_manifest_is_no_backup(tenant: Tenant, store: Store) -> None:
    manifest = await back_up(tenant.source, about(), store.repository)
    (proof,) = await store.repository.snapshots(MANIFEST_TAG)
    await store.repository.forget_these((proof.id,))
    assert await find(store.repository, "b1") is None
    again = await back_up(tenant.source, about(), store.repository)
    assert again.dump != manifest.dump


async def test_a_database_that_cannot_be_read_is_told(tenant: Tenant, store: Store) -> None:
    with pytest.raises(DumpFailed, match="cannot be read"):
        await back_up(replace(tenant.source, database="nowhere"), about(), store.repository)


async def test_a_missing_tool_is_named(tenant: Tenant, store: Store) -> None:
    with pytest.raises(ToolMissing, match="postgresql-client"):
        await back_up(replace(tenant.source, pg_dump="/nowhere/pg_dump"), about(), store.repository)
    with pytest.raises(ToolMissing, match="apt-get install restic"):
        await Repository(store.address_file, store.password_file, restic="/nowhere/restic").snapshots()


async def test_nothing_secret_is_on_a_command_line_or_in_an_environment(
    tenant: Tenant, store: Store, tmp_path: Path
) -> None:
    said = tmp_path / "said"
    watching = script(
        tmp_path,
        f'{{ tr "\\0" "\\n" < /proc/$$/environ; echo "$@"; ps -eo args; cat /proc/[0-9]*/environ 2>/dev/null | tr "\\0" "\\n"; }} > {said}; '
        f'exec {tenant.source.pg_dump} "$@"',
    )
    await back_up(replace(tenant.source, pg_dump=str(watching)), about(), store.repository)
    text = said.read_text(errors="replace")
    assert tenant.source.database in text, "nothing was seen"
    password = tenant.source.passfile.read_text().strip().rpartition(":")[2]
    assert password not in text
    assert store.password_file.read_text() not in text


def test_a_manifest_of_a_newer_release_is_refused() -> None:
    with pytest.raises(Exception, match="not readable: format"):
        parse(json.dumps({"format": 2}).encode())
    assert "format" in Manifest.model_fields


def script(folder: Path, text: str) -> Path:
    path = folder / "pg_dump"
    path.write_text(f"#!/bin/bash\n[ \"$1\" = --version ] && {{ echo 'pg_dump (PostgreSQL) 18.4'; exit; }}\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path
