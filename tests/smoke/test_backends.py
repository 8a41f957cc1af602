# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Ports on DPDK's other devices: that they open, receive, and tell their link.

What is received has no pipeline, so that it is counted as dropped for that reason.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
from scapy.all import IP, UDP, Ether, wrpcap

from tests.support.fastpath import Fastpath, wait_for
from tests.support.netns import Netns
from tests.support.wire import ffi, wire

START = Callable[..., Fastpath]
NETNS = Callable[[str], Netns]


def port_state(running: Fastpath, name: str) -> int:
    with running.wire() as client:
        return next(int(info.state) for info in client.ports() if ffi.string(info.name).decode() == name)


def wait_for_state(running: Fastpath, state: int) -> None:
    wait_for("the link", lambda: port_state(running, "p0") == state)


def test_pcap_file_is_received_once(fastpath: START, tmp_path: Path) -> None:
    frame = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / IP(dst="10.0.0.2") / UDP() / bytes(64)
    wrpcap(str(tmp_path / "in.pcap"), [frame] * 63)
    args = f"rx_pcap={tmp_path / 'in.pcap'},tx_pcap={tmp_path / 'out.pcap'}"
    running = fastpath({"p0": {"backend": "net_pcap", "args": args}})
    wait_for("the file's packets", lambda: running.counters()["p0"]["received"] == 63)
    wait_for("their end", lambda: running.counters()["p0"]["drops.no_pipeline"] == 63)


def test_null_device_receives_without_end(fastpath: START) -> None:
    running = fastpath({"p0": {"backend": "net_null", "args": "no-rx=1"}, "p1": {"backend": "net_null"}})
    wait_for("packets", lambda: running.counters()["p1"]["received"] > 1000)
    assert running.counters()["p0"]["received"] == 0
    running.stop()  # it never comes to rest: nothing to check at the end
    running.killed = True


def test_memif_between_two_fast_paths(fastpath: START, tmp_path: Path) -> None:
    socket = tmp_path / "memif.sock"

    def port(role: str) -> dict[str, object]:
        return {"backend": "net_memif", "args": f"role={role},id=0,socket={socket},socket-abstract=no"}

    server = fastpath({"p0": port("server")})
    assert port_state(server, "p0") == wire.STEER_PORT_DOWN
    client = fastpath({"p0": port("client")})
    wait_for_state(server, wire.STEER_PORT_UP)
    wait_for_state(client, wire.STEER_PORT_UP)
    client.stop()
    wait_for_state(server, wire.STEER_PORT_DOWN)


@pytest.mark.root
def test_af_packet_on_a_veth(netns: NETNS, fastpath: START) -> None:
    web = netns("web")
    web.ip("link", "add", "veth0", "type", "veth", "peer", "name", "veth1")
    for link in ("veth0", "veth1"):
        web.ip("link", "set", link, "up")
    web.ip("address", "add", "10.0.0.1/24", "dev", "veth0")
    running = fastpath({"p0": {"backend": "net_af_packet", "args": "iface=veth1"}}, netns=web)
    web.run("ping", "-c", "1", "-W", "1", "10.0.0.9")
    wait_for("the ARP request", lambda: running.counters()["p0"]["received"] > 0)
    assert "PROMISC" in web.ip("link", "show", "veth1")
    running.stop()
    assert "PROMISC" not in web.ip("link", "show", "veth1")
