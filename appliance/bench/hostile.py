# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""What an allowed stream keeps of its goodput while a host beside it is hostile.

The laboratory of ``disruption``: the agent's port sends floods instead of its stream. What is offered is what this
process can inject, and is stated.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable

from appliance.bench.disruption import AGENT, DB, Managed, Traffic, lab
from appliance.bench.figures import Collection, Section
from appliance.bench.machine import memory_mib
from appliance.bench.programs import Settings
from appliance.flow import Dpu
from appliance.run import frames
from appliance.v1 import system_service_pb2

GOAL = 0.8
BATCH = 512
VARIANTS = 16
"""Different batches that a flood cycles through."""
CALL_SECONDS = 10.0


def _syn(random_: random.Random) -> bytes:
    """A connection that is allowed and never finished."""
    return frames.tcp(AGENT, DB, random_.randrange(1024, 65536), random_.randrange(9100, 9200))


def _denied(random_: random.Random) -> bytes:
    """A scan: every port, nothing allowed."""
    return frames.tcp(AGENT, DB, random_.randrange(1024, 65536), random_.randrange(1, 1024))


def _spoofed(random_: random.Random) -> bytes:
    """Somebody else's address."""
    source = frames.Host(AGENT.mac, f"10.0.{random_.randrange(256)}.{random_.randrange(4, 256)}")
    return frames.udp(source, DB, random_.randrange(1024, 65536), 9001, bytes(18))


def _fragment(random_: random.Random) -> bytes:
    """A later fragment whose first one never comes."""
    whole = bytearray(frames.udp(AGENT, DB, 7000, 9001, bytes(24)))
    whole[18:20] = random_.randbytes(2)
    whole[20:22] = (0x2000 | random_.randrange(1, 1000)).to_bytes(2, "big")
    return _sealed(whole)


def _overlap(random_: random.Random) -> bytes:
    """Fragments of few datagrams, at random places: they overlap."""
    whole = bytearray(frames.udp(AGENT, DB, 7000, 9001, bytes(24)))
    whole[18:20] = random_.randrange(8).to_bytes(2, "big")
    whole[20:22] = (0x2000 | random_.randrange(0, 8)).to_bytes(2, "big")
    return _sealed(whole)


def _truncated(random_: random.Random) -> bytes:
    """Headers that end too early, and noise."""
    whole = _syn(random_)
    return (
        whole[: random_.randrange(15, 40)] if random_.random() < 0.5 else whole[:14] + random_.randbytes(46)
    )


def _sealed(frame: bytearray) -> bytes:
    frame[24:26] = b"\0\0"
    frame[24:26] = frames.checksum(bytes(frame[14:34])).to_bytes(2, "big")
    return bytes(frame)


FLOODS: dict[str, Callable[[random.Random], bytes]] = {
    "half-open connections": _syn,
    "denied connections": _denied,
    "spoofed sources": _spoofed,
    "lonely fragments": _fragment,
    "overlapping fragments": _overlap,
    "truncated headers": _truncated,
}


class Flood:
    """A thread that injects as fast as it can until the end of the block."""

    def __init__(self, dpu: Dpu, make: Callable[[random.Random], bytes], port: str = "p3") -> None:
        random_ = random.Random(8)  # noqa: S311 - reproducible, not secret
        self._batches = [[make(random_) for _ in range(BATCH)] for _ in range(VARIANTS)]
        self._dpu, self._port = dpu, port
        self._stop = threading.Event()
        self.sent = 0
        self._thread = threading.Thread(target=self._run, name="flood")

    def _run(self) -> None:
        while not self._stop.is_set():
            self._dpu.inject(self._port, self._batches[self.sent // BATCH % VARIANTS])
            self.sent += BATCH

    def __enter__(self) -> Flood:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def _goodput(traffic: Traffic, seconds: float) -> float:
    """Part of the allowed stream's packets that come through."""
    sent, got = traffic.web.sent, len(traffic.web.got)
    time.sleep(seconds)
    sent = traffic.web.sent - sent
    time.sleep(0.1)
    return min(1.0, (len(traffic.web.got) - got) / sent) if sent else 0.0


def _flood(found: Collection, managed: Managed, traffic: Traffic, name: str, seconds: float) -> str:
    make = FLOODS[name]
    before = traffic.dpu.port_stats("p3").drops
    pid = managed.client.system.GetStatus(
        system_service_pb2.GetStatusRequest(), timeout=CALL_SECONDS
    ).fastpath_pid
    memory = memory_mib(pid)[0]
    with Flood(traffic.dpu, make) as flood:
        began, first = time.monotonic(), flood.sent
        kept = _goodput(traffic, seconds)
        rate = (flood.sent - first) / (time.monotonic() - began)
    found.add(f"{name}: goodput of the allowed stream", "part", kept, goal=GOAL)
    found.add(f"{name}: offered", "thousand/s", rate / 1e3)
    found.add(f"{name}: memory grown by", "MiB", memory_mib(pid)[0] - memory, less=True)
    drops = traffic.dpu.port_stats("p3").drops
    grown = {reason: n - before.get(reason, 0) for reason, n in drops.items() if n > before.get(reason, 0)}
    return f"{name}: dropped as " + (", ".join(f"{reason} {n}" for reason, n in grown.items()) or "nothing")


def hostile(settings: Settings) -> Section:
    """Floods one after the other."""
    found = Collection()
    remarks = []
    with lab(settings, 1000) as (managed, traffic):
        traffic.agent.stopped = True
        for _ in range(settings.runs):
            remarks = [_flood(found, managed, traffic, name, settings.window_ms / 1000) for name in FLOODS]
    return Section("hostile", "Goodput beside a hostile host", tuple(found.figures()), tuple(remarks))
