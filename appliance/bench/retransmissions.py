# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""One TCP connection between the two namespaces of a laboratory, at a steady rate, and how often its kernel had to send
something again.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from appliance.bench.lab import TAPS
from appliance.bench.machine import BenchError, opened

PORT: Final = 5001
SERVER: Final = """\
import socket, sys
listener = socket.create_server(("10.88.0.2", int(sys.argv[1])))
print("READY", flush=True)
one, _ = listener.accept()
while one.recv(1 << 16):
    pass
"""
# A block each millisecond, from a thread; a line on stdin asks for counts of struct tcp_info: tcpi_total_retrans at
# byte 100, tcpi_bytes_acked at 120, tcpi_dsack_dups at 216.
CLIENT: Final = """\
import json, socket, struct, sys, threading, time
one = socket.create_connection(("10.88.0.2", int(sys.argv[1])), timeout=10)
one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
one.settimeout(None)
block, state = bytes(1000), {"sent": 0, "error": ""}
def send():
    try:
        while True:
            one.sendall(block)
            state["sent"] += len(block)
            time.sleep(0.001)
    except OSError as error:
        state["error"] = str(error)
threading.Thread(target=send, daemon=True).start()
print("READY", flush=True)
for _ in sys.stdin:
    info = one.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    again, needless = (struct.unpack_from("=I", info, at)[0] if at < len(info) - 3 else 0 for at in (100, 216))
    acked = struct.unpack_from("=Q", info, 120)[0]
    print(json.dumps({"again": again, "needless": needless, "acked": acked, **state}), flush=True)
"""


@dataclass(frozen=True, slots=True)
class Counts:
    """Of a connection since its beginning."""

    again: int
    """Segments that were sent again."""
    needless: int
    """Of these, whose first one had come (the other side said so): late, not lost."""
    acked: int
    """Bytes."""


class Connection:
    """It runs from the beginning of the block to its end."""

    def __init__(self) -> None:
        self._server, self._client = (
            self._start(*one) for one in zip(reversed(TAPS), (SERVER, CLIENT), strict=True)
        )

    @staticmethod
    def _start(namespace: str, code: str) -> subprocess.Popen[str]:
        child = subprocess.Popen(
            ["ip", "netns", "exec", namespace, sys.executable, "-c", code, str(PORT)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        if opened(child.stdout).readline().strip() != "READY":
            child.kill()
            words = child.communicate()[1].strip().splitlines()[-1:]
            raise BenchError(f"TCP between the taps: {' '.join(words)}")
        return child

    def look(self) -> Counts:
        """Now. ``BenchError``: the connection broke."""
        stdin = opened(self._client.stdin)
        stdin.write("\n")
        stdin.flush()
        found = json.loads(opened(self._client.stdout).readline())
        if found["error"]:
            raise BenchError(f"TCP between the taps broke: {found['error']}")
        return Counts(*(int(found[name]) for name in ("again", "needless", "acked")))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for child in (self._client, self._server):
            child.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.communicate(timeout=10)
