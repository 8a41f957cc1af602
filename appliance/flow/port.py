# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Ports that this session has started."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING

from appliance.errors import AlreadyExists, BadState, NotFound
from appliance.flow import convert
from appliance.flow.engine import Engine
from appliance.flow.pipe import Entry, Pipe, pipe_handle
from appliance.flow.types import DefaultMiss, Domain, PipeRef, PipeSpec, PipeType
from appliance.steering import ct, pipes, session
from appliance.steering.native import Cdata

if TYPE_CHECKING:
    from appliance.flow.dpu import Dpu


class Port:
    """A started port (``doca_flow_port``). As a context manager it is stopped at the end."""

    def __init__(self, dpu: Dpu, made: Cdata, name: str, port_id: int, index: int) -> None:
        self.dpu = dpu
        self.engine: Engine = dpu.engine
        self.name = name
        """The fast path's name: p0, pf0vf0 ..."""
        self.id = port_id
        """The logical id that matches and forwards use."""
        self.index = index
        """The fast path's number."""
        self.aged: list[Entry] = []
        self._handle: Cdata | None = made
        self._pipes: dict[str, Pipe] = {}

    @property
    def handle(self) -> Cdata:
        """For ``appliance.steering``."""
        if self._handle is None:
            raise BadState(f"port {self.name} is stopped")
        return self._handle

    # -- pipes -----------------------------------------------------------------------------------------------------

    @property
    def pipes(self) -> Mapping[str, Pipe]:
        """Its pipes by name."""
        return MappingProxyType(self._pipes)

    def pipe(self, name: str) -> Pipe:
        """A pipe by name."""
        if name not in self._pipes:
            raise NotFound(f"port {self.name} has no pipe {name!r}")
        return self._pipes[name]

    def resolve(self, reference: PipeRef) -> Cdata:
        """The handle of a pipe that a forward refers to."""
        return pipe_handle(reference, self._pipes)

    def pipe_create(self, spec: PipeSpec) -> Pipe:
        """Create a pipe (``doca_flow_pipe_create``); all checks of its template happen here.

        In switch mode pipes are created on the switch port. Names are how forwards refer to pipes, so they
        are unique on a port (``AlreadyExists``).
        """
        if spec.name in self._pipes:
            raise AlreadyExists(f"port {self.name} has a pipe {spec.name!r} already")
        pipe = Pipe(self, pipes.pipe_create(self.handle, convert.pipe_parts(spec, self.resolve)), spec)
        self._pipes[spec.name] = pipe
        self.engine.on_abort(pipe.withdraw)
        return pipe

    def forget(self, pipe: Pipe) -> None:
        """From a pipe: it is destroyed."""
        self._pipes.pop(pipe.name, None)

    def remember(self, pipe: Pipe) -> None:
        """From a pipe: it is there again, its destruction was undone."""
        self._pipes[pipe.name] = pipe

    def adopt(self) -> list[Pipe]:
        """After a re-attach to a durable session: the pipes that it left on this port.

        Their ``spec`` has what the fast path tells: name, type, domain, root, room, CT configuration.
        ``Pipe.adopt_entries`` has the entries.
        """
        adopted = []
        for made in pipes.adopt_pipes(self.handle):
            row = pipes.pipe_info(made)
            spec = PipeSpec(
                name=row["name"] or f"#{row['number']}",
                type=PipeType(row["type"]),
                domain=Domain(row["domain"]),
                is_root=bool(row["is_root"]),
                nr_entries=row["nr_entries"],
                label=row["label"],
                is_resizable=bool(row["is_resizable"]),
                miss_counter=bool(row["has_miss_counter"]),
                ct=None if (config := ct.pipe_config(made)) is None else convert.ct_config(config),
            )
            pipe = Pipe(self, made, spec)
            self._pipes[spec.name] = pipe
            adopted.append(pipe)
        return adopted

    def flush(self) -> None:
        """Destroy all pipes (``doca_flow_port_pipes_flush``)."""
        for pipe in self._pipes.values():
            pipe.abandon()
        self._pipes.clear()
        session.port_flush(self.handle)
        self.engine.dispatch()

    # -- entries ---------------------------------------------------------------------------------------------------

    def process(self, queue: int = 0, timeout: float = 0.0, max_entries: int = 0) -> int:
        """Publish what is buffered on a queue and take results (``doca_flow_entries_process``).

        ``timeout`` in seconds, 0 looks once; ``max_entries`` 0 is no limit. Returns how many operations
        completed.
        """
        return self.engine.process(self.handle, queue, int(timeout * 1e6), max_entries)

    def age(self, queue: int = 0, quota: float = 0.0, max_entries: int = 0) -> list[Entry]:
        """Entries whose time is up since the last call (``doca_flow_aging_handle``, until a round is over).

        They are still there: removing them is the caller's business. ``quota`` in seconds, 0 for none.
        """
        with self.engine.queue(queue):
            while session.aging(self.handle, queue, int(quota * 1e6), max_entries) > 0 and not max_entries:
                pass
        self.engine.dispatch()
        aged, self.aged = self.aged, []
        return aged

    # -- the port itself -------------------------------------------------------------------------------------------

    def pair(self, other: Port) -> None:
        """vnf mode: let two ports forward to each other (``doca_flow_port_pair``)."""
        session.port_pair(self.handle, other.handle)

    def set_default_miss(self, miss: DefaultMiss) -> None:
        """Where pipes without ``fwd_miss`` send what they miss (``doca_flow_port_update_default_miss``)."""
        session.port_default_miss(self.handle, miss)

    def find(self, number: int) -> Entry | None:
        """The entry of a bulk call whose handle has this address."""
        for pipe in self._pipes.values():
            for batch in pipe.batches:
                found = batch.find(number)
                if found is not None:
                    return found
        return None

    def stop(self) -> None:
        """Stop it; its pipes are gone (``doca_flow_port_stop``). ``InUse``: pipes of other ports forward to
        it.
        """
        if self._handle is None:
            return
        session.port_stop(self._handle)
        self.abandon()
        self.dpu.forget(self)

    def abandon(self) -> None:
        """From the Dpu: the handles are no longer valid."""
        for pipe in self._pipes.values():
            pipe.abandon(final=True)
        self._pipes.clear()
        self._handle = None

    def __enter__(self) -> Port:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<Port {self.name}, id {self.id}>"
