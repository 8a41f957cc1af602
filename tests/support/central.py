# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""A real centre in a process of its own, and appliances that obey it. No root."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc

from appliance.intelligence import enrol, wire
from appliance.intelligence.directory import read_file
from appliance.intelligence.v1 import (
    containment_service_pb2,
    containment_service_pb2_grpc,
    fleet_service_pb2,
    fleet_service_pb2_grpc,
    inventory_service_pb2,
    inventory_service_pb2_grpc,
    policy_service_pb2,
    policy_service_pb2_grpc,
)
from appliance.rpc.client import Client
from appliance.rpc.convert.workload import spec_to
from appliance.run import frames
from appliance.run.appliance import kill_recorded
from appliance.run.frames import Host
from appliance.v1 import audit_service_pb2_grpc, trace_pb2, trace_service_pb2, workload_pb2
from tests.support.fastpath import wait_for
from tests.support.process import appliance as appliance_process
from tests.support.process import started, wait_ready

TIMEOUT = 60.0
CENTRE = """\
name: lab
listen: {appliances: "127.0.0.1:PORT_A", enrolment: "127.0.0.1:PORT_E"}
"""
APPLIANCE = """\
fastpath: {hugepages: 'no'}
ports:
  p0: {backend: net_ring}
  p1: {backend: net_ring}
  p2: {backend: net_ring}
central: {}
segmentation:
  networks: {lab: {prefixes: [10.0.0.0/24], gateways: [10.0.0.254]}}
"""
WORKLOADS = """\
networks: {lab: {prefixes: [10.0.0.0/24], gateways: [10.0.0.254]}}
workloads:
  web: {appliance: dpu1, network: lab, port: p1, mac: "02:00:00:00:00:01", addresses: 10.0.0.1, labels: {app: web}}
  db: {appliance: dpu1, network: lab, port: p2, mac: "02:00:00:00:00:02", addresses: 10.0.0.2, labels: {app: db}}
  far: {appliance: dpu2, network: lab, port: p1, mac: "02:00:00:00:00:03", addresses: 10.0.0.3, labels: {app: web}}
"""
POLICY = """\
rules:
  - {name: web-to-db, band: allow, from: app=web, to: app=db, services: [tcp/5432]}
"""
WEB = Host("02:00:00:00:00:01", "10.0.0.1")
DB = Host("02:00:00:00:00:02", "10.0.0.2")
PORT_OF = {WEB: "p1", DB: "p2"}


