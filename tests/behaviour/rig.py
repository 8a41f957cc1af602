# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""The bench on which a behaviour test sets up its pipelines, sends its frames and says what must come out.

Two rigs with one face: the stack (appliance.flow over libdoca_flow over a real fast path with ring ports) and the
reference interpreter of tests/differential. A test runs on both, so that its expectation is checked twice. What the
interpreter does not model (random, meters that run dry, updates of misses ...) it skips by saying so.

`expect` is about everything that happened since the last one: frames on every port and software queue, byte for byte,
drops by reason, and nothing else anywhere.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter as Multiset
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pytest

from appliance.flow.results import Verdict
from appliance.flow.types import (
    CHANGEABLE,
    Counter,
    Decap,
    DefaultMiss,
    Encap,
    EntrySpec,
    GreType,
    HeaderFormat,
    Ip4,
    L3Meta,
    L4Meta,
    ListNat64,
    Match,
    MeterConfig,
    Mode,
    Monitor,
    ParserMeta,
    PipeSpec,
    Tcp,
    Tun,
    TunType,
    Udp,
    VxlanType,
)
from tests.differential.hashing import pipe_hash
from tests.differential.reference import Reference

TCP4 = ParserMeta(outer_l3_type=L3Meta.IPV4, outer_l4_type=L4Meta.TCP)
UDP4 = ParserMeta(outer_l3_type=L3Meta.IPV4, outer_l4_type=L4Meta.UDP)
_ADDRESSES = Ip4(src_ip=CHANGEABLE, dst_ip=CHANGEABLE)
TUPLE_TCP = Match(
    parser_meta=TCP4, outer=HeaderFormat(ip4=_ADDRESSES, tcp=Tcp(src_port=CHANGEABLE, dst_port=CHANGEABLE))
)
"""A changeable TCP 5-tuple over IPv4, gated by what the parser says."""
TUPLE_UDP = Match(
    parser_meta=UDP4, outer=HeaderFormat(ip4=_ADDRESSES, udp=Udp(src_port=CHANGEABLE, dst_port=CHANGEABLE))
)


def tuple4(
    proto: Literal["tcp", "udp"],
    src: str = "1.2.3.4",
    dst: str = "8.8.8.8",
    sport: int = 1234,
    dport: int = 80,
) -> Match:
    """An entry's values for `TUPLE_TCP` or `TUPLE_UDP`."""
    if proto == "tcp":
        return Match(
            outer=HeaderFormat(ip4=Ip4(src_ip=src, dst_ip=dst), tcp=Tcp(src_port=sport, dst_port=dport))
        )
    return Match(outer=HeaderFormat(ip4=Ip4(src_ip=src, dst_ip=dst), udp=Udp(src_port=sport, dst_port=dport)))


def peer(port: int) -> int:
    """The other port of a pair."""
    return port ^ 1


@dataclass(frozen=True, slots=True)
class Out:
    """One frame that came out."""

    kind: Literal["wire", "rss", "kernel"]
    port: int
    frame: bytes
    queue: int = 0
    meta: int = 0


Frames = Mapping[int, Sequence[bytes]]


