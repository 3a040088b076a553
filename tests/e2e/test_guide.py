"""What docs/guide.md tells people to type, typed on the swarm in the order of the page."""

from __future__ import annotations

import re
import subprocess

import pytest

from tests.e2e.hives import ROOT, Hive

pytestmark = [pytest.mark.swarm, pytest.mark.timeout(300)]

# What cannot be typed here, and why. tests/several types the lines of docs/grow.md.
NOT_TYPED = {
    "docker build --tag skep:0.1.0 .": "the rig builds the same Dockerfile over a base image of its own",
    "docker build --tag skep:0.2.0 .": "the same",
    "skep init --base-domain example.com": "the hive was prepared so, for localhost",
    "SKEP_DOCKER_GID=$(stat -c %g /var/run/docker.sock) docker stack deploy --compose-file swarm/skep.yml skep": (
        "the hive was deployed so; the socket is that of the rig's nodes"
    ),
    "cp -r manifests/demo my-hive": "the copy must name the rig's image",
    "SKEP_IMAGE=skep:0.2.0 SKEP_DOCKER_GID=$(stat -c %g /var/run/docker.sock) docker stack deploy "
    "--compose-file swarm/skep.yml skep": "there is no such image yet; tests/e2e/test_swarm.py deploys again",
    "SKEP_POSTGRES_IMAGE=postgres:17.6 SKEP_DOCKER_GID=$(stat -c %g /var/run/docker.sock) docker stack deploy "
    "--compose-file swarm/skep.yml skep": "no registry is in reach",
    "skep drain node2": "tests/e2e/test_swarm.py types it, under load",
    "docker swarm init --force-new-cluster": "it would tear the swarm of all tests apart",
}
# Exit codes other than 0 that are an answer, not a failure.
ANSWERS = {
    "skep doctor": (0, 1),  # other tests leave tenants in need
    "skep doctor --root-key skep-root.key": (0, 1),
    "skep diff my-hive --prune": (10,),
}


def shown(page: str) -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "docs" / page).read_text(), flags=re.DOTALL)
    return [line.strip() for block in blocks for line in block.splitlines() if line.strip()]


def test_what_is_not_typed_is_still_shown() -> None:
    assert not NOT_TYPED.keys() - set(shown("guide.md"))


def test_every_line_of_the_guide_works_as_it_is_written(swarm_hive: Hive) -> None:
    hive = swarm_hive
    my_hive = hive.work / "my-hive"
    if not my_hive.exists():
        my_hive.symlink_to(hive.work / "demo")
    uid = hive.items()["cedar"]["metadata"]["uid"]
    said: dict[str, str] = {}
    edited = my_hive / "tenants" / "birch.yaml"
    before = edited.read_text()
    edited.write_text(before.replace("displayName: ", "displayName: New "))  # something to publish, and to go back from
    (hive.work / "skep-root.key").rename(hive.work / "before.key")
    try:
        for line in shown("guide.md"):
            if line in NOT_TYPED:
                continue
            said[line] = type_in(hive, line)
            match line:
                case "skep undo":
                    edited.write_text(before)
                    hive.until(
                        lambda: "New Birch" not in hive.browser("birch.localhost").get("/").text, what="it is back"
                    )
                case "skep delete tenant cedar":
                    hive.until(lambda: hive.phase("cedar") == "Retained", what="its data is kept")
                case "skep apply my-hive --prune":
                    hive.until(lambda: hive.reason("cedar") == "NameRetained", what="a person is asked")
                case "skep approve adopt cedar --yes":
                    hive.until(lambda: hive.phase("cedar") == "Ready", what="it is taken up again")
                    assert hive.items()["cedar"]["metadata"]["uid"] == uid
                    let_go_again(hive)
                case "skep approve purge cedar --yes":
                    hive.until(lambda: not any("t_cedar_" in name for name in hive.databases()), what="it is gone")
                    hive.skep("apply", my_hive, "--prune", "--wait")
                    assert hive.items()["cedar"]["metadata"]["uid"] != uid
        assert (hive.work / "skep-root.key").read_bytes().strip() == (hive.work / "before.key").read_bytes().strip()
    finally:
        edited.write_text(before)
        (hive.work / "before.key").rename(hive.work / "skep-root.key")
    assert re.search(r"acme +pro? *.*Ready", said["skep get tenants -o wide"])
    assert "skep-edge-1" in said["skep describe platform"]
    assert "Ready" in said["skep events --all"]
    assert said["skep psql acme -c 'select 1'"].count("1") >= 1
    assert "root key" in said["skep doctor --root-key skep-root.key"]


def let_go_again(hive: Hive) -> None:
    hive.skep("delete", "tenant", "cedar")
    hive.until(lambda: hive.phase("cedar") == "Retained", what="its data is kept once more")


def type_in(hive: Hive, line: str) -> str:
    assert hive.swarm is not None
    environment = dict(hive.environment)
    if line.startswith("docker exec") and "skep_operator" in line:  # on a manager where one runs
        environment["DOCKER_HOST"] = next(
            node.url
            for node in hive.swarm.nodes
            if node.client.containers.list(filters={"label": "com.docker.swarm.service.name=skep_operator"})
        )
    done = subprocess.run(
        ["bash", "-c", line], cwd=hive.work, env=environment, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode in ANSWERS.get(line, (0,)), f"{line} -> {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout
