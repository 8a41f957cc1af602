# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""One stream of the link, as the centre has it: it tells its appliance what differs.

A session sends one slice or delta at a time and waits for the answer; what changes meanwhile comes with the next, so
that a slow reader costs no memory. Containment does not wait: it has a number of its own and goes ahead of everything,
between the parts of a large snapshot too. The base of a delta is what the appliance acknowledged last; what it did not
is sent as a snapshot.
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Final

import grpc

from appliance.errors import FlowError
from appliance.intelligence import wire
from appliance.intelligence.access import Caller
from appliance.intelligence.fleet import Record
from appliance.intelligence.slices import ContainedAt, Slice, delta
from appliance.intelligence.store import no_room
from appliance.intelligence.v1 import link_pb2, link_service_pb2, statement_pb2

if TYPE_CHECKING:
    from appliance.intelligence.link_service import LinkService

HELLO_SECONDS: Final = 5.0
IDLE_SECONDS: Final = 30.0
"""Without a heartbeat."""
ANSWER_SECONDS: Final = 120.0
"""A statement that is not answered for so long was lost: the link begins anew."""
FIRST_PING_SECONDS: Final = 5.0
PING_SECONDS: Final = 15.0
"""Its clock is asked for that often at least."""
SKEW_SECONDS: Final = 5.0
"""Of an appliance's clock that nobody needs to know of."""
PART_BYTES: Final = 256 << 10
MAX_LOCAL: Final = 10_000
AGAIN_SECONDS: Final = 5.0, 300.0
"""Shortest and longest wait before an appliance is told again what it refused; doubling."""
Down = link_pb2.LinkDown


