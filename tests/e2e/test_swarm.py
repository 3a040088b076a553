"""What only a real swarm can show: foreign hands, the plain Docker way, killed operators, updates under load."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path

import docker
import pytest

from tests.e2e.hives import ROOT, Hive, deploy, inside, plan, tenant
from tests.e2e.load import Load
from tests.e2e.tls import https_get, self_signed
from tests.rig import images

pytestmark = [pytest.mark.swarm, pytest.mark.timeout(300)]


@pytest.fixture
def hive(swarm_hive: Hive) -> Hive:
    return swarm_hive


def test_nothing_of_a_tenant_carries_a_stack_label(hive: Hive) -> None:
    for service in hive.client.services.list(filters={"label": "skep.uid"}):
        assert "com.docker.stack.namespace" not in service.attrs["Spec"]["Labels"]


def test_no_secret_is_seen_from_outside_the_task(hive: Hive) -> None:
    container = hive.containers("skep-acme-web")[0]
    canary = inside(container, ["cat", "/run/secrets/database-password"], user="10001")[1].strip()
    assert len(canary) == 43
    places = [json.dumps(service.attrs) for service in hive.client.services.list()]
    places += [json.dumps(config.attrs) for config in hive.client.configs.list()]
    places += [json.dumps(secret.attrs) for secret in hive.client.secrets.list()]
    places += [container.logs().decode(), json.dumps(container.attrs), _command_lines(hive)]
    places += [each.logs().decode() for each in (*hive.containers("skep_operator"), hive.postgres_container())]
    assert [place[:80] for place in places if canary in place] == []


def _command_lines(hive: Hive) -> str:
    """Of every process on every node, with its environment."""
    assert hive.swarm is not None
    lines = ["sh", "-c", "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n'"]
    return "".join(inside(node.container, lines)[1] for node in hive.swarm.nodes)


@pytest.mark.fault(20)
def test_a_service_changed_by_hand_is_repaired(hive: Hive) -> None:
    hive.declare(tenant("handled"), source="handled")
    service = hive.service("skep-handled-web")
    before = service.attrs["Spec"]
    service.update(env=["SKEP_REVISION=evil", "EXTRA=1"], hostname="evil", mode={"Replicated": {"Replicas": 3}})
    assert hive.service("skep-handled-web").attrs["Spec"] != before
    hive.until(
        lambda: hive.service("skep-handled-web").attrs["Spec"] == before, within_s=90, what="the service is as it was"
    )
    hive.until(lambda: hive.phase("handled") == "Ready", what="Ready again")


@pytest.mark.fault(25)
def test_the_plain_docker_way_a_b_a(hive: Hive) -> None:
    """`docker stack deploy` re-uses the config of an equal body: what counts is raft's order, not a name."""

    def stack(display_name: str) -> None:
        folder = hive.work / "plain"
        folder.mkdir(exist_ok=True)
        body = json.dumps(tenant("plain", displayName=display_name))
        (folder / "tenants.yaml").write_text(body)
        digest = hashlib.sha256(body.encode()).hexdigest()[:12]
        (folder / "stack.yml").write_text(
            json.dumps(
                {
                    "version": "3.8",
                    "services": {},
                    "configs": {
                        "tenants": {
                            "name": f"plain-{digest}",
                            "file": "./tenants.yaml",
                            "labels": {"skep.source": "plain"},
                        }
                    },
                }
            )
        )
        hive.run("docker", "stack", "deploy", "--compose-file", folder / "stack.yml", "plain-source")

    def shown(title: str) -> bool:
        return title in hive.browser("plain.localhost").get("/").text

    for title in ("Version A", "Version B", "Version A"):
        stack(title)
        hive.until(lambda title=title: shown(title), what=f"{title} is served")  # type: ignore[misc]
    assert len([each for each in hive.client.configs.list() if each.name.startswith("plain-")]) == 2

    newest = max(
        (each for each in hive.client.configs.list() if each.name.startswith("plain-")),
        key=lambda each: int(each.attrs["Version"]["Index"]),
    )
    newest.remove()
    hive.until(lambda: hive.items("sources")["plain"]["status"]["problem"], what="the source has vanished")
    assert shown("Version A"), "nothing is rolled back, nothing deleted"
    assert hive.phase("plain") == "Ready"


