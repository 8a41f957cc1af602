# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""How many TLS handshakes a listener of gRPC's begins in a second.

gRPC for Python takes connections by itself and cannot be told to wait. But it asks for its certificate whenever a
handshake begins, so they can be counted; and its listening sockets are files of this process, so that the kernel can be
told to drop what opens connections (SYN) there for a while: a filter of five instructions, for which nobody needs to be
privileged. Who is dropped sends again after a second, as TCP does. Connections that there are notice nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import socket
import struct
import threading
from collections.abc import Callable, Iterable, Set
from typing import Any, Final

from appliance.intelligence.bucket import Bucket

BACKLOG: Final = 512
"""Connections that wait at a listener: so many more handshakes may begin after it was closed. They are paid back."""
_ATTACH, _DETACH = 26, 27  # SO_ATTACH_FILTER, SO_DETACH_FILTER
_NO_SYN: Final = b"".join(
    struct.pack("HBBI", *one)
    for one in (
        (0x30, 0, 0, 13),  # the flags of the TCP header
        (0x54, 0, 0, 0x12),  # SYN and ACK
        (0x15, 0, 1, 0x02),  # SYN alone?
        (0x06, 0, 0, 0),  # drop
        (0x06, 0, 0, 0xFFFFFFFF),
    )
)


class Gate:
    """In front of one port. ``count`` may be called from any thread, the rest from the event loop's."""

    def __init__(
        self, per_second: float, burst: float, loop: asyncio.AbstractEventLoop, closed: Callable[[], None]
    ) -> None:
        """``closed`` is told, in the loop's thread, that connections have to wait."""
        self._bucket, self._loop, self._closed = Bucket(per_second, burst), loop, closed
        self._reopen = max(1.0, per_second / 10)
        self._lock = threading.Lock()
        self._listeners: list[socket.socket] = []
        self._shut = False
        self.counted = 0
        """Handshakes that began."""

    def guard(self, port: int, others: Iterable[Gate] = ()) -> None:
        """The listeners of a port of this process, which may be several; none that other gates are in front of, at
        other addresses. ``OSError``: the kernel knows no filters.
        """
        self._listeners = _listening(port, {_inode(one) for gate in others for one in gate._listeners})
        if not self._listeners:
            raise OSError("no listener is found")
        try:
            for one in self._listeners:
                one.listen(BACKLOG)
            self._filter(True)
            self._filter(False)
        except OSError:
            self.close()
            raise

    def certificates(self) -> Any:
        """What gRPC calls when a handshake begins; None: they are the same as before."""
        self.count()

    def count(self) -> None:
        """A handshake begins. The next ones wait when there were too many."""
        with self._lock:
            self.counted += 1
            wait = self._bucket.owe(self._reopen)
            if not wait or self._shut:
                return
            self._shut = True
            self._filter(True)
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._wait)

    def _wait(self) -> None:
        self._closed()
        self._look()

    def _look(self) -> None:
        with self._lock:
            wait = self._bucket.wait(self._reopen)
            if not wait:
                self._shut = False
                self._filter(False)
                return
        self._loop.call_later(wait, self._look)

    def _filter(self, on: bool) -> None:
        """``OSError`` only at the first attempt, if at all."""
        text = ctypes.create_string_buffer(_NO_SYN)
        given = struct.pack("HL", len(_NO_SYN) // 8, ctypes.addressof(text))
        for one in self._listeners:
            if on:
                one.setsockopt(socket.SOL_SOCKET, _ATTACH, given)
            else:
                one.setsockopt(socket.SOL_SOCKET, _DETACH, 0)

    def close(self) -> None:
        """Let go of the listeners: else they would go on listening without gRPC."""
        with self._lock:
            for one in self._listeners:
                one.close()
            self._listeners = []


def _listening(port: int, known: Set[int]) -> list[socket.socket]:
    """A file for each socket that listens at a TCP port, but for some inodes."""
    found: dict[int, socket.socket] = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            number = os.dup(int(name))
        except OSError:  # closed meanwhile: that of the folder itself, at least
            continue
        try:
            made = socket.socket(fileno=number)
        except OSError:  # no socket
            os.close(number)
            continue
        if _listens(made, port) and _inode(made) not in found.keys() | known:
            found[_inode(made)] = made
        else:
            made.close()
    return list(found.values())


def _inode(one: socket.socket) -> int:
    return os.fstat(one.fileno()).st_ino


def _listens(one: socket.socket, port: int) -> bool:
    return (
        one.family in (socket.AF_INET, socket.AF_INET6)
        and one.type == socket.SOCK_STREAM
        and bool(one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
        and one.getsockname()[1] == port
    )
