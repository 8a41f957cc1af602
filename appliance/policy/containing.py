# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Putting workloads into a state and out of it again, as soon as packets can feel it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace

from appliance.errors import FlowError, InvalidValue
from appliance.policy.audit import Actor, AuditLog
from appliance.policy.check import nobody_has
from appliance.policy.containment import Contained, ContainmentBook, KeptPath, check_keep, check_request
from appliance.policy.enforcement import Enforcement
from appliance.policy.flip import flip
from appliance.policy.inventory import Workloads
from appliance.policy.model import Rule, State, Workload
from appliance.policy.operation import InForce
from appliance.policy.selector import parse_selector


class Containing:
    """What a containment does, from the request to the audit log. Any thread may call."""

    def __init__(
        self,
        force: Enforcement,
        contained: ContainmentBook,
        workloads: Workloads,
        audit: AuditLog,
        changes: threading.RLock,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """``changes`` is held while something is compiled to be brought into force."""
        self._force, self._contained, self._workloads, self._audit = force, contained, workloads, audit
        self._changes, self._monotonic = changes, monotonic
        self.baselines: Callable[[Sequence[Workload]], Iterable[Rule]] = lambda workloads: ()
        """Connections that workloads are known to have; for ``restrict``."""

    def contain(
        self,
        workloads: Sequence[Workload],
        state: State,
        actor: Actor,
        *,
        reason: str,
        ttl: float = 0.0,
        keep: Sequence[KeptPath] = (),
        reset: bool = False,
    ) -> tuple[list[Contained], InForce, InForce, float]:
        """Put workloads into a state; what is in force before and after, and the seconds until packets felt it.

        ``reset``: peers of quarantined ones are answered instead of left waiting.
        """
        started = self._monotonic()
        action = {State.QUARANTINED: "containment.quarantine", State.RESTRICTED: "containment.restrict"}.get(
            state, "containment.watch"
        )
        names = [workload.name for workload in workloads]
        target = ", ".join(names[:20])
        with self._audit.refusals(actor, action, target, reason, self._force.in_force.revision):
            check_request(reason, ttl)
            check_keep(keep)
            self._check_ends(keep)
            old = {name: self._contained.get(name) for name in names}

            baseline = self._baseline(workloads, old) if state is State.RESTRICTED else ()

            def change() -> list[Contained]:
                return self._contained.contain(
                    workloads,
                    state,
                    reason=reason,
                    actor=actor.name,
                    ttl=ttl,
                    keep=keep,
                    baseline=baseline,
                    reset=reset,
                )

            def written(made: list[Contained]) -> None:
                self._audit.append(
                    actor, action, target, reason=reason,
                    before={name: one.state.name.lower() if one else "normal" for name, one in old.items()},
                    after={"state": state.name.lower(), "ttl_seconds": ttl, "keep": [asdict(path) for path in keep],
                           "reset": reset},
                    revision=self._force.in_force.revision,
                )  # fmt: skip

            compiles = state is State.RESTRICTED or bool(keep) or reset or _compiles(old.values())
            made, before, after = self._restate(old, change, written, compiles)
        seconds = self._monotonic() - started
        self._force.tell()
        return made, before, after, seconds

    def _check_ends(self, keep: Sequence[KeptPath]) -> None:
        """A path for somebody whom nobody is would not be open to those who need it."""
        now = self._force.in_force
        for number, path in enumerate(keep):
            for side, text in (("source", path.source), ("target", path.target)):
                if text and (why := nobody_has(parse_selector(text), now.policy, now.inventory)):
                    raise InvalidValue(f"keep[{number}].{side}: {why}")

    def as_if(self, name: str, state: State) -> InForce:
        """What would be in force if a workload were in a state; nothing is changed."""
        now = self._force.in_force
        program, _, _ = flip(now.program, now.places, {name: state})
        return replace(now, program=program, states={**now.states, name: state})

    def release(self, names: Sequence[str], actor: Actor, reason: str) -> list[Contained]:
        """End containment."""
        target = ", ".join(list(names)[:20])
        with self._audit.refusals(
            actor, "containment.release", target, reason, self._force.in_force.revision
        ):
            if not reason.strip():
                raise InvalidValue("reason: say why; it goes into the audit log")
            old = {name: self._contained.get(name) for name in names}

            def written(made: list[Contained]) -> None:
                self._audit.append(
                    actor, "containment.release", target, reason=reason,
                    before={one.workload: one.state.name.lower() for one in made},
                    after={one.workload: "normal" for one in made}, revision=self._force.in_force.revision,
                )  # fmt: skip

            made, _, _ = self._restate(
                old, lambda: self._contained.release(names), written, _compiles(old.values())
            )
        self._force.tell()
        return made

    def _baseline(
        self, workloads: Sequence[Workload], old: Mapping[str, Contained | None]
    ) -> tuple[Rule, ...]:
        """What workloads are known to do. What they do while they are restricted does not narrow it."""
        had = [rule for one in old.values() if one is not None for rule in one.baseline]
        return tuple(dict.fromkeys([*had, *self.baselines(workloads)]))

    def _restate(
        self,
        old: Mapping[str, Contained | None],
        change: Callable[[], list[Contained]],
        written: Callable[[list[Contained]], None],
        compiles: bool,
    ) -> tuple[list[Contained], InForce, InForce]:
        """Change who is contained, ``old`` being what they were; what is in force before and after.

        What is wanted is on disk and in the audit log (``written``) before packets feel it: who is killed in between
        brings it into force at the next start. Neither waits for the disk.
        """
        if not compiles:
            with self._force.at_once():
                before, kept = self._force.in_force, self._contained.kept(old)
                made = change()
                try:
                    written(made)
                    self._force.flip_now()
                except FlowError:
                    self._contained.put_back(kept)
                    raise
                return made, before, self._force.in_force
        with self._changes:
            with self._force.lock:
                before, kept = self._force.in_force, self._contained.kept(old)
                made = change()
                # Until rules that keep or restrict are compiled, nobody else's change brings the new state into force.
                self._force.pending = {name: before.states.get(name, State.NORMAL) for name in old}
            try:
                wanted = self._force.made(
                    self._force.in_force.revision, before.policy, self._workloads.inventory, before.program
                )
                with self._force.lock:
                    written(made)
                    self._force.pending = {}
                    self._force.post_or_keep(wanted)
            except FlowError:
                with self._force.lock:
                    self._contained.put_back(kept)
                    self._force.pending = {}
                raise
            return made, before, self._force.in_force


def _compiles(old: Iterable[Contained | None]) -> bool:
    """Whether a change of states is more than other numbers in a few rows. Baselines that nobody is left for say
    nothing, and go with the next compile.
    """
    return any(one and (one.keep or one.reset) for one in old)
