# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""What a centre knows, and what each appliance is to be told of it.

The version of a commit is the number of what is said next. Nothing here knows connections: ``on_change`` tells who has
to be told. Who may change it, and how, is in ``centre``.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from appliance.errors import FlowError
from appliance.intelligence import inventory as inv
from appliance.intelligence import policies as pol
from appliance.intelligence import wire
from appliance.intelligence.authority import CERTIFICATE_SECONDS, Authority, check_name
from appliance.intelligence.layers import PREFIX, Layers
from appliance.intelligence.relevance import Fleet, Slicer
from appliance.intelligence.signing import Signer
from appliance.intelligence.slices import FleetContainment, Policy, Slice
from appliance.intelligence.sqlite import SqliteStore
from appliance.intelligence.store import Store
from appliance.intelligence.threats import Threats
from appliance.intelligence.trust import Trust
from appliance.intelligence.v1 import statement_pb2
from appliance.policy.audit import Actor, AuditLog
from appliance.policy.containment import baselines_of, kept_rules
from appliance.policy.model import (
    Containment,
    Interface,
    Inventory,
    Network,
    PolicySet,
    Vtep,
    Workload,
)

KEEP_CHANGES: Final = 10_000
"""Commits that a watcher may be behind."""
COMPACT_EVERY: Final = 1000
"""Commits."""


