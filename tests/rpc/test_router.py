# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Between subnets the appliance is a router as hosts know them: it says by whom and why a packet went no further."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from appliance.rpc.client import Client
from appliance.run.appliance import Appliance
from tests.support.fastpath import wait_for
from tests.support.netns import Netns
from tests.support.rig import config, directory

pytestmark = pytest.mark.root

CONFIG = """\
mode: switch
fastpath: {{hugepages: 'no'}}
ports:
  p0: {{backend: net_ring}}
  p1: {{backend: net_tap, netns: {one}, mac: "02:00:00:00:00:01"}}
  p2: {{backend: net_tap, netns: {two}, mac: "02:00:00:00:00:02"}}
segmentation:
  networks:
    lab:
      prefixes: [10.0.0.0/24, 10.0.1.0/24, "fd00::/64", "fd00:1::/64"]
      gateways: [10.0.0.254, 10.0.1.254, "fd00::fe", "fd00:1::fe"]
  default: allow
  workloads:
    one: {{port: p1, mac: "02:00:00:00:00:01", addresses: [10.0.0.1, "fd00::1"]}}
    two: {{port: p2, mac: "02:00:00:00:00:02", addresses: [10.0.1.2, "fd00:1::2"]}}
"""
SEATS = (
    ("p1", ("10.0.0.1/24", "fd00::1/64"), ("10.0.0.254", "fd00::fe")),
    ("p2", ("10.0.1.2/24", "fd00:1::2/64"), ("10.0.1.254", "fd00:1::fe")),
)


def test_hosts_are_told_who_let_a_packet_go_no_further(netns: Callable[[str], Netns]) -> None:
    spaces = netns("one"), netns("two")
    with directory() as where:
        made = config(CONFIG.format(one=spaces[0].name, two=spaces[1].name), where)
        with Appliance(made), Client(f"unix:{made.grpc.unix}"):
            for space, (port, addresses, gateways) in zip(spaces, SEATS, strict=True):
                space.run("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=0")
                space.address(port, *addresses)
                for gateway in gateways:
                    space.ip("route", "add", "default", "via", gateway)

            def ping(who: int, target: str, *more: str) -> str:
                done = spaces[who].run("ping", "-n", "-c", "1", "-W", "1", *more, target)
                return done.stdout + done.stderr

            for who, target in ((0, "10.0.1.2"), (1, "10.0.0.1"), (0, "fd00:1::2"), (1, "fd00::1")):
                wait_for(f"an answer of {target}", lambda w=who, t=target: "1 received" in ping(w, t))  # type: ignore[misc]
            for who, target, told in (
                (0, "10.0.1.2", "From 10.0.0.254 icmp_seq=1 Time to live exceeded"),
                (1, "10.0.0.1", "From 10.0.1.254 icmp_seq=1 Time to live exceeded"),
                (0, "fd00:1::2", "From fd00::fe icmp_seq=1 Time exceeded: Hop limit"),
            ):
                wait_for(told, lambda w=who, t=target, s=told: s in ping(w, t, "-t", "1"))  # type: ignore[misc]
            for who, target, told in (
                (0, "10.0.1.77", "From 10.0.0.254 icmp_seq=1 Destination Host Unreachable"),
                (0, "192.0.2.1", "From 10.0.0.254 icmp_seq=1 Destination Host Unreachable"),
                (1, "10.0.0.77", "From 10.0.1.254 icmp_seq=1 Destination Host Unreachable"),
                (0, "fd00:1::77", "From fd00::fe icmp_seq=1 Destination unreachable: Address unreachable"),
                (1, "2001:db8::1", "From fd00:1::fe icmp_seq=1 Destination unreachable: Address unreachable"),
            ):
                wait_for(told, lambda w=who, t=target, s=told: s in ping(w, t))  # type: ignore[misc]
