# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""The centre's end of the link, in this process: who says nothing, and containment that comes at the worst moment."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import pytest

from appliance.errors import Code, FlowError, InvalidValue
from appliance.intelligence import context, enrol, link_service, session, simulated
from appliance.intelligence.access import LOCAL
from appliance.intelligence.authority import new_key, signing_request
from appliance.intelligence.context import Door
from appliance.intelligence.receiver import Held
from appliance.intelligence.server import CentreConfig, CentreServer
from appliance.intelligence.session import Session
from appliance.intelligence.simulated import Simulated, prepare
from appliance.intelligence.store import NoSpace
from appliance.intelligence.v1 import (
    enrolment_service_pb2,
    enrolment_service_pb2_grpc,
    link_pb2,
    link_service_pb2,
    link_service_pb2_grpc,
    statement_pb2,
)
from appliance.policy.model import Network, State
from tests.intelligence.test_receiver import POLICY, workload

TIMEOUT = 60.0


@asynccontextmanager
async def serving(directory: Path) -> AsyncIterator[tuple[CentreServer, Simulated]]:
    """A centre that has published, and an appliance that belongs to it and is not connected yet."""
    (one,) = prepare(directory / "state", ["dpu1"])
    server = CentreServer(
        CentreConfig(
            state_dir=directory / "state", unix=directory / "central.sock",
            appliances="127.0.0.1:0", enrolment="127.0.0.1:0",
        )
    )  # fmt: skip
    await server.start()
    try:
        centre = server.centre
        centre.apply_networks([Network(name="lab", prefixes=("10.0.0.0/24",))], LOCAL)
        centre.apply_workloads([workload(1, "dpu1", "web"), workload(2, "dpu2", "db")], [], LOCAL)
        centre.publish("base", POLICY, LOCAL, "first")
        yield server, one
    finally:
        await one.disconnect()
        await server.stop()


def at(server: CentreServer) -> str:
    return f"127.0.0.1:{server.ports[Door.CERTIFICATE]}"


async def until(what: str, done: Callable[[], object]) -> None:
    end = time.monotonic() + TIMEOUT
    while not done():
        assert time.monotonic() < end, f"waited {TIMEOUT:g} s for {what}"
        await asyncio.sleep(0.01)


async def is_current(server: CentreServer) -> None:
    """Slice and containment are acknowledged, and nothing was refused."""
    record, centre = server.book.of("dpu1"), server.centre

    def done() -> bool:
        _, wanted = centre.wanted("dpu1")
        told = centre.generation, centre.containment_number
        return wanted is not None and (record.digest, record.containment) == (wanted.digest, told)

    await until("the appliance to be current", done)
    assert record.refusal == ""
    assert not server.book.alarms


def contain(server: CentreServer) -> None:
    server.centre.contain(["w2"], "", State.QUARANTINED, LOCAL, reason="a test")


def test_containment_while_a_slice_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        async with serving(tmp_path) as (server, one):
            made, late = Session._next, threading.Event()

            def _next(session: Session) -> Any:
                if not late.is_set():
                    late.set()
                    contain(server)
                return made(session)

            monkeypatch.setattr(Session, "_next", _next)
            one.connect(at(server))
            await is_current(server)
            assert one.receiver.held.containment.number == 1

    asyncio.run(main())


def test_containment_between_the_parts_of_a_slice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "PART_BYTES", 64)

    async def main() -> None:
        async with serving(tmp_path) as (server, one):
            told, late = Session._containment, threading.Event()

            async def _containment(session: Session, context: Any) -> None:
                if session.sent is not None and not late.is_set():
                    late.set()
                    await session.service.core(lambda: contain(server))
                await told(session, context)

            monkeypatch.setattr(Session, "_containment", _containment)
            one.connect(at(server))
            await is_current(server)
            assert late.is_set()
            assert one.receiver.held.containment.number == 1

    asyncio.run(main())


