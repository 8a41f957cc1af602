# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""A real centre and real appliances in this process, and between them somebody who has everybody's keys for TLS.

It loses, repeats, reorders, forges and keeps what goes over the link, and hangs up. What it has not is the key that
statements are signed with.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import Any, Final, TypeVar

import grpc
import pytest

from appliance.intelligence import agent, enrol, server, session
from appliance.intelligence.access import LOCAL
from appliance.intelligence.authority import Authority, read_certificate
from appliance.intelligence.centre import Centre
from appliance.intelligence.context import Door
from appliance.intelligence.receiver import Held
from appliance.intelligence.server import CentreConfig, CentreServer
from appliance.intelligence.v1 import link_pb2, link_service_pb2, link_service_pb2_grpc, statement_pb2
from appliance.policy.model import Interface, Network, Workload
from appliance.rpc.client import Client
from appliance.run import frames
from appliance.run.appliance import Appliance, kill_recorded
from appliance.run.frames import Host
from appliance.v1 import centre_service_pb2, trace_pb2, trace_service_pb2
from tests.support.process import wait_ready
from tests.support.rig import TIMEOUT, config
from tests.support.waiting import wait_for

CONFIG: Final = """\
fastpath: {hugepages: 'no'}
linger: true
central: {}
ports:
  p0: {backend: net_ring}
  p1: {backend: net_ring}
  p2: {backend: net_ring}
segmentation:
  networks: {lab: {prefixes: [10.0.0.0/24]}}
"""
NAMES: Final = ("dpu1", "dpu2")
PORTS: Final = (5432, 3306, 22)
"""22 is allowed by nobody, ever."""
BRISK: Final[dict[tuple[ModuleType, str], Any]] = {
    (agent, "BACKOFF"): (0.01, 0.05), (agent, "HEARTBEAT_SECONDS"): 0.2, (agent, "READ_BACK_SECONDS"): 0.2,
    (server, "STOP_SECONDS"): 0.02,
}  # fmt: skip


@contextmanager
def brisk(parts: int = 700) -> Iterator[None]:
    """A link that is as it is, but does not wait for long; ``parts``: bytes of a part of a statement."""
    with pytest.MonkeyPatch.context() as patch:
        for (module, name), value in BRISK.items():
            patch.setattr(module, name, value)
        patch.setattr(session, "PART_BYTES", parts)
        yield


T = TypeVar("T")
Table = frozenset[int]


def policy(port: int) -> str:
    rule = f"{{name: one, band: allow, from: app=web, to: app=db, services: [tcp/{port}]}}"
    return f"labels: {{app: [web, db, x]}}\nrules: [{rule}]\n"


def workload(number: int, app: str, name: str) -> Workload:
    """Behind port p1 (odd numbers) or p2 of an appliance."""
    place = Interface(
        network="lab", port=f"p{2 - number % 2}", mac=f"02:00:00:00:00:0{number}", addresses=(f"10.0.0.{number}",),
        appliance=name,
    )  # fmt: skip
    return Workload(name=f"{app}-{name}", labels={"app": app}, interfaces=(place,))


