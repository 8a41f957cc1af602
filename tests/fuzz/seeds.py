# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Write the first inputs of each fuzz target: python -m tests.fuzz.seeds FOLDER (one folder per target below it)."""

import struct
import sys
from pathlib import Path
from typing import Any

from scapy.all import (
    ARP,
    GRE,
    ICMP,
    IP,
    SCTP,
    TCP,
    UDP,
    Dot1AD,
    Dot1Q,
    Ether,
    ICMPv6DestUnreach,
    ICMPv6EchoRequest,
    ICMPv6ND_NS,
    ICMPv6NDOptSrcLLAddr,
    ICMPv6PacketTooBig,
    IPOption,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
    Raw,
    fragment,
    fragment6,
)
from scapy.contrib.geneve import GENEVE
from scapy.contrib.gtp import GTP_U_Header
from scapy.contrib.mpls import MPLS
from scapy.layers.ipsec import ESP
from scapy.layers.vxlan import VXLAN

from tests.support.wire import ffi, wire


def frames() -> dict[str, Any]:
    """A frame of each shape that the parser knows, by name."""
    eth = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
    ip4, ip6 = IP(src="10.0.0.1", dst="10.0.0.2"), IPv6(src="fd00::1", dst="fd00::2")
    tcp, udp = TCP(sport=1024, dport=443, options=[("MSS", 1460)]), UDP(sport=1024, dport=53)
    inner4, inner6 = eth / ip4 / tcp / b"data", eth / ip6 / udp / b"data"
    outer = eth / ip4 / UDP(sport=49152, dport=4789, chksum=0)
    return {
        "arp": eth / ARP(),
        "ip4-tcp": eth / ip4 / tcp / b"x",
        "ip4-udp": eth / ip4 / udp / b"x",
        "ip4-sctp": eth / ip4 / SCTP(sport=1, dport=2) / b"x",
        "ip4-icmp": eth / ip4 / ICMP() / b"x",
        "ip4-options": eth / IP(options=[IPOption(b"\x94\x04\x00\x00")] * 3) / udp,
        "ip4-first-fragment": eth / IP(flags="MF") / udp / b"12345678",
        "ip4-later-fragment": eth / IP(frag=100) / Raw(b"12345678"),
        "ip4-short": bytes(eth / ip4)[:30],
        "ip4-long-total": eth / IP(len=9000) / udp,
        "ip4-bad-ihl": eth / IP(ihl=15) / udp,
        "ip4-tcp-bad-offset": eth / ip4 / TCP(dataofs=15),
        "ip6-tcp": eth / ip6 / tcp,
        "ip6-udp": eth / ip6 / udp,
        "ip6-icmp": eth / ip6 / ICMPv6EchoRequest(),
        "ip6-hop-by-hop": eth / ip6 / IPv6ExtHdrHopByHop() / IPv6ExtHdrDestOpt() / udp,
        "ip6-routing": eth / ip6 / IPv6ExtHdrRouting(addresses=["fd00::3"]) / tcp,
        "ip6-fragment": eth / ip6 / IPv6ExtHdrFragment(m=1, nh=17) / udp / b"1234",
        "ip6-later-fragment": eth / ip6 / IPv6ExtHdrFragment(offset=9, nh=17) / Raw(b"1234"),
        "ip6-many-extensions": eth
        / ip6
        / IPv6ExtHdrHopByHop()
        / (IPv6ExtHdrDestOpt() / IPv6ExtHdrDestOpt())
        / udp,
        "vlan": eth / Dot1Q(vlan=5) / ip4 / udp,
        "qinq": eth / Dot1AD(vlan=7) / Dot1Q(vlan=5) / ip4 / tcp,
        "three-vlans": eth / Dot1AD(vlan=7) / Dot1Q(vlan=5) / Dot1Q(vlan=6) / ip4 / tcp,
        "vlan-short": bytes(eth / Dot1Q(vlan=5))[:16],
        "vxlan-4": outer / VXLAN(vni=100) / inner4,
        "vxlan-6": outer / VXLAN(vni=100) / inner6,
        "vxlan-vlan": outer / VXLAN(vni=100) / eth / Dot1Q(vlan=3) / ip4 / udp,
        "vxlan-gpe": eth
        / ip4
        / UDP(sport=1, dport=4790)
        / VXLAN(flags="NextProtocol+Instance", NextProtocol=1)
        / ip4,
        "vxlan-in-6": eth / ip6 / UDP(sport=1, dport=4789) / VXLAN(vni=1) / inner4,
        "vxlan-cut": bytes(outer / VXLAN(vni=100) / inner4)[:58],
        "gre": eth / ip4 / GRE(proto=0x0800) / ip4 / udp,
        "gre-key": eth / ip4 / GRE(proto=0x0800, key_present=1, key=7, chksum_present=1) / ip4 / udp,
        "nvgre": eth / ip4 / GRE(proto=0x6558, key_present=1, key=0x123400) / inner4,
        "geneve": eth / ip4 / UDP(sport=1, dport=6081) / GENEVE(vni=9, proto=0x6558) / inner4,
        "geneve-options": eth
        / ip4
        / UDP(sport=1, dport=6081)
        / Raw(b"\x02\x00\x65\x58\x00\x00\x09\x00" + b"\x01\x02\x80\x01\x00\x00\x00\x00")
        / inner4,
        "gtpu": eth / ip4 / UDP(sport=2152, dport=2152) / GTP_U_Header(teid=5) / ip4 / udp,
        "esp": eth / ip4 / ESP(spi=6, seq=7) / Raw(b"secret"),
        "mpls-over-udp": eth
        / ip4
        / UDP(sport=1, dport=6635)
        / MPLS(label=3, s=0)
        / MPLS(label=4, s=1)
        / ip4
        / udp,
        "ip-in-ip": eth / ip4 / ip4 / udp,
        "ip6-in-ip4": eth / ip4 / ip6 / tcp,
        "empty-type": bytes(eth)[:14],
        "too-short": bytes(eth)[:9],
    }


