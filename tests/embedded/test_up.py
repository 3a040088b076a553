"""`skep up` as people use it: started, crashed, started again, stopped; seen from outside."""

from __future__ import annotations

import email
import email.policy
import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.embedded.hive import Hive, alive, tenant, until

pytestmark = pytest.mark.embedded

UID_OF_NOBODY = 65534


def rows(hive: Hive, name: str) -> str:
    return hive.sql(name, "select string_agg(title, ',' order by title) from skep_test")


def test_tenants_answer_by_their_names_and_strangers_do_not(standing: Hive) -> None:
    assert standing.get("acme")[0] == 200
    assert "Acme" in standing.get("acme")[1]
    assert "Birch" in standing.get("birch")[1]
    assert standing.get("nobody")[0] == 404
    assert standing.get("ping", "/ping")[0] == 404


def test_what_a_client_says_of_itself_is_not_believed(standing: Hive) -> None:
    status, body = standing.get("acme", "/.well-known/skep", **{"X-Skep-Tenant": "somebody-else"})
    assert (status, '"acme"' in body) == (200, True)


def test_only_its_owner_may_look_into_the_home(standing: Hive) -> None:
    secrets = [standing.home / "root.key", *(standing.home / "secrets").iterdir(), standing.home / "engine.sock"]
    secrets += list((standing.home / "state" / "secret").iterdir())
    assert secrets
    assert {stat.S_IMODE(path.stat().st_mode) for path in secrets} == {0o600}
    folders = [path for path in standing.home.iterdir() if path.is_dir() and path.name != "postgres"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in folders} == {0o700}


def test_no_process_shows_a_password(standing: Hive) -> None:
    passwords = {path.read_text().strip() for path in (standing.home / "secrets").iterdir()}
    passwords |= {path.read_text() for path in (standing.home / "tasks").glob("*/secrets/*")}
    for pid in standing.processes():
        for name in ("cmdline", "environ"):
            told = Path(f"/proc/{pid}/{name}").read_text(errors="replace")
            assert not [password for password in passwords if password in told]


def test_everything_listens_on_this_machine_only(standing: Hive) -> None:
    inodes = {
        target
        for pid in standing.processes()
        for link in Path(f"/proc/{pid}/fd").iterdir()
        if (target := os.readlink(link)).startswith("socket:")
    }
    for table, local in (("tcp", "0100007F"), ("tcp6", "00000000000000000000000001000000")):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in inodes:
                assert fields[1].partition(":")[0] == local


def test_a_second_up_says_so_and_waits(standing: Hive) -> None:
    done = standing.up()
    assert done.returncode == 0, standing.evidence(done)
    assert "already running" in done.stdout
    assert f"http://acme.localhost:{standing.port}" in done.stdout.split()


def test_a_second_up_on_another_port_is_refused(standing: Hive) -> None:
    done = standing.skep("up", str(standing.declared), "--detach", "--port", "1")
    assert done.returncode == 2
    assert str(standing.port) in done.stderr


def test_a_crashed_app_comes_back(standing: Hive) -> None:
    before = standing.apps()
    victim = next(pid for pid in before)
    os.kill(victim, signal.SIGKILL)
    until(lambda: len(standing.apps()) == len(before) and victim not in standing.apps())
    until(lambda: standing.get("acme")[0] == standing.get("birch")[0] == 200)


@pytest.mark.parametrize("word", ["operator", "traefik"])
def test_a_crashed_part_comes_back(standing: Hive, word: str) -> None:
    def found() -> set[int]:
        return {pid for pid, words in standing.processes().items() if word in (words[-2], Path(words[0]).name)}

    (victim,) = found()
    os.kill(victim, signal.SIGKILL)
    until(lambda: bool(found() - {victim}))
    until(lambda: standing.get("acme")[0] == 200)
    assert standing.up().returncode == 0


def test_after_a_crash_the_operator_leads_again_without_waiting_for_its_own_lease(standing: Hive) -> None:
    def term() -> int:
        configs = [json.loads(path.read_bytes())[0] for path in (standing.home / "state" / "config").glob("*.json")]
        (labels,) = [dict(each["labels"]) for each in configs if each["name"] == "skep.lease"]
        return int(labels["skep.lease.term"]) if labels["skep.lease.holder"] else 0

    before = term()
    (victim,) = [pid for pid, words in standing.processes().items() if words[-2] == "operator"]
    began = time.monotonic()
    os.kill(victim, signal.SIGKILL)
    until(lambda: term() > before)
    assert time.monotonic() - began < 10.0, "a lease is 15 s, and the last look was up to 5 s ago"


def test_a_crashed_database_comes_back(standing: Hive) -> None:
    (postmaster,) = [
        pid for pid, words in standing.processes().items() if words[0].endswith("/postgres") and "-D" in words
    ]
    os.kill(postmaster, signal.SIGQUIT)
    until(lambda: not alive(postmaster))
    until(lambda: standing.skep("psql", "acme", "-c", "select 1").returncode == 0)


