# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""When Python looks for cycles of garbage: a whole look stops every thread, for 50 ms in an appliance that has just
started, 100 ms more with 10,000 workloads. By itself it comes at any time, in the midst of a quarantine too.
"""

from __future__ import annotations

import gc
from collections.abc import Mapping
from typing import Final

from appliance.policy.operation import InForce

SLOW_SECONDS: Final = 1.0
"""A compile that took as long leaves much to look at; a look is a small part of it."""


def settle() -> None:
    """Look now. What is found alive lives long and is not looked at again before the next call."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()


class AfterCompiles:
    """Settles what slow compiles leave."""

    def __init__(self, now: InForce) -> None:
        """``now`` is settled already."""
        self._known: Mapping[int, object] = now.program.identities

    def changed(self, now: InForce) -> None:
        """Something else is in force."""
        program = now.program
        if program.identities is not self._known:  # not states or labels alone
            self._known = program.identities
            if program.sizes.seconds >= SLOW_SECONDS:
                settle()
