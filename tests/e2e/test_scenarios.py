# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""What Ringfield is for, on real connections between namespaces: the scenarios that one appliance can show.

A workload that moves between appliances, and a centre that cannot be reached, need several appliances or a centre and
are tested with them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from appliance.demo.factory_data import HOSTS, STREAMS, Service, Stream
from appliance.demo.factory_lab import Try, mac_of
from appliance.run import frames
from appliance.v1 import policy_service_pb2
from tests.support.factory import TIMEOUT, Rig, running
from tests.support.fastpath import wait_for

pytestmark = pytest.mark.root
OBSERVE = "default: alert\n"
TOOL, DATA = Service("tcp", 7000), Service("tcp", 2049)
OPEN = "default: block\nrules:\n  - {name: everything, band: allow, from: any, to: any, services: [any]}\n"


@pytest.fixture(scope="module")
def factory() -> Iterator[Rig]:
    with running() as rig:
        yield rig


@pytest.fixture
def rig(factory: Rig) -> Rig:
    """The shipped policy in force, nobody contained, no connection open; also when the test before failed."""
    factory.factory.close_streams()
    factory.reset()
    return factory


def alive(rig: Rig, *streams: Stream) -> None:
    """All of these move on, without a number missing so far."""
    before = {name: report["received"] for name, report in rig.factory.report_streams().items()}

    def moved() -> bool:
        now = rig.factory.report_streams()
        return all(now[stream.name]["received"] > before[stream.name] + 2 for stream in streams)

    wait_for("the connections to move on", moved)


def judged(reports: dict[str, Any], *streams: Stream) -> None:
    """At their end: nothing lost, nothing out of order."""
    for stream in streams:
        report = reports[stream.name]
        assert report["received"] == report["sent"] > 0, (stream.name, report)
        assert not report["disordered"], (stream.name, report)
        assert not report["error"], (stream.name, report)


def test_preprocessing_reaches_its_dataset_and_training_only(rig: Rig) -> None:
    wanted = {("dataset", "tcp/2049"), ("training", "tcp/8470"), ("training", "udp/8471")}
    assert rig.reach("prep", expected=wanted) == wanted
    refused = rig.wait_for_flow("event=deny from.workload=prep to.workload=context to.port=6379")
    assert (refused.band, refused.rule, refused.src_kind) == ("default", "default", "preprocessing")
    assert refused.revision


def test_research_is_isolated_from_inference_that_faces_customers(rig: Rig) -> None:
    """Also under a policy that somebody opened wide: the override is stronger than any later allow."""
    never = (
        OPEN
        + "  - {name: never, band: override-block, from: env=research, to: exposure=customers, services: [any]}\n"
    )
    rig.publish(never)
    for source in ("dataset", "prep", "training"):
        reached = rig.reach(source, expected={("tool", "tcp/7000")})
        assert not {target for target, _ in reached} & {"portal", "inference"}
        assert ("tool", "tcp/7000") in reached, "the rest is open under this policy"
    assert (
        rig.wait_for_flow("event=deny from.workload=training to.workload=inference to.port=8000").rule
        == "never"
    )
    assert rig.opens("agent", "inference", "tcp/8000")


def test_memory_embeddings_and_datasets_are_reached_only_by_kinds_that_need_them(rig: Rig) -> None:
    needed = {
        ("context", "tcp/6379"): {"inference"},
        ("context", "udp/6380"): {"inference"},
        ("embeddings", "tcp/6333"): {"inference"},
        ("dataset", "tcp/2049"): {"prep"},
    }
    tries = [
        Try(source, target, Service.parse(service), version)
        for source in HOSTS
        for target, service in needed
        if source != target
        for version in (4, 6)
    ]
    hoped = [one for one in tries if one.source in needed[one.target, str(one.service)]]
    outcomes = rig.factory.measure(tries, hoped)
    found: dict[tuple[str, str], set[str]] = {key: set() for key in needed}
    for one in tries:
        if outcomes[one] == "open":
            found[one.target, str(one.service)].add(one.source)
    assert {one for one in tries if outcomes[one] == "open"} == set(hoped), "over both IP versions"
    assert found == needed


