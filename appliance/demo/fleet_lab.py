# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""The laboratory of `ringfield demo factory`: a wire, namespaces, a centre and two appliances, each its own process.

Everything is as an operator would have it: `ringfield central run`, `ringfield run`, enrolment by token. A process may
be killed and started again; what is left of a laboratory that was killed is found by its directory.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import grpc

from appliance.demo.fleet_data import (
    APPLIANCES,
    BRIDGE,
    EVERYBODY,
    MOVED,
    MTU,
    NETWORK,
    NEW_PLACE,
    UNDERLAY,
    UNDERLAY_PREFIX,
    VNI,
    VTEPS,
    Member,
    Place,
)
from appliance.errors import InitializationFailed
from appliance.flow.launch import PID_FILE
from appliance.intelligence import enrol, wire
from appliance.intelligence.simulate import ready_words
from appliance.intelligence.v1 import (
    fleet_service_pb2,
    fleet_service_pb2_grpc,
    inventory_service_pb2,
    inventory_service_pb2_grpc,
    policy_service_pb2,
    policy_service_pb2_grpc,
)
from appliance.policy.model import Network
from appliance.rpc.client import Client
from appliance.run.appliance import kill_recorded
from appliance.run.lab import NETNS, ip, remove, set_sysctl
from appliance.run.lock import hold, locked
from appliance.v1 import audit_service_pb2_grpc, workload_pb2

PREFIX: Final = "ringfield-fleet-"
"""Of directories, so that the next demonstration finds what a killed one left."""
LOCK: Final = "fleet.lock"
CALL_SECONDS: Final = 20.0
START_SECONDS: Final = 60.0
END_SECONDS: Final = 20.0

CENTRE: Final = """\
# The centre of `ringfield demo factory` (docs/central.md).
name: factory
listen: {{appliances: "127.0.0.1:{appliances}", enrolment: "127.0.0.1:{enrolment}"}}
"""
APPLIANCE: Final = """\
# Appliance {name} of `ringfield demo factory` (docs/config.md). Who is behind it, and may do what, says the centre.
mode: switch
fastpath: {{hugepages: auto, workers: 1, idle: adaptive}}    # a worker without packets sleeps
ports:
  p0: {{backend: net_tap, netns: {underlay}, args: "iface={name}", mac: "{mac}"}}    # the underlay
{ports}
central: {{}}
segmentation:
  appliance: {name}
  networks: {{{network}: {{vni: {vni}, prefixes: [{prefixes}], gateways: [{gateways}]}}}}
  overlay: {{port: p0, address: {address}, prefixes: [{prefix}]}}    # of the others' tunnels tells the centre
  connections: {{capacity: 65536, denied_capacity: 65536, record_seconds: 5}}
"""
PORT: Final = '  {port}: {{backend: net_tap, netns: {namespace}, mac: "{mac}", mtu: {mtu}}}'
PREFIXES: Final = ("10.90.1.0/24", "10.90.2.0/24", "fd52:90:1::/64", "fd52:90:2::/64")
GATEWAYS: Final = ("10.90.1.1", "10.90.2.1", "fd52:90:1::1", "fd52:90:2::1")


def config_text(name: str) -> str:
    """An appliance's configuration."""
    seats = [(one, one.port) for one in EVERYBODY.values() if one.appliance == name]
    if NEW_PLACE.appliance == name:
        seats.append((MOVED, NEW_PLACE.port))
    ports = [
        PORT.format(port=port, namespace=one.namespace, mac=one.mac, mtu=MTU)
        for one, port in sorted(seats, key=lambda seat: int(seat[1].removeprefix("pf0vf")))
    ]
    return APPLIANCE.format(
        name=name,
        underlay=UNDERLAY,
        # Not the tunnels' own MAC: a bridge keeps frames to its members' interfaces.
        mac=f"02:90:00:00:ff:{APPLIANCES.index(name) + 1:02x}",
        ports="\n".join(ports),
        network=NETWORK,
        vni=VNI,
        prefixes=", ".join(f'"{one}"' for one in PREFIXES),
        gateways=", ".join(f'"{one}"' for one in GATEWAYS),
        address=VTEPS[name],
        prefix=UNDERLAY_PREFIX,
    )


