# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""What packets are judged by, and how it gets there: compiled, kept on disk, posted to the fast path.

Compiling takes no lock; ``lock`` is held while something is posted, and by whoever changes what is to be in force. What
is made while there is no fast path is in force as soon as there is one.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, replace
from datetime import UTC, datetime

import structlog

from appliance.errors import FlowError, NotConnected
from appliance.policy.compiler import Options
from appliance.policy.compiler import compile as compile_policy
from appliance.policy.containment import ContainmentBook
from appliance.policy.flip import Rows, flip, places, relabel
from appliance.policy.inner import next_change
from appliance.policy.model import Inventory, PolicySet, State
from appliance.policy.operation import InForce, Settings, Use
from appliance.policy.program import Numbers, Program
from appliance.policy.reconciler import Applied, OutOfStep, Reconciler
from appliance.policy.store import Store

log = structlog.get_logger(__name__)


class Enforcement:
    """See the module. Any thread may call."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        contained: ContainmentBook,
        use: Use,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """``begin`` says what is in force, before anything else is asked."""
        self._settings, self._store, self._contained, self._clock = settings, store, contained, clock
        self.use = use
        self.reconciler = Reconciler()
        self.lock = threading.RLock()
        self.before_change: list[Callable[[InForce], None]] = []
        """Told what comes, before any packet is judged by it; it may still be refused."""
        self.on_change: list[Callable[[InForce], None]] = []
        """Called with what is in force now, by the thread that changed it."""
        self.out_of_step: Callable[[], None] = lambda: None
        """Has somebody attach to the fast path anew, which ends in ``bring_up``; must not wait for that."""
        text = store.meta("numbers")
        self.urgent: Callable[[], AbstractContextManager[None]] = nullcontext
        """A block in which others of this process who have time stand aside."""
        self._numbers = Numbers.from_dict(json.loads(text)) if text else Numbers()
        self._tags = set(store.interned("verdict"))
        self.pending: dict[str, State] = {}
        """States until now of workloads whose new one is being compiled."""
        self._enforced = False
        self._own_states: tuple[Inventory | None, dict[str, State]] = (None, {})
        self._in_force: InForce

    def begin(self, first: InForce) -> None:
        """What is in force until something else is."""
        self._in_force = first

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

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """The lock, for a change that takes a moment and that nobody should wait for."""
        with self.urgent(), self.lock:
            yield

    # -- compiling

    def compile(self, policy: PolicySet, inventory: Inventory, *, before: Program | None = None) -> Program:
        """A program for a policy, as of now; nothing is changed. ``Refused`` names every reason."""
        return compile_policy(
            policy,
            inventory,
            self._contained.model(reject=self._settings.reject_contained),
            numbers=self._numbers,
            options=Options(ct=self._settings.ct, room=self._settings.max_rows),
            at=self.now(),
            previous=before,
        )

    def now(self) -> datetime:
        """By the clock that schedules go by."""
        return datetime.fromtimestamp(self._clock(), UTC)

    def made(
        self, revision: int, policy: PolicySet, inventory: Inventory, before: Program | None = None
    ) -> InForce:
        """A policy as it would be in force now; nothing is changed. ``before``: the program that it is to replace."""
        states = self._states(inventory)
        program = self.compile(policy, inventory, before=before)
        return InForce(
            revision=revision, policy=policy, inventory=inventory, program=program, states=states,
            places=places(program), workloads={one.name: one for one in inventory.workloads},
            next_change=next_change(policy, self.now()),
        )  # fmt: skip

    def _states(self, inventory: Inventory) -> dict[str, State]:
        """States that are not normal, containment's before the inventory's."""
        known, own = self._own_states
        if known is not inventory:
            own = {one.name: one.state for one in inventory.workloads if one.state is not State.NORMAL}
            self._own_states = inventory, own
        return own | self._contained.states

    # -- bringing it into force

    def bring_up(self) -> Applied:
        """There is a fast path. Takes over what an earlier appliance posted, posts what differs."""
        with self.lock:
            with self.use(None) as dpu:
                adopted = self.reconciler.adopt(dpu, next(iter(dpu.ports.values())))
                self._keep(self._in_force.program)
                # Who was killed between a commit and its epoch has told no connection of it: tell all of them.
                applied = self.reconciler.apply(dpu, self._in_force.program, self.revision, judge_all=adopted)
            self._enforced = True
        log.info(
            "segmentation is in force", revision=self.revision, adopted=adopted,
            workloads=len(self._in_force.workloads), rows_added=applied.rows_added,
            rows_removed=applied.rows_removed, rows_updated=applied.rows_updated,
        )  # fmt: skip
        self.tell()
        return applied

    def lost(self) -> None:
        """From the node: the fast path is gone."""
        with self.lock:
            self._enforced = False
            self.reconciler.forget()

    def tell(self) -> None:
        """Tell those who want to know what is in force. Without the lock."""
        for told in self.on_change:
            told(self._in_force)

    def _keep(self, program: Program) -> None:
        """Numbers must be on disk before anything in the fast path names them."""
        if program.numbers != self._numbers:
            self._store.set_meta("numbers", json.dumps(program.numbers.to_dict()))
            self._numbers = program.numbers
        added = {tag: verdict for tag, verdict in program.verdicts.items() if tag not in self._tags}
        if added:
            texts = {tag: json.dumps(asdict(verdict)) for tag, verdict in added.items()}
            self._store.intern("verdict", texts)
            self._tags |= set(added)

    def _post(self, wanted: InForce, *, seconds: float | None = None) -> Applied:
        """Bring a program into force. The caller holds the lock. ``NotConnected``: there is no fast path."""
        self._keep(wanted.program)
        if not self._enforced:
            raise NotConnected("there is no fast path at the moment")
        for told in self.before_change:
            told(wanted)
        try:
            with self.use(seconds) as dpu:
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

    def post_or_keep(self, wanted: InForce) -> None:
        """Post it as containment is now: it may have changed while the program was compiled."""
        current = self._flipped(wanted)[0]
        try:
            self._post(current)
        except NotConnected:
            self._in_force = current  # in force as soon as there is a fast path

    def _flipped(self, wanted: InForce) -> tuple[InForce, Rows, frozenset[int]]:
        """The same with all workloads in the states that they have now."""
        now = self._states(wanted.inventory) | self.pending
        normal = State.NORMAL
        moved = {
            name: now.get(name, normal)
            for name in now.keys() | wanted.states.keys()
            if wanted.states.get(name, normal) is not now.get(name, normal)
        }
        program, rows, concerned = flip(wanted.program, wanted.places, moved)
        return replace(wanted, program=program, states=now), rows, concerned

    def flip_now(self) -> None:
        """States alone have changed: other identity numbers for some addresses, and nothing is compiled."""
        self._post_rows(*self._flipped(self._in_force))

    def relabel(self, after: Inventory, written: Callable[[], None] = lambda: None) -> bool:
        """Brings other labels of workloads into force if nothing needs to be compiled for it; whether that was so.
        ``written`` is called before packets feel it, if so.
        """
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
        written()
        self._post_rows(replace(now, program=program, inventory=after, workloads=workloads), rows, concerned)
        return True

    def _post_rows(self, wanted: InForce, rows: Rows, concerned: frozenset[int]) -> None:
        if not rows:
            self._in_force = wanted
            return
        try:
            if not self._enforced:
                raise NotConnected("there is no fast path at the moment")
            with self.use(None) as dpu:
                self.reconciler.update(dpu, wanted.program, rows, wanted.revision, concerned)
        except NotConnected:
            log.warning("changed while the fast path is away: in force as soon as it is back")
        except OutOfStep:
            self._resync()
            raise
        self._in_force = wanted

    def bound_anew(self, wanted: InForce) -> list[tuple[str, int]]:
        """Addresses (and zones) that are bound elsewhere than before: their connections may be adopted."""
        return bound_anew(self._in_force.program, wanted.program)

    def adopt_connections(self, bound: Sequence[tuple[str, int]]) -> None:
        """Open connections of these addresses may go on here, for the configured window."""
        window = self._settings.ct.adopt_window
        if not window or not bound or not self._enforced:
            return
        try:
            with self.use(None) as dpu:
                for address, zone in bound:
                    dpu.ct_adopt(address, zone=zone, window=window)
        except FlowError as error:
            log.warning("connections of new bindings cannot be adopted", reason=error.reason)


def bound_anew(before: Program, after: Program) -> list[tuple[str, int]]:
    """Addresses (and zones) whose places have changed. Those that were and stay behind other appliances do not count:
    there connections of who moves are adopted, not here.
    """
    old, new = _places(before), _places(after)
    return [
        key
        for key, found in new.items()
        if (was := old.get(key, [])) != found and any(port for port, _ in (*was, *found))
    ]


def _places(program: Program) -> dict[tuple[str, int], list[tuple[str, str]]]:
    """Where addresses (and zones) are bound, in order: who moves is in two places."""
    found: dict[tuple[str, int], list[tuple[str, str]]] = {}
    for one in program.bindings:
        found.setdefault((one.address, one.zone), []).append((one.port, one.mac))
    return found
