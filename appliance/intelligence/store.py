# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""What a centre keeps its state in: keys, values, versions.

The shape is that of etcd: one version for the whole store that grows with each commit, each item with the version of
its last change, a commit that happens only if what it looked at has not changed, and a watch from any version. It
assumes neither one process nor one disk. ``tests/intelligence/store_contract.py`` is the suite that any backend passes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

from appliance.errors import BadState, Code, FlowError


class Conflict(BadState):
    """Somebody else has changed what a commit looked at: read it again."""


class NoSpace(FlowError):  # noqa: N818 - errors are named after what is wrong
    """The disk is full, or the store may not grow: nothing was written."""

    default_code: ClassVar[Code] = Code.FULL


def no_room(error: FlowError) -> bool:
    """Whether something could not be written, be it into the store or the audit log."""
    return isinstance(error, NoSpace) or error.code is Code.IO_FAILED


class Compacted(BadState):
    """A watch from a version that is no longer known: read everything again."""


@dataclass(frozen=True, slots=True)
class Item:
    """A value."""

    key: str
    value: bytes
    version: int
    """Of the commit that wrote it last."""


@dataclass(frozen=True, slots=True)
class Change:
    """What a commit did to one key."""

    key: str
    value: bytes | None
    """None: it was deleted."""
    version: int


class Store(Protocol):
    """Any thread, and any process, may call. Failures of the medium are ``NoSpace`` or ``FlowError``."""

    @property
    def version(self) -> int:
        """Of the last commit; 0: there was none."""
        ...

    def get(self, key: str) -> Item | None:
        """One item."""
        ...

    def range(self, prefix: str, *, after: str = "", limit: int = 0) -> Sequence[Item]:
        """Items whose key begins with a prefix, in order of keys, behind ``after``; all with limit 0."""
        ...

    def commit(
        self,
        puts: Mapping[str, bytes],
        deletes: Sequence[str] = (),
        *,
        expect: Mapping[str, int] | None = None,
    ) -> int:
        """Write all of it in one step and give its version. ``expect``: versions of items that the caller saw (0:
        there was none); ``Conflict`` when one is another now, and nothing is written. On disk when it returns.
        """
        ...

    def probe(self) -> None:
        """Try whether a commit would find room; changes nothing that can be seen. ``NoSpace``."""
        ...

    def changes(self, since: int, *, limit: int = 0) -> Sequence[Change]:
        """What commits behind a version did, in order. ``Compacted``."""
        ...

    def compact(self, before: int) -> None:
        """Forget changes up to a version."""
        ...

    def wait(self, since: int, seconds: float) -> int:
        """The version, as soon as it is above ``since`` or the time is over."""
        ...

    def close(self) -> None:
        """Let go."""
        ...
