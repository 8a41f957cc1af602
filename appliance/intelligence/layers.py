# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Who contained whom: the centre, and each appliance for what it holds. The strictest counts.

Each word stays apart, so that an appliance that takes its own back takes back nobody else's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from appliance.intelligence import wire
from appliance.intelligence.slices import ContainedAt, FleetContainment
from appliance.intelligence.store import Item
from appliance.intelligence.v1 import statement_pb2

OVER: Final = 1e-9
"""Seconds that are left of a containment whose time is up."""
CENTRE: Final = ""
PREFIX: Final = "contained/"
"""Of keys in the store; the appliance's name, or nothing for the centre, is behind it."""
Said = Mapping[str, ContainedAt]
"""By workload."""


@dataclass(frozen=True, slots=True)
class Layers:
    """By who says so (``CENTRE``, or an appliance's name): what it says. Nobody in it says nothing."""

    said: Mapping[str, Said] = field(default_factory=dict)

    def of(self, who: str) -> Said:
        """What one says."""
        return self.said.get(who, {})

    def saying(self, who: str, said: Said) -> Layers:
        """With something else said by one."""
        made = {other: one for other, one in self.said.items() if other != who}
        return Layers(made | ({who: dict(said)} if said else {}))

    def without(self, names: Iterable[str]) -> Layers:
        """Nobody says anything of these workloads any more."""
        gone = set(names)
        made = self
        for who, said in self.said.items():
            if gone & said.keys():
                made = made.saying(who, {name: one for name, one in said.items() if name not in gone})
        return made

    def merged(self) -> dict[str, ContainedAt]:
        """What counts: of each workload the strictest; the centre's, then by name, where several say the same."""
        made: dict[str, ContainedAt] = {}
        for who in sorted(self.said):
            for name, one in self.said[who].items():
                if name not in made or made[name].contained.state < one.contained.state:
                    made[name] = one
        return made

    @property
    def runs(self) -> bool:
        """Whether the time of something is limited."""
        return any(one.contained.left for one in self._all())

    def later(self, seconds: float) -> Layers:
        """After some time."""
        return Layers(
            {
                who: {name: _later(one, seconds) if one.contained.left else one for name, one in said.items()}
                for who, said in self.said.items()
            }
        )

    def lasting(self) -> Layers:
        """Without what is over."""
        return Layers(
            {
                who: kept
                for who, said in self.said.items()
                if (kept := {name: one for name, one in said.items() if not 0 < one.contained.left <= OVER})
            }
        )

    def _all(self) -> Iterator[ContainedAt]:
        return (one for said in self.said.values() for one in said.values())

    # -- in the store

    def changes(self, before: Layers) -> tuple[dict[str, bytes], list[str]]:
        """What a commit puts and deletes: what has changed, and what runs, so that no restart makes it run again."""
        puts = {
            PREFIX + who: wire.containment_to(FleetContainment(0, said)).SerializeToString()
            for who, said in self.said.items()
            if said is not before.said.get(who) or any(one.contained.left for one in said.values())
        }
        return puts, [PREFIX + who for who in before.said if who not in self.said]

    @classmethod
    def read(cls, items: Iterable[Item], merged: FleetContainment) -> Layers:
        """From a store; from what counts where an older Ringfield kept no more."""
        found = {
            item.key.removeprefix(PREFIX): wire.containment_from(
                statement_pb2.ContainmentState.FromString(item.value)
            ).contained
            for item in items
        }
        if not found:
            for name, one in merged.contained.items():
                found.setdefault(one.origin, {})
                found[one.origin] = {**found[one.origin], name: one}
        return cls(found)


def _later(one: ContainedAt, seconds: float) -> ContainedAt:
    return replace(one, contained=replace(one.contained, left=max(OVER, one.contained.left - seconds)))
