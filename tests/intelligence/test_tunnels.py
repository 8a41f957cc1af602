# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Ends of tunnels that appliances tell the centre and it tells appliances: real ones, moves, one that detaches."""

from __future__ import annotations

from contextlib import ExitStack

from appliance.intelligence.v1 import fleet_service_pb2, inventory_service_pb2, link_pb2
from appliance.run import frames
from appliance.run.frames import Host
from appliance.v1 import centre_service_pb2, trace_pb2, trace_service_pb2, workload_pb2
from tests.intelligence.test_security import enrolled, link
from tests.support.central import APPLIANCE, POLICY, TIMEOUT, WEB, WORKLOADS, Centre, Obeying, centre, obeying
from tests.support.fastpath import wait_for
from tests.support.rig import directory

FAR = Host("02:00:00:00:00:03", "10.0.0.3")
SPAN = WORKLOADS.replace("lab: {prefixes", "lab: {vni: 7, prefixes").replace(
    "addresses: 10.0.0.3, labels: {app: web}", "addresses: 10.0.0.3, labels: {app: db}"
)


def overlay(number: int) -> str:
    """An appliance that says where its tunnels end, and nothing of others."""
    return APPLIANCE + f"  overlay: {{port: p0, address: 192.0.2.{number}}}\n"


def way(one: Obeying) -> str:
    """Where a packet from web to far goes: a port, or the address of a tunnel's end; empty: nowhere."""
    frame = frames.tcp(WEB, FAR, 40000, 5432, frames.SYN)
    request = trace_service_pb2.TracePacketRequest(port="p1", frame=frame)
    found = one.client.trace.TracePacket(request, timeout=TIMEOUT).trace.outcomes[0]
    if found.verdict != trace_pb2.VERDICT_PORT:
        return ""
    outer = found.frame[: len(found.frame) - len(frame)]
    return ".".join(map(str, outer[30:34])) if outer else found.port


def move(made: Centre, appliance: str) -> None:
    place = workload_pb2.WorkloadInterface(
        network="lab", appliance=appliance, port="p2", mac=FAR.mac, addresses=[FAR.address]
    )
    made.inventory.MoveWorkload(
        inventory_service_pb2.MoveWorkloadRequest(name="far", interfaces=[place], timeout_seconds=20),
        timeout=TIMEOUT + 20,
    )


def test_tunnels_follow_workloads() -> None:
    with directory() as where, centre(where / "c") as made, ExitStack() as stack:
        made.apply(SPAN)
        made.publish(POLICY)
        dpus = {
            f"dpu{n}": stack.enter_context(
                obeying(where / f"{n}", made.token(f"dpu{n}"), made.enrolment, text=overlay(n))
            )
            for n in (1, 2)
        }
        made.current(*dpus)
        wait_for("the end of tunnels", lambda: way(dpus["dpu1"]) == "192.0.2.2")
        assert (made.of("dpu2").vtep, made.of("dpu2").uplink) == ("192.0.2.2", "p0")
        # A thief of the address is not believed.
        with obeying(where / "t", made.token("dpu3"), made.enrolment, text=overlay(2)):
            wait_for("the alarm", lambda: "vtep" in made.alarms())
            assert made.of("dpu3").vtep == ""
            assert way(dpus["dpu1"]) == "192.0.2.2"
        with obeying(where / "3", made.token("dpu3"), made.enrolment, text=overlay(3)):
            wait_for("its own", lambda: made.of("dpu3").vtep == "192.0.2.3")
            move(made, "dpu3")
            made.current("dpu1", "dpu2", "dpu3")
            assert way(dpus["dpu1"]) == "192.0.2.3"
            # A revoked appliance's tunnels end.
            made.fleet.Revoke(
                fleet_service_pb2.RevokeRequest(name="appliance/dpu3", reason="a test"), timeout=TIMEOUT
            )
            wait_for("no way", lambda: way(dpus["dpu1"]) == "")
            move(made, "dpu1")
            made.current("dpu1")
            assert way(dpus["dpu1"]) == "p2"


def test_a_detached_appliance_keeps_the_ends_of_tunnels() -> None:
    text = overlay(1).replace("lab: {prefixes", "lab: {vni: 7, prefixes")
    with directory() as where:
        with centre(where / "c") as made, link(made, enrolled(made, where, "dpu2")) as other:
            made.apply(SPAN)
            made.publish(POLICY)
            other.say(hello=link_pb2.Hello(version="t", vtep="192.0.2.2", vtep_mac="02:52:46:00:00:02"))
            with obeying(where / "1", made.token("dpu1"), made.enrolment, text=text) as one:
                wait_for("the end of tunnels", lambda: way(one) == "192.0.2.2")
                one.client.centre.Detach(
                    centre_service_pb2.DetachRequest(reason="the centre is mad"), timeout=TIMEOUT
                )
                assert way(one) == "192.0.2.2"
        # Nobody else knows of it now: no centre, and no configuration.
        with obeying(where / "1", text=text) as one:
            assert way(one) == "192.0.2.2"
