# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""A steering client of the tests' own, straight from the wire headers.

It shares no code with native/steering, so that it can check what that library and the fast path agree on, send what
no library would send, and read counters when the library is what failed. `ffi` lays structures out from the
preprocessed headers; `wire` has the enum constants.
"""

import array
import contextlib
import mmap
import os
import socket
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import cffi

from tests.support.tree import BUILD

CDEF = BUILD / "native" / "include" / "steering_wire.cdef"

ffi: Any = cffi.FFI()
ffi.cdef(CDEF.read_text())
wire: Any = ffi.dlopen(
    None
)  # C library functions aside, its attributes are the enum constants of the headers
constants: dict[str, int] = {
    name: getattr(wire, name) for name in dir(wire) if name.startswith(("STEER", "STATS_")) and name.isupper()
}


class WireError(OSError):
    """A request that the fast path refused: errno, and the sentence it gave."""


class Wire:
    """One connection to a fast path's steering socket. A context manager; not thread safe."""

    def __init__(self, path: Path, timeout: float = 10.0) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(timeout)
        self._seq = 0
        self._fds: list[int] = []
        try:
            self.socket.connect(str(path))
        except BaseException:
            self.socket.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the session; a second call does nothing."""
        self.socket.close()
        while self._fds:
            os.close(self._fds.pop())

    def request(self, op: int, payload: bytes = b"") -> tuple[bytes, list[int]]:
        """Send one request, wait for its reply: payload and file descriptors (the caller closes them)."""
        self._seq += 1
        head = ffi.new("struct steer_msg *", {"op": op, "seq": self._seq, "length": len(payload)})
        self.socket.send(bytes(ffi.buffer(head)) + payload)
        room = wire.STEER_MSG_MAX + ffi.sizeof("struct steer_msg")
        data, ancillary, flags, _ = self.socket.recvmsg(
            room, socket.CMSG_SPACE(8 * 4), socket.MSG_CMSG_CLOEXEC
        )
        fds = array.array("i")
        for level, kind, content in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                fds.frombytes(content[: len(content) - len(content) % fds.itemsize])
        if not data:
            raise ConnectionResetError("the fast path ended the session")
        assert not flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC), "truncated reply"
        reply = ffi.from_buffer("struct steer_msg *", data)
        body = data[ffi.sizeof("struct steer_msg") :]
        assert (reply.op, reply.seq, reply.length) == (op, self._seq, len(body))
        if reply.status < 0:
            for fd in fds:
                os.close(fd)
            raise WireError(-reply.status, body.decode() or os.strerror(-reply.status))
        return body, list(fds)

    def hello(self, name: str = "test", flags: int | None = None, **fields: int) -> Any:
        """Say hello, as a reader unless told otherwise; the session's descriptors close with the connection."""
        given = {
            "magic": wire.STEERING_MAGIC,
            "abi": wire.STEERING_ABI,
            "name": name.encode(),
            "flags": wire.STEER_SESSION_READER if flags is None else flags,
        } | fields
        hello = ffi.new("struct steer_hello *", given)
        body, fds = self.request(wire.STEER_OP_HELLO, bytes(ffi.buffer(hello)))
        self._fds += fds
        reply = ffi.new("struct steer_hello_reply *")
        ffi.memmove(reply, body, ffi.sizeof("struct steer_hello_reply"))
        return reply

    def ports(self) -> list[Any]:
        """`steer_port_info` of every port."""
        body, _ = self.request(wire.STEER_OP_PORT_LIST)
        size = ffi.sizeof("struct steer_port_info")
        assert len(body) % size == 0
        infos = [ffi.new("struct steer_port_info *") for _ in range(len(body) // size)]
        for at, info in enumerate(infos):
            ffi.memmove(info, body[at * size :], size)
        return infos

    def stats(self) -> "Stats":
        """Map the stats segment; it stays readable after this connection is closed."""
        _, fds = self.request(wire.STEER_OP_STATS)
        assert len(fds) == 1
        try:
            return Stats(fds[0])
        finally:
            os.close(fds[0])


class Stats:
    """The mapped stats segment of a fast path."""

    def __init__(self, fd: int) -> None:
        self.memory = mmap.mmap(fd, os.fstat(fd).st_size, mmap.MAP_SHARED, mmap.PROT_READ)
        self._base = ffi.from_buffer(self.memory)
        self.header = ffi.cast("struct stats_header *", self._base)
        assert self.header.magic == wire.STEERING_MAGIC
        assert self.header.abi == wire.STEERING_ABI

    def close(self) -> None:
        """Unmap. Nothing of it may be read afterwards."""
        del self.header
        ffi.release(self._base)
        with contextlib.suppress(BufferError):  # a view is still alive; it goes with the process
            self.memory.close()

    def workers(self) -> list[Any]:
        """A `stats_worker` per worker, and the control lcore's as the last."""
        offsets = list(self.header.worker_offset)[: self.header.nr_workers + 1]
        return [ffi.cast("struct stats_worker *", self._base + offset) for offset in offsets]

    def ports(self, count: int) -> list[dict[str, int]]:
        """Packets per port, summed over workers; `drops.<reason>` for each reason that is not zero."""
        reasons = {
            value: name.removeprefix("STEER_DROP_").lower()
            for name, value in constants.items()
            if name.startswith("STEER_DROP_")
        }
        sums = []
        for index in range(count):
            blocks = [worker.port[index] for worker in self.workers()]
            names = ("received", "sent", "injected", "software", "transmitted", "dropped")
            port = {name: sum(getattr(block, name).packets for block in blocks) for name in names}
            for value, reason in reasons.items():
                if value < 32 and (dropped := sum(block.drops[value] for block in blocks)):
                    port[f"drops.{reason}"] = dropped
            sums.append(port)
        return sums
