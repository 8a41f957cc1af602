# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Quarantines and releases a workload when told so: a process that does nothing else, so that what its call takes is
not what others of its process do.

``python -m appliance.bench.caller SOCKET WORKLOAD``: for each line on standard input, ``quarantine`` or ``release``,
one on standard output: when it was called and when it was answered, nanoseconds since the epoch.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from pathlib import Path
from typing import Final, Self

from appliance.bench.machine import BenchError, opened
from appliance.rpc.client import Client
from appliance.v1 import containment_service_pb2 as pb

CALL_SECONDS: Final = 30.0


class Caller:
    """The process, seen from the bench; it is there, and connected, while its block runs."""

    def __init__(self, socket: Path, workload: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "appliance.bench.caller", str(socket), workload],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def call(self, what: str) -> tuple[int, int]:
        """``quarantine`` or ``release``: when it was called, and when it was answered."""
        commands, answers = opened(self._process.stdin), opened(self._process.stdout)
        with contextlib.suppress(BrokenPipeError):  # then there is no answer either
            commands.write(f"{what}\n")
            commands.flush()
        words = answers.readline().split()
        if len(words) != 2:
            raise BenchError(f"the call to {what} failed")
        return int(words[0]), int(words[1])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()  # the end of its input is its end


def timed(client: Client, what: str, workload: str) -> tuple[int, int]:
    """``quarantine`` or ``release`` of a workload: when it was called and when it was answered, as ``time.time_ns``."""
    target = pb.ContainmentTarget(workloads=[workload])
    stub = client.containment
    called = time.time_ns()
    if what == "quarantine":
        stub.Quarantine(pb.QuarantineRequest(target=target, reason="bench"), timeout=CALL_SECONDS)
    else:
        stub.Release(pb.ReleaseRequest(target=target, reason="bench"), timeout=CALL_SECONDS)
    return called, time.time_ns()


def main(socket: str, workload: str) -> None:
    """The process itself."""
    with Client(f"unix:{socket}") as client:
        client.containment.ListContainment(pb.ListContainmentRequest(), timeout=CALL_SECONDS)  # connects
        for line in sys.stdin:
            print(*timed(client, line.strip(), workload), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