class Loop:
    """An event loop in a thread."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="bad wire", daemon=True)
        self._thread.start()

    def run(self, what: Coroutine[Any, Any, T]) -> T:
        found: Future[T] = asyncio.run_coroutine_threadsafe(what, self.loop)
        return found.result(60)

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


class Wire:
    """Between the centre and one appliance. What becomes of a statement becomes of all of its parts."""

    def __init__(self) -> None:
        self.plans: dict[str, list[str]] = {"down": [], "up": []}
        """What is to become of the next messages (down: statements) that matter."""
        self.said: list[list[link_pb2.LinkDown]] = []
        """Everything that the centre said that could change a verdict, whole statements, in parts or not."""
        self.answers: list[str] = []
        self.streams = 0
        self._plan = ""
        """Of the statement whose parts come now."""
        self._parts: list[link_pb2.LinkDown] = []
        self._held: dict[str, list[Any]] = {}
        self._down: asyncio.Queue[link_pb2.LinkDown | None] | None = None

    def attach(self, queue: asyncio.Queue[link_pb2.LinkDown | None] | None) -> None:
        self._down, self._held, self._parts = queue, {}, []
        self.streams += queue is not None

    def _next_plan(self, way: str) -> str:
        plans = self.plans[way]
        return plans.pop(0) if plans else ""

    def up(self, message: Any) -> list[Any]:
        """What arrives for an answer."""
        return self._after("up", self._next_plan("up"), [message], [message])

    def down(self, message: link_pb2.LinkDown) -> list[Any]:
        """What arrives for a statement, or a part of one; None: it is hung up."""
        part = message.WhichOneof("what") == "part"
        parts = self._parts if part else []
        plan = self._plan if parts else self._next_plan("down")
        parts.append(message)
        if part and not message.part.last:
            self._plan = plan
            if len(parts) == 1 and plan in ("forge", "cut"):
                return [forged(message)] if plan == "forge" else [message, None]
            return [] if plan in ("lose", "keep") else [message]
        whole = [*parts]
        if part:
            self._parts = []
        self.said.append(whole)
        if len(whole) == 1 and plan in ("forge", "cut"):
            return [forged(message)] if plan == "forge" else [message, None]
        return self._after("down", plan, whole, [message])

    def _after(self, way: str, plan: str, whole: list[Any], now: list[Any]) -> list[Any]:
        held = self._held.pop(way, [])
        if plan == "lose":
            now = []
        elif plan == "repeat":
            now = [*now, *whole]
        elif plan == "keep" and not held:  # until the next one has gone ahead of it
            self._held[way] = whole
            return []
        return [*now, *held]

    def put(self, *parts: link_pb2.LinkDown) -> None:
        """Say something to the appliance."""
        if self._down is not None:
            for message in parts:
                self._down.put_nowait(message)

    def cut(self) -> None:
        """Hang up on both."""
        if self._down is not None:
            self._down.put_nowait(None)


def forged(message: link_pb2.LinkDown) -> link_pb2.LinkDown:
    """With one bit that is another."""
    made = link_pb2.LinkDown.FromString(message.SerializeToString())
    if made.WhichOneof("what") == "part":
        data = bytearray(made.part.data)
        data[len(data) // 2] ^= 4
        made.part.data = bytes(data)
    else:
        signed = made.containment if made.WhichOneof("what") == "containment" else made.key
        data = bytearray(signed.statement)
        data[len(data) // 2] ^= 4
        signed.statement = bytes(data)
    return made


class Proxy:
    """Takes the appliances' calls with a certificate that the authority signed, and calls the centre as they would."""

    def __init__(self, homes: dict[str, Path]) -> None:
        self.homes = homes
        self.wires = {name: Wire() for name in homes}
        self.upstream = ""
        self.port = 0
        self._server: grpc.aio.Server

    async def start(self, authority: Authority) -> None:
        key, certificate = authority.server(("127.0.0.1",))
        credentials = grpc.ssl_server_credentials(
            [(key, certificate)], authority.pem, require_client_auth=True
        )
        self._server = grpc.aio.server()
        add: Any = link_service_pb2_grpc.add_LinkServiceServicer_to_server
        add(self, self._server)
        self.port = self._server.add_secure_port("127.0.0.1:0", credentials)
        await self._server.start()

    async def stop(self) -> None:
        await self._server.stop(0)

    async def Connect(self, requests: AsyncIterator[link_service_pb2.ConnectRequest], context: Any) -> None:  # noqa: N802
        name = read_certificate(context.auth_context()["x509_pem_cert"][0]).name
        wire = self.wires[name]
        queue: asyncio.Queue[link_pb2.LinkDown | None] = asyncio.Queue()
        wire.attach(queue)
        # Only what is said between the hello and the end, not the connection itself, is what a wire can spoil.
        async with grpc.aio.secure_channel(
            self.upstream, enrol.credentials(self.homes[name]), enrol.OPTIONS
        ) as channel:
            call: Any = link_service_pb2_grpc.LinkServiceStub(channel).Connect()

            async def up() -> None:
                async for request in requests:
                    what = request.up.WhichOneof("what")
                    if what in ("applied", "refused"):
                        kind = (
                            what
                            if what == "applied"
                            else link_pb2.RefusalKind.Name(request.up.refused.refusal)
                        )
                        wire.answers.append(kind)
                        for one in wire.up(request):
                            await call.write(one)
                    else:
                        await call.write(request)

            async def down() -> None:
                with suppress(grpc.RpcError):
                    while (response := await call.read()) is not grpc.aio.EOF:
                        if response.down.WhichOneof("what") == "ping":
                            queue.put_nowait(response.down)
                            continue
                        for one in wire.down(response.down):
                            queue.put_nowait(one)
                queue.put_nowait(None)

            async def tell() -> None:
                while (message := await queue.get()) is not None:
                    await context.write(link_service_pb2.ConnectResponse(down=message))

            tasks = [asyncio.create_task(one()) for one in (up, down, tell)]
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                call.cancel()
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        await context.abort(grpc.StatusCode.UNAVAILABLE, "the wire was cut")


