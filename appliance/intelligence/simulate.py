# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Many appliances without data planes, in one process, and a centre in another: how fast, how large, how robust.

Every wait ends: after ``Bed.patience`` seconds it is a ``SimulationError`` that says who is late, and with what.
"""

from __future__ import annotations

import asyncio
import gc
import os
import random
import resource
import select
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

import grpc

from appliance.intelligence import wire
from appliance.intelligence.simulated import Simulated, prepare
from appliance.intelligence.v1 import (
    fleet_service_pb2,
    fleet_service_pb2_grpc,
    inventory_service_pb2,
    inventory_service_pb2_grpc,
    policy_service_pb2,
    policy_service_pb2_grpc,
)
from appliance.policy.model import Interface, Network, Workload
from appliance.rpc.convert.workload import spec_to
from appliance.v1 import workload_pb2

REACH: Final = {"one": 1, "hundred": 100, "all": sys.maxsize}
"""Probes, and how many appliances a change of their label touches at most."""
SCENARIOS: Final = ("steady", "storm", "flapping", "stalled")
DEAF: Final = 50
FLAPS: Final = 3
POLL_SECONDS: Final = 0.002, 0.1
"""Shortest and longest wait between two looks; in between a twentieth of what was waited."""
SPARE_FILES: Final = 200
START_SECONDS: Final = 60.0
"""Of the centre."""
PAGE_KIB: Final = os.sysconf("SC_PAGE_SIZE") // 1024


class SimulationError(Exception):
    """It cannot be measured, in a sentence."""


@dataclass(frozen=True, slots=True)
class FanOut:
    """Label changes that touch so many appliances."""

    touched: int
    told_bytes: float
    """Of a delta, median."""
    answered: tuple[float, ...]
    """Seconds from the call until each answer of each change, ascending."""
    complete: tuple[float, ...]
    """Seconds from the call until the centre had all answers of a change, ascending."""

    def to_dict(self) -> dict[str, float]:
        """For programs."""
        return {
            "touched": self.touched, "told_bytes": self.told_bytes, "changes": len(self.complete),
            "p50": share(self.answered, 0.5), "p99": share(self.answered, 0.99),
            "all_p50": share(self.complete, 0.5), "all_p99": share(self.complete, 0.99), "slowest": self.complete[-1],
        }  # fmt: skip


def share(values: tuple[float, ...], part: float) -> float:
    """Of ascending values, the one that so large a part of them does not exceed."""
    return values[min(len(values) - 1, int(len(values) * part))]


@dataclass
class Figures:
    """What was measured. Times in seconds."""

    appliances: int
    workloads: int = 0
    rules: int = 0
    connect_seconds: float = 0.0
    publish_seconds: float = 0.0
    slice_bytes: list[int] = field(default_factory=list)
    members: list[int] = field(default_factory=list)
    """Workloads and peers of each slice."""
    fan_out: dict[str, FanOut] = field(default_factory=dict)
    recover_seconds: dict[str, float] = field(default_factory=dict)
    """By scenario: until all are current again."""
    delay_p99: dict[str, float] = field(default_factory=dict)
    """Of the centre's event loop, by phase."""
    delay_max: dict[str, float] = field(default_factory=dict)
    centre_cpu_seconds: float = 0.0
    own_cpu_seconds: float = 0.0
    kib_per_appliance: float = 0.0
    refused: int = 0

    def to_dict(self) -> dict[str, Any]:
        """For programs."""
        told = {name: getattr(self, name) for name in self.__dataclass_fields__}
        for name in ("slice_bytes", "members"):
            values = sorted(told.pop(name))
            told |= {f"{name}_p50": statistics.median(values or [0]), f"{name}_max": max(values, default=0)}
        return told | {"fan_out": {reach: one.to_dict() for reach, one in self.fan_out.items()}}


