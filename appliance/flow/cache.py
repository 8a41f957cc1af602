# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""What the fast path tells of its flow cache."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CacheStats:
    """The flow cache of a worker: walks that were recorded, to be repeated for packets that would walk the same
    way. They are looked up from a port's root, in the policy stage and behind the CT pipe. All but ``room`` and
    ``walks`` only grow.
    """

    room: int
    """Walks that there is room for; 0: no cache."""
    walks: int
    """Held now."""
    hits: int
    """Look-ups that found a walk."""
    misses: int
    """Others."""
    connections: int
    """Packets that took the walk that their connection knew."""
    recorded: int
    """Walks."""
    given: int
    """Times that a connection was given walks."""
    changed: int
    """Invalid walks found: a pipe on them has changed since."""
    evicted: int
    """Walks given up for others."""
    widened: int
    """Times that walks were given up since others depend on more of a packet."""
    emptied: int
    """Times that all were given up."""
    forgotten: int
    """Times that connections lost theirs."""
    refused: int
    """Walks not recorded since the cache is full."""
    idle: int
    """Times that a start was left alone: walks are short there, or do not last."""