class Process:
    """`ringfield ...` in the background; ends when this process ends, however that happens.

    To be started by a thread that lives as long: a parent-death signal comes when that thread ends.
    """

    def __init__(self, log: Path, *words: str) -> None:
        command = [sys.executable, "-m", "appliance", *words]
        if shutil.which("setpriv"):
            command = ["setpriv", "--pdeathsig", "TERM", *command]
        self.log = log
        with log.open("ab") as file:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=file, text=True,
                start_new_session=True,  # a Ctrl-C is for us, who then end it
            )  # fmt: skip

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def ready(self) -> list[str]:
        """The words of its READY line, as soon as it has said so."""
        assert self._process.stdout is not None  # noqa: S101
        try:
            if words := ready_words(self._process.stdout, START_SECONDS):
                return words
        except TimeoutError as error:
            raise InitializationFailed(f"{self.log.stem}: {error}; see {self.log}") from None
        last = self.log.read_text(errors="replace").strip().splitlines()
        raise InitializationFailed(f"{self.log.stem} ended: {last[-1] if last else 'it said nothing'}")

    def kill(self) -> None:
        """-9."""
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def stop(self) -> None:
        """Ask it to end."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def wait(self) -> None:
        """Until it has ended; killed when it takes too long."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(END_SECONDS)
        self.kill()


class Centre:
    """The centre's process, and its administrator."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir()
        self._ports = ("0", "0")
        self.socket = directory / "central.sock"
        self.channel = grpc.insecure_channel(f"unix:{self.socket}")
        self.fleet = fleet_service_pb2_grpc.FleetServiceStub(self.channel)
        self.inventory = inventory_service_pb2_grpc.InventoryServiceStub(self.channel)
        self.policy = policy_service_pb2_grpc.PolicyServiceStub(self.channel)
        self.audit = audit_service_pb2_grpc.AuditServiceStub(self.channel)
        self.process = self.start()

    def start(self) -> Process:
        """Start it, or start it again at the same ports."""
        file = self.directory / "central.yaml"
        file.write_text(CENTRE.format(appliances=self._ports[0], enrolment=self._ports[1]))
        self.process = Process(self.directory.parent / "centre.log", "central", "run", "-c", str(file))
        return self.process

    def ready(self) -> None:
        """Until it serves."""
        self._ports = tuple(self.process.ready()[1:3])  # type: ignore[assignment]

    def admit(self, name: str, directory: Path) -> None:
        """Enrol an appliance by a one-time token."""
        request = fleet_service_pb2.CreateEnrolmentTokenRequest(name=name)
        token = self.fleet.CreateEnrolmentToken(request, timeout=CALL_SECONDS).token
        enrol.enrol(token, f"127.0.0.1:{self._ports[1]}", directory)

    def close(self) -> None:
        """Hang up. The process is its keeper's."""
        self.channel.close()

    # -- what an administrator does

    def network(self) -> None:
        """Declare the network."""
        made = Network(name=NETWORK, vni=VNI, prefixes=PREFIXES, gateways=GATEWAYS)
        request = inventory_service_pb2.ApplyNetworksRequest(networks=[wire.network_to(made)])
        self.inventory.ApplyNetworks(request, timeout=CALL_SECONDS)

    def declare(self, members: Iterable[Member]) -> None:
        """Workloads, each at its place, in one step."""
        workloads = [
            workload_pb2.Workload(
                name=one.name,
                spec=workload_pb2.WorkloadSpec(
                    kind=one.kind, labels=dict(one.labels), interfaces=[interface(one, one.place)]
                ),
            )
            for one in members
        ]
        request = inventory_service_pb2.ApplyWorkloadsRequest(workloads=workloads, reason="demonstration")
        self.inventory.ApplyWorkloads(request, timeout=CALL_SECONDS)

    def wait_ready(self, *names: str) -> float:
        """Until workloads are known everywhere they matter; how many seconds that took."""
        started = time.monotonic()
        request = inventory_service_pb2.WaitReadyRequest(names=names)
        self.inventory.WaitReady(request, timeout=CALL_SECONDS)
        return time.monotonic() - started

    def put(self, member: Member, *places: Place) -> None:
        """Say where a workload is; of several places the first is where packets to it go."""
        made = workload_pb2.Workload(
            name=member.name,
            spec=workload_pb2.WorkloadSpec(
                kind=member.kind,
                labels=dict(member.labels),
                interfaces=[interface(member, one) for one in places],
            ),
        )
        request = inventory_service_pb2.ApplyWorkloadsRequest(
            workloads=[made], reason="demonstration: a move"
        )
        self.inventory.ApplyWorkloads(request, timeout=CALL_SECONDS)

    def places(self, name: str) -> list[workload_pb2.WorkloadInterface]:
        """Where a workload is, in order."""
        request = inventory_service_pb2.ListWorkloadsRequest(selector=f"name={name}")
        return list(
            self.inventory.ListWorkloads(request, timeout=CALL_SECONDS).workloads[0].workload.spec.interfaces
        )

    def publish(self, text: str, reason: str) -> int:
        """A policy; the fleet's revision."""
        request = policy_service_pb2.PublishPolicySetRequest(name="base", source=text, reason=reason)
        return self.policy.PublishPolicySet(request, timeout=CALL_SECONDS).revision

    def appliances(self) -> dict[str, fleet_service_pb2.FleetAppliance]:
        """By name, as the centre sees them."""
        found = self.fleet.ListAppliances(fleet_service_pb2.ListAppliancesRequest(), timeout=CALL_SECONDS)
        return {one.name: one for one in found.appliances}

    def current(self) -> dict[str, fleet_service_pb2.FleetAppliance]:
        """All appliances, as soon as all are connected and have what they are to have."""
        end = time.monotonic() + CALL_SECONDS
        while True:
            found = self.appliances()
            if found and all(one.state == "connected" and one.current for one in found.values()):
                return found
            if time.monotonic() > end:
                late = [
                    f"{one.name} ({one.state}, {one.refusal or one.health})"
                    for one in found.values()
                    if one.state != "connected" or not one.current
                ]
                raise InitializationFailed(f"not current at the centre: {', '.join(late)}")
            time.sleep(0.02)


