# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Step 7: a host that was taken over spoofs addresses, somebody on the underlay forges tunnels: drops with a name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from appliance.demo.fleet_data import BRIDGE, MEMBERS, STRANGER, UNDERLAY, VNI, VTEPS
from appliance.errors import InitializationFailed
from appliance.policy.model import vtep_mac
from appliance.run import frames
from appliance.run.frames import Host
from appliance.run.workload import Workload

if TYPE_CHECKING:
    from appliance.demo.fleet import FleetDemo

FRAMES: Final = 100
SECONDS: Final = 0.2
GATEWAY: Final = Host("02:52:46:00:00:01", "10.90.1.1")
LATE: Final = "ct_invalid"
"""Of segments that are under way when a connection ends: not of frames that are sent here."""
VILLAIN: Final = MEMBERS["agent"]


def host(name: str) -> Host:
    """A workload, as a frame's end."""
    return Host(MEMBERS[name].mac, MEMBERS[name].address4)


def end(appliance: str) -> Host:
    """An appliance's end of the tunnel."""
    return Host(vtep_mac(VTEPS[appliance]), VTEPS[appliance])


def walk(demo: FleetDemo) -> None:
    """The step."""
    with demo.step("7  A host is taken over, and the underlay is not to be trusted", "ringfield stats"):
        from_host(demo)
        from_underlay(demo)
        demo.console.print(
            "[dim]Not stopped: who forges on the underlay both an appliance's address and a sender behind it"
            " (nothing is encrypted, docs/limits.md).[/]"
        )


def from_host(demo: FleetDemo) -> None:
    """Out of the agent's own interface, past its kernel."""
    mine, gateway = host("agent"), GATEWAY
    target = Host(gateway.mac, MEMBERS["dataset"].address4)
    claimed = [
        frames.tcp(Host(mine.mac, address), target, 40000 + number, 2049)
        for number, address in enumerate(
            (MEMBERS["prep"].address4, MEMBERS["soc"].address4, gateway.address, VTEPS["dpu2"])
        )
    ]
    stolen = [frames.tcp(host("prep"), target, 40000, 2049)]
    inner = frames.tcp(host("prep"), host("dataset"), 40000, 2049)
    forged = [frames.tunnelled(inner, Host(mine.mac, VTEPS["dpu2"]), Host(gateway.mac, VTEPS["dpu1"]), VNI)]
    honest = [frames.tunnelled(inner, mine, Host(gateway.mac, VTEPS["dpu2"]), VNI)]
    for what, sent, reason in (
        ("the agent's host claims four addresses of others", claimed, "unauthenticated"),
        ("it takes another one's MAC, too", stolen, "unauthenticated"),
        ("it forges a tunnel from the other appliance", forged, "unauthenticated"),
        ("it sends a tunnel of its own to the other appliance", honest, "policy"),
    ):
        before = demo.drops()
        demo.factory.flood(VILLAIN.name, sent, FRAMES, SECONDS)
        judge(demo, what, reason, before)


def from_underlay(demo: FleetDemo) -> None:
    """By a machine that is on the wire between the appliances."""
    prep, dataset, portal = host("prep"), host("dataset"), host("portal")
    there, here = end("dpu2"), end("dpu1")
    good = frames.tcp(host("soc"), portal, 40000, 22)
    stranger = Host("02:66:00:00:00:66", STRANGER)
    with Workload(UNDERLAY) as wire:
        for what, frame, reason in (
            (
                "a stranger on the underlay opens a tunnel",
                frames.tunnelled(good, stranger, here, VNI),
                "unauthenticated",
            ),
            ("a stranger sends without a tunnel", frames.tcp(stranger, portal, 40000, 22), "unauthenticated"),
            (
                "dpu2's address is forged, the sender inside is behind dpu1",
                frames.tunnelled(frames.tcp(prep, dataset, 40000, 2049), there, here, VNI),
                "tunnel_spoofed",
            ),
            (
                "dpu2's address is forged, the sender inside is nobody",
                frames.tunnelled(
                    frames.tcp(Host(prep.mac, "10.90.2.99"), portal, 40000, 22), there, here, VNI
                ),
                "tunnel_spoofed",
            ),
            (
                "dpu2's address is forged, for another network",
                frames.tunnelled(good, there, here, VNI + 1),
                "tunnel_spoofed",
            ),
        ):
            before = demo.drops()
            answer = wire.do(
                "send_frames", interface=BRIDGE, frames=[frame.hex()], count=FRAMES, seconds=SECONDS
            )
            if not answer["ok"]:
                raise InitializationFailed(f"the underlay cannot be sent to: {answer['why']}")
            judge(demo, what, reason, before)


def judge(demo: FleetDemo, what: str, reason: str, before: dict[str, dict[str, int]]) -> None:
    """Every frame was dropped for one reason, by the first appliance that saw it."""
    after = demo.drops_once(FRAMES, before)
    found = {
        f"{count - before[name].get(why, 0)} {why}"
        for name, drops in after.items()
        for why, count in drops.items()
        if count != before[name].get(why, 0) and why != LATE
    }
    demo.check(
        what,
        f"{FRAMES} dropped as {reason}",
        ", ".join(sorted(found)) or "none dropped",
        found == {f"{FRAMES} {reason}"},
    )
