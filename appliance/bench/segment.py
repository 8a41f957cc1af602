# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""A segmentation program for the replayed traffic, installed on a fast path: what P1 and its kin are measured on.

Initiators and responders of ``traffic`` stand behind two ports, cut into workloads with labels of their own; every
rule allows one service list from one label to another, so that ``rules`` of them stand behind each new connection.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from appliance.bench import traffic
from appliance.bench.traffic import CLIENTS, SERVERS
from appliance.flow import Dpu, FastpathProcess, PortConfig, Reserves
from appliance.flow.types import CtConfig, CtFull, CtTimeouts
from appliance.policy import compiler
from appliance.policy.compiler import Options
from appliance.policy.model import Band, Interface, Inventory, Network, PolicySet, Rule, Workload
from appliance.policy.program import Program
from appliance.policy.reconciler import Reconciler
from appliance.policy.selector import parse_selector

PORTS = {"p0": 0, "pf0vf0": 1}
FLOW_RING = 1 << 24
NORMAL = CtTimeouts()
LONG = CtTimeouts(udp=3600.0)
SHORT = CtTimeouts(udp=0.5)
SERVICES = tuple(f"udp/{port}" for port in traffic.SERVICES) + tuple(
    f"tcp/{port}" for port in traffic.SERVICES
)


def ports(pair: tuple[Path, Path | None]) -> list[PortConfig]:
    """An uplink and a representor that replay capture files without end; without a file a port only takes."""
    made = []
    for name, path in zip(PORTS, pair, strict=True):
        made.append(
            PortConfig(
                name=name,
                backend="net_null" if path is None else "net_pcap",
                args="no-rx=1" if path is None else f"rx_pcap={path},infinite_rx=1",
                pci="0000:03:00.0",
                ibdev="mlx5_0" if name == "p0" else "",
                representor="" if name == "p0" else name,
            )
        )
    return made


SIDES = (
    f"src=10.0.0.0/16,dst=10.128.0.0/20,smac=02:00:00:00:01:00/{CLIENTS},dmac=02:00:00:00:02:00/{SERVERS},"
    f"dport={'+'.join(str(port) for port in traffic.SERVICES)}"
)
"""Connections of the same workloads, made by generator ports."""


def generators(opener: str, answers: bool = True, rate: int = 0) -> list[PortConfig]:
    """The same two ports as generators: ``opener`` is ``flows=N`` or ``new=N``, ``rate`` packets a second on either
    one. Without ``answers`` the second one only takes.
    """
    first, second = ports((Path(), None))
    first = replace(first, backend="gen", args=f"{opener},rate={rate},{SIDES}")
    if answers:
        second = replace(second, backend="gen", args=f"reply=p0,rate={rate}")
    return [first, second]


def _workload(server: bool, index: int, prefixes: tuple[str, ...]) -> Workload:
    name = f"{'server' if server else 'client'}-{index}"
    plug = Interface(
        network="fabric",
        port="pf0vf0" if server else "p0",
        mac=traffic.mac(server, index).hex(":"),
        prefixes=prefixes,
    )
    return Workload(
        name=name, kind="inference" if server else "agent", labels={"app": name}, interfaces=(plug,)
    )


def inventory() -> Inventory:
    """Both sides as workloads with prefixes; the last responder is just outside its /24."""
    clients = [_workload(False, i, (f"10.0.{4 * i}.0/22",)) for i in range(CLIENTS)]
    servers = [_workload(True, i, (f"10.128.{i}.0/24",)) for i in range(SERVERS - 1)]
    servers.append(_workload(True, SERVERS - 1, (f"10.128.{SERVERS - 1}.0/24", "10.128.16.0/32")))
    fabric = Network(name="fabric", prefixes=("10.0.0.0/8",))
    return Inventory(networks=(fabric,), workloads=(*clients, *servers), ports=PORTS)


def policy(rules: int) -> PolicySet:
    """Every client may reach every server. Beyond that many rules, more are made for ports that nobody uses; with
    fewer, selectors are wider.
    """
    made: list[Rule] = []

    def add(source: str, target: str, services: tuple[str, ...]) -> None:
        made.append(
            Rule(
                name=f"rule-{len(made)}",
                band=Band.ALLOW,
                source=parse_selector(source),
                target=parse_selector(target),
                services=services,
            )
        )

    def several(name: str, number: int, of: int, index: int) -> str:
        width = of // number
        return f"app in ({', '.join(f'{name}-{i}' for i in range(index * width, (index + 1) * width))})"

    servers = min(SERVERS, 1 << (rules.bit_length() - 1))
    clients = min(CLIENTS, 1 << ((rules // servers).bit_length() - 1))
    for c in range(clients):
        for s in range(servers):
            add(several("client", clients, CLIENTS, c), several("server", servers, SERVERS, s), SERVICES)
    for i in range(rules - len(made)):
        add(
            f"app = client-{i % CLIENTS}",
            f"app = server-{i // CLIENTS % SERVERS}",
            (f"tcp/{10000 + i % 5000}",),
        )
    return PolicySet(name="bench", rules=tuple(made))


def compiled(rules: int, ct: CtConfig | None = None) -> Program:
    """The program of that many rules."""
    return compiler.compile(policy(rules), inventory(), options=Options(ct=ct or CtConfig()))


@dataclass(slots=True)
class Segmented:
    """A fast path under a segmentation program, with somebody who takes its records."""

    dpu: Dpu
    process: FastpathProcess
    reconciler: Reconciler
    program: Program
    records: int = 0
    """Taken so far."""
    lost: int = 0
    on_records: Callable[[NDArray[np.void], int], object] | None = None
    """Who gets them, and how many were lost so far."""
    _stop: threading.Event = field(default_factory=threading.Event)

    def drain(self) -> None:
        """Takes records until the end; for a thread."""
        while not self._stop.is_set():
            taken, self.lost = self.dpu.flow_records(timeout=0.1)
            self.records += len(taken)
            if self.on_records is not None:
                self.on_records(taken, self.lost)


@contextmanager
def segmented(
    process: FastpathProcess,
    *,
    rules: int,
    capacity: int = 1 << 20,
    record_interval: float = 10.0,
    timeouts: CtTimeouts = NORMAL,
    full: CtFull = CtFull.REFUSE,
    on_records: Callable[[NDArray[np.void], int], object] | None = None,
    on_start: Callable[[Segmented], object] | None = None,
    program: Program | None = None,
) -> Iterator[Segmented]:
    """Attach, compile, install; records are taken by a thread meanwhile. ``on_start`` is called before any packet is
    judged. ``program``: compiled before, for a default table; with it ``rules`` and what else it says do not matter.
    """
    ct = CtConfig(capacity=capacity, record_interval=record_interval, timeouts=timeouts, full=full)
    program = program or compiled(rules, ct)
    with Dpu.attach(
        process.runtime_dir, mode="switch", session="bench", flow_ring_bytes=FLOW_RING,
        reserves=Reserves(counters=1 << 18),
    ) as dpu:  # fmt: skip
        for name, number in PORTS.items():
            dpu.port_start(name, number)
        reconciler = Reconciler()
        reconciler.adopt(dpu, dpu.port("p0"))
        made = Segmented(dpu, process, reconciler, program, on_records=on_records)
        if on_start is not None:
            on_start(made)
        reconciler.apply(dpu, program, 1)
        thread = threading.Thread(target=made.drain, name="records")
        thread.start()
        try:
            yield made
        finally:
            made._stop.set()
            thread.join()