class Session:
    """One stream."""

    def __init__(self, service: LinkService, caller: Caller, record: Record) -> None:
        assert caller.certificate is not None  # the listener requires one  # noqa: S101
        self.service, self.caller, self.record = service, caller, record
        self.certificate = caller.certificate
        self.name = caller.certificate.name
        self.wake = asyncio.Event()
        self.ended: asyncio.Future[tuple[grpc.StatusCode, str]] = asyncio.get_running_loop().create_future()
        self.sent: Slice | None = None
        """What it is to answer to."""
        self.sent_at = 0.0
        self.told_containment = (0, 0)
        self.carried = (0, 0)
        """Generation and number of the containment that is part of what was sent."""
        self.contain_again = False
        """It refused the containment that it was told last."""
        self.overtaken = False
        """A newer containment was told since: what was sent may be refused for that alone."""
        self.snapshot = False
        """It has said that it needs one."""
        self.refused: tuple[int, bytes] | None = None
        """Generation and digest of the slice that it refused: told again when there is another, or after a while."""
        self.again_at, self.again_seconds = 0.0, AGAIN_SECONDS[0]
        """When what was refused is told again (monotonic; 0: nothing is)."""
        self.unmerged: list[ContainedAt] | None = None
        """What it contained that could not be written down here yet."""
        self.untold: tuple[str, str] | None = None
        """Where its tunnels end, address and MAC, which could not be written down here yet."""
        self.key = self.pinned = b""
        """What it was told to pin, and what it is known to have pinned."""
        self.began, self.heard = service.book.monotonic(), 0.0
        """Since when there is the stream, and when it said something last (0: nothing yet); monotonic."""
        self.ping_at = self.began + FIRST_PING_SECONDS * random.random()  # noqa: S311 - no secret
        self.ping = False
        """It is to be asked how its clock is."""
        self.greeted = False
        """It has said hello: until then nothing is told."""
        self.stale = False
        """Its slice may be another than what it was told."""

    def end(self, status: grpc.StatusCode, why: str) -> None:
        """Close the stream."""
        if not self.ended.done():
            self.ended.set_result((status, why))

    # -- down

    async def write(self, context: grpc.aio.ServicerContext[object, object]) -> None:
        """Tell what there is to tell, for ever."""
        while True:
            await self.wake.wait()
            self.wake.clear()
            if not self.greeted:
                continue
            await self._key_change(context)
            await self._containment(context)
            if self.ping:
                self.ping = False
                now = link_pb2.Ping(time=self.service.book.clock())
                await context.write(link_service_pb2.ConnectResponse(down=Down(ping=now)))
            if not self.stale or self.sent is not None or self.record.detached:
                continue
            self.stale = False
            made = await self.service.made(self._next)
            if made is None:
                if not self.stale and self.refused is None:
                    self.record.behind_since = 0.0
                continue
            data, wanted, self.carried = made
            self.sent, self.sent_at = wanted, self.service.book.monotonic()
            self.overtaken = False
            for at in range(0, len(data), PART_BYTES):
                # Also before the first part, if it has one that was not told by itself: that would come too late.
                if at or self.carried > self.told_containment:
                    await self._containment(context)
                last = at + PART_BYTES >= len(data)
                part = link_pb2.StatementPart(data=data[at : at + PART_BYTES], last=last)
                await context.write(link_service_pb2.ConnectResponse(down=Down(part=part)))

    def _next(self) -> tuple[bytes, Slice, tuple[int, int]] | None:
        """The next statement, signed, what it leads to, and generation and number of the containment in it; None:
        there is nothing to say. In the core's thread.
        """
        centre, record = self.service.centre, self.record
        with centre.lock:
            number, wanted = centre.wanted(self.name)
            containment, generation = centre.containment, centre.generation
        behind = record.generation < generation or self.snapshot
        if wanted is None or (wanted.digest == record.digest and not behind):
            self.refused = None  # it has what it is to have
            return None
        if self.refused == (generation, wanted.digest):
            return None
        base = record.slice
        kind = statement_pb2.STATEMENT_KIND_SNAPSHOT
        if base is not None and base.digest == record.digest and not behind:
            kind = statement_pb2.STATEMENT_KIND_DELTA
            payload = self.service.delta_payload(delta(base, wanted), containment)
        else:
            payload = wire.slice_to(wanted, containment).SerializeToString()
        statement = statement_pb2.Statement(
            centre=centre.id, generation=generation, appliance=self.name, kind=kind, number=number,
            base_digest=record.digest if kind == statement_pb2.STATEMENT_KIND_DELTA else b"",
            result_digest=wanted.digest, payload=payload,
        )  # fmt: skip
        signed = centre.signer.sign(statement).SerializeToString()
        return signed, wanted, (generation, containment.number)

    async def _containment(self, context: grpc.aio.ServicerContext[object, object]) -> None:
        centre = self.service.centre
        now = centre.generation, centre.containment_number
        if now[1] == 0 or now <= self.told_containment or self.record.detached:
            return
        # What is signed may be newer than what there was to tell a moment ago.
        signed, self.told_containment = await self.service.made(self._signed_containment, urgent=True)
        self.contain_again = False
        self.overtaken = self.told_containment > self.carried
        await context.write(link_service_pb2.ConnectResponse(down=Down(containment=signed)))

    def _signed_containment(self) -> tuple[statement_pb2.SignedStatement, tuple[int, int]]:
        """With its generation and number. In the core's thread."""
        centre = self.service.centre
        payload, generation, number, digest = self.service.containment_payload()
        signed = centre.signer.sign(
            statement_pb2.Statement(
                centre=centre.id, generation=generation, appliance=self.name, number=number, payload=payload,
                kind=statement_pb2.STATEMENT_KIND_CONTAINMENT, result_digest=digest,
            )
        )  # fmt: skip
        return signed, (generation, number)

    async def _key_change(self, context: grpc.aio.ServicerContext[object, object]) -> None:
        centre = self.service.centre
        public = centre.signer.public
        if self.key == public:
            return
        said = statement_pb2.Statement(
            centre=centre.id, generation=max(centre.generation, self.record.generation), appliance=self.name,
            kind=statement_pb2.STATEMENT_KIND_KEY, number=centre.number,
            payload=statement_pb2.KeyChange(public_key=public).SerializeToString(),
        )  # fmt: skip
        signed = centre.signer.sign_with(self.key, said)
        if signed is None:
            self.service.book.alarm(
                "key", self.name, "it has pinned a key that is none of this centre's: enrol it anew"
            )
        else:
            await context.write(link_service_pb2.ConnectResponse(down=Down(key=signed)))
        self.key = public

    # -- up

    async def read(self, context: grpc.aio.ServicerContext[object, object]) -> None:
        """Take what it says, until it ends."""
        first = await _read(context)
        if first is None:
            return
        self.heard = self.service.book.monotonic()
        if first.up.WhichOneof("what") != "hello":
            self.end(grpc.StatusCode.FAILED_PRECONDITION, "hello comes first")
            return
        await self._hello(first.up.hello)
        while True:
            message = await _read(context)
            if message is None:
                return
            await self._take(message.up)

    def guard(self, now: float) -> None:
        """Look, at a time (monotonic), what has taken too long, and whether its clock is to be asked for."""
        if not self.heard and now - self.began > HELLO_SECONDS:
            self.end(grpc.StatusCode.DEADLINE_EXCEEDED, f"no hello within {HELLO_SECONDS:g} s")
        elif self.heard and now - self.heard > IDLE_SECONDS:
            self.end(grpc.StatusCode.DEADLINE_EXCEEDED, f"nothing was heard for {IDLE_SECONDS:g} s")
        elif self.sent is not None and now - self.sent_at > ANSWER_SECONDS:
            self.end(
                grpc.StatusCode.DEADLINE_EXCEEDED, f"a statement was not answered for {ANSWER_SECONDS:g} s"
            )
        elif now >= self.ping_at:
            # Those that came at the same time are not all asked at the same time.
            self.ping_at = now + PING_SECONDS * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
            self.ping = True
            self.wake.set()

    async def _take(self, up: link_pb2.LinkUp) -> None:
        record, book = self.record, self.service.book
        self.heard = record.heard = book.monotonic()
        match up.WhichOneof("what"):
            case "applied":
                self._applied(up.applied)
            case "refused":
                self._refused(up.refused)
            case "heartbeat":
                self._heartbeat(up.heartbeat)
                if self.unmerged is not None:
                    await self._merge(self.unmerged)
                if self.untold is not None:
                    await self._tell_vtep()
            case "local":
                if len(up.local.contained) > MAX_LOCAL:
                    self.end(grpc.StatusCode.INVALID_ARGUMENT, f"at most {MAX_LOCAL} contained workloads")
                    return
                await self._local(up.local)
            case "hello":
                self.end(grpc.StatusCode.FAILED_PRECONDITION, "hello comes once")
            case _:
                self.end(grpc.StatusCode.INVALID_ARGUMENT, "up: says nothing that is known")

    async def _hello(self, hello: link_pb2.Hello) -> None:
        record, book, centre = self.record, self.service.book, self.service.centre
        now = book.monotonic()
        record.connected, record.heard, record.version = True, now, hello.version[:64]
        record.generation, record.number, record.digest = hello.generation, hello.number, hello.digest[:32]
        record.refusal, record.fault = "", ""
        self.key = self.pinned = hello.statement_key[:32]
        if hello.detached:
            record.detached = hello.detach_reason[:256] or "no reason given"
            book.alarm("detached", self.name, record.detached)
        else:
            record.detached = ""
        record.uplink = hello.uplink[:64]

        self.untold = hello.vtep[:64], hello.vtep_mac[:64]
        await self._tell_vtep()
        _, wanted = await self.service.made(lambda: centre.wanted(self.name))
        if wanted is not None and wanted.digest == record.digest:
            record.slice = wanted
        elif record.slice is not None and record.slice.digest != record.digest:
            record.slice = None
        known = record.containment
        if known[1] != hello.containment_number or known[0] < hello.generation:
            known = hello.generation, hello.containment_number
        # Else it has acknowledged that number of a generation of which it has no slice yet.
        self.told_containment = record.containment = known
        number = centre.number
        if (hello.generation, hello.number) > (centre.generation, number):
            why = (
                f"it has accepted generation {hello.generation}, number {hello.number}; this centre is at "
                f"{centre.generation}, {number}: restored from a backup? Raise the generation"
            )
            record.refusal = why
            book.alarm("restored", self.name, why)
        self.service.mark_behind(record, now)
        self.greeted = True
        self._look()

    async def _tell_vtep(self) -> None:
        """Where its tunnels end. What cannot be written is tried again with the next heartbeat."""
        centre = self.service.centre
        address, mac = self.untold or ("", "")
        try:
            await self.service.made(lambda: centre.tell_vtep(self.name, address, mac, self.caller))
            self.untold = None
        except FlowError as error:
            if no_room(error):
                centre.failed = error.reason
                return
            self.untold = None
            self.service.book.alarm("vtep", self.name, error.reason)

    def _look(self) -> None:
        """The writer is to see whether there is something to tell."""
        self.stale = True
        self.wake.set()

    def _applied(self, said: link_pb2.Applied) -> None:
        record = self.record
        if said.kind == statement_pb2.STATEMENT_KIND_CONTAINMENT:
            record.containment = said.generation, said.number
            if not self.refused:
                record.refusal = ""
            return
        if said.kind == statement_pb2.STATEMENT_KIND_KEY:
            self.pinned = self.key
            return
        sent, self.sent = self.sent, None
        if sent is None or said.digest != sent.digest:
            self.end(grpc.StatusCode.INVALID_ARGUMENT, "applied: it was told something else")
            return
        now = self.service.book.monotonic()
        record.slice, record.digest = sent, said.digest
        record.generation, record.number, record.refusal = said.generation, said.number, ""
        self.snapshot, self.refused = False, None
        self.again_seconds = AGAIN_SECONDS[0]
        record.apply_seconds = now - (record.behind_since or self.sent_at)
        self.service.moved()
        record.behind_since = now if self.stale else 0.0
        self.wake.set()

    def _refused(self, said: link_pb2.RefusedStatement) -> None:
        record, book = self.record, self.service.book
        name = link_pb2.RefusalKind.Name(said.refusal).removeprefix("REFUSAL_KIND_").lower().replace("_", "-")
        reason = f"{name}: {said.reason[:500]}"
        if said.refusal not in (link_pb2.REFUSAL_KIND_DETACHED, link_pb2.REFUSAL_KIND_WRONG_BASE):
            self.again_at = book.monotonic() + self.again_seconds
            self.again_seconds = min(AGAIN_SECONDS[1], 2 * self.again_seconds)
        last = said.kind == statement_pb2.STATEMENT_KIND_CONTAINMENT and (
            (said.generation, said.number) == self.told_containment
        )
        # Of what it could not read, or did not believe, it does not say what it was.
        if last or said.kind == statement_pb2.STATEMENT_KIND_UNSPECIFIED:
            self.contain_again = record.containment < self.told_containment
        if said.kind in (statement_pb2.STATEMENT_KIND_CONTAINMENT, statement_pb2.STATEMENT_KIND_KEY):
            record.refusal = reason
            book.alarm("refusal", self.name, reason)
            return
        sent, self.sent = self.sent, None
        if said.refusal == link_pb2.REFUSAL_KIND_WRONG_BASE and not self.snapshot:
            self.snapshot = True
        elif said.refusal == link_pb2.REFUSAL_KIND_OLDER and sent is not None and self.overtaken:
            pass  # again, with the containment that went ahead of it
        else:
            record.refusal = reason
            self.refused = (self.carried[0], sent.digest) if sent is not None else None
            book.alarm("refusal", self.name, reason)
        self._look()

    def _heartbeat(self, said: link_pb2.Heartbeat) -> None:
        record, book = self.record, self.service.book
        record.enforced, record.fault = said.enforced, said.fault[:256]
        if self.again_at and book.monotonic() >= self.again_at:
            self.again_at, self.refused, self.key = 0.0, None, self.pinned
            if self.contain_again:  # what it has not answered yet is on its way
                self.told_containment = record.containment
            self._look()
        if said.ping_time:
            trip = max(0.0, book.clock() - said.ping_time)
            record.offset = said.time + trip / 2 - book.clock()
            skewed = abs(record.offset) > SKEW_SECONDS + trip / 2
            if skewed and not record.skewed:
                book.alarm(
                    "clock", self.name, f"its clock differs by {record.offset:+.1f} s from this centre's"
                )
            record.skewed = skewed
        drift = bool(said.program_digest) and said.program_digest != said.expected_digest
        if drift and not record.drift:
            book.alarm("drift", self.name, "what the fast path holds is not what it was given")
        record.drift = drift

    async def _local(self, said: link_pb2.LocalContainment) -> None:
        await self._merge([wire.contained_from(one) for one in said.contained])

    async def _merge(self, found: list[ContainedAt]) -> None:
        """It contained them. What cannot be written is tried again with the next heartbeat."""
        centre = self.service.centre
        try:
            refused = await self.service.core(lambda: centre.report_local(self.name, found, self.caller))
            self.unmerged = None
        except FlowError as error:
            if not no_room(error):
                raise
            self.unmerged, centre.failed = found, error.reason
            return
        if refused:
            some = ", ".join(refused[:5]) + (f" and {len(refused) - 5} more" if len(refused) > 5 else "")
            self.service.book.alarm(
                "containment",
                self.name,
                f"it contains {some}, which it does not hold: that counts for itself alone",
            )


async def _read(
    context: grpc.aio.ServicerContext[object, object],
) -> link_service_pb2.ConnectRequest | None:
    message = await context.read()
    return message if isinstance(message, link_service_pb2.ConnectRequest) else None
