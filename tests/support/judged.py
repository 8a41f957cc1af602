# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Two firewalls between A and B with the same policy: the kernel's nftables, and a CT pipe. Which packets pass?

Policy: A may open TCP 80, UDP 53 and echo requests (and UDP 7777, the marker's); replies and related errors pass;
nothing else does. Packets are IP packets as bytes; each firewall puts its own Ethernet header in front.
"""

from __future__ import annotations

import contextlib
import os
import struct
import time
from collections.abc import Iterator, Sequence
from ipaddress import ip_address
from typing import Protocol

from appliance.flow import Dpu
from appliance.flow.results import PacketKind
from appliance.flow.types import CtConfig, FwdChangeable, FwdDrop, FwdPipe, FwdPort, Match, PipeSpec, PipeType
from appliance.run.frames import checksum
from tests.support import nft
from tests.support.netns import Netns

A4, B4, A6, B6 = "10.1.0.1", "10.2.0.1", "fd01::1", "fd02::1"
MACS = {"A": "02:00:00:00:01:01", "B": "02:00:00:00:02:01"}
TCP, UDP, ICMP, ICMP6, FRAGMENT = 6, 17, 1, 58, 44
FIN, SYN, RST, PSH, ACK, URG = 1, 2, 4, 8, 16, 32
MARKER = 7777


def ip(source: str, target: str, protocol: int, payload: bytes, ident: int = 1, fragment: int = 0) -> bytes:
    """An IPv4 or IPv6 packet; ``fragment`` is IPv4's flags and offset."""
    a, b = ip_address(source), ip_address(target)
    if a.version == 6:
        return struct.pack(">IHBB", 6 << 28, len(payload), protocol, 64) + a.packed + b.packed + payload
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(payload), ident, fragment, 64, protocol, 0)
    head += a.packed + b.packed
    return head[:10] + struct.pack(">H", checksum(head)) + head[12:] + payload


def summed(source: str, target: str, protocol: int, payload: bytes, at: int) -> bytes:
    """Transport bytes with the checksum at an offset filled in."""
    pseudo = (
        ip_address(source).packed + ip_address(target).packed + struct.pack(">HH", protocol, len(payload))
    )
    total = checksum((pseudo if protocol != ICMP else b"") + payload)
    return payload[:at] + struct.pack(">H", total) + payload[at + 2 :]


def tcp(
    source: str, target: str, sport: int, dport: int, flags: int, seq: int, ack: int = 0,
    data: bytes = b"", window: int = 8192, options: bytes = b"",
) -> bytes:  # fmt: skip
    """A TCP segment in its packet."""
    head = struct.pack(
        ">HHIIBBHHH",
        sport,
        dport,
        seq & 0xFFFFFFFF,
        ack & 0xFFFFFFFF,
        (20 + len(options)) << 2,
        flags,
        window,
        0,
        0,
    )
    return ip(source, target, TCP, summed(source, target, TCP, head + options + data, 16))


def udp_payload(source: str, target: str, sport: int, dport: int, data: bytes) -> bytes:
    """A UDP datagram without its packet."""
    head = struct.pack(">HHHH", sport, dport, 8 + len(data), 0)
    return summed(source, target, UDP, head + data, 6)


def udp(source: str, target: str, sport: int, dport: int, data: bytes = b"data") -> bytes:
    """A UDP datagram in its packet."""
    return ip(source, target, UDP, udp_payload(source, target, sport, dport, data))


def icmp(source: str, target: str, kind: int, code: int, rest: bytes, data: bytes) -> bytes:
    """An ICMP or ICMPv6 message in its packet; ``rest`` are the last four bytes of its header."""
    protocol = ICMP if ip_address(source).version == 4 else ICMP6
    body = bytes([kind, code, 0, 0]) + rest + data
    return ip(source, target, protocol, summed(source, target, protocol, body, 2))


def transport(packet: bytes) -> tuple[bytes, bytes]:
    """Addresses, and what is behind the IP header: these do not change on the way."""
    if packet[0] >> 4 == 6:
        return packet[8:40], packet[40 : 40 + int.from_bytes(packet[4:6], "big")]
    return packet[12:20], packet[20 : int.from_bytes(packet[2:4], "big")]


def extent(packet: bytes) -> tuple[int, int] | None:
    """From where to where a packet carries its datagram's payload."""
    if packet[0] >> 4 == 4:
        at = 8 * (int.from_bytes(packet[6:8], "big") & 0x1FFF)
        return at, at + len(transport(packet)[1])
    if packet[6] == FRAGMENT:
        at = int.from_bytes(packet[42:44], "big") & 0xFFF8
        return at, at + int.from_bytes(packet[4:6], "big") - 8
    return 0, int.from_bytes(packet[4:6], "big")