def test_what_could_not_be_brought_into_force_is_told_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slice, containment and a new key, each refused twice by an appliance whose disk is full for a while."""
    monkeypatch.setattr(session, "AGAIN_SECONDS", (0.05, 0.2))
    monkeypatch.setattr(simulated, "HEARTBEAT_SECONDS", 0.05)

    async def main() -> None:
        async with serving(tmp_path) as (server, one):
            full = [2]

            def keep(held: Held) -> None:
                if full[0]:
                    full[0] -= 1
                    raise OSError(28, "No space left on device")

            one.receiver._keep = keep
            record, centre = server.book.of("dpu1"), server.centre
            one.connect(at(server))

            async def current() -> None:
                await until("the refusals", lambda: not full[0])
                await until("it to be current", lambda: record.digest == centre.wanted("dpu1")[1].digest)  # type: ignore[union-attr]
                told = centre.generation, centre.containment_number
                await until("its containment", lambda: not told[1] or record.containment == told)
                await until("no refusal", lambda: not record.refusal)

            await current()
            full[0] = 2
            contain(server)
            await current()
            full[0] = 2
            centre.rotate_key(LOCAL, "a test")
            centre.set_labels("w2", {"app": "cache"}, [], LOCAL)
            await current()
            assert one.receiver.held.key == centre.signer.public
            full[0] = 1  # the key is refused, and so nobody believes what is signed with it
            centre.rotate_key(LOCAL, "a test")
            centre.contain(["w1"], "", State.WATCHED, LOCAL, reason="a test")
            await current()
            assert one.receiver.held.key == centre.signer.public

    asyncio.run(main())


def test_containment_that_is_overtaken_before_it_is_signed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with serving(tmp_path) as (server, one):
            made, late = Session._signed_containment, threading.Event()

            def signed(session: Session) -> Any:
                if not late.is_set():
                    late.set()
                    server.centre.contain(["w1"], "", State.WATCHED, LOCAL, reason="a test")
                return made(session)

            monkeypatch.setattr(Session, "_signed_containment", signed)
            contain(server)
            one.connect(at(server))
            await is_current(server)
            contain(server)  # an answer to what was told twice would come before this one's
            await is_current(server)
            assert one.receiver.held.containment.number == 3
            # It has the containment of a generation of which it has no slice yet, when its stream breaks.
            await one.disconnect()
            await until("the end", lambda: not server.book.of("dpu1").connected)
            one.receiver.held = replace(one.receiver.held, containment_generation=2)
            server.book.of("dpu1").containment = 2, 3
            server.centre.raise_generation(LOCAL, "a test")
            one.connect(at(server))
            await is_current(server)

    asyncio.run(main())


def test_what_is_urgent_waits_for_nothing_else(tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(tmp_path) as (server, _):
            first, others = threading.Event(), threading.Event()
            begun = threading.Event()
            given = [
                asyncio.create_task(server.link.made(lambda: begun.set() or first.wait(TIMEOUT)))  # type: ignore[func-returns-value]
            ]
            await until("its turn", begun.is_set)
            given += [asyncio.create_task(server.link.made(lambda: others.wait(TIMEOUT))) for _ in range(2)]
            urgent = asyncio.create_task(server.link.made(lambda: "here", urgent=True))
            await asyncio.sleep(0)  # all have asked
            first.set()
            try:
                assert await asyncio.wait_for(urgent, TIMEOUT / 2) == "here"
            finally:
                others.set()
                await asyncio.gather(*given)

    asyncio.run(main())


def test_time_that_is_left_runs_on(tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(tmp_path) as (server, _):
            centre, later = server.centre, 0.0
            centre._monotonic = server.book.monotonic = lambda: time.monotonic() + later

            def left() -> float:
                payload = server.link.containment_payload()[0]
                return statement_pb2.ContainmentState.FromString(payload).contained[0].seconds_left

            centre.contain(["w2"], "", State.QUARANTINED, LOCAL, reason="a test", ttl=3600)
            assert 3500 < left() <= 3600
            later = 3000.0
            assert left() <= 600

    asyncio.run(main())


def test_who_refuses_is_behind(tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(tmp_path) as (server, one):

            def impose(before: Held, after: Held) -> None:
                raise InvalidValue("no")

            one.receiver._impose = impose
            one.connect(at(server))
            record = server.book.of("dpu1")
            await until("the refusal", lambda: record.refusal)
            session = server.link.sessions["dpu1"]
            await until("the writer's look", lambda: not session.stale)
            await server.link.made(lambda: None)
            await asyncio.sleep(0)
            assert record.behind_since

    asyncio.run(main())


def test_an_end_of_tunnels_that_could_not_be_written_is_written_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simulated, "HEARTBEAT_SECONDS", 0.05)

    async def main() -> None:
        async with serving(tmp_path) as (server, one):
            told: list[tuple[str, str]] = []

            def tell(name: str, address: str, mac: str, caller: object) -> None:
                told.append((address, mac))
                if len(told) < 3:
                    raise NoSpace("no room")

            hello = Held.hello

            def greeting(held: Held, *rest: Any) -> link_pb2.LinkUp:
                made = hello(held, *rest)
                made.hello.vtep = "1" * 99
                return made

            monkeypatch.setattr(server.centre, "tell_vtep", tell)
            monkeypatch.setattr(Held, "hello", greeting)
            one.connect(at(server))
            await until("another try", lambda: len(told) >= 3)
            assert not [one for one in server.book.alarms if one.kind == "vtep"]
            assert told == [("1" * 64, "")] * 3

    asyncio.run(main())


def test_a_token_against_a_certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Strangers fill no log, and a token that is used up has led to a certificate, though that could not be told."""
    monkeypatch.setattr(context, "REFUSALS_AT_ONCE", 3.0)
    monkeypatch.setattr(context, "REFUSALS_PER_SECOND", 1e-6)

    async def main() -> None:
        async with serving(tmp_path) as (server, _):
            centre, (_, key) = server.centre, new_key()
            options = grpc.ssl_channel_credentials(centre.authority.pem)
            address = f"127.0.0.1:{server.ports[Door.TOKEN]}"
            async with grpc.aio.secure_channel(address, options, enrol.OPTIONS) as channel:
                stub: Any = enrolment_service_pb2_grpc.EnrolmentServiceStub(channel)
                ask = enrolment_service_pb2.EnrolRequest(signing_request=signing_request(key, "x"))
                for _ in range(10):
                    with pytest.raises(grpc.aio.AioRpcError, match="token: it is none"):
                        await stub.Enrol(ask, timeout=TIMEOUT)
                written = [one.action for one in centre.audit.entries() if one.refusal]
                assert written == ["call.EnrolmentService/Enrol"] * 3
                ask.token = centre.trust.enrolment_token("x", 0).text

                def note(*what: object, **more: object) -> None:
                    raise FlowError("no room", Code.IO_FAILED)

                monkeypatch.setattr(centre, "note", note)
                assert (await stub.Enrol(ask, timeout=TIMEOUT)).name == "x"

    asyncio.run(main())