class Centre:
    """A running centre, and its administrator."""

    def __init__(self, process: subprocess.Popen[str], unix: Path, ports: tuple[int, int]) -> None:
        self.process, self.unix, self.ports = process, unix, ports
        self.channel = grpc.insecure_channel(f"unix:{unix}")
        self.fleet = fleet_service_pb2_grpc.FleetServiceStub(self.channel)
        self.inventory = inventory_service_pb2_grpc.InventoryServiceStub(self.channel)
        self.policy = policy_service_pb2_grpc.PolicyServiceStub(self.channel)
        self.containment = containment_service_pb2_grpc.ContainmentServiceStub(self.channel)
        self.audit = audit_service_pb2_grpc.AuditServiceStub(self.channel)

    @property
    def enrolment(self) -> str:
        """HOST:PORT."""
        return f"127.0.0.1:{self.ports[1]}"

    def token(self, name: str, ttl: float = 0.0) -> str:
        """For an appliance."""
        request = fleet_service_pb2.CreateEnrolmentTokenRequest(name=name, ttl_seconds=ttl)
        return self.fleet.CreateEnrolmentToken(request, timeout=TIMEOUT).token

    def operator(self, name: str, role: str, **more: object) -> str:
        """A bearer token."""
        request = fleet_service_pb2.CreateOperatorTokenRequest(name=name, role=role, **more)  # type: ignore[arg-type]
        return self.fleet.CreateOperatorToken(request, timeout=TIMEOUT).token

    def apply(self, text: str) -> None:
        """Networks and workloads."""
        networks, workloads = read_file(text, "workloads.yaml")
        if networks:
            self.inventory.ApplyNetworks(
                inventory_service_pb2.ApplyNetworksRequest(
                    networks=[wire.network_to(one) for one in networks]
                ),
                timeout=TIMEOUT,
            )
        messages = [workload_pb2.Workload(name=one.name, spec=spec_to(one)) for one in workloads]
        self.inventory.ApplyWorkloads(
            inventory_service_pb2.ApplyWorkloadsRequest(workloads=messages), timeout=TIMEOUT
        )

    def publish(self, text: str, name: str = "base") -> int:
        """A policy; the revision."""
        request = policy_service_pb2.PublishPolicySetRequest(name=name, source=text, reason="a test")
        return self.policy.PublishPolicySet(request, timeout=TIMEOUT).revision

    def quarantine(self, *names: str) -> int:
        """The number of the containment."""
        request = containment_service_pb2.ContainRequest(
            workloads=names, state=workload_pb2.WORKLOAD_STATE_QUARANTINED, reason="a test"
        )
        return self.containment.Contain(request, timeout=TIMEOUT).number

    def release(self, *names: str) -> int:
        """The number of the containment."""
        request = containment_service_pb2.ReleaseRequest(workloads=names, reason="the test is over")
        return self.containment.Release(request, timeout=TIMEOUT).number

    def containment_of(self, name: str) -> str:
        """State of a workload at the centre."""
        found = self.containment.ListContainment(
            containment_service_pb2.ListContainmentRequest(), timeout=TIMEOUT
        )
        states = {one.workload: one.state for one in found.contained}
        word = workload_pb2.WorkloadState.Name(states.get(name, workload_pb2.WORKLOAD_STATE_NORMAL))
        return word.removeprefix("WORKLOAD_STATE_").lower()

    def of(self, name: str) -> fleet_service_pb2.FleetAppliance:
        """One appliance."""
        found = self.fleet.ListAppliances(fleet_service_pb2.ListAppliancesRequest(), timeout=TIMEOUT)
        return next(one for one in found.appliances if one.name == name)

    def current(self, *names: str, seconds: float = 20.0) -> None:
        """Wait until appliances enforce what they are to."""
        for name in names:
            wait_for(f"{name} to be current", lambda name=name: self.of(name).current, seconds)  # type: ignore[misc]

    def alarms(self) -> list[str]:
        """Kinds, the newest first."""
        found = self.fleet.ListAlarms(fleet_service_pb2.ListAlarmsRequest(), timeout=TIMEOUT)
        return [one.kind for one in found.alarms]

    def kill(self) -> None:
        """-9."""
        self.process.kill()
        self.process.wait()
        self.channel.close()


@contextmanager
def centre(
    directory: Path, ports: tuple[int, int] = (0, 0), more: str = "", options: tuple[str, ...] = ()
) -> Iterator[Centre]:
    """A centre in a directory, its log in ``run.log``; it ends with the block, also when it was killed inside."""
    directory.mkdir(exist_ok=True)
    file = directory / "central.yaml"
    text = CENTRE.replace("PORT_A", str(ports[0])).replace("PORT_E", str(ports[1]))
    file.write_text(text + more)
    command = [sys.executable, "-m", "appliance", "central", "run", "-c", str(file), *options]
    with started(command, directory / "run.log", end=signal.SIGTERM) as process:
        assert process.stdout is not None
        line = process.stdout.readline().split()
        assert line[:1] == ["READY"], f"the centre ended: {(directory / 'run.log').read_text()}"
        made = Centre(process, Path(line[1]), (int(line[2]), int(line[3])))
        try:
            yield made
        finally:
            made.channel.close()


class Obeying:
    """A running appliance."""

    def __init__(self, process: subprocess.Popen[str], directory: Path, client: Client) -> None:
        self.process, self.directory, self.client = process, directory, client

    def passes(self, source: Host, target: Host, port: int) -> bool:
        """Whether a first packet gets through now."""
        frame = frames.tcp(source, target, 40000, port, frames.SYN)
        request = trace_service_pb2.TracePacketRequest(port=PORT_OF[source], frame=frame)
        outcome = self.client.trace.TracePacket(request, timeout=TIMEOUT).trace.outcomes[0]
        return outcome.verdict == trace_pb2.VERDICT_PORT and outcome.port == PORT_OF[target]


@contextmanager
def obeying(
    directory: Path,
    token: str = "",
    at: str = "",
    *,
    text: str = APPLIANCE,
    end: signal.Signals = signal.SIGTERM,
) -> Iterator[Obeying]:
    """An appliance in a runtime directory, enrolled with a token when one is given."""
    directory.mkdir(exist_ok=True)
    file = directory / "appliance.yaml"
    file.write_text(text)
    if token:
        enrol.enrol(token, at, directory / "central")
    try:
        with appliance_process(file, end=end) as process:
            wait_ready(process)
            with Client(f"unix:{directory / 'ringfield.sock'}") as client:
                yield Obeying(process, directory, client)
    finally:
        if end is not signal.SIGKILL:
            kill_recorded(directory)
