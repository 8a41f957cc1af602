# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Who matters to whom: which addresses an appliance has to know.

A workload elsewhere (a peer) is in a slice when some rule could give it another verdict, audit verdict or alert with a
workload of the appliance, in either direction, than the same address would get if nobody knew it. It is judged by
rules, not by verdicts at a moment, so that schedules may begin and end, and states change, without another slice:

- a rule *tells* when it lets pass, raises an alert, answers (``reject``) or is in audit; a plain block is silent;
- a peer and a stranger at its address differ by a rule when the one is selected and the other is not;
- a difference by a telling rule counts. A difference by a silent one counts only where something could pass at all: the
  default is not block, or a telling rule holds between the workload and a stranger.

Where a network spans appliances (it has a VNI), packets to a peer need its place, too: there a peer is in the slice
when something may pass between it and a workload of the appliance, although a stranger might pass as well.

Who is contained is in the containment state, which every appliance has whole, and so not the business of this module.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from appliance.flow.types import parse_mac
from appliance.intelligence.matter import Clause, Index, Ints
from appliance.intelligence.slices import Own, Peer, Place, Policy, Slice
from appliance.policy.compiler import relevant
from appliance.policy.identity import BITS, Prefix, Regions, cut, parse_address, parse_prefix
from appliance.policy.model import (
    Containment,
    Default,
    Mode,
    Network,
    PolicySet,
    Rule,
    Side,
    Vtep,
    Workload,
)
from appliance.policy.program import Identity
from appliance.policy.selector import ANY, Selector
from appliance.policy.universe import flat, selectors_of

MANY: Final = 256
"""Bases that change in one step: with more, everything is made anew."""
LEFT: Final = 1000
"""Bases that nobody has any more, beside as many as somebody has: with more, too."""


def clauses(policy: PolicySet, containment: Containment) -> Iterator[Clause]:
    """Everything that may decide at any time."""
    for rule in policy.rules:
        if rule.enabled:
            yield Clause(rule.source, rule.target, _tells(rule))
    for rule in (*policy.keep, *containment.keep, *(one.rule for one in containment.baselines)):
        if rule.enabled:
            yield Clause(rule.source, rule.target, True)
    for two in policy.side_policies:
        for side in two.sides:
            out = side is Side.EGRESS
            yield Clause(two.subjects if out else ANY, ANY if out else two.subjects, False, side)
            for allow in two.allows:
                if allow.side is side:
                    yield Clause(
                        two.subjects if out else allow.peers, allow.peers if out else two.subjects, True, side
                    )


def _tells(rule: Rule) -> bool:
    return rule.action.passes or rule.reject or rule.alert or rule.mode is Mode.AUDIT


@dataclass(frozen=True)
class Fleet:
    """What slices are made of. Workloads have the labels that count."""

    networks: tuple[Network, ...]
    workloads: Mapping[str, Workload]
    revision: int
    policy: Policy
    rules: PolicySet
    containment: Containment
    """Paths that are kept and baselines; states do not matter here."""
    vteps: Mapping[str, Vtep] = field(default_factory=dict)
    """Where tunnels end, by appliance."""


@dataclass
class _Seat:
    """What the slicer knows of one workload."""

    workload: Workload
    peer: Peer
    appliances: frozenset[str]
    bases: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class _View:
    """From where an appliance looks at others."""

    bases: Ints
    """Of its own workloads."""
    opened: bool
    """Silent rules count for it."""
    spanning: frozenset[str]
    """Networks of its workloads that span appliances."""