class Inside:
    """An appliance in this process."""

    def __init__(self, home: Path) -> None:
        self.appliance = Appliance(config(CONFIG, home))

    def end(self, *, linger: bool) -> None:
        self.appliance.close(linger=linger)


class Beside:
    """An appliance in a process of its own, which ends by kill -9. (Only one in a process can have a fast path.)"""

    def __init__(self, home: Path) -> None:
        self._home = home
        (home / "appliance.yaml").write_text(CONFIG)
        brisk = "".join(
            f"{module.__name__}.{name} = {value!r}; "
            for (module, name), value in BRISK.items()
            if module is agent
        )
        command = f"import appliance.intelligence.agent; {brisk}from appliance.cli.main import main; main()"
        with (home / "run.log").open("a") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-c", command, "run", "-c", str(home / "appliance.yaml"), "--runtime-dir", str(home)],
                stdout=subprocess.PIPE, stderr=log, text=True,
            )  # fmt: skip
        wait_ready(self._process)

    def end(self, *, linger: bool) -> None:
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()
        if not linger:
            kill_recorded(self._home)


class Bed:
    """All of it. ``history`` has every state that the centre ever published, by what tells them apart."""

    def __init__(self, where: Path) -> None:
        self.where = where
        self.history: dict[tuple[str, bytes], Table] = {}
        self.contained: dict[tuple[int, int], frozenset[str]] = {(0, 0): frozenset()}
        self._newest: dict[str, tuple[tuple[int, int], tuple[int, int]]] = {}
        self.loop = Loop()
        self.homes = {name: where / name for name in NAMES}
        self.proxy = Proxy({name: home / "central" for name, home in self.homes.items()})
        self.server: CentreServer | None = None
        self.appliances: dict[str, Inside | Beside] = {}
        self.clients: dict[str, Client] = {}
        try:
            self._set_up()
        except BaseException:
            self.close()
            raise

    def _set_up(self) -> None:
        self.start_centre()
        centre = self.centre
        centre.apply_networks([Network(name="lab", prefixes=("10.0.0.0/24",))], LOCAL)
        made = [
            workload(1 + 2 * index + (app == "db"), app, name)
            for index, name in enumerate(NAMES)
            for app in ("web", "db")
        ]
        centre.apply_workloads(made, [], LOCAL)
        centre.publish("base", policy(PORTS[0]), LOCAL, "first")
        self.loop.run(self.proxy.start(centre.authority))
        assert self.server is not None
        for name, home in self.homes.items():
            home.mkdir()
            token = centre.trust.enrolment_token(name, 0).text
            enrol.enrol(token, f"127.0.0.1:{self.server.ports[Door.TOKEN]}", home / "central")
            file = home / "central" / enrol.LINK
            file.write_text(
                json.dumps(json.loads(file.read_text()) | {"address": f"127.0.0.1:{self.proxy.port}"})
            )
            self.start_appliance(name)

    # -- the centre

    @property
    def centre(self) -> Centre:
        assert self.server is not None
        return self.server.centre

    def start_centre(self) -> None:
        config = CentreConfig(
            state_dir=self.where / "c", unix=self.where / "central.sock", name="lab", appliances="127.0.0.1:0",
            enrolment="127.0.0.1:0",
        )  # fmt: skip

        async def start() -> CentreServer:
            made = CentreServer(config)
            made.centre.on_change.append(lambda touched, contained: self.note(made.centre))
            await made.start()
            return made

        self.server = self.loop.run(start())
        self.note(self.centre)
        self.proxy.upstream = f"127.0.0.1:{self.server.ports[Door.CERTIFICATE]}"

    def stop_centre(self) -> None:
        if self.server is not None:
            self.loop.run(self.server.stop())
            self.server = None

    def note(self, centre: Centre) -> None:
        """What the centre publishes now."""
        with centre.lock:
            for name in NAMES:
                wanted = centre.wanted(name)[1]
                if wanted is None:
                    continue
                web = centre.workloads[f"web-{name}"].labels["app"] == "web"
                self.history[name, wanted.digest] = frozenset(
                    port for port in PORTS if web and f"tcp/{port}" in wanted.policy.text
                )
            now = centre.containment
            self.contained[centre.generation, now.number] = frozenset(now.contained)

    # -- appliances

    def start_appliance(self, name: str) -> None:
        self.appliances[name] = (Inside if name == NAMES[0] else Beside)(self.homes[name])
        self.clients[name] = Client(f"unix:{self.homes[name] / 'ringfield.sock'}")

    def stop_appliance(self, name: str, *, linger: bool) -> None:
        self.clients.pop(name).close()
        self.appliances.pop(name).end(linger=linger)

    def held(self, name: str) -> Held:
        """What an appliance has accepted, and kept. Nothing is being brought into force when it is read."""
        self.clients[name].centre.GetCentre(centre_service_pb2.GetCentreRequest(), timeout=TIMEOUT)
        kept = self.homes[name] / "central" / enrol.HELD
        if not kept.exists():
            return Held(centre="", appliance=name, key=b"")
        return Held.from_message(statement_pb2.HeldState.FromString(kept.read_bytes()))

    def passes(self, name: str, port: int) -> bool:
        """Whether the first packet of a connection gets through now."""
        web, db = (Host(f"02:00:00:00:00:0{n}", f"10.0.0.{n}") for n in (1, 2))
        if name == NAMES[1]:
            web, db = (Host(f"02:00:00:00:00:0{n}", f"10.0.0.{n}") for n in (3, 4))
        frame = frames.tcp(web, db, 40000, port, frames.SYN)
        request = trace_service_pb2.TracePacketRequest(port="p1", frame=frame)
        outcome = self.clients[name].trace.TracePacket(request, timeout=TIMEOUT).trace.outcomes[0]
        return bool(outcome.verdict == trace_pb2.VERDICT_PORT and outcome.port == "p2")

    def table(self, name: str) -> Table:
        """What the fast path lets through."""
        return frozenset(port for port in PORTS if self.passes(name, port))

    def check(self) -> None:
        """Every fast path enforces what its appliance accepted last, and that was published by the centre."""
        for name in self.appliances:
            held = self.held(name)
            while True:
                found, after = self.table(name), self.held(name)
                if after == held:
                    break
                held = after  # something was brought into force meanwhile: look again
            assert held.slice is not None
            newest = (held.generation, held.number), (held.containment_generation, held.containment.number)
            before = self._newest.setdefault(name, newest)
            assert newest[0] >= before[0], f"{name} took an older slice"
            assert newest[1] >= before[1], f"{name} took older containment"
            self._newest[name] = newest
            allowed = self.history[name, held.slice.digest]
            cut_off = self.contained[held.containment_generation, held.containment.number]
            if cut_off & {f"web-{name}", f"db-{name}"}:
                allowed = frozenset()
            assert found == allowed, f"{name} has number {held.number}, {sorted(cut_off)} contained"

    def is_current(self, name: str) -> bool:
        """Whether an appliance has all that it is to have."""
        held, centre = self.held(name), self.centre
        wanted = centre.wanted(name)[1]
        told = centre.generation, centre.containment_number
        return (
            wanted is not None
            and held.slice is not None
            and held.slice.digest == wanted.digest
            and held.generation == centre.generation
            and (told[1] == 0 or (held.containment_generation, held.containment.number) == told)
        )

    def current(self) -> None:
        """Wait until everybody is."""
        for name in self.appliances:
            wait_for(f"{name} to be current", lambda name=name: self.is_current(name), 20)  # type: ignore[misc]

    def heal(self) -> None:
        """Nobody spoils anything any more; what is open begins anew."""
        for wire in self.proxy.wires.values():
            for plans in wire.plans.values():
                plans.clear()
            self.soon(wire.cut)

    def soon(self, call: Callable[[], object]) -> None:
        """In the thread of the wires."""

        async def now() -> None:
            call()

        self.loop.run(now())

    def close(self) -> None:
        for name in list(self.appliances):
            self.stop_appliance(name, linger=False)
        self.stop_centre()
        if self.proxy.port:
            self.loop.run(self.proxy.stop())
        self.loop.close()
