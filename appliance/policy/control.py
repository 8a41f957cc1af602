# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Segmentation in operation: inventory, policy, containment and their history, brought into force as one.

Every change goes the same way: it is checked whole, compiled, kept on disk, posted, written into the audit log. What
cannot be brought into force is taken back, and the refusal is written down. Compiling happens beside: a quarantine does
not wait for a publish that is being compiled.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import structlog

from appliance.errors import BadState, FlowError, InvalidValue, NotFound, NotPermitted
from appliance.policy.audit import APPLIANCE, Actor, AuditLog
from appliance.policy.canary import mixed
from appliance.policy.containing import Containing
from appliance.policy.containment import ContainmentBook
from appliance.policy.enforcement import Enforcement
from appliance.policy.guards import Sides, check_protect, cut, cut_off
from appliance.policy.inventory import Workloads
from appliance.policy.model import Default, Inventory, PolicySet, Rule, Workload
from appliance.policy.operation import Confirm, InForce, Publish, Settings, Status, Use
from appliance.policy.reading import placed, read_policy, write_policy
from appliance.policy.refusal import Refused
from appliance.policy.selecting import matches
from appliance.policy.store import Draft, Revision, Store, digest_of

log = structlog.get_logger(__name__)

CLOCK_STEP_SECONDS: Final = 5.0
FLUSH_SECONDS: Final = 5.0
"""What was changed survives the death of the machine after so long; a publish at once."""