class Slicer:
    """Makes slices of one fleet. ``next`` takes over what a change leaves as it was."""

    def __init__(self, fleet: Fleet, before: Slicer | None = None) -> None:
        self.fleet = fleet
        self._seats: dict[str, _Seat] = {}
        self._slices: dict[str, Slice] = {}
        self._views: dict[str, _View] = {}
        self._earlier: dict[str, tuple[Slice, frozenset[str]]] = {}
        """By appliance whose own workloads have not changed since: an older slice, and the workloads that have."""
        self._own: dict[str, dict[str, Own]] = {}
        self._around: dict[str, set[str]] = {}
        """By appliance whose slice is known: those that workloads of it are behind."""
        old = before._seats if before is not None else {}
        for name, workload in fleet.workloads.items():
            known = old.get(name)
            self._seats[name] = (
                _Seat(workload, known.peer, known.appliances)
                if known is not None and known.workload is workload
                else _seat(workload)
            )
        selectors = [flat(one, fleet.rules.groups) for one in self._selectors()]
        self._asked = relevant(selectors)
        self._regions = Regions(self._asked.cidrs)
        self._fabric = {one.name: {parse_prefix(text) for text in one.prefixes} for one in fleet.networks}
        self._gateways = {one.name: {parse_prefix(text) for text in one.gateways} for one in fleet.networks}
        self._lengths = {
            name: {v: sorted({p[2] for p in prefixes if p[0] == v}, reverse=True) for v in BITS}
            for name, prefixes in self._fabric.items()
        }
        self._keys: dict[tuple[str, tuple[str, ...]], int] = {}
        self._identities: list[Identity] = []
        self._fallback: list[int] = []
        self._members: list[set[str]] = []
        for name, seat in self._seats.items():
            self._sit(name, seat)
        self._wide = [
            (name, place)
            for name, seat in self._seats.items()
            for place in seat.peer.places
            if place.length < BITS[place.version]
        ]
        """Prefixes, each with its workload; some may be gone."""
        self._inside = self._nested()
        self._index = Index(
            clauses(fleet.rules, fleet.containment), fleet.rules.groups,
            passes=fleet.rules.default is not Default.BLOCK, identities=self._identities, fallback=self._fallback,
            live=self._live(),
        )  # fmt: skip

    def _selectors(self) -> Iterator[Selector]:
        yield from selectors_of(self.fleet.rules)
        containment = self.fleet.containment
        for rule in (*containment.keep, *(one.rule for one in containment.baselines)):
            yield rule.source
            yield rule.target

    # -- bases

    def _sit(self, name: str, seat: _Seat) -> None:
        """Find a workload's bases."""
        owner = self._owner(seat.workload)
        found = set()
        for place in seat.peer.places:
            prefix = (place.version, place.address, place.length)
            found.add(self._base(owner, seat.workload, self._regions.find(prefix), place.network, prefix))
        seat.bases = tuple(sorted(found))
        for base in seat.bases:
            self._members[base].add(name)
        for appliance in seat.appliances:
            self._own.setdefault(appliance, {})[name] = Own(seat.workload)

    def _nested(self) -> dict[str, set[str]]:
        """By workload with prefixes: those that are bound inside of them. Whoever knows the one must know the other,
        or would take it for the one.
        """
        found: dict[str, set[str]] = {}
        for name, around in self._wide:
            for other, seat in self._seats.items():
                if other != name and any(_within(place, around) for place in seat.peer.places):
                    found.setdefault(name, set()).add(other)
        return found

    def _live(self) -> list[int]:
        """Bases that a workload has."""
        return [base for base, names in enumerate(self._members) if names]

    def _owner(self, workload: Workload) -> str:
        labels = ",".join(sorted(f"{key}={value}" for key, value in workload.labels.items()))
        name = workload.name if workload.name in self._asked.names else ""
        origin = workload.origin if self._asked.origin else ""
        return f"workload|{workload.kind}|{origin}|{name}|{labels}"

    def _base(
        self, owner: str, workload: Workload, cidrs: tuple[str, ...], network: str, prefix: Prefix
    ) -> int:
        entity = (
            "appliance"
            if prefix in self._gateways.get(network, ())
            else ("unknown" if self._in_fabric(network, prefix) else "world")
        )
        key = (f"{owner}|{entity}", cidrs)
        known = self._keys.get(key)
        if known is not None:
            return known
        fallback = self._add((entity, cidrs), Identity(base=0, entity=entity, cidrs=cidrs), -1)
        identity = Identity(
            base=0, labels=dict(workload.labels), kind=workload.kind, cidrs=cidrs,
            name=workload.name if workload.name in self._asked.names else "",
            origin=workload.origin if self._asked.origin else "",
        )  # fmt: skip
        return self._add(key, identity, fallback)

    def _add(self, key: tuple[str, tuple[str, ...]], identity: Identity, fallback: int) -> int:
        known = self._keys.get(key)
        if known is not None:
            return known
        number = self._keys[key] = len(self._identities)
        self._identities.append(
            Identity(
                base=number + 1, labels=identity.labels, kind=identity.kind, entity=identity.entity,
                name=identity.name, origin=identity.origin, cidrs=identity.cidrs,
            )
        )  # fmt: skip
        self._fallback.append(number if fallback < 0 else fallback)
        self._members.append(set())
        return number

    def _in_fabric(self, network: str, prefix: Prefix) -> bool:
        version, address, most = prefix
        prefixes = self._fabric.get(network, set())
        return any(
            (version, cut(version, address, length), length) in prefixes
            for length in self._lengths.get(network, {}).get(version, ())
            if length <= most
        )

    # -- slices

    @property
    def appliances(self) -> set[str]:
        """Those that workloads are behind."""
        return set(self._own)

    def slice(self, appliance: str) -> Slice:
        """What one appliance has to know."""
        known = self._slices.get(appliance)
        if known is not None:
            return known
        own = self._own.get(appliance, {})
        old, changed = self._earlier.pop(appliance, (None, frozenset()))
        peers, around = self._found(appliance, own) if old is None else self._renewed(appliance, old, changed)
        self._around[appliance] = around - {appliance}
        made = self._slices[appliance] = Slice(
            self.fleet.revision, self.fleet.networks, self.fleet.policy, own, peers, self._vteps(appliance)
        )
        return made

    def _found(self, appliance: str, own: Mapping[str, Own]) -> tuple[dict[str, Peer], set[str]]:
        """Peers of an appliance, and the appliances that they and its own workloads are behind."""
        peers: dict[str, Peer] = {}
        around: set[str] = set().union(*(self._seats[name].appliances for name in own))
        if not own:
            return peers, around
        bases = np.unique(np.array([base for name in own for base in self._seats[name].bases], np.int64))
        spanning = self._spanning(own)
        matter, passing, opened = self._index.mattering(bases)
        self._views[appliance] = _View(bases, opened, frozenset(spanning))
        for base in np.flatnonzero(matter | passing if spanning else matter).tolist():
            for name in self._members[base]:
                if name not in own and (matter[base] or self._is_behind_tunnel(name, spanning)):
                    peers[name] = self._seats[name].peer
                    around |= self._seats[name].appliances
        for holder in [name for name in self._inside if name in own or name in peers]:
            for name in self._inside[holder] - own.keys():
                peers[name] = self._seats[name].peer
                around |= self._seats[name].appliances
        return peers, around

    def _renewed(
        self, appliance: str, old: Slice, changed: frozenset[str]
    ) -> tuple[dict[str, Peer], set[str]]:
        """The same when only these workloads, none of them its own, have changed since an older slice."""
        peers = dict(old.peers)
        places: set[str] = set()
        for name in changed:
            if (gone := peers.pop(name, None)) is not None:
                places.update(place.owner for place in gone.places)
            if self._has(appliance, name):
                peers[name] = self._seats[name].peer
                places |= self._seats[name].appliances
        if not places - {""}:
            return peers, self._around[appliance]
        return peers, set().union(*(self._seats[name].appliances for name in (*old.own, *peers)))

    def _has(self, appliance: str, name: str) -> bool:
        """Whether a workload that is not behind an appliance is in its slice. Not for workloads inside of others."""
        view, seat = self._views.get(appliance), self._seats.get(name)
        if view is None or seat is None:
            return False
        tunnel = self._is_behind_tunnel(name, view.spanning)
        return any(self._concerns(view, base, tunnel) for base in seat.bases)

    def _concerns(self, view: _View, base: int, tunnel: bool) -> bool:
        """Whether a base matters there; ``tunnel``: it is enough that something may pass."""
        ends = self._index.ends(base)
        return bool(
            ends.telling[view.bases].any()
            or (view.opened and ends.silent[view.bases].any())
            or (tunnel and ends.passing[view.bases].any())
        )

    def member(self, appliance: str, name: str) -> Own | Peer | None:
        """A workload as an appliance has to know it, as ``slice`` would have it; None: it has not."""
        own = self._own.get(appliance, {}).get(name)
        if own is not None:
            return own
        old, changed = self._earlier.get(appliance, (None, frozenset()))
        if old is None:
            return self.slice(appliance).peers.get(name)
        if name not in changed:
            return old.peers.get(name)
        return self._seats[name].peer if self._has(appliance, name) else None

    def made(self, appliance: str) -> Slice | None:
        """The slice of an appliance, if it was asked for since it changed."""
        return self._slices.get(appliance)

    def _spanning(self, own: Iterable[str]) -> set[str]:
        """Networks of these workloads that span appliances."""
        wide = {one.name for one in self.fleet.networks if one.vni}
        return wide and {place.network for name in own for place in self._seats[name].peer.places} & wide

    def _is_behind_tunnel(self, name: str, spanning: Set[str]) -> bool:
        return any(place.owner and place.network in spanning for place in self._seats[name].peer.places)

    def _vteps(self, appliance: str) -> dict[str, Vtep]:
        known = self.fleet.vteps
        return {name: known[name] for name in sorted(self._around[appliance]) if name in known}

    def peer(self, name: str) -> Peer | None:
        """A workload as others see it."""
        seat = self._seats.get(name)
        return None if seat is None else seat.peer

    # -- changes of workloads alone

    def next(self, fleet: Fleet) -> tuple[Slicer, set[str] | None]:
        """The slicer of what the fleet is now, and the appliances whose slices may differ; None: all."""
        made, touched = self._next(fleet)
        old = self.fleet.vteps
        if touched is None or fleet.vteps == old:
            return made, touched
        moved = {name for name in old.keys() | fleet.vteps.keys() if old.get(name) != fleet.vteps.get(name)}
        for appliance, one in list(made._slices.items()):
            if moved & made._around[appliance]:
                made._slices[appliance] = replace(one, vteps=made._vteps(appliance))
                touched.add(appliance)
        return made, touched

    def _next(self, fleet: Fleet) -> tuple[Slicer, set[str] | None]:
        now = self.fleet
        if (
            fleet.policy.digest != now.policy.digest
            or fleet.revision != now.revision
            or fleet.networks != now.networks
            or fleet.containment.keep != now.containment.keep
            or fleet.containment.baselines != now.containment.baselines
            or self._inside
            or any(
                self._nests(one)
                for name, one in fleet.workloads.items()
                if now.workloads.get(name) is not one
            )
        ):
            return Slicer(fleet, self), None
        return self._patched(fleet)

    def _nests(self, workload: Workload) -> bool:
        """Whether others may be inside of a workload that has changed, or it inside of others."""
        if any(one.prefixes for one in workload.interfaces):
            return True
        places = _seat(workload).peer.places if self._wide else ()
        return any(_within(place, around) for place in places for _, around in self._wide)

    def _patched(self, fleet: Fleet) -> tuple[Slicer, set[str] | None]:
        old = self.fleet.workloads
        changed = [name for name, one in fleet.workloads.items() if old.get(name) is not one]
        changed += [name for name in old if name not in fleet.workloads]
        made = Slicer.__new__(Slicer)
        made.__dict__ |= self.__dict__
        made.fleet = fleet
        made._seats, made._own = dict(self._seats), dict(self._own)
        made._keys, made._identities = dict(self._keys), list(self._identities)
        made._fallback, made._members = list(self._fallback), list(self._members)
        touched: set[str] = set()
        bases: set[int] = set()
        fresh: list[tuple[str, _Seat]] = []
        for name in changed:
            before = made._seats.pop(name, None)
            if before is not None:
                for base in before.bases:
                    made._members[base] = made._members[base] - {name}
                for appliance in before.appliances:
                    made._own[appliance] = {k: v for k, v in made._own[appliance].items() if k != name}
                touched |= before.appliances
                bases.update(before.bases)
            if name in fleet.workloads:
                fresh.append((name, _seat(fleet.workloads[name])))
        for _, seat in fresh:
            for appliance in seat.appliances:
                made._own[appliance] = dict(made._own.get(appliance, {}))
            touched |= seat.appliances
        for name, seat in fresh:
            made._seats[name] = seat
            # Sets of members are shared with the slicer before: put in a copy.
            owner = made._owner(seat.workload)
            for place in seat.peer.places:
                prefix = (place.version, place.address, place.length)
                base = made._base(owner, seat.workload, made._regions.find(prefix), place.network, prefix)
                made._members[base] = set(made._members[base])
            made._sit(name, seat)
            bases.update(seat.bases)
        live = made._live()
        # Of those that somebody has, each has a stranger at most.
        if len(bases) > MANY or len(made._identities) > 3 * len(live) + LEFT:
            return Slicer(fleet, self), None
        made._slices, made._around = dict(self._slices), dict(self._around)
        made._views, made._earlier = dict(self._views), dict(self._earlier)
        for appliance in touched:
            for known in (made._slices, made._views, made._earlier):
                known.pop(appliance, None)
        made._index, same = self._index.extended(made._identities, made._fallback, live)
        if (
            not same
        ):  # silent rules count where they did not, or the other way round: nothing is known of anybody
            made._slices, made._views, made._earlier = {}, {}, {}
            return made, None
        touched |= made._concerned(bases)
        names = frozenset(changed)
        for appliance in touched:
            old_slice = made._slices.pop(appliance, None)
            earlier, since = made._earlier.pop(appliance, (old_slice, frozenset()))
            if earlier is not None:
                made._earlier[appliance] = earlier, since | names
        return made, touched

    def _concerned(self, bases: Iterable[int]) -> set[str]:
        """The appliances that some of these bases matter to, or may reach through tunnels."""
        found: set[str] = set()
        for base in bases:
            ends = self._index.ends(base)
            reached = ends.telling | ends.silent
            if any(one.vni for one in self.fleet.networks):
                reached = reached | ends.passing
            behind = {
                appliance
                for other in np.flatnonzero(reached).tolist()
                for name in self._members[other]
                for appliance in self._seats[name].appliances
            }
            for appliance in behind - found:
                view = self._views.get(appliance)
                if view is None or self._concerns(view, base, bool(view.spanning)):
                    found.add(appliance)
        return found


def _within(place: Place, around: Place) -> bool:
    return (
        place.network == around.network
        and place.version == around.version
        and place.length > around.length
        and cut(place.version, place.address, around.length) == around.address
    )


def _seat(workload: Workload) -> _Seat:
    places = []
    for one in workload.interfaces:
        mac = parse_mac(one.mac)
        for text in one.addresses:
            version, address = parse_address(text)
            places.append(Place(one.network, version, address, BITS[version], mac, one.appliance))
        for text in one.prefixes:
            version, address, length = parse_prefix(text)
            places.append(Place(one.network, version, address, length, mac, one.appliance))
    labels = tuple(sorted(workload.labels.items()))
    peer = Peer(workload.name, workload.kind, workload.origin, labels, tuple(places))
    appliances = frozenset(one.appliance for one in workload.interfaces if one.appliance)
    return _Seat(workload, peer, appliances)
