# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""One reader of the session's packet ring, any number of subscribers.

The ring belongs to the session and is for one thread: the hub's pump. It asks the fast path for the union of what the
subscribers want, and hands each its share through a bounded queue. A slow subscriber loses packets, and is told how
many; it holds up nobody.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import structlog

from appliance.errors import FlowError
from appliance.flow import Dpu
from appliance.flow.results import Packet, PacketKind
from appliance.rpc.node import Node

log = structlog.get_logger(__name__)

QUEUED: Final = 8192
POLL_SECONDS: Final = 0.1
CAPTURES: Final = {
    PacketKind.CAPTURE_RX: "rx",
    PacketKind.CAPTURE_TX: "tx",
    PacketKind.CAPTURE_DROP: "drop",
}


@dataclass(frozen=True, slots=True)
class Wish:
    """What a subscriber wants; empty sets mean all."""

    kinds: frozenset[PacketKind]
    ports: frozenset[str] = frozenset()
    reasons: frozenset[str] = frozenset()
    snap: int = 0

    def wants(self, packet: Packet) -> bool:
        """Whether a packet is for this subscriber."""
        if packet.kind not in self.kinds or (self.ports and packet.port not in self.ports):
            return False
        return packet.kind is not PacketKind.CAPTURE_DROP or not self.reasons or packet.reason in self.reasons


@dataclass(slots=True, eq=False)
class Subscriber:
    """One stream: packets wait in ``queue``; ``lost`` are those that found it full."""

    wish: Wish
    queue: queue.Queue[Packet] = field(default_factory=lambda: queue.Queue(QUEUED))
    lost: int = 0

    def take(self, seconds: float, most: int = 256) -> list[Packet]:
        """Packets that have come; waits for the first."""
        packets = []
        try:
            packets.append(self.queue.get(timeout=seconds))
            while len(packets) < most:
                packets.append(self.queue.get_nowait())
        except queue.Empty:
            pass
        return packets


class PacketHub:
    """See the module."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._subscribers: list[Subscriber] = []
        self._changed = threading.Condition()
        self._stopped = False
        self._ring_lost = 0
        self._thread = threading.Thread(target=self._pump, name="packets", daemon=True)
        self._thread.start()
        node.on_up.append(self._ask)

    def close(self) -> None:
        """End the pump."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        self._thread.join()

    @property
    def lost(self) -> int:
        """Packets that did not fit the session's ring."""
        return self._ring_lost

    @contextmanager
    def subscribe(self, wish: Wish, seconds: float | None = None) -> Iterator[Subscriber]:
        """A subscriber for the length of a block; inside, packets are seen."""
        subscriber = Subscriber(wish)
        with self._node.use(seconds) as dpu:
            with self._changed:
                self._subscribers.append(subscriber)
                self._changed.notify_all()
            try:
                self._ask(dpu)
            except BaseException:
                with self._changed:
                    self._subscribers.remove(subscriber)
                raise
        try:
            yield subscriber
        finally:
            with self._changed:
                self._subscribers.remove(subscriber)
            try:
                with self._node.use(5.0) as dpu:
                    self._ask(dpu)
            except FlowError as error:
                log.debug("packets no longer wanted, and nobody to tell", reason=error.reason)

    def _ask(self, dpu: Dpu) -> None:
        """Tell the fast path what all subscribers together want."""
        with self._changed:
            wishes = [subscriber.wish for subscriber in self._subscribers]
        kinds = frozenset[PacketKind]().union(*(wish.kinds for wish in wishes))
        dpu.receive(software=bool(kinds & {PacketKind.RSS, PacketKind.KERNEL}), wire=PacketKind.WIRE in kinds)
        captures = [wish for wish in wishes if wish.kinds & CAPTURES.keys()]
        if not captures:
            dpu.capture_stop()
            return
        ports = {port for wish in captures for port in wish.ports or {""}}
        everything = any(not wish.reasons for wish in captures if PacketKind.CAPTURE_DROP in wish.kinds)
        reasons = (
            frozenset[str]() if everything else frozenset[str]().union(*(wish.reasons for wish in captures))
        )
        snap = 0 if any(not wish.snap for wish in captures) else max(wish.snap for wish in captures)
        dpu.capture(
            {CAPTURES[kind] for kind in kinds & CAPTURES.keys()},
            port=next(iter(ports)) if len(ports) == 1 and "" not in ports else None,
            snap=snap,
            reasons=sorted(reasons),
        )

    def _pump(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._stopped or self._subscribers)
                if self._stopped:
                    return
            dpu = self._node.dpu
            try:
                packets = dpu.packets(POLL_SECONDS) if dpu is not None else []
                if dpu is not None:
                    self._ring_lost = dpu.packets_lost
            except FlowError:
                packets = []
            if dpu is None or (not packets and not dpu.alive):
                threading.Event().wait(POLL_SECONDS)
                continue
            with self._changed:
                subscribers = list(self._subscribers)
            for packet in packets:
                for subscriber in subscribers:
                    if subscriber.wish.wants(packet):
                        try:
                            subscriber.queue.put_nowait(packet)
                        except queue.Full:
                            subscriber.lost += 1
