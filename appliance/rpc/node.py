# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""The running DPU as the servicers see it: names and numbers that last, over objects that come and go.

A ``Node`` holds the ``Dpu`` while there is one, and the journal of what was promised. After the fast path or the
appliance died, ``bring_up`` compares the two: what the fast path has and the journal wants is kept untouched, the rest
is added or taken out in one transaction. libdoca_flow is used by one thread at a time; ``use`` waits for its turn no
longer than the caller's deadline.
"""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import structlog

from appliance.errors import (
    Again,
    AlreadyExists,
    FlowError,
    InUse,
    NotConnected,
    NotFound,
    NotPermitted,
    TimedOut,
)
from appliance.flow import Dpu, Entries, Entry, Pipe, results
from appliance.flow import types as flow
from appliance.policy.reconciler import PREFIX, is_ours
from appliance.rpc import columns as bulk
from appliance.rpc.convert import flow as convert
from appliance.rpc.convert import resources
from appliance.rpc.convert.base import BadField, PortNames, at
from appliance.rpc.convert.results import MISSES
from appliance.rpc.declared import Declared, merge, port_config
from appliance.rpc.state import EntryState, Journal, State
from appliance.v1 import entry_pb2, flow_pb2, pipe_pb2, port_pb2, shared_resource_pb2, state_pb2

log = structlog.get_logger(__name__)

MAX_ENTRIES: Final = 1 << 24
WAIT_SECONDS: Final = 60.0
"""Of calls without a deadline."""


@dataclass(frozen=True, slots=True)
class Change:
    """What ``bring_up`` did."""

    adopted: bool
    pipes: int = 0
    entries_added: int = 0
    entries_removed: int = 0


class Node:
    """See the module. Methods that change something journal it before they return."""

    def __init__(self, declared: Declared, journal: Journal) -> None:
        self.declared = declared
        self.journal = journal
        self._dpu: Dpu | None = None
        self._pipes: dict[str, Pipe] = {}
        self._entries: dict[int, Entry] = {}
        self._batches: dict[int, tuple[Entries, bulk.Items]] = {}
        self._lock = threading.RLock()
        self.why_not = "the fast path is being started"
        self.on_up: list[Callable[[Dpu], None]] = []
        self.ports_changed: Callable[[dict[str, int]], object] = lambda ports: None
        """Told which ports (with logical ids) there are after an add, and before a remove, which it may refuse."""

    # -- life

    @property
    def state(self) -> State:
        """What is promised."""
        return self.journal.state

    @property
    def dpu(self) -> Dpu | None:
        """The DPU, None while there is none."""
        return self._dpu

    @contextmanager
    def use(self, seconds: float | None = None) -> Iterator[Dpu]:
        """The DPU for one caller at a time; ``TimedOut`` when it was not to be had in time."""
        if not self._lock.acquire(
            timeout=min(max(0.0, WAIT_SECONDS if seconds is None else seconds), WAIT_SECONDS)
        ):
            raise TimedOut("the deadline passed while other calls were served")
        try:
            if self._dpu is None:
                raise NotConnected(self.why_not)
            yield self._dpu
        finally:
            self._lock.release()

    def bring_up(self, dpu: Dpu) -> Change:
        """Make a fast path hold what is promised."""
        with self._lock:
            state = self.state
            self._pipes, self._entries, self._batches = {}, {}, {}
            self._start_ports(dpu)
            here: dict[str, Pipe] = {}
            if dpu.resumed and state.boot_id == dpu.boot_id:
                here = self._adopt(dpu)
            elif dpu.resumed:
                for port in dpu.ports.values():
                    for pipe in reversed([pipe for pipe in port.adopt() if not is_ours(pipe.name)]):
                        pipe.destroy()
            merge(state, self.declared)
            change = self._reconcile(dpu, here, self.names(dpu))
            state.boot_id = dpu.boot_id
            self.journal.rewrite()
            self._dpu = dpu
            for told in self.on_up:
                told(dpu)
            return change

    def lost(self, why: str) -> None:
        """The fast path is gone: refuse calls until ``bring_up``."""
        with self._lock:
            self.why_not = why
            self._dpu = None
            self._pipes, self._entries, self._batches = {}, {}, {}

    # -- making the fast path hold what is promised

    def _start_ports(self, dpu: Dpu) -> None:
        state = self.state
        there = {info.name for info in dpu.port_list()}
        for port in state.ports.values():
            if port.name not in there:
                dpu.port_add(port_config(port))
        for name in state.ports_removed & there:
            dpu.port_remove(name)
        specs = [spec for spec in self.declared.ports if spec.name not in state.ports_removed]
        specs += [self._added_spec(port) for port in state.ports.values()]
        started = {port.name for port in dpu.ports.values()}
        for spec in specs:
            if spec.name not in started:
                dpu.port_start(spec)
        for one, other in self.declared.pairs:
            dpu.port(one).pair(dpu.port(other))
        for resource in [*self.declared.shared, *state.resources.values()]:
            self._set_resource(dpu, resource)
        for name, miss in state.default_misses.items():
            dpu.port(name).set_default_miss(MISSES[miss])

    def _added_spec(self, port: port_pb2.Port) -> flow.PortSpec:
        switch = any(spec.is_representor for spec in self.declared.ports)
        return flow.PortSpec(port_id=port.port_id, name=port.name, is_representor=switch)

    def _adopt(self, dpu: Dpu) -> dict[str, Pipe]:
        """Pipes that an earlier appliance left in the fast path, with their entries by number."""
        here: dict[str, Pipe] = {}
        for port in dpu.ports.values():
            for pipe in port.adopt():
                if is_ours(pipe.name):
                    continue  # the segmentation program's, which its reconciler adopts
                here[pipe.name] = pipe
                for entry in pipe.adopt_entries():
                    self._entries[entry.spec.tag] = entry
        return here

    def _reconcile(self, dpu: Dpu, here: dict[str, Pipe], names: PortNames) -> Change:
        wanted = self.state.pipes
        surplus = [pipe for name, pipe in here.items() if name not in wanted]
        missing = [pipe for name, pipe in wanted.items() if name not in here]
        self._pipes = {name: pipe for name, pipe in here.items() if name in wanted}
        added = removed = 0
        if not surplus and not missing:
            for name in wanted:
                more, fewer = self._reconcile_entries(name, names)
                added, removed = added + more, removed + fewer
            return Change(True, len(wanted), added, removed)
        with dpu.transaction():
            for pipe in reversed(surplus):
                pipe.destroy()
            for pipe_state in missing:
                self._create(dpu, pipe_state.message, names)
            for pipe_state in missing:
                if pipe_state.miss_changed:
                    fwd = (
                        None if pipe_state.miss is None else convert.fwd_from(pipe_state.miss, names, "miss")
                    )
                    self._pipes[pipe_state.name].update_miss(fwd)
            for name in wanted:
                more, fewer = self._reconcile_entries(name, names)
                added, removed = added + more, removed + fewer
        return Change(bool(here), len(wanted), added, removed)

    def _reconcile_entries(self, name: str, names: PortNames) -> tuple[int, int]:
        """Entries of one pipe: take out what nobody wants, add what is missing. Numbers added and removed."""
        pipe, pipe_state = self._pipes[name], self.state.pipes[name]
        there = {entry.spec.tag: entry for entry in pipe.entries if entry.spec.tag in self._entries}
        wanted = set(pipe_state.numbers())
        surplus = [number for number in there if number not in wanted]
        for number in surplus:
            self._entries.pop(number).remove()
        missing = [number for number in pipe_state.entries if number not in there]
        for number in missing:
            with self._explained(name):
                self._entries[number] = self._add(pipe, pipe_state.entries[number].message, names, number)
        added = len(missing)
        for batch in pipe_state.columns:
            live = np.flatnonzero(batch.alive)
            lacking = np.array([item for item in live.tolist() if item + batch.first not in there], np.int64)
            if len(lacking):
                entries = bulk.add(pipe, batch.columns, names, batch.first, lacking)
                entries.raise_for_error()
                self._batches[batch.first] = (entries, lacking)
                added += len(lacking)
        return added, len(surplus)

    @contextmanager
    def _explained(self, pipe: str) -> Iterator[None]:
        """A refusal of something declared, with its place in the file."""
        try:
            yield
        except FlowError as error:
            where = (self.declared.where or {}).get(pipe)
            if where is None:
                raise
            raise FlowError(f"{where}: pipe {pipe}: {error.reason}", error.code) from None

    def names(self, dpu: Dpu) -> PortNames:
        """Port names of a DPU in use."""
        return PortNames({port_id: port.name for port_id, port in dpu.ports.items()})

    # -- ports

    def add_port(self, dpu: Dpu, port: port_pb2.Port) -> None:
        """Open a device and start it."""
        convert.name_from(port.name, "port.name")
        taken = set(dpu.ports)
        if not port.HasField("port_id"):
            port.port_id = next(number for number in range(0xFFFE) if number not in taken)
        elif port.port_id in taken or port.port_id >= 0xFFFF:
            raise BadField("port.port_id", f"{port.port_id} is taken or out of range")
        if port.name in {info.name for info in dpu.port_list()}:
            raise AlreadyExists(f"there is a port {port.name!r} already")
        dpu.port_add(port_config(port))
        try:
            dpu.port_start(self._added_spec(port))
        except BaseException:
            dpu.port_remove(port.name)
            raise
        self.journal.write(state_pb2.StateRecord(port=port))
        self.ports_changed({one.name: number for number, one in dpu.ports.items()})

    def remove_port(self, dpu: Dpu, name: str) -> None:
        """Stop a port, its pipes with it, and close its device."""
        port = dpu.port(name)
        self.ports_changed({one.name: number for number, one in dpu.ports.items() if one.name != name})
        gone = [pipe for pipe in self.state.pipes.values() if pipe.message.port == name]
        port.stop()
        for pipe in gone:
            self._forget(pipe.name)
        self.journal.write(state_pb2.StateRecord(port_removed=name))
        dpu.port_remove(name)

    def set_default_miss(self, dpu: Dpu, name: str, miss: port_pb2.DefaultMiss) -> None:
        """Where packets go that no pipe decides about."""
        if miss not in MISSES:
            raise BadField("default_miss", "is required")
        dpu.port(name).set_default_miss(MISSES[miss])
        self.journal.write(state_pb2.StateRecord(default_miss=port_pb2.Port(name=name, default_miss=miss)))

    # -- shared resources

    def _set_resource(self, dpu: Dpu, message: shared_resource_pb2.SharedResource) -> None:
        kind, resource = resources.resource_from(message)
        dpu.shared_set(kind, message.id, resource)
        dpu.shared_bind(kind, [message.id], None)

    def set_resource(self, dpu: Dpu, message: shared_resource_pb2.SharedResource) -> None:
        """Create or change a shared resource."""
        self._set_resource(dpu, message)
        self.journal.write(state_pb2.StateRecord(resource=message))

    def resource(self, dpu: Dpu, kind: str, number: int) -> shared_resource_pb2.SharedResource:
        """A shared resource as it was set, counters with their values."""
        declared = {(item.WhichOneof("resource"), item.id): item for item in self.declared.shared}
        found = self.state.resources.get((kind, number)) or declared.get((kind, number))
        if found is None:
            raise NotFound(f"there is no shared {kind} {number}")
        message = shared_resource_pb2.SharedResource.FromString(found.SerializeToString())
        if kind == "counter":
            counter = dpu.shared_query(flow.SharedResourceType.COUNTER, number)
            message.counter.CopyFrom(convert.counter_to(counter))
        return message

    # -- pipes

    def pipe(self, name: str) -> Pipe:
        """The pipe object of a name."""
        self.state.pipe(name)
        return self._pipes[name]

    def _create(self, dpu: Dpu, message: pipe_pb2.Pipe, names: PortNames) -> Pipe:
        spec = convert.pipe_from(message, names)
        with at("pipe.port"):
            names.id(message.port)
        with self._explained(message.name):
            pipe = dpu.port(message.port).pipe_create(spec)
        self._pipes[message.name] = pipe
        return pipe

    def _forget(self, name: str) -> None:
        """A pipe object is gone, its entries with it."""
        self._pipes.pop(name, None)
        pipe = self.state.pipes[name]
        for number in pipe.entries:
            self._entries.pop(number, None)
        for batch in pipe.columns:
            self._batches.pop(batch.first, None)

    def create_pipe(self, dpu: Dpu, message: pipe_pb2.Pipe) -> Pipe:
        """Create a pipe."""
        if message.name in self.state.pipes:
            raise AlreadyExists(f"there is a pipe {message.name!r} already")
        if is_ours(message.name):
            raise NotPermitted(f"names that begin with {PREFIX!r} are those of the segmentation program")
        kept = pipe_pb2.Pipe.FromString(message.SerializeToString())
        kept.ClearField("pipe_id")
        kept.ClearField("used_entries")
        pipe = self._create(dpu, kept, self.names(dpu))
        self.journal.write(state_pb2.StateRecord(pipe=state_pb2.StatePipe(pipe=kept)))
        return pipe

    def destroy_pipe(self, name: str) -> None:
        """Destroy a pipe and its entries; refused while another pipe forwards to it."""
        pipe = self.pipe(name)
        for other in self.state.pipes.values():
            if other.name != name and (how := other.refers_to(name)):
                raise InUse(f"pipe {name!r} is in use: {how} of pipe {other.name!r} forwards to it")
        pipe.destroy()
        self._forget(name)
        self.journal.write(state_pb2.StateRecord(pipe_destroyed=name))

    def update_miss(self, dpu: Dpu, name: str, message: flow_pb2.Fwd | None) -> None:
        """Replace a pipe's miss."""
        pipe = self.pipe(name)
        pipe.update_miss(None if message is None else convert.fwd_from(message, self.names(dpu), "fwd_miss"))
        self.journal.write(state_pb2.StateRecord(miss=state_pb2.StateMiss(pipe=name, fwd_miss=message)))

    def resize(self, name: str, nr_entries: int) -> int:
        """Let a resizable pipe grow until it holds as many; what it holds then."""
        pipe = self.pipe(name)
        if not 0 < nr_entries <= MAX_ENTRIES:
            raise BadField("nr_entries", f"is between 1 and {MAX_ENTRIES}")
        now = int(pipe.info().capacity)
        while now < nr_entries:
            grown = pipe.resize(self.state.pipe(name).message.congestion_percent or 80)
            if grown <= now:
                break
            now = grown
        self.journal.write(state_pb2.StateRecord(resized=pipe_pb2.Pipe(name=name, nr_entries=now)))
        return now

    # -- entries, one by one. In the fast path an entry's tag is its number here, so that it is known again.

    def entry(self, number: int) -> Entry:
        """The entry object of a number."""
        state = self.state.find(number)[1]
        found = self._entries.get(number)
        if found is None:
            if isinstance(state, EntryState):
                raise NotFound(f"entry {number} is not in the fast path")
            entries, items = self._batches[state[0].first]
            found = entries[int(np.searchsorted(items, state[1]))]
            self._entries[number] = found
        return found

    def _add(
        self, pipe: Pipe, message: entry_pb2.Entry, names: PortNames, number: int, path: str = "entry"
    ) -> Entry:
        return pipe.add(convert.entry_from(message, names, path), tag=number)

    @staticmethod
    def _post(
        pipe: Pipe, spec: flow.EntrySpec, before: Sequence[tuple[int, Entry, entry_pb2.Entry]]
    ) -> Entry:
        """Start an add without waiting for its end; when the queue is full, wait for those before."""
        try:
            return pipe.add(spec, wait=False)
        except Again:
            for _, entry, _ in before:
                with contextlib.suppress(FlowError):
                    entry.wait()
            return pipe.add(spec)

    def add_entries(
        self, dpu: Dpu, messages: Sequence[entry_pb2.Entry], path: str = "entry"
    ) -> list[tuple[int, FlowError | None]]:
        """Add entries; number and error of each. One refused does not stop the others."""
        names = self.names(dpu)
        outcome: list[tuple[int, FlowError | None]] = []
        posted: list[tuple[int, Entry, entry_pb2.Entry]] = []
        number = self.state.next_entry_id
        for index, message in enumerate(messages):
            here = path if path == "entry" else f"{path}[{index}]"
            try:
                pipe = self.pipe(message.pipe)
                spec = dataclasses.replace(convert.entry_from(message, names, here), tag=number)
                posted.append((len(outcome), self._post(pipe, spec, posted), message))
            except FlowError as error:
                outcome.append((0, error))
                continue
            outcome.append((number, None))
            number += 1
        kept: list[entry_pb2.Entry] = []
        for place, entry, message in posted:
            given = outcome[place][0]
            try:
                self._entries[given] = entry.wait()
            except FlowError as error:
                outcome[place] = (0, error)
                continue
            kept.append(entry_pb2.Entry.FromString(message.SerializeToString()))
            kept[-1].id = given
        if kept:
            self.journal.write(state_pb2.StateRecord(entries=state_pb2.StateEntries(entries=kept)))
        return outcome

    def update_entry(self, dpu: Dpu, message: entry_pb2.Entry, path: str = "entry") -> None:
        """Replace actions, monitor and forward of an entry; what is not given stays."""
        entry = self.entry(message.id)
        spec = convert.entry_from(self.state.merged(message), self.names(dpu), path)
        entry.update(spec, tag=message.id)
        self.journal.write(state_pb2.StateRecord(updated=state_pb2.StateEntries(entries=[message])))

    def remove_entries(self, numbers: Iterable[int]) -> list[FlowError | None]:
        """Remove entries; the error of each."""
        outcome: list[FlowError | None] = []
        found: list[int] = []
        for number in numbers:
            try:
                self.entry(number)
                if number in found:
                    raise NotFound(f"entry {number} is named twice")
            except FlowError as error:
                outcome.append(error)
            else:
                found.append(number)
                outcome.append(None)
        if found:
            packed = np.array(found, "<u8").tobytes()
            entries = [self._entries.pop(number) for number in found]
            self.journal.write(state_pb2.StateRecord(removed=packed))
            for entry in entries:
                entry.remove()
        return outcome

    # -- entries in bulk

    def add_columns(self, dpu: Dpu, message: entry_pb2.EntryColumns) -> tuple[int, Entries]:
        """Add packed entries; number of the first, and the outcome of each."""
        first = self.state.next_entry_id
        entries = bulk.add(self.pipe(message.pipe), message, self.names(dpu), first)
        good = entries.results == 0
        if good.any():
            self._batches[first] = (entries, np.arange(message.count))
            alive = b"" if good.all() else np.packbits(good).tobytes()
            self.journal.write(
                state_pb2.StateRecord(
                    columns=state_pb2.StateColumns(columns=message, first_entry_id=first, alive=alive)
                )
            )
        return first, entries

    def remove_columns(self, numbers: npt.NDArray[np.uint64]) -> tuple[npt.NDArray[np.uint8], str]:
        """Remove packed entries; DOCA's code of each, and the first reason."""
        codes = np.zeros(len(numbers), np.uint8)
        whole = self._whole_batch(numbers)
        if whole is not None:
            entries, _ = self._batches.pop(whole)
            for number in [n for n in self._entries if whole <= n < whole + len(numbers)]:
                del self._entries[number]
            self.journal.write(state_pb2.StateRecord(removed=numbers.astype("<u8").tobytes()))
            entries.remove()
            codes[:] = entries.results
            return codes, "" if entries.error is None else entries.error.reason
        reason = ""
        for index, error in enumerate(self.remove_entries(numbers.tolist())):
            if error is not None:
                codes[index] = error.code
                reason = reason or error.reason
        return codes, reason

    def _whole_batch(self, numbers: npt.NDArray[np.uint64]) -> int | None:
        """The first number of the batch that these are all entries of, none of which was touched; None otherwise."""
        if not len(numbers):
            return None
        first = int(numbers[0])
        held = self._batches.get(first)
        if held is None or len(held[1]) != len(numbers) or held[0].results.any():
            return None
        try:
            state = self.state.find(first)[1]
        except NotFound:
            return None
        if isinstance(state, EntryState) or state[0].first != first or not state[0].alive.all():
            return None
        return (
            first
            if np.array_equal(numbers, np.arange(first, first + len(numbers), dtype=np.uint64))
            else None
        )

    # -- several in one step

    def transaction(self, dpu: Dpu, changes: Sequence[tuple[str, entry_pb2.Entry | int]]) -> list[int]:
        """Adds, updates and removes that become visible in one step, or not at all; their numbers.

        Nothing may depend on an earlier change of the same transaction.
        """
        names = self.names(dpu)
        next_number = self.state.next_entry_id
        records: list[state_pb2.StateRecord] = []
        numbers: list[int] = []
        added: dict[int, Entry] = {}
        removed: list[int] = []
        index = 0
        try:
            with dpu.transaction():
                for index, (kind, change) in enumerate(changes):
                    path = f"changes[{index}].{kind}"
                    if isinstance(change, int):
                        self.entry(change).remove()
                        removed.append(change)
                        numbers.append(change)
                        records.append(state_pb2.StateRecord(removed=np.array([change], "<u8").tobytes()))
                    elif kind == "update":
                        spec = convert.entry_from(self.state.merged(change), names, path)
                        self.entry(change.id).update(spec, tag=change.id)
                        numbers.append(change.id)
                        records.append(
                            state_pb2.StateRecord(updated=state_pb2.StateEntries(entries=[change]))
                        )
                    else:
                        kept = entry_pb2.Entry.FromString(change.SerializeToString())
                        kept.id = next_number + len(added)
                        added[kept.id] = self._add(self.pipe(change.pipe), change, names, kept.id, path)
                        numbers.append(kept.id)
                        records.append(state_pb2.StateRecord(entries=state_pb2.StateEntries(entries=[kept])))
        except BadField:
            raise
        except FlowError as error:
            raise FlowError(f"changes[{index}]: {error.reason}; nothing was changed", error.code) from None
        self._entries.update(added)
        for number in removed:
            self._entries.pop(number, None)
        for record in records:
            self.journal.write(record)
        return numbers

    # -- looking

    def trace(self, dpu: Dpu, port: str, frame: bytes, pkt_meta: int) -> results.Trace:
        """A trace; the entry of a hop is its number here, its tag the caller's."""
        trace = dpu.trace(port, frame, pkt_meta)
        hops = []
        for hop in trace.hops:
            if hop.entry is not None and hop.pipe in self.state.pipes:
                try:
                    tag = self.state.message(hop.tag).tag
                except NotFound:
                    tag = 0
                hop = dataclasses.replace(hop, entry=hop.tag, tag=tag)
            hops.append(hop)
        return dataclasses.replace(trace, hops=tuple(hops))

    def notices(self) -> tuple[list[results.Event], list[str]]:
        """What happened to ports and pipes, and what the library finds suspicious, since this was last asked."""
        with self._lock:
            dpu = self._dpu
            return ([], []) if dpu is None else (dpu.events(), dpu.warnings())

    def age(self) -> int:
        """Remove entries that have aged; their number. For the housekeeping thread."""
        with self._lock:
            dpu = self._dpu
            if dpu is None:
                return 0
            numbers = [entry.spec.tag for port in dpu.ports.values() for entry in port.age()]
            return sum(error is None for error in self.remove_entries(numbers))
