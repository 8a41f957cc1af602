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
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import structlog

from appliance.errors import BadState, FlowError, InvalidValue, NotConnected, NotFound
from appliance.flow.types import CtConfig
from appliance.policy.audit import APPLIANCE, Actor, AuditLog
from appliance.policy.canary import mixed
from appliance.policy.compiler import Options
from appliance.policy.compiler import compile as compile_policy
from appliance.policy.containment import Contained, ContainmentBook, KeptPath, check_keep, check_request
from appliance.policy.flip import Rows, flip, places, relabel
from appliance.policy.guards import Sides, check_protect, cut, cut_off
from appliance.policy.inner import next_change
from appliance.policy.inventory import Workloads
from appliance.policy.model import Default, Inventory, Network, PolicySet, Rule, State, Workload
from appliance.policy.program import Numbers, Program
from appliance.policy.reading import read_policy, write_policy
from appliance.policy.reconciler import Applied, OutOfStep, Reconciler
from appliance.policy.refusal import Refused
from appliance.policy.selecting import matches
from appliance.policy.store import Draft, Revision, Store, digest_of

log = structlog.get_logger(__name__)

Use = Callable[[float | None], AbstractContextManager[Any]]
"""Gives the Dpu to one caller at a time; ``NotConnected`` while there is none."""
CLOCK_STEP_SECONDS: Final = 5.0
NO_CT: Final = CtConfig()


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the configuration says."""

    networks: tuple[Network, ...]
    ports: Mapping[str, int]
    """Logical id by name."""
    ct: CtConfig = NO_CT
    default: Default = Default.BLOCK
    """While no policy was published."""
    appliance: str = "local"
    service: str = ""
    """HOST:PORT at which publishers reach this appliance."""
    protect: tuple[tuple[str, str, str], ...] = ()
    """Connections (from, to, service) that no publish may cut unless forced; selectors and one service."""
    reject_contained: bool = False
    """Answer the peers of contained workloads instead of dropping silently."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InForce:
    """What packets are judged by."""

    revision: int
    """0: none was published."""
    policy: PolicySet
    inventory: Inventory
    program: Program
    states: Mapping[str, State]
    """Of workloads that are not in the normal one."""
    places: Mapping[str, Sequence[int]]
    """Where each workload's bindings are in the program's."""
    workloads: Mapping[str, Workload]
    """Of the inventory, by name."""
    next_change: datetime | None = None
    """When a schedule next begins or ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What became of a revision here."""

    state: str
    """``pending``, ``applied``, ``refused``, ``superseded``."""
    reason: str = ""
    seconds: float = 0.0
    """From the publish until packets were judged by it."""


