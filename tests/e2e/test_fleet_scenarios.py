# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""What Ringfield is for, behind two appliances that a centre steers: the scenarios of test_scenarios.py through the
tunnel, and those that one appliance cannot show. Real connections between namespaces.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from appliance.demo import fleet_move
from appliance.demo.factory_data import Service, Stream
from appliance.demo.factory_lab import Try
from appliance.demo.fleet_attacks import GATEWAY, host
from appliance.demo.fleet_data import FIRST, LATER, MEMBERS, MOVED, NEW_PLACE, REPLICA
from appliance.demo.fleet_lab import interface, plug, plug_all, send_by, unplug
from appliance.intelligence.v1 import inventory_service_pb2
from appliance.run import frames
from tests.support.factory import TIMEOUT
from tests.support.fastpath import wait_for
from tests.support.fleet import POLICY, Rig, judged, running

pytestmark = pytest.mark.root
MODEL, TOOL, SSH = Service("tcp", 8000), Service("tcp", 7000), Service("tcp", 22)
OVERLAP = 5.0
"""Seconds in which a workload begins to send from its new place, on a busy machine."""
OPEN = "default: block\nrules:\n  - {name: everything, band: allow, from: any, to: any, services: [any]}\n"


@pytest.fixture(scope="module")
def fleet() -> Iterator[Rig]:
    with running() as rig:
        yield rig


@pytest.fixture
def rig(fleet: Rig) -> Rig:
    """As it was at first, also when the test before failed."""
    fleet.reset()
    return fleet


def test_preprocessing_reaches_dataset_and_training_behind_the_other_appliance_only(rig: Rig) -> None:
    """The opener's appliance judges it, and the target's does too: both tell of it, with both names."""
    reached, wanted = rig.reached(["prep"], FIRST)
    assert reached == wanted
    assert {one.target for one in reached} == {"dataset", "training"}
    assert {MEMBERS[name].appliance for name in ("prep", "dataset")} == {"dpu1", "dpu2"}
    for appliance in rig.fleet.sides:
        flow = rig.wait_for_flow(appliance, "event=open from.workload=prep to.workload=dataset")
        assert (flow.rule, flow.src_kind, flow.dst_kind) == (
            "preprocessing-reads-its-dataset",
            "preprocessing",
            "dataset",
        )
    refused = rig.wait_for_flow("dpu1", "event=deny from.workload=prep to.workload=context to.port=6379")
    assert (refused.band, refused.rule) == ("default", "default")


def test_research_is_isolated_from_inference_on_either_appliance(rig: Rig) -> None:
    """Also under a policy that somebody opened wide: the override is stronger than any later allow."""
    rig.centre.publish(
        OPEN
        + "  - {name: never, band: override-block, from: env=research, to: exposure=customers, services: [any]}\n",
        "test",
    )
    rig.centre.current()
    research, customers = ("prep", "dataset", "training"), ("portal", "inference-1", "inference-2")
    assert {MEMBERS[name].appliance for name in research} == {"dpu1", "dpu2"}
    reached, _ = rig.reached(research, customers)
    assert not reached
    assert rig.opens("training", "tool", "tcp/7000"), "the rest is open under this policy"
    assert rig.opens("prep", "tool", "tcp/7000", 6)


def test_memory_and_datasets_are_reached_only_by_kinds_that_need_them(rig: Rig) -> None:
    reached, wanted = rig.reached(FIRST, ("context", "dataset"))
    assert reached == wanted
    kinds = {(FIRST[one.source].kind, one.target) for one in reached if one.service != SSH}
    assert kinds == {("inference", "context"), ("preprocessing", "dataset")}


def test_a_quarantined_agent_is_cut_off_on_both_appliances_and_nobody_else_loses_anything(rig: Rig) -> None:
    """Told once, at the centre: what it had open dies, through the tunnel too; the forensic path goes on."""
    far, near = Stream("agent", "tool", TOOL), Stream("portal", "agent", Service("tcp", 9000), 6)
    forensic = Stream("soc", "agent", SSH)
    others = [one for one in rig.streams() if "agent" not in (one.source, one.target)]
    rig.factory.open_streams([far, near, forensic, *others])
    rig.alive(far, near, forensic, *others)
    rig.contain("agent", reason="it calls what it never used")
    at_once = rig.factory.report_streams()
    rig.alive(forensic, *others)
    assert rig.opens("soc", "agent", "tcp/22")
    assert not rig.opens("agent", "tool", "tcp/7000", expected=False)
    assert not rig.opens("portal", "agent", "tcp/9000", expected=False)
    reports = rig.factory.close_streams()
    for cut in (far, near):
        assert reports[cut.name]["received"] <= at_once[cut.name]["received"] + 1
    judged(reports, forensic, *others)
    closed = rig.wait_for_flow("dpu1", "event=close close=quarantine from.workload=agent to.workload=tool")
    assert (closed.band, closed.rule) == ("system", "quarantine")
    rig.release("agent")
    assert rig.opens("agent", "tool", "tcp/7000")


