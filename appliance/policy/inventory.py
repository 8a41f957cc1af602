# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""The workloads of this appliance: who there is, where it is plugged in, and every change as a new version.

A version is a whole ``model.Inventory``, a value. A change is checked against all there is (a MAC or an address bound
twice is refused, naming both) and kept on disk before it counts. Workloads come from the configuration (``declared``)
or from calls; a changed configuration replaces its own and leaves the others.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, Final

from appliance.errors import AlreadyExists, BadState, InUse, InvalidValue, NotFound
from appliance.policy.identity import bind
from appliance.policy.model import (
    KINDS,
    ORIGINS,
    Interface,
    Inventory,
    Network,
    Overlay,
    State,
    Vtep,
    Workload,
)
from appliance.policy.overlay import reaching
from appliance.policy.program import Numbers
from appliance.policy.refusal import some_of
from appliance.policy.store import Store

MAX_LABELS: Final = 64
MAX_NAME: Final = 63
_VTEPS: Final = "overlay.vteps"
_WORD: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-/:")


def to_dict(workload: Workload) -> dict[str, Any]:
    """For a file: plain types."""
    made = asdict(replace(workload, labels=dict(workload.labels)))
    made["state"] = workload.state.name.lower()
    return made


def from_dict(data: Mapping[str, Any]) -> Workload:
    """The inverse of ``to_dict``."""
    interfaces = tuple(
        Interface(**item | {"addresses": tuple(item["addresses"]), "prefixes": tuple(item["prefixes"])})
        for item in data["interfaces"]
    )
    state = State[str(data.get("state", "normal")).upper()]
    return Workload(**{**data, "interfaces": interfaces, "state": state})


def check(workload: Workload) -> None:
    """What can be wrong with one workload by itself. ``InvalidValue`` names the field."""
    name = workload.name
    if not name or len(name) > MAX_NAME or set(name) - _WORD or name[0] in ".-/:":
        raise InvalidValue(
            f"workload.name: {name!r} cannot be a name: up to {MAX_NAME} letters, digits, - _ . : /"
        )
    if workload.kind not in KINDS:
        raise InvalidValue(
            f"workload {name}: kind: there is no kind {workload.kind!r}; known are {', '.join(KINDS)}"
        )
    if workload.origin not in ORIGINS:
        text = f"there is no origin {workload.origin!r}; known are {', '.join(ORIGINS)}"
        raise InvalidValue(f"workload {name}: origin: {text}")
    if len(workload.labels) > MAX_LABELS:
        raise InvalidValue(f"workload {name}: labels: at most {MAX_LABELS}, not {len(workload.labels)}")
    for key, value in workload.labels.items():
        for what, text in (("key", key), ("value", value)):
            if not text or len(text) > MAX_NAME or set(text) - _WORD:
                raise InvalidValue(f"workload {name}: labels: {text!r} cannot be a label's {what}")
    if not 0 <= workload.risk <= 100:
        raise InvalidValue(f"workload {name}: risk: {workload.risk} is not between 0 and 100")