def cpu_seconds(pid: int) -> float:
    """What a process has used of processors, user and system."""
    parts = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(parts[11]) + int(parts[12])) / os.sysconf("SC_CLK_TCK")


class CentreProcess:
    """The process that is measured, from outside."""

    def __init__(self, pid: int, unix: Path, link: str) -> None:
        self._pid, self.unix, self.link = pid, unix, link

    @property
    def cpu_seconds(self) -> float:
        """See the function."""
        return cpu_seconds(self._pid)

    @property
    def kib(self) -> int:
        """Resident memory."""
        return int(Path(f"/proc/{self._pid}/statm").read_text().split()[1]) * PAGE_KIB


def _raise_files(number: int) -> None:
    """Let this process, and what it starts, have a connection per appliance. ``SimulationError``."""
    wanted = 2 * number + SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= wanted or soft == resource.RLIM_INFINITY:
        return
    if hard < wanted and hard != resource.RLIM_INFINITY:
        raise SimulationError(f"{number} appliances need {wanted} open files, {hard} are allowed: ulimit -Hn")
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def ready_words(said: IO[str], seconds: float) -> list[str]:
    """Of the line that begins with READY, what follows; empty: none will come. ``TimeoutError``: not in time."""
    end, lines = time.monotonic() + seconds, b""
    while select.select([said], [], [], max(0.0, end - time.monotonic()))[0]:
        some = os.read(said.fileno(), 4096)
        if not some:
            return []
        lines += some
        for line in lines.splitlines(keepends=True):
            if line.startswith(b"READY ") and line.endswith(b"\n"):
                return line.decode().split()[1:]
    raise TimeoutError(f"not ready after {seconds:g} s")


