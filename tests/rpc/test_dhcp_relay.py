# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""DHCP that is relayed, and DHCP where nothing is said about it, each on its own appliance."""

from __future__ import annotations

from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

from tests.support.dhcp import GATEWAY, client, options
from tests.support.fastpath import wait_for
from tests.support.heard import ask, drops, heard
from tests.support.segmentation import CONFIG, OPS, WEB, running

RELAY = CONFIG.replace("gateways: [10.0.0.254]}", "gateways: [10.0.0.254], dhcp: relay 10.0.0.3}")


def test_requests_are_relayed_to_the_named_server_and_back() -> None:
    with running(settings=RELAY) as rig:
        asked = ask(rig, client("discover", xid=21), answer_at="p3")
        assert (asked[Ether].dst, asked[IP].src, asked[IP].dst) == (OPS.mac, GATEWAY, OPS.address)
        assert (asked[UDP].sport, asked[UDP].dport, asked[BOOTP].giaddr, asked[BOOTP].hops) == (
            67,
            67,
            GATEWAY,
            1,
        )
        assert (asked[BOOTP].xid, options(asked)["message-type"]) == (21, 1)

        def reply(given: str, xid: int) -> bytes:
            head = Ether(src=OPS.mac, dst="02:52:46:00:00:01") / IP(src=OPS.address, dst=GATEWAY)
            body = BOOTP(op=2, xid=xid, yiaddr=given, giaddr=GATEWAY, chaddr=asked[BOOTP].chaddr)
            told = DHCP(options=[("message-type", "offer"), ("server_id", OPS.address), "end"])
            return bytes(head / UDP(sport=67, dport=67) / body / told)

        with heard(rig, "p1") as packets:
            rig.inject("p3", reply("10.0.0.99", 21))  # not what the port admits
            rig.inject("p3", reply(WEB.address, 22))  # nobody asked for it
            rig.inject("p3", reply(WEB.address, 21))
            offer = next(packets)
        assert (offer[BOOTP].yiaddr, offer[BOOTP].xid) == (WEB.address, 21)
        assert (offer[Ether].dst, offer[IP].dst, offer[UDP].dport) == (WEB.mac, WEB.address, 68)
        assert options(offer)["server_id"] == OPS.address


def test_without_it_requests_are_consumed() -> None:
    with running() as rig:
        before = drops(rig).get("link_control", 0)
        rig.inject("p1", client("discover"))
        rig.inject("p1", client("discover", source="169.254.7.8"))
        wait_for("the drops", lambda: drops(rig).get("link_control", 0) == before + 2)
        assert "unauthenticated" not in {name for name, count in drops(rig).items() if count}
