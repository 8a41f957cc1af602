# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Step 4: the agent is taken over and scans; it is cut off, and nobody else loses anything."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from rich.text import Text

from appliance.cli.common import DEADLINE_SECONDS, table
from appliance.demo.factory_data import HOSTS, SSH, STREAMS, VICTIM, WATCHER, Service
from appliance.demo.factory_lab import Try
from appliance.v1 import containment_service_pb2 as containment_pb2

if TYPE_CHECKING:
    from appliance.demo.factory import FactoryDemo

BEFORE_SECONDS: Final = 1.0
"""Streams run before anything happens."""
AFTER_SECONDS: Final = 2.0
"""And after the quarantine."""
LATE_MS: Final = 1000.0
"""A byte that was delivered before the quarantine may be read so late on a busy machine."""
SCANNED: Final = tuple(
    Service("tcp", port) for port in (21, 23, 80, 111, 445, 2375, 3306, 5432, 6379, 8080, 9200, 11434)
)
Reports = dict[str, dict[str, Any]]


def scan(demo: FactoryDemo) -> None:
    """Many ports of everybody."""
    tries = [Try(VICTIM, target, service, 4) for target in HOSTS if target != VICTIM for service in SCANNED]
    outcomes = demo.factory.try_all(tries, timeout=0.5)
    opened = sum(outcome in ("open", "refused") for outcome in outcomes.values())
    known = {(one.source, one.target, str(one.service)) for one in tries}

    def seen(flows: list[Any]) -> int:
        return len({(f.src_workload, f.dst_workload, f"{f.protocol}/{f.dst_port}") for f in flows} & known)

    flows = demo.wait_for_flows(f"event=deny from.workload={VICTIM}", lambda found: seen(found) >= len(known))
    demo.check(
        f"the {VICTIM} scans {len(SCANNED)} ports of {len(HOSTS) - 1} workloads",
        f"0 of {len(tries)} get through, all recorded",
        f"{opened} get through, {seen(flows)} recorded",
        not opened and seen(flows) == len(known),
    )


def quarantine(demo: FactoryDemo) -> tuple[float, float]:
    """Cut it off; when the call was made and when it returned (CLOCK_MONOTONIC, seconds)."""
    request = containment_pb2.QuarantineRequest(
        target=containment_pb2.ContainmentTarget(workloads=[VICTIM]),
        reason="demonstration: it scans its neighbours",
    )
    asked = time.monotonic()
    answer = demo.client.containment.Quarantine(request, timeout=DEADLINE_SECONDS)
    answered = time.monotonic()
    demo.console.print(
        f"[bold]{VICTIM} is quarantined[/] after {1000 * (answered - asked):.1f} ms. What it can reach:"
        f" {answer.before.direct} services in one hop and {answer.before.transitive} in all before,"
        f" {answer.after.direct} and {answer.after.transitive} now"
    )
    demo.check(
        "reach of the agent after quarantine",
        "nothing",
        f"{answer.after.direct} services",
        not answer.after.direct,
    )
    demo.note("quarantine, asked to answered", f"{1000 * (answered - asked):.1f} ms", "ringfield contained")
    return asked, answered


def judge_streams(
    demo: FactoryDemo, asked: float, answered: float, at_once: Reports, at_end: Reports
) -> None:
    """The victim's connections are dead, the forensic path and all others lost nothing."""
    counts = ("sent", "back", "lost", "retransmitted")
    made = table("connection", *counts, "", right=counts)
    dead, alive, lost, retransmitted, numbers = 0, 0, 0, 0, 0
    last = 0.0
    others = [stream for stream in STREAMS if not stream.dies]
    for stream in STREAMS:
        report = at_end[stream.name]
        missing = report["sent"] - report["received"]
        counted = (stream.name, str(report["sent"]), str(report["received"]))
        if stream.dies:
            quiet = report["last"] <= answered + LATE_MS / 1000
            dead += quiet
            last = max(last, report["last"])
            words = f"dead {_beside_call(report['last'] - asked)}" if quiet else "STILL ALIVE"
            made.add_row(*counted, "", "", Text(words, style="magenta" if quiet else "bold red"))
            continue
        moved = report["received"] > at_once[stream.name]["received"]
        clean = not missing and not report["disordered"] and not report["error"] and moved
        alive += clean
        lost += missing
        numbers += report["sent"]
        retransmitted += report["retransmits"]
        text = Text("forensic path" if stream.forensic else "", style="cyan")
        if not clean:
            text = Text(report["error"] or "does not move", style="bold red")
        made.add_row(*counted, str(missing), str(report["retransmits"]), text)
    demo.console.print(made)
    dying = len(STREAMS) - len(others)
    demo.check(
        f"open connections of the {VICTIM} die",
        f"{dying} of {dying}",
        f"{dead} of {dying}, last byte {_beside_call(last - asked)}",
        dead == dying,
    )
    demo.check(
        "all others run on",
        f"{len(others)} connections, 0 lost",
        f"{alive} connections, {lost} of {numbers:,} numbers lost, {retransmitted} retransmitted",
        alive == len(others) and not lost,
    )
    demo.note(
        "lost by everybody else",
        f"{lost} of {numbers:,} numbers in {len(others)} connections",
        "the table above",
    )


def judge_new(demo: FactoryDemo) -> None:
    """New connections: only the forensic path."""
    kept = Try(WATCHER, VICTIM, SSH, 4)
    tries = [
        kept,
        Try(VICTIM, "inference", Service("tcp", 8000), 4),
        Try("portal", VICTIM, Service("tcp", 9000), 4),
    ]
    outcomes = demo.factory.measure(tries, [kept])
    opened = [f"{one.source} → {one.target}" for one in tries if outcomes[one] == "open"]
    demo.check(
        "new connections",
        f"only {WATCHER} → {VICTIM}",
        ", ".join(opened) or "none",
        opened == [f"{WATCHER} → {VICTIM}"],
    )


def judge_records(demo: FactoryDemo) -> None:
    """Each connection that died says so in its last record."""
    dying = {(s.source, s.target, str(s.service)) for s in STREAMS if s.dies}

    def keys(flows: list[Any]) -> set[tuple[str, str, str]]:
        return {(f.src_workload, f.dst_workload, f"{f.protocol}/{f.dst_port}") for f in flows}

    flows = demo.wait_for_flows("event=close close=quarantine", lambda found: keys(found) >= dying)
    found = keys(flows) & dying
    demo.check(
        "their last records say why",
        f"{len(dying)} closed by quarantine",
        f"{len(found)} closed by quarantine",
        found == dying,
    )
    if flows:
        first = flows[0]
        demo.note(
            "a connection cut",
            f"record {first.record}: {first.src_workload} → {first.dst_workload} {first.protocol}/{first.dst_port}",
            f"ringfield why {first.record}",
        )


def walk(demo: FactoryDemo) -> None:
    """The step."""
    with demo.step("4  Containment", "ringfield quarantine agent --reason ..."):
        demo.factory.open_streams(STREAMS)
        demo.console.print(f"{len(STREAMS)} connections with numbers in them, over IPv4 and IPv6")
        time.sleep(BEFORE_SECONDS)
        scan(demo)
        asked, answered = quarantine(demo)
        at_once = demo.factory.report_streams()
        time.sleep(AFTER_SECONDS)
        judge_new(demo)
        at_end = demo.factory.close_streams()
        judge_streams(demo, asked, answered, at_once, at_end)
        judge_records(demo)


def _beside_call(seconds: float) -> str:
    """How long after a call, or before it."""
    return f"{abs(round(1000 * seconds))} ms {'before' if seconds < 0 else 'after'} the call"
