# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""A real DHCP client (busybox) in a namespace gets its address from the inventory, and can use it at once."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import pytest

from appliance.rpc.client import Client
from appliance.run.appliance import Appliance
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
    lab: {{prefixes: [10.0.0.0/24, 10.0.1.0/24], gateways: [10.0.0.254, 10.0.1.254], dhcp: answer}}
  default: allow
  workloads:
    one: {{port: p1, mac: "02:00:00:00:00:01", addresses: 10.0.0.1}}
    two: {{port: p2, mac: "02:00:00:00:00:02", addresses: 10.0.1.2}}
"""
SCRIPT = """\
#!/bin/sh
[ "$1" = bound ] || exit 0
ip address add "$ip/$mask" dev "$interface" && ip route add default via "$router" &&
	echo "$ip $mask $router $serverid $lease $hostname"
"""


def test_a_client_in_a_namespace_gets_its_address(netns: Callable[[str], Netns]) -> None:
    busybox = shutil.which("busybox")
    assert busybox is not None, "busybox is missing: ./ringfield --version installs it"
    one, two = netns("one"), netns("two")
    with directory() as where:
        script = where / "script"
        script.write_text(SCRIPT)
        script.chmod(0o755)
        made = config(CONFIG.format(one=one.name, two=two.name), where)
        with Appliance(made), Client(f"unix:{made.grpc.unix}"):
            for space, port, told in (
                (one, "p1", "10.0.0.1 24 10.0.0.254 10.0.0.254 3600 one"),
                (two, "p2", "10.0.1.2 24 10.0.1.254 10.0.1.254 3600 two"),
            ):
                space.ip("link", "set", port, "up")
                words = ["udhcpc", "-i", port, "-f", "-q", "-n", "-t", "10", "-T", "1", "-s", str(script)]
                done = space.run(busybox, *words, timeout=60)
                assert told in done.stdout.splitlines(), done.stdout + done.stderr
            assert one.run("ping", "-c", "3", "-W", "2", "10.0.1.2").returncode == 0