@contextmanager
def running_centre(directory: Path, number: int) -> Iterator[tuple[CentreProcess, list[Simulated]]]:
    """A centre for a block, and appliances that belong to it. Nothing is left of it but the directory."""
    _raise_files(number)
    appliances = prepare(directory / "state", [f"sim{n:04}" for n in range(number)])
    file, said = directory / "central.yaml", directory / "log"
    file.write_text('listen: {appliances: "127.0.0.1:0", enrolment: "127.0.0.1:0"}\n')
    command = [sys.executable, "-m", "appliance", "central", "run", "-c", str(file)]
    with said.open("w") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        try:
            words = ready_words(process.stdout, START_SECONDS) if process.stdout is not None else []
        except TimeoutError as error:
            raise SimulationError(f"the centre does not start: {error}") from None
        if not words:
            raise SimulationError(f"the centre does not start: {said.read_text()[-2000:]}")
        yield CentreProcess(process.pid, Path(words[0]), f"127.0.0.1:{words[1]}"), appliances
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Bed:
    """Appliances at a centre, and what is told to them."""

    def __init__(self, centre: CentreProcess, appliances: list[Simulated], patience: float) -> None:
        self.centre, self.appliances, self.patience = centre, appliances, patience
        options = [("grpc.max_send_message_length", 64 << 20), ("grpc.max_receive_message_length", 64 << 20)]
        self._admin = grpc.aio.insecure_channel(f"unix:{centre.unix}", options)
        self.fleet: Any = fleet_service_pb2_grpc.FleetServiceStub(self._admin)
        self.inventory: Any = inventory_service_pb2_grpc.InventoryServiceStub(self._admin)
        self.policy: Any = policy_service_pb2_grpc.PolicyServiceStub(self._admin)
        self.text = ""
        self.doing = "nothing yet"
        """For who waits in vain."""
        self.refused = 0
        self._answered: dict[str, float] = {}
        for one in self.appliances:
            one.heard = self._heard

    def _heard(self, one: Simulated, what: str) -> None:
        self.refused += what == "refused"
        self._answered[one.name] = time.monotonic()

    async def until(self, what: str, done: Callable[[], Awaitable[str]]) -> None:
        """Wait until ``done`` says nothing any more. ``SimulationError`` says what it said last."""
        started = time.monotonic()
        while left := await done():
            self.doing = f"{what}: {left}"
            waited = time.monotonic() - started
            if waited > self.patience:
                raise SimulationError(f"{what}: after {self.patience:g} s {left}")
            await asyncio.sleep(min(POLL_SECONDS[1], max(POLL_SECONDS[0], waited / 20)))

    def _silent(self, names: set[str]) -> str:
        """Who of them has not answered."""
        missing = [one for one in self.appliances if one.name in names and one.name not in self._answered]
        if not missing:
            return ""
        first = missing[0]
        return f"{len(missing)} of {len(names)} have not answered; {first.name}: {first.error or 'connected'}"

    async def settled(self, what: str) -> None:
        """Until the centre has heard from all that read that they are current."""
        deaf = sum(one.deaf for one in self.appliances)
        readers = len(self.appliances) - deaf

        async def look() -> str:
            load = await self._call(self.fleet.GetLoad, fleet_service_pb2.GetLoadRequest())
            if load.streams >= readers and load.behind <= deaf:
                return ""
            why = next((f"; {one.name}: {one.error}" for one in self.appliances if one.error), "")
            return f"{load.streams} of {readers} appliances are connected, {load.behind} of them behind{why}"

        await self.until(what, look)

    async def current(self) -> None:
        """``SimulationError``: the centre knows of one that reads and is not current."""
        deaf = {one.name for one in self.appliances if one.deaf}
        found = await self._call(self.fleet.ListAppliances, fleet_service_pb2.ListAppliancesRequest())
        late = [one for one in found.appliances if not one.current and one.name not in deaf]
        if late:
            raise SimulationError(
                f"{len(late)} appliances are not current; {late[0].name}: {late[0].refusal or late[0].health}"
            )

    async def _call(self, method: Any, request: Any) -> Any:
        self.doing = type(request).__name__
        try:
            return await method(request, timeout=self.patience)
        except grpc.aio.AioRpcError as error:
            raise SimulationError(f"{type(request).__name__}: {error.details() or error.code()}") from None

    async def change(
        self, what: str, touched: list[Simulated], act: Callable[[], Awaitable[Any]]
    ) -> tuple[list[float], float]:
        """Seconds from an act until each answer to it, and until the centre has all of them."""
        names = {one.name for one in touched}
        self._answered.clear()
        started = time.monotonic()
        await act()

        async def answered() -> str:
            return self._silent(names)

        await self.until(what, answered)
        await self.settled(what)
        complete = time.monotonic() - started
        return sorted(self._answered[name] - started for name in names), complete

    # -- what is told

    async def fill(self, workloads: int, rules: int) -> tuple[int, int]:
        """Networks, workloads, policy. Of the probes, `reach` is what changes: one, a hundred or all are touched."""
        network = Network(name="lab", prefixes=("10.0.0.0/8",))
        pb = inventory_service_pb2
        await self._call(
            self.inventory.ApplyNetworks, pb.ApplyNetworksRequest(networks=[wire.network_to(network)])
        )
        given = list(_workloads(len(self.appliances), workloads))
        for at in range(0, len(given), 5000):
            messages = [
                workload_pb2.Workload(name=one.name, spec=spec_to(one)) for one in given[at : at + 5000]
            ]
            await self._call(self.inventory.ApplyWorkloads, pb.ApplyWorkloadsRequest(workloads=messages))
        self.text = _policy(len(self.appliances), rules)
        return len(given), rules + len(REACH)

    async def publish(self) -> None:
        """To everybody."""
        await self._call(
            self.policy.PublishPolicySet,
            policy_service_pb2.PublishPolicySetRequest(name="base", source=self.text, reason="simulated"),
        )

    async def relabel(self, probe: str, value: str) -> None:
        """A probe begins, or ceases, to matter."""
        await self._call(
            self.inventory.SetLabels,
            inventory_service_pb2.SetLabelsRequest(name=probe, labels={"reach": value}),
        )

    async def delay(self, figures: Figures, phase: str, since: float) -> None:
        """Note the centre's event-loop delay since a time (monotonic)."""
        request = fleet_service_pb2.GetLoadRequest(seconds=time.monotonic() - since)
        load = await self._call(self.fleet.GetLoad, request)
        figures.delay_p99[phase], figures.delay_max[phase] = load.delay_p99, load.delay_max

    # -- connections

    async def connect(self, some: list[Simulated] | None = None) -> None:
        """Some dial, 50 at a time."""
        given = self.appliances if some is None else some
        for at in range(0, len(given), 50):
            for one in given[at : at + 50]:
                one.connect(self.centre.link)
            await asyncio.sleep(0.1)
        if not any(one.deaf for one in given):
            await self.settled("connect")

    async def hang_up(self, some: list[Simulated] | None = None) -> None:
        """Some disconnect."""
        await asyncio.gather(*(one.disconnect() for one in (self.appliances if some is None else some)))

    async def close(self) -> None:
        """Everybody hangs up."""
        await self.hang_up()
        await self._admin.close()