def interface(member: Member, place: Place) -> workload_pb2.WorkloadInterface:
    """A workload's interface at a place."""
    return workload_pb2.WorkloadInterface(
        network=NETWORK,
        appliance=place.appliance,
        port=place.port,
        mac=member.mac,
        addresses=member.addresses(),
    )


class Side:
    """An appliance's process, and a client of it."""

    def __init__(self, name: str, directory: Path) -> None:
        self.name, self.directory = name, directory
        directory.mkdir()
        self.file = directory / f"{name}.yaml"
        self.file.write_text(config_text(name))
        self.socket = directory / "ringfield.sock"
        self.process = self.start()
        self.client = Client(f"unix:{self.socket}")

    def start(self) -> Process:
        """Start it, or start it again: it finds the fast path of the one before."""
        self.process = Process(
            self.directory.parent / f"{self.name}.log",
            *("run", "-c", str(self.file), "--runtime-dir", str(self.directory)),
        )
        return self.process

    @property
    def fastpath_pid(self) -> int:
        """Process id of its data plane."""
        return int((self.directory / PID_FILE).read_text())

    def close(self) -> None:
        """Hang up. The process is its keeper's."""
        self.client.close()


class Fleet:
    """All of it, from its constructor to the end of its block. To be made by the main thread."""

    def __init__(self, directory: Path) -> None:
        self._stack = ExitStack()
        try:
            self._stack.callback(_remove_namespaces)
            with ThreadPoolExecutor(8) as pool:
                list(pool.map(_add_namespace, [UNDERLAY, *(one.namespace for one in EVERYBODY.values())]))
            ip("-n", UNDERLAY, "link", "add", BRIDGE, "type", "bridge")
            ip("-n", UNDERLAY, "link", "set", BRIDGE, "up")
            self._stack.callback(self._end)
            self.centre = Centre(directory / "centre")
            self.sides: dict[str, Side] = {}
            for name in APPLIANCES:
                self.sides[name] = Side(name, directory / name)
            self.centre.ready()
            for side in self.sides.values():
                side.process.ready()
                ip("-n", UNDERLAY, "link", "set", side.name, "master", BRIDGE, "up")
        except BaseException:
            self._stack.close()
            raise

    def _end(self) -> None:
        """All processes at once, then what they leave when they had to be killed."""
        made = [getattr(self, "centre", None), *getattr(self, "sides", {}).values()]
        there = [one for one in made if one is not None]
        for one in there:
            one.process.stop()
        for one in there:
            one.process.wait()
            one.close()
            if isinstance(one, Side):
                kill_recorded(one.directory)

    def __enter__(self) -> Fleet:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()


