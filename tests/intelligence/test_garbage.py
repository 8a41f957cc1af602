# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Cycles that hold much do not fill the memory of a centre that looks for garbage once an hour."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import weakref
from pathlib import Path
from typing import Any

import grpc
import pytest

from appliance.errors import InvalidValue
from appliance.intelligence import garbage
from appliance.intelligence.centre import Centre
from appliance.intelligence.context import Door, Doorkeeper
from tests.support.central import TIMEOUT

BYTES = 1 << 20


class Sent:
    """A message."""

    def __init__(self, data: bytes) -> None:
        self.data = data


class Large:
    """It holds itself."""

    def __init__(self) -> None:
        self.me, self.data = self, b"x" * BYTES


def test_few_objects_that_hold_much_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """Long before the hour is over, and before there are many of them."""
    monkeypatch.setattr(garbage, "STEP_SECONDS", 0.01)
    monkeypatch.setattr(garbage, "FEW", 0)
    monkeypatch.setattr(garbage, "MUCH", 32 * BYTES)
    made: weakref.WeakSet[Large] = weakref.WeakSet()

    async def fill() -> None:
        task = asyncio.create_task(garbage.look_rarely())
        try:
            async with asyncio.timeout(TIMEOUT):
                await asyncio.sleep(0)
                for _ in range(256):
                    made.add(Large())
                    await asyncio.sleep(0.002)
                while len(made) > 128:
                    await asyncio.sleep(0.01)
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    try:
        asyncio.run(fill())
        assert gc.isenabled()
    finally:
        gc.unfreeze()
        gc.collect()


def test_a_call_that_is_refused_leaves_nothing_of_what_was_sent(tmp_path: Path) -> None:
    """Anybody may try to enrol: what aborts a call stays in a cycle, what he has sent does not."""
    sent: weakref.WeakSet[Sent] = weakref.WeakSet()

    async def refuse(request: Sent, context: object) -> bytes:
        sent.add(request)
        raise InvalidValue("no")

    async def call() -> None:
        server = grpc.aio.server(interceptors=[Doorkeeper(made, Door.TOKEN)])
        handler: Any = grpc.unary_unary_rpc_method_handler(refuse, Sent, None)
        name = "appliance.intelligence.v1.EnrolmentService"
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, {"Enrol": handler}),))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        try:
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel, asyncio.timeout(TIMEOUT):
                calls: Any = channel.unary_unary(f"/{name}/Enrol")
                for _ in range(3):
                    with pytest.raises(grpc.aio.AioRpcError):
                        await calls(b"x")
                while sent:
                    await asyncio.sleep(0.01)
        finally:
            await server.stop(None)

    made = Centre(tmp_path / "state", name="lab")
    gc.disable()
    try:
        asyncio.run(call())
    finally:
        gc.enable()
        made.close()