class Workloads:
    """The registry. Any thread may call; versions are values."""

    def __init__(
        self,
        store: Store,
        networks: Sequence[Network],
        ports: Mapping[str, int],
        overlay: Overlay | None = None,
    ) -> None:
        self._store = store
        self._lock = threading.RLock()
        self._declared: set[str] = set()
        self._byname: dict[str, Workload] = {}
        self.networks = tuple(networks)
        self._overlay = overlay
        self._vteps = {name: Vtep(**found) for name, found in json.loads(store.meta(_VTEPS, "{}")).items()}
        """What a centre said of other appliances, last."""
        self.overlay = reaching(overlay, self._vteps)
        self.ports = dict(ports)
        self._waiting: dict[str, Workload] = {}
        """Kept workloads behind ports that were added by a call and are not there (yet)."""
        for declared, content in store.workloads():
            workload = from_dict(content)
            if not declared and any(
                one.port not in self.ports for one in workload.interfaces if not one.appliance
            ):
                self._waiting[workload.name] = workload
                continue
            self._byname[workload.name] = workload
            if declared:
                self._declared.add(workload.name)
        self.version = int(store.meta("inventory.version", "0"))
        """Grows with each change."""
        self._snapshot: Inventory | None = None

    @property
    def inventory(self) -> Inventory:
        """The newest version."""
        with self._lock:
            if self._snapshot is None:
                self._snapshot = self._with(self._byname)
            return self._snapshot

    def _with(self, byname: Mapping[str, Workload]) -> Inventory:
        workloads = tuple(byname[name] for name in sorted(byname))
        return Inventory(networks=self.networks, workloads=workloads, ports=self.ports, overlay=self.overlay)

    def set_ports(self, ports: Mapping[str, int]) -> bool:
        """Ports have come or gone; whether workloads that waited for one are plugged in now. ``InUse`` names those
        that still need one that has gone.
        """
        with self._lock:
            for workload in self._byname.values():
                for one in workload.interfaces:
                    if not one.appliance and one.port in self.ports and one.port not in ports:
                        raise InUse(
                            f"workload {workload.name} is plugged in at port {one.port}: remove it first"
                        )
            self.ports = dict(ports)
            came = [
                one
                for one in self._waiting.values()
                if all(i.port in ports for i in one.interfaces if not i.appliance)
            ]
            for workload in came:
                self._byname.setdefault(workload.name, workload)
                del self._waiting[workload.name]
            self._snapshot = None
            return bool(came)

    def __len__(self) -> int:
        return len(self._byname)

    def get(self, name: str) -> Workload:
        """One by name; ``NotFound``."""
        with self._lock:
            found = self._byname.get(name)
        if found is None:
            raise NotFound(f"there is no workload {name!r} (workloads: {some_of(self._byname)})")
        return found

    def is_declared(self, name: str) -> bool:
        """Whether the configuration declares it."""
        return name in self._declared

    def all(self) -> list[Workload]:
        """All, by name."""
        with self._lock:
            return [self._byname[name] for name in sorted(self._byname)]

    # -- changes: each is checked whole, then kept, then counts

    def _change(self, changed: Mapping[str, Workload | None], declared: Container[str] = ()) -> Inventory:
        """Add, replace (None: remove) workloads in one step. ``declared``: those that the configuration names."""
        with self._lock:
            byname = dict(self._byname)
            for name, workload in changed.items():
                if workload is None:
                    byname.pop(name, None)
                else:
                    check(workload)
                    byname[name] = workload
            made = self._with(byname)
            if any(
                one is not None
                and (name not in self._byname or one.interfaces != self._byname[name].interfaces)
                for name, one in changed.items()
            ):
                bind(made, Numbers())
            owned = {
                name for name in byname if name in self._declared or (name in changed and name in declared)
            }
            with self._store.transaction():
                for name, workload in changed.items():
                    if workload is None:
                        self._store.remove_workload(name)
                    else:
                        self._store.set_workload(name, to_dict(workload), declared=name in owned)
                self._store.set_meta("inventory.version", str(self.version + 1))
            self.version += 1
            self._byname, self._snapshot = byname, made
            self._declared = owned
            return made

    def create(self, workload: Workload) -> Inventory:
        """A new one; ``AlreadyExists``."""
        with self._lock:
            if workload.name in self._byname:
                raise AlreadyExists(f"there is a workload {workload.name!r} already")
            return self._change({workload.name: workload})

    def update(self, workload: Workload, *, expected: int | None = None) -> Inventory:
        """Replace one. ``expected``: the version that the caller saw; ``BadState`` when there is a newer one."""
        with self._lock:
            self.get(workload.name)
            self.check_version(expected)
            return self._change({workload.name: workload})

    def relabel(self, name: str, set_: Mapping[str, str], remove: Iterable[str] = ()) -> Inventory:
        """Set and take away labels."""
        with self._lock:
            workload = self.get(name)
            gone = set(remove)
            if unknown := gone - set(workload.labels):
                raise NotFound(f"workload {name} has no label {sorted(unknown)[0]!r}")
            labels = {key: value for key, value in workload.labels.items() if key not in gone} | dict(set_)
            return self._change({name: replace(workload, labels=labels)})

    def remove(self, name: str) -> Inventory:
        """Forget one."""
        with self._lock:
            self.get(name)
            return self._change({name: None})

    @property
    def declared(self) -> frozenset[str]:
        """Those that the configuration declares."""
        return frozenset(self._declared)

    def restore(self, before: Inventory, declared: frozenset[str]) -> Inventory:
        """Back to an earlier version, when a change could not be brought into force."""
        with self._lock:
            wanted = {workload.name: workload for workload in before.workloads}
            changed: dict[str, Workload | None] = {name: None for name in self._byname if name not in wanted}
            changed |= {name: made for name, made in wanted.items() if self._byname.get(name) != made}
            return self._change(changed, declared) if changed else self.inventory

    def impose(
        self,
        networks: Sequence[Network],
        workloads: Sequence[Workload],
        vteps: Mapping[str, Vtep] | None = None,
    ) -> Callable[[], None]:
        """What a centre says there is, instead of all that there was; not kept on disk here. How to take it back.
        ``vteps``: where tunnels to other appliances end; None: as before.
        """
        with self._lock:
            before = self.networks, self._byname, self._declared, self._snapshot
            overlay = self._vteps, self.overlay
            if vteps is not None:
                self._vteps = dict(vteps)
                self.overlay = reaching(self._overlay, self._vteps)
            self.networks, self._byname = tuple(networks), {one.name: one for one in workloads}
            self._declared, self._snapshot = set(), None
            self.version += 1

        def back() -> None:
            with self._lock:
                self.networks, self._byname, self._declared, self._snapshot = before
                self._vteps, self.overlay = overlay
                self.version += 1

        return back

    def keep(self) -> None:
        """What a centre said last is this appliance's own from here on, on disk too."""
        with self._lock, self._store.transaction():
            for _, content in self._store.workloads():
                self._store.remove_workload(str(content["name"]))
            for name, workload in self._byname.items():
                self._store.set_workload(name, to_dict(workload), declared=False)
            vteps = {name: asdict(one) for name, one in self._vteps.items()}
            self._store.set_meta(_VTEPS, json.dumps(vteps))
            self._store.set_meta("inventory.version", str(self.version))

    def check_version(self, expected: int | None) -> None:
        """``BadState`` when the inventory has moved on."""
        if expected is not None and expected != self.version:
            raise BadState(f"the inventory is at version {self.version}, not {expected}: read it again")

    def declare(self, workloads: Sequence[Workload]) -> Inventory:
        """What the configuration says now. Those it no longer names go; those that calls made stay."""
        with self._lock:
            wanted: dict[str, Workload | None] = {}
            for workload in workloads:
                if wanted.get(workload.name) is not None:
                    raise AlreadyExists(f"the configuration has two workloads {workload.name!r}")
                wanted[workload.name] = workload
            gone: dict[str, Workload | None] = {name: None for name in self._declared if name not in wanted}
            return self._change(gone | wanted, declared=wanted)
