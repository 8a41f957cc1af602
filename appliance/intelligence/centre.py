# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Changes of what a centre knows (``state``): who may make them, and what they must keep to.

Every change is checked whole, committed to the store, and only then counts.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Final

from appliance.errors import BadState, FlowError, InvalidValue, NotFound, NotPermitted
from appliance.intelligence import inventory as inv
from appliance.intelligence import policies as pol
from appliance.intelligence.access import Caller, Role
from appliance.intelligence.authority import check_name
from appliance.intelligence.containing import Containing
from appliance.intelligence.slices import Policy
from appliance.intelligence.state import revision_key
from appliance.policy.compiler import compile as compile_policy
from appliance.policy.identity import bind
from appliance.policy.model import (
    Interface,
    Inventory,
    Network,
    PolicySet,
    Vtep,
    Workload,
)
from appliance.policy.overlay import check_vtep, problems
from appliance.policy.program import Numbers, Program
from appliance.policy.refusal import Refused, some_of
from appliance.policy.selector import parse_selector


class Centre(Containing):
    """See the module. Any thread may call."""

    # -- inventory

    def apply_networks(self, networks: Sequence[Network], caller: Caller) -> int:
        """Add or replace networks."""
        with self.lock, self.audit.refusals(caller.actor, "network.apply", _names(networks)):
            wanted = self.networks | {one.name: one for one in networks}
            inventory = Inventory(networks=tuple(wanted.values()))
            bind(inventory, Numbers())
            if wrong := list(problems(inventory)):
                raise Refused(wrong)
            version = self.store.commit(
                {f"network/{one.name}": inv.network_to_bytes(one) for one in networks}
            )
            self.networks = wanted
            self._changed(version)
            self.note(caller.actor, "network.apply", _names(networks))
            return version

    def apply_workloads(
        self,
        workloads: Sequence[Workload],
        remove: Sequence[str],
        caller: Caller,
        *,
        source: str = "",
        expected: int | None = None,
        reason: str = "",
        action: str = "workload.apply",
    ) -> tuple[int, list[str]]:
        """Add, replace and remove in one step; the version, and the names of those that changed."""
        source = source or caller.who
        target = ", ".join([*(one.name for one in workloads[:10]), *remove[:10]])
        with self.lock, self.audit.refusals(caller.actor, action, target, reason):
            if expected is not None and expected != self.number:
                raise BadState(f"the inventory is at version {self.number}, not {expected}: read it again")
            inv.duplicates(workloads, remove)
            declared = dict(self.declared)
            puts: dict[str, inv.Declared] = {}
            for one in workloads:
                inv.check_workload(one)
                one = self._writable(caller, one)
                old = self.declared.get(one.name)
                if old is not None and old.workload == one:
                    continue
                by = {
                    key: old.by[key]
                    if old is not None and old.workload.labels.get(key) == value and key in old.by
                    else source
                    for key, value in one.labels.items()
                }
                puts[one.name] = inv.Declared(one, by, old.source if old is not None else source)
            for name in remove:
                self._may_remove(caller, name)
                declared.pop(name)
            declared |= puts
            if not puts and not remove:
                return self.number, []
            return self._commit_workloads(declared, puts, remove, caller, action, target, reason)

    def _writable(self, caller: Caller, one: Workload) -> Workload:
        """What a caller may write. An orchestrator: what it declared itself, from and to its networks, with its label
        keys; labels of others that it does not name stay. ``NotPermitted``.
        """
        if caller.role is not Role.ORCHESTRATOR:
            return one
        old = self.declared.get(one.name)
        labels = {} if old is None else old.workload.labels
        self._may_touch(caller, one.name, one.interfaces)
        for key, value in one.labels.items():
            if key not in caller.label_keys and labels.get(key) != value:
                raise NotPermitted(f"workload {one.name}: label key {key!r} is none of {caller.who}'s")
        others = {key: value for key, value in labels.items() if key not in caller.label_keys}
        return replace(one, labels=dict(one.labels) | others)

    def _may_touch(self, caller: Caller, name: str, interfaces: Sequence[Interface] = ()) -> None:
        """An orchestrator touches what it declared, in its networks. ``NotPermitted``."""
        if caller.role is not Role.ORCHESTRATOR:
            return
        old = self.declared.get(name)
        if old is not None and old.source != caller.who:
            raise NotPermitted(f"workload {name}: {old.source} declared it, not {caller.who}")
        for interface in (*interfaces, *(old.workload.interfaces if old is not None else ())):
            if interface.network not in caller.networks:
                raise NotPermitted(f"workload {name}: network {interface.network} is none of {caller.who}'s")

    def _may_remove(self, caller: Caller, name: str) -> None:
        known = self.declared.get(name)
        if known is None:
            raise NotFound(f"there is no workload {name!r} (workloads: {some_of(self.declared)})")
        self._may_touch(caller, name)

    def _commit_workloads(
        self,
        declared: dict[str, inv.Declared],
        puts: Mapping[str, inv.Declared],
        remove: Sequence[str],
        caller: Caller,
        action: str,
        target: str,
        reason: str,
    ) -> tuple[int, list[str]]:
        workloads, by = dict(self.workloads), dict(self.by)
        for name in remove:
            workloads.pop(name, None)
            by.pop(name, None)
        for name, one in puts.items():
            workloads[name], by[name] = inv.effective(one, self.criteria)
        if any(
            name not in self.declared or self.declared[name].workload.interfaces != one.workload.interfaces
            for name, one in puts.items()
        ):
            bind(self._inventory(workloads), Numbers())
        self._run()
        gone = [name for name in remove if name in self._contained.contained]
        layers = self._layers.without(gone)
        contained = self._containing(layers) if gone else self._contained
        items, none = self._containment_items(layers, contained) if gone else ({}, [])
        version = self.store.commit(
            {f"workload/{name}": one.to_bytes() for name, one in puts.items()} | items,
            [*(f"workload/{name}" for name in remove), *none],
        )
        changed = sorted({*remove, *puts})
        before = {name: self.workloads[name] for name in changed if name in self.workloads}
        self.declared, self.workloads, self.by = declared, workloads, by
        self._layers, self._contained = layers, contained
        self._changed(version, contained=bool(gone))
        try:
            self.note(
                caller.actor, action, target, reason=reason,
                before={name: _brief(before[name]) for name in changed[:100] if name in before},
                after={name: _brief(workloads[name]) for name in changed[:100] if name in workloads},
                revision=self.revision.number if self.revision is not None else 0,
            )  # fmt: skip
        finally:
            if gone:
                why = f"{action}: it is there no more"
                self.note(caller.actor, "containment.release", ", ".join(gone[:20]), reason=why)
        return version, changed

    def set_labels(
        self, name: str, labels: Mapping[str, str], remove: Iterable[str], caller: Caller, reason: str = ""
    ) -> int:
        """Set and take away labels of one workload."""
        with self.lock, self.audit.refusals(caller.actor, "workload.label", name, reason):
            known = self.declared.get(name)
            if known is None:
                raise NotFound(f"there is no workload {name!r}")
            self._may_touch(caller, name)
            gone = set(remove)
            if missing := gone - set(known.workload.labels):
                raise NotFound(f"workload {name} has no label {sorted(missing)[0]!r} of its own")
            if caller.role is Role.ORCHESTRATOR and (strange := (gone | set(labels)) - caller.label_keys):
                raise NotPermitted(
                    f"workload {name}: label key {sorted(strange)[0]!r} is none of {caller.who}'s"
                )
            kept = {key: value for key, value in known.workload.labels.items() if key not in gone}
            made = replace(known.workload, labels=kept | dict(labels))
            inv.check_workload(made)
            by = {key: who for key, who in known.by.items() if key in kept} | dict.fromkeys(
                labels, caller.who
            )
            one = inv.Declared(made, by, known.source)
            return self._commit_workloads(
                self.declared | {name: one}, {name: one}, [], caller, "workload.label", name, reason
            )[0]

    def replace_criteria(self, given: Sequence[inv.Criterion], caller: Caller) -> list[str]:
        """All rules that set labels; the names of workloads whose labels changed."""
        with self.lock, self.audit.refusals(caller.actor, "criteria.replace", _names(given)):
            criteria = inv.Criteria(given)
            workloads: dict[str, Workload] = {}
            by: dict[str, dict[str, str]] = {}
            for name, one in self.declared.items():
                made, by[name] = inv.effective(one, criteria)
                workloads[name] = self.workloads[name] if made == self.workloads[name] else made
            version = self.store.commit({"criteria": criteria.to_bytes()})
            changed = [name for name in workloads if workloads[name] is not self.workloads[name]]
            self.criteria, self.workloads, self.by = criteria, workloads, by
            self._changed(version)
            self.note(caller.actor, "criteria.replace", _names(given), after={"changed": changed[:100]})
            return sorted(changed)

    # -- tunnels

    def tell_vtep(self, appliance: str, address: str, mac: str, caller: Caller) -> None:
        """Where an appliance says that its tunnels end; an empty address: it has none. Those who have its workloads in
        their slices are told. ``InvalidValue``: no such address can be, or it is another appliance's. Who was revoked
        has none, whatever it says.
        """
        with self.lock:
            if address and self.trust.is_revoked(f"appliance/{appliance}"):
                return
            old, made, wrong = self.vteps.get(appliance), None, ""
            try:
                made = check_vtep(address, mac) if address else None
            except ValueError as error:
                wrong = str(error)
            if made == old and not wrong:  # no news, and so nothing that would have to be written
                return
            self._move_vtep(appliance, old, made, wrong, caller)

    def _move_vtep(
        self, appliance: str, old: Vtep | None, made: Vtep | None, wrong: str, caller: Caller
    ) -> None:
        with self.audit.refusals(caller.actor, "appliance.vtep", appliance):
            if wrong:
                raise InvalidValue(f"vtep: {wrong}")
            for name, one in self.vteps.items():
                if made is not None and name != appliance and one.address == made.address:
                    raise InvalidValue(f"vtep: {made.address} is appliance {name}'s")
            key = f"vtep/{appliance}"
            version = self.store.commit(
                {key: json.dumps(asdict(made)).encode()} if made is not None else {},
                [key] if made is None else [],
            )
            self.vteps = {name: one for name, one in self.vteps.items() if name != appliance}
            if made is not None:
                self.vteps[appliance] = made
            self._changed(version)
            self.note(
                caller.actor, "appliance.vtep", appliance,
                before={"vtep": old.address if old is not None else ""},
                after={"vtep": made.address if made is not None else ""},
            )  # fmt: skip

    # -- policy

    def update_draft(
        self, name: str, source: str, scope: str | None, caller: Caller, expected: str | None = None
    ) -> tuple[pol.Set, list[str]]:
        """Keep a draft; what a publish would refuse."""
        with self.lock, self.audit.refusals(caller.actor, "policy.draft", name):
            check_name(name)
            known = self.sets.get(name)
            if expected is not None and expected != (digest(known.draft) if known and known.draft else ""):
                raise BadState(f"the draft of set {name} was changed since you read it: read it again")
            old = known or pol.Set(name)
            if scope is not None and scope != old.scope:
                if caller.role is not Role.ADMIN:
                    raise NotPermitted("scope: only an administrator may change what a set speaks of")
                if scope:
                    try:
                        parse_selector(scope)
                    except ValueError as error:
                        raise InvalidValue(f"scope: {error}") from None
            made = replace(
                old, draft=source, draft_actor=caller.who, scope=old.scope if scope is None else scope
            )
            self._commit_sets({name: made})
            self.note(caller.actor, "policy.draft", name, after={"digest": digest(source)})
            try:
                self.candidate(name, source)
            except Exception as error:
                return made, [str(getattr(error, "reason", error))]
            return made, []

    def _commit_sets(self, sets: Mapping[str, pol.Set]) -> None:
        self.number = self.store.commit({f"policyset/{name}": one.to_bytes() for name, one in sets.items()})
        self.sets = self.sets | dict(sets)

    def text_of(self, name: str, source: str) -> str:
        """A text that was given, else the draft, else what is published."""
        known = self.sets.get(name)
        text = source or (known.draft or known.source if known is not None else "")
        if not text:
            raise NotFound(f"set {name} has no draft, and no text was given")
        return text

    def candidate(self, name: str, source: str) -> tuple[PolicySet, Program]:
        """The policy of the fleet with another text of one set, compiled for all of the fleet. ``Refused``."""
        with self.lock:
            text = self.text_of(name, source)
            known = self.sets.get(name, pol.Set(name))
            inventory, model = self.inventory(), self._model()
            sources = {key: one.source for key, one in self.sets.items() if one.source} | {name: text}
        policy = pol.read_for(name, text, inventory)
        pol.check_scope(known.scope, policy, inventory.workloads, name)
        merged = pol.merge(sources)
        return merged, compile_policy(merged, inventory, model)

    def program(self) -> Program:
        """What is published, compiled for all of the fleet."""
        return compile_policy(self.rules, self.inventory(), self._model())

    def publish(
        self, name: str, source: str, caller: Caller, reason: str, expected: int | None = None
    ) -> pol.Revision:
        """One new revision of the fleet."""
        with self.audit.refusals(caller.actor, "policy.publish", name, reason):
            check_name(name)
            self.candidate(name, source)
            with self.lock:
                text = self.text_of(name, source)
                old = self.sets.get(name, pol.Set(name))
                made = replace(old, source=text, draft="", draft_actor="")
                sources = {key: one.source for key, one in self.sets.items() if one.source} | {name: text}
                return self._publish(sources, {name: made}, caller, reason, "publish", name, expected)

    def rollback(self, number: int, caller: Caller, reason: str) -> pol.Revision:
        """What an older revision said, under a new number."""
        with self.lock, self.audit.refusals(caller.actor, "policy.rollback", f"revision {number}", reason):
            if self.revision is None:
                raise NotFound("nothing was published yet")
            number = number or self.revision.number - 1
            item = self.store.get(revision_key(number)) if number > 0 else None
            if item is None:
                raise NotFound(f"there is no revision {number}")
            old = pol.Revision.from_bytes(item.value)
            sets = {
                name: replace(one, source=old.sources.get(name, "")) for name, one in self.sets.items()
            } | {
                name: pol.Set(name, source=text)
                for name, text in old.sources.items()
                if name not in self.sets
            }
            return self._publish(old.sources, sets, caller, reason, "rollback", old.set, None, number)

    def _publish(
        self,
        sources: Mapping[str, str],
        sets: Mapping[str, pol.Set],
        caller: Caller,
        reason: str,
        origin: str,
        name: str,
        expected: int | None,
        of: int = 0,
    ) -> pol.Revision:
        last = self.revision.number if self.revision is not None else 0
        if expected is not None and expected != last:
            raise BadState(
                f"revision {last} is published, not {expected} that you expected: look at what changed"
            )
        rules = pol.merge(sources)
        made = pol.Revision(last + 1, self._clock(), caller.who, reason, origin, name, dict(sources), of)
        version = self.store.commit(
            {revision_key(made.number): made.to_bytes()}
            | {f"policyset/{key}": one.to_bytes() for key, one in sets.items()},
            expect={revision_key(made.number): 0},
        )
        self.sets, self.revision = self.sets | dict(sets), made
        self.rules, self.policy = rules, Policy(pol.canonical(rules))
        self._changed(version)
        self.note(
            caller.actor, f"policy.{origin}", f"revision {made.number}", reason=reason,
            before={"revision": last}, after={"revision": made.number, "set": name, "of": of},
            revision=made.number,
        )  # fmt: skip
        self.audit.sign()
        return made

    def tick(self) -> None:
        """Ends of containment fall due; the audit log's head; changes that are forgotten."""
        failed: FlowError | None = None
        with self.lock:
            self._run()
            for name in self._expire():
                try:
                    self.note(_SELF.actor, "containment.release", name, reason="its time is up")
                except FlowError as error:  # the others are told, or counted as lost, all the same
                    failed = error
        self.audit.tick()
        self._compact()
        if failed is not None:
            raise failed

    # -- administrators

    def raise_generation(self, caller: Caller, reason: str) -> int:
        """After a restore: what is said from here on is newer than anything that was said before."""
        with self.lock, self.audit.refusals(caller.actor, "central.generation", "", reason):
            if not reason.strip():
                raise InvalidValue("reason: say why; it goes into the audit log")
            made = self.generation + 1
            version = self.store.commit({"centre": json.dumps({"id": self.id, "generation": made}).encode()})
            self.generation = made
            self._changed(version, contained=True)
            for told in self.on_change:
                told(None, True)
            self.note(caller.actor, "central.generation", str(made), reason=reason)
            return made

    def rotate_key(self, caller: Caller, reason: str) -> bytes:
        """Another key signs from here on."""
        with self.lock, self.audit.refusals(caller.actor, "central.key", "", reason):
            if not reason.strip():
                raise InvalidValue("reason: say why; it goes into the audit log")
            self.signer.rotate()
            self.note(caller.actor, "central.key", self.signer.public.hex()[:16], reason=reason)
            for told in self.on_change:
                told(None, False)
            return self.signer.public


_SELF: Final = Caller("centre", Role.ADMIN, "centre")


def digest(text: str) -> str:
    """Tells one text from another."""
    return Policy(text).digest.hex()


def _names(given: Sequence[Network] | Sequence[inv.Criterion]) -> str:
    return ", ".join(one.name for one in given[:20])


def _brief(workload: Workload) -> dict[str, object]:
    return {
        "kind": workload.kind,
        "labels": dict(workload.labels),
        "interfaces": [
            f"{one.appliance or '-'} {one.network} {one.port} {one.mac} {' '.join((*one.addresses, *one.prefixes))}"
            for one in workload.interfaces
        ],
    }
