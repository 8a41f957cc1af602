# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Two appliances, a tunnel, and hosts whose links carry more than the tunnel: Linux finds the path's MTU by itself."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from appliance.run.appliance import kill_recorded
from tests.support.fastpath import wait_for
from tests.support.netns import Netns
from tests.support.process import appliance as appliance_process
from tests.support.process import wait_ready
from tests.support.rig import directory

pytestmark = pytest.mark.root

TUNNEL_MTU = 1500 - 50
BYTES = 300_000
CONFIG = """\
mode: switch
fastpath: {{hugepages: 'no'}}
ports:
  p0: {{backend: net_tap, netns: {underlay}, args: "iface={name}", persist: false}}
  pf0vf0: {{backend: net_tap, netns: {host}, args: "iface=eth0", mac: "{mac}", persist: false}}
segmentation:
  appliance: {name}
  networks:
    red: {{vni: 7, prefixes: [10.7.1.0/24, 10.7.2.0/24, "fd07::/64"], gateways: [10.7.1.1, 10.7.2.1]}}
  overlay: {{port: p0, address: {vtep}, peers: {{{other}: {{address: {other_vtep}}}}}}}
  policy: policy.yaml
  workloads:
    web:
      {{appliance: east, port: pf0vf0, labels: {{app: web}}, mac: "02:07:00:00:00:01",
       addresses: [10.7.1.10, "fd07::10"]}}
    db:
      {{appliance: west, port: pf0vf0, labels: {{app: db}}, mac: "02:07:00:00:00:02",
       addresses: [10.7.1.20, "fd07::20"]}}
"""
POLICY = "rules: [{name: all, band: allow, from: app=web, to: app=db, services: [any]}]\n"
SERVER = """
import socket, sys
server = socket.create_server((sys.argv[1], 9000), family=socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET)
print("ready", flush=True)
link, total = server.accept()[0], 0
while some := link.recv(65536):
    total += len(some)
print(total)
"""
CLIENT = """
import socket, sys
link = socket.create_connection((sys.argv[1], 9000), timeout=10)
link.sendall(bytes(int(sys.argv[2])))
six = ":" in sys.argv[1]
print(link.getsockopt(socket.IPPROTO_IPV6 if six else socket.IPPROTO_IP, 24 if six else 14))
"""
"""Prints the MTU of its path (IPV6_MTU, IP_MTU)."""
SIDES = {
    "east": ("192.0.2.1", "02:07:00:00:00:01", ("10.7.1.10/24", "fd07::10/64")),
    "west": ("192.0.2.2", "02:07:00:00:00:02", ("10.7.1.20/24", "fd07::20/64")),
}


@dataclass
class Lab:
    web: Netns
    db: Netns


@pytest.fixture
def lab(netns: Callable[[str], Netns]) -> Iterator[Lab]:
    underlay, hosts = netns("ul"), {name: netns(name) for name in SIDES}
    underlay.ip("link", "add", "br0", "type", "bridge")
    underlay.ip("link", "set", "br0", "up")
    with ExitStack() as stack:
        for name, (vtep, mac, addresses) in SIDES.items():
            where = stack.enter_context(directory())
            other = "west" if name == "east" else "east"
            file = where / "appliance.yaml"
            file.write_text(
                CONFIG.format(
                    name=name, underlay=underlay.name, host=hosts[name].name, mac=f"02:07:00:00:ff:{mac[-2:]}",
                    vtep=vtep, other=other, other_vtep=SIDES[other][0],
                )
            )  # fmt: skip
            (where / "policy.yaml").write_text(POLICY)
            stack.callback(kill_recorded, where)
            wait_ready(stack.enter_context(appliance_process(file, end=signal.SIGTERM)))
            underlay.ip("link", "set", name, "master", "br0", "up")
            hosts[name].ip("link", "set", "eth0", "address", mac)
            hosts[name].address("eth0", *addresses)
        yield Lab(hosts["east"], hosts["west"])


@pytest.mark.parametrize(("target", "family"), [("10.7.1.20", "-4"), ("fd07::20", "-6")])
def test_linux_finds_the_mtu_of_the_path(lab: Lab, target: str, family: str) -> None:
    """By what the appliance tells: pings that may not be fragmented, then a TCP transfer in large segments."""
    wait_for("the way", lambda: lab.web.run("ping", family, "-c1", "-W1", target).returncode == 0)
    header = 28 if family == "-4" else 48
    big = lab.web.run("ping", family, "-M", "do", "-c1", "-W1", "-s", str(1500 - header), target)
    assert big.returncode == 1
    assert f"mtu = {TUNNEL_MTU}" in big.stdout + big.stderr or f"mtu={TUNNEL_MTU}" in big.stdout + big.stderr
    fits = lab.web.run("ping", family, "-M", "do", "-c1", "-W1", "-s", str(TUNNEL_MTU - header), target)
    assert fits.returncode == 0
    assert f"mtu {TUNNEL_MTU}" in lab.web.ip(family, "route", "get", target)
    lab.web.ip(family, "route", "flush", "cache")
    server = lab.db.popen(sys.executable, "-c", SERVER, target, stdout=subprocess.PIPE)
    try:
        assert server.stdout is not None
        assert server.stdout.readline() == "ready\n"
        client = lab.web.run(sys.executable, "-c", CLIENT, target, str(BYTES))
        assert client.returncode == 0, client.stderr
        assert server.communicate(timeout=30)[0] == f"{BYTES}\n"
    finally:
        server.kill()
        server.wait()
    assert int(client.stdout) == TUNNEL_MTU
