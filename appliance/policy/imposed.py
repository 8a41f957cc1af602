# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""What a centre says is to be in force here, brought into force as one.

Networks, workloads, policy and containment change together, in one transaction of the fast path and under one revision;
what cannot be brought into force leaves everything as it was. The centre's word is kept on disk by the caller. While
there is a centre, local writes are refused (``Segmentation.check_master``); local containment may only tighten.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

from appliance.errors import FlowError
from appliance.policy.audit import Actor
from appliance.policy.containment import Contained
from appliance.policy.control import Segmentation
from appliance.policy.model import Inventory, Network, PolicySet, State, Vtep, Workload
from appliance.policy.operation import Publish


@dataclass(frozen=True, slots=True, kw_only=True)
class Imposed:
    """All of it."""

    revision: int
    """Of the policy."""
    networks: tuple[Network, ...]
    """Uplinks and DHCP are this appliance's own."""
    policy: str
    """YAML."""
    workloads: tuple[Workload, ...]
    """Interfaces here have an empty ``appliance``; others name theirs."""
    contained: Mapping[str, Contained]
    vteps: Mapping[str, Vtep]
    """Where the tunnels of other appliances end, by name."""


class Imposing:
    """Brings a centre's word into force. One thread at a time."""

    def __init__(self, control: Segmentation) -> None:
        self._control = control
        self._here = {one.name: one for one in control.workloads.networks}
        self._read: tuple[str, PolicySet] | None = None

    def obey(self, centre: str) -> None:
        """From here on a centre is the master; empty: nobody is."""
        self._control.master = self._control.contained.master = centre

    def impose(self, wanted: Imposed, actor: Actor) -> None:
        """Bring it into force. ``FlowError`` says why it cannot be; then nothing has changed."""
        control, force = self._control, self._control.force
        target = f"revision {wanted.revision}"
        with control.changes, control.audit.refusals(actor, "central.impose", target, "", control.revision):
            policy = self._policy(wanted.policy)
            networks = tuple(self._ours(one) for one in wanted.networks)
            workloads = tuple(sorted(wanted.workloads, key=lambda one: one.name))
            before = force.in_force
            back = control.workloads.impose(networks, workloads, wanted.vteps)
            inventory = control.workloads.inventory
            with force.lock:
                old = control.contained.impose(wanted.contained)
                moved = _moved(old, wanted.contained)
                force.pending = {name: before.states.get(name, State.NORMAL) for name in moved}
            bound: Sequence[tuple[str, int]] = ()

            def written() -> None:
                """Before packets feel it: what cannot be told is not done."""
                control.audit.append(
                    actor, "central.impose", target, before={"revision": before.revision},
                    after={"revision": wanted.revision, "workloads": len(workloads),
                           "contained": len(wanted.contained)},
                    revision=wanted.revision,
                )  # fmt: skip

            with self._or_back(old, back):
                if not self._quick(before.policy is policy, wanted.revision, inventory, moved, written):
                    made = force.made(wanted.revision, policy, inventory, before.program)
                    with force.lock:
                        written()
                        force.pending = {}
                        bound = force.bound_anew(made)
                        force.post_or_keep(made)
            force.adopt_connections(bound)
            with suppress(FlowError):  # it is in force all the same; the next one tries again
                control.forget_confirm()
        force.tell()

    def _ours(self, network: Network) -> Network:
        here = self._here.get(network.name)
        return network if here is None else replace(network, uplink=here.uplink, dhcp=here.dhcp)

    def _policy(self, text: str) -> PolicySet:
        if self._read is None or self._read[0] != text:
            self._read = text, self._control.read(text, "centre")
        return self._read[1]

    def _quick(
        self,
        same_policy: bool,
        revision: int,
        after: Inventory,
        moved: Iterable[str],
        written: Callable[[], None],
    ) -> bool:
        """Labels alone have changed, and nothing has to be compiled for it."""
        force = self._control.force
        now = force.in_force
        same = same_policy and revision == now.revision and after.networks == now.inventory.networks
        same = same and after.overlay == now.inventory.overlay
        if not same or list(moved):
            return False
        with force.at_once():
            force.pending = {}
            return force.relabel(after, written)

    def contain(
        self, contained: Mapping[str, Contained], strangers: Sequence[Workload], actor: Actor
    ) -> None:
        """Containment alone. ``strangers``: contained workloads that may not be in the inventory yet."""
        control, force = self._control, self._control.force
        target = ", ".join(sorted(contained)[:20])
        with (
            control.changes,
            control.audit.refusals(actor, "central.contain", target, "", control.revision),
        ):
            with force.at_once():
                known = force.in_force.workloads
                old = control.contained.impose(contained)
                missing = [one for one in strangers if one.name not in known]
                moved = _moved(old, contained)
                if not missing and not any(_rules(old.get(name), contained.get(name)) for name in moved):
                    try:
                        self._note(contained, actor, target)
                        force.flip_now()
                    except BaseException:
                        control.contained.impose(old)
                        raise
                    return
                force.pending = {name: force.in_force.states.get(name, State.NORMAL) for name in moved}
            now = force.in_force
            workloads = tuple(sorted([*now.inventory.workloads, *missing], key=lambda one: one.name))
            back = control.workloads.impose(now.inventory.networks, workloads)
            with self._or_back(old, back):
                made = force.made(now.revision, now.policy, control.workloads.inventory, now.program)
                with force.lock:
                    self._note(contained, actor, target)
                    force.pending = {}
                    force.post_or_keep(made)
        force.tell()

    @contextmanager
    def _or_back(self, contained: Mapping[str, Contained], workloads: Callable[[], None]) -> Iterator[None]:
        """What cannot be brought into force in the block leaves containment and workloads as they were."""
        control, force = self._control, self._control.force
        try:
            yield
        except BaseException:
            with force.lock:
                force.pending = {}
                control.contained.impose(contained)
            workloads()
            raise

    def _note(self, contained: Mapping[str, Contained], actor: Actor, target: str) -> None:
        """Before packets feel it."""
        control = self._control
        control.audit.append(
            actor, "central.contain", target,
            after={name: one.state.name.lower() for name, one in sorted(contained.items())[:100]},
            revision=control.revision,
        )  # fmt: skip

    def let_go(self, actor: Actor, reason: str) -> None:
        """Break the glass: what is in force stays so, and is this appliance's own from here on, on disk too."""
        control = self._control
        with control.changes:
            centre = control.master
            self.obey("")
            counted = control.contained.all()
            above = control.contained.impose({})
            control.workloads.keep()
            workloads = {one.name: one for one in control.workloads.all()}
            for one in counted:
                # As it counts: the stricter of both words, and of paths those that the centre gave.
                word = replace(one, keep=above[one.workload].keep if one.workload in above else ())
                workload = workloads.get(word.workload)
                if workload is not None and _essence(control.contained.get(word.workload)) != _essence(word):
                    control.contained.contain(
                        [workload], word.state, reason=word.reason, actor=word.actor, ttl=word.left, keep=word.keep,
                        baseline=word.baseline, reset=word.reset,
                    )  # fmt: skip
            last = max(control.revision, control.store.last_number)
            with control.force.lock:
                # The centre's revisions are not in the history here.
                control.force.begin(replace(control.in_force, revision=0))
            control.publish(
                Publish(
                    source=control.write(control.in_force.policy), file="centre", reason=reason, origin="detach",
                    force=True, number=last + 1,
                ),
                actor,
            )  # fmt: skip
            control.audit.append(actor, "central.detach", centre, reason=reason, revision=control.revision)


def _moved(old: Mapping[str, Contained], new: Mapping[str, Contained]) -> set[str]:
    """Names whose containment is another one."""
    return {name for name in old.keys() | new.keys() if _essence(old.get(name)) != _essence(new.get(name))}


def _essence(one: Contained | None) -> object:
    return None if one is None else (one.state, one.keep, one.baseline, one.reset)


def _rules(old: Contained | None, new: Contained | None) -> bool:
    """Whether rules come or go with a state. Who is restricted anew may have baselines of before in the program."""
    if new is not None and new.state is State.RESTRICTED:
        return True
    return any(one is not None and (one.keep or one.baseline or one.reset) for one in (old, new))