class Firewall(Protocol):
    """What is judged."""

    def send(self, side: str, packet: bytes) -> list[bytes]:
        """The packets that came out on the other side until a marker that was sent behind it came."""
        ...


class Kernel:
    """A namespace that forwards between two taps, with a stateful policy."""

    def __init__(self, namespace: Netns) -> None:
        self._markers = 0
        name = namespace.name

        def build() -> dict[str, int]:
            return {"A": nft.tap("side-a"), "B": nft.tap("side-b")}

        self.descriptors = nft.inside(name, build)
        for side, link, network in (("A", "side-a", "1"), ("B", "side-b", "2")):
            namespace.ip("link", "set", "dev", link, "addrgenmode", "none")
            namespace.address(link, f"10.{network}.0.254/24", f"fd0{network}::fe/64")
            for address in (f"10.{network}.0.1", f"fd0{network}::1"):
                namespace.ip("neigh", "add", address, "lladdr", MACS[side], "dev", link, "nud", "permanent")
        self._macs = {
            side: bytes.fromhex(namespace.ip("-br", "link", "show", link).split()[2].replace(":", ""))
            for side, link in (("A", "side-a"), ("B", "side-b"))
        }

        def policy() -> None:
            from_a = [*nft.from_interface("side-a"), *nft.in_state(nft.NEW)]
            nft.forward_policy(
                [
                    [*nft.in_state(nft.ESTABLISHED_OR_RELATED), *nft.accept()],
                    *(
                        [*from_a, *nft.of_protocol(protocol), *nft.with_header(at, value), *nft.accept()]
                        for protocol, at, value in (
                            (TCP, 2, b"\0\x50"), (UDP, 2, b"\0\x35"), (UDP, 2, struct.pack(">H", MARKER)),
                            (ICMP, 0, b"\x08"), (ICMP6, 0, b"\x80"),
                        )
                    ),
                ]
            )  # fmt: skip
            for path, value in (
                ("ipv4/ip_forward", "1"), ("ipv6/conf/all/forwarding", "1"), ("ipv4/conf/all/rp_filter", "0"),
                ("ipv4/conf/side-a/rp_filter", "0"), ("ipv4/conf/side-b/rp_filter", "0"),
                ("netfilter/nf_conntrack_tcp_loose", "0"),
            ):  # fmt: skip
                with open(f"/proc/sys/net/{path}", "w") as file:
                    file.write(value)

        nft.inside(name, policy)

    def send(self, side: str, packet: bytes) -> list[bytes]:
        """See Firewall."""
        self._write(side, packet)
        self._markers += 1
        marker = udp(A4, B4, MARKER, MARKER, b"marker %d" % self._markers)
        self._write("A", marker)
        end, out = time.monotonic() + 5, []
        while True:
            try:
                frame = os.read(self.descriptors["B"], 65536)
            except BlockingIOError:
                assert time.monotonic() < end, "the kernel does not forward the marker"
                continue
            if transport(frame[14:]) == transport(marker):
                break
            out.append(frame[14:])
        if side == "B":
            out.clear()
        with contextlib.suppress(BlockingIOError):
            while True:
                frame = os.read(self.descriptors["A"], 65536)
                if side == "B":
                    out.append(frame[14:])
        return out

    def _write(self, side: str, packet: bytes) -> None:
        kind = b"\x08\x00" if packet[0] >> 4 == 4 else b"\x86\xdd"
        os.write(
            self.descriptors[side],
            self._macs[side] + bytes.fromhex(MACS[side].replace(":", "")) + kind + packet,
        )

    def close(self) -> None:
        """The taps go."""
        for descriptor in self.descriptors.values():
            os.close(descriptor)


