# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""What strangers can take from a centre's doors: so many connections, each for so long."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import grpc
import pytest

from appliance.intelligence import server as served
from appliance.intelligence.authority import SERVER_NAME
from appliance.intelligence.context import Door
from appliance.intelligence.gate import Gate
from appliance.intelligence.server import CentreConfig, CentreServer
from appliance.intelligence.v1 import enrolment_service_pb2, enrolment_service_pb2_grpc
from tests.support.fastpath import wait_for

TIMEOUT = 60.0
FEW = 4
T = TypeVar("T")


def at_a_centre(directory: Path, look: Callable[[CentreServer], T]) -> T:
    """What somebody finds who comes to a centre's doors, from a thread."""

    async def main() -> T:
        server = CentreServer(
            CentreConfig(
                state_dir=directory / "state", unix=directory / "central.sock", name="lab",
                appliances="127.0.0.1:0", enrolment="127.0.0.1:0",
            )
        )  # fmt: skip
        await server.start()
        try:
            return await asyncio.to_thread(look, server)
        finally:
            await server.stop()

    return asyncio.run(main())


@contextlib.contextmanager
def strangers(port: int, count: int) -> Iterator[list[socket.socket]]:
    """TCP connections that say nothing."""
    with contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT))
            for _ in range(count)
        ]


def is_closed(one: socket.socket) -> bool:
    """Whether the other side hangs up before the time is over."""
    try:
        return one.recv(1) == b""
    except ConnectionError:
        return True
    except TimeoutError:
        return False


def asks(server: CentreServer) -> bytes:
    """Somebody who comes in good faith."""
    credentials = grpc.ssl_channel_credentials(server.centre.authority.pem)
    address = f"127.0.0.1:{server.ports[Door.TOKEN]}"
    with grpc.secure_channel(
        address, credentials, [("grpc.ssl_target_name_override", SERVER_NAME)]
    ) as channel:
        stub: Any = enrolment_service_pb2_grpc.EnrolmentServiceStub(channel)
        request = enrolment_service_pb2.GetAuthorityRequest()
        found: bytes = stub.GetAuthority(request, timeout=TIMEOUT, wait_for_ready=True).certificate
        return found


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(served, "MAX_CONNECTIONS", dict.fromkeys(Door, FEW))
    monkeypatch.setattr(served, "HANDSHAKE_MS", 1000)


@pytest.mark.usefixtures("few")
def test_connections_above_the_bound_are_closed_before_their_handshake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(served, "HANDSHAKE_MS", 60_000)

    def look(server: CentreServer) -> list[bool]:
        with (
            strangers(server.ports[Door.CERTIFICATE], FEW),
            strangers(server.ports[Door.CERTIFICATE], 2) as more,
        ):
            assert asks(server) == server.centre.authority.pem  # the other door has a bound of its own
            return [is_closed(one) for one in more]

    assert at_a_centre(tmp_path, look) == [True, True]


@pytest.mark.usefixtures("few")
def test_who_never_ends_his_handshake_makes_room_again(tmp_path: Path) -> None:
    def look(server: CentreServer) -> list[bool]:
        with strangers(server.ports[Door.TOKEN], FEW) as slow:
            closed = [is_closed(one) for one in slow]
            assert asks(server) == server.centre.authority.pem
            return closed

    assert at_a_centre(tmp_path, look) == [True] * FEW


def test_a_connection_without_a_call_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(served, "IDLE_MS", 1000)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])

    def look(server: CentreServer) -> bool:
        with (
            strangers(server.ports[Door.TOKEN], 1) as (plain,),
            context.wrap_socket(plain, server_hostname=SERVER_NAME) as made,
        ):
            made.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04" + bytes(5))
            with contextlib.suppress(ConnectionError):
                while made.recv(4096):
                    pass
            return True

    assert at_a_centre(tmp_path, look)


def test_handshakes_a_second_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Above the bound, connections wait: they are not refused. Who is connected notices nothing, nor does the other
    door.
    """
    monkeypatch.setattr(served, "HANDSHAKES", {Door.CERTIFICATE: (1.0, 5.0), Door.TOKEN: (1.0, 5.0)})

    def look(server: CentreServer) -> None:
        gate, port = server.gates[Door.TOKEN], server.ports[Door.TOKEN]
        began = time.monotonic()

        def in_time(stack: contextlib.ExitStack) -> bool:
            before = gate.counted
            try:
                stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=0.3))
            except TimeoutError:
                return False
            wait_for("the handshake", lambda: gate.counted > before, TIMEOUT)
            assert gate.counted <= 5.0 + 1.0 * (time.monotonic() - began) + 1
            return True

        credentials = grpc.ssl_channel_credentials(server.centre.authority.pem)
        options = [("grpc.ssl_target_name_override", SERVER_NAME)]
        with (
            contextlib.ExitStack() as stack,
            grpc.secure_channel(f"127.0.0.1:{port}", credentials, options) as channel,
        ):
            stub: Any = enrolment_service_pb2_grpc.EnrolmentServiceStub(channel)
            request = enrolment_service_pb2.GetAuthorityRequest()
            stub.GetAuthority(request, timeout=TIMEOUT, wait_for_ready=True)
            while in_time(stack):
                assert gate.counted < 100
            stub.GetAuthority(request, timeout=TIMEOUT)
            with socket.create_connection(("127.0.0.1", server.ports[Door.CERTIFICATE]), timeout=TIMEOUT):
                pass
            wait_for("the alarm", lambda: [one.kind for one in server.book.alarms] == ["handshakes"], TIMEOUT)
            assert asks(server) == server.centre.authority.pem  # when there is room again

    at_a_centre(tmp_path, look)


def test_a_gate_lets_go_of_the_port(tmp_path: Path) -> None:
    port = at_a_centre(tmp_path, lambda server: server.ports[Door.TOKEN])
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT)


def test_doors_with_one_port_at_several_addresses_have_a_gate_each() -> None:
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        port = first.getsockname()[1]
        stack.enter_context(socket.create_server(("127.0.0.2", port)))
        loop = stack.enter_context(contextlib.closing(asyncio.new_event_loop()))
        one, two = (
            stack.enter_context(contextlib.closing(Gate(0.001, 1.0, loop, lambda: None))) for _ in "ab"
        )
        one._listeners = [first.dup()]
        two.guard(port, [one])
        two.count()
        two.count()
        with pytest.raises(TimeoutError):
            socket.create_connection(("127.0.0.2", port), timeout=0.3)
        stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT))
