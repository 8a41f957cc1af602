# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Random programs on the real thing: appliance.flow, libdoca_flow, a fast path with ring ports; compared
with the reference.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter as Multiset
from collections.abc import Sequence
from dataclasses import dataclass

from appliance.errors import FlowError
from appliance.flow import Dpu, Entry, Pipe, Port
from appliance.flow.results import Outcome, Packet, PacketKind, PortStats, Verdict
from appliance.flow.types import Counter, CounterConfig, Mode, ResourceType, SharedResourceType
from tests.differential.reference import Reference, Result
from tests.differential.shapes import SHARED_DECAPS, SHARED_ENCAPS
from tests.differential.strategies import Program, load

SECONDS = 20.0

Seen = tuple[str, str, int, str, bytes, int]
"""Verdict, port name, queue, drop reason, frame, pkt_meta."""


@dataclass(slots=True)
class Loaded:
    """A program in both."""

    reference: Reference
    pipes: dict[str, Pipe]
    entries: list[Entry]
    names: dict[int, str]
    shared_before: dict[int, Counter]


class Difference(AssertionError):  # noqa: N818 - what it is, not a fault
    """The fast path and the reference disagree."""


class Stack:
    """A fast path for many programs, one after the other."""

    def __init__(self, mode: Mode, cache: int) -> None:
        """``cache``: recorded walks that the fast path has room for."""
        self.mode = mode
        self.dpu = Dpu.launch(ports=2 if mode == "vnf" else 3, mode=mode, options={"cache": cache})
        self.dpu.receive(software=True, wire=True)
        for number in range(2):
            self.dpu.shared_set(SharedResourceType.COUNTER, number, CounterConfig())
        for number, encap in enumerate(SHARED_ENCAPS):
            self.dpu.shared_set(SharedResourceType.ENCAP, number, encap)
        for number, decap in enumerate(SHARED_DECAPS):
            self.dpu.shared_set(SharedResourceType.DECAP, number, decap)
        for kind in (SharedResourceType.COUNTER, SharedResourceType.ENCAP, SharedResourceType.DECAP):
            self.dpu.shared_bind(kind, range(2))

    def close(self) -> None:
        """End the fast path."""
        self.dpu.close()

    def run(self, program: Program) -> None:
        """Load a program, send its packets, compare everything."""
        ports: list[Port] = []
        try:
            loaded = self._load(program, ports)
            before = {name: self.dpu.port_stats(name) for name in loaded.names.values()}
            self._packets(program, loaded)
            if program.changes or program.misses:
                self._change(program, loaded)
                self._packets(program, loaded)
            self._nothing_else(program, loaded, before)
            self._counters(program, loaded)
        finally:
            for started in reversed(ports):
                started.stop()
            self.dpu.packets()

    def _load(self, program: Program, ports: list[Port]) -> Loaded:
        infos = self.dpu.port_list()
        for plan, info in zip(program.ports, infos, strict=True):
            ports.append(self.dpu.port_start(info.name, plan.port_id))
            ports[-1].set_default_miss(plan.miss)
        if program.mode == "vnf":
            ports[0].pair(ports[1])
        shared = {n: self.dpu.shared_query(SharedResourceType.COUNTER, n) for n in range(2)}
        pipes: dict[str, Pipe] = {}
        for owner, spec in program.pipes:
            try:
                pipes[spec.name] = self.dpu.port(owner).pipe_create(spec)
            except FlowError as error:
                raise Difference(f"pipe refused: {error}\n{spec}") from error
        entries = []
        for name, entry in program.entries:
            try:
                entries.append(pipes[name].add(entry))
            except FlowError as error:
                raise Difference(f"entry refused: {error}\n{pipes[name].spec}\n{entry}") from error
        names = {port.id: port.name for port in ports}
        return Loaded(load(program), pipes, entries, names, shared)

    def _change(self, program: Program, loaded: Loaded) -> None:
        with self.dpu.transaction() if program.at_once else contextlib.nullcontext():
            for number, spec in program.changes:
                entry = loaded.entries[number - 1]
                if spec is None:
                    entry.remove()
                    loaded.reference.entry_remove(number)
                else:
                    entry.update(spec)
                    loaded.reference.entry_update(number, spec)
            for name, fwd in program.misses:
                loaded.pipes[name].update_miss(fwd)
                loaded.reference.update_miss(name, fwd)

    def _packets(self, program: Program, loaded: Loaded) -> None:
        """Each of them twice: the second one may take a recorded walk."""
        for number, (port, frame, pkt_meta) in enumerate(program.packets * 2):
            self._packet(loaded, number, port, frame, pkt_meta)

    def _packet(self, loaded: Loaded, number: int, port: int, frame: bytes, pkt_meta: int) -> None:
        wanted = sorted(
            _of_result(result, loaded.names) for result in loaded.reference.process(port, frame, pkt_meta)
        )
        trace = self.dpu.trace(port, frame, pkt_meta)
        traced = sorted(_of_outcome(outcome) for outcome in trace.outcomes)
        hops = "\n".join(f"  {hop}" for hop in trace.hops)
        about = f"packet {number} on port {port}, pkt_meta {pkt_meta}: {frame.hex()}\n{hops}"
        if traced != wanted:
            raise Difference(f"trace: {_shown(traced)}\nreference: {_shown(wanted)}\n{about}")
        reasons = Multiset(seen[3] for seen in wanted if seen[0] == "drop")
        name = loaded.names[port]
        drops = self.dpu.port_stats(name).drops
        self.dpu.inject(port, frame, pkt_meta)
        got = self._collect(len(wanted) - reasons.total())
        delivered = sorted(_of_packet(packet) for packet in got)
        # A frame on the wire shows no pkt_meta.
        expected = sorted(
            (*seen[:5], 0) if seen[0] == "port" else seen for seen in wanted if seen[0] != "drop"
        )
        if delivered != expected:
            raise Difference(f"delivered: {_shown(delivered)}\nreference: {_shown(expected)}\n{about}")
        end = time.monotonic() + SECONDS
        while (counted := _grown(drops, self.dpu.port_stats(name).drops)) != reasons:
            if time.monotonic() > end or (counted - reasons):
                raise Difference(f"drops: {dict(counted)}\nreference: {dict(reasons)}\n{about}")
            time.sleep(0.0002)

    def _collect(self, number: int) -> list[Packet]:
        got: list[Packet] = []
        end = time.monotonic() + SECONDS
        while len(got) < number and time.monotonic() < end:
            got += self.dpu.packets(timeout=0.2)
        return got

    def _nothing_else(self, program: Program, loaded: Loaded, before: dict[str, PortStats]) -> None:
        surplus = self.dpu.packets()
        if surplus:
            raise Difference(f"packets that nobody expected: {surplus}")
        rounds = 4 if program.changes or program.misses else 2
        injected = Multiset(loaded.names[port] for port, _, _ in program.packets * rounds)
        for name, was in before.items():
            now = self.dpu.port_stats(name)
            taken = (
                now.injected.total_pkts
                + now.received.total_pkts
                - was.injected.total_pkts
                - was.received.total_pkts
            )
            if taken != injected[name]:
                raise Difference(f"port {name} took {taken} packets of {injected[name]}")

    def _counters(self, program: Program, loaded: Loaded) -> None:
        for number, entry in enumerate(loaded.entries, 1):
            if not entry.alive:
                continue
            monitor = entry.spec.monitor or entry.pipe.spec.monitor
            if monitor is not None and monitor.counter_type is ResourceType.SHARED:
                continue  # its query gives the total of all who share it
            ours, theirs = loaded.reference.counter(number), entry.query()
            if ours != theirs:
                raise Difference(
                    f"entry {number} of {entry.pipe.name} counted {theirs}, reference {ours}\n{entry.spec}"
                )
        for name, pipe in loaded.pipes.items():
            if not pipe.spec.miss_counter:
                continue
            ours, theirs = loaded.reference.pipes[name].misses, pipe.query_miss()
            if ours != theirs:
                raise Difference(f"pipe {name}: {theirs} misses, reference {ours}")
        for number, was in loaded.shared_before.items():
            now = self.dpu.shared_query(SharedResourceType.COUNTER, number)
            theirs = Counter(now.total_pkts - was.total_pkts, now.total_bytes - was.total_bytes)
            ours = loaded.reference.shared_counters.get(number, Counter())
            if ours != theirs:
                raise Difference(f"shared counter {number}: {theirs}, reference {ours}")