def _workloads(appliances: int, total: int) -> Iterator[Workload]:
    each = max(1, total // appliances)
    for number in range(appliances):
        for index in range(each):
            serial = number * each + index + 1
            place = Interface(
                network="lab", port=f"p{index + 1}", mac=f"02:00:{serial.to_bytes(4, 'big').hex(':')}",
                addresses=(_address(serial),), appliance=f"sim{number:04}",
            )  # fmt: skip
            labels = {"app": f"a{number}", "site": "lab"} | ({"part": "p0"} if number < 100 else {})
            yield Workload(name=f"w{serial}", labels=labels, interfaces=(place,))
    for index, reach in enumerate(REACH):
        serial = appliances * each + index + 1
        place = Interface(
            network="lab", port="-", mac=f"06:00:{serial.to_bytes(4, 'big').hex(':')}",
            addresses=(_address(serial),),
        )  # fmt: skip
        yield Workload(name=f"probe-{reach}", labels={"reach": f"no-{reach}"}, interfaces=(place,))


def _address(serial: int) -> str:
    return f"10.{serial >> 16 & 255}.{serial >> 8 & 255}.{serial & 255}"


def _policy(appliances: int, rules: int) -> str:
    lines = [
        "labels: {reach: [one, hundred, all]}",
        "rules:",
        "- {name: one, band: allow, from: reach=one, to: app=a0, services: [tcp/443]}",
        "- {name: hundred, band: allow, from: reach=hundred, to: part=p0, services: [tcp/443]}",
        "- {name: all, band: allow, from: reach=all, to: site=lab, services: [tcp/443]}",
    ]
    for number in range(rules):
        source = number % appliances
        target = (number * 7 + number // appliances * 13 + 1) % appliances
        lines.append(
            f"- {{name: r{number}, band: allow, from: app=a{source}, to: app=a{target}, "
            f"services: [tcp/{1024 + number % 60000}]}}"
        )
    return "\n".join(lines) + "\n"


# --- scenarios --------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def bed(centre: CentreProcess, appliances: list[Simulated], patience: float) -> AsyncIterator[Bed]:
    """A bed for a block."""
    made = Bed(centre, appliances, patience)
    try:
        yield made
    finally:
        await made.close()


async def begin(made: Bed, figures: Figures, workloads: int, rules: int) -> None:
    """Everybody connects and has a policy."""
    figures.workloads, figures.rules = await made.fill(workloads, rules)
    memory = made.centre.kib
    started = time.monotonic()
    await made.connect()
    figures.connect_seconds = time.monotonic() - started
    await made.delay(figures, "connect", started)
    readers = [one for one in made.appliances if not one.deaf]
    started = time.monotonic()
    _, figures.publish_seconds = await made.change("publish", readers, made.publish)
    await made.delay(figures, "publish", started)
    figures.slice_bytes = [one.told_bytes for one in readers]
    held = [one.receiver.held.slice for one in readers]
    figures.members = [len(one.own) + len(one.peers) for one in held if one is not None]
    figures.kib_per_appliance = (made.centre.kib - memory) / len(made.appliances)


async def label_changes(made: Bed, figures: Figures, rounds: Mapping[str, int]) -> None:
    """So many of each reach, to and fro, so that each probe matters and ceases to."""
    started = time.monotonic()
    for reach, most in REACH.items():
        touched = [one for one in made.appliances[:most] if not one.deaf]
        if not touched:
            continue
        answered: list[float] = []
        complete: list[float] = []
        sizes: list[int] = []
        for _ in range(rounds[reach]):
            for value in (reach, f"no-{reach}"):

                async def act(reach: str = reach, value: str = value) -> None:
                    await made.relabel(f"probe-{reach}", value)

                each, all_ = await made.change(f"label change ({reach})", touched, act)
                answered += each
                complete.append(all_)
                sizes += [one.told_bytes for one in touched]
        figures.fan_out[reach] = FanOut(
            len(touched), statistics.median(sizes), tuple(sorted(answered)), tuple(sorted(complete))
        )
    await made.delay(figures, "label changes", started)


async def storm(made: Bed, figures: Figures) -> None:
    """All reconnect within a second, and something has changed meanwhile for each of them."""
    await made.hang_up()
    await made.relabel("probe-all", "all")
    started = time.monotonic()

    async def again(one: Simulated) -> None:
        await asyncio.sleep(random.uniform(0, 1.0))  # noqa: S311 - no secret
        one.connect(made.centre.link)

    await asyncio.gather(*map(again, made.appliances))
    await made.settled("storm")
    figures.recover_seconds["storm"] = time.monotonic() - started
    await made.delay(figures, "storm", started)
    await made.current()


async def flapping(made: Bed, figures: Figures) -> None:
    """Every tenth comes and goes."""
    started = time.monotonic()
    some = made.appliances[::10]
    for _ in range(FLAPS):
        await made.hang_up(some)
        await made.connect(some)
    figures.recover_seconds["flapping"] = time.monotonic() - started
    await made.delay(figures, "flapping", started)
    await made.current()


@contextmanager
def counted(made: Bed) -> Iterator[Figures]:
    """Figures for a block, at its end with what all of it has used, and what was refused."""
    figures = Figures(len(made.appliances))
    cpu, own = made.centre.cpu_seconds, time.process_time()
    yield figures
    figures.centre_cpu_seconds = made.centre.cpu_seconds - cpu
    figures.own_cpu_seconds = time.process_time() - own
    figures.refused = made.refused


async def run(made: Bed, scenario: str, workloads: int, rules: int, rounds: int) -> Figures:
    """One scenario."""
    with counted(made) as figures:
        for one in made.appliances[: DEAF if scenario == "stalled" else 0]:
            one.deaf = True
        await begin(made, figures, workloads, rules)
        if scenario == "storm":
            await storm(made, figures)
        else:
            if scenario == "flapping":
                await flapping(made, figures)
            await label_changes(made, figures, dict.fromkeys(REACH, rounds))
            await made.current()
    return figures


async def measure(
    centre: CentreProcess,
    appliances: list[Simulated],
    limit: float,
    plan: Callable[[Bed], Awaitable[Figures]],
) -> Figures:
    """What a plan finds. ``SimulationError``, also when all of it takes longer than ``limit`` seconds."""
    async with bed(centre, appliances, limit) as made:
        try:
            gc.disable()  # a look at all appliances' slices would be measured too, and none of them has to
            async with asyncio.timeout(limit):
                return await plan(made)
        except TimeoutError:
            raise SimulationError(f"not done after {limit:g} s; at the end: {made.doing}") from None
        finally:
            gc.enable()
