# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Why a policy or an inventory is refused: always whole, with every reason that was found."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from appliance.errors import BadConfig

NAMED: Final = 8
"""Names in a sentence."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One reason: ``item`` is the object (``rule web-to-db``), ``field`` its member, ``place`` file and line."""

    item: str
    field: str
    why: str
    place: str = ""

    def __str__(self) -> str:
        what = f"{self.item}: {self.field}" if self.item and self.field else self.item or self.field
        return ": ".join(part for part in (self.place, what, self.why) if part)


def some_of(names: Iterable[str]) -> str:
    """The first few of them, for a sentence."""
    listed = sorted(names)
    return (
        ", ".join(listed[:NAMED]) + (f" and {len(listed) - NAMED} more" if len(listed) > NAMED else "")
        or "none"
    )


class Refused(BadConfig):
    """Nothing of it was taken. ``problems`` has at least one."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in problems))


def refuse(item: str, field: str, why: str) -> Refused:
    """With one reason."""
    return Refused([Problem(item, field, why)])
