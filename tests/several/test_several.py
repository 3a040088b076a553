"""Several networks and database servers on the rig: filled up, added to, taken away. docs/grow.md is what is typed here.

The networks are /28s, with room for four tenants of one task each.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.hives import ROOT, Hive, on_swarm, plan, tenant
from tests.rig.swarm import TestSwarm

pytestmark = [pytest.mark.swarm, pytest.mark.timeout(300)]

EIGHT = [f"crowd-{number}" for number in range(8)]
STACK = (
    "docker stack deploy --compose-file swarm/skep.yml --compose-file swarm/edge-2.yml --compose-file swarm/data-2.yml"
)
THIRD = "--compose-file swarm/edge-3.yml --compose-file swarm/data-3.yml"


@pytest.fixture(scope="module")
def hive(
    swarm: TestSwarm,
    app_image: str,
    traefik_image: str,
    postgres_image: str,
    redis_image: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Hive]:
    images = {"app": app_image, "traefik": traefik_image, "postgres": postgres_image, "redis": redis_image}
    with on_swarm(swarm, images, tmp_path_factory.mktemp("several"), small=True) as hive:
        shutil.copytree(ROOT / "swarm", hive.work / "swarm")
        yield hive


def type_in(hive: Hive, line: str, more: str = "") -> str:
    """A line of docs/grow.md as a person types it, and what only this rig needs *more*."""
    assert line in shown(), f"docs/grow.md does not show `{line}`"
    typed.add(line)
    done = subprocess.run(
        ["bash", "-c", f"{line} {more}"],
        cwd=hive.work,
        env=hive.environment,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def shown() -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "docs" / "grow.md").read_text(), flags=re.DOTALL)
    return [line.strip() for block in blocks for line in block.splitlines() if line.strip()]


def declare(hive: Hive, *tenants: dict[str, Any], wait: bool = True) -> None:
    """Added to what is there."""
    hive.declare(*tenants, source="crowd", prune=False, wait=wait)


def let_go(hive: Hive, name: str) -> None:
    (hive.work / "crowd" / f"tenant-{name}.yaml").unlink()
    hive.skep("delete", "tenant", name)
    hive.until(lambda: hive.phase(name) == "gone", what=f"{name} is gone")


def platform(hive: Hive, *, networks: int, servers: tuple[dict[str, Any], ...]) -> None:
    hive.declare(
        {
            "apiVersion": "skep/v1",
            "kind": "Platform",
            "metadata": {"name": "small"},
            "spec": {
                "baseDomain": "localhost",
                "tls": "off",
                "networks": {
                    kind: [f"skep-{kind}-{number}" for number in range(1, networks + 1)] for kind in ("edge", "data")
                },
                "databases": list(servers),
                "app": {"image": hive.image},
            },
        },
        plan("free"),
        source="base",
        wait=False,
    )


# Lines of docs/grow.md that only the fixture can have typed, or none of the rig's networks let anybody type.
ELSEWHERE = {
    "skep init --networks 2": "tests/e2e/hives.py prepares the hive so",
    "SKEP_NETWORKS=2 swarm/prepare": "the same, by the plain Docker way",
    f"{STACK} skep": "the same; it deploys these files",
    "SKEP_REFRESH_S=5 docker stack deploy --compose-file swarm/skep.yml skep": (
        "it would leave the further networks; tests/unit/test_stack_files.py reads what it does"
    ),
    "SKEP_DATABASE=postgres-2 docker stack deploy --compose-file swarm/database.yml skep-postgres-2": (
        "here are three data networks; the longer line below it is typed"
    ),
}
typed: set[str] = set()

MAIN = {"name": "main", "host": "postgres"}
SECOND = {"name": "second", "host": "postgres-2"}


def networks_of(hive: Hive, names: list[str]) -> dict[str, tuple[str, ...]]:
    """What each tenant's service has joined, by the engine's own word."""
    by_id = {network.id: str(network.name) for network in hive.client.networks.list()}
    return {
        name: tuple(
            sorted(
                by_id[network["Target"]]
                for network in hive.service(f"skep-{name}-web").attrs["Spec"]["TaskTemplate"]["Networks"]
            )
        )
        for name in names
    }


def server_of(hive: Hive, name: str) -> str:
    described = hive.skep("describe", "tenant", name).stdout
    found = re.search(r"^Database: +\S+ on (\S+)$", described, flags=re.MULTILINE)
    assert found is not None, described
    return found[1]


def places(hive: Hive) -> dict[str, dict[str, Any]]:
    (item,) = json.loads(hive.skep("get", "platforms", "-o", "json").stdout)["items"]
    return {place["name"]: place for place in item["status"]["places"]}


def all_ready(hive: Hive, names: list[str]) -> bool:
    items = hive.items()
    return all(name in items and items[name]["status"]["phase"] == "Ready" for name in names)


def test_tenants_spread_over_all_networks_and_stay_where_they_are(hive: Hive) -> None:
    platform(hive, networks=2, servers=(MAIN,))
    declare(hive, *(tenant(name) for name in EIGHT[:4]))
    before = networks_of(hive, EIGHT[:4])
    assert Counter(network for joined in before.values() for network in joined) == {
        "skep-data-1": 2, "skep-data-2": 2, "skep-edge-1": 2, "skep-edge-2": 2,
    }  # fmt: skip
    assert all(hive.status_of(f"{name}.localhost") == 200 for name in EIGHT[:4])
    for container in hive.containers("skep_operator"):
        container.kill("SIGTERM")
    declare(hive, tenant(EIGHT[0], displayName="Edited"))
    hive.until(lambda: "Edited" in hive.browser(f"{EIGHT[0]}.localhost").get("/").text, what="the edit arrived")
    assert networks_of(hive, EIGHT[:4]) == before


def test_full_networks_are_told_and_one_more_lets_it_go_on(hive: Hive) -> None:
    declare(hive, *(tenant(name) for name in EIGHT))
    before = networks_of(hive, EIGHT)
    assert Counter(network for joined in before.values() for network in joined) == {
        "skep-data-1": 4, "skep-data-2": 4, "skep-edge-1": 4, "skep-edge-2": 4,
    }  # fmt: skip
    declare(hive, tenant("ninth"), wait=False)
    hive.until(lambda: "ninth" in hive.items() and hive.reason("ninth") == "NetworksFull", what="the ninth is told")
    described = hive.skep("describe", "tenant", "ninth").stdout
    assert "Waits for:    no edge network has 2 addresses left: skep-edge-1 (8 of 8), skep-edge-2 (8 of 8)" in described
    assert "spec.networks.edge of the Platform" in described
    assert "Tries again:  every 30 s" in described

    assert places(hive)["skep-edge-1"] == {
        "kind": "edge", "name": "skep-edge-1", "used": 8, "room": 8, "share": 1.0, "nearlyFull": True,
    }  # fmt: skip
    assert places(hive)["main"]["used"] == 8
    assert re.search(r"edge +skep-edge-2 +8 +8 +100% +full: add an edge", hive.skep("describe", "platform").stdout)
    doctor = hive.skep("doctor", check=False)
    assert doctor.returncode == 1
    assert re.search(r"!! +network skep-data-2 +8 of 8 addresses", doctor.stdout)
    assert re.search(r"ok +connections of main +\d+ of 300", doctor.stdout), doctor.stdout
    assert re.search(r"ok +edge's look +\S+ s for \d+ services", doctor.stdout), doctor.stdout

    made = type_in(
        hive, "skep init --networks 3", "--yes --not-encrypted --network-size 28 --address-pool 198.19.244.0/24"
    )
    assert re.findall(r"^made +(.*)$", made, flags=re.MULTILINE) == ["network skep-edge-3", "network skep-data-3"]
    platform(hive, networks=3, servers=(MAIN,))
    doctor = hive.skep("doctor", check=False)
    assert "service skep_traefik: deploy its stack with --compose-file swarm/edge-3.yml" in doctor.stdout
    type_in(hive, "sed s/edge-2/edge-3/g swarm/edge-2.yml > swarm/edge-3.yml")
    type_in(hive, "sed s/data-2/data-3/g swarm/data-2.yml > swarm/data-3.yml")
    type_in(hive, f"{STACK} {THIRD} skep")
    hive.until(lambda: hive.phase("ninth") == "Ready", within_s=120, what="the ninth is placed")
    assert networks_of(hive, ["ninth"])["ninth"] == ("skep-data-3", "skep-edge-3")
    assert hive.status_of("ninth.localhost") == 200
    hive.until(lambda: all_ready(hive, EIGHT), within_s=120, what="the others are back after Traefik's restart")
    assert networks_of(hive, EIGHT) == before


def test_a_second_server_takes_what_the_first_has_no_room_for(hive: Hive) -> None:
    type_in(hive, "sed s/data-2/data-3/g swarm/database-data-2.yml > swarm/database-data-3.yml")
    type_in(
        hive, """docker node update --label-add skep.postgres-2=true "$(docker info --format '{{.Swarm.NodeID}}')\""""
    )
    type_in(
        hive,
        "SKEP_DATABASE=postgres-2 docker stack deploy --compose-file swarm/database.yml "
        "--compose-file swarm/database-data-2.yml --compose-file swarm/database-data-3.yml skep-postgres-2",
    )
    hive.until(lambda: hive.running_tasks("skep-postgres-2_database"), within_s=90, what="the second server runs")
    platform(hive, networks=3, servers=(MAIN | {"capacity": 10}, SECOND | {"capacity": 2}))
    declare(hive, tenant("asked", database={"server": "main"}))
    declare(hive, tenant("passed"))
    assert (server_of(hive, "asked"), server_of(hive, "passed")) == ("main", "second")
    declare(hive, tenant("refused", database={"server": "main"}), wait=False)
    hive.until(lambda: "refused" in hive.items() and hive.reason("refused") == "ServersFull", what="main is full")
    assert "no room on main (raise a capacity or add a server" in hive.skep("describe", "tenant", "refused").stdout

    containers = hive.containers("skep-postgres-2_database")
    code, listed = _psql(containers[0], "select datname from pg_database where datname like 't\\_%'")
    assert (code, listed) == (0, hive.database_of("passed"))
    assert not [name for name in hive.databases() if "passed" in name]
    said = hive.skep("psql", "passed", "-XAtc", "select current_database()").stdout.strip()
    assert said == hive.database_of("passed")
    assert (places(hive)["main"]["nearlyFull"], places(hive)["second"]["used"]) == (True, 1)
    assert re.search(r"ok +connections of second +\d+ of 300", hive.skep("doctor", check=False).stdout)
    let_go(hive, "refused")


