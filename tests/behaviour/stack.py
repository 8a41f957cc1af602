# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""The rig of the real thing: appliance.flow over libdoca_flow over a fast path process with ring ports."""

from __future__ import annotations

from collections import Counter as Multiset
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from appliance.flow import Dpu, Entry, Pipe, Port, Reserves
from appliance.flow.results import Packet, PacketKind
from appliance.flow.types import (
    Counter,
    CounterConfig,
    Decap,
    Encap,
    EntryFlags,
    EntrySpec,
    EntryStatus,
    Match,
    MeterConfig,
    Mode,
    PipeSpec,
    SharedResourceType,
)
from tests.behaviour.rig import Out, Rig
from tests.support.fastpath import Fastpath, wait_for

Options = Mapping[str, object]
_KINDS: dict[PacketKind, Literal["wire", "rss", "kernel"]] = {
    PacketKind.WIRE: "wire",
    PacketKind.RSS: "rss",
    PacketKind.KERNEL: "kernel",
}


def port_table(ports: int, mode: str, uplinks: int = 1) -> dict[str, Options]:
    """Ring ports of the fast path's config: uplinks of one card, or in switch mode uplinks with representors each."""
    if mode != "switch":
        return {f"p{i}": {"backend": "net_ring", "pci": f"0000:03:00.{i}"} for i in range(ports)}
    table: dict[str, Options] = {}
    for card in range(uplinks):
        pci = f"0000:03:00.{card}"
        table[f"p{card}"] = {"backend": "net_ring", "pci": pci}
        for vf in range(ports // uplinks - 1):
            name = f"pf{card}vf{vf}"
            table[name] = {"backend": "net_ring", "pci": pci, "representor": name}
    return table


class StackRig(Rig):
    """A private fast path, this process attached to it; logical port ids count from 0 in the order of the ports."""

    def __init__(
        self,
        fastpath: Callable[..., Fastpath],
        ports: int = 2,
        mode: Mode = "vnf",
        queues: int = 1,
        reserves: Reserves | None = None,
        workers: int = 1,
        queue_depth: int = 128,
    ) -> None:
        table = port_table(ports, mode)
        self.fastpath = fastpath(table, {"huge": "no"})
        self.mode = mode
        self.queues = queues
        self.dpu = Dpu.attach(
            self.fastpath.directory,
            mode=mode,
            queues=queues,
            queue_depth=queue_depth,
            reserves=reserves or Reserves(counters=256, meters=16, shared_meters=16),
        )
        self.names = list(table)
        self.ports: list[Port] = []
        self.waiting: list[Out] = []
        self.sent = 0
        self.drops_before: Multiset[str] = Multiset()

    def start(self) -> None:
        """Start the ports; apart from the constructor, so that a failure here closes the Dpu."""
        self.ports = [self.dpu.port_start(name, number) for number, name in enumerate(self.names)]
        if self.mode == "vnf":
            for first, second in zip(self.ports[::2], self.ports[1::2], strict=False):
                first.pair(second)
        self.dpu.receive(software=True, wire=True)

    def close(self) -> None:
        """Detach; the fast path's own fixture checks and ends it."""
        self.dpu.close()

    def _on(self, port: int) -> Port:
        return self.ports[0 if self.mode == "switch" else port]

    def pipe(self, port: int, **spec: Any) -> Pipe:
        return self._on(port).pipe_create(PipeSpec(**spec))

    def add(self, pipe: Pipe, **entry: Any) -> Entry:
        return pipe.add(EntrySpec(**entry))

    def add_batch(self, pipe: Pipe, entries: Sequence[Mapping[str, Any]]) -> list[Entry]:
        made = []
        for i, entry in enumerate(entries, 1):
            flags = EntryFlags.WAIT_FOR_BATCH if i < len(entries) else EntryFlags.NO_WAIT
            made.append(pipe.add(EntrySpec(**entry), wait=False, flags=flags))
        wait_for("the batch", lambda: self._processed(pipe.port, made))
        return made

    @staticmethod
    def _processed(port: Port, entries: Sequence[Entry]) -> bool:
        port.process(0, 0.01)
        return all(entry.status is EntryStatus.SUCCESS for entry in entries)

    def update(self, entry: Entry, **spec: Any) -> None:
        entry.update(**spec)

    def remove(self, entry: Entry) -> None:
        entry.remove()

    def update_miss(self, pipe: Pipe, fwd: Any) -> None:
        pipe.update_miss(fwd)

    def send(self, port: int, *frames: bytes) -> None:
        self.dpu.inject(self.names[port], frames)
        self.sent += len(frames)

    def settle(self) -> None:
        wait_for("every packet to be accounted for", self._settled)

    def _settled(self) -> bool:
        self._drain()
        taken = sum(row["received"] + row["injected"] for row in self._counters())
        if taken < self.sent or self.fastpath.imbalance():
            return False
        # Looked at only now, when every packet has its end: before, what is sent meanwhile would not be in it.
        return sum(row["sent"] + row["software"] for row in self._counters()) == self._delivered

    def _counters(self) -> list[dict[str, int]]:
        assert self.fastpath.stats is not None
        return self.fastpath.stats.ports(len(self.names))

    _delivered = 0

    def _drain(self) -> None:
        for packet in self.dpu.packets():
            self._delivered += 1
            self.waiting.append(self._out(packet))

    def _out(self, packet: Packet) -> Out:
        kind = _KINDS[packet.kind]
        return Out(kind, self.names.index(packet.port), packet.frame, packet.queue, packet.pkt_meta)

    def count(self, entry: Entry) -> tuple[int, int]:
        return _pair(entry.query())

    def miss_count(self, pipe: Pipe) -> tuple[int, int]:
        return _pair(pipe.query_miss())

    def shared_counters(self, port: int, *ids: int) -> None:
        for number in ids:
            self.dpu.shared_set(SharedResourceType.COUNTER, number, CounterConfig())
        self.dpu.shared_bind(SharedResourceType.COUNTER, ids, self.ports[port])

    def shared_count(self, port: int, counter: int) -> tuple[int, int]:
        return _pair(self.dpu.shared_query(SharedResourceType.COUNTER, counter))

    def shared_meter(self, port: int, meter: int, config: MeterConfig) -> None:
        self._shared(SharedResourceType.METER, port, meter, config)

    def shared_encap(self, port: int, number: int, config: Encap) -> None:
        self._shared(SharedResourceType.ENCAP, port, number, config)

    def shared_decap(self, port: int, number: int, config: Decap) -> None:
        self._shared(SharedResourceType.DECAP, port, number, config)

    def _shared(self, kind: SharedResourceType, port: int, number: int, config: Any) -> None:
        self.dpu.shared_set(kind, number, config)
        self.dpu.shared_bind(kind, [number], self.ports[port])

    def calc_hash(self, pipe: Pipe, match: Match) -> int:
        return pipe.calc_hash(match)

    def _collect(self) -> tuple[list[Out], dict[str, int]]:
        total: Multiset[str] = Multiset()
        for row in self._counters():
            total.update(
                {name.removeprefix("drops."): n for name, n in row.items() if name.startswith("drops.")}
            )
        drops = total - self.drops_before
        self.drops_before = total
        got, self.waiting = self.waiting, []
        return got, dict(drops)

    def _peek(self) -> list[Out]:
        return self.waiting


def _pair(counter: Counter) -> tuple[int, int]:
    return counter.total_pkts, counter.total_bytes