# --- namespaces -------------------------------------------------------------------------------------------------------


def _add_namespace(name: str) -> None:
    ip("netns", "add", name)
    set_sysctl(
        name,
        [
            ("net.ipv6.conf.all.disable_ipv6", "1" if name == UNDERLAY else "0"),
            ("net.ipv4.conf.all.rp_filter", "0"),
            ("net.ipv4.conf.default.rp_filter", "0"),
            # Nobody advertises routes here, and asking goes on for hours (RFC 7559).
            ("net.ipv6.conf.default.router_solicitations", "0"),
        ],
    )


def _remove_namespaces() -> None:
    names = [UNDERLAY, *(one.namespace for one in EVERYBODY.values())]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(remove, names))


def _batch(namespace: str, commands: Iterable[str]) -> None:
    """Commands of ``ip``, in one process."""
    done = subprocess.run(
        ["ip", "-n", namespace, "-batch", "-"], input="\n".join(commands), capture_output=True, text=True, check=False
    )  # fmt: skip
    if done.returncode:
        raise InitializationFailed(f"ip -n {namespace}: {done.stderr.strip()}")


def plug(member: Member, port: str = "") -> None:
    """Give a workload its addresses at a port, by default the one where it begins. The second place of one that moves
    is plugged in beside the first: packets are taken there, none are sent.
    """
    link = port or member.port
    commands = [f"link set dev {link} addrgenmode none", f"link set dev {link} up", "link set dev lo up"]
    for address, length in zip(member.addresses(), (32, 128) if port else (24, 64), strict=True):
        commands.append(
            f"address replace {address}/{length} dev {link}" + (" nodad" if ":" in address else "")
        )
    _batch(member.namespace, [*commands, *([] if port else routes(member, link))])


def routes(member: Member, link: str) -> list[str]:
    """Commands after which a workload sends by a link."""
    made = []
    for everywhere, length, gateway in zip(("0.0.0.0/0", "::/0"), (32, 128), member.gateways(), strict=True):
        made.append(f"route replace {gateway}/{length} dev {link}")
        made.append(f"route replace {everywhere} via {gateway} dev {link}")
    return made


def send_by(member: Member, link: str) -> None:
    """From here on a workload sends by a link."""
    _batch(member.namespace, routes(member, link))


def unplug(member: Member, link: str) -> None:
    """Pull a link out, so that the workload's kernel sends nothing there any more."""
    _batch(member.namespace, [f"link set dev {link} down"])


def plug_all(members: Mapping[str, Member]) -> None:
    """Side by side."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(plug, members.values()))


# --- one at a time, and what a killed one left ------------------------------------------------------------------------


@contextlib.contextmanager
def only_one() -> Iterator[tuple[Path, bool]]:
    """A directory for the only demonstration of this kind, and whether there was something left to take down.
    ``InitializationFailed``: one runs.
    """
    if pid := _running():
        raise InitializationFailed(f"a demonstration with two appliances runs already (pid {pid})")
    left = _sweep()
    made = Path(tempfile.mkdtemp(prefix=PREFIX))
    try:
        with hold(made / LOCK, "a demonstration with two appliances"):
            yield made, left
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _running() -> str:
    """Process id of a demonstration at work; empty: there is none."""
    for lock in Path(tempfile.gettempdir()).glob(f"{PREFIX}*/{LOCK}"):
        if locked(lock):
            return lock.read_text().strip() or "?"
    return ""


def _sweep() -> bool:
    """Take down what killed demonstrations left; whether there was any. Their appliances end by themselves, since they
    are told when their parent dies.
    """
    found = False
    for directory in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        end = time.monotonic() + END_SECONDS
        for name in APPLIANCES:
            while locked(directory / name / "appliance.lock") and time.monotonic() < end:
                time.sleep(0.05)
            kill_recorded(directory / name)
        shutil.rmtree(directory, ignore_errors=True)
        found = True
    if found or (NETNS / UNDERLAY).exists():
        _remove_namespaces()
        found = True
    return found
