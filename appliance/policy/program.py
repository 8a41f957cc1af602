# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""A compiled policy: pipes, their rows, and what the numbers in them mean.

A program is a value. Two programs compiled from equal inputs are equal; rows that an edit does not concern stay equal
byte for byte, so that a difference of programs is what has to be posted. Tables that were not touched by an
incremental compile are the same objects (``is``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from appliance.flow.types import Fwd, PipeSpec
from appliance.policy.model import Action, Band, State

UNKNOWN_BASE: Final = 1
APPLIANCE_BASE: Final = 2
WORLD_BASE: Final = 3
FIRST_BASE: Final = 16
"""Bases below are reserved."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One pipe with its rows.

    ``keys`` is a structured array with a column per changeable match field, named by field string
    (``outer.ipv4.src_ip``, ``meta.u32[4]``), in network order as ``Pipe.key_dtype`` has it, but in no promised order:
    use ``fit`` to bring rows to a pipe's dtype. ``masks`` (LPM, ACL) has the same columns, ``args`` those of
    ``Pipe.args_dtype(0)``. All per-row arrays are as long as ``keys``. The key (with mask and priority) of a row is
    unique in its table; rows are sorted by it.
    """

    name: str
    spec: PipeSpec
    keys: NDArray[np.void]
    tags: NDArray[np.uint64]
    """Provenance: see ``Program.verdicts``; 0 where a row decides nothing."""
    masks: NDArray[np.void] | None = None
    priorities: NDArray[np.uint32] | None = None
    """ACL only; 0 is looked at first."""
    args: NDArray[np.void] | None = None
    fwds: tuple[Fwd, ...] = ()
    """Empty: rows inherit the pipe's forward."""
    fwd_of_row: NDArray[np.uint32] | None = None
    """Index into ``fwds``; None with one or no forward."""

    def __len__(self) -> int:
        return len(self.keys)

    def arg(self, name: str) -> NDArray[Any]:
        """A column of the action arguments."""
        if self.args is None:
            raise KeyError(name)
        return self.args[name]

    def mask(self, name: str) -> NDArray[Any]:
        """A column of the masks."""
        if self.masks is None:
            raise KeyError(name)
        return self.masks[name]

    def same(self, other: Table) -> bool:
        """Whether both have the same pipe and equal rows."""
        return self is other or (
            self.spec == other.spec
            and self.fwds == other.fwds
            and all(
                _equal(getattr(self, part), getattr(other, part))
                for part in ("keys", "masks", "priorities", "args", "fwd_of_row", "tags")
            )
        )


def _equal(a: NDArray[Any] | None, b: NDArray[Any] | None) -> bool:
    if a is None or b is None:
        return a is b
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def fit(rows: NDArray[np.void], dtype: np.dtype[np.void]) -> NDArray[np.void]:
    """Rows with their columns as ``dtype`` has them (``Pipe.key_dtype``). ``ValueError`` if the columns differ."""
    names = set(rows.dtype.names or ())
    if names != set(dtype.names or ()):
        raise ValueError(f"columns {sorted(names)} do not fit {sorted(dtype.names or ())}")
    fitted = np.zeros(len(rows), dtype)
    for name in names:
        fitted[name] = rows[name]
    return fitted


# --- provenance -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a policy says about a connection, and which rule says it."""

    action: Action
    band: Band
    rule: str
    """Name of the rule; ``default`` in the default band, ``quarantine`` or ``restrict`` for containment."""
    log: bool = False
    alert: bool = False
    """An event is to be raised."""
    peer_rule: str = ""
    """Two-sided policies: what the other side's policy said."""
    audit_action: Action | None = None
    """What would happen if all rules enforced; None unless a rule in audit mode decides that."""
    audit_band: Band | None = None
    audit_rule: str = ""

    @property
    def passes(self) -> bool:
        """Whether packets get through."""
        return self.action.passes


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What a base number stands for."""

    base: int
    labels: Mapping[str, str] = field(default_factory=dict)
    kind: str = ""
    """Empty for what is no workload."""
    entity: str = ""
    """``unknown``, ``appliance``, ``world``; empty for workloads."""
    name: str = ""
    """Of a workload that a selector names; it then has a base of its own."""
    origin: str = ""
    """If a selector asks for origins."""
    cidrs: tuple[str, ...] = ()
    """CIDR objects of the policy that contain its addresses, as they are written in selectors."""


def identity_number(base: int, state: State = State.NORMAL) -> int:
    """The number in map entries, connections and records."""
    return base << 2 | state


def base_of(number: int) -> int:
    """The base of an identity number."""
    return number >> 2


def state_of(number: int) -> State:
    """The state of an identity number."""
    return State(number & 3)


@dataclass(frozen=True, slots=True)
class Numbers:
    """Numbers given so far; kept across revisions and restarts, and handed to the next compile.

    ``bases`` by the canonical text of an identity, ``zones`` by network name. A compile adds and never re-uses;
    whoever keeps them may take out what no connection, record or program names any more.
    """

    bases: Mapping[str, int] = field(default_factory=dict)
    zones: Mapping[str, int] = field(default_factory=dict)
    next_base: int = FIRST_BASE
    next_zone: int = 1

    def to_dict(self) -> dict[str, Any]:
        """For a file."""
        return {
            "bases": dict(self.bases), "zones": dict(self.zones),
            "next_base": self.next_base, "next_zone": self.next_zone,
        }  # fmt: skip

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Numbers:
        """The inverse of ``to_dict``."""
        return cls(dict(data["bases"]), dict(data["zones"]), int(data["next_base"]), int(data["next_zone"]))


# --- the whole --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Binding:
    """An address of a workload, as the program has it."""

    workload: str
    network: str
    zone: int
    address: str
    port: str
    """Empty: it is behind another appliance."""
    mac: str
    identity: int


class Range(NamedTuple):
    """A prefix in the address tables."""

    zone: int
    version: int
    address: int
    length: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How large the program is, and what the compiler saved."""

    workloads: int = 0
    bases: int = 0
    rules: int = 0
    pairs_before: int = 0
    """Identity pairs (all four states) that the rules name, before classes and wildcards."""
    pairs: int = 0
    """Rows of the pair tables."""
    source_classes: int = 0
    target_classes: int = 0
    service_lists: int = 0
    rows: Mapping[str, int] = field(default_factory=dict)
    """Of each table."""
    seconds: float = field(default=0.0, compare=False)
    """How long the compile took."""

    @property
    def total_rows(self) -> int:
        """Of all tables."""
        return sum(self.rows.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """Everything an appliance needs to enforce one revision."""

    tables: tuple[Table, ...]
    """In the order in which the pipes are created: what a pipe forwards to comes before it; ``seg/root`` is last."""
    verdicts: Mapping[int, Verdict]
    """Provenance by tag. Tags are made of the verdict's content, so equal verdicts have equal tags in all programs."""
    identities: Mapping[int, Identity]
    """By base number."""
    bindings: tuple[Binding, ...]
    """Every bound address."""
    numbers: Numbers
    sizes: Sizes
    ranges: Mapping[str, tuple[Range, ...]] = field(default_factory=dict)
    """What else is a workload's in the address tables, by name: of those that are bound by prefixes."""
    kept: dict[type, Any] = field(default_factory=dict, init=False, compare=False, repr=False)
    """What others have worked out from it, once, by its type; lives as long as the program."""

    def __iter__(self) -> Iterator[Table]:
        return iter(self.tables)

    def table(self, name: str) -> Table:
        """A table by name; ``KeyError`` if there is none."""
        for table in self.tables:
            if table.name == name:
                return table
        raise KeyError(name)
