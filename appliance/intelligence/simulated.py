# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""One appliance without a data plane, and certificates for many of them.

It has its own certificate and its own connection, verifies signatures and digests, applies slices and refuses what a
real one would (``receiver``), dials again as a real one does; only the fast path and the disk are missing.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

import grpc

from appliance.intelligence import enrol
from appliance.intelligence.agent import BACKOFF, HEARTBEAT_SECONDS
from appliance.intelligence.authority import new_key, signing_request
from appliance.intelligence.centre import Centre
from appliance.intelligence.receiver import Held, Receiver
from appliance.intelligence.v1 import link_pb2, link_service_pb2, link_service_pb2_grpc

OPTIONS: Final[list[tuple[str, Any]]] = [*enrol.OPTIONS, ("grpc.use_local_subchannel_pool", 1)]


def prepare(directory: Path, names: Iterable[str]) -> list[Simulated]:
    """A centre's state directory to which all of them belong, before the centre runs: no tokens, one commit."""
    centre = Centre(directory, name="simulated")
    try:
        keys = {name: new_key() for name in names}
        certificates = centre.trust.admit(
            {name: signing_request(key, name) for name, (_, key) in keys.items()}
        )
        authority, public = centre.authority.pem, centre.signer.public
        return [
            Simulated(
                Held(centre=centre.id, appliance=name, key=public),
                grpc.ssl_channel_credentials(authority, keys[name][0], certificate),
            )
            for name, certificate in certificates.items()
        ]
    finally:
        centre.close()


class Simulated:
    """One appliance. Belongs to an event loop."""

    def __init__(self, held: Held, credentials: grpc.ChannelCredentials) -> None:
        self.name = held.appliance
        self.receiver = Receiver(held, lambda before, after: None, lambda kept: None)
        self.credentials = credentials
        self.heard: Callable[[Simulated, str], None] = lambda one, what: None
        """Told ``applied`` or ``refused``, when the answer is on its way."""
        self.deaf = False
        """It does not read."""
        self.told_bytes = 0
        """Of the last snapshot or delta."""
        self.error = ""
        """Why it is not connected."""
        self.dials = 0
        self._task: asyncio.Task[None] | None = None
        self._saying = asyncio.Lock()
        """A stream takes one message at a time."""
        self._unsaid = ""
        """What it did about a statement and could not answer any more: its next hello tells."""

    def connect(self, address: str) -> None:
        """Dial, say hello and answer what comes; again and again until ``disconnect``."""
        self._task = asyncio.create_task(self._run(address))

    async def _run(self, address: str) -> None:
        wait = BACKOFF[0]
        while True:
            started = time.monotonic()
            self.dials += 1
            try:
                async with grpc.aio.secure_channel(address, self.credentials, OPTIONS) as channel:
                    await self._stream(link_service_pb2_grpc.LinkServiceStub(channel).Connect())
                self.error = "the centre closed the link"
            except grpc.aio.AioRpcError as error:
                self.error = error.details() or error.code().name
            except asyncio.InvalidStateError:
                self.error = "the link ended"
            wait = BACKOFF[0] if time.monotonic() - started > 5.0 else min(BACKOFF[1], wait * 2)
            await asyncio.sleep(random.uniform(wait / 2, wait))  # noqa: S311 - no secret

    async def _stream(self, call: Any) -> None:
        await self._say(call, self.receiver.held.hello("simulated", self.name))
        if self._unsaid:
            self.heard(self, self._unsaid)
            self._unsaid = ""
        beat = asyncio.create_task(self._beat(call))
        try:
            await self._read(call)
        finally:
            beat.cancel()
            call.cancel()
            with contextlib.suppress(asyncio.CancelledError, grpc.aio.AioRpcError, asyncio.InvalidStateError):
                await beat

    async def _read(self, call: Any) -> None:
        statement = 0
        while True:
            if self.deaf:
                await asyncio.sleep(3600)
            message = await call.read()
            if message is grpc.aio.EOF:
                return
            self.error = ""
            down = message.down
            match down.WhichOneof("what"):
                case "part":
                    statement += len(down.part.data)
                    answer = self.receiver.part(down.part)
                    if down.part.last:
                        self.told_bytes, statement = statement, 0
                case "containment":
                    answer = self.receiver.receive(down.containment)
                case "key":
                    answer = self.receiver.receive(down.key)
                case _:
                    answer = self._heartbeat(down.ping.time)
            if answer is None:
                continue
            what = answer.WhichOneof("what") or ""
            if what in ("applied", "refused"):
                self._unsaid = what
            await self._say(call, answer)
            if self._unsaid:
                self.heard(self, self._unsaid)
                self._unsaid = ""

    def _heartbeat(self, ping: float = 0.0) -> link_pb2.LinkUp:
        return link_pb2.LinkUp(
            heartbeat=link_pb2.Heartbeat(
                time=time.time(), enforced=True, number=self.receiver.held.number, ping_time=ping
            )
        )

    async def _beat(self, call: Any) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS * random.uniform(0.8, 1.2))  # noqa: S311 - no secret
            await self._say(call, self._heartbeat())

    async def _say(self, call: Any, up: link_pb2.LinkUp) -> None:
        async with self._saying:
            await call.write(link_service_pb2.ConnectRequest(up=up))

    async def disconnect(self) -> None:
        """Hang up."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