def test_a_prompt_injection_verdict_leads_to_containment_behind_the_other_appliance(rig: Rig) -> None:
    """The AI firewall in front of a replica reports who asked; a responder acts on the report, once for the fleet."""
    asked = Stream("agent", "inference-2", MODEL)
    others = [one for one in rig.streams() if "agent" not in (one.source, one.target)]
    rig.factory.open_streams([asked, *others])
    rig.alive(asked, *others)
    # The verdict is about a connection: its record at the replica's appliance says which workload opened it.
    seen = rig.wait_for_flow("dpu2", "event=open from.workload=agent to.workload=inference-2 to.port=8000")
    rig.report(seen.src_workload, "prompt-injection")
    (threat,) = rig.reported("prompt-injection")
    rig.contain(threat, reason="prompt injection seen by the AI firewall")
    at_once = rig.factory.report_streams()[asked.name]["received"]
    rig.alive(*others)
    assert not rig.opens("agent", "inference-1", "tcp/8000", expected=False)
    assert not rig.opens("agent", "inference-2", "tcp/8000", expected=False)
    reports = rig.factory.close_streams()
    assert reports[asked.name]["received"] <= at_once + 1
    judged(reports, *others)


def test_a_host_that_spoofs_and_floods_harms_nobody_behind_either_appliance(rig: Rig) -> None:
    others = [one for one in rig.streams() if "agent" not in (one.source, one.target)]
    rig.factory.open_streams(others)
    rig.alive(*others)
    target = frames.Host(GATEWAY.mac, MEMBERS["dataset"].address4)
    claims = [
        frames.tcp(frames.Host(host("agent").mac, MEMBERS["prep"].address4), target, 41000, 2049),
        frames.tcp(frames.Host(host("agent").mac, MEMBERS["training"].address4), target, 41001, 2049),
        frames.tcp(host("soc"), target, 41002, 2049),
        frames.tcp(frames.Host(host("agent").mac, "192.0.2.2"), target, 41003, 2049),
    ]
    before = rig.dropped("dpu1", "unauthenticated")
    rig.factory.flood("agent", claims, 400, 0.2)
    wait_for("the claims to be dropped", lambda: rig.dropped("dpu1", "unauthenticated") >= before + 400)
    assert rig.dropped("dpu1", "unauthenticated") <= before + 400 + fleet_move.CHATTER, "nobody else's"
    assert not rig.dropped("dpu2", "tunnel_spoofed"), "none of them got into the tunnel"
    assert not rig.flows("dpu2", "to.workload=dataset from.port=41000-41003")
    denied = rig.dropped("dpu1", "policy")
    flood = [frames.tcp(host("agent"), target, 1024 + port, 2049) for port in range(2000)]
    rig.factory.flood("agent", flood, 20_000, 1.0)
    wait_for("the flood to be dropped", lambda: rig.dropped("dpu1", "policy") > denied + 2000)
    rig.alive(*others)
    judged(rig.factory.close_streams(), *others)
    assert rig.opens("agent", "tool", "tcp/7000"), "what it may do, it still may"


def test_enforcement_holds_without_the_centre_and_without_a_management_plane(rig: Rig) -> None:
    """Both are killed; what was allowed goes on, what was not does not. They come back, and are obeyed again."""
    rig.factory.open_streams(rig.streams())
    rig.alive(*rig.streams())
    planes = [side.fastpath_pid for side in rig.sides]
    rig.centre.process.kill()
    far = rig.fleet.sides["dpu2"]
    far.process.kill()
    reached, wanted = rig.reached(FIRST, FIRST)
    assert reached == wanted
    rig.alive(*rig.streams())
    rig.centre.start()
    far.start()
    rig.centre.ready()
    far.process.ready()
    rig.centre.current()
    assert [side.fastpath_pid for side in rig.sides] == planes
    judged(rig.factory.close_streams(), *rig.streams())
    revision = rig.centre.publish(POLICY.replace("tcp/7000", "tcp/7001"), "test")
    assert {one.revision for one in rig.centre.current().values()} == {revision}
    assert not rig.opens("agent", "tool", "tcp/7000", expected=False)


