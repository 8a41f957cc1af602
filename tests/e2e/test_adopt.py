# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""`ringfield adopt`, `can` and `why` as a person uses them, on the running factory."""

from __future__ import annotations

import json
import secrets
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from appliance.cli.adopt import mac_of, port_of
from appliance.cli.main import main
from appliance.run.workload import Workload
from tests.support.factory import Rig, running
from tests.support.fastpath import wait_for
from tests.support.netns import Netns, ip

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    with running() as made:
        yield made


@pytest.fixture
def shell(rig: Rig) -> Callable[..., str]:
    """Runs `ringfield`; what it printed. ``status``: the exit status that is expected."""

    def run(*words: str, status: int = 0) -> str:
        target = ["--target", str(rig.config.grpc.unix)]
        result = CliRunner().invoke(main, [*target, *words], env={"COLUMNS": "200"})
        assert result.exit_code == status, f"{words}: {result.output} {result.exception!r}"
        return result.output

    return run


def test_a_namespace_is_adopted_and_let_go(
    rig: Rig, shell: Callable[..., str], netns: Callable[[str], Netns]
) -> None:
    """By its labels alone it may do what the policy says agents may; taken out, it is as it was."""
    space = netns("mine")
    words = [
        "adopt",
        space.name,
        "--workload",
        "mine",
        "--kind",
        "agent",
        "--labels",
        "app=assistant,env=prod",
    ]
    told = json.loads(shell("--json", *words))
    assert told["port"] == port_of(space.name)
    assert told["mac"] == mac_of(space.name)
    assert space.links() == [told["port"]]
    with Workload(space.name) as mine:
        targets = [["tcp", "10.80.1.30", 7000], ["tcp", "fd52:80:1::40", 8000], ["tcp", "10.80.2.30", 2049]]
        outcomes = mine.do("probe", targets=targets[:2], timeout=10.0)["outcomes"]
        assert outcomes == ["open", "open"]
        assert mine.do("probe", targets=targets[2:], timeout=1.0)["outcomes"] == ["no answer"]
        assert "Yes" in shell("can", "mine", "tool", "tcp/7000")
        refused = shell("why", "mine", "dataset", "tcp/2049")
        assert "mine (app=assistant, env=prod) was refused tcp/2049 to dataset" in refused
        assert 'band: allow, from: "name=mine", to: "name=dataset", services: [tcp/2049]' in refused
        assert "tried" in refused, "the rule that it names was tried"
        again = shell(*words, status=1)
        assert "already" in again
        assert space.links() == [told["port"]], "what there was is not touched"
        assert "mine" in shell("adopt", space.name, "--undo")
        assert space.links() == []
        assert mine.do("probe", targets=targets[:1], timeout=0.5)["outcomes"] == ["unreachable"]
    assert "was not adopted" in shell("adopt", space.name, "--workload", "mine", "--undo", status=1)
    assert "no workload" in shell("can", "mine", "tool", "tcp/7000", status=2)


def test_what_is_behind_an_interface_is_adopted(
    rig: Rig, shell: Callable[..., str], netns: Callable[[str], Netns]
) -> None:
    """The appliance answers its ARP, and judges it; its own MAC and address are what the port admits."""
    far = netns("far")
    near = f"rfa{secrets.token_hex(3)}"
    mac, address = "02:ad:00:00:00:77", "10.80.1.77"
    far.ip("link", "add", "eth0", "address", mac, "type", "veth", "peer", "name", near, "netns", "1")
    try:
        ip("link", "set", near, "up")
        far.ip("link", "set", "eth0", "up")
        far.ip("address", "add", f"{address}/24", "dev", "eth0")
        told = json.loads(
            shell("--json", "adopt", near, "--workload", "far", "--mac", mac, "--address", address)
        )
        assert told["addresses"] == [f"{address}/24"]
        far.run("ping", "-c", "1", "-W", "1", "10.80.1.1")
        wait_for("the gateway's MAC", lambda: "02:52:46:00:00:01" in far.ip("neighbour", "show"))
        assert "No: far" in shell("can", "far", "tool", "tcp/7000", status=1)
        assert "far" in shell("adopt", near, "--workload", "far", "--undo")
    finally:
        far.ip("link", "delete", "eth0")


def test_what_cannot_be_adopted_is_told(
    rig: Rig, shell: Callable[..., str], netns: Callable[[str], Netns]
) -> None:
    space = netns("odd")
    assert "neither a namespace nor an interface" in shell("adopt", "nowhere", status=1)
    assert "not KEY=VALUE" in shell("adopt", space.name, "--labels", "app", status=2)
    assert "in none of the prefixes" in shell("adopt", space.name, "--address", "192.0.2.1", status=1)
    assert "does not appear" in shell("adopt", space.name, "--address", "10.80.1.300", status=2)
    assert "say who is behind it" in shell("adopt", "lo", status=1)
    taken = shell("adopt", space.name, "--address", "10.80.1.20", status=1)
    assert "agent" in taken, "the address is the agent's"
    assert space.links() == [], "a refusal takes back what was done"


def test_can_answers_with_rule_and_exit_status(shell: Callable[..., str]) -> None:
    yes = shell("can", "prep", "dataset", "tcp/2049")
    assert "rule preprocessing-reads-its-dataset (allow)" in yes
    assert "override-block" in yes, "what would stop it"
    no = shell("can", "training", "inference", "tcp/8000", status=1)
    assert "rule research-stays-away-from-customers (override-block)" in no
    assert "override-allow" in no, "what would allow it"
    assert json.loads(shell("--json", "can", "agent", "10.80.2.30", "tcp/2049", status=1))["allowed"] is False
    shell("can", "agent", "dataset", "tcp/port", status=2)


def test_status_shows_one_screen(rig: Rig, shell: Callable[..., str]) -> None:
    screen = shell("status")
    for words in ("revision 1", "default block", "10, 10 ready", "pf0vf1", "agent", "nobody"):
        assert words in screen, screen
    assert len(screen.splitlines()) < 50
    told = json.loads(shell("--json", "status"))
    assert told["policy"]["default"] == "block"
    assert len(told["workloads"]) == 10
    assert not [one for one in told["problems"] if one["level"] == "wrong"]


def test_a_support_bundle_tells_policy_and_records_and_no_secret(
    rig: Rig, shell: Callable[..., str], tmp_path: Path
) -> None:
    rig.quarantine("tool", reason="api_token=s3cr3t-t0ken seen in its log")
    try:
        shell("support-bundle", "-o", str(tmp_path / "b.tgz"))
    finally:
        rig.release("tool")
    with tarfile.open(tmp_path / "b.tgz") as archive:
        files = {
            member.name.split("/", 1)[1]: file.read()
            for member in archive.getmembers()
            if (file := archive.extractfile(member)) is not None
        }
    wanted = {
        "policy.json",
        "workloads.json",
        "contained.json",
        "audit.json",
        "flows.json",
        "runtime/fastpath.log",
    }
    assert wanted <= set(files)
    assert json.loads(files["manifest.json"])["missing"] == {}
    assert b"research-stays-away-from-customers" in files["policy.json"]
    assert b"tool" in files["contained.json"]
    key = (rig.config.runtime_dir / "segmentation" / "audit.key").read_bytes().splitlines()[1]
    for name, content in files.items():
        assert b"s3cr3t-t0ken" not in content, name
        assert key not in content, name
        assert b"PRIVATE KEY" not in content, name