def test_docker_config_create_alone_will_do(hive: Hive) -> None:
    body = gzip.compress(json.dumps(tenant("bare")).encode(), mtime=0)
    (hive.work / "bare.gz").write_bytes(body)
    hive.run("docker", "config", "create", "--label", "skep.source=bare", "bare.1", hive.work / "bare.gz")
    hive.until(lambda: hive.status_of("bare.localhost") == 200, what="a tenant from a plain config")


@pytest.mark.fault(18)
def test_a_broken_document_in_a_plain_config_stops_nobody_else(hive: Hive) -> None:
    documents = [json.dumps(tenant("half-good")), json.dumps(tenant("half-bad", replicas="many"))]
    (hive.work / "half.yaml").write_text("\n---\n".join(documents))
    hive.run("docker", "config", "create", "--label", "skep.source=half", "half.1", hive.work / "half.yaml")
    hive.until(lambda: hive.status_of("half-good.localhost") == 200, what="the good one is served")
    problems = hive.items("sources")["half"]["status"]["problems"]
    assert len(problems) == 1
    assert "half.1:3:" in problems[0]
    assert hive.phase("half-bad") == "Degraded"


@pytest.mark.fault(1)
def test_an_operator_killed_in_the_middle_goes_on(hive: Hive) -> None:
    names = [f"killed-{number}" for number in range(4)]
    hive.declare(*(tenant(name) for name in names), source="killed", wait=False)
    hive.until(lambda: any(name.startswith("t_killed") for name in hive.databases()), what="work has begun")
    for container in hive.containers("skep_operator"):
        container.kill("SIGKILL")
    hive.until(
        lambda: all(hive.phase(name) == "Ready" for name in names), within_s=120, what="all Ready after the kill"
    )
    assert sorted(name.split("_")[1] for name in hive.databases() if name.startswith("t_killed")) == names
    services = [each.name for each in hive.client.services.list(filters={"label": "skep.uid"}) if "killed" in each.name]
    assert sorted(services) == [f"skep-{name}-web" for name in names]


@pytest.mark.fault(26)
def test_removing_skeps_own_stack_and_deploying_it_again_writes_nothing_of_tenants(hive: Hive) -> None:
    hive.until(lambda: all(item["status"]["phase"] != "Progressing" for item in hive.items().values()), what="calm")
    before = hive.writes()
    hive.run("docker", "stack", "rm", "skep")
    hive.until(
        lambda: not hive.containers("skep_postgres") and not hive.containers("skep_traefik"), what="stack is gone"
    )
    assert hive.running_tasks("skep-acme-web"), "tenants run on"
    deploy(hive)
    hive.until(lambda: _answers(hive, "acme.localhost"), within_s=120, what="acme answers again")
    # Past a resync of the new operator: had it something to write, it would have.
    hive.until(lambda: _resyncs(hive) >= 2, within_s=150, what="two resyncs")
    after = hive.writes()
    statuses = {name for name in before if name.startswith("config skep.status.")}
    assert {name: after.get(name) for name in before.keys() - statuses} == {
        name: before[name] for name in before.keys() - statuses
    }


def _answers(hive: Hive, host: str) -> bool:
    try:
        return hive.status_of(host) == 200
    except OSError:
        return False


def _resyncs(hive: Hive) -> int:
    """How often the running operator read everything, from its own metrics."""
    for container in hive.containers("skep_operator"):
        code, output = inside(
            container,
            [
                "python3",
                "-c",
                "import urllib.request as u;print(u.urlopen('http://127.0.0.1:9120/metrics').read().decode())",
            ],
        )
        for line in output.splitlines():
            if code == 0 and line.startswith("skep_resyncs_total"):
                return int(float(line.split()[-1]))
    return 0


@pytest.mark.fault(27)
def test_no_bad_answer_during_an_image_update_at_20_requests_a_second(
    hive: Hive, docker_engine: docker.DockerClient
) -> None:
    assert hive.swarm is not None
    newer = images.app(docker_engine, variant="update-under-load")
    hive.swarm.load_image(newer)
    hive.declare(tenant("busy", "pro"), source="busy")
    before = hive.running_tasks("skep-busy-web")
    with Load(hive.browser("busy.localhost")) as load:
        hive.until(lambda: load.sent > 20, what="the load runs")
        hive.declare(tenant("busy", "pro", app={"image": newer}), source="busy")
        hive.until(lambda: not (before & hive.running_tasks("skep-busy-web")), what="every task is new")
        sent = load.sent
        hive.until(lambda: load.sent > sent + 400, what="past the last drain")
    assert load.bad == []
    assert hive.service("skep-busy-web").attrs["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"].startswith(newer)