def test_a_workload_moves_there_and_back_with_its_connections_open(rig: Rig) -> None:
    """Numbered datagrams at a fixed rate and TCP, from both appliances, over both IP versions: nothing is dropped,
    before `ready` and after, nothing passes that should not. The appliance that it comes back to remembers its
    connections as they were.
    """
    there = rig.factory.workloads[MOVED.name].do("count_udp", port=fleet_move.FORBIDDEN.port)
    if not there["ok"]:
        rig.factory.workloads[MOVED.name].do("serve_udp", port=fleet_move.FORBIDDEN.port, ipv6=True)
    rig.factory.open_streams(rig.streams(), fleet_move.RATE)
    rig.alive(*rig.streams())
    before = rig.drops()
    sent = 0
    for old, new in ((MOVED.place, NEW_PLACE), (NEW_PLACE, MOVED.place)):
        tries = fleet_move.intrude(rig)
        fleet_move.move(rig, old, new)
        assert fleet_move.place(rig) == f"{new.appliance} {new.port}"
        rig.alive(*rig.streams())
        for one in tries:
            sent += one.result(60)["sent"]
    judged(rig.factory.close_streams(), *rig.streams(), moved=True)
    assert rig.factory.workloads[MOVED.name].do("count_udp", port=fleet_move.FORBIDDEN.port)["count"] == 0
    denied, others = fleet_move.dropped(before, rig.drops())
    assert (denied, others) == (sent, [])
    assert rig.opens("inference-1", MOVED.name, "tcp/6379", 6)
    assert rig.opens("inference-2", MOVED.name, "udp/6380")


def test_a_move_in_one_call_loses_nothing_and_lets_nothing_through(rig: Rig) -> None:
    """As an orchestrator does it: plug in, call, send from there once packets come there, plug out."""
    serving = rig.factory.workloads[MOVED.name].do("count_udp", port=fleet_move.FORBIDDEN.port)
    if not serving["ok"]:
        rig.factory.workloads[MOVED.name].do("serve_udp", port=fleet_move.FORBIDDEN.port, ipv6=True)
        serving = {"count": 0}
    rig.factory.open_streams(rig.streams(), fleet_move.RATE)
    rig.alive(*rig.streams())
    before, sent, late = rig.drops(), 0, False
    with ThreadPoolExecutor(1) as pool:
        for old, new in ((MOVED.place, NEW_PLACE), (NEW_PLACE, MOVED.place)):
            tries = fleet_move.intrude(rig)
            plug(MOVED, new.port)
            request = inventory_service_pb2.MoveWorkloadRequest(
                name=MOVED.name,
                interfaces=[interface(MOVED, new)],
                timeout_seconds=20,
                overlap_seconds=OVERLAP,
            )
            call = pool.submit(rig.centre.inventory.MoveWorkload, request, timeout=TIMEOUT + 60)
            first = [(new.appliance, new.port), (old.appliance, old.port)]
            wait_for(
                "packets to go to the new place",
                lambda first=first: [(p.appliance, p.port) for p in rig.centre.places(MOVED.name)] == first,  # type: ignore[misc]
            )
            rig.centre.wait_ready(MOVED.name)
            rig.alive(*rig.streams())  # the new place has seen who asks, before it answers
            send_by(MOVED, new.port)
            late |= call.done()
            call.result(60)
            rig.centre.wait_ready(MOVED.name)
            unplug(MOVED, old.port)
            assert fleet_move.place(rig) == f"{new.appliance} {new.port}"
            rig.alive(*rig.streams())
            sent += sum(one.result(60)["sent"] for one in tries)
    if late:
        pytest.skip(f"this machine took more than {OVERLAP:g} s to let a workload send from its new place")
    judged(rig.factory.close_streams(), *rig.streams(), moved=True)
    came = rig.factory.workloads[MOVED.name].do("count_udp", port=fleet_move.FORBIDDEN.port)
    assert came["count"] == serving["count"]
    denied, others = fleet_move.dropped(before, rig.drops())
    # What its kernel says unasked at a place where it is not bound yet is dropped; numbers tell of all else.
    assert (denied, [one for one in others if "unauthenticated" not in one]) == (sent, [])


def test_a_service_scales_from_2_to_20_replicas_on_both_appliances(rig: Rig) -> None:
    """Without a change of policy, and without a packet of theirs passing before they are declared."""
    plug_all(LATER)
    rig.factory.add(LATER)
    revisions = {one.revision for one in rig.centre.appliances().values()}
    rig.factory.open_streams(rig.streams())
    calls = [Try("portal", name, MODEL, version) for name in LATER for version in (4, 6)]
    before = rig.factory.try_all(calls, timeout=0.3)
    assert "open" not in before.values()
    rig.centre.declare(LATER.values())
    rig.centre.wait_ready(*LATER)
    rig.there |= LATER
    reached, wanted = rig.reached(["portal", "agent", "prep"], REPLICA)
    assert reached == wanted
    assert len({one.target for one in reached}) == 20
    judged(rig.factory.close_streams(), *rig.streams())
    assert {one.revision for one in rig.centre.appliances().values()} == revisions
