# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""The appliance's end of the link: it dials, obeys, answers, and goes on alone when nobody answers.

What was accepted last is in force from the start, before there is a centre to ask; it stays so for as long as there is
none. A thread of its own; everything that may fail is tried again, later and later.
"""

from __future__ import annotations

import queue
import random
import threading
import time
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Protocol
from uuid import uuid4

import grpc
import structlog
from cryptography import x509
from google.protobuf.message import DecodeError

from appliance.errors import BadState, FlowError, InvalidValue
from appliance.intelligence import enrol, wire
from appliance.intelligence.enrol import HELD, Membership
from appliance.intelligence.receiver import Held, Receiver
from appliance.intelligence.slices import ContainedAt
from appliance.intelligence.v1 import link_pb2, link_service_pb2, link_service_pb2_grpc, statement_pb2
from appliance.policy.audit import Actor
from appliance.policy.keys import replace_file
from appliance.policy.model import Overlay

log = structlog.get_logger(__name__)

HEARTBEAT_SECONDS: Final = 3.0
READ_BACK_SECONDS: Final = 10.0
BACKOFF: Final = (0.1, 10.0)
"""Shortest and longest wait before it dials again; random in between, doubling."""
LOOK_SECONDS: Final = 0.5
"""How often it looks whether somebody enrolled it."""
RENEW_SHARE: Final = 0.67
"""Of a certificate's life after which it is renewed."""


class Enforcer(Protocol):
    """What obeys: the appliance's segmentation."""

    def obey(self, centre: str) -> None:
        """Somebody is the master from here on; empty: nobody."""

    def impose(self, before: Held, after: Held, actor: Actor) -> None:
        """Bring into force, or raise ``FlowError`` and have changed nothing."""

    def let_go(self, actor: Actor, reason: str) -> None:
        """What is in force is the appliance's own from here on."""

    def health(self) -> tuple[bool, str]:
        """Whether packets are judged by it, and what is wrong."""

    def read_back(self) -> tuple[bytes, bytes]:
        """Digests of the program: as it should be, and as the fast path holds it; empty: it cannot be read."""

    def local(self) -> list[ContainedAt]:
        """What is contained here."""

    def overlay(self) -> Overlay | None:
        """Its end of tunnels."""


@dataclass(frozen=True, slots=True)
class LinkStatus:
    """For people."""

    centre: str = ""
    name: str = ""
    address: str = ""
    state: str = "not enrolled"
    generation: int = 0
    number: int = 0
    revision: int = 0
    error: str = ""
    detached: str = ""


