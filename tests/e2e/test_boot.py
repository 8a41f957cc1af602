# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""What healthy hosts send when their link comes up is never taken for spoofing: fresh namespaces, links up, no more."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable

import pytest

from appliance.cli import status
from appliance.rpc.client import Client
from appliance.run.appliance import Appliance
from appliance.v1 import observer_service_pb2
from tests.support.fastpath import wait_for
from tests.support.heard import drops
from tests.support.netns import Netns
from tests.support.rig import TIMEOUT, Running, config, directory

pytestmark = pytest.mark.root

CONFIG = """\
mode: switch
fastpath: {{hugepages: 'no'}}
ports:
  p0: {{backend: net_ring}}
  p1: {{backend: net_tap, netns: {bare}, mac: "02:00:00:00:00:01"}}
  p2: {{backend: net_tap, netns: {static}, mac: "02:00:00:00:00:02"}}
  p3: {{backend: net_tap, netns: {dhcp}, mac: "02:00:00:00:00:03"}}
segmentation:
  networks:
    lab: {{prefixes: [10.0.0.0/24, "fd00::/64"], gateways: [10.0.0.254, "fd00::fe"], dhcp: answer}}
  workloads:
    bare: {{port: p1, mac: "02:00:00:00:00:01", addresses: [10.0.0.1, "fd00::1"]}}
    static: {{port: p2, mac: "02:00:00:00:00:02", addresses: [10.0.0.2, "fd00::2"]}}
    dhcp: {{port: p3, mac: "02:00:00:00:00:03", addresses: [10.0.0.3, "fd00::3"]}}
"""
NEVER = ("unauthenticated", "rogue_control", "malformed", "ct_untrackable", "no_multicast")


@pytest.mark.parametrize("seconds", [3.0, pytest.param(30.0, marks=pytest.mark.soak)])
def test_links_come_up_and_nothing_is_called_spoofing(seconds: float, netns: Callable[[str], Netns]) -> None:
    busybox = shutil.which("busybox")
    assert busybox is not None
    spaces = {name: netns(name) for name in ("bare", "static", "dhcp")}
    with directory() as where:
        made = config(CONFIG.format(**{name: one.name for name, one in spaces.items()}), where)
        with Appliance(made) as appliance, Client(f"unix:{made.grpc.unix}") as client:
            rig = Running(appliance, client)
            for space, port in zip(spaces.values(), ("p1", "p2", "p3"), strict=True):
                space.run(
                    "sysctl",
                    "-qw",
                    "net.ipv6.conf.all.disable_ipv6=0",
                    "net.ipv6.conf.default.disable_ipv6=0",
                )
                space.ip("link", "set", port, "up")
            up = time.monotonic()
            # With duplicate address detection, unlike what tests do elsewhere.
            spaces["static"].ip("address", "add", "10.0.0.2/24", "dev", "p2")
            spaces["static"].ip("address", "add", "fd00::2/64", "dev", "p2")
            asked = spaces["dhcp"].run(
                busybox, "udhcpc", "-i", "p3", "-f", "-q", "-n", "-t", "10", "-T", "1", "-s", "/bin/true"
            )
            assert "10.0.0.3" in asked.stdout + asked.stderr
            wait_for("its solicitations", lambda: drops(rig).get("link_control", 0) >= 3)
            time.sleep(max(0.0, seconds - (time.monotonic() - up)))  # what is tested is that nothing happens
            found = status.take(client, "test", TIMEOUT)
            told = [one.text for one in status.problems(found)]
            assert not [text for text in told if "dropped as" in text], told
            assert not [one.text for one in status.problems(found) if one.level == status.WRONG]
            assert {name: drops(rig).get(name, 0) for name in NEVER} == dict.fromkeys(NEVER, 0), drops(rig)
            request = observer_service_pb2.ListFlowsRequest(page_size=1000)
            flows = client.observer.ListFlows(request, timeout=TIMEOUT).flows
            assert not flows, "housekeeping is no connection of anybody"
            tentative = spaces["static"].ip("-6", "address", "show", "dev", "p2")
            assert "fd00::2" in tentative
            assert "dadfailed" not in tentative, "nobody has a host's own address"