def test_an_agent_that_reaches_for_new_data_is_noticed_restricted_and_quarantined(rig: Rig) -> None:
    rig.publish(OBSERVE)
    assert rig.opens("agent", "tool", "tcp/7000")
    assert rig.opens("agent", "inference", "tcp/8000")
    usual = "from.workload=agent verdict=forwarded"
    wait_for("its usual edges", lambda: len(rig.edges(usual)) >= 2)
    known = rig.edges(usual)
    rig.factory.open_streams(
        [Stream("agent", "tool", Service("tcp", 7000)), Stream("prep", "dataset", Service("tcp", 2049))]
    )
    tool, other = (
        Stream("agent", "tool", Service("tcp", 7000)),
        Stream("prep", "dataset", Service("tcp", 2049)),
    )

    # Noticed: an edge that was never seen.
    assert rig.opens("agent", "dataset", "tcp/2049")
    new = ("agent", "dataset", "tcp/2049")
    assert new not in known
    wait_for("the new edge in the records", lambda: new in rig.edges(usual))

    # Restricted: what it is known for goes on.
    rig.restrict("agent", keep=("kind=tool", "tcp/7000"), reason="it reads a dataset it never used")
    alive(rig, tool, other)
    assert not rig.opens("agent", "portal", "tcp/443", expected=False), "was never in its baseline"

    # Quarantined: nothing of it is left, nobody else lost anything.
    rig.quarantine("agent", reason="it goes on")
    at_once = rig.factory.report_streams()[tool.name]["received"]
    assert not rig.opens("agent", "tool", "tcp/7000", expected=False)
    alive(rig, other)
    reports = rig.factory.close_streams()
    assert reports[tool.name]["received"] <= at_once + 1
    judged(reports, other)
    cut = rig.wait_for_flow("event=close close=quarantine from.workload=agent to.workload=tool")
    assert (cut.band, cut.rule) == ("system", "quarantine")


def test_a_prompt_injection_verdict_leads_to_containment(rig: Rig) -> None:
    """The AI firewall in front of the model knows who asked; what it calls is Quarantine. (A ReportThreat call, with
    sensors, severities and a cap on automatic containment, belongs to the issue of the centre.)
    """
    asked = Stream("agent", "inference", Service("tcp", 8000))
    others = [
        Stream("portal", "inference", Service("tcp", 8000), 6),
        Stream("inference", "context", Service("udp", 6380)),
    ]
    rig.factory.open_streams([asked, *others])
    alive(rig, asked, *others)
    # The verdict is about a connection: its record says which workload opened it.
    seen = rig.wait_for_flow("event=open from.workload=agent to.workload=inference to.port=8000")
    answer = rig.quarantine(seen.src_workload, reason="prompt injection seen by the AI firewall")
    assert answer.before.direct > 0
    assert answer.after.direct == 0
    at_once = rig.factory.report_streams()[asked.name]["received"]
    alive(rig, *others)
    assert not rig.opens("agent", "inference", "tcp/8000", expected=False)
    reports = rig.factory.close_streams()
    assert reports[asked.name]["received"] <= at_once + 1
    judged(reports, *others)
    (contained,) = answer.contained
    assert (contained.workload, contained.reason) == ("agent", "prompt injection seen by the AI firewall")