def _drop(reason: str, frame: bytes) -> Seen:
    # What an action that failed has left of a frame is nobody's business.
    return "drop", "", 0, reason, b"" if reason == "action_failed" else frame, 0


def _of_result(result: Result, names: dict[int, str]) -> Seen:
    if result.verdict is Verdict.DROP:
        return _drop(result.reason, result.frame)
    return result.verdict.value, names[result.port], result.queue, "", result.frame, result.pkt_meta


def _of_outcome(outcome: Outcome) -> Seen:
    if outcome.verdict is Verdict.DROP:
        return _drop(outcome.reason, outcome.frame)
    queue = outcome.queue if outcome.verdict is Verdict.RSS else 0
    return outcome.verdict.value, outcome.port, queue, outcome.reason, outcome.frame, outcome.pkt_meta


def _of_packet(packet: Packet) -> Seen:
    verdict = {PacketKind.WIRE: "port", PacketKind.RSS: "rss", PacketKind.KERNEL: "kernel"}[packet.kind]
    queue = packet.queue if packet.kind is PacketKind.RSS else 0
    return verdict, packet.port, queue, "", packet.frame, 0 if verdict == "port" else packet.pkt_meta


def _grown(before: object, now: object) -> Multiset[str]:
    return Multiset(dict(now)) - Multiset(dict(before))  # type: ignore[call-overload]


def _shown(seen: Sequence[Seen]) -> str:
    return "; ".join(f"{v} {p or r} queue {q} meta {m} {f.hex()}" for v, p, q, r, f, m in seen)
