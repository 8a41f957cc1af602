# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""The centre's end of the link: one session per appliance (``session``), and what they share: the core's thread, bytes
that are the same for many, who is woken when.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

import grpc
import structlog

from appliance.errors import FlowError
from appliance.intelligence import wire
from appliance.intelligence.access import Caller
from appliance.intelligence.centre import Centre
from appliance.intelligence.context import CALLER
from appliance.intelligence.delay import DelayMeter
from appliance.intelligence.fleet import Book, Record
from appliance.intelligence.session import Session
from appliance.intelligence.slices import Delta, FleetContainment
from appliance.intelligence.trust import Unauthenticated
from appliance.intelligence.v1 import link_service_pb2

log = structlog.get_logger(__name__)

GUARD_SECONDS: Final = 1.0
"""How often open streams are looked at: certificates expire and are revoked."""
GUARDED_AT_ONCE: Final = 8
TOLD_AT_ONCE: Final = 4
AT_ONCE: Final = 16
"""Sessions that are served in one go."""
T = TypeVar("T")
Asked = tuple[Callable[[], Any], "asyncio.Future[Any]"]


def _attempt(call: Callable[[], T]) -> tuple[T | None, Exception | None]:
    try:
        return call(), None
    except Exception as error:
        return None, error


class LinkService:
    """All sessions. The event loop's thread."""

    def __init__(
        self, centre: Centre, book: Book, executor: ThreadPoolExecutor, loop: asyncio.AbstractEventLoop
    ) -> None:
        self.centre, self.book, self._executor, self._loop = centre, book, executor, loop
        self.sessions: dict[str, Session] = {}
        self.delay = DelayMeter()
        self._payload: tuple[tuple[int, int, int], bytes, bytes] | None = None
        self._delta: tuple[tuple[object, ...], FleetContainment, bytes] | None = None
        """What deltas were made of last, and as bytes."""
        self._asked: deque[Asked] = deque()
        self._urgent: deque[Asked] = deque()
        self._making: asyncio.Task[None] | None = None
        self._asleep: dict[Session, None] = {}
        """Writers that are to be woken, in order."""
        self._rousing: asyncio.Task[None] | None = None
        self._moved = asyncio.Event()
        centre.on_change.append(self._changed)
        centre.trust.on_revoke.append(self._revoke)

    async def core(self, call: Callable[[], T]) -> T:
        """Something that takes long, in the one thread for it."""
        return await self._loop.run_in_executor(self._executor, call)

    async def made(self, call: Callable[[], T], *, urgent: bool = False) -> T:
        """Something for one session, in the same thread: some at a time, so that neither a way there and back for each
        nor a thousand answers at once keep the loop busy. What is urgent goes first.
        """
        future: asyncio.Future[T] = self._loop.create_future()
        (self._urgent if urgent else self._asked).append((call, future))
        if self._making is None:
            self._making = asyncio.create_task(self._make())
        return await future

    async def _make(self) -> None:
        """For as long as something is asked for."""
        while self._urgent or self._asked:
            some: list[tuple[Callable[[], Any], asyncio.Future[Any]]] = []
            queue = self._urgent or self._asked  # what is urgent waits for nothing else
            while len(some) < AT_ONCE and queue:
                some.append(queue.popleft())
            calls = [call for call, _ in some]
            made = await self.core(lambda calls=calls: [_attempt(call) for call in calls])  # type: ignore[misc]
            for number, ((_, future), (found, error)) in enumerate(zip(some, made, strict=True), 1):
                if number % TOLD_AT_ONCE == 0:  # each has something to do with it at once
                    await asyncio.sleep(0)
                if future.done():  # its stream has ended
                    continue
                if error is not None:
                    future.set_exception(error)
                else:
                    future.set_result(found)
        self._making = None

    # -- what the centre tells

    def _changed(self, touched: set[str] | None, contained: bool) -> None:
        """From the thread that changed something."""
        at = self.book.monotonic()
        self._loop.call_soon_threadsafe(self._wake, touched, contained, at)

    def _wake(self, touched: set[str] | None, contained: bool, at: float) -> None:
        for name, session in self.sessions.items():
            if touched is None or name in touched:
                if not session.record.behind_since:
                    session.record.behind_since = at
                session.stale = True
            elif not contained:
                continue
            self._asleep[session] = None
        if self._asleep and self._rousing is None:
            self._rousing = asyncio.create_task(self._rouse())
        self.moved()

    async def _rouse(self) -> None:
        """Wake writers, some at a time: the loop has other things to do in between."""
        while self._asleep:
            for session in [*self._asleep][:AT_ONCE]:
                del self._asleep[session]
                session.wake.set()
            await asyncio.sleep(0)
        self._rousing = None

    def moved(self) -> None:
        """Something was acknowledged, or is to be."""
        self._moved.set()
        self._moved = asyncio.Event()

    async def until(self, done: Callable[[], Awaitable[T | None]], seconds: float) -> T | None:
        """What ``done`` gives as soon as it is something; None after the time."""
        end = time.monotonic() + seconds
        while True:
            moved = self._moved
            found = await done()
            left = end - time.monotonic()
            if found is not None or left <= 0:
                return found
            try:
                await asyncio.wait_for(moved.wait(), min(left, 1.0))
            except TimeoutError:
                continue

    def mark_behind(self, record: Record, now: float) -> None:
        """It has something to catch up with, as far as is known; the writer finds out."""
        if not record.behind_since:
            record.behind_since = now

    def containment_payload(self) -> tuple[bytes, int, int, bytes]:
        """The containment as bytes, its generation, number and digest; made once for all sessions, or once a second
        while time runs. In the core's thread.
        """
        with self.centre.lock:
            now, generation = self.centre.containment, self.centre.generation
            runs = any(one.contained.left for one in now.contained.values())
            key = generation, now.number, int(self.book.monotonic()) if runs else 0
            if self._payload is None or self._payload[0] != key:
                self._payload = key, wire.containment_to(now).SerializeToString(), now.digest
            return self._payload[1], generation, now.number, self._payload[2]

    def delta_payload(self, change: Delta, containment: FleetContainment) -> bytes:
        """A delta as bytes: made once for all to whom the same peers become others. In the core's thread."""
        if (
            change.own
            or change.own_removed
            or (change.networks, change.policy, change.vteps) != (None, None, None)
        ):
            return wire.delta_to(change, containment).SerializeToString()
        key = (
            change.revision,
            change.peers_removed,
            *((name, one.digest) for name, one in change.peers.items()),
        )
        known = self._delta
        if known is None or known[0] != key or known[1] is not containment:
            known = self._delta = key, containment, wire.delta_to(change, containment).SerializeToString()
        return known[2]

    def _revoke(self, who: str) -> None:
        self._loop.call_soon_threadsafe(self._revoked, who)

    def _revoked(self, who: str) -> None:
        session = self.sessions.get(who.removeprefix("appliance/"))
        if session is not None and who == session.caller.who:
            self._distrust(session)

    def _distrust(self, session: Session) -> None:
        why = self.centre.trust.distrust(session.certificate)
        if why:
            session.end(grpc.StatusCode.UNAUTHENTICATED, why)
            self.book.alarm("expired" if "expired" in why else "revoked", session.name, why)
            self._note(session.caller, "link.closed", why)

    def _note(self, caller: Caller, action: str, refusal: str) -> None:
        """For the audit log. The link does not depend on it: what cannot be written is counted as lost there."""
        try:
            self.centre.audit.append(
                caller.actor, action, caller.who.removeprefix("appliance/"), refusal=refusal
            )
        except FlowError as error:
            self.centre.failed = error.reason

    async def guard(self) -> None:
        """Close streams of certificates that count no more, and silent ones, for ever; some at a time."""
        while True:
            sessions = list(self.sessions.values())
            goes = [sessions[at : at + GUARDED_AT_ONCE] for at in range(0, len(sessions), GUARDED_AT_ONCE)]
            for some in goes or [[]]:
                now = self.book.monotonic()
                for session in some:
                    try:
                        self._distrust(session)
                        session.guard(now)
                    except Exception as error:  # whatever it is: others are looked at still
                        log.exception("a stream cannot be looked at", appliance=session.name)
                        session.end(
                            grpc.StatusCode.INTERNAL, f"it cannot be looked at: {type(error).__name__}"
                        )
                await asyncio.sleep(GUARD_SECONDS / max(1, len(goes)))

    # -- the call

    async def Connect(  # noqa: N802
        self,
        request_iterator: AsyncIterator[link_service_pb2.ConnectRequest],
        context: grpc.aio.ServicerContext[object, object],
    ) -> None:
        """One stream."""
        caller = CALLER.get()
        if caller.certificate is None:
            raise Unauthenticated("the link needs a certificate")
        name = caller.certificate.name
        old = self.sessions.get(name)
        session = Session(self, caller, self.book.of(name))
        if old is not None:
            self.book.alarm("second-stream", name, "a second stream with its name closed the first")
            self._note(caller, "link.second", "the first stream was closed")
            old.end(grpc.StatusCode.ABORTED, "another stream with the same certificate was opened")
        self.sessions[name] = session
        tasks: list[asyncio.Task[None]] = [
            asyncio.create_task(session.read(context)),
            asyncio.create_task(session.write(context)),
        ]
        try:
            waited: list[asyncio.Future[Any]] = [*tasks, session.ended]
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if self.sessions.get(name) is session:
                del self.sessions[name]
                session.record.connected = False
        if session.ended.done():
            status, why = session.ended.result()
            await context.abort(status, why)
        for task in tasks:
            if task.done() and not task.cancelled() and (error := task.exception()) is not None:
                raise error
