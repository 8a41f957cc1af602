# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Entries per second, and how long one takes: from C, from Python in bulk, over gRPC (P6, P7)."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from appliance.bench import tuples
from appliance.bench.figures import Collection, Section
from appliance.bench.machine import on_cores
from appliance.bench.programs import Settings, buffers, fastpath, flow, load, replay
from appliance.bench.stream import stream
from appliance.flow import Dpu, FastpathProcess, Pipe, PortConfig
from appliance.flow.types import Actions, Meta

BATCHES = (1, 32, 256)
GOALS = {"C library": 3e6, "Python bulk": 1e6, "gRPC stream": 2e5}
GOAL_C_P99_US, GOAL_PYTHON_P99_US = 20.0, 50.0
RING_PORTS = ("p0", "p1", "p2", "p3")


# -- entries per second ------------------------------------------------------------------------------------------


def _c_library(found: Collection, settings: Settings, process: FastpathProcess) -> None:
    count = 1 << (14 if settings.quick else 18)
    # Not counted: the first round pays for pages of memory that the others find there.
    flow("entries", process, ports="p0", nr=count, batch=BATCHES[-1])
    for batch in BATCHES:
        answer = flow("entries", process, ports="p0", nr=count, batch=batch)
        for what in ("add", "update", "remove"):
            goal = GOALS["C library"] if what == "add" and batch == BATCHES[-1] else None
            rate = 1e9 * count / answer[f"{what}_ns"]
            found.add(
                f"C library: {what}, batches of {batch}",
                "entries/s",
                rate,
                goal=goal,
                key="P6" if goal else "",
            )


def _timed(call: Callable[[], Any], count: int) -> tuple[Any, float]:
    begun = time.perf_counter()
    result = call()
    return result, count / (time.perf_counter() - begun)


def _python_pipe(dpu: Dpu, count: int) -> Pipe:
    return dpu.port_start("p0").pipe_create(tuples.pipe_spec("rows", count))


def _python_bulk(found: Collection, settings: Settings, process: FastpathProcess) -> None:
    count = 1 << (13 if settings.quick else 17)
    with Dpu.attach(process.runtime_dir, session="bench-python", queue_depth=4096) as dpu:
        pipe = _python_pipe(dpu, count)
        keys = tuples.rows(pipe.key_dtype, count)
        args = np.zeros(count, pipe.args_dtype())
        added, rate = _timed(lambda: pipe.add_rows(keys, args=args), count)
        added.raise_for_error()
        found.add("Python bulk: add", "entries/s", rate, goal=GOALS["Python bulk"], key="P6")
        _, rate = _timed(lambda: added.update(args=args).raise_for_error(), count)
        found.add("Python bulk: update", "entries/s", rate)
        _, rate = _timed(lambda: added.remove().raise_for_error(), count)
        found.add("Python bulk: remove", "entries/s", rate)


def rates(settings: Settings) -> Section:
    """Entries added, updated and removed per second, the worker idle."""
    found = Collection()
    remarks = [
        "A 5-tuple pipe whose entries set pkt_meta. The worker has no traffic and sleeps; the client runs on its core, "
        "the fast path's control thread on the other. Of the gRPC stream, the appliance runs on the worker's core.",
    ]
    ports = [PortConfig(name=name) for name in RING_PORTS]
    for _ in range(settings.runs):
        with fastpath(settings, ports, spin=False) as process, on_cores(settings.cores.worker):
            _c_library(found, settings, process)
            _python_bulk(found, settings, process)
        stream(found, settings, GOALS["gRPC stream"])
    return Section("entries", "Entries per second (P6)", tuple(found.figures()), tuple(remarks))


# -- one entry -----------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _disturbances(process: FastpathProcess, *, churn: bool, acl: bool) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        if churn:
            stack.enter_context(load("churn", process, ports="p2", session="bench-churn"))
        if acl:
            stack.enter_context(load("acl", process, ports="p3", session="bench-acl"))
        yield


def _python_posts(process: FastpathProcess, count: int) -> dict[str, float]:
    """p50 and p99 in microseconds of single adds that are waited for."""
    with Dpu.attach(process.runtime_dir, session="bench-python") as dpu:
        pipe = _python_pipe(dpu, 1024)
        took = np.zeros(count)
        values = tuples.columns(count)
        for i in range(count):
            match = tuples.match(int(values["outer.ipv4.src_ip"][i]), int(values["outer.udp.src_port"][i]))
            actions = Actions(meta=Meta(pkt_meta=1))
            time.sleep(0.0002)
            begun = time.perf_counter_ns()
            entry = pipe.add(match=match, actions=actions)
            took[i] = time.perf_counter_ns() - begun
            entry.remove()
        return {"p50": float(np.quantile(took, 0.5)) / 1e3, "p99": float(np.quantile(took, 0.99)) / 1e3}


def _posts(
    found: Collection, settings: Settings, process: FastpathProcess, *, churn: bool, acl: bool
) -> None:
    count = 500 if settings.quick else 3000
    about = "alone" if not churn else "another session at 100,000/s" + (", ACL builds" if acl else "")
    with _disturbances(process, churn=churn, acl=acl):
        add = flow("post", process, ports="p0", nr=count, session="bench-post")["add"]
        python = _python_posts(process, count // 3)
    goal: dict[str, Any] = {"goal": GOAL_C_P99_US, "key": "P7"} if acl else {}
    found.add(f"C, {about}: p50", "us", add["p50_ns"] / 1e3, less=True)
    found.add(f"C, {about}: p99", "us", add["p99_ns"] / 1e3, less=True, **goal)
    goal = {"goal": GOAL_PYTHON_P99_US, "key": "P7"} if acl else {}
    found.add(f"Python, {about}: p50", "us", python["p50"], less=True)
    found.add(f"Python, {about}: p99", "us", python["p99"], less=True, **goal)


def posts(settings: Settings) -> Section:
    """One entry, from post to completion, while the worker is saturated."""
    found = Collection()
    flows = 1024
    traffic = replay(flows, settings.scratch)
    ports = [*(PortConfig(name=f"t{i}", backend=p.backend, args=p.args) for i, p in enumerate(traffic))]
    ports += [PortConfig(name=name) for name in RING_PORTS]
    for _ in range(settings.runs):
        with (
            fastpath(settings, ports, mbufs=buffers(flows)) as process,
            load("forward", process, ports="t0,t1", flows=flows, windows=0, session="bench-traffic"),
        ):
            _posts(found, settings, process, churn=False, acl=False)
            _posts(found, settings, process, churn=True, acl=False)
            _posts(found, settings, process, churn=True, acl=True)
    remarks = (
        "The worker forwards replayed traffic on its core. Client, control thread, the other session and the rest of "
        "the machine share the other one: every completion costs at least two switches between processes.",
    )
    return Section("posts", "One entry, post to completion (P7)", tuple(found.figures()), remarks)