@dataclass(slots=True)
class Confirm:
    """A revision that is rolled back unless somebody confirms it."""

    number: int
    back_to: int
    left: float
    """Seconds."""
    canary: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Publish:
    """How a policy is to be published."""

    source: str
    file: str
    reason: str = ""
    number: int = 0
    expected: int | None = None
    confirm_seconds: float = 0.0
    canary: str = ""
    force: bool = False
    publisher: str = ""
    """Address of who publishes, when it is known."""
    origin: str = "publish"
    of: int = 0


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
        self._use, self._clock, self._monotonic = use, clock, monotonic
        self.store = Store(directory, clock=clock)
        self.audit = AuditLog(directory, clock=clock)
        self.workloads = Workloads(self.store, settings.networks, settings.ports)
        self.contained = ContainmentBook(self.store, clock=clock, monotonic=monotonic)
        self.reconciler = Reconciler()
        check_protect(settings.protect)
        self.baselines: Callable[[Sequence[Workload]], Iterable[Rule]] = lambda workloads: ()
        """Connections that workloads are known to have; for ``restrict``."""
        self.before_change: list[Callable[[InForce], None]] = []
        """Told what comes, before any packet is judged by it; it may still be refused."""
        self.on_change: list[Callable[[InForce], None]] = []
        """Called with what is in force now, by the thread that changed it."""
        self.out_of_step: Callable[[], None] = lambda: None
        """Has somebody attach to the fast path anew, which ends in ``bring_up``; must not wait for that."""
        self._changes = threading.RLock()  # one change that compiles at a time
        self._lock = threading.RLock()  # what is in force, and posting
        self._statuses: dict[int, Status] = {}
        self._drift = clock() - monotonic()
        text = self.store.meta("numbers")
        self._numbers = Numbers.from_dict(json.loads(text)) if text else Numbers()
        self._tags = set(self.store.interned("verdict"))
        kept = self.store.meta("confirm")
        self._confirm = Confirm(**json.loads(kept)) if kept else None
        self._confirm_at = monotonic()
        self._pending: dict[str, State] = {}
        """States until now of workloads whose new one is being compiled."""
        self._enforced = False
        self._own_states: tuple[Inventory | None, dict[str, State]] = (None, {})
        self.fault = ""
        """What is wrong with what is in force."""
        self._in_force = self._prepared()

    # -- what is in force

    @property
    def in_force(self) -> InForce:
        """What packets are judged by, or will be as soon as there is a fast path."""
        return self._in_force

    @property
    def enforced(self) -> bool:
        """Whether the fast path has it."""
        return self._enforced

    @property
    def revision(self) -> int:
        """Number of the policy in force; 0: none was published."""
        return self._in_force.revision

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
        if revision.number == self.revision and self._enforced:
            return known or Status(state="applied")
        return Status(state="pending", reason="" if self._enforced else "there is no fast path at the moment")

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

    def compile(
        self, policy: PolicySet, inventory: Inventory | None = None, *, before: Program | None = None
    ) -> Program:
        """A program for a policy, as of now; nothing is changed. ``Refused`` names every reason."""
        containment = self.contained.model(reject=self.settings.reject_contained)
        return compile_policy(
            policy,
            inventory if inventory is not None else self.workloads.inventory,
            containment,
            numbers=self._numbers,
            options=Options(ct=self.settings.ct),
            at=self._now(),
            previous=before,
        )

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)

    def _prepared(self) -> InForce:
        """What the disk says is to be in force. A policy that an earlier version took and this one does not is told
        loudly: until it is replaced, everything is judged by the default.
        """
        running = self.store.running
        policy = PolicySet(default=self.settings.default)
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
        return self._made(number, policy, self.workloads.inventory)

    def _policy_of(self, revision: Revision) -> PolicySet:
        policy = self.read(revision.source, revision.file)
        confirm = self._confirm
        if confirm is not None and confirm.number == revision.number and confirm.canary:
            before = self.store.revision(confirm.back_to) if confirm.back_to else None
            old = (
                self.read(before.source, before.file) if before else PolicySet(default=self.settings.default)
            )
            return mixed(old, policy, confirm.canary)
        return policy

    def _made(
        self, revision: int, policy: PolicySet, inventory: Inventory, before: Program | None = None
    ) -> InForce:
        states = self._states(inventory)
        program = self.compile(policy, inventory, before=before)
        return InForce(
            revision=revision, policy=policy, inventory=inventory, program=program, states=states,
            places=places(program), workloads={one.name: one for one in inventory.workloads},
            next_change=next_change(policy, self._now()),
        )  # fmt: skip

    def _states(self, inventory: Inventory) -> dict[str, State]:
        """States that are not normal, containment's before the inventory's."""
        known, own = self._own_states
        if known is not inventory:
            own = {one.name: one.state for one in inventory.workloads if one.state is not State.NORMAL}
            self._own_states = inventory, own
        return own | self.contained.states

    # -- bringing it into force

    def bring_up(self) -> Applied:
        """There is a fast path. Takes over what an earlier appliance posted, posts what differs."""
        with self._lock:
            with self._use(None) as dpu:
                adopted = self.reconciler.adopt(dpu, next(iter(dpu.ports.values())))
                self._keep(self._in_force.program)
                # Who was killed between a commit and its epoch has told no connection of it: tell all of them.
                applied = self.reconciler.apply(dpu, self._in_force.program, self.revision, judge_all=adopted)
            self._enforced = True
        log.info(
            "segmentation is in force", revision=self.revision, adopted=adopted, workloads=len(self.workloads),
            rows_added=applied.rows_added, rows_removed=applied.rows_removed, rows_updated=applied.rows_updated,
        )  # fmt: skip
        self._tell()
        return applied

    def lost(self) -> None:
        """From the node: the fast path is gone."""
        with self._lock:
            self._enforced = False
            self.reconciler.forget()

    def _tell(self) -> None:
        for told in self.on_change:
            told(self._in_force)

    def _keep(self, program: Program) -> None:
        """Numbers must be on disk before anything in the fast path names them."""
        if program.numbers != self._numbers:
            self.store.set_meta("numbers", json.dumps(program.numbers.to_dict()))
            self._numbers = program.numbers
        added = {tag: verdict for tag, verdict in program.verdicts.items() if tag not in self._tags}
        if added:
            texts = {tag: json.dumps(asdict(verdict)) for tag, verdict in added.items()}
            self.store.intern("verdict", texts)
            self._tags |= set(added)

    def _post(self, wanted: InForce, *, seconds: float | None = None) -> Applied:
        """Bring a program into force. The caller holds the lock. ``NotConnected``: there is no fast path."""
        self._keep(wanted.program)
        if not self._enforced:
            raise NotConnected("there is no fast path at the moment")
        for told in self.before_change:
            told(wanted)
        try:
            with self._use(seconds) as dpu:
                applied = self.reconciler.apply(dpu, wanted.program, wanted.revision)
        except OutOfStep:
            self._resync()
            raise
        self._in_force = wanted
        return applied

    def _resync(self) -> None:
        """The reconciler does not know the fast path any more: somebody has to attach anew; packets do not notice."""
        log.warning("a transaction failed: attaching to the fast path anew")
        self._enforced = False
        self.reconciler.forget()
        self.out_of_step()

    # -- policy

    def draft(self) -> Draft | None:
        """The draft, if there is one."""
        return self.store.draft

    def set_draft(self, source: str, file: str, actor: Actor, expected: str | None = None) -> Draft:
        """Replace the draft."""
        return self.store.set_draft(source, file, actor.name, expected=expected)

    def candidate(self, policy: PolicySet) -> InForce:
        """A policy as it would be in force now; nothing is changed."""
        return self._made(0, policy, self.workloads.inventory)

    def publish(self, how: Publish, actor: Actor) -> Revision:
        """Bring a policy into force under a new number. Whatever is refused leaves the running one in force."""
        started = self._monotonic()
        action = "policy.rollback" if how.origin in ("rollback", "unconfirmed") else "policy.publish"
        with (
            self._changes,
            self.audit.refusals(actor, action, how.file, how.reason, self.revision),
        ):
            number = self.store.check_publish(number=how.number, expected=how.expected)
            if self._confirm is not None and how.origin == "publish":
                raise BadState(
                    f"revision {self._confirm.number} waits to be confirmed: confirm it or roll it back first"
                )
            policy = new = self.read(how.source, how.file, check=how.origin in ("publish", "config"))
            before = self._in_force
            if how.canary:
                if not how.confirm_seconds:
                    raise InvalidValue(
                        "canary: needs a time to confirm: until then it applies to the canary alone"
                    )
                policy = mixed(before.policy, new, how.canary)
            wanted = self._compiled(number, policy)
            if not how.force:
                self._guard(before, wanted, how.publisher)
            with self._lock:
                waiting = self._confirm
                revision = self.store.publish(
                    how.source, file=how.file, actor=actor.name, credential=actor.credential, reason=how.reason,
                    origin=how.origin, of=how.of, number=how.number, expected=how.expected,
                )  # fmt: skip
                if how.confirm_seconds:
                    back_to = before.revision
                    self._set_confirm(Confirm(revision.number, back_to, how.confirm_seconds, how.canary))
                else:
                    self._set_confirm(None)
                try:
                    self._post_or_keep(wanted)
                except FlowError as error:
                    self.store.refuse(revision.number, error.reason)
                    self._set_confirm(waiting)  # a roll back that failed is tried again
                    raise
                took = self._monotonic() - started
                self._statuses[revision.number] = Status(state="applied", seconds=took)
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
        self._tell()
        return revision

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
        return self._made(number, policy, self.workloads.inventory, self._in_force.program)

    def _post_or_keep(self, wanted: InForce) -> None:
        """Post it as containment is now: it may have changed while the program was compiled."""
        current = self._flipped(wanted)[0]
        try:
            self._post(current)
        except NotConnected:
            self._in_force = current  # in force as soon as there is a fast path

    def _flipped(self, wanted: InForce) -> tuple[InForce, Rows, frozenset[int]]:
        """The same with all workloads in the states that they have now."""
        now = self._states(wanted.inventory) | self._pending
        normal = State.NORMAL
        moved = {
            name: now.get(name, normal)
            for name in now.keys() | wanted.states.keys()
            if wanted.states.get(name, normal) is not now.get(name, normal)
        }
        program, rows, concerned = flip(wanted.program, wanted.places, moved)
        return replace(wanted, program=program, states=now), rows, concerned

    def _digest(self, number: int) -> str:
        return self.store.revision(number).digest if number else ""

    def _set_confirm(self, confirm: Confirm | None) -> None:
        self._confirm = confirm
        self._confirm_at = self._monotonic()
        self.store.set_meta("confirm", json.dumps(asdict(confirm)) if confirm is not None else "")

    def confirm_revision(self, number: int, actor: Actor) -> Revision:
        """Keep a revision that waits for it. One that applied to a canary applies to all from here on."""
        with (
            self._changes,
            self.audit.refusals(actor, "policy.confirm", f"revision {number}", "", self.revision),
        ):
            waiting = self._confirm
            if waiting is None or waiting.number != number:
                what = f"revision {waiting.number} does" if waiting is not None else "none does"
                raise BadState(f"revision {number} does not wait to be confirmed; {what}")
            revision = self.store.revision(number)
            if waiting.canary:
                wanted = self._compiled(number, self.read(revision.source, revision.file))
                with self._lock:
                    self._post_or_keep(wanted)
            self._set_confirm(None)
            self.audit.append(actor, "policy.confirm", f"revision {number}", revision=number)
        self._tell()
        return revision

    def rollback(self, to: int, actor: Actor, reason: str, expected: int | None = None) -> Revision:
        """Publish an older content under a new number; 0: that before the running one."""
        with self._changes:
            with self.audit.refusals(actor, "policy.rollback", f"revision {to}", reason, self.revision):
                if to == 0:
                    older = [r for r in self.store.revisions() if not r.refusal and r.number < self.revision]
                    if not older:
                        raise NotFound("there is no revision before the running one to go back to")
                    to = older[0].number
                revision = self.store.revision(to)
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
            before, declared = self.workloads.inventory, self.workloads.declared
            names = {w.name: w for w in before.workloads}
            after = change()
            try:
                with self._lock:
                    quick = self._relabelled(after)
                if not quick:
                    wanted = self._made(self.revision, self._in_force.policy, after, self._in_force.program)
                    with self._lock:
                        bound = self._bound_anew(wanted)
                        self._post_or_keep(wanted)
                    self._adopt_connections(bound)
            except FlowError:
                self.workloads.restore(before, declared)
                raise
            now = {w.name: w for w in after.workloads}
            changed = sorted({n for n in now.keys() | names.keys() if now.get(n) != names.get(n)})
            freed = self._forget_contained([name for name in changed if name not in now])
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
        self._tell()
        return self._in_force

    def _forget_contained(self, names: Iterable[str]) -> dict[str, str]:
        """Workloads that are gone are contained no more: their states until now."""
        gone = {
            name: one.state.name.lower() for name in names if (one := self.contained.get(name)) is not None
        }
        if gone:
            self.contained.release(gone)
        return gone

    def _bound_anew(self, wanted: InForce) -> list[tuple[str, int]]:
        """Addresses (and zones) that are bound elsewhere than before: their connections may be adopted."""
        before = {(b.zone, b.address): (b.port, b.mac) for b in self._in_force.program.bindings}
        return [
            (b.address, b.zone)
            for b in wanted.program.bindings
            if before.get((b.zone, b.address)) != (b.port, b.mac)
        ]

    def _adopt_connections(self, bound: Sequence[tuple[str, int]]) -> None:
        window = self.settings.ct.adopt_window
        if not window or not bound or not self._enforced:
            return
        try:
            with self._use(None) as dpu:
                for address, zone in bound:
                    dpu.ct_adopt(address, zone=zone, window=window)
        except FlowError as error:
            log.warning("connections of new bindings cannot be adopted", reason=error.reason)

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

    # -- containment

    def contain(
        self,
        workloads: Sequence[Workload],
        state: State,
        actor: Actor,
        *,
        reason: str,
        ttl: float = 0.0,
        keep: Sequence[KeptPath] = (),
    ) -> tuple[list[Contained], InForce, InForce, float]:
        """Put workloads into a state; what is in force before and after, and the seconds until packets felt it."""
        started = self._monotonic()
        action = {State.QUARANTINED: "containment.quarantine", State.RESTRICTED: "containment.restrict"}.get(
            state, "containment.watch"
        )
        names = [workload.name for workload in workloads]
        target = ", ".join(names[:20])
        with self.audit.refusals(actor, action, target, reason, self.revision):
            check_request(reason, ttl)
            check_keep(keep)
            old = {name: self.contained.get(name) for name in names}

            baseline = self._baseline(workloads, old) if state is State.RESTRICTED else ()

            def change() -> list[Contained]:
                return self.contained.contain(
                    workloads, state, reason=reason, actor=actor.name, ttl=ttl, keep=keep, baseline=baseline
                )

            compiles = state is State.RESTRICTED or bool(keep) or _compiles(old.values(), workloads)
            made, before, after = self._restate(old, change, compiles)
        seconds = self._monotonic() - started
        self.audit.append(
            actor, action, target, reason=reason,
            before={name: one.state.name.lower() if one else "normal" for name, one in old.items()},
            after={"state": state.name.lower(), "ttl_seconds": ttl, "keep": [asdict(path) for path in keep]},
            revision=self.revision,
        )  # fmt: skip
        self._tell()
        return made, before, after, seconds

    def as_if(self, name: str, state: State) -> InForce:
        """What would be in force if a workload were in a state; nothing is changed."""
        now = self._in_force
        program, _, _ = flip(now.program, now.places, {name: state})
        return replace(now, program=program, states={**now.states, name: state})

    def release(self, names: Sequence[str], actor: Actor, reason: str) -> list[Contained]:
        """End containment."""
        target = ", ".join(list(names)[:20])
        with self.audit.refusals(actor, "containment.release", target, reason, self.revision):
            if not reason.strip():
                raise InvalidValue("reason: say why; it goes into the audit log")
            old = {name: self.contained.get(name) for name in names}
            there = {workload.name: workload for workload in self.workloads.all()}
            compiles = _compiles(old.values(), [there[name] for name in names if name in there])
            made, _, _ = self._restate(old, lambda: self.contained.release(names), compiles)
        self.audit.append(
            actor, "containment.release", target, reason=reason,
            before={one.workload: one.state.name.lower() for one in made},
            after={one.workload: "normal" for one in made}, revision=self.revision,
        )  # fmt: skip
        self._tell()
        return made

    def _baseline(
        self, workloads: Sequence[Workload], old: Mapping[str, Contained | None]
    ) -> tuple[Rule, ...]:
        """What workloads are known to do. What they do while they are restricted does not narrow it."""
        had = [rule for one in old.values() if one is not None for rule in one.baseline]
        return tuple(dict.fromkeys([*had, *self.baselines(workloads)]))

    def _restate(
        self, old: Mapping[str, Contained | None], change: Callable[[], list[Contained]], compiles: bool
    ) -> tuple[list[Contained], InForce, InForce]:
        """Change who is contained, ``old`` being what they were; what is in force before and after."""
        if not compiles:
            with self._lock:
                before = self._in_force
                made = change()
                try:
                    self._flip_now()
                except FlowError:
                    self.contained.put_back(old)
                    raise
                return made, before, self._in_force
        with self._changes:
            with self._lock:
                before = self._in_force
                made = change()
                # Until rules that keep or restrict are compiled, nobody else's change brings the new state into force.
                self._pending = {name: before.states.get(name, State.NORMAL) for name in old}
            try:
                wanted = self._made(self.revision, before.policy, self.workloads.inventory, before.program)
                with self._lock:
                    self._pending = {}
                    self._post_or_keep(wanted)
            except FlowError:
                with self._lock:
                    self.contained.put_back(old)
                    self._pending = {}
                raise
            return made, before, self._in_force

    def _flip_now(self) -> None:
        """States alone have changed: other identity numbers for some addresses, and nothing is compiled."""
        self._post_rows(*self._flipped(self._in_force))

    def _relabelled(self, after: Inventory) -> bool:
        """Brings other labels of workloads into force if nothing needs to be compiled for it; whether that was so."""
        now = self._in_force
        old = now.workloads
        if len(old) != len(after.workloads) or any(one.name not in old for one in after.workloads):
            return False
        changed = [one for one in after.workloads if old[one.name] != one]
        found = relabel(now.program, now.places, [old[one.name] for one in changed], changed)
        if found is None:
            return False
        program, rows, concerned = found
        workloads = {one.name: one for one in after.workloads}
        self._post_rows(replace(now, program=program, inventory=after, workloads=workloads), rows, concerned)
        return True

    def _post_rows(self, wanted: InForce, rows: Rows, concerned: frozenset[int]) -> None:
        if not rows:
            self._in_force = wanted
            return
        try:
            if not self._enforced:
                raise NotConnected("there is no fast path at the moment")
            with self._use(None) as dpu:
                self.reconciler.update(dpu, wanted.program, rows, wanted.revision, concerned)
        except NotConnected:
            log.warning("changed while the fast path is away: in force as soon as it is back")
        except OutOfStep:
            self._resync()
            raise
        self._in_force = wanted

    # -- time

    def tick(self) -> None:
        """Everything that falls due: ends of containment, schedules, confirmations, the audit log's head."""
        self._watch_clock()
        for name in self.contained.due():
            try:
                self.release([name], APPLIANCE, "its time is up")
            except FlowError as error:
                log.error("a containment cannot be ended", workload=name, reason=error.reason)
        due = self._in_force.next_change
        if due is not None and self._now() >= due:
            self._reschedule(due)
        self._run_confirm()
        self.audit.tick()

    def _watch_clock(self) -> None:
        drift = self._clock() - self._monotonic()
        if abs(drift - self._drift) > CLOCK_STEP_SECONDS:
            log.warning("the clock was set", seconds=round(drift - self._drift, 1))
            self.audit.append(APPLIANCE, "clock.step", after={"seconds": round(drift - self._drift, 3)})
        self._drift = drift

    def _reschedule(self, due: datetime) -> None:
        """A schedule begins or ends: compile for the moment. What cannot be compiled or posted is tried again."""
        with self._changes:
            current = self._in_force
            try:
                wanted = self._made(current.revision, current.policy, current.inventory, current.program)
                with self._lock:
                    self._post_or_keep(wanted)
            except FlowError as error:
                log.error("a schedule cannot be brought into force", reason=error.reason)
                return
        late = max(0.0, (self._now() - due).total_seconds())
        self.audit.append(
            APPLIANCE, "policy.schedule", f"revision {current.revision}",
            after={"due": due.isoformat(), "late_seconds": round(late, 3)}, revision=current.revision,
        )  # fmt: skip
        self._tell()

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
        if waiting.back_to:
            before = self.store.revision(waiting.back_to)
            source, file = before.source, before.file
        else:
            source, file = f"default: {self.settings.default.value}\n", "default"
        how = Publish(
            source=source, file=file, reason=reason, origin="unconfirmed", of=waiting.back_to, force=True
        )
        try:
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
            self._in_force = self._made(self.revision, self._in_force.policy, inventory)
        self.store.set_meta("declared.workloads", digest)
        self.audit.append(
            APPLIANCE, "workload.declare", "configuration", before={"workloads": before},
            after={"workloads": len(self.workloads)}, revision=self.revision,
        )  # fmt: skip
        return True

    def declare_policy(self, source: str, file: str) -> Revision | None:
        """Publish the configuration's policy, when the file has changed since it was last taken."""
        digest = digest_of(source)
        if self.store.meta("declared.policy") == digest:
            return None
        running = self.store.running
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


def _compiles(old: Iterable[Contained | None], workloads: Iterable[Workload]) -> bool:
    """Whether a change of states is more than other numbers in a few rows. Baselines that nobody is left for say
    nothing, and go with the next compile.
    """
    return any(one and one.keep for one in old) or any(
        interface.prefixes for workload in workloads for interface in workload.interfaces
    )


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