def test_a_server_that_is_away_delays_its_own_tenants_only(hive: Hive) -> None:
    hive.run("docker", "service", "scale", "--detach", "skep-postgres-2_database=0")
    hive.until(lambda: not hive.containers("skep-postgres-2_database"), what="the second server is away")
    try:
        platform(hive, networks=3, servers=(MAIN | {"capacity": 20}, SECOND | {"capacity": 20}))
        declare(hive, tenant("passed", displayName="Edited"), wait=False)
        hive.until(lambda: hive.reason("passed") == "DatabaseUnavailable", what="its tenant says so")
        declare(hive, tenant("asked", displayName="Edited", database={"server": "main"}), wait=False)
        hive.until(lambda: "Edited" in hive.browser("asked.localhost").get("/").text, within_s=30, what="no delay")
        # The emptier server is the one that is away.
        declare(hive, tenant("fresh", deletionPolicy="Delete"), wait=False)
        hive.until(lambda: hive.phase("fresh") == "Ready", what="made where somebody answers")
        assert server_of(hive, "fresh") == "main"
        let_go(hive, "fresh")
    finally:
        hive.run("docker", "service", "scale", "--detach", "skep-postgres-2_database=1")
    hive.until(lambda: all_ready(hive, ["passed"]), within_s=120, what="its tenant is Ready again")


