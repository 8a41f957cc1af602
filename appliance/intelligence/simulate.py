# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Many appliances without data planes, in one process, and a centre in another: how fast, how large, how robust.

Each appliance has its own certificate and its own connection, verifies signatures and digests, applies slices and
refuses what a real one would (``receiver``); only the fast path and the disk are missing.
"""

from __future__ import annotations

import asyncio
import os
import random
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import grpc

from appliance.intelligence import enrol, wire
from appliance.intelligence.authority import new_key, parse_token, signing_request
from appliance.intelligence.receiver import Held, Receiver
from appliance.intelligence.v1 import (
    enrolment_service_pb2,
    enrolment_service_pb2_grpc,
    fleet_service_pb2,
    fleet_service_pb2_grpc,
    inventory_service_pb2,
    inventory_service_pb2_grpc,
    link_pb2,
    link_service_pb2,
    link_service_pb2_grpc,
    policy_service_pb2,
    policy_service_pb2_grpc,
)
from appliance.policy.model import Interface, Network, Workload
from appliance.rpc.convert.workload import spec_to
from appliance.v1 import workload_pb2

HEARTBEAT_SECONDS: Final = 3.0
OPTIONS: Final[list[tuple[str, Any]]] = [*enrol.OPTIONS, ("grpc.use_local_subchannel_pool", 1)]
TIMEOUT: Final = 120.0
REACH: Final = ("one", "hundred", "all")
PAGE_KIB: Final = os.sysconf("SC_PAGE_SIZE") // 1024


class Simulated:
    """One appliance. Belongs to an event loop."""

    def __init__(self, name: str, address: str) -> None:
        self.name, self.address = name, address
        self.receiver: Receiver
        self.credentials: grpc.ChannelCredentials
        self.heard: Callable[[Simulated, str], None] = lambda one, what: None
        """Told ``applied`` or ``refused``, when the answer is on its way."""
        self.deaf = False
        """It does not read."""
        self.slice_bytes = 0
        self._channel: grpc.aio.Channel | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def enrol(self, token: str, stub: Any) -> None:
        """With a token; ``stub`` is of a channel that trusts the token's authority."""
        pem, key = new_key()
        request = enrolment_service_pb2.EnrolRequest(
            token=token, signing_request=signing_request(key, self.name)
        )
        while True:
            try:
                answer = await stub.Enrol(request, timeout=TIMEOUT)
                break
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.UNAVAILABLE:
                    raise
                await asyncio.sleep(random.uniform(0.2, 1.0))  # noqa: S311 - no secret
        self.credentials = grpc.ssl_channel_credentials(answer.authority, pem, answer.certificate)
        held = Held(centre=answer.centre, appliance=answer.name, key=answer.statement_key)
        self.receiver = Receiver(held, lambda before, after: None, lambda kept: None)

    async def connect(self) -> None:
        """Dial and say hello; what comes is handled beside."""
        self._channel = grpc.aio.secure_channel(self.address, self.credentials, OPTIONS)
        call = link_service_pb2_grpc.LinkServiceStub(self._channel).Connect()
        await _say(call, self.receiver.held.hello("simulated", self.name))
        self._tasks = [asyncio.create_task(self._read(call)), asyncio.create_task(self._beat(call))]

    async def _read(self, call: Any) -> None:
        while True:
            if self.deaf:
                await asyncio.sleep(3600)
            message = await call.read()
            if message is grpc.aio.EOF:
                return
            down = message.down
            match down.WhichOneof("what"):
                case "part":
                    self.slice_bytes = len(down.part.data)
                    answer = self.receiver.part(down.part)
                case "containment":
                    answer = self.receiver.receive(down.containment)
                case "key":
                    answer = self.receiver.receive(down.key)
                case _:
                    answer = self._heartbeat(down.ping.time)
            if answer is None:
                continue
            await _say(call, answer)
            what = answer.WhichOneof("what")
            if what in ("applied", "refused"):
                self.heard(self, what)

    def _heartbeat(self, ping: float = 0.0) -> link_pb2.LinkUp:
        return link_pb2.LinkUp(
            heartbeat=link_pb2.Heartbeat(
                time=time.time(), enforced=True, number=self.receiver.held.number, ping_time=ping
            )
        )

    async def _beat(self, call: Any) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS * random.uniform(0.8, 1.2))  # noqa: S311 - no secret
            await _say(call, self._heartbeat())

    async def disconnect(self) -> None:
        """Hang up."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._channel is not None:
            await self._channel.close()


async def _say(call: Any, up: link_pb2.LinkUp) -> None:
    await call.write(link_service_pb2.ConnectRequest(up=up))


@dataclass
class Figures:
    """What was measured."""

    appliances: int
    scenario: str
    workloads: int = 0
    rules: int = 0
    enrol_seconds: float = 0.0
    publish_seconds: float = 0.0
    slice_bytes: list[int] = field(default_factory=list)
    fan_out: dict[str, dict[str, float]] = field(default_factory=dict)
    """By reach: appliances touched, p50, p99, slowest, seconds."""
    recover_seconds: float = 0.0
    centre_cpu_seconds: float = 0.0
    own_cpu_seconds: float = 0.0
    kib_per_appliance: float = 0.0
    refused: int = 0

    def to_dict(self) -> dict[str, Any]:
        """For programs."""
        sizes = sorted(self.slice_bytes)
        made = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "slice_bytes"}
        return made | {
            "slice_bytes_p50": statistics.median(sizes) if sizes else 0,
            "slice_bytes_max": sizes[-1] if sizes else 0,
        }


class Centre:
    """The process that is measured, from outside."""

    def __init__(self, pid: int) -> None:
        self._pid = pid

    @property
    def cpu_seconds(self) -> float:
        """User and system."""
        parts = Path(f"/proc/{self._pid}/stat").read_text().rpartition(")")[2].split()
        return (int(parts[11]) + int(parts[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def kib(self) -> int:
        """Resident memory."""
        return int(Path(f"/proc/{self._pid}/statm").read_text().split()[1]) * PAGE_KIB


class Bed:
    """Appliances at a centre, and what is told to them."""

    def __init__(self, unix: Path, link: str, enrolment: str, pid: int, number: int) -> None:
        self.link, self.enrolment, self.centre = link, enrolment, Centre(pid)
        self._admin = grpc.aio.insecure_channel(f"unix:{unix}", [("grpc.max_send_message_length", 64 << 20)])
        self.fleet: Any = fleet_service_pb2_grpc.FleetServiceStub(self._admin)
        self.inventory: Any = inventory_service_pb2_grpc.InventoryServiceStub(self._admin)
        self.policy: Any = policy_service_pb2_grpc.PolicyServiceStub(self._admin)
        self.appliances = [Simulated(f"sim{n:04}", link) for n in range(number)]
        self._waiting = 0
        self._times: list[float] = []
        self._done = asyncio.Event()
        self.refused = 0
        for one in self.appliances:
            one.heard = self._heard

    def _heard(self, one: Simulated, what: str) -> None:
        self.refused += what == "refused"
        self._times.append(time.monotonic())
        self._waiting -= 1
        if self._waiting <= 0:
            self._done.set()

    async def enrol(self) -> None:
        """All of them."""
        request = fleet_service_pb2.CreateEnrolmentTokenRequest
        tokens = [
            (await self.fleet.CreateEnrolmentToken(request(name=one.name), timeout=TIMEOUT)).token
            for one in self.appliances
        ]
        wanted = parse_token(tokens[0]).fingerprint
        authority = await asyncio.to_thread(enrol.trusted_authority, self.enrolment, wanted)
        credentials = grpc.ssl_channel_credentials(authority)
        async with grpc.aio.secure_channel(self.enrolment, credentials, enrol.OPTIONS) as channel:
            stub = enrolment_service_pb2_grpc.EnrolmentServiceStub(channel)
            limit = asyncio.Semaphore(16)

            async def one(simulated: Simulated, token: str) -> None:
                async with limit:
                    await simulated.enrol(token, stub)

            await asyncio.gather(*map(one, self.appliances, tokens))

    async def answers(self, number: int, act: Callable[[], Awaitable[Any]]) -> list[float]:
        """Seconds from an act until each of so many answers to it."""
        self._waiting, self._times = number, []
        self._done.clear()
        started = time.monotonic()
        await act()
        await asyncio.wait_for(self._done.wait(), TIMEOUT)
        return sorted(at - started for at in self._times)

    async def current(self) -> float:
        """Seconds until all that read are current, as the centre sees it."""
        started = time.monotonic()
        deaf = {one.name for one in self.appliances if one.deaf}
        while True:
            found = await self.fleet.ListAppliances(
                fleet_service_pb2.ListAppliancesRequest(), timeout=TIMEOUT
            )
            late = [one for one in found.appliances if not one.current and one.name not in deaf]
            if not late:
                return time.monotonic() - started
            if time.monotonic() - started > TIMEOUT:
                raise TimeoutError(
                    f"{len(late)} are not current, the first is {late[0].name}: {late[0].health}"
                )
            await asyncio.sleep(0.1)

    async def fill(self, workloads: int, rules: int) -> tuple[int, int]:
        """Networks, workloads, policy. Of the probes, `reach` is what changes: one, a hundred or all are touched."""
        network = Network(name="lab", prefixes=("10.0.0.0/8",))
        await self.inventory.ApplyNetworks(
            inventory_service_pb2.ApplyNetworksRequest(networks=[wire.network_to(network)]), timeout=TIMEOUT
        )
        given = list(_workloads(len(self.appliances), workloads))
        for at in range(0, len(given), 1000):
            messages = [
                workload_pb2.Workload(name=one.name, spec=spec_to(one)) for one in given[at : at + 1000]
            ]
            await self.inventory.ApplyWorkloads(
                inventory_service_pb2.ApplyWorkloadsRequest(workloads=messages), timeout=TIMEOUT
            )
        self.text = _policy(len(self.appliances), rules)
        return len(given), rules + len(REACH)

    async def publish(self, text: str) -> None:
        """To everybody."""
        await self.policy.PublishPolicySet(
            policy_service_pb2.PublishPolicySetRequest(name="base", source=text, reason="simulated"),
            timeout=TIMEOUT,
        )

    async def relabel(self, probe: str, value: str) -> None:
        """A probe begins, or ceases, to matter."""
        await self.inventory.SetLabels(
            inventory_service_pb2.SetLabelsRequest(name=probe, labels={"reach": value}), timeout=TIMEOUT
        )

    async def close(self) -> None:
        """Everybody hangs up."""
        await asyncio.gather(*(one.disconnect() for one in self.appliances))
        await self._admin.close()


def _workloads(appliances: int, total: int) -> Iterator[Workload]:
    each = max(1, (total - len(REACH)) // max(1, appliances))
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
        # Also the labels that come later exist from the start: on another workload.
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
        source, target = number % appliances, (number * 7 + 1) % appliances
        lines.append(
            f"- {{name: r{number}, band: allow, from: app=a{source}, to: app=a{target}, "
            f"services: [tcp/{1024 + number % 60000}]}}"
        )
    return "\n".join(lines) + "\n"


@asynccontextmanager
async def bed(unix: Path, link: str, enrolment: str, pid: int, number: int) -> AsyncIterator[Bed]:
    """A bed for a block."""
    made = Bed(unix, link, enrolment, pid, number)
    try:
        yield made
    finally:
        await made.close()


async def run(made: Bed, scenario: str, workloads: int, rules: int, rounds: int) -> Figures:
    """One scenario."""
    number = len(made.appliances)
    figures = Figures(number, scenario)
    started = time.monotonic()
    await made.enrol()
    figures.enrol_seconds = time.monotonic() - started
    figures.workloads, figures.rules = await made.fill(workloads, rules)
    before, cpu = made.centre.kib, made.centre.cpu_seconds
    own = time.process_time()
    if scenario == "stalled":
        for one in made.appliances[:50]:
            one.deaf = True
    for at in range(0, number, 50):
        await asyncio.gather(*(one.connect() for one in made.appliances[at : at + 50]))
    readers = [one for one in made.appliances if not one.deaf]
    took = await made.answers(len(readers), lambda: made.publish(made.text))
    figures.publish_seconds = took[-1]
    figures.slice_bytes = [one.slice_bytes for one in readers]
    figures.kib_per_appliance = (made.centre.kib - before) / number
    if scenario == "storm":
        await asyncio.gather(*(one.disconnect() for one in made.appliances))
        await made.relabel("probe-all", "all")
        started = time.monotonic()

        async def again(one: Simulated) -> None:
            await asyncio.sleep(random.uniform(0, 1.0))  # noqa: S311 - no secret
            await one.connect()

        await asyncio.gather(*map(again, made.appliances))
        await made.current()
        figures.recover_seconds = time.monotonic() - started
    elif scenario == "flapping":
        flap = made.appliances[::10]
        for _ in range(rounds):
            await asyncio.gather(*(one.disconnect() for one in flap))
            await asyncio.gather(*(one.connect() for one in flap))
        figures.recover_seconds = await made.current()
    if scenario != "storm":
        for reach, touched in (("one", 1), ("hundred", min(100, number)), ("all", number)):
            touched -= sum(one.deaf for one in made.appliances[:touched])
            if not touched:
                continue
            samples: list[float] = []
            for _ in range(rounds):
                for value in (reach, f"no-{reach}"):
                    await made.current()  # what was told before is answered
                    samples += await made.answers(
                        touched,
                        lambda r=reach, v=value: made.relabel(f"probe-{r}", v),  # type: ignore[misc]
                    )
            samples.sort()
            figures.fan_out[reach] = {
                "touched": touched, "p50": samples[len(samples) // 2], "p99": samples[int(len(samples) * 0.99)],
                "slowest": samples[-1],
            }  # fmt: skip
    figures.centre_cpu_seconds = made.centre.cpu_seconds - cpu
    figures.own_cpu_seconds = time.process_time() - own
    figures.refused = made.refused
    return figures
