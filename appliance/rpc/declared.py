# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""What the configuration file declares, and how it goes together with what calls have made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import structlog

from appliance.flow import PortConfig
from appliance.flow import types as flow
from appliance.rpc.convert.base import BadField
from appliance.rpc.state import State
from appliance.v1 import entry_pb2, pipe_pb2, port_pb2, shared_resource_pb2, state_pb2

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Declared:
    """What the configuration file declares, as messages."""

    digest: bytes
    ports: tuple[flow.PortSpec, ...]
    shared: tuple[shared_resource_pb2.SharedResource, ...] = ()
    pipes: tuple[pipe_pb2.Pipe, ...] = ()
    entries: tuple[entry_pb2.Entry, ...] = ()
    pairs: tuple[tuple[str, str], ...] = ()
    """vnf mode: ports that forward to each other."""
    netns: Mapping[str, str] = field(default_factory=dict)
    """Namespaces of taps by name of port."""
    where: Mapping[str, str] | None = None
    """``file:line`` by name of pipe, for refusals."""


def port_config(port: port_pb2.Port) -> PortConfig:
    """What ``Dpu.port_add`` takes."""
    if not port.backend:
        raise BadField("port.backend", "is required")
    return PortConfig(
        name=port.name,
        backend=port.backend,
        args=port.args,
        netns=port.netns,
        mac=port.mac,
        mtu=port.mtu or 1500,
    )


def merge(state: State, declared: Declared) -> None:
    """Bring a state to a configuration. Unchanged configuration: nothing. Else what it declares replaces what an
    earlier one declared; pipes and entries made by calls stay where their pipe does.
    """
    if state.config_digest == declared.digest:
        return
    wanted = {pipe.name: pipe for pipe in declared.pipes}
    for name, pipe in list(state.pipes.items()):
        same = name in wanted and pipe.message == wanted[name]
        if (pipe.declared and not same) or (not pipe.declared and name in wanted):
            log.info("pipe is not as the configuration declares it", pipe=name)
            state.apply(state_pb2.StateRecord(pipe_destroyed=name))
    order = {}
    for name, message in wanted.items():
        if name not in state.pipes:
            state.apply(state_pb2.StateRecord(pipe=state_pb2.StatePipe(pipe=message, declared=True)))
        order[name] = state.pipes[name]
    state.pipes = order | {name: pipe for name, pipe in state.pipes.items() if name not in order}
    before: dict[int, entry_pb2.Entry] = {}
    for pipe in state.pipes.values():
        for number, entry in pipe.entries.items():
            if entry.declared:
                before[number] = entry_pb2.Entry.FromString(entry.message.SerializeToString())
                before[number].ClearField("id")
    left = list(declared.entries)
    for number, earlier in before.items():
        if earlier in left:
            left.remove(earlier)
        else:
            state.apply(state_pb2.StateRecord(removed=np.array([number], "<u8").tobytes()))
    for added in left:
        kept = entry_pb2.Entry.FromString(added.SerializeToString())
        kept.id = state.next_entry_id
        state.apply(state_pb2.StateRecord(entries=state_pb2.StateEntries(entries=[kept], declared=True)))
    state.config_digest = declared.digest
