# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Entries over gRPC: batches of packed columns in one stream, to a whole appliance (`ringfield run`)."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from appliance.bench.figures import Collection
from appliance.bench.machine import BenchError, on_cores
from appliance.bench.programs import Settings
from appliance.bench.tuples import columns
from appliance.rpc.client import Client, calls
from appliance.v1 import entry_pb2, entry_service_pb2

BATCH = 4096
START_SECONDS = 30.0
PIPE = "rows"


def _config(directory: Path, settings: Settings, count: int) -> Path:
    changeable = "changeable"
    document = {
        "mode": "vnf",
        "runtime_dir": str(directory),
        "ports": {"p0": {"backend": "net_ring"}, "p1": {"backend": "net_ring"}},
        "fastpath": {"lcores": settings.cores.lcores, "hugepages": "no"},
        "pipes": [
            {
                "name": PIPE,
                "port": "p0",
                "root": True,
                "nr_entries": count,
                "match": dict.fromkeys(columns(1), changeable),
                "actions": [{"set": {"meta.pkt_meta": changeable}}],
                "fwd": "drop",
                "miss": "drop",
            }
        ],
    }
    file = directory / "bench.yaml"
    file.write_text(json.dumps(document))
    return file


@contextmanager
def _appliance(settings: Settings, count: int) -> Iterator[str]:
    """An appliance of its own; its gRPC target."""
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ringfield-bench-")))
        config = _config(directory, settings, count)
        log = stack.enter_context((directory / "bench.log").open("w+"))
        with on_cores(settings.cores.worker):
            child = subprocess.Popen(
                [sys.executable, "-m", "appliance", "run", "-c", str(config)],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log,
            )  # fmt: skip
        socket = directory / "ringfield.sock"
        try:
            end = time.monotonic() + START_SECONDS
            while not socket.exists():
                if child.poll() is not None or time.monotonic() > end:
                    log.seek(0)
                    words = log.read().strip().splitlines()[-1:] or ["it said nothing"]
                    raise BenchError(f"the appliance did not start: {words[0]}")
                time.sleep(0.02)
            yield f"unix:{socket}"
        finally:
            child.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(10)
            child.kill()
            child.wait()


def _batches(count: int) -> list[entry_service_pb2.StreamEntriesRequest]:
    made = columns(count)
    requests = []
    for sequence, start in enumerate(range(0, count, BATCH)):
        batch = entry_pb2.EntryColumns(pipe=PIPE, count=min(BATCH, count - start))
        for name, values in made.items():
            part = values[start : start + BATCH]
            batch.match.add(name=name, values=part.astype(part.dtype.newbyteorder(">")).tobytes())
        batch.actions.add(name="meta.pkt_meta", values=bytes(4 * batch.count))
        requests.append(entry_service_pb2.StreamEntriesRequest(sequence=sequence, add_columns=batch))
    return requests


def _send(client: Client, requests: list[entry_service_pb2.StreamEntriesRequest]) -> tuple[float, list[int]]:
    """Seconds, and the first number of each batch."""
    begun = time.perf_counter()
    firsts = []
    with calls():
        for response in client.entries.StreamEntries(iter(requests), timeout=120):
            if response.columns.first_reason:
                raise BenchError(f"entries were refused: {response.columns.first_reason}")
            firsts.append(response.columns.first_entry_id)
    return time.perf_counter() - begun, firsts


def _removals(
    requests: list[entry_service_pb2.StreamEntriesRequest], firsts: list[int]
) -> list[entry_service_pb2.StreamEntriesRequest]:
    removals = []
    for request, first in zip(requests, firsts, strict=True):
        numbers = np.arange(first, first + request.add_columns.count, dtype="<u8")
        packed = entry_service_pb2.RemoveColumns(ids=numbers.tobytes())
        removals.append(
            entry_service_pb2.StreamEntriesRequest(sequence=request.sequence, remove_columns=packed)
        )
    return removals


def stream(found: Collection, settings: Settings, goal: float) -> None:
    """Adds, then removes, with messages made beforehand; twice, for the first round pays for fresh memory."""
    count = 1 << (14 if settings.quick else 17)
    with _appliance(settings, count) as target, Client(target) as client:
        requests = _batches(count)
        for fresh in (True, False):
            seconds, firsts = _send(client, requests)
            if fresh:
                found.add("gRPC stream: add, columns, fresh memory", "entries/s", count / seconds)
            else:
                found.add("gRPC stream: add, columns", "entries/s", count / seconds, goal=goal, key="P6")
            seconds, _ = _send(client, _removals(requests, firsts))
        found.add("gRPC stream: remove, columns", "entries/s", count / seconds)
