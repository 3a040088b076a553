"""What ops do with tenants, on both engines."""

from __future__ import annotations

import json

import pytest

from tests.e2e.hives import Hive, inside, plan, tenant

pytestmark = pytest.mark.timeout(240)


def test_three_tenants_from_yaml_answer_on_their_hosts(hive: Hive) -> None:
    for name in ("acme", "birch", "cedar"):
        assert hive.status_of(f"{name}.localhost") == 200
    assert "Acme Events" in hive.browser("acme.localhost").get("/").text
    assert hive.status_of("unknown.localhost") == 404


def test_diff_of_what_is_there_is_empty_and_exits_with_0(hive: Hive) -> None:
    done = hive.skep("diff", hive.work / "demo", "--prune", check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_each_tenant_sees_only_its_own_rows(hive: Hive) -> None:
    link = hive.skep("invite", "birch").stdout.strip()
    organizer = hive.browser("birch.localhost")
    assert organizer.accept(link).status == 200
    organizer.announce("Only at Birch")
    assert "Only at Birch" in hive.browser("birch.localhost").get("/").text
    assert "Only at Birch" not in hive.browser("acme.localhost").get("/").text
    titles = "select count(*) from event"
    assert hive.sql(titles, hive.database_of("birch")) == [["1"]]
    assert hive.sql(titles, hive.database_of("cedar")) == [["0"]]
    assert hive.browser("birch.localhost").accept(link).status != 200, "the link works once"


def test_an_edited_plan_reaches_its_tenants(hive: Hive) -> None:
    hive.declare(plan("tiny", database={"connectionLimit": 5}), tenant("planned", "tiny"), source="planned")
    database = hive.database_of("planned")
    limit = f"select datconnlimit from pg_database where datname = '{database}'"
    assert hive.sql(limit) == [["5"]]
    hive.declare(
        plan("tiny", database={"connectionLimit": 7}, app={"replicas": 2}), tenant("planned", "tiny"), source="planned"
    )
    assert hive.sql(limit) == [["7"]]
    if hive.kind == "swarm":
        assert hive.service("skep-planned-web").attrs["Spec"]["Mode"]["Replicated"]["Replicas"] == 2
        hive.until(lambda: len(hive.running_tasks("skep-planned-web")) == 2, what="two tasks run")


def test_an_added_host_is_routed_and_no_task_restarts(hive: Hive) -> None:
    hive.declare(tenant("hosted"), source="hosted")
    before = hive.running_tasks("skep-hosted-web") if hive.kind == "swarm" else set()
    assert hive.status_of("tickets.hosted.test") == 404
    hive.declare(tenant("hosted", hosts=["tickets.hosted.test"]), source="hosted")
    assert hive.status_of("tickets.hosted.test") == 200
    assert hive.status_of("hosted.localhost") == 200
    if hive.kind == "swarm":
        assert hive.running_tasks("skep-hosted-web") == before


@pytest.mark.fault(20)
def test_a_database_changed_by_hand_is_repaired(hive: Hive) -> None:
    database = hive.database_of("cedar")
    state = f"select datconnlimit, datacl::text from pg_database where datname = '{database}'"
    before = hive.sql(state)
    hive.sql(f'alter database "{database}" connection limit 1')
    hive.sql(f'grant connect on database "{database}" to public')
    assert hive.sql(state) != before
    hive.until(lambda: hive.sql(state) == before, within_s=90, what="the limit and the grants are back")


def test_suspended_tenants_answer_503_and_come_back_with_their_rows(hive: Hive) -> None:
    hive.declare(tenant("sleeper"), source="sleeper")
    hive.sql("create table kept as select 1 as one", hive.database_of("sleeper"))
    hive.declare(tenant("sleeper", suspend=True), source="sleeper")
    assert hive.phase("sleeper") == "Suspended"
    hive.until(lambda: hive.status_of("sleeper.localhost") == 503, what="suspended answers 503")
    hive.declare(tenant("sleeper"), source="sleeper")
    assert hive.status_of("sleeper.localhost") == 200
    assert hive.sql("select one from kept", hive.database_of("sleeper")) == [["1"]]


def test_delete_keeps_the_data_under_retain_and_nothing_under_delete(hive: Hive) -> None:
    hive.declare(tenant("keeper"), tenant("goner", deletionPolicy="Delete"), tenant("stayer"), source="leaving")
    kept, gone = hive.database_of("keeper"), hive.database_of("goner")
    hive.skep("delete", "tenant", "keeper")
    hive.skep("delete", "tenant", "goner")
    hive.until(lambda: hive.phase("keeper") == "Retained" and hive.phase("goner") == "gone", what="both left")
    assert kept in hive.databases()
    assert gone not in hive.databases()
    assert hive.sql("select rolname from pg_roles where rolname like 't\\_goner%'") == []
    hive.until(lambda: hive.status_of("keeper.localhost") == 404 == hive.status_of("goner.localhost"), what="no routes")
    assert hive.status_of("stayer.localhost") == 200

    # The name again: never the old data silently, and never by force of waiting.
    hive.declare(tenant("keeper"), tenant("stayer"), source="leaving", wait=False)
    hive.until(lambda: hive.phase("keeper") == "Degraded", what="the name is taken")
    assert hive.reason("keeper") == "NameRetained"
    hive.skep("approve", "adopt", "keeper")
    hive.until(lambda: hive.phase("keeper") == "Ready", what="adopted")
    assert hive.database_of("keeper") == kept


@pytest.mark.fault(7)
def test_the_brake_holds_many_deletions_until_somebody_approves(hive: Hive) -> None:
    names = [f"braked-{letter}" for letter in "abc"]
    hive.declare(*(tenant(name, deletionPolicy="Delete") for name in names), source="braked")
    hive.declare(tenant("braked-a", deletionPolicy="Delete"), source="braked", wait=False)
    hive.until(lambda: hive.items("sources")["braked"]["status"]["heldDeletions"] == 2, what="the brake holds two")
    assert hive.status_of("braked-b.localhost") == 200
    assert "approve deletions braked" in hive.skep("doctor", check=False).stdout
    hive.skep("approve", "deletions", "braked", "--yes")
    hive.until(lambda: hive.phase("braked-b") == hive.phase("braked-c") == "gone", what="approved deletions")
    assert hive.phase("braked-a") == "Ready"


@pytest.mark.fault(18)
def test_a_broken_document_stops_nobody_else(hive: Hive) -> None:
    hive.declare(tenant("sound"), tenant("cracked"), source="mixed")
    folder = hive.work / "mixed"
    (folder / "tenant-cracked.yaml").write_text(
        "apiVersion: skep/v1\nkind: Tenant\nmetadata: {name: cracked}\nspec: {displayNam: x}\n"
    )
    refused = hive.skep("apply", folder, "--source", "mixed", "--prune", check=False)
    assert refused.returncode == 1
    assert "tenant-cracked.yaml:4:8" in refused.stderr
    assert "displayName" in refused.stderr, "the nearest field is named"
    assert hive.phase("cracked") == "Ready", "nothing was published"


def test_history_and_undo(hive: Hive) -> None:
    hive.declare(tenant("undone", displayName="First"), source="undone")
    hive.declare(tenant("undone", displayName="Second"), source="undone")
    assert "Second" in hive.browser("undone.localhost").get("/").text
    hive.skep("undo", "undone")
    hive.until(lambda: "First" in hive.browser("undone.localhost").get("/").text, what="the first name is back")
    lines = hive.skep("history", "undone").stdout.splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["r3", "r2", "r1"]


def test_get_speaks_json_to_scripts(hive: Hive) -> None:
    listed = json.loads(hive.skep("get", "tenants", "-o", "json").stdout)
    acme = next(item for item in listed["items"] if item["metadata"]["name"] == "acme")
    assert listed["kind"] == "List"
    assert len(acme["metadata"]["uid"]) == 32
    assert acme["spec"]["displayName"] == "Acme Events"
    assert acme["status"]["phase"] == "Ready"
    assert acme["status"]["observedGeneration"] == acme["metadata"]["generation"] >= 1
    assert {condition["type"] for condition in acme["status"]["conditions"]} >= {"Ready"}
    port = "" if hive.edge[1] == 80 else f":{hive.edge[1]}"
    assert acme["status"]["urls"] == [f"http://acme.localhost{port}"]


def test_a_tenants_login_cannot_leave_its_database(hive: Hive) -> None:
    password = _password_of(hive, "acme")
    mine, other = hive.database_of("acme"), hive.database_of("birch")
    login = f"{mine}_a"

    def is_let_through(query: str, database: str = mine) -> bool:
        """By the client's exit code: what it says may get lost on the way."""
        try:
            hive.sql(query, database, user=login, password=password)
        except RuntimeError:
            return False
        return True

    assert is_let_through("select count(*) from event"), "its own rows are there"
    escapes = [
        ("select 1", other),
        ("select 1", "postgres"),
        ("select 1", "template1"),
        (f'grant connect on database "{mine}" to public', mine),
        (f'alter database "{mine}" connection limit 1000', mine),
        (f'alter role "{login}" connection limit 1000', mine),
        ("create database stolen", mine),
        ("create role stolen", mine),
        ("set role skep_admin", mine),
        ("select rolpassword from pg_authid", mine),
        ("copy (select 1) to program 'id'", mine),
        ("select pg_read_file('/etc/passwd')", mine),
    ]
    let_through = [f"{database}: {query}" for query, database in escapes if is_let_through(query, database)]
    # A grant that its role may not make is only a warning in PostgreSQL: what counts is that nothing changed.
    public = f"select count(*) from pg_database, aclexplode(datacl) a where datname = '{mine}' and a.grantee = 0"
    assert [each for each in let_through if "grant connect" not in each] == []
    assert hive.sql(public) == [["0"]]
    templates = [row[0] for row in hive.sql("select datname from pg_database where datname like 'skep\\_template%'")]
    assert templates
    assert not any(is_let_through("select 1", template) for template in templates)


def test_a_tenants_cache_user_reaches_its_own_keys_only(hive: Hive) -> None:
    uids = {name: hive.items()[name]["metadata"]["uid"] for name in ("acme", "birch")}
    user, password = hive.database_of("acme"), _password_of(hive, "acme", "cache-password", "cache")
    own = f"{uids['acme']}:tries"
    hive.redis(user, password, "UNLINK", own)
    assert hive.redis(user, password, "INCRBY", own, "2") == "2"
    assert hive.redis(user, password, "PEXPIRE", own, "60000") in ("1", "OK"), (
        "redis-cli and redis-py say it differently"
    )
    assert hive.redis(user, password, "GET", own) == "2"
    others = (("GET", f"{uids['birch']}:tries"), ("INCRBY", "tries", "1"))
    unused = (("SET", own, "1"), ("KEYS", "*"), ("ACL", "LIST"), ("FLUSHALL",), ("EVAL", "return 1", "0"))
    for words in (*others, *unused):
        assert "permissions" in hive.redis(user, password, *words), words


def _password_of(hive: Hive, name: str, file: str = "database-password", purpose: str = "db-a") -> str:
    """As the app itself reads it: from its secret file."""
    if hive.kind == "swarm":
        container = hive.containers(f"skep-{name}-web")[0]
        code, output = inside(container, ["cat", f"/run/secrets/{file}"], user="10001")
        assert code == 0, output
        return output.strip()
    from skep.operator.keys import RootKey

    uid = hive.items()[name]["metadata"]["uid"]
    return RootKey.read(hive.work / "home" / "root.key").password(uid, purpose, 1)