def test_a_host_that_spoofs_and_floods_harms_nobody(rig: Rig) -> None:
    """The agent's host is taken: it claims others' addresses, and opens connections as fast as it can."""
    others = [stream for stream in STREAMS if "agent" not in (stream.source, stream.target)]
    rig.factory.open_streams(others)
    alive(rig, *others)
    victim, dataset = HOSTS["agent"], HOSTS["dataset"]
    mac, gateway = mac_of(victim), frames.Host("02:52:46:00:00:01", "")
    target = frames.Host(gateway.mac, dataset.address4)
    claims = [
        frames.tcp(frames.Host(mac, HOSTS["prep"].address4), target, 41000, 2049),  # another's address
        frames.tcp(
            frames.Host("02:80:00:00:00:08", HOSTS["prep"].address4), target, 41001, 2049
        ),  # and its MAC
        frames.tcp(
            frames.Host("02:80:00:00:00:08", victim.address4), target, 41002, 2049
        ),  # its own, wrong MAC
        frames.tcp(frames.Host(mac, "192.0.2.77"), target, 41003, 2049),  # of nobody
    ]
    before = rig.drops().get("unauthenticated", 0)
    rig.factory.flood("agent", claims, 400, 0.2)
    wait_for("the claims to be dropped", lambda: rig.drops().get("unauthenticated", 0) >= before + 400)
    assert rig.drops()["unauthenticated"] == before + 400, "each of them, and nothing else"
    assert not rig.flows("from.workload=prep to.workload=dataset from.port=41000-41003"), (
        "none of them was judged as prep"
    )

    flood = [frames.tcp(frames.Host(mac, victim.address4), target, 1024 + port, 2049) for port in range(2000)]
    denied = rig.drops().get("policy", 0)
    rig.factory.flood("agent", flood, 20_000, 1.0)
    wait_for("the flood to be dropped", lambda: rig.drops().get("policy", 0) > denied + 2000)
    alive(rig, *others)
    judged(rig.factory.close_streams(), *others)
    assert rig.opens("agent", "tool", "tcp/7000"), "what it may do, it still may"


def test_a_publish_and_a_rollback_lose_nothing_of_what_stays_allowed(rig: Rig) -> None:
    streams = [stream for stream in STREAMS if stream.source != "soc"]
    rig.factory.open_streams(streams)
    shipped = rig.client.policy.GetPolicy(policy_service_pb2.GetPolicyRequest(), timeout=TIMEOUT)
    for _ in range(3):
        rig.publish(shipped.source.yaml.replace("name: factory", "name: again"))
        alive(rig, *streams[:2])
        request = policy_service_pb2.RollbackPolicyRequest(reason="test")
        rig.client.policy.RollbackPolicy(request, timeout=TIMEOUT)
        alive(rig, *streams[:2])
    judged(rig.factory.close_streams(), *streams)


def test_healthy_hosts_are_never_called_spoofers(rig: Rig) -> None:
    """Since the links came up, and after every kind of housekeeping once more. See also test_boot.py."""
    from appliance.run.lab import ip

    before = rig.drops()
    host = HOSTS["tool"]
    ip("-n", host.namespace, "link", "set", host.port, "down")
    ip(
        "-n", host.namespace, "link", "set", host.port, "up"
    )  # MLD, router solicitation, DAD of the link-local address
    ip(
        "-n", host.namespace, "-6", "address", "replace", f"{host.address6}/64", "dev", host.port
    )  # and of this one
    subnet = host.address4.rsplit(".", 1)[0]
    ip("-n", host.namespace, "route", "replace", "default", "via", f"{subnet}.1")
    ip("-n", host.namespace, "-6", "route", "replace", "default", "via", "fd52:80:1::1")
    ip("-n", host.namespace, "neighbour", "flush", "dev", host.port)
    rig.factory.wait_for_addresses()
    wait_for("link control", lambda: rig.drops().get("link_control", 0) > before.get("link_control", 0))
    assert rig.opens("soc", "tool", "tcp/22")
    assert rig.opens("soc", "tool", "tcp/22", 6)
    after = rig.drops()
    assert after.get("unauthenticated", 0) == before.get("unauthenticated", 0)
    assert after.get("rogue_control", 0) == before.get("rogue_control", 0)
    assert after.get("malformed", 0) == before.get("malformed", 0)