def test_clocks_that_differ_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "FIRST_PING_SECONDS", 0.1)
    monkeypatch.setattr(session, "PING_SECONDS", 0.1)
    monkeypatch.setattr(link_service, "GUARD_SECONDS", 0.05)
    ahead = {"seconds": 0.0}
    clock = SimpleNamespace(time=lambda: time.time() + ahead["seconds"], monotonic=time.monotonic)
    monkeypatch.setattr(simulated, "time", clock)

    async def main() -> None:
        async with serving(tmp_path) as (server, one):
            record, book = server.book.of("dpu1"), server.book
            one.connect(at(server))
            await until("the clock", lambda: record.offset)
            assert abs(record.offset) < 2
            assert not book.alarms
            for seconds in (30.0, -30.0):
                ahead["seconds"] = seconds
                await until("the difference", lambda seconds=seconds: abs(record.offset - seconds) < 2)  # type: ignore[misc]
                await until("the alarm", lambda seconds=seconds: f"{seconds:+.0f}"[:2] in book.alarms[0].text)  # type: ignore[misc]
                assert (book.alarms[0].kind, book.health(record)[:9]) == ("clock", "its clock")
                ahead["seconds"] = 0.0
                await until("its end", lambda: book.health(record) == "ok")

    asyncio.run(main())


async def heard_out(call: Any) -> None:
    """Take what one is told, and answer nothing."""
    while await call.read() is not grpc.aio.EOF:
        pass


def test_who_says_nothing_is_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "IDLE_SECONDS", 1.0)

    async def main() -> None:
        async with (
            serving(tmp_path) as (server, one),
            grpc.aio.secure_channel(at(server), one.credentials, enrol.OPTIONS) as channel,
        ):
            call: Any = link_service_pb2_grpc.LinkServiceStub(channel).Connect()
            await call.write(
                link_service_pb2.ConnectRequest(up=link_pb2.LinkUp(hello=link_pb2.Hello(version="t")))
            )
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await asyncio.wait_for(heard_out(call), TIMEOUT)
            assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
            assert "nothing was heard for 1 s" in str(caught.value.details())
            assert not server.book.of("dpu1").connected

    asyncio.run(main())
