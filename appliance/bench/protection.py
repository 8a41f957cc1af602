# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""What protection costs real TCP (P14): two namespaces on taps of one appliance, goodput and round trips without a
policy, and behind 10 and 10,000 rules. Needs root.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from appliance.bench.figures import Collection, Figure, Section, median
from appliance.bench.machine import BenchError, opened, thread_run_ns
from appliance.bench.programs import Settings
from appliance.bench.served import Served
from appliance.flow.launch import PID_FILE
from appliance.run.lab import remove

NAMES: Final = ("rfb-client", "rfb-server")
PORT: Final = 5001
GOAL: Final = 0.95
ROUNDS: Final = 5
DIFFERS: Final = 0.05
"""Two measurements of the same wire in one round, in most rounds."""
WIRE, AGAIN = "no policy", "no policy, again"
COMMON: Final = """\
mode: switch
fastpath: {hugepages: auto, lcores: "LCORES"}
ports:
  p0: {backend: net_ring}
  pf0vf0: {backend: net_tap, netns: rfb-client, mac: "02:00:00:00:00:01"}
  pf0vf1: {backend: net_tap, netns: rfb-server, mac: "02:00:00:00:00:02"}
namespaces:
  rfb-client:
    port: pf0vf0
    addresses: [10.88.0.1/24]
    neighbours: [{address: 10.88.0.2, mac: "02:00:00:00:00:02"}]
  rfb-server:
    port: pf0vf1
    addresses: [10.88.0.2/24]
    neighbours: [{address: 10.88.0.1, mac: "02:00:00:00:00:01"}]
"""
OFF: Final = """\
pipes:
  - name: wire
    port: p0
    root: true
    match: {parser_meta.port_id: changeable}
    fwd: changeable
    miss: drop
    nr_entries: 8
    entries:
      - {match: {parser_meta.port_id: pf0vf0}, fwd: {port: pf0vf1}}
      - {match: {parser_meta.port_id: pf0vf1}, fwd: {port: pf0vf0}}
"""
ON: Final = """\
segmentation:
  networks: {lab: {prefixes: [10.88.0.0/16]}}
  policy: policy.yaml
  workloads:
    client: {port: pf0vf0, mac: "02:00:00:00:00:01", addresses: 10.88.0.1, labels: {app: client}}
    server: {port: pf0vf1, mac: "02:00:00:00:00:02", addresses: 10.88.0.2, labels: {app: server}}
"""
SERVER: Final = """\
import socket, sys, threading
listener = socket.create_server(("10.88.0.2", int(sys.argv[1])))
def serve(s):
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with s:
        while data := s.recv(1 << 20):
            if len(data) == 1:
                s.sendall(data)
print("READY", flush=True)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
"""
CLIENT: Final = """\
import json, socket, sys, time
WINDOWS = 5
seconds = float(sys.argv[2])
def connect():
    s = socket.create_connection(("10.88.0.2", int(sys.argv[1])), timeout=10)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return s
trips = []
with connect() as s:
    end = time.perf_counter() + seconds / 2
    while (began := time.perf_counter()) < end:
        s.sendall(b"x")
        s.recv(1)
        trips.append(time.perf_counter() - began)
block = bytes(1 << 16)
rates, total = [], 0
with connect() as s:
    s.sendall(block * 16)
    for _ in range(WINDOWS):
        sent, began = 0, time.perf_counter()
        while time.perf_counter() < began + seconds / WINDOWS:
            s.sendall(block)
            sent += len(block)
        total += sent
        rates.append(8e-6 * sent / (time.perf_counter() - began))
trips.sort()
p50, p99 = (1e6 * trips[len(trips) * part // 100] for part in (50, 99))
print(json.dumps({"bytes": total, "mbit": sorted(rates)[WINDOWS // 2], "p50": p50, "p99": p99}))
"""