class Rig(ABC):
    """What tests use; see the module."""

    @abstractmethod
    def pipe(self, port: int, **spec: Any) -> Any:
        """Create a pipe on a port from the members of `PipeSpec`."""

    @abstractmethod
    def add(self, pipe: Any, **entry: Any) -> Any:
        """Add an entry from the members of `EntrySpec`; it is live on return."""

    @abstractmethod
    def update(self, entry: Any, **spec: Any) -> None:
        """Update an entry's actions, monitor and forward."""

    @abstractmethod
    def remove(self, entry: Any) -> None:
        """Remove an entry."""

    @abstractmethod
    def update_miss(self, pipe: Any, fwd: Any) -> None:
        """Exchange a pipe's miss."""

    @abstractmethod
    def send(self, port: int, *frames: bytes) -> None:
        """Frames that arrive at a port from outside."""

    @abstractmethod
    def settle(self) -> None:
        """Wait until everything that was sent has been judged."""

    @abstractmethod
    def count(self, entry: Any) -> tuple[int, int]:
        """Packets and bytes of an entry's counter."""

    @abstractmethod
    def miss_count(self, pipe: Any) -> tuple[int, int]:
        """Packets and bytes of a pipe's miss counter."""

    @abstractmethod
    def shared_counters(self, port: int, *ids: int) -> None:
        """Configure shared counters."""

    @abstractmethod
    def shared_count(self, port: int, counter: int) -> tuple[int, int]:
        """Packets and bytes of a shared counter."""

    @abstractmethod
    def shared_meter(self, port: int, meter: int, config: MeterConfig) -> None:
        """Configure a shared meter."""

    @abstractmethod
    def shared_encap(self, port: int, number: int, config: Encap) -> None:
        """Configure a shared encapsulation."""

    @abstractmethod
    def shared_decap(self, port: int, number: int, config: Decap) -> None:
        """Configure a shared decapsulation."""

    @abstractmethod
    def calc_hash(self, pipe: Any, match: Match) -> int:
        """The hash that a packet with these values gets in a hash pipe."""

    @abstractmethod
    def _collect(self) -> tuple[list[Out], dict[str, int]]:
        """Frames and drops by reason since the last call."""

    def requires(self, what: str) -> None:  # noqa: B027
        """Skip the test on a rig that does not model `what`."""

    def add_batch(self, pipe: Any, entries: Sequence[Mapping[str, Any]]) -> list[Any]:
        """Several entries in one batch."""
        return [self.add(pipe, **entry) for entry in entries]

    def port_counter(self, port: int, name: str) -> int:
        """A counter of a port, by the name it has in the stats segment; the tests use `sent`."""
        return sum(out.kind == "wire" and out.port == port for out in self._peek())

    @abstractmethod
    def _peek(self) -> list[Out]:
        """Frames since the last `expect`, which still gets them."""

    def expect(
        self,
        wire: Frames | None = None,
        rss: Frames | None = None,
        kernel: Frames | None = None,
        drops: Mapping[str, int] | None = None,
    ) -> list[Out]:
        """These frames came out, no others; these drops happened, no others. Returns what came out, in order."""
        self.settle()
        got, dropped = self._collect()
        wanted = {"wire": wire or {}, "rss": rss or {}, "kernel": kernel or {}}
        expected: Multiset[tuple[str, int, bytes]] = Multiset(
            (kind, port, bytes(frame))
            for kind, ports in wanted.items()
            for port, frames in ports.items()
            for frame in frames
        )
        seen: Multiset[tuple[str, int, bytes]] = Multiset((out.kind, out.port, out.frame) for out in got)
        missing, surplus = expected - seen, seen - expected
        assert not missing + surplus, _difference(missing, surplus, dropped)
        assert dropped == dict(drops or {}), f"drops {dropped}, expected {dict(drops or {})}"
        return got

    def expect_counts(
        self, wire: Mapping[int, int] | None = None, drops: Mapping[str, int] | None = None
    ) -> None:
        """So many frames on these ports, none elsewhere; these drops."""
        self.settle()
        got, dropped = self._collect()
        assert all(out.kind == "wire" for out in got)
        sent = Multiset(out.port for out in got)
        assert sent == Multiset(dict(wire or {})), f"frames by port {dict(sent)}, expected {wire}"
        assert dropped == {reason: n for reason, n in (drops or {}).items() if n}


def _difference(missing: Multiset[Any], surplus: Multiset[Any], dropped: Mapping[str, int]) -> str:
    lines = [f"drops: {dict(dropped)}"]
    for what, frames in (("missing", missing), ("not expected", surplus)):
        for (kind, port, frame), n in frames.items():
            lines.append(f"{what}: {n} x {kind} port {port} {len(frame)} bytes {frame[:160].hex()}")
    return "\n".join(lines)