def pad8(data: bytes) -> bytes:
    """Parts of specs and work entries are multiples of 8 bytes."""
    return data + bytes(-len(data) % 8)


def raw(kind: str, /, **fields: Any) -> bytes:
    """A structure of the wire headers as bytes."""
    return bytes(ffi.buffer(ffi.new(f"struct {kind} *", fields)))


def match(field: int, kind: int, value: bytes = b"", mask: bytes = b"\xff" * 16) -> bytes:
    """One matched field."""
    return raw(
        "steer_match_field", field=field, kind=kind, value=list(value.ljust(16, b"\0")), mask=list(mask)
    )


def action(kind: int, **fields: Any) -> bytes:
    """One action."""
    return raw("steer_action", kind=kind, **fields)


def spec(kind: int, matches: list[bytes], actions: list[bytes], key_bytes: int = 0, **fields: Any) -> bytes:
    """A pipe spec with one action template; a root unless told otherwise."""
    given = {
        "type": kind,
        "flags": wire.STEER_PIPE_ROOT,
        "nr_entries": 16,
        "key_bytes": key_bytes,
        "nr_match": len(matches),
        "nr_templates": 1 if actions else 0,
        "name": b"seed",
        "fwd": {"type": wire.STEER_FWD_PORT, "port": 1},
        "fwd_miss": {"type": wire.STEER_FWD_DROP},
        "monitor": {"flags": wire.STEER_MON_COUNTER},
    } | fields
    body = b"".join(matches)
    if actions:
        body += raw("steer_template", nr_actions=len(actions), args_bytes=fields.get("args", 0)) + b"".join(
            actions
        )
    given.pop("args", None)
    size = ffi.sizeof("struct steer_pipe_spec") + len(body)
    return raw("steer_pipe_spec", bytes=size, **given) + body


def add(
    key: bytes = b"", args: bytes = b"", tail: bytes = b"", kind: int | None = None, **fields: Any
) -> bytes:
    """A work entry that adds (or updates) entry 1 of the first pipe."""
    given = {"entry": 1, "key_bytes": len(key), "args_bytes": len(args)} | fields
    body = pad8(key) + pad8(args) + tail
    length = ffi.sizeof("struct steer_entry_add") + len(body)
    record = {"length": length, "kind": wire.STEER_REC_ENTRY_ADD if kind is None else kind}
    return raw("steer_entry_add", rec=record, **given) + body


def remove(entry: int = 1) -> bytes:
    """A work entry that removes."""
    record = {"length": ffi.sizeof("struct steer_entry_remove"), "kind": wire.STEER_REC_ENTRY_REMOVE}
    return raw("steer_entry_remove", rec=record, entry=entry)