@pytest.mark.fault(27)
def test_no_bad_answer_during_an_edit_of_a_plan_at_20_requests_a_second(hive: Hive) -> None:
    hive.declare(plan("crowded"), tenant("eager", "crowded"), source="eager")
    before = hive.running_tasks("skep-eager-web")
    with Load(hive.browser("eager.localhost")) as load:
        hive.until(lambda: load.sent > 20, what="the load runs")
        edited = plan("crowded", database={"connectionLimit": 9}, app={"resources": {"memory": "200Mi"}})
        hive.declare(edited, tenant("eager", "crowded"), source="eager")
        hive.until(lambda: not (before & hive.running_tasks("skep-eager-web")), what="every task is new")
        sent = load.sent
        hive.until(lambda: load.sent > sent + 400, what="past the last drain")
    assert load.bad == []


@pytest.mark.fault(27)
def test_a_drained_node_gives_its_tenants_away_with_no_bad_answer(hive: Hive) -> None:
    assert hive.swarm is not None
    crowd = ["roam-a", "roam-b", "roam-c"]
    hive.declare(*(tenant(name) for name in crowd), source="roaming")
    hosts = {node.id: node.attrs["Description"]["Hostname"] for node in hive.client.nodes.list()}

    def where(name: str) -> set[str]:
        tasks = hive.service(f"skep-{name}-web").tasks(filters={"desired-state": "running"})
        return {hosts[task["NodeID"]] for task in tasks if task["Status"]["State"] == "running"}

    # Not node0, where the edge and the database are: three tenants of one task each stand on more nodes than that one.
    name, node = next((name, node) for name in crowd for node in where(name) if node != "node0")
    refused = hive.skep("drain", "node0", check=False)
    assert refused.returncode == 2
    assert "keeps PostgreSQL's data" in refused.stderr
    try:
        with Load(hive.browser(f"{name}.localhost")) as load:
            hive.until(lambda: load.sent > 20, what="the load runs")
            done = hive.skep("drain", node)
            sent = load.sent
            hive.until(lambda: load.sent > sent + 300, what="past the last drain")
        assert f"skep-{name}-web moved" in done.stdout
        assert load.bad == []
        assert all(node not in where(each) for each in crowd)
        drained = next(each for each in hive.client.nodes.list() if hosts[each.id] == node)
        assert drained.attrs["Spec"]["Availability"] == "drain"
    finally:
        hive.run("docker", "node", "update", "--availability", "active", node)


def test_a_new_migration_over_old_state_keeps_rows(
    hive: Hive, docker_engine: docker.DockerClient, tmp_path: Path
) -> None:
    assert hive.swarm is not None
    migration = tmp_path / "9000_probe.sql"
    migration.write_text("create table probe (id int);\ninsert into probe values (42);\n")
    newer = images.app_with(docker_engine, {"webapp/migrations/9000_probe.sql": migration})
    hive.swarm.load_image(newer)
    hive.declare(tenant("older"), source="older")
    database = hive.database_of("older")
    hive.sql("create table kept as select 7 as seven", database)
    hive.declare(tenant("older", app={"image": newer}), source="older")
    assert hive.sql("select id from probe", database) == [["42"]]
    assert hive.sql("select seven from kept", database) == [["7"]]
    assert hive.status_of("older.localhost") == 200


@pytest.mark.fault(14)
def test_a_broken_image_leaves_the_old_version_serving(hive: Hive) -> None:
    hive.declare(tenant("careful"), source="careful")
    repository = hive.image.rpartition(":")[0]
    hive.declare(tenant("careful", app={"image": f"{repository}:missing"}), source="careful", wait=False)
    hive.until(lambda: hive.phase("careful") == "Degraded", what="told as Degraded")
    assert hive.status_of("careful.localhost") == 200
    hive.declare(tenant("careful"), source="careful")
    assert hive.phase("careful") == "Ready"


@pytest.mark.fault(23)
def test_postgres_on_an_empty_volume_makes_nothing(hive: Hive) -> None:
    """A new server with the right name and password is not the tenants' server: a person must look."""
    assert hive.swarm is not None
    hive.until(lambda: hive.phase("acme") == "Ready", what="acme is Ready")
    names = {name for name, item in hive.items().items() if item["status"]["phase"] == "Ready"}
    service = hive.service("skep_postgres")
    mounts = service.attrs["Spec"]["TaskTemplate"]["ContainerSpec"]["Mounts"]
    other = [{**mount, "Source": "skep-postgres-empty"} for mount in mounts]
    service.update(mounts=other)
    try:
        hive.until(lambda: _databases(hive) == set(), within_s=90, what="an empty server runs")
        hive.until(lambda: all(hive.phase(name) == "Degraded" for name in names), within_s=120, what="all told")
        assert {hive.reason(name) for name in names} == {"ServerReplaced"}
        assert hive.databases() == set()
    finally:
        hive.service("skep_postgres").update(mounts=mounts)
    hive.until(lambda: all(hive.phase(name) == "Ready" for name in names), within_s=150, what="back with the volume")