def test_psql_hands_on_arguments_and_exit_code(standing: Hive) -> None:
    assert standing.sql("acme", "select 6 * 7") == "42"
    assert standing.skep("psql", "acme", "-c", "select wrong").returncode == 1


def test_a_log_is_read(standing: Hive) -> None:
    done = standing.skep("logs", "acme")
    assert done.returncode == 0
    assert "serving" in done.stdout + done.stderr


def test_nothing_is_left_to_change(standing: Hive) -> None:
    done = standing.skep("diff", str(standing.declared), "--prune")
    assert (done.returncode, done.stdout) == (0, "")


def test_an_edit_is_followed_with_no_visitor_turned_away(standing: Hive) -> None:
    before = set(standing.apps())
    standing.declare(acme=tenant("acme", displayName="Acme Renamed"))
    seen: set[int] = set()

    def renamed() -> bool:
        status, body = standing.get("acme")
        seen.add(status)
        return "Acme Renamed" in body

    until(renamed)
    assert seen == {200}
    assert len(before & set(standing.apps())) >= 1, "the neighbour was left alone"


def test_a_new_host_restarts_nothing(standing: Hive) -> None:
    hosts = ["birch.localhost", "www.birch.localhost"]
    before = standing.get("birch", "/.well-known/skep")
    pids = set(standing.apps())
    standing.declare(birch=tenant("birch", hosts=hosts))
    until(lambda: standing.get("www.birch")[0] == 200)
    assert standing.get("birch", "/.well-known/skep") == before
    assert {pid for pid in pids if alive(pid)} == pids


def test_a_secret_that_a_tenant_brings_reaches_its_app(standing: Hive) -> None:
    standing.declare(birch=tenant("birch", app={"secrets": [{"name": "smtp", "secret": "birch-smtp"}]}))
    until(lambda: "SecretMissing" in json.dumps(standing.items()["birch"]["status"]))
    folder = standing.home / "brought" / "birch"
    folder.mkdir(mode=0o700)
    (folder / "birch-smtp").write_text("hush")
    until(lambda: [path.read_text() for path in standing.home.glob("tasks/*/secrets/smtp")] == ["hush"])
    until(lambda: standing.items()["birch"]["status"]["phase"] == "Ready")


def test_mails_land_in_the_folder_that_up_names(standing: Hive) -> None:
    folder = standing.home / "mail"
    assert f"mails of sites without a mail server: {folder}/<tenant>/*.eml" in standing.up().stdout
    found = re.search(r"/invite/[A-Za-z0-9_-]{43}", standing.skep("invite", "acme").stdout)
    assert found is not None
    account = {"name": "Ada", "email": "ada@example.com", "password": "a long enough password"}
    assert standing.post("acme", found[0], account) == 303
    assert standing.post("acme", "/organizer/reset", {"email": "ada@example.com"}) == 303
    until(lambda: any((folder / "acme").glob("*.eml")))
    (mail,) = (folder / "acme").glob("*.eml")
    parsed = email.message_from_bytes(mail.read_bytes(), policy=email.policy.default)
    assert parsed["To"] == "ada@example.com"
    words = parsed.get_body(("plain",))
    assert words is not None
    assert f"http://acme.localhost:{standing.port}/invite/" in words.get_content()


def test_a_broken_document_changes_nothing_and_mended_it_counts(standing: Hive) -> None:
    standing.declare(cedar="apiVersion: skep/v1\nkind: Tenant\nmetadata: {name: cedar}\nspec: {plan: fre}\n")
    said = standing.home / "logs" / "up.log"
    until(lambda: "cedar.yaml:4" in said.read_text())
    assert standing.get("acme")[0] == 200
    done = standing.up()
    assert done.returncode == 1
    assert "cedar.yaml:4" in done.stderr
    standing.declare(cedar=tenant("cedar"))
    until(lambda: standing.get("cedar")[0] == 200)


def test_a_removed_document_is_a_removed_site_and_kept_data(standing: Hive) -> None:
    standing.declare(cedar=None)
    until(lambda: standing.get("cedar")[0] == 404)
    until(lambda: standing.items()["cedar"]["status"]["phase"] == "Retained")


def test_killed_and_started_again_it_has_the_same_data(hive: Hive) -> None:
    hive.declare(acme=tenant("acme"))
    hive.must_up()
    hive.sql("acme", "create table skep_test (title text); insert into skep_test values ('kept')")
    uid = hive.items()["acme"]["metadata"]["uid"]
    hive.kill_supervisor()
    until(lambda: not hive.processes(), within_s=10.0)
    lost = hive.skep("get", "tenants")
    assert (lost.returncode, "`skep up` starts it" in lost.stderr) == (1, True)
    hive.must_up()
    assert rows(hive, "acme") == "kept"
    assert hive.items()["acme"]["metadata"]["uid"] == uid
    assert hive.get("acme")[0] == 200
    down = hive.skep("down")
    assert (down.returncode, hive.processes()) == (0, {})
    port = json.loads((hive.home / "ports.json").read_text())["postgres"]
    with socket.create_server(("127.0.0.1", port)):  # somebody else took the database's port meanwhile
        hive.must_up()
    assert rows(hive, "acme") == "kept"