def work_entries() -> dict[str, bytes]:
    """A work entry of each shape."""
    body = raw("steer_entry_body", nr_match=1, nr_conditions=1, nr_actions=1) + match(
        wire.STEER_F_OUTER_IP4_DST, wire.STEER_MATCH_CONSTANT, b"\x0a\0\0\2"
    )
    body += raw(
        "steer_condition", op=wire.STEER_COND_LT, field_a=wire.STEER_F_OUTER_IP4_TTL, width=8, immediate=9
    )
    body += action(wire.STEER_ACT_SET, field=wire.STEER_F_OUTER_IP4_TTL, value=[7], mask=[255])
    forward = raw("steer_fwd", type=wire.STEER_FWD_PORT, port=0)
    monitor = raw("steer_monitor", flags=wire.STEER_MON_COUNTER)
    flags = wire.STEER_ENTRY_MONITOR | wire.STEER_ENTRY_FWD
    return {
        "basic": add(b"\x0a\0\0\2\0\x35"),
        "basic-forward": add(b"\x0a\0\0\2\0\x36", b"\x2a", monitor + forward, flags=flags, entry=2),
        "control": add(tail=body, flags=wire.STEER_ENTRY_BODY, priority=3),
        "lpm": add(b"\x0a\0\0\0\xff\0\0\0"),
        "update": add(b"", b"\x40", kind=wire.STEER_REC_ENTRY_UPDATE),
        "remove": remove(),
    }


def command_lists() -> dict[str, bytes]:
    """Pipes of each kind, entries in them, and a trace through them (tables_fuzz.c)."""

    def command(kind: int, payload: bytes) -> bytes:
        return struct.pack("<BH", kind, len(payload)) + payload

    changeable, constant = wire.STEER_MATCH_CHANGEABLE, wire.STEER_MATCH_CONSTANT
    dst, port = wire.STEER_F_OUTER_IP4_DST, wire.STEER_F_OUTER_L4_DST_PORT
    ttl = action(
        wire.STEER_ACT_SET, field=wire.STEER_F_OUTER_IP4_TTL, mask=[255], flags=wire.STEER_ACT_CHANGEABLE
    )
    entries = work_entries()
    trace = command(4, b"\0" + bytes(frames()["ip4-udp"]))
    both = [match(dst, changeable), match(port, changeable)]
    basic = command(0, spec(wire.STEER_PIPE_BASIC, both, [ttl], 6, args=1))
    first = add(b"\x0a\0\0\2\0\x35", b"\x09")
    head = bytes(Ether() / IP() / UDP(dport=4789, chksum=0) / VXLAN(vni=9))
    encap = action(
        wire.STEER_ACT_ENCAP, tunnel=wire.STEER_TUN_VXLAN, flags=wire.STEER_ACT_L2, data_length=len(head)
    )
    tunnel = spec(wire.STEER_PIPE_BASIC, [match(port, constant, b"\0\x35")], [encap], data_bytes=len(head))
    size = struct.pack("<I", len(tunnel) + len(pad8(head)))
    to_first = {"type": wire.STEER_FWD_PIPE, "pipe": 0}
    root = command(0, spec(wire.STEER_PIPE_BASIC, [match(dst, changeable)], [], 4, fwd=to_first))
    root += command(1, add(b"\x0a\0\0\2", pipe=1, entry=9))

    def below(pipe: bytes, *work: bytes) -> bytes:
        """The first pipe, a root that forwards to it, work entries, a trace."""
        return command(0, pipe) + root + b"".join(command(1, entry) for entry in work) + trace

    def lower(kind: int, matches: list[bytes], key_bytes: int = 0, **fields: Any) -> bytes:
        return spec(kind, matches, [], key_bytes, flags=wire.STEER_PIPE_MISS_COUNTER, **fields)

    meter = raw("steer_shared_set", type=wire.STEER_SHARED_METER, id=1, meter={"cir": 1000, "cbs": 1000})
    return {
        "basic": basic
        + command(1, first)
        + trace
        + command(2, add(b"", b"\x08", kind=wire.STEER_REC_ENTRY_UPDATE))
        + trace
        + command(3, b"\1\0\0\0"),
        "txn": basic + command(6, b"\0") + command(1, first) + trace + command(6, b"\1") + trace,
        "txn-abort": basic + command(6, b"\0") + command(1, first) + command(6, b"\2") + trace,
        "control": command(0, spec(wire.STEER_PIPE_CONTROL, [], [])) + command(1, entries["control"]) + trace,
        "lpm": below(lower(wire.STEER_PIPE_LPM, [match(dst, wire.STEER_MATCH_PREFIX)], 8), entries["lpm"]),
        "acl": below(
            lower(wire.STEER_PIPE_ACL, [match(field, wire.STEER_MATCH_ACL) for field in (dst, port)], 12),
            add(b"\x0a\0\0\2" + b"\xff" * 4 + b"\0\1\0\xff", priority=1),
            add(b"\x0a\0\0\0" + b"\xff\0\0\0" + b"\0\0\xff\xff", priority=2, entry=2),
        ),
        "hash": below(
            lower(wire.STEER_PIPE_HASH, [match(dst, constant)], algorithm=wire.STEER_HASH_HASH),
            add(index=0),
            add(index=1, entry=2),
        ),
        "flood": below(
            lower(wire.STEER_PIPE_HASH, [match(dst, constant)], algorithm=wire.STEER_HASH_FLOODING),
            *(add(index=i, entry=1 + i) for i in range(4)),
        ),
        "encap": command(0, size + tunnel[4:] + pad8(head)) + command(1, add()) + trace,
        "shared": command(5, meter) + command(5, struct.pack("<II", wire.STEER_SHARED_METER, 1)),
        "change": basic
        + command(7, b"\0" * 4)
        + command(8, struct.pack("<II", 0, 64))
        + command(9, raw("steer_pipe_miss", fwd={"type": wire.STEER_FWD_RSS, "nr_queues": 1}))
        + trace,
    }