class ReferenceRig(Rig):
    """The reference interpreter."""

    def __init__(self, ports: int = 2, mode: Mode = "vnf", queues: int = 1, **_: Any) -> None:
        self.dpu = Reference()
        for port in range(ports):
            self.dpu.port_start(port, 0 if mode == "switch" else port, DefaultMiss.RSS)
        self.out: list[Out] = []
        self.drops: Multiset[str] = Multiset()

    def requires(self, what: str) -> None:
        pytest.skip(f"the reference interpreter has no {what}")

    def pipe(self, port: int, **spec: Any) -> Any:
        made = PipeSpec(**spec | {"name": f"{spec['name']}@{port}"})
        for match in (made.match, made.match_mask or Match()):
            self._tunnel(match.tun)
            if match.parser_meta.random:
                self.requires("dice")
        for actions in made.actions:
            self._tunnel(actions.tun, actions.encap.tun if actions.encap else Tun())
        elements = [element for one in made.ordered_lists for element in one.elements]
        monitors = [made.monitor, *(element for element in elements if isinstance(element, Monitor))]
        if any(monitor is not None and monitor.meter is not None for monitor in monitors):
            self.requires("meters that run dry")
        if any(isinstance(element, ListNat64) for element in elements):
            self.requires("NAT64")
        self.dpu.pipe_create(port, made)
        return self.dpu.pipes[made.name].spec

    def _tunnel(self, *tunnels: Tun) -> None:
        known = (TunType.NONE, TunType.VXLAN, TunType.GRE, TunType.GENEVE)
        for tun in tunnels:
            if (
                tun.type not in known
                or tun.vxlan_type is not VxlanType.STANDARD
                or tun.gre_type is not GreType.STANDARD
            ):
                self.requires(f"{tun.type.name} of this kind")

    def add(self, pipe: Any, **entry: Any) -> Any:
        made = EntrySpec(**entry)
        if made.match.parser_meta.random:
            self.requires("dice")
        return self.dpu.entry_add(pipe.name, made)

    def update(self, entry: Any, **spec: Any) -> None:
        self.dpu.entry_update(entry, EntrySpec(**spec))

    def remove(self, entry: Any) -> None:
        self.dpu.entry_remove(entry)

    def update_miss(self, pipe: Any, fwd: Any) -> None:
        self.dpu.update_miss(pipe.name, fwd)

    def send(self, port: int, *frames: bytes) -> None:
        for frame in frames:
            try:
                results = self.dpu.process(port, frame)
            except NotImplementedError as error:
                self.requires(str(error))
            for result in results:
                if result.verdict is Verdict.DROP:
                    self.drops[result.reason] += 1
                    continue
                kinds: dict[Verdict, Literal["wire", "rss", "kernel"]] = {
                    Verdict.PORT: "wire",
                    Verdict.RSS: "rss",
                    Verdict.KERNEL: "kernel",
                }
                self.out.append(
                    Out(kinds[result.verdict], result.port, result.frame, result.queue, result.pkt_meta)
                )

    def settle(self) -> None:
        pass

    def count(self, entry: Any) -> tuple[int, int]:
        return _pair(self.dpu.counter(entry))

    def miss_count(self, pipe: Any) -> tuple[int, int]:
        return _pair(self.dpu.pipes[pipe.name].misses)

    def shared_counters(self, port: int, *ids: int) -> None:
        pass

    def shared_count(self, port: int, counter: int) -> tuple[int, int]:
        return _pair(self.dpu.shared_counters.get(counter, Counter()))

    def shared_meter(self, port: int, meter: int, config: MeterConfig) -> None:
        self.requires("meters that run dry")

    def shared_encap(self, port: int, number: int, config: Encap) -> None:
        self.dpu.shared_encaps[number] = config

    def shared_decap(self, port: int, number: int, config: Decap) -> None:
        self.dpu.shared_decaps[number] = config

    def calc_hash(self, pipe: Any, match: Match) -> int:
        mask = pipe.match_mask.flat()
        values = match.flat()
        return pipe_hash(
            {name: values.get(name, 0) & mask[name] for name in mask if not name.endswith("_type")}
        )

    def _collect(self) -> tuple[list[Out], dict[str, int]]:
        result = self.out, dict(self.drops)
        self.out, self.drops = [], Multiset()
        return result

    def _peek(self) -> list[Out]:
        return self.out


def _pair(counter: Counter) -> tuple[int, int]:
    return counter.total_pkts, counter.total_bytes


MakeRig = Callable[..., Rig]
