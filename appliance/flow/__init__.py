# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Pythonic DOCA Flow.

Values (``Match``, ``Actions``, ``Fwd`` ...) are in ``appliance.flow.types``, answers (``Packet``, ``Trace``
...) in ``appliance.flow.results``, errors in ``appliance.errors``; none of them needs a fast path. ``Dpu``
opens one:

with Dpu.launch(ports=2) as dpu: port, peer = dpu.port_start("p0"), dpu.port_start("p1") port.pair(peer)
pipe = port.pipe_create(PipeSpec(name="root", is_root=True, match=..., fwd=FwdPort(1), monitor=COUNT)) entry
= pipe.add(match=...) dpu.receive() dpu.inject("p0", frame) print(dpu.packets(timeout=1), entry.query(),
dpu.trace("p0", frame))

The names below are loaded when they are first used, so that importing the values does not load the native
module.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from appliance.flow.dpu import Dpu, Reserves
    from appliance.flow.launch import FastpathProcess, PortConfig
    from appliance.flow.pipe import Entries, Entry, Pipe
    from appliance.flow.port import Port

__all__ = ["Dpu", "Entries", "Entry", "FastpathProcess", "Pipe", "Port", "PortConfig", "Reserves"]

_HOME = {
    "Dpu": "dpu",
    "Reserves": "dpu",
    "FastpathProcess": "launch",
    "PortConfig": "launch",
    "Entries": "pipe",
    "Entry": "pipe",
    "Pipe": "pipe",
    "Port": "port",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
