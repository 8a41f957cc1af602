# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Write the first inputs of the packet parser's corpus: python -m tests.fuzz.seeds FOLDER."""

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
    ICMPv6EchoRequest,
    IPOption,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
    Raw,
)
from scapy.contrib.geneve import GENEVE
from scapy.contrib.gtp import GTP_U_Header
from scapy.contrib.mpls import MPLS
from scapy.layers.ipsec import ESP
from scapy.layers.vxlan import VXLAN


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
        "ip6-many-extensions": eth / ip6 / IPv6ExtHdrHopByHop() / (IPv6ExtHdrDestOpt() / IPv6ExtHdrDestOpt()) / udp,
        "vlan": eth / Dot1Q(vlan=5) / ip4 / udp,
        "qinq": eth / Dot1AD(vlan=7) / Dot1Q(vlan=5) / ip4 / tcp,
        "three-vlans": eth / Dot1AD(vlan=7) / Dot1Q(vlan=5) / Dot1Q(vlan=6) / ip4 / tcp,
        "vlan-short": bytes(eth / Dot1Q(vlan=5))[:16],
        "vxlan-4": outer / VXLAN(vni=100) / inner4,
        "vxlan-6": outer / VXLAN(vni=100) / inner6,
        "vxlan-vlan": outer / VXLAN(vni=100) / eth / Dot1Q(vlan=3) / ip4 / udp,
        "vxlan-gpe": eth / ip4 / UDP(sport=1, dport=4790) / VXLAN(flags="NextProtocol+Instance", NextProtocol=1) / ip4,
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
        "mpls-over-udp": eth / ip4 / UDP(sport=1, dport=6635) / MPLS(label=3, s=0) / MPLS(label=4, s=1) / ip4 / udp,
        "ip-in-ip": eth / ip4 / ip4 / udp,
        "ip6-in-ip4": eth / ip4 / ip6 / tcp,
        "empty-type": bytes(eth)[:14],
        "too-short": bytes(eth)[:9],
    }


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, frame in frames().items():
        (folder / name).write_bytes(bytes(frame))