def test_children_that_outlived_it_are_ended_and_strangers_are_not(hive: Hive) -> None:
    hive.home.mkdir()
    (hive.home / "children").mkdir(mode=0o700)
    stranger = subprocess.Popen(["/bin/sleep", "60"])
    ours = subprocess.Popen(["/bin/sleep", "61"])
    try:
        code = (
            "import json, sys; from pathlib import Path; from skep.operator.engine.embedded.children import born\n"
            "for pid, at, word in ((int(sys.argv[2]), born(int(sys.argv[2])), '61'), (int(sys.argv[3]), 'another', '60')):\n"
            "    note = {'pid': pid, 'born': at, 'command': ['/bin/sleep', word], 'signal': 9}\n"
            "    Path(sys.argv[1], f'{pid}.json').write_text(json.dumps(note))\n"
        )
        subprocess.run(
            [sys.executable, "-c", code, str(hive.home / "children"), str(ours.pid), str(stranger.pid)], check=True
        )
        assert hive.skep("down").returncode == 0
        assert ours.wait(timeout=10) == -signal.SIGKILL
        assert stranger.poll() is None
        assert not list((hive.home / "children").iterdir())
    finally:
        for process in (stranger, ours):
            process.kill()
            process.wait()


def test_a_taken_port_is_named_and_nothing_is_started(hive: Hive) -> None:
    hive.declare(acme=tenant("acme"))
    with socket.create_server(("127.0.0.1", hive.port)):
        for more in ((), ("--detach",)):
            done = hive.skep("up", str(hive.declared), "--port", str(hive.port), *more)
            assert done.returncode == 2
            assert f"port {hive.port}" in done.stderr
            assert "--port" in done.stderr
    assert hive.processes() == {}


def test_in_the_foreground_it_tells_where_tenants_stand_until_it_is_interrupted(hive: Hive) -> None:
    hive.declare(acme=tenant("acme"))
    process = subprocess.Popen(
        [*hive.command, "--home", str(hive.home), "up", str(hive.declared), "--port", str(hive.port)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    assert process.stdout is not None
    with process:
        said = []
        for line in process.stdout:
            said.append(line)
            if line.startswith("acme: Ready"):
                break
        assert f"acme: Ready http://acme.localhost:{hive.port}\n" in said
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
        assert process.wait(timeout=20) == 0
    assert "stopped" in rest
    assert hive.processes() == {}


def test_a_path_that_is_not_there_starts_nothing(hive: Hive) -> None:
    for more in ((), ("--detach",)):
        done = hive.skep("up", "/nowhere/at/all", "--port", str(hive.port), *more)
        assert (done.returncode, "/nowhere/at/all" in done.stderr) == (2, True)
    assert hive.processes() == {}


def test_purged_it_is_as_new(hive: Hive) -> None:
    hive.declare(acme=tenant("acme"))
    hive.must_up()
    refused = hive.skep("down", "--purge")
    assert refused.returncode == 1, "without an answer nothing is forgotten"
    assert hive.get("acme")[0] == 200
    assert hive.skep("down", "--purge", "--yes").returncode == 0
    assert not hive.home.exists()
    assert hive.processes() == {}


@pytest.mark.skipif(os.geteuid() != 0, reason="already an ordinary user")
def test_an_ordinary_user_needs_no_more(hive: Hive) -> None:
    system = shutil.which("python3", path="/usr/local/bin:/usr/bin")
    wanted = f"{sys.version_info[0]}.{sys.version_info[1]}"
    said = subprocess.run([system or "false", "--version"], capture_output=True, text=True, check=False).stdout
    if f" {wanted}." not in said:
        pytest.skip(f"no Python {wanted} that another user can start")
    folder = hive.declared.parent
    subprocess.run([system or "", "-m", "venv", "--without-pip", folder / "venv"], check=True)
    site = folder / "venv" / "lib" / f"python{wanted}" / "site-packages"
    here = Path(__file__).parents[2]
    installed = next(path for path in sys.path if path.endswith("site-packages"))
    (site / "skep.pth").write_text(f"{installed}\n{here / 'src'}\n")
    (folder / "venv" / "bin" / "traefik").symlink_to(Path(sys.executable).parent / "traefik")
    os.chown(folder, UID_OF_NOBODY, UID_OF_NOBODY)
    hive.command = (str(folder / "venv" / "bin" / "python"), "-P", "-m", "skep.operator.cli")
    hive.user = UID_OF_NOBODY
    hive.declare(acme=tenant("acme"))
    hive.must_up()
    assert hive.get("acme")[0] == 200
    owners = {Path(f"/proc/{pid}").stat().st_uid for pid in hive.processes()}
    assert owners == {UID_OF_NOBODY}
