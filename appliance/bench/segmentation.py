# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Stateful segmentation: throughput of established connections beside peers that get the same traffic (P1).

As everywhere here, rates are per second of the worker's time on its core.
"""

from __future__ import annotations

from appliance.bench import segment, traffic
from appliance.bench.figures import Collection, Section, ratio
from appliance.bench.forward import peer
from appliance.bench.ovs import conntrack, has_ovs
from appliance.bench.programs import Settings, buffers, fastpath, has_testpmd
from appliance.bench.watch import settle, window

RULES = (10, 1000, 10_000)
GOAL_IO = 0.5
GOAL_OVS = 10.0


def _established(found: Collection, settings: Settings, flows: int, rules: int) -> None:
    """One run: a fresh fast path, all connections opened, a window."""
    pair = traffic.write_pair(settings.scratch, flows, workloads=True)
    seconds = settings.window_ms / 1000
    with (
        fastpath(settings, segment.ports(pair), mbufs=buffers(flows)) as process,
        segment.segmented(process, rules=rules) as under,
    ):
        settle(under, flows)
        name = f"{flows} connections, {rules} rules"
        found.add(name, "Mpps", window(under, seconds), key="P1")
        if under.lost:
            found.add(f"{name}: records lost", "records", under.lost, less=True)


def established(settings: Settings) -> Section:
    """P1, over connections and rules, with testpmd beside it."""
    found = Collection()
    most = settings.flows[-1]
    for _ in range(settings.runs):
        for flows in settings.flows:
            if has_testpmd():
                peer(found, settings, flows, "io", "P1")
            _established(found, settings, flows, 1000)
            if flows == most and has_ovs(settings):
                found.add(
                    f"{flows} connections: OVS-DPDK conntrack", "Mpps", conntrack(settings, flows), key="P1"
                )
        if not settings.quick:
            for rules in (rules for rules in RULES if rules != 1000):
                _established(found, settings, most, rules)
    figures = found.figures()
    for flows in settings.flows:
        ours = found.figure(f"{flows} connections, 1000 rules")
        if has_testpmd():
            goal = GOAL_IO if flows == most else None
            io = found.figure(f"{flows} connections: testpmd io")
            figures.append(ratio(f"{flows} connections: segmentation / testpmd io", ours, io, goal, "P1"))
    if has_ovs(settings):
        ours = found.figure(f"{most} connections, 1000 rules")
        ovs = found.figure(f"{most} connections: OVS-DPDK conntrack")
        figures.append(
            ratio(f"{most} connections: segmentation / OVS-DPDK conntrack", ours, ovs, GOAL_OVS, "P1")
        )
    remarks = (
        "Source binding by prefix, connection tracking, identities, 1,000 rules behind it, flow records taken by "
        "Python meanwhile; connections know the walks of their packets. Peers that are "
        "installed get the same connections: testpmd (Debian package dpdk-dev), Open vSwitch with four services "
        "(openvswitch-switch-dpdk).",
    )
    return Section("established", "Established connections, one worker core (P1)", tuple(figures), remarks)
