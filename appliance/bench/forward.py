# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Forwarding: packets per second of one worker core, through chains of pipes, with testpmd beside it.

A rate is packets sent on both ports per second *of the worker's time on its core*: on a machine that is
shared, what the kernel gives to others does not count against either side. The part of the core that the
worker had is in the JSON (``core``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from appliance.bench.figures import Collection, Figure, Section, ratio
from appliance.bench.machine import BenchError
from appliance.bench.programs import Settings, buffers, fastpath, flow, has_testpmd, replay, testpmd

CHAINS = (1, 2, 4, 8)
PEERS = ("io", "5tswap")
SAME = 8
GOAL_HIT, GOAL_OFF = 0.85, 0.35
OFF = "cache off"
WALKS, WALKS_MOST = 8192, 32_768
"""Room in the flow cache, if not told otherwise, and at most."""
GOAL_CHURN = 0.9


def _rate(window: dict[str, Any]) -> float:
    """Millions of packets per second of the worker's time."""
    if not window["ran_ns"]:
        raise BenchError("the kernel does not tell how long threads have run (schedstat)")
    if window["dropped"]:
        raise BenchError(f"{window['dropped']} packets were dropped while forwarding was measured")
    return 1e3 * float(window["sent"]) / float(window["ran_ns"])


@dataclass(frozen=True, slots=True)
class Cache:
    """What the flow cache has room for, in words (none: for every flow), and what 8 pipes are to reach of 1."""

    walks: int
    name: str = ""
    goal: float | None = None


def caches(flows: int) -> tuple[Cache, ...]:
    """With room for each flow if that can be had (a connection is two of them), off, with room for a quarter."""
    walks = WALKS if 2 * flows <= WALKS else WALKS_MOST
    fits = 2 * flows <= walks
    return (
        Cache(
            walks, "" if fits else f"a cache for 1 of {2 * flows // walks} flows", GOAL_HIT if fits else None
        ),
        Cache(0, OFF, GOAL_OFF),
        Cache(2 * flows // 4, "a cache for 1 of 4 flows"),
    )


def _chain_name(pipes: int, shape: str = "mixed", cache: str = "") -> str:
    name = f"{pipes}{'' if shape == 'mixed' else ' full'} pipe{'s' if pipes > 1 else ''}"
    return f"{name}, {cache}" if cache else name


def _chain(
    found: Collection,
    settings: Settings,
    process: Any,
    flows: int,
    pipes: int,
    shape: str = "mixed",
    cache: str = "",
) -> None:
    answer = flow(
        "forward", process, ports="p0,p1", pipes=pipes, flows=flows, shape=shape, windows=1,
        window_ms=settings.window_ms,
    )  # fmt: skip
    window = answer["windows"][0]
    name = f"{flows} connections: {_chain_name(pipes, shape, cache)}"
    found.add(name, "Mpps", _rate(window))
    found.add(f"{name}, cost", "cycles/packet", window["cycles"] / window["sent"],
              less=True)  # fmt: skip


def peer(found: Collection, settings: Settings, flows: int, mode: str, key: str = "") -> None:
    """A run of testpmd."""
    rate, core = testpmd(settings, mode, flows)
    found.add(f"{flows} connections: testpmd {mode}", "Mpps", rate / core / 1e6, key=key)


def _one_run(found: Collection, settings: Settings, flows: int) -> None:
    """Ours and the peer's in turns."""
    if has_testpmd():
        peer(found, settings, flows, PEERS[0])
    ports = replay(flows, settings.scratch)
    for cache in caches(flows):
        with fastpath(settings, ports, mbufs=buffers(flows), cache=cache.walks) as process:
            for pipes in CHAINS if cache.goal else CHAINS[:: len(CHAINS) - 1]:
                _chain(found, settings, process, flows, pipes, cache=cache.name)
            if cache.name == OFF:
                _chain(found, settings, process, flows, SAME, "same", cache.name)
    if has_testpmd() and not settings.quick:
        peer(found, settings, flows, PEERS[1])


def _compare(found: Collection, flows: int) -> list[Figure]:
    def one(name: str) -> Figure:
        return found.figure(f"{flows} connections: {name}")

    modes = caches(flows)
    made = [
        ratio(
            f"{flows} connections: {_chain_name(SAME, cache=cache.name)} / 1 pipe (P3)",
            one(_chain_name(SAME, cache=cache.name)),
            one(_chain_name(1, cache=cache.name)),
            cache.goal,
            "P3",
        )
        for cache in modes
    ]
    full, plain = _chain_name(SAME, "same", OFF), _chain_name(1, cache=OFF)
    made.append(ratio(f"{flows} connections: {full} / 1 pipe", one(full), one(plain)))
    if has_testpmd():
        first = one(_chain_name(1, cache=modes[0].name))
        made.append(ratio(f"{flows} connections: 1 pipe / testpmd io", first, one("testpmd io")))
    return made


def chains(settings: Settings) -> Section:
    """Chains of 1 to 8 pipes against testpmd."""
    figures: list[Figure] = []
    for flows in settings.flows:
        found = Collection()
        for _ in range(settings.runs):
            _one_run(found, settings, flows)
        figures += [*found.figures(), *_compare(found, flows)]
    remarks = [
        "N pipes: BASIC pipes in a row, the last one with an entry and a counter per connection; those before "
        "look at type, MAC, protocol, address, port. N full pipes: every one holds all connections. The flow cache "
        "has room for each flow, of which a connection has two, unless told otherwise.",
    ]
    if not has_testpmd():
        remarks.append("testpmd is not installed (Debian package dpdk-dev): no peer.")
    return Section("forward", "Forwarding, one worker core", tuple(figures), tuple(remarks))


def _disturbed(found: Collection, settings: Settings, process: Any, flows: int, where: str) -> None:
    """Windows with and without churn take turns in one process."""
    answer = flow(
        "forward", process, ports="p0,p1", pipes=1, flows=flows, churn=where, windows=2 * settings.runs,
        window_ms=settings.window_ms,
    )  # fmt: skip
    for window in answer["windows"]:
        name = f"{where}: disturbed" if window["churn"] else f"{where}: undisturbed"
        found.add(name, "Mpps", _rate(window))
        if window["churn"]:
            found.add(
                f"{where}: entries added and removed", "thousand/s", 1e6 * window["added"] / window["ns"]
            )


def churn(settings: Settings) -> Section:
    """Forwarding while entries come and go (P4)."""
    flows = settings.flows[-1]
    figures: list[Figure] = []
    with fastpath(settings, replay(flows, settings.scratch), mbufs=buffers(flows)) as process:
        for where in ("hit", "miss"):
            found = Collection()
            _disturbed(found, settings, process, flows, where)
            figures += found.figures()
            one, other = found.figure(f"{where}: disturbed"), found.figure(f"{where}: undisturbed")
            figures.append(ratio(f"{where}: disturbed / undisturbed (P4)", one, other, GOAL_CHURN, "P4"))
    remarks = (
        f"{flows} connections. hit: in the pipe that the traffic hits; miss: in one before it that it misses. "
        "100,000 adds and as many removes a second are asked for, in batches every millisecond.",
    )
    return Section("churn", "Forwarding while entries come and go", tuple(figures), remarks)
