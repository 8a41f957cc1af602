# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Two appliances with a tunnel between them, each on a fast path of its own, and what goes between them by hand."""

from __future__ import annotations

import atexit
import multiprocessing
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from ipaddress import ip_address
from typing import Any

from appliance.policy.compiler import compile as compile_policy
from appliance.policy.model import (
    Band,
    Interface,
    Inventory,
    Network,
    Overlay,
    PolicySet,
    Rule,
    Vtep,
    Workload,
    vtep_mac,
)
from appliance.policy.selector import parse_selector
from tests.differential.frames import ip4, ip6, udp
from tests.oracle import packets as pc
from tests.oracle.factories import PORTS
from tests.oracle.fastpath import SECONDS, Segmented, segmented

VTEPS = {"east": "192.0.2.1", "west": "192.0.2.2"}
VTEPS6 = {"east": "fd00:e::1", "west": "fd00:1::1"}
"""Over IPv6, from two networks with a router in between."""
ROUTER = "02:00:00:00:00:fe"
VNI = 5001
NETWORKS = (
    Network(
        name="red",
        vni=VNI,
        prefixes=("10.0.0.0/24", "10.0.1.0/24", "fd00::/64"),
        gateways=("10.0.0.1", "10.0.1.1"),
    ),
)
PLACES = {
    "web": ("east", "pf0vf0", "02:00:00:00:00:01", ("10.0.0.10", "fd00::10")),
    "agent": ("east", "pf0vf1", "02:00:00:00:00:02", ("10.0.0.11",)),
    "db": ("west", "pf0vf0", "02:00:00:00:00:03", ("10.0.0.20", "fd00::20")),
    "far": ("west", "pf0vf1", "02:00:00:00:00:04", ("10.0.1.20",)),
}
POLICY = PolicySet(
    rules=(
        Rule(
            name="web-db",
            band=Band.ALLOW,
            source=parse_selector("app=web"),
            target=parse_selector("app in (db, far, agent)"),
            services=("tcp/443", "udp/53", "icmp", "icmp6"),
        ),
        Rule(
            name="db-all",
            band=Band.ALLOW,
            source=parse_selector("app=db"),
            target=parse_selector("app in (web, far)"),
            services=("tcp/443",),
        ),
        Rule(
            name="far-db",
            band=Band.ALLOW,
            source=parse_selector("app=far"),
            target=parse_selector("app=db"),
            services=("tcp/443",),
        ),
    )
)


def inventory(side: str, vteps: Mapping[str, str] = VTEPS) -> Inventory:
    """The same fleet as one of the two sees it."""
    workloads = tuple(
        Workload(
            name=name,
            labels={"app": name},
            interfaces=(
                Interface(
                    network="red",
                    port=port,
                    mac=mac,
                    addresses=addresses,
                    appliance="" if where == side else where,
                ),
            ),
        )
        for name, (where, port, mac, addresses) in PLACES.items()
    )
    overlay = Overlay(
        port="p0",
        address=vteps[side],
        peers={name: Vtep(address=vtep) for name, vtep in vteps.items() if name != side},
        next_hop_mac=ROUTER if vteps is VTEPS6 else "",
    )
    return Inventory(networks=NETWORKS, workloads=workloads, ports=PORTS, overlay=overlay)


_HERE: dict[str, Segmented] = {}


def _start(made: Inventory) -> None:
    stack = ExitStack()
    atexit.register(stack.close)
    _HERE["side"] = stack.enter_context(segmented())
    _load(made, POLICY)


def _load(made: Inventory, policy: PolicySet) -> None:
    _HERE["side"].load(compile_policy(policy, made))


def _ended() -> tuple[Counter[str], int, int]:
    """Packets that had an end (by kind or drop reason), those that came in, and those held."""
    stats = _HERE["side"].dpu.stats()
    ends: Counter[str] = Counter()
    for port in stats.ports.values():
        ends.update({"sent": port.sent.total_pkts, "software": port.software.total_pkts})
        ends.update(port.drops)
    return ends, stats.generated, stats.held


