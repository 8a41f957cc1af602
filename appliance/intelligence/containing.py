# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Who is contained in all of the fleet: by the centre, and by appliances for what they hold."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from appliance.errors import FlowError, InvalidValue, NotFound
from appliance.intelligence import wire
from appliance.intelligence.access import Caller
from appliance.intelligence.layers import CENTRE, Layers
from appliance.intelligence.slices import ContainedAt, FleetContainment
from appliance.intelligence.state import CentreState
from appliance.policy.check import checked
from appliance.policy.containment import Contained, KeptPath, check_keep, check_request, kept_rules
from appliance.policy.model import PolicySet, Rule, State
from appliance.policy.selecting import matches, means
from appliance.policy.selector import named


class Containing(CentreState):
    """See the module. Any thread may call."""

    def contain(
        self,
        names: Sequence[str],
        selector: str,
        state: State,
        caller: Caller,
        *,
        reason: str,
        ttl: float = 0.0,
        keep: Sequence[KeptPath] = (),
        baseline: Sequence[Rule] = (),
    ) -> FleetContainment:
        """Put workloads into a state."""
        target = ", ".join([*names[:20], selector]).strip(", ")
        action = f"containment.{state.name.lower()}"
        with self.lock, self.audit.refusals(caller.actor, action, target, reason):
            check_request(reason, ttl)
            check_keep(keep)
            self._check_paths(keep, baseline)
            if state is State.NORMAL:
                raise InvalidValue("state: watched, restricted or quarantined")
            found = set(names)
            if selector:
                some = {one.name for one in matches(selector, self.workloads.values(), self._model().states)}
                if not some:
                    raise NotFound(f"selector {selector!r} means no workload")
                found |= some
            if not found:
                raise InvalidValue("workloads: name some, or give a selector")
            if missing := found - set(self.workloads):
                raise NotFound(f"there is no workload {sorted(missing)[0]!r}")
            now = self._clock()
            made = {
                name: ContainedAt(
                    Contained(name, state, now, ttl, reason, caller.who, tuple(keep), tuple(baseline))
                )
                for name in sorted(found)
            }
            self._run()
            own = {**self._layers.of(CENTRE), **made}
            self._commit_containment(self._layers.saying(CENTRE, own))
            self.note(
                caller.actor, action, target, reason=reason,
                after={"state": state.name.lower(), "workloads": sorted(found)[:100], "ttl_seconds": ttl},
            )  # fmt: skip
            return self._contained

    def _check_paths(self, keep: Sequence[KeptPath], baseline: Sequence[Rule]) -> None:
        """``Refused``: an appliance could not bring a path or a baseline into force, and so none of the containment."""
        kept = kept_rules(Contained("it", State.QUARANTINED, 0.0, 0.0, "", "", tuple(keep)))
        rules = [replace(one, name=f"keep[{number}]") for number, one in enumerate(kept)]
        rules += [replace(one, name=f"baseline[{number}]") for number, one in enumerate(baseline)]
        checked(PolicySet(rules=tuple(rules), groups=self.rules.groups, services=self.rules.services))

    def release(self, names: Sequence[str], caller: Caller, reason: str) -> FleetContainment:
        """End containment."""
        with (
            self.lock,
            self.audit.refusals(caller.actor, "containment.release", ", ".join(names[:20]), reason),
        ):
            if not reason.strip():
                raise InvalidValue("reason: say why; it goes into the audit log")
            for name in names:
                if name not in self._contained.contained:
                    raise NotFound(f"workload {name!r} is not contained")
            self._run()
            self._commit_containment(self._layers.without(names))
            self.note(caller.actor, "containment.release", ", ".join(names[:20]), reason=reason)
            return self._contained

    def report_local(self, appliance: str, contained: Iterable[ContainedAt], caller: Caller) -> list[str]:
        """What is contained at an appliance: merged, and taken back when it is no more. It may only tighten, and only
        what it holds (is behind it), or held when it said so first, since a move ends no containment. The names of
        those that were refused.
        """
        with self.lock:
            self._run()
            before, said, refused = self._layers.of(appliance), {}, []
            for one in contained:
                name = one.contained.workload
                if name not in self.workloads:
                    continue
                if any(place.appliance == appliance for place in self.workloads[name].interfaces):
                    said[name] = self._said(appliance, one, before.get(name))
                elif name in before and one.contained.state <= before[name].contained.state:
                    said[name] = before[name]
                else:
                    refused.append(name)
                    if name in before:
                        said[name] = before[name]
            if said.keys() != before.keys() or any(said[name] is not before[name] for name in said):
                self._commit_containment(self._layers.saying(appliance, said))
                self.note(
                    caller.actor, "containment.merge", appliance,
                    after={name: one.contained.state.name.lower() for name, one in said.items()},
                )  # fmt: skip
            return sorted(set(refused))

    def _said(self, appliance: str, one: ContainedAt, old: ContainedAt | None) -> ContainedAt:
        """What an appliance says of a workload that it holds, as it counts for the fleet; ``old`` if it is no news."""
        what = one.contained
        baseline = self._bound_to(what.workload, what.baseline)
        plain = replace(what, keep=(), baseline=baseline, actor=f"{appliance}: {what.actor}")
        if old is not None and replace(old.contained, left=plain.left) == plain:
            return old
        return ContainedAt(plain, appliance)

    def _bound_to(self, name: str, baseline: Sequence[Rule]) -> tuple[Rule, ...]:
        """A baseline that an appliance tells, with the workload named on the side that means it: it opens nothing for
        anybody else. What does not mean it goes, and all of it when it could not be brought into force, or speaks of
        groups and services of the policy, which another revision may not have.
        """
        me, workload, made = named(name), self.workloads[name], []
        try:
            checked(
                PolicySet(rules=tuple(replace(one, name=f"baseline[{n}]") for n, one in enumerate(baseline)))
            )
            for one in baseline:
                rule = replace(one, name=one.name[:63] or "baseline")
                if means(rule.source, workload, State.RESTRICTED):
                    made.append(replace(rule, source=me))
                if means(rule.target, workload, State.RESTRICTED):
                    made.append(replace(rule, target=me))
        except FlowError:
            return ()
        return tuple(dict.fromkeys(made))

    def _expire(self) -> list[str]:
        """End what is over; the workloads that are contained no more, or less. With the lock."""
        layers = self._layers.lasting()
        if layers == self._layers:
            return []
        before = self._contained.contained
        self._commit_containment(layers)
        now = self._contained.contained
        return [name for name in before if now.get(name) != before[name]]

    def _containing(self, layers: Layers) -> FleetContainment:
        """The next containment."""
        contained = layers.merged()
        places = {name: peer for name in contained if (peer := self._slicer.peer(name)) is not None}
        return FleetContainment(self._contained.number + 1, contained, places)

    def _containment_items(
        self, layers: Layers, made: FleetContainment
    ) -> tuple[dict[str, bytes], list[str]]:
        """What the store is to put and to delete."""
        puts, deletes = layers.changes(self._layers)
        return puts | {"containment": wire.containment_to(made).SerializeToString()}, deletes

    def _commit_containment(self, layers: Layers) -> None:
        made = self._containing(layers)
        version = self.store.commit(*self._containment_items(layers, made))
        self._layers, self._contained = layers, made
        self._changed(version, contained=True)
