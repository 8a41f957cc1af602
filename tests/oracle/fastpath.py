# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""A fast path on ring ports that holds a segmentation program."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from appliance.flow import Dpu, Port
from appliance.flow.results import Outcome, Trace
from appliance.flow.types import FlowEvent
from appliance.policy.program import Program
from appliance.policy.reconciler import Reconciler
from tests.oracle.factories import PORTS

SECONDS: Final = 30.0
CACHES: Final = (8192, 8, 0)
"""Recorded walks that there is room for: the default, so few that it is full all the time, none."""


class Segmented:
    """Programs, one after the other, on the same pipes."""

    def __init__(self, dpu: Dpu, port: Port) -> None:
        self.dpu, self.port = dpu, port
        self.reconciler = Reconciler()
        self.reconciler.adopt(dpu, port)
        self.revision = 0
        self.held: Program | None = None

    def load(self, program: Program) -> None:
        """Make the fast path hold it."""
        if program is self.held:
            return
        self.held = program
        self.revision += 1
        self.reconciler.apply(self.dpu, program, self.revision, judge_all=True)

    def drain(self) -> None:
        """Forget records and packets of before."""
        self.dpu.flow_records(0.0)
        self.dpu.packets()

    def outcome(self, wanted: set[int]) -> tuple[dict[int, tuple[FlowEvent, int]], set[tuple[str, bytes]]]:
        """First records of connections by source port: event and tag; and what came out of which port by then."""
        found: dict[int, tuple[FlowEvent, int]] = {}
        end = time.monotonic() + SECONDS
        while wanted - found.keys() and time.monotonic() < end:
            records, lost = self.dpu.flow_records(0.1)
            assert not lost
            for record in records:
                event, port = FlowEvent(int(record["event"])), int(record["src_port"])
                if port in wanted and event in (FlowEvent.OPEN, FlowEvent.DENY):
                    found.setdefault(port, (event, int(record["tag"])))
        assert not wanted - found.keys(), "no record of some connections"
        # A record may be here before its packet is.
        let_through = sum(event is FlowEvent.OPEN for event, _ in found.values())
        came: set[tuple[str, bytes]] = set()
        while True:
            came |= {(packet.port, packet.frame) for packet in self.dpu.packets(0.1)}
            if len(came) >= let_through or time.monotonic() > end:
                return found, came

    def ask(self, port: str, frame: bytes) -> tuple[Outcome, int, Trace]:
        """Outcome of a frame, and the tag of the last entry with one; nothing is changed by it."""
        trace = self.dpu.trace(port, frame)
        tags = [hop.tag for hop in trace.hops if hop.tag]
        return trace.outcomes[0], tags[-1] if tags else 0, trace


@contextmanager
def segmented(cache: int = CACHES[0]) -> Iterator[Segmented]:
    """A private fast path with an uplink and three representors, and room for so many recorded walks."""
    with Dpu.launch(
        ports=len(PORTS), mode="switch", flow_ring_bytes=1 << 20, options={"cache": cache}
    ) as dpu:
        ports = [dpu.port_start(name, number) for name, number in PORTS.items()]
        dpu.receive(software=True, wire=True)
        yield Segmented(dpu, ports[0])