def _send(port: str, frames: Sequence[bytes]) -> tuple[list[tuple[str, bytes]], dict[str, int]]:
    """Out of which port comes what, and the drops by reason, when frames come in."""
    dpu = _HERE["side"].dpu
    before, made, _ = _ended()
    for frame in frames:
        dpu.inject(port, frame)
    while True:
        ends, generated, held = _ended()
        new = ends - before
        if new.total() == len(frames) + generated - made and not held:
            break
        time.sleep(0.001)
    out: list[tuple[str, bytes]] = []
    while len(out) < new["sent"] + new["software"]:
        out += [(packet.port, packet.frame) for packet in dpu.packets(0.1)]
    return out, {name: n for name, n in new.items() if name not in ("sent", "software")}


class Side:
    """An appliance in a process of its own: a process has one session."""

    def __init__(self, made: Inventory, pool: ProcessPoolExecutor) -> None:
        self._pool = pool
        self._do(_start, made)

    def _do(self, call: Callable[..., Any], *args: Any) -> Any:
        return self._pool.submit(call, *args).result(SECONDS)

    def send(self, port: str, frame: bytes) -> tuple[list[tuple[str, bytes]], dict[str, int]]:
        """What comes out, and what is dropped why."""
        return self.send_all(port, [frame])

    def send_all(self, port: str, frames: Sequence[bytes]) -> tuple[list[tuple[str, bytes]], dict[str, int]]:
        """The same of several, once all have an end."""
        found: tuple[list[tuple[str, bytes]], dict[str, int]] = self._do(_send, port, frames)
        return found

    def load(self, made: Inventory, policy: PolicySet = POLICY) -> None:
        """Another inventory is in force."""
        self._do(_load, made, policy)

    def passes(self, port: str, frame: bytes) -> tuple[str, bytes]:
        """It comes out of one port, and nothing else does."""
        out, drops = self.send(port, frame)
        assert (len(out), drops) == (1, {}), out
        return out[0]

    def drops(self, port: str, frame: bytes) -> str:
        """It is dropped; why."""
        out, drops = self.send(port, frame)
        assert (out, sum(drops.values())) == ([], 1), drops
        return next(iter(drops))


@contextmanager
def sides(vteps: Mapping[str, str] = VTEPS) -> Iterator[dict[str, Side]]:
    """The two of them."""
    with ExitStack() as stack:
        spawn = multiprocessing.get_context("spawn")
        yield {
            name: Side(inventory(name, vteps), stack.enter_context(ProcessPoolExecutor(1, mp_context=spawn)))
            for name in vteps
        }


def tunnelled(frame: bytes, source: str, target: str, vni: int = VNI, *, ecn: int = 0) -> bytes:
    """A frame as a VTEP sends it: over IPv6 by way of the router, without a UDP checksum."""
    vxlan = bytes([8, 0, 0, 0]) + vni.to_bytes(3, "big") + b"\0"
    segment = udp(49152, 4789, vxlan + frame)
    if ":" in source:
        segment = segment[:6] + b"\0\0" + segment[8:]
        packet = ip6(int(ip_address(source)), int(ip_address(target)), 17, segment, traffic_class=ecn)
        return pc.ethernet(vtep_mac(target), ROUTER, 0x86DD, packet)
    packet = ip4(int(ip_address(source)), int(ip_address(target)), 17, segment, dscp=ecn)
    return pc.ethernet(vtep_mac(target), vtep_mac(source), 0x0800, packet)


def answered(dst_mac: str, src_mac: str, source: str, target: str, port: int = 40000) -> bytes:
    """The second segment of the handshake that ``packets.question`` begins on port 443."""
    head = (
        (443).to_bytes(2, "big") + port.to_bytes(2, "big") + (9).to_bytes(4, "big") + (2).to_bytes(4, "big")
    )
    body = head + bytes([0x50, 0x12]) + b"\x20\0\0\0\0\0"
    kind = 0x0800 if "." in source else 0x86DD
    return pc.ethernet(dst_mac, src_mac, kind, pc.datagram(source, target, 6, body))


def inside(frame: bytes) -> bytes:
    """What a frame between VTEPs carries: behind Ethernet, IP, UDP and VXLAN."""
    udp_at = 34 if frame[12:14] == b"\x08\x00" else 54
    assert frame[udp_at + 2 : udp_at + 4] == (4789).to_bytes(2, "big")
    return frame[udp_at + 16 :]