def test_a_task_that_finds_no_address_is_told(hive: Hive) -> None:
    """Somebody else's tasks are on our network, so placement reckons with addresses that are gone."""
    image, words = hive.image, ["--entrypoint", "sleep"]
    hive.run(
        "docker", "service", "create", "--detach", "--name", "squatter", "--endpoint-mode", "dnsrr", "--no-resolve-image",
        "--restart-condition", "none", "--network", "skep-edge-3", "--replicas", "16", *words, image, "infinity",
    )  # fmt: skip
    try:
        hive.until(
            lambda: _states(hive, "squatter")["running"] >= 5 and _states(hive, "squatter")["new"] > 0,
            within_s=90,
            what="nothing is left",
        )
        declare(hive, tenant("homeless"), wait=False)
        hive.until(
            lambda: "homeless" in hive.items() and hive.reason("homeless") == "NoAddress", within_s=100, what="told"
        )
        described = hive.skep("describe", "tenant", "homeless").stdout
        assert re.search(r"Waits for: +skep-homeless-web: .*no .*address.*\(NoAddress\)", described), described
        assert "add a network to the stack" in described
    finally:
        hive.service("squatter").remove()
    hive.until(lambda: hive.phase("homeless") == "Ready", within_s=120, what="addresses are free again")


def test_every_line_of_the_page_was_typed() -> None:
    assert typed, "run the file as a whole"
    assert set(shown()) == typed | ELSEWHERE.keys()


def _states(hive: Hive, service: str) -> Counter[str]:
    return Counter(str(task["Status"]["State"]) for task in hive.service(service).tasks({"desired-state": "running"}))


def _psql(container: Any, query: str) -> tuple[int, str]:
    code, output = container.exec_run(["psql", "-XAtq", "-U", "skep_admin", "-d", "postgres", "-c", query])
    return int(code), output.decode().strip()