def edges() -> dict[str, bytes]:
    """Lists of frames (edge_fuzz.c): datagrams in fragments, ICMP errors, neighbours, what is refused."""
    eth = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
    ip4, ip6 = IP(src="10.0.0.1", dst="10.0.0.2", id=7), IPv6(src="fd00::1", dst="fd00::2")
    tcp = TCP(sport=1024, dport=443, flags="S")
    whole4 = [eth / one for one in fragment(ip4 / UDP(sport=1, dport=2) / (b"x" * 100), 40)]
    extension = IPv6ExtHdrFragment(id=9)
    whole6 = [eth / one for one in fragment6(ip6 / extension / UDP(sport=1, dport=2) / (b"x" * 3000), 1280)]
    group = Ether(src="02:00:00:00:00:01", dst="33:33:ff:00:00:02")
    ask = IPv6(src="fd00::1", dst="ff02::1:ff00:2", hlim=255) / ICMPv6ND_NS(tgt="fd00::2")
    detect = IPv6(src="::", dst="ff02::1:ff00:2", hlim=255) / ICMPv6ND_NS(tgt="fd00::2")
    back4, back6 = IP(src="10.0.0.9", dst="10.0.0.1"), IPv6(src="fd00::9", dst="fd00::1")

    def frames_of(*some: Any) -> bytes:
        raw_frames = [bytes(one) for one in some]
        return b"".join(struct.pack("<BH", 4, len(one)) + one for one in raw_frames)

    return {
        "fragments-4": frames_of(*whole4),
        "fragments-4-backwards": frames_of(*reversed(whole4)),
        "fragments-4-twice": frames_of(*whole4[:2], *whole4[:2], *whole4),
        "fragments-4-overlap": frames_of(whole4[0], eth / IP(src="10.0.0.1", dst="10.0.0.2", id=7, frag=2, proto=17)
                                         / (b"y" * 64), *whole4[1:]),
        "fragments-6": frames_of(*whole6),
        "fragments-6-backwards": frames_of(*reversed(whole6)),
        "error-4": frames_of(eth / back4 / ICMP(type=3, code=13) / ip4 / tcp),
        "error-4-echo": frames_of(eth / back4 / ICMP(type=11) / ip4 / ICMP(id=5)),
        "error-6": frames_of(eth / back6 / ICMPv6PacketTooBig(mtu=1280) / ip6 / tcp),
        "error-6-fragment": frames_of(eth / back6 / ICMPv6DestUnreach() / ip6 / extension / UDP(sport=1, dport=2)),
        "arp": frames_of(eth / ARP(psrc="10.0.0.1", pdst="10.0.0.2"), eth / ARP(op=2)),
        "neighbours": frames_of(group / ask / ICMPv6NDOptSrcLLAddr(lladdr="02:00:00:00:00:01"), group / detect),
        "refused": frames_of(eth / ip4 / tcp, eth / ip6 / tcp, eth / ip4 / UDP() / b"x", eth / ip6 / UDP() / b"x"),
    }  # fmt: skip


def main(folder: Path) -> None:
    """Write all of them."""
    kinds: dict[str, dict[str, Any]] = {
        "parse": frames(),
        "tables": command_lists(),
        "edge": edges(),
    }
    for kind, inputs in kinds.items():
        (folder / kind).mkdir(parents=True, exist_ok=True)
        for name, data in inputs.items():
            (folder / kind / name).write_bytes(bytes(data))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
