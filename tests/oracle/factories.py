# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Random inventories, policies and containments out of small pools, so that rules often meet."""

from __future__ import annotations

from hypothesis import strategies as st

from appliance.policy.model import (
    Band,
    Baseline,
    Containment,
    Default,
    Interface,
    Inventory,
    Mode,
    Network,
    PolicySet,
    Rule,
    Side,
    SideAllow,
    SidePolicy,
    State,
    Workload,
)
from appliance.policy.selector import Selector, parse_selector

PORTS = {"p0": 0, "pf0vf0": 1, "pf0vf1": 2, "pf0vf2": 3}
APPS, ENVS, KINDS = ("web", "db", "llm"), ("prod", "dev"), ("agent", "tool", "dataset")
HOSTS = tuple(f"10.0.{subnet}.{host}" for subnet in (0, 1) for host in (10, 11, 140))
HOSTS6 = ("fd00::10", "fd00::11", "fd00:1::10")
STRANGERS = ("10.0.0.77", "10.0.1.200", "10.9.9.9", "192.168.3.4", "8.8.8.8", "10.0.0.1")
STRANGERS6 = ("fd00::77", "2001:db8::1")
CIDRS = (
    "0.0.0.0/0", "10.0.0.0/8", "10.0.0.0/8 except 10.0.1.0/24", "10.0.0.0/24", "10.0.0.0/24 except 10.0.0.10/32",
    "10.0.0.128/25", "10.0.1.0/24 except 10.0.1.128/25 10.0.1.11/32", "192.168.0.0/16", "8.8.8.8/32", "::/0",
    "fd00::/16 except fd00:1::/32", "fd00::10/128",
)  # fmt: skip
SERVICES = (
    "any", "tcp", "tcp/443", "tcp/80", "tcp/80-443", "udp/53", "udp", "icmp", "icmp/8", "icmp6/128", "icmp/0-8",
    "sctp/5000-6000", "sctp", "tcp/1000-2000", "tcp/1500-65535", "dns", "mine",
)  # fmt: skip
NETWORKS = (
    Network(name="red", prefixes=("10.0.0.0/16", "fd00::/16"), gateways=("10.0.0.1",)),
    Network(name="blue", vlan=7, prefixes=("10.0.0.0/24",)),
)
QUESTIONS = (
    (6, 443), (6, 80), (6, 200), (6, 1999), (6, 1500), (6, 0), (17, 53), (17, 5), (1, 8), (1, 3), (132, 5500),
    (132, 1), (47, 0), (6, 53), (6, 65535),
)  # fmt: skip
QUESTIONS6 = ((6, 443), (6, 1999), (17, 53), (58, 128), (58, 3), (132, 5500))

_TERMS = st.one_of(
    st.sampled_from(APPS).map("app={}".format),
    st.sampled_from(ENVS).map("env={}".format),
    st.sampled_from(KINDS).map("kind={}".format),
    st.sampled_from((
        "app in (web, db)", "app not in (web)", "env!=prod", "env", "!env", "app, !env", "kind!=agent", "name=w0",
        "name=w1", "name!=w2", "origin=edge", "state=watched", "state!=watched, app=web", "state in (watched, normal)",
        "app=web, env=prod", "app=llm, env in (prod, dev)", "entity=world", "entity=unknown",
        "entity in (world, appliance)", "group=front", "group=back, env=prod", "any",
    )),
    st.sampled_from(CIDRS).map("cidr={}".format),
    st.tuples(st.sampled_from(CIDRS), st.sampled_from(APPS)).map(lambda pair: f"cidr={pair[0]}, app={pair[1]}"),
)  # fmt: skip
GROUPS = {
    "front": parse_selector("app=web | name=w3"),
    "back": parse_selector("group=front | app=db, state=watched | cidr=10.0.1.0/24"),
}


def selectors() -> st.SearchStrategy[Selector]:
    """One to three terms."""
    return st.lists(_TERMS, min_size=1, max_size=3).map(parse_selector)