class Ringfield:
    """The same in a fast path with ring ports."""

    def __init__(self, dpu: Dpu) -> None:
        self.dpu, self._markers = dpu, 0
        self._arrived: list[bytes] = []
        self._names = {"A": "pf0vf0", "B": "pf0vf1"}
        port = dpu.port_start("p0", 0)
        for number, name in enumerate(self._names.values(), 1):
            dpu.port_start(name, number)
        forward = port.pipe_create(
            PipeSpec(
                name="forward",
                match=Match.from_flat({"outer.eth.dst_mac": (1 << 48) - 1}),
                fwd=FwdChangeable(),
                fwd_miss=FwdDrop("no_route"),
            )
        )
        for number, mac in enumerate(MACS.values(), 1):
            given = {"outer.eth.dst_mac": int(mac.replace(":", ""), 16)}
            forward.add(match=Match.from_flat(given), fwd=FwdPort(number))
        self._policy(port.pipe_create)
        port.pipe_create(
            PipeSpec(
                name="ct",
                type=PipeType.CT,
                ct=CtConfig(
                    zone_u32=None,
                    src_u32=None,
                    dst_u32=None,
                    router_u32=None,
                    adopt_window=0.0,
                    capacity=4096,
                ),
                fwd=FwdPipe("forward"),
                fwd_miss=FwdPipe("ports"),
            )
        )
        kinds = Match.from_flat({"outer.eth.type": 0xFFFF})
        root = port.pipe_create(
            PipeSpec(name="root", is_root=True, match=kinds, fwd=FwdPipe("ct"), fwd_miss=FwdDrop())
        )
        for kind in (0x0800, 0x86DD):
            root.add(match=Match.from_flat({"outer.eth.type": kind}))
        dpu.receive()
        self.send("A", udp(A4, B4, MARKER, MARKER))  # from here on markers of B are replies

    @staticmethod
    def _policy(create: object) -> None:
        assert callable(create)
        everything = {"parser_meta.port_id": 0xFFFF, "parser_meta.outer_l4_type": (1 << 32) - 1}
        echo = create(
            PipeSpec(
                name="echo",
                match=Match.from_flat({**everything, "outer.l4_type_ext": 3, "outer.icmp.type": 0xFF}),
                fwd=FwdPipe("forward"),
                fwd_miss=FwdDrop("policy"),
            )
        )
        ports = create(
            PipeSpec(
                name="ports",
                match=Match.from_flat(
                    {**everything, "outer.l4_type_ext": 5, "outer.transport.dst_port": 0xFFFF}
                ),
                fwd=FwdPipe("forward"),
                fwd_miss=FwdPipe("echo"),
            )
        )
        for kind in (8, 128):
            given = {"parser_meta.port_id": 1, "parser_meta.outer_l4_type": 3}
            echo.add(match=Match.from_flat({**given, "outer.l4_type_ext": 3, "outer.icmp.type": kind}))
        for l4, number in ((1, 80), (2, 53), (2, MARKER)):
            given = {"parser_meta.port_id": 1, "parser_meta.outer_l4_type": l4}
            ports.add(
                match=Match.from_flat({**given, "outer.l4_type_ext": 5, "outer.transport.dst_port": number})
            )

    def send(self, side: str, packet: bytes) -> list[bytes]:
        """See Firewall. The marker comes from the same side: only so it stays behind the packet."""
        self._markers += 1
        ends, other = ((A4, B4), "B") if side == "A" else ((B4, A4), "A")
        marker = udp(*ends, MARKER, MARKER, b"marker %d" % self._markers)
        self.dpu.inject(self._names[side], [self._frame(side, packet), self._frame(side, marker)])
        end = time.monotonic() + 10
        while time.monotonic() < end:
            self._arrived += [
                one.frame[14:]
                for one in self.dpu.packets(timeout=1.0)
                if one.kind is PacketKind.WIRE and one.port == self._names[other]
            ]
            for number, one in enumerate(self._arrived):
                if transport(one) == transport(marker):
                    out, self._arrived = self._arrived[:number], self._arrived[number + 1 :]
                    return out
        raise AssertionError("the fast path does not forward the marker")

    @staticmethod
    def _frame(side: str, packet: bytes) -> bytes:
        kind = b"\x08\x00" if packet[0] >> 4 == 4 else b"\x86\xdd"
        source, target = MACS[side], MACS["B" if side == "A" else "A"]
        return bytes.fromhex((target + source).replace(":", "")) + kind + packet


def delivered(out: Sequence[bytes], total: int) -> bool:
    """Whether what came out carries a whole payload of so many bytes."""
    there: set[int] = set()
    for packet in out:
        span = extent(packet)
        if span is not None:
            there.update(range(span[0] // 8, (span[1] + 7) // 8))
    return there >= set(range((total + 7) // 8))


@contextlib.contextmanager
def ringfield() -> Iterator[Ringfield]:
    """A fast path for the length of a block."""
    with Dpu.launch(ports=3, mode="switch") as dpu:
        yield Ringfield(dpu)