def _policy(rules: int) -> str:
    """The rule that is needed, between many that are not."""
    lines = [
        f"  - {{name: other-{i}, band: allow, from: app=client, to: app=server, services: [tcp/{10000 + i}]}}"
        for i in range(rules - 1)
    ]
    needed = f"  - {{name: needed, band: allow, from: app=client, to: app=server, services: [tcp/{PORT}]}}"
    return "rules:\n" + "\n".join([*lines[: rules // 2], needed, *lines[rules // 2 :]]) + "\n"


@contextmanager
def _appliance(directory: Path, rules: int, lcores: str) -> Iterator[None]:
    """An appliance with so many rules; 0: a wire."""
    try:
        with Served(directory, COMMON.replace("LCORES", lcores) + (ON if rules else OFF), _policy(rules)):
            yield
    finally:
        for name in NAMES:
            remove(name)


def _measure(seconds: float) -> dict[str, Any]:
    def inside(name: str, code: str, *words: str) -> list[str]:
        return ["ip", "netns", "exec", name, sys.executable, "-c", code, *words]

    server = subprocess.Popen(
        inside(NAMES[1], SERVER, str(PORT)), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    )
    try:
        opened(server.stdout).readline()
        done = subprocess.run(
            inside(NAMES[0], CLIENT, str(PORT), str(seconds)),
            capture_output=True, text=True, timeout=60 + seconds, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    finally:
        server.kill()
        server.communicate()
    if done.returncode:
        raise BenchError(f"TCP does not get through: {done.stderr.strip().splitlines()[-1:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def ours_inside() -> int:
    """Processes in the workloads' namespaces."""
    number = 0
    for name in NAMES:
        listed = subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True, check=False)
        number += len(listed.stdout.split())
    return number


def _phase(settings: Settings, rules: int) -> dict[str, Any]:
    """One appliance, what TCP gets through it, and what its worker has done for that."""
    directory = settings.scratch / f"tcp-{time.monotonic_ns()}"
    with _appliance(directory, rules, settings.cores.lcores):
        inside = ours_inside()
        pid = int((directory / PID_FILE).read_text())
        before = thread_run_ns(pid)
        answer = _measure(settings.window_ms / 500)
        answer["worker"] = (thread_run_ns(pid) - before) / 1e3 / (answer["bytes"] / 1e6)
    return answer | {"inside": inside}


def protection(settings: Settings) -> Section:
    """No policy, 10 rules, no policy again, 10,000 rules, in turns."""
    if os.geteuid():
        raise BenchError("taps and namespaces need root")
    found = Collection()
    inside = 0
    most = 1000 if settings.quick else 10_000
    policies = {"10 rules": 10, f"{most} rules": most}
    kinds = {WIRE: 0, "10 rules": 10, AGAIN: 0, f"{most} rules": most}
    for _ in range(1 if settings.quick else max(settings.runs, ROUNDS)):
        for name, rules in kinds.items():
            answer = _phase(settings, rules)
            inside = max(inside, answer["inside"])
            found.add(f"{name}: goodput", "Mbit/s", answer["mbit"], key="P14")
            found.add(f"{name}: round trip p50", "us", answer["p50"], less=True)
            found.add(f"{name}: round trip p99", "us", answer["p99"], less=True, key="P14")
            found.add(f"{name}: the worker's time", "us/MB", answer["worker"], less=True)
    found.add(
        "processes of ours in the workloads' namespaces", "processes", inside, goal=0, less=True, key="P14"
    )
    figures = found.figures()
    figures += ratios({name: found.figure(f"{name}: goodput").runs for name in kinds}, tuple(policies))
    remarks = (
        "One TCP connection between two namespaces on net_tap, no offloads: the worker on its own core, both ends and "
        "all else on the other one. Each round measures the wire twice: a policy's goodput is compared with both of "
        f"its round, and nothing is compared when the wire differs from itself by more than {DIFFERS:.0%} in half of "
        "them. Processes of ours are looked for before the bench's own client and server start.",
    )
    return Section("protection", "What protection costs real TCP (P14)", tuple(figures), remarks)


def ratios(runs: Mapping[str, Sequence[float]], policies: Sequence[str]) -> list[Figure]:
    """Goodput of policies against the wire, round by round; and of the wire against itself, which tells what a ratio
    means here. Refused when that one is too far from 1 in half of the rounds.
    """
    control = tuple(again / wire for again, wire in zip(runs[AGAIN], runs[WIRE], strict=True))
    differs = median(abs(one - 1) for one in control)
    why = f"the wire differs from itself by {differs:.0%}" if differs > DIFFERS else ""
    made = [Figure(name=f"{AGAIN} / {WIRE}: goodput", unit="ratio", runs=control, key="P14")]
    for name in policies:
        against = zip(runs[name], runs[WIRE], runs[AGAIN], strict=True)
        parts = tuple(2 * mine / (wire + again) for mine, wire, again in against)
        title = f"{name} / {WIRE}: goodput"
        made.append(Figure(name=title, unit="ratio", runs=parts, goal=GOAL, key="P14", refused=why))
    return made
