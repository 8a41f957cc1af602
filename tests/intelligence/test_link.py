# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""The centre's end of the link, in this process: who says nothing, and containment that comes at the worst moment."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import pytest

from appliance.intelligence import enrol, link_service, simulated
from appliance.intelligence.access import LOCAL
from appliance.intelligence.context import Door
from appliance.intelligence.link_service import Session
from appliance.intelligence.receiver import Held
from appliance.intelligence.server import CentreConfig, CentreServer
from appliance.intelligence.simulated import Simulated, prepare
from appliance.intelligence.v1 import (
    link_pb2,
    link_service_pb2,
    link_service_pb2_grpc,
)
from appliance.policy.model import Network, State
from tests.intelligence.test_receiver import POLICY, workload

TIMEOUT = 20.0


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
    monkeypatch.setattr(link_service, "PART_BYTES", 64)

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
    monkeypatch.setattr(link_service, "AGAIN_SECONDS", (0.05, 0.2))
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

    asyncio.run(main())


def test_clocks_that_differ_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_service, "PING_SECONDS", 0.1)
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
    monkeypatch.setattr(link_service, "IDLE_SECONDS", 1.0)

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
