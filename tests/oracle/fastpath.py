# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""A fast path on ring ports that holds a segmentation program."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from appliance.flow import Dpu, Port
from appliance.flow.results import Outcome, Trace
from appliance.policy.program import Program
from appliance.policy.reconciler import Reconciler
from tests.oracle.factories import PORTS


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

    def ask(self, port: str, frame: bytes) -> tuple[Outcome, int, Trace]:
        """Outcome of a frame, and the tag of the last entry with one; nothing is changed by it."""
        trace = self.dpu.trace(port, frame)
        tags = [hop.tag for hop in trace.hops if hop.tag]
        return trace.outcomes[0], tags[-1] if tags else 0, trace


@contextmanager
def segmented() -> Iterator[Segmented]:
    """A private fast path with an uplink and three representors."""
    with Dpu.launch(ports=len(PORTS), mode="switch") as dpu:
        ports = [dpu.port_start(name, number) for name, number in PORTS.items()]
        dpu.receive(software=True, wire=True)
        yield Segmented(dpu, ports[0])