class Agent:
    """See the module."""

    def __init__(self, directory: Path, enforcer: Enforcer, version: str) -> None:
        """Brings into force what was accepted last."""
        self._directory, self._enforcer, self._version = directory, enforcer, version
        self._boot = uuid4().hex
        self._stop = threading.Event()
        self._lock = threading.RLock()
        self._receiver: Receiver | None = None
        self._member: Membership | None = None
        self._out: queue.Queue[link_pb2.LinkUp | None] = queue.Queue(1000)
        self._call: Any = None
        self._state, self._error = "not enrolled", ""
        self._ping = 0.0
        self._read_at = 0.0
        self._digests = b"", b""
        self._thread: threading.Thread | None = None
        self._load()

    def start(self) -> None:
        """Dial."""
        self._thread = threading.Thread(target=self._run, name="link", daemon=True)
        self._thread.start()

    @property
    def status(self) -> LinkStatus:
        """How it is."""
        with self._lock:
            if self._member is None or self._receiver is None:
                return LinkStatus(error=self._error)
            held = self._receiver.held
            return LinkStatus(
                self._member.centre, self._member.name, self._member.address,
                "detached" if held.detached else self._state, held.generation, held.number,
                held.slice.revision if held.slice is not None else 0, self._error, held.detached,
            )  # fmt: skip

    # -- what was accepted

    @property
    def _actor(self) -> Actor:
        centre = self._member.centre if self._member is not None else ""
        return Actor(f"centre {centre}", "signed statement")

    def _load(self) -> bool:
        """Whom it obeys, and what is to be in force. Whether it is enrolled."""
        member = enrol.enrolled(self._directory)
        if member is None:
            return False
        enrol.mend(self._directory)
        held = Held(centre=member.centre, appliance=member.name, key=bytes.fromhex(member.statement_key))
        path = self._directory / HELD
        if path.exists():
            try:
                held = Held.from_message(statement_pb2.HeldState.FromString(path.read_bytes()))
            except (ValueError, DecodeError) as error:
                self._error = f"{path} cannot be read: {error}"
                log.error(
                    "what the centre said last is lost: what is on disk here stays in force",
                    reason=self._error,
                )
        with self._lock:
            self._member = member
            self._receiver = Receiver(held, self._impose, self._keep)
        if held.slice is not None and not held.detached:
            self._enforcer.obey(member.centre)
            try:
                self._enforcer.impose(replace(held, slice=None), held, self._actor)
                log.info("in force as the centre said last", centre=member.centre, number=held.number)
            except FlowError as error:
                self._error = error.reason
                log.error("what the centre said last cannot be brought into force", reason=error.reason)
        return True

    def _impose(self, before: Held, after: Held) -> None:
        assert self._member is not None  # a receiver comes with it  # noqa: S101
        if after.slice is not None:
            self._enforcer.obey(self._member.centre)
        try:
            self._enforcer.impose(before, after, self._actor)
        except FlowError:
            if before.slice is None:
                self._enforcer.obey("")
            raise
        self._read_at = 0.0

    def _keep(self, held: Held) -> None:
        replace_file(self._directory / HELD, held.to_message().SerializeToString(), 0o600)

    def detach(self, actor: Actor, reason: str) -> None:
        """Break the glass: the appliance is its own master. The centre is told as soon as it answers."""
        if not reason.strip():
            raise InvalidValue("reason: say why; it goes into the audit log, here and at the centre")
        with self._lock:
            receiver = self._receiver
            if receiver is None:
                raise BadState("this appliance obeys no centre")
            if receiver.held.detached:
                raise BadState(f"it is detached already: {receiver.held.detached}")
            held = replace(receiver.held, detached=f"{reason} (by {actor.name})")
            self._keep(held)
            receiver.held = held
            self._enforcer.let_go(actor, reason)
        self._hang_up()

    # -- the link

    def _run(self) -> None:
        wait = BACKOFF[0]
        while not self._stop.is_set():
            if self._receiver is None and not self._load():
                self._stop.wait(LOOK_SECONDS)
                continue
            started = time.monotonic()
            try:
                self._connect()
                self._error = "the centre closed the link"
            except grpc.RpcError as error:
                self._error = _words(error)
            except (FlowError, OSError, ValueError) as error:
                self._error = str(getattr(error, "reason", error))
            except Exception as error:
                log.exception("the link stumbled")
                self._error = f"internal error ({type(error).__name__})"
            self._state = "not connected"
            if self._stop.is_set():
                return
            wait = BACKOFF[0] if time.monotonic() - started > 5.0 else min(BACKOFF[1], wait * 2)
            log.info("no link to the centre: what is in force stays", reason=self._error)
            self._anew()
            self._stop.wait(random.uniform(wait / 2, wait))  # noqa: S311 - no secret

    def _anew(self) -> None:
        """Somebody may have enrolled it again."""
        member = enrol.enrolled(self._directory)
        if member is not None and member != self._member:
            self._load()

    def _connect(self) -> None:
        receiver, member = self._receiver, self._member
        assert receiver is not None and member is not None  # noqa: S101, PT018
        with grpc.secure_channel(
            member.address, enrol.credentials(self._directory), enrol.OPTIONS
        ) as channel:
            out: queue.Queue[link_pb2.LinkUp | None] = queue.Queue(1000)
            self._out = out
            stub = link_service_pb2_grpc.LinkServiceStub(channel)
            call = self._call = stub.Connect(self._messages(receiver, out))
            if self._stop.is_set():
                call.cancel()
            renew_at = self._renew_at()
            try:
                for response in call:
                    self._state, self._error = "connected", ""
                    self._take(receiver, response.down, out)
                    if time.time() > renew_at:
                        enrol.renew(self._directory, channel)
                        log.info("the certificate was renewed")
                        return
            finally:
                if not out.full():
                    out.put_nowait(None)
                call.cancel()

    def _renew_at(self) -> float:
        made = x509.load_pem_x509_certificate((self._directory / enrol.CERTIFICATE).read_bytes())
        begin, end = made.not_valid_before_utc.timestamp(), made.not_valid_after_utc.timestamp()
        return begin + (end - begin) * RENEW_SHARE

    def _messages(
        self, receiver: Receiver, out: queue.Queue[link_pb2.LinkUp | None]
    ) -> Iterator[link_service_pb2.ConnectRequest]:
        """What it says, for ever; gRPC's thread."""
        hello = receiver.held.hello(self._version, self._boot, self._enforcer.overlay())
        yield link_service_pb2.ConnectRequest(up=hello)
        yield link_service_pb2.ConnectRequest(up=self._heartbeat(receiver))
        told: list[object] | None = None
        while not self._stop.is_set():
            # What is contained here, when that is news; also when a workload of it has come here or left.
            contained, held, before = self._enforcer.local(), receiver.held.slice, told
            told = _essence(contained, held.own if held is not None else ())
            if told != before:
                local = link_pb2.LocalContainment(contained=[wire.contained_to(one) for one in contained])
                yield link_service_pb2.ConnectRequest(up=link_pb2.LinkUp(local=local))
            try:
                message = out.get(timeout=HEARTBEAT_SECONDS if told == before else 0.01)
            except queue.Empty:
                message = self._heartbeat(receiver)
            if message is None:
                return
            yield link_service_pb2.ConnectRequest(up=message)

    def _take(
        self, receiver: Receiver, down: link_pb2.LinkDown, out: queue.Queue[link_pb2.LinkUp | None]
    ) -> None:
        answer = None
        with self._lock:
            match down.WhichOneof("what"):
                case "part":
                    answer = receiver.part(down.part)
                case "containment":
                    answer = receiver.receive(down.containment)
                case "key":
                    answer = receiver.receive(down.key)
                case "ping":
                    self._ping = down.ping.time
                    answer = self._heartbeat(receiver)
        if answer is None:
            return
        if answer.WhichOneof("what") == "refused":
            log.warning("a statement is refused", reason=answer.refused.reason, number=answer.refused.number)
        out.put(answer)
        if answer.WhichOneof("what") == "applied":
            out.put(self._heartbeat(receiver))

    def _heartbeat(self, receiver: Receiver) -> link_pb2.LinkUp:
        enforced, fault = self._enforcer.health()
        now = time.monotonic()
        if enforced and now - self._read_at > READ_BACK_SECONDS:
            self._read_at = now
            self._digests = self._enforcer.read_back()
        ping, self._ping = self._ping, 0.0
        return link_pb2.LinkUp(
            heartbeat=link_pb2.Heartbeat(
                time=time.time(), expected_digest=self._digests[0], program_digest=self._digests[1], enforced=enforced,
                fault=fault, number=receiver.held.number, ping_time=ping,
            )
        )  # fmt: skip

    def report(self) -> None:
        """Something was contained or released here: tell the centre now, not with the next heartbeat."""
        receiver, out = self._receiver, self._out
        if receiver is not None and self._state == "connected" and not out.full():
            out.put_nowait(self._heartbeat(receiver))

    def _hang_up(self) -> None:
        call = self._call
        if call is not None:
            call.cancel()

    def close(self) -> None:
        """End the link; what is in force stays."""
        self._stop.set()
        self._hang_up()
        if self._thread is not None:
            self._thread.join(10.0)


def _essence(given: list[ContainedAt], own: Container[str]) -> list[object]:
    """All but what may not travel, and the time that is left: who contains anew has it begin anew (``since``)."""
    return [
        (what.workload, what.state, what.since, what.baseline, what.workload in own)
        for what in (one.contained for one in given)
    ]


def _words(error: grpc.RpcError) -> str:
    code: Callable[[], grpc.StatusCode] = getattr(error, "code", lambda: grpc.StatusCode.UNKNOWN)
    details: Callable[[], str] = getattr(error, "details", lambda: str(error))
    return f"{details() or code().name}"
