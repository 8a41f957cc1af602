# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Segmentation in operation, as values: its settings, what is in force, what a publish asks and what became of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from appliance.flow.types import CtConfig
from appliance.policy.compiler import ROOM
from appliance.policy.model import Default, Inventory, Network, Overlay, PolicySet, State, Workload
from appliance.policy.program import Program

Use = Callable[[float | None], AbstractContextManager[Any]]
"""Gives the Dpu to one caller at a time; ``NotConnected`` while there is none."""
NO_CT: Final = CtConfig()


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the configuration says."""

    networks: tuple[Network, ...]
    ports: Mapping[str, int]
    """Logical id by name."""
    overlay: Overlay | None = None
    ct: CtConfig = NO_CT
    default: Default = Default.BLOCK
    """While no policy was published."""
    appliance: str = "local"
    service: str = ""
    """HOST:PORT at which publishers reach this appliance."""
    protect: tuple[tuple[str, str, str], ...] = ()
    """Connections (from, to, service) that no publish may cut unless forced; selectors and one service."""
    max_rows: int = ROOM
    """Rows of all tables that a policy may take."""
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