class Segmentation:
    """See the module. Any thread may call; ``tick`` belongs to the housekeeping thread."""

    def __init__(
        self,
        settings: Settings,
        directory: Path,
        use: Use,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings = settings
        self._clock, self._monotonic = clock, monotonic
        self.store = Store(directory, clock=clock)
        self.audit = AuditLog(directory, clock=clock)
        self.store.floor = self.audit.published
        self.workloads = Workloads(self.store, settings.networks, settings.ports, settings.overlay)
        self.contained = ContainmentBook(self.store, clock=clock, monotonic=monotonic)
        self.force = Enforcement(settings, self.store, self.contained, use, clock=clock)
        self._changes = threading.RLock()  # one change that compiles at a time
        self.containment = Containing(
            self.force, self.contained, self.workloads, self.audit, self._changes, monotonic=monotonic
        )
        check_protect(settings.protect)
        self._statuses: dict[int, Status] = {}
        self._drift = clock() - monotonic()
        self._flushed_at = monotonic()
        kept = self.store.meta("confirm")
        self._confirm = Confirm(**json.loads(kept)) if kept else None
        self._confirm_at = monotonic()
        self.fault = ""
        """What is wrong with what is in force."""
        self._candidate: tuple[object, InForce] | None = None
        """What ``candidate`` was last asked about, and its answer."""
        self.master = ""
        """Name of the centre that this appliance obeys (``imposed``); empty: it is its own master."""
        self.force.begin(self._prepared())
        if self.audit.published > self.revision and not self.fault:
            self.fault = (
                f"the audit log names revision {self.audit.published}, but the newest on disk is {self.revision}: "
                "somebody took it away, or put an older file in its place"
            )
            log.error("an older policy is in force than was published last", reason=self.fault)

    @property
    def changes(self) -> threading.RLock:
        """Held by whoever compiles something to be brought into force."""
        return self._changes

    def check_master(self) -> None:
        """``NotPermitted``: somebody else says what is enforced here."""
        if self.master:
            raise NotPermitted(
                f"managed by centre {self.master}: use `ringfield central ...`, or `ringfield detach` in an emergency"
            )

    # -- what is in force

    @property
    def in_force(self) -> InForce:
        """What packets are judged by, or will be as soon as there is a fast path."""
        return self.force.in_force

    @property
    def enforced(self) -> bool:
        """Whether the fast path has it."""
        return self.force.enforced

    @property
    def revision(self) -> int:
        """Number of the policy in force; 0: none was published."""
        return self.in_force.revision

    @property
    def confirm(self) -> Confirm | None:
        """The revision that waits for somebody to confirm it."""
        return self._confirm

    def status(self, revision: Revision) -> Status:
        """What became of a revision here."""
        if revision.refusal:
            return Status(state="refused", reason=revision.refusal)
        known = self._statuses.get(revision.number)
        if revision.number < self.revision:
            return Status(state="superseded", seconds=known.seconds if known else 0.0)
        if revision.number == self.revision and self.enforced:
            return known or Status(state="applied")
        return Status(state="pending", reason="" if self.enforced else "there is no fast path at the moment")

    # -- compiling

    def read(self, source: str, file: str, *, check: bool = False) -> PolicySet:
        """A policy from its text; ``Refused`` names every reason. ``check``: labels and names that nobody has are
        reasons too.
        """
        return read_policy(source, file, self.workloads.inventory if check else None)

    @staticmethod
    def write(policy: PolicySet) -> str:
        """A policy as text."""
        return write_policy(policy)

    def _prepared(self) -> InForce:
        """What the disk says is to be in force. A policy that an earlier version took and this one does not is told
        loudly: until it is replaced, everything is judged by the default.
        """
        running = self._trusted()
        policy = PolicySet(default=self.settings.default if not self.fault else Default.BLOCK)
        number = 0
        if running is not None:
            number = running.number
            try:
                policy = self._policy_of(running)
            except Refused as refused:
                policy, self.fault = (
                    PolicySet(),
                    f"revision {number} cannot be read any more: {refused.reason}",
                )
                log.error("everything is blocked until a policy is published", reason=self.fault)
        return self.force.made(number, policy, self.workloads.inventory)

    def _trusted(self) -> Revision | None:
        """The newest revision that is as it was published. One that is not is refused, and told."""
        while (running := self.store.running) is not None:
            why = self.store.distrust(running)
            if not why:
                return running
            self.store.refuse(running.number, why)
            self.audit.append(APPLIANCE, "policy.verify", f"revision {running.number}", refusal=why)
            self.fault = why
            if self._confirm is not None and self._confirm.number == running.number:
                self._set_confirm(None)
            log.error("a stored policy is not taken: the one before it stays", reason=why)
        return None

    def _policy_of(self, revision: Revision) -> PolicySet:
        policy = self.read(revision.source, revision.file)
        confirm = self._confirm
        if confirm is not None and confirm.number == revision.number and confirm.canary:
            return mixed(self._before_canary(confirm), policy, confirm.canary)
        return policy

    def _before_canary(self, confirm: Confirm) -> PolicySet:
        """What those outside of the canary are judged by."""
        if not confirm.back_to:
            return PolicySet(default=self.settings.default)
        before = self.store.revision(confirm.back_to)
        if why := self.store.distrust(before):
            self.fault = why
            log.error("outside of the canary everything is blocked until it is confirmed", reason=why)
            return PolicySet()
        return self.read(before.source, before.file)

    # -- policy

    def draft(self) -> Draft | None:
        """The draft, if there is one."""
        return self.store.draft

    def set_draft(self, source: str, file: str, actor: Actor, expected: str | None = None) -> Draft:
        """Replace the draft."""
        self.check_master()
        return self.store.set_draft(source, file, actor.name, expected=expected)

    def candidate(self, source: str, file: str, *, check: bool = True) -> InForce:
        """A policy as it would be in force now; nothing is changed. ``Refused`` as of ``read`` and the compiler.

        The last one is kept: a draft that nothing has changed under is compiled once, however much is asked about it.
        """
        inventory, numbers, now = self.workloads.inventory, self.in_force.program.numbers, self.force.now()
        seen = source, file, check, self.contained.model(), numbers
        known = self._candidate
        if known is not None and known[0] == seen:
            made = known[1]
            if made.inventory is inventory and (made.next_change is None or now < made.next_change):
                return made
        policy = self.read(source, file, check=check)
        with placed(source, file):
            made = self.force.made(0, policy, inventory)
        self._candidate = seen, made
        return made

    def in_force_with(self, rules: Sequence[Rule]) -> InForce:
        """What packets are judged by, with more rules; nothing is changed. ``Refused`` as of the compiler."""
        now = self.in_force
        if not rules:
            return now
        policy = replace(now.policy, rules=(*now.policy.rules, *rules))
        return self.force.made(now.revision, policy, now.inventory)

    def publish(self, how: Publish, actor: Actor) -> Revision:
        """Bring a policy into force under a new number. Whatever is refused leaves the running one in force."""
        started = self._monotonic()
        action = "policy.rollback" if how.origin in ("rollback", "unconfirmed") else "policy.publish"
        with (
            self._changes,
            self.audit.refusals(actor, action, how.file, how.reason, self.revision),
        ):
            self.check_master()
            number = self.store.check_publish(number=how.number, expected=how.expected)
            if self._confirm is not None and how.origin == "publish":
                raise BadState(
                    f"revision {self._confirm.number} waits to be confirmed: confirm it or roll it back first"
                )
            policy = new = self.read(how.source, how.file, check=how.origin in ("publish", "config"))
            before = self.in_force
            if how.canary:
                if not how.confirm_seconds:
                    raise InvalidValue(
                        "canary: needs a time to confirm: until then it applies to the canary alone"
                    )
                policy = mixed(before.policy, new, how.canary)
            with placed(how.source, how.file):
                wanted = self._compiled(number, policy)
            if not how.force:
                self._guard(before, wanted, how.publisher)
            with self.force.lock:
                revision, waiting = self._written_down(how, actor), self._confirm
                self._wait_for(self._to_confirm(how, revision))
                try:
                    self.force.post_or_keep(wanted)
                except FlowError as error:
                    with self.store.transaction():
                        self.store.refuse(revision.number, error.reason)
                        self._keep_confirm(waiting)  # a roll back that failed is tried again
                    self._wait_for(waiting)
                    raise
                took = self._monotonic() - started
                self._statuses[revision.number] = Status(state="applied", seconds=took)
            self.fault = ""
            self.force.tell()
            draft = self.store.draft
            if draft is not None and draft.digest == revision.digest:
                self.store.drop_draft()
            self.audit.append(
                actor, action, f"revision {revision.number}", reason=how.reason,
                before={"revision": before.revision, "digest": self._digest(before.revision)},
                after={"revision": revision.number, "digest": revision.digest, "forced": how.force,
                       "confirm_seconds": how.confirm_seconds, "canary": how.canary},
                revision=revision.number,
            )  # fmt: skip
        self.store.flush()
        self.audit.sign()
        return revision

    def _written_down(self, how: Publish, actor: Actor) -> Revision:
        """A revision on disk, in one step with the confirmation that it waits for."""
        with self.store.transaction():
            revision = self.store.publish(
                how.source, file=how.file, actor=actor.name, credential=actor.credential, reason=how.reason,
                origin=how.origin, of=how.of, number=how.number, expected=how.expected,
            )  # fmt: skip
            self._keep_confirm(self._to_confirm(how, revision))
        return revision

    def _to_confirm(self, how: Publish, revision: Revision) -> Confirm | None:
        if not how.confirm_seconds:
            return None
        return Confirm(revision.number, self.revision, how.confirm_seconds, how.canary)

    def _guard(self, before: InForce, wanted: InForce, publisher: str) -> None:
        """``BadState``: a publish would cut what it must not by accident."""
        old, new = Sides(before.program, before.inventory), Sides(wanted.program, wanted.inventory)
        found = cut(old, new, self.settings.protect)
        if publisher and self.settings.service:
            found += cut_off(old, new, publisher, self.settings.service)
        if found:
            raise BadState(f"{'; '.join(found[:3])}: refused unless forced")

    def _compiled(self, number: int, policy: PolicySet) -> InForce:
        """Compile beside what goes on. The inventory is this caller's to change, containment is not."""
        return self.force.made(number, policy, self.workloads.inventory, self.in_force.program)

    def _digest(self, number: int) -> str:
        return self.store.revision(number).digest if number else ""

    def forget_confirm(self) -> None:
        """No revision waits to be confirmed any more."""
        self._wait_for(None)
        self._keep_confirm(None)

    def _set_confirm(self, confirm: Confirm | None) -> None:
        self._keep_confirm(confirm)
        self._wait_for(confirm)

    def _keep_confirm(self, confirm: Confirm | None) -> None:
        """On disk: what to wait for after a restart."""
        self.store.set_meta("confirm", json.dumps(asdict(confirm)) if confirm is not None else "")

    def _wait_for(self, confirm: Confirm | None) -> None:
        self._confirm = confirm
        self._confirm_at = self._monotonic()

    def confirm_revision(self, number: int, actor: Actor) -> Revision:
        """Keep a revision that waits for it. One that applied to a canary applies to all from here on."""
        with (
            self._changes,
            self.audit.refusals(actor, "policy.confirm", f"revision {number}", "", self.revision),
        ):
            self.check_master()
            waiting = self._confirm
            if waiting is None or waiting.number != number:
                what = f"revision {waiting.number} does" if waiting is not None else "none does"
                raise BadState(f"revision {number} does not wait to be confirmed; {what}")
            revision = self.store.trusted(number)
            if waiting.canary:
                wanted = self._compiled(number, self.read(revision.source, revision.file))
                with self.force.lock:
                    self.force.post_or_keep(wanted)
            self._set_confirm(None)
            self.force.tell()
            self.audit.append(actor, "policy.confirm", f"revision {number}", revision=number)
        return revision

    def rollback(self, to: int, actor: Actor, reason: str, expected: int | None = None) -> Revision:
        """Publish an older content under a new number; 0: that before the running one."""
        with self._changes:
            with self.audit.refusals(actor, "policy.rollback", f"revision {to}", reason, self.revision):
                if to == 0:
                    older = [
                        r for r in self.store.revisions()
                        if not r.refusal and r.number < self.revision and not self.store.distrust(r)
                    ]  # fmt: skip
                    if not older:
                        raise NotFound("there is no revision before the running one to go back to")
                    to = older[0].number
                revision = self.store.trusted(to)
                if revision.refusal:
                    raise BadState(f"revision {to} never came into force: {revision.refusal}")
            how = Publish(
                source=revision.source, file=revision.file, reason=reason, expected=expected, origin="rollback",
                of=to, force=True,
            )  # fmt: skip
            return self.publish(how, actor)

    # -- workloads

    def change_workloads(
        self, actor: Actor, action: str, target: str, change: Callable[[], Inventory], *, reason: str = ""
    ) -> InForce:
        """Change the inventory and bring it into force; what cannot be is taken back."""
        with self._changes, self.audit.refusals(actor, action, target, reason, self.revision):
            self.check_master()
            before, declared = self.workloads.inventory, self.workloads.declared
            names = {w.name: w for w in before.workloads}
            after = change()
            try:
                with self.force.at_once():
                    quick = self.force.relabel(after)
                if not quick:
                    wanted = self.force.made(
                        self.revision, self.in_force.policy, after, self.in_force.program
                    )
                    with self.force.lock:
                        bound = self.force.bound_anew(wanted)
                        self.force.post_or_keep(wanted)
                    self.force.adopt_connections(bound)
            except FlowError:
                self.workloads.restore(before, declared)
                raise
            now = {w.name: w for w in after.workloads}
            changed = sorted({n for n in now.keys() | names.keys() if now.get(n) != names.get(n)})
            freed = self._forget_contained([name for name in changed if name not in now])
            self.force.tell()
            self.audit.append(
                actor, action, target, reason=reason,
                before={name: _brief(names[name]) for name in changed[:100] if name in names},
                after={name: _brief(now[name]) for name in changed[:100] if name in now},
                revision=self.revision,
            )  # fmt: skip
            if freed:
                self.audit.append(
                    actor, "containment.release", ", ".join(list(freed)[:20]), reason=f"{action}: it is there no more",
                    before=freed, after={}, revision=self.revision,
                )  # fmt: skip
        return self.in_force

    def _forget_contained(self, names: Iterable[str]) -> dict[str, str]:
        """Workloads that are gone are contained no more: their states until now."""
        gone = {
            name: one.state.name.lower() for name in names if (one := self.contained.get(name)) is not None
        }
        if gone:
            self.contained.release(gone)
        return gone

    def select(self, names: Iterable[str], selector: str = "") -> list[Workload]:
        """Workloads by name, or those that a selector means."""
        found = {name: self.workloads.get(name) for name in names}
        if selector:
            states = self.contained.states
            some = matches(selector, self.workloads.all(), states)
            if not some:
                raise NotFound(f"selector {selector!r} means no workload")
            found |= {workload.name: workload for workload in some}
        if not found:
            raise InvalidValue("target: name workloads, or give a selector")
        return [found[name] for name in sorted(found)]

    # -- time

    def tick(self) -> None:
        """Everything that falls due: ends of containment, schedules, confirmations, the audit log's head, the disk."""
        self._watch_clock()
        for name in self.contained.due():
            try:
                self.containment.release([name], APPLIANCE, "its time is up")
            except FlowError as error:
                log.error("a containment cannot be ended", workload=name, reason=error.reason)
        due = self.in_force.next_change
        if due is not None and self.force.now() >= due:
            self._reschedule(due)
        self._run_confirm()
        self.audit.tick()
        if self._monotonic() - self._flushed_at >= FLUSH_SECONDS:
            self._flushed_at = self._monotonic()
            self.store.flush()

    def _watch_clock(self) -> None:
        drift = self._clock() - self._monotonic()
        if abs(drift - self._drift) > CLOCK_STEP_SECONDS:
            log.warning("the clock was set", seconds=round(drift - self._drift, 1))
            self.audit.append(APPLIANCE, "clock.step", after={"seconds": round(drift - self._drift, 3)})
        self._drift = drift

    def _reschedule(self, due: datetime) -> None:
        """A schedule begins or ends: compile for the moment. What cannot be compiled or posted is tried again."""
        with self._changes:
            current = self.in_force
            try:
                wanted = self.force.made(current.revision, current.policy, current.inventory, current.program)
                with self.force.lock:
                    self.force.post_or_keep(wanted)
            except FlowError as error:
                log.error("a schedule cannot be brought into force", reason=error.reason)
                return
        late = max(0.0, (self.force.now() - due).total_seconds())
        self.audit.append(
            APPLIANCE, "policy.schedule", f"revision {current.revision}",
            after={"due": due.isoformat(), "late_seconds": round(late, 3)}, revision=current.revision,
        )  # fmt: skip
        self.force.tell()

    def _run_confirm(self) -> None:
        waiting = self._confirm
        if waiting is None:
            return
        now = self._monotonic()
        waiting.left -= now - self._confirm_at
        self._confirm_at = now
        # Somebody who is about to confirm it, or to roll it back, is let finish: the next tick looks again.
        if waiting.left > 0 or not self._changes.acquire(blocking=False):
            return
        try:
            if self._confirm is waiting:
                self._back_from(waiting)
        finally:
            self._changes.release()

    def _back_from(self, waiting: Confirm) -> None:
        reason = f"revision {waiting.number} was not confirmed"
        source, file = f"default: {self.settings.default.value}\n", "default"
        try:
            if waiting.back_to:
                before = self.store.trusted(waiting.back_to)
                source, file = before.source, before.file
            how = Publish(
                source=source, file=file, reason=reason, origin="unconfirmed", of=waiting.back_to, force=True
            )
            self.publish(how, APPLIANCE)
        except FlowError as error:
            waiting.left = 1.0
            log.error("cannot go back", reason=error.reason)

    # -- the configuration file

    def declare_workloads(self, workloads: Sequence[Workload], digest: str) -> bool:
        """What the configuration says now; before there is a fast path. Whether anything is new."""
        if self.store.meta("declared.workloads") == digest:
            return False
        before = len(self.workloads)
        with self.audit.refusals(APPLIANCE, "workload.declare", "configuration", "", self.revision):
            inventory = self.workloads.declare(workloads)
            self.force.begin(self.force.made(self.revision, self.in_force.policy, inventory))
        self.store.set_meta("declared.workloads", digest)
        self.audit.append(
            APPLIANCE, "workload.declare", "configuration", before={"workloads": before},
            after={"workloads": len(self.workloads)}, revision=self.revision,
        )  # fmt: skip
        return True

    def declare_policy(self, source: str, file: str) -> Revision | None:
        """Publish the configuration's policy, when the file has changed since it was last taken."""
        digest = digest_of(source)
        running = self.store.running
        lost = running is None and bool(self.fault)  # what was published is not what is on disk
        if self.store.meta("declared.policy") == digest and not lost:
            return None
        how = Publish(
            source=source, file=file, reason="the configuration names it", origin="config", force=True
        )
        same = running is not None and running.digest == digest
        revision = None if same else self.publish(how, APPLIANCE)
        self.store.set_meta("declared.policy", digest)
        return revision

    def close(self) -> None:
        """Sign, flush, close."""
        self.contained.due()
        confirm = self._confirm
        if confirm is not None:
            self._set_confirm(confirm)
        self.audit.close()
        self.store.close()


def _brief(workload: Workload) -> dict[str, Any]:
    """A workload for the audit log."""
    return {
        "kind": workload.kind,
        "labels": dict(workload.labels),
        "interfaces": [
            f"{one.network} {one.port} {one.mac} {' '.join((*one.addresses, *one.prefixes))}"
            for one in workload.interfaces
        ],
    }