@st.composite
def rules(draw: st.DrawFn, name: str, band: Band | None = None) -> Rule:
    """One rule of any band."""
    chosen = draw(st.sampled_from(list(Band)[:-1])) if band is None else band
    blocks = chosen in (Band.BLOCK, Band.OVERRIDE_BLOCK)
    return Rule(
        name=name,
        band=chosen,
        source=draw(selectors()),
        target=draw(selectors()),
        services=tuple(draw(st.lists(st.sampled_from(SERVICES), min_size=1, max_size=3))),
        mode=draw(st.sampled_from((Mode.ENFORCE, Mode.ENFORCE, Mode.AUDIT))),
        enabled=draw(st.sampled_from((True, True, True, False))),
        priority=draw(st.sampled_from((1, 100))),
        reject=blocks and draw(st.booleans()),
        alert=blocks and draw(st.booleans()),
        log=draw(st.booleans()),
    )


@st.composite
def _rule_lists(draw: st.DrawFn, prefix: str, most: int, band: Band | None = None) -> tuple[Rule, ...]:
    number = draw(st.integers(0, most))
    order = draw(st.permutations(range(number)))
    return tuple(draw(rules(f"{prefix}{i}", band)) for i in order)


@st.composite
def side_policies(draw: st.DrawFn, name: str) -> SidePolicy:
    """A two-sided policy."""
    sides = draw(st.sampled_from(((Side.INGRESS,), (Side.EGRESS,), (Side.INGRESS, Side.EGRESS))))
    allows = draw(
        st.lists(
            st.builds(
                SideAllow,
                side=st.sampled_from(sides),
                peers=selectors(),
                services=st.sampled_from(SERVICES).map(lambda one: (one,)),
            ),
            max_size=2,
        )
    )
    return SidePolicy(name=name, subjects=draw(selectors()), sides=sides, allows=tuple(allows))


@st.composite
def policies(draw: st.DrawFn) -> PolicySet:
    """A policy of a few rules."""
    return PolicySet(
        default=draw(st.sampled_from(list(Default))),
        rules=draw(_rule_lists("r", 8)),
        keep=draw(_rule_lists("k", 2, Band.SYSTEM)),
        side_policies=tuple(draw(side_policies(f"s{i}")) for i in range(draw(st.integers(0, 2)))),
        groups=GROUPS,
        services={"mine": ("tcp/8080", "udp/40-60", "dns")},
    )


@st.composite
def workload_labels(draw: st.DrawFn) -> dict[str, str]:
    """Labels of a workload."""
    labels = {}
    if draw(st.booleans()):
        labels["app"] = draw(st.sampled_from(APPS))
    if draw(st.booleans()):
        labels["env"] = draw(st.sampled_from(ENVS))
    return labels


@st.composite
def inventories(draw: st.DrawFn) -> Inventory:
    """Up to seven workloads in two networks with the same addresses."""
    seats = [("red", host) for host in HOSTS] + [("blue", host) for host in HOSTS[:2]]
    seats += [("red", host) for host in HOSTS6]
    taken = draw(st.lists(st.sampled_from(seats), min_size=1, max_size=7, unique=True))
    workloads = []
    for i, (network, address) in enumerate(taken):
        interface = Interface(
            network=network,
            port=f"pf0vf{i % 3}",
            mac=f"02:00:00:00:01:{i:02x}",
            addresses=(address,),
            prefixes=("10.9.0.0/16",) if i == 0 and network == "red" and draw(st.booleans()) else (),
        )
        workloads.append(
            Workload(
                name=f"w{i}",
                labels=draw(workload_labels()),
                kind=draw(st.sampled_from(KINDS)),
                origin=draw(st.sampled_from(("dc", "edge"))),
                interfaces=(interface,),
            )
        )
    return Inventory(networks=NETWORKS, workloads=tuple(workloads), ports=PORTS)


@st.composite
def containments(draw: st.DrawFn, inventory: Inventory) -> Containment:
    """States of some workloads."""
    names = [one.name for one in inventory.workloads]
    states = draw(st.dictionaries(st.sampled_from(names), st.sampled_from(list(State)), max_size=3))
    return Containment(
        states=states,
        keep=draw(_rule_lists("q", 1, Band.SYSTEM)),
        baselines=tuple(
            Baseline(
                draw(st.sampled_from([*states, *names])),
                Rule(
                    name=one.name,
                    band=Band.ALLOW,
                    source=one.source,
                    target=one.target,
                    services=one.services,
                ),
            )
            for one in draw(_rule_lists("b", 2, Band.ALLOW))
        ),
        reject=draw(st.booleans()),
        resets=tuple(draw(st.lists(st.sampled_from(names), max_size=2, unique=True))),
    )
