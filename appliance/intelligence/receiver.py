# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""What an appliance makes of statements: it checks them, has them brought into force, keeps them, and answers.

A statement is refused whole, with a reason. What is accepted is in force and on disk before it is acknowledged, so that
nothing older is ever taken again: neither by this process nor by the next. Any appliance uses it, simulated ones too.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from google.protobuf.message import DecodeError

from appliance.errors import FlowError
from appliance.intelligence import wire
from appliance.intelligence.signing import RefusedStatement, verified
from appliance.intelligence.slices import NO_CONTAINMENT, FleetContainment, Slice, patched
from appliance.intelligence.v1 import link_pb2, statement_pb2
from appliance.policy.model import Overlay
from appliance.policy.overlay import own_vtep

Up = link_pb2.LinkUp


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What an appliance has accepted."""

    centre: str
    appliance: str
    key: bytes
    """Raw public key that statements must be signed with."""
    generation: int = 0
    number: int = 0
    slice: Slice | None = None
    containment: FleetContainment = NO_CONTAINMENT
    containment_generation: int = 0
    detached: str = ""
    """Why the glass was broken; empty: it was not."""

    def to_message(self) -> statement_pb2.HeldState:
        """For a file."""
        made = statement_pb2.HeldState(
            centre=self.centre, appliance=self.appliance, key=self.key, generation=self.generation, number=self.number,
            containment_generation=self.containment_generation, detached=self.detached,
            containment=wire.containment_to(self.containment),
        )  # fmt: skip
        if self.slice is not None:
            made.slice.CopyFrom(wire.slice_to(self.slice, NO_CONTAINMENT))
        return made

    @classmethod
    def from_message(cls, message: statement_pb2.HeldState) -> Held:
        """The inverse."""
        return cls(
            centre=message.centre, appliance=message.appliance, key=message.key, generation=message.generation,
            number=message.number, slice=wire.slice_from(message.slice)[0] if message.HasField("slice") else None,
            containment=wire.containment_from(message.containment),
            containment_generation=message.containment_generation, detached=message.detached,
        )  # fmt: skip

    def hello(self, version: str, boot: str, overlay: Overlay | None = None) -> Up:
        """The first message of a link."""
        vtep = own_vtep(overlay) if overlay is not None else None
        return Up(
            hello=link_pb2.Hello(
                version=version, generation=self.generation, number=self.number,
                digest=self.slice.digest if self.slice is not None else b"",
                containment_number=self.containment.number, detached=bool(self.detached),
                detach_reason=self.detached, boot_id=boot, statement_key=self.key,
                vtep=vtep.address if vtep is not None else "",
                vtep_mac=vtep.next_hop_mac if vtep is not None else "",
                uplink=overlay.port if overlay is not None else "",
            )
        )  # fmt: skip


class Receiver:
    """See the module. One thread."""

    def __init__(
        self,
        held: Held,
        impose: Callable[[Held, Held], None],
        keep: Callable[[Held], None],
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """``impose(before, after)`` brings into force, or raises and has changed nothing; ``keep`` writes to disk."""
        self.held = held
        self._impose, self._keep, self._monotonic = impose, keep, monotonic
        self._parts = bytearray()

    def part(self, message: link_pb2.StatementPart, limit: int = 64 << 20) -> Up | None:
        """A piece of a statement; the answer when it was the last."""
        self._parts += message.data
        if len(self._parts) > limit:
            self._parts.clear()
            return _refused(
                statement_pb2.Statement(), link_pb2.REFUSAL_KIND_MALFORMED, f"larger than {limit >> 20} MiB"
            )
        if not message.last:
            return None
        data = bytes(self._parts)
        self._parts.clear()
        try:
            return self.receive(statement_pb2.SignedStatement.FromString(data))
        except (ValueError, DecodeError):
            return _refused(
                statement_pb2.Statement(), link_pb2.REFUSAL_KIND_MALFORMED, "it is no signed statement"
            )

    def receive(self, message: statement_pb2.SignedStatement) -> Up:
        """The answer to a statement: applied, or refused."""
        started = self._monotonic()
        said = statement_pb2.Statement()
        try:
            said = verified(message, self.held.key)
            self._check(said)
            after = self._after(said)
            before = self.held
            self._impose(before, after)
            try:
                self._keep(after)
            except OSError as error:
                self._impose(after, before)
                raise RefusedStatement(
                    link_pb2.REFUSAL_KIND_INVALID, f"it cannot be kept on disk: {error.strerror}"
                ) from None
            self.held = after
        except RefusedStatement as error:
            return _refused(said, error.kind, error.reason)
        except (ValueError, DecodeError) as error:
            return _refused(said, link_pb2.REFUSAL_KIND_MALFORMED, str(error))
        except FlowError as error:
            return _refused(said, link_pb2.REFUSAL_KIND_INVALID, error.reason)
        digest = (
            self.held.containment.digest
            if said.kind == statement_pb2.STATEMENT_KIND_CONTAINMENT
            else self.held.slice.digest
            if self.held.slice is not None
            else b""
        )
        return Up(
            applied=link_pb2.Applied(
                kind=said.kind, generation=said.generation, number=said.number, digest=digest,
                seconds=self._monotonic() - started,
            )
        )  # fmt: skip

    def _check(self, said: statement_pb2.Statement) -> None:
        held = self.held
        if said.centre != held.centre:
            raise RefusedStatement(
                link_pb2.REFUSAL_KIND_NOT_FOR_US, f"it is from centre {said.centre!r}, not {held.centre!r}"
            )
        if said.appliance != held.appliance:
            raise RefusedStatement(
                link_pb2.REFUSAL_KIND_NOT_FOR_US,
                f"it is for appliance {said.appliance!r}, not {held.appliance!r}",
            )
        if held.detached:
            raise RefusedStatement(link_pb2.REFUSAL_KIND_DETACHED, f"detached: {held.detached}")
        if said.kind == statement_pb2.STATEMENT_KIND_CONTAINMENT:
            now = held.containment_generation, held.containment.number
        elif said.kind in (statement_pb2.STATEMENT_KIND_SNAPSHOT, statement_pb2.STATEMENT_KIND_DELTA):
            now = held.generation, held.number
        elif said.kind == statement_pb2.STATEMENT_KIND_KEY:
            now = held.generation, -1
        else:
            raise RefusedStatement(
                link_pb2.REFUSAL_KIND_MALFORMED, f"there is no statement of kind {said.kind}"
            )
        if (said.generation, said.number) <= now or said.generation < held.generation:
            raise RefusedStatement(
                link_pb2.REFUSAL_KIND_OLDER,
                f"generation {said.generation}, number {said.number}: {now[0]}, {now[1]} was accepted already",
            )
        if said.kind == statement_pb2.STATEMENT_KIND_DELTA:
            digest = held.slice.digest if held.slice is not None else b""
            if said.base_digest != digest:
                raise RefusedStatement(
                    link_pb2.REFUSAL_KIND_WRONG_BASE,
                    f"it changes {said.base_digest.hex()[:16]}, in force is {digest.hex()[:16] or 'nothing'}",
                )

    def _after(self, said: statement_pb2.Statement) -> Held:
        """What is to be in force."""
        held = self.held
        kind = said.kind
        if kind == statement_pb2.STATEMENT_KIND_KEY:
            key = statement_pb2.KeyChange.FromString(said.payload).public_key
            if len(key) != 32:
                raise RefusedStatement(link_pb2.REFUSAL_KIND_MALFORMED, "a key has 32 bytes")
            return replace(held, key=key)
        if kind == statement_pb2.STATEMENT_KIND_CONTAINMENT:
            contained = wire.containment_from(statement_pb2.ContainmentState.FromString(said.payload))
            if contained.number != said.number or contained.digest != said.result_digest:
                raise RefusedStatement(
                    link_pb2.REFUSAL_KIND_WRONG_RESULT, "the containment is not the one that it names"
                )
            return replace(held, containment=contained, containment_generation=said.generation)
        if kind == statement_pb2.STATEMENT_KIND_SNAPSHOT:
            made, contained = wire.slice_from(statement_pb2.Slice.FromString(said.payload))
        else:
            change, contained = wire.delta_from(
                statement_pb2.SliceDelta.FromString(said.payload), said.base_digest, said.result_digest
            )
            assert held.slice is not None  # _check has compared digests  # noqa: S101
            made = patched(held.slice, change)
        if made.digest != said.result_digest:
            raise RefusedStatement(
                link_pb2.REFUSAL_KIND_WRONG_RESULT,
                f"the result is {made.digest.hex()[:16]}, not {said.result_digest.hex()[:16]}",
            )
        now = held.containment_generation, held.containment.number
        if (said.generation, contained.number) < now:
            raise RefusedStatement(
                link_pb2.REFUSAL_KIND_OLDER,
                f"its containment has number {contained.number}: {now[1]} was accepted already",
            )
        return replace(
            held, generation=said.generation, number=said.number, slice=made, containment=contained,
            containment_generation=said.generation,
        )  # fmt: skip


def _refused(said: statement_pb2.Statement, kind: link_pb2.RefusalKind, reason: str) -> Up:
    return Up(
        refused=link_pb2.RefusedStatement(
            kind=said.kind, generation=said.generation, number=said.number, refusal=kind, reason=reason
        )
    )
