# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Scenarios that change who runs: replicas come and go; the management plane dies and comes back."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from appliance.cli.main import main
from appliance.demo.factory_data import HOSTS, STREAMS, Service
from appliance.demo.factory_lab import Factory, Try
from appliance.rpc.client import Client
from appliance.run.appliance import kill_recorded
from appliance.run.lab import remove
from appliance.run.workload import Workload
from appliance.v1 import policy_service_pb2, system_service_pb2
from tests.support import process
from tests.support.factory import FILES, TIMEOUT, Rig, alone, running
from tests.support.fastpath import wait_for
from tests.support.netns import Netns
from tests.support.rig import directory

pytestmark = pytest.mark.root
REPLICAS = 20
TOOL = Service("tcp", 7000)


def adopt(rig: Rig, *words: str) -> Any:
    """`ringfield --json adopt ...`; what it says."""
    result = CliRunner().invoke(main, ["--target", str(rig.config.grpc.unix), "--json", "adopt", *words])
    assert result.exit_code == 0, f"{words}: {result.output} {result.exception!r}"
    return json.loads(result.output)


def policy_of(rig: Rig) -> tuple[int, int, int]:
    """Revision and what it compiles to: rows that speak of pairs of identities, and identities."""
    running_policy = rig.client.policy.GetPolicy(policy_service_pb2.GetPolicyRequest(), timeout=TIMEOUT)
    sizes = running_policy.sizes
    return running_policy.revision.number, sizes.pairs, sizes.identities


def test_a_service_scales_from_2_to_20_replicas_and_back_without_a_policy_change(
    netns: Callable[[str], Netns],
) -> None:
    """A replica is reached from its first moment by those who may, and never for a moment by those who may not."""
    with running() as rig, ExitStack() as stack:
        agent, stranger = rig.factory.workloads["agent"], rig.factory.workloads["prep"]
        before = policy_of(rig)
        spaces: list[Netns] = []
        addresses: list[str] = []

        def scale_out() -> None:
            space = netns(f"tool{len(spaces)}")
            replica = stack.enter_context(Workload(space.name))
            assert replica.do("serve_tcp", port=TOOL.port, name=space.name, ipv6=True)["ok"]
            # Somebody who may not tries all the time, the address that comes next included.
            tried: Future[dict[str, Any]] = stranger.call(
                "probe",
                targets=[["tcp", f"10.80.1.{2 + len(spaces)}", TOOL.port]] * 8,
                timeout=0.4,
                at_once=4,
            )
            labels = ["--kind", "tool", "--labels", "app=assistant,env=prod"]
            told = adopt(rig, space.name, *labels)
            address = told["addresses"][0].split("/")[0]
            spaces.append(space)
            addresses.append(address)
            first = agent.do("probe", targets=[["tcp", address, TOOL.port]], timeout=10.0)["outcomes"]
            assert first == ["open"], f"replica {len(spaces)} at its first moment"
            assert "open" not in tried.result(timeout=30)["outcomes"], (
                f"replica {len(spaces)} was open to a stranger"
            )

        scale_out()  # with the factory's own tool: two
        for number, host in enumerate((HOSTS["tool"].address4, addresses[0])):
            opened = agent.do(
                "open_stream", stream=f"s{number}", protocol="tcp", host=host, port=TOOL.port, rate=50.0
            )
            assert opened["ok"], opened
        while len(spaces) < REPLICAS - 1:
            scale_out()
        every = [["tcp", address, TOOL.port] for address in (HOSTS["tool"].address4, *addresses)]
        assert agent.do("probe", targets=every, timeout=10.0)["outcomes"] == ["open"] * REPLICAS
        assert "open" not in stranger.do("probe", targets=every, timeout=1.0)["outcomes"]
        assert policy_of(rig) == before, "the policy, its pairs and its identities are as they were"

        for space in spaces[1:]:  # and back to two
            adopt(rig, space.name, "--undo")
        gone = agent.do("probe", targets=every[2:], timeout=1.0)["outcomes"]
        assert "open" not in gone
        reports = agent.do("close_streams")["streams"]
        assert {
            (one["error"], one["sent"] - one["received"], one["disordered"]) for one in reports.values()
        } == {("", 0, 0)}
        adopt(rig, spaces[0].name, "--undo")


# --- the management plane ---------------------------------------------------------------------------------------------


@contextmanager
def served(where: Path) -> Iterator[subprocess.Popen[str]]:
    """`ringfield run` on the factory, ready."""
    with process.appliance(FILES / "factory.yaml", where, end=signal.SIGTERM) as started:
        process.wait_ready(started)
        yield started


def test_the_management_plane_is_killed_and_enforcement_holds() -> None:
    """Nothing is lost, what is allowed opens, what is denied does not; the next one takes over."""
    steady = [stream for stream in STREAMS if stream.source != "soc"]
    allowed = [Try("prep", "dataset", Service("tcp", 2049), version) for version in (4, 6)]
    denied = [
        Try("agent", "dataset", Service("tcp", 2049), 4),
        Try("training", "inference", Service("tcp", 8000), 6),
    ]
    with alone(), directory() as where:
        try:
            with ExitStack() as stack:
                first = stack.enter_context(served(where))
                lab = stack.enter_context(Factory())
                lab.wait_for_addresses()
                lab.open_streams(steady)
                first.kill()
                first.wait()
                before = {name: report["received"] for name, report in lab.report_streams().items()}
                outcomes = lab.measure([*allowed, *denied], allowed)
                assert [outcomes[one] for one in allowed] == ["open", "open"]
                assert "open" not in [outcomes[one] for one in denied]
                wait_for(
                    "connections to move on without an appliance",
                    lambda: all(
                        one["received"] > before[name] + 20 for name, one in lab.report_streams().items()
                    ),
                    20.0,
                )
                with served(where), Client(f"unix:{where / 'ringfield.sock'}") as client:
                    status = client.system.GetStatus(system_service_pb2.GetStatusRequest(), timeout=TIMEOUT)
                    assert status.adopted
                    assert not status.restarts
                    outcomes = lab.measure([*allowed, *denied], allowed)
                    assert [outcomes[one] for one in allowed] == ["open", "open"]
                    assert "open" not in [outcomes[one] for one in denied]
                    reports = lab.close_streams()
                for stream in steady:
                    report = reports[stream.name]
                    assert (report["error"], report["sent"] - report["received"]) == ("", 0), (
                        stream.name,
                        report,
                    )
        finally:
            kill_recorded(where)
            for host in HOSTS.values():
                remove(host.namespace)
