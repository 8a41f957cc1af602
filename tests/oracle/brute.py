# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""The rule model by brute force: workloads, rules, one question -> verdict and provenance.

It shares nothing with the compiler but the values of the model: no identities, no classes, no order of rows. Slow and
plain, after the design's words.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from appliance.policy.model import (
    Action,
    Band,
    Containment,
    Inventory,
    Mode,
    PolicySet,
    Rule,
    Side,
    SidePolicy,
    State,
    Workload,
)
from appliance.policy.selector import Op, Requirement, Selector

PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17, "icmp6": 58, "sctp": 132}
DNS = ("udp/53", "tcp/53")


@dataclass(frozen=True, slots=True)
class Judgement:
    """What ``Verdict`` says, for comparing."""

    action: Action
    band: Band
    rule: str
    log: bool = False
    alert: bool = False
    peer_rule: str = ""
    audit: tuple[Action, Band, str] | None = None


@dataclass(frozen=True, slots=True)
class Party:
    """One end of a connection."""

    network: str
    address: str
    workload: Workload | None
    entity: str
    state: State


class Brute:
    """Answers questions about one policy."""

    def __init__(self, policy: PolicySet, inventory: Inventory, containment: Containment) -> None:
        self.policy, self.inventory, self.containment = policy, inventory, containment
        self._selected: dict[tuple[int, str, str], bool] = {}

    # -- who ---------------------------------------------------------------------------------------------------

    def party(self, network: str, address: str) -> Party:
        """Whose an address is in a network."""
        best, length = None, -1
        for workload in self.inventory.workloads:
            for interface in workload.interfaces:
                if interface.network != network:
                    continue
                if ip_address(address) in map(ip_address, interface.addresses):
                    return self._workload(network, address, workload)
                for text in interface.prefixes:
                    prefix = ip_network(text)
                    if _inside(address, text) and prefix.prefixlen > length:
                        best, length = workload, prefix.prefixlen
        here = next(one for one in self.inventory.networks if one.name == network)
        if any(ip_address(address) == ip_address(text) for text in here.gateways):
            return Party(network, address, None, "appliance", State.NORMAL)
        fabric = [ip_network(text).prefixlen for text in here.prefixes if _inside(address, text)]
        if best is not None and (not fabric or length >= max(fabric)):
            return self._workload(network, address, best)
        return Party(network, address, None, "unknown" if fabric else "world", State.NORMAL)

    @functools.cache  # noqa: B019 - lives as long as one example
    def _party(self, network: str, address: str) -> Party:
        return self.party(network, address)

    def _workload(self, network: str, address: str, workload: Workload) -> Party:
        state = self.containment.states.get(workload.name, workload.state)
        return Party(network, address, workload, "", state)

    def selects(self, selector: Selector, party: Party) -> bool:
        """Whether a selector means a party."""
        key = (id(selector), party.network, party.address)
        if key not in self._selected:
            holds = (all(self._holds(part, party) for part in term) for term in selector.terms)
            self._selected[key] = any(holds)
        return self._selected[key]

    def _holds(self, part: Requirement, party: Party) -> bool:
        if part.field == "group":
            return any(self.selects(self.policy.groups[name], party) for name in part.values)
        if part.field == "entity":
            return party.entity in part.values
        if part.field == "cidr":
            return any(_in_cidr(party.address, value) for value in part.values)
        workload = party.workload
        if workload is None:
            return False
        if part.field == "label":
            value = workload.labels.get(part.key)
        else:
            attributes = {
                "name": workload.name, "kind": workload.kind, "origin": workload.origin,
                "state": party.state.name.lower(),
            }  # fmt: skip
            value = attributes[part.field]
        if part.op is Op.EXISTS:
            return value is not None
        if part.op is Op.NOT_EXISTS:
            return value is None
        return (value in part.values) is (part.op is Op.IN)

    # -- what --------------------------------------------------------------------------------------------------

    def serves(self, services: Iterable[str], protocol: int, port: int) -> bool:
        """Whether a service list holds a protocol and port."""
        for text in services:
            if text == "any":
                return True
            found = re.fullmatch(r"([a-z0-9]+)(?:/(\d+)(?:-(\d+))?)?", text)
            if found and found[1] in PROTOCOLS:
                low = int(found[2] or 0)
                high = int(found[3] or found[2] or 65535)
                if PROTOCOLS[found[1]] == protocol and low <= port <= high:
                    return True
            elif self.serves(self.policy.services.get(text) or DNS, protocol, port):
                return True
        return False

    # -- judging -----------------------------------------------------------------------------------------------

    def judge(self, network: str, source: str, target: str, protocol: int, port: int) -> Judgement:
        """The verdict on a connection."""
        a, b = self._party(network, source), self._party(network, target)

        def matches(rule: Rule) -> bool:
            return (
                rule.enabled
                and self.selects(rule.source, a)
                and self.selects(rule.target, b)
                and self.serves(rule.services, protocol, port)
            )

        enforced, _ = self._evaluate(a, b, protocol, port, matches, audit=False)
        would, decided_by_audit = self._evaluate(a, b, protocol, port, matches, audit=True)
        audit = (would.action, would.band, would.rule) if decided_by_audit else None
        return Judgement(
            enforced.action,
            enforced.band,
            enforced.rule,
            enforced.log,
            enforced.alert,
            enforced.peer_rule,
            audit,
        )

    def _evaluate(
        self, a: Party, b: Party, protocol: int, port: int, matches: Callable[[Rule], bool], audit: bool
    ) -> tuple[Judgement, bool]:
        def first(rules: Iterable[Rule]) -> Rule | None:
            found = [rule for rule in rules if (audit or rule.mode is Mode.ENFORCE) and matches(rule)]
            rejects = [
                rule for rule in found if rule.reject and rule.band in (Band.BLOCK, Band.OVERRIDE_BLOCK)
            ]
            return min(rejects or found, key=lambda rule: (rule.priority, rule.name), default=None)

        def banded(band: Band) -> Rule | None:
            return first(rule for rule in self.policy.rules if rule.band is band)

        def of(rule: Rule, band: Band, action: Action) -> tuple[Judgement, bool]:
            alert = rule.alert or action is Action.ALERT
            return Judgement(action, band, rule.name, rule.log, alert), rule.mode is Mode.AUDIT

        if rule := banded(Band.SYSTEM):
            return of(rule, Band.SYSTEM, Action.ALLOW)
        contained = max(a.state, b.state)
        keep = (*self.policy.keep, *self.containment.keep)
        if contained >= State.RESTRICTED and (rule := first(keep)):
            return of(rule, Band.SYSTEM, Action.ALLOW)
        deny = Action.REJECT if self.containment.reject else Action.BLOCK
        if contained is State.QUARANTINED:
            quarantined = {p.workload.name for p in (a, b) if p.workload and p.state is State.QUARANTINED}
            if quarantined & set(self.containment.resets):
                deny = Action.REJECT
            return Judgement(deny, Band.SYSTEM, "quarantine"), False
        restricted = {p.workload.name for p in (a, b) if p.workload and p.state is State.RESTRICTED}
        for name in restricted:  # each needs a connection of its own
            if not any(one.workload == name and matches(one.rule) for one in self.containment.baselines):
                return Judgement(deny, Band.SYSTEM, "restrict"), False
        for band in (Band.OVERRIDE_ALLOW, Band.OVERRIDE_ALERT, Band.OVERRIDE_BLOCK):
            if rule := banded(band):
                return of(rule, band, rule.action)
        if sides := self._sides(a, b, protocol, port):
            return sides, False
        for band in (Band.ALLOW, Band.ALERT, Band.BLOCK):
            if rule := banded(band):
                return of(rule, band, rule.action)
        action = self.policy.default.action
        return Judgement(action, Band.DEFAULT, "default", alert=action is Action.ALERT), False

    def _sides(self, a: Party, b: Party, protocol: int, port: int) -> Judgement | None:
        says: dict[Side, tuple[bool, str] | None] = {}
        for side, subject, peer in ((Side.EGRESS, a, b), (Side.INGRESS, b, a)):
            concerned = [
                one
                for one in self.policy.side_policies
                if side in one.sides and subject.workload is not None and self.selects(one.subjects, subject)
            ]
            allowing = [one for one in concerned if self._permits(one, side, peer, protocol, port)]
            named = min((one.name for one in allowing or concerned), default="")
            says[side] = (bool(allowing), named) if concerned else None
        egress, ingress = says[Side.EGRESS], says[Side.INGRESS]
        if egress is None and ingress is None:
            return None
        for mine, other in ((ingress, egress), (egress, ingress)):
            if mine is not None and not mine[0]:
                return Judgement(Action.BLOCK, Band.BLOCK, mine[1], peer_rule=other[1] if other else "")
        mine, other = (ingress, egress) if ingress is not None else (egress, None)
        assert mine is not None
        return Judgement(Action.ALLOW, Band.ALLOW, mine[1], peer_rule=other[1] if other else "")

    def _permits(self, policy: SidePolicy, side: Side, peer: Party, protocol: int, port: int) -> bool:
        return any(
            allow.side is side
            and self.selects(allow.peers, peer)
            and self.serves(allow.services, protocol, port)
            for allow in policy.allows
        )


def _inside(address: str, prefix: str) -> bool:
    one, network = ip_address(address), ip_network(prefix)
    return one.version == network.version and one in network


def _in_cidr(address: str, text: str) -> bool:
    outer, _, inner = text.partition(" except ")
    return _inside(address, outer) and not any(_inside(address, part) for part in inner.split())