class CentreState:
    """See the module. Any thread may call."""

    def __init__(
        self,
        directory: Path,
        *,
        name: str = "",
        store: Store | None = None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        certificate_seconds: float = CERTIFICATE_SECONDS,
    ) -> None:
        """``name`` is for the first time; afterwards it is what it was."""
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._clock, self._monotonic = clock, monotonic
        self.store: Store = store if store is not None else SqliteStore(directory)
        self.lock = threading.RLock()
        known = self.store.get("centre")
        if known is None:
            self.id = name or f"centre-{secrets.token_hex(3)}"
            check_name(self.id)
            self.store.commit(
                {"centre": json.dumps({"id": self.id, "generation": 1}).encode()}, expect={"centre": 0}
            )
            self.generation = 1
        else:
            found = json.loads(known.value)
            self.id, self.generation = found["id"], found["generation"]
        self.authority = Authority(directory / "authority", self.id)
        self.signer = Signer(directory / "signing")
        self.audit = AuditLog(directory / "audit", clock=clock)
        self.threats = Threats(self.store, clock=clock, monotonic=monotonic)
        self.trust = Trust(self.store, self.authority, clock=clock, certificate_seconds=certificate_seconds)
        self.on_change: list[Callable[[set[str] | None, bool], None]] = []
        """Told the appliances whose slices may be others now (None: all), and whether containment is another."""
        self.failed = ""
        """What could not be written since ``upkeep`` looked; empty: everything could."""
        self._compacted = 0
        """Version of the store when changes were forgotten last."""
        self._load()

    # -- what there is

    def _load(self) -> None:
        store = self.store
        self.networks: dict[str, Network] = {
            item.key.removeprefix("network/"): inv.network_from_bytes(item.value)
            for item in store.range("network/")
        }
        self.declared: dict[str, inv.Declared] = {
            item.key.removeprefix("workload/"): inv.Declared.from_bytes(item.value)
            for item in store.range("workload/")
        }
        kept = store.get("criteria")
        self.criteria = inv.Criteria.from_bytes(kept.value) if kept is not None else inv.Criteria([])
        self.sets: dict[str, pol.Set] = {
            item.key.removeprefix("policyset/"): pol.Set.from_bytes(item.value)
            for item in store.range("policyset/")
        }
        revisions = store.range("revision/")
        self.revision = pol.Revision.from_bytes(revisions[-1].value) if revisions else None
        kept = store.get("containment")
        if kept is None:
            self._contained = FleetContainment(0, {})
        else:
            self._contained = wire.containment_from(statement_pb2.ContainmentState.FromString(kept.value))
        self._layers = Layers.read(store.range(PREFIX), self._contained)
        self._contained_at = self._monotonic()
        self.workloads: dict[str, Workload] = {}
        self.by: dict[str, dict[str, str]] = {}
        for name, one in self.declared.items():
            self.workloads[name], self.by[name] = inv.effective(one, self.criteria)
        self.rules = self._merged(self.sets)
        self.policy = Policy(pol.canonical(self.rules))
        self.vteps: dict[str, Vtep] = {
            item.key.removeprefix("vtep/"): Vtep(**json.loads(item.value)) for item in store.range("vtep/")
        }
        """Where each appliance says that its tunnels end."""
        self.number = store.version
        self._slicer = Slicer(self._fleet())

    @staticmethod
    def _merged(sets: Mapping[str, pol.Set]) -> PolicySet:
        return pol.merge({name: one.source for name, one in sets.items() if one.source})

    def _fleet(self) -> Fleet:
        return Fleet(
            tuple(self.networks[name] for name in sorted(self.networks)),
            self.workloads,  # replaced by a change, never changed in place
            self.revision.number if self.revision is not None else 0,
            self.policy,
            self.rules,
            self._model(),
            dict(self.vteps),
        )

    def _model(self) -> Containment:
        """Containment as the compiler takes it."""
        all_ = [self._contained.contained[name].contained for name in sorted(self._contained.contained)]
        return Containment(
            states={one.workload: one.state for one in all_},
            keep=tuple(rule for one in all_ for rule in kept_rules(one)),
            baselines=baselines_of(all_),
        )

    def inventory(self) -> Inventory:
        """All of the fleet, as a compiler takes it: nothing is plugged in at the centre."""
        with self.lock:
            return self._inventory(self.workloads)

    def _inventory(self, workloads: Mapping[str, Workload]) -> Inventory:
        made = tuple(_elsewhere(workloads[name]) for name in sorted(workloads))
        return Inventory(
            networks=tuple(self.networks[name] for name in sorted(self.networks)), workloads=made, ports={}
        )

    # -- what appliances are to be told

    def wanted(self, appliance: str) -> tuple[int, Slice | None]:
        """Number and slice of an appliance; no slice before anything was published."""
        with self.lock:
            if self.revision is None:
                return self.number, None
            return self.number, self._slicer.slice(appliance)

    @property
    def containment(self) -> FleetContainment:
        """Who is contained, with the time that is left now."""
        with self.lock:
            self._run()
            return self._contained

    @property
    def containment_number(self) -> int:
        """Of the containment as it is now; without the lock."""
        return self._contained.number

    def slices(self) -> dict[str, Slice]:
        """What each appliance that workloads are behind has to know, by name."""
        with self.lock:
            return {name: self._slicer.slice(name) for name in sorted(self._slicer.appliances)}

    @property
    def slicer(self) -> Slicer:
        """What slices are made by; it is another after each change. With the lock."""
        return self._slicer

    def _changed(self, version: int, *, contained: bool = False) -> None:
        """After a commit, with the lock."""
        self.number = version
        self._slicer, touched = self._slicer.next(self._fleet())
        for told in self.on_change:
            told(touched, contained)

    def _compact(self) -> None:
        """Forget changes that no watcher needs, now and then; whoever made them."""
        version = self.store.version
        if version - self._compacted >= COMPACT_EVERY:
            self.store.compact(version - KEEP_CHANGES)
            self._compacted = version

    def revisions(self, limit: int) -> list[pol.Revision]:
        """The newest first."""
        last = self.revision.number if self.revision is not None else 0
        found = self.store.range("revision/", after=revision_key(max(0, last - limit)))
        return [pol.Revision.from_bytes(item.value) for item in reversed(found)]

    def _run(self) -> None:
        """Let the time that is left run on."""
        now = self._monotonic()
        passed, self._contained_at = now - self._contained_at, now
        if self._layers.runs:
            self._layers = self._layers.later(passed)
            self._contained = replace(self._contained, contained=self._layers.merged())

    def note(
        self,
        actor: Actor,
        action: str,
        target: str = "",
        *,
        reason: str = "",
        before: Mapping[str, object] | None = None,
        after: Mapping[str, object] | None = None,
        revision: int = 0,
    ) -> None:
        """Write down what was done. ``FlowError``: it was done all the same, and the entry is counted as lost."""
        try:
            self.audit.append(
                actor, action, target, reason=reason, before=before, after=after, revision=revision
            )
        except FlowError as error:
            failed = FlowError(f"{action} {target}: it is done, but {error.reason}", error.code)
            failed.audited = True
            raise failed from None

    def probe(self) -> None:
        """Try whether a change could be written. ``FlowError``: why not."""
        self.store.probe()
        with self.audit.refusals(Actor("centre", "centre"), "central.probe"):
            pass  # what could not be written before is told first

    def close(self) -> None:
        """Everything is on disk."""
        self.audit.close()
        self.store.close()


def revision_key(number: int) -> str:
    return f"revision/{number:012d}"


def _elsewhere(workload: Workload) -> Workload:
    """With interfaces that are behind some appliance, or none, but not here."""
    if all(one.appliance for one in workload.interfaces):
        return workload
    interfaces: list[Interface] = [
        one if one.appliance else replace(one, appliance="-") for one in workload.interfaces
    ]
    return replace(workload, interfaces=tuple(interfaces))
