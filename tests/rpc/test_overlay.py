# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Tunnels from a configuration file: what is behind another appliance is reached through one."""

from __future__ import annotations

import pytest
from scapy.layers.inet import ICMP, IP

from appliance.run import frames
from appliance.run.document import ConfigError
from appliance.v1 import trace_pb2, trace_service_pb2
from tests.support.dhcp import client, options
from tests.support.heard import ask
from tests.support.rig import TIMEOUT, config, directory
from tests.support.segmentation import CONFIG, DB, OPS, WEB, running

OVERLAY = """\
  appliance: east
  overlay: {port: p0, address: 192.0.2.1, peers: {west: {address: 192.0.2.2}}, prefixes: [192.0.2.0/24]}
"""
FAR = (
    CONFIG.replace("lab: {prefixes", "lab: {vni: 7, dhcp: answer, prefixes")
    .replace("p3: {backend: net_ring", "p3: {backend: net_ring, mtu: 600")
    .replace("db: {port: p2", "db: {appliance: west, port: vf9")
    .replace("ops: {port: p3", "ops: {appliance: east, port: p3")
    + OVERLAY
)


def test_a_workload_behind_another_appliance_is_reached() -> None:
    """Its appliance's port needs not exist here; `appliance` with this one's name means here."""
    with running(settings=FAR) as rig:
        asked = frames.tcp(WEB, DB, 40000, 5432, frames.SYN)
        request = trace_service_pb2.TracePacketRequest(port="p1", frame=asked)
        outcome = rig.client.trace.TracePacket(request, timeout=TIMEOUT).trace.outcomes[0]
        assert (outcome.verdict, outcome.port) == (trace_pb2.VERDICT_PORT, "p0")
        assert (outcome.frame[50 : 50 + len(asked)], outcome.frame[46:49]) == (asked, b"\0\0\x07")
        # Its hosts are told what fits through the tunnel.
        assert options(ask(rig, client("discover")))["interface-mtu"] == 1450
        # And what fits through a port, where a tunnel is not in the way.
        large = frames.tcp(OPS, WEB, 40001, 22, frames.SYN, bytes(1000))
        rig.inject("p3", large)
        told = ask(rig, frames.tcp(WEB, OPS, 22, 40001, frames.SYN | frames.ACK, bytes(1000), ack=1002))
        assert (told[IP].src, told[IP].dst) == (OPS.address, WEB.address)
        assert (told[ICMP].type, told[ICMP].code, told[ICMP].nexthopmtu) == (3, 4, 600)


WRONG = {
    "no such port": ("port: p0, address", "port: p9, address", "there is no port 'p9'"),
    "no address": ("address: 192.0.2.1, ", "", "segmentation.overlay: 'address' is missing"),
    "a peer without address": ("west: {address: 192.0.2.2}", "west: {}", "peers.west: 'address' is missing"),
    "a loopback address": ("address: 192.0.2.1, ", "address: 127.0.0.1, ", "not the address of one station"),
    "a peer at a group": ("{address: 192.0.2.2}", "{address: 224.0.0.5}", "not the address of one station"),
    "a MAC of a group": (
        "{port: p0, ",
        "{port: p0, mac: '03:00:00:00:00:01', ",
        "not the address of one station",
    ),
    "an unknown key": ("prefixes: [192.0.2.0/24]", "prefixs: []", "prefixs"),
    "no overlay": (OVERLAY.splitlines()[1], "", "network lab has a vni: 'overlay' is missing"),
    "a VNI too large": ("vni: 7", "vni: 16777216", "vni"),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_sections_are_refused(what: str) -> None:
    """With the field's name."""
    old, new, why = WRONG[what]
    assert old in FAR
    with directory() as made:
        (made / "policy.yaml").write_text("rules: []")
        with pytest.raises(ConfigError) as caught:
            config(FAR.replace(old, new), made)
    assert why in str(caught.value)