def _databases(hive: Hive) -> set[str] | None:
    """None while the server does not answer."""
    try:
        return hive.databases()
    except (RuntimeError, docker.errors.APIError):
        return None


@pytest.mark.fault(24)
def test_statuses_and_records_lost_come_back_the_same(hive: Hive) -> None:
    hive.until(lambda: hive.phase("acme") == "Ready", what="acme is Ready")
    uids = {name: item["metadata"]["uid"] for name, item in hive.items().items() if name in ("acme", "birch", "cedar")}
    for kind in ("status", "record"):
        for name in uids:
            hive.client.configs.get(f"skep.{kind}.{name}").remove()
        hive.until(lambda: all(hive.phase(name) == "Ready" for name in uids), within_s=90, what=f"{kind}s are back")
    assert {name: item["metadata"]["uid"] for name, item in hive.items().items() if name in uids} == uids


def test_skep_up_on_a_swarm_is_init_stack_and_apply_again_and_again(hive: Hive) -> None:
    if not (hive.work / "swarm").exists():
        (hive.work / "swarm").symlink_to(ROOT / "swarm")
    done = hive.skep("up", "--engine", "swarm", hive.work / "demo")
    assert "deployed the stack skep" in done.stdout
    assert "skep_operator: up" in done.stdout
    assert hive.phase("acme") == "Ready"


def test_psql_opens_a_tenants_database_where_the_server_runs(hive: Hive) -> None:
    database = hive.database_of("acme")

    def shown() -> str:  # an earlier test may have had the server deployed anew
        return hive.skep("psql", "acme", "-XAtc", "select current_database()", check=False).stdout.strip()

    hive.until(lambda: shown() == database, what="psql is in acme's database")
    assert hive.swarm is not None
    elsewhere = {**hive.environment, "DOCKER_HOST": hive.swarm.nodes[1].url}
    there = Hive("swarm", elsewhere, hive.edge, hive.work, hive.image, hive.swarm).skep("psql", "acme", check=False)
    assert there.returncode == 2
    assert "runs on node node0" in there.stderr
    assert "docker exec --interactive --tty" in there.stderr


def test_https_at_the_edge_with_a_certificate_from_a_secret(hive: Hive) -> None:
    """The Platform says `tls: certificate`: routes move to HTTPS, cookies become secure, Ready is judged over TLS."""
    certificate, key = self_signed("*.localhost")
    (hive.work / "cert.pem").write_bytes(certificate)
    (hive.work / "key.pem").write_bytes(key)
    hive.run("docker", "secret", "create", "skep.tls-certificate", hive.work / "cert.pem")
    hive.run("docker", "secret", "create", "skep.tls-key", hive.work / "key.pem")
    hive.declare(tenant("locked"), source="locked")
    platform = (hive.work / "demo" / "platform.yaml").read_text()
    try:
        deploy(hive, "tls.yml")
        (hive.work / "demo" / "platform.yaml").write_text(platform.replace("tls: off", "tls: certificate"))
        hive.skep("apply", hive.work / "demo", "--prune")
        hive.until(lambda: hive.items()["locked"]["status"]["urls"] == ["https://locked.localhost"], what="a new URL")
        hive.until(lambda: hive.phase("locked") == "Ready", within_s=120, what="Ready over TLS")
        status, headers = https_get(hive.edge[0], "locked.localhost", certificate)
        assert status == 200
        assert "max-age" in headers["Strict-Transport-Security"]
        redirected = hive.browser("locked.localhost").get("/", follow=False)
        assert redirected.status in (301, 308)
        assert redirected.headers["Location"].startswith("https://locked.localhost")
    finally:
        (hive.work / "demo" / "platform.yaml").write_text(platform)
        hive.skep("apply", hive.work / "demo", "--prune")
        deploy(hive)
        hive.until(lambda: _answers(hive, "acme.localhost"), within_s=120, what="plain HTTP again")
        hive.until(lambda: hive.phase("acme") == "Ready", within_s=120, what="Ready again")
