# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Step 3: who reaches whom: every pair and service tried, against a table that knows no policy file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.text import Text

from appliance.cli.common import table
from appliance.demo.factory_data import HOSTS, VICTIM
from appliance.demo.factory_lab import Try, mac_of
from appliance.run import frames

if TYPE_CHECKING:
    from appliance.demo.factory import FactoryDemo

SPOOFED: Final = 200


def everything() -> list[Try]:
    """Every pair, every service of the target, both IP versions."""
    return [
        Try(source, target, service, version)
        for source in HOSTS
        for target in HOSTS
        if source != target
        for service in HOSTS[target].services
        for version in (4, 6)
    ]


def show(demo: FactoryDemo, outcomes: dict[Try, str], wrong: set[Try]) -> None:
    """The matrix: who in rows, to whom in columns."""
    made = table("opens ↓  to →", *HOSTS)
    for source in HOSTS:
        cells: list[Text] = [Text(source, style="bold")]
        for target in HOSTS:
            cell = Text()
            if source == target:
                cell.append("─", style="dim")
            for service in HOSTS[target].services:
                tries = [Try(source, target, service, version) for version in (4, 6)]
                reached = any(outcomes.get(one) == "open" for one in tries)
                bad = any(one in wrong for one in tries)
                if reached or bad:
                    sign = "" if reached else "✘"
                    cell.append(
                        f"{' ' if cell else ''}{sign}{service.port}", style="bold red" if bad else "green"
                    )
            cells.append(cell if cell else Text("·", style="dim"))
        made.add_row(*cells)
    demo.console.print(made)


def judge(demo: FactoryDemo) -> None:
    """Every try against the table."""
    tries = everything()
    wanted = {one for one in tries if str(one.service) in demo.expected.get((one.source, one.target), ())}
    outcomes = demo.factory.measure(tries, wanted)
    reached = {one for one, outcome in outcomes.items() if outcome == "open"}
    show(demo, outcomes, reached ^ wanted)
    demo.matrix = [
        {
            "source": one.source,
            "target": one.target,
            "service": str(one.service),
            "version": one.version,
            "expected": "open" if one in wanted else "closed",
            "measured": outcome,
        }
        for one, outcome in outcomes.items()
    ]
    missing, extra = wanted - reached, reached - wanted
    demo.check(
        "what must work, works",
        f"{len(wanted)} reached",
        f"{len(wanted & reached)} reached",
        not missing,
        _some(missing),
    )
    denied = len(tries) - len(wanted)
    demo.check(
        "what must not, does not",
        f"{denied} refused",
        f"{denied - len(extra)} refused",
        not extra,
        _some(extra),
    )
    check_records(demo, {one for one in tries if one not in reached})
    demo.note(
        "who reaches whom",
        f"{len(tries)} tries, {len(missing) + len(extra)} not as expected",
        "the matrix above",
    )


def _some(tries: set[Try]) -> str:
    return ", ".join(f"{one.source} → {one.target} {one.service}" for one in sorted(tries)[:3])


def check_records(demo: FactoryDemo, denied: set[Try]) -> None:
    """Every refusal left a record with rule, revision and both workloads."""
    wanted = {(one.source, one.target, str(one.service), one.version) for one in denied}

    def keys(flows: object) -> set[tuple[str, str, str, int]]:
        return {
            (
                flow.src_workload,
                flow.dst_workload,
                f"{flow.protocol}/{flow.dst_port}",
                6 if ":" in flow.src_ip else 4,
            )
            for flow in flows  # type: ignore[attr-defined]
            if flow.rule and flow.revision
        }

    flows = demo.wait_for_flows("event=deny", lambda found: keys(found) >= wanted)
    found = keys(flows) & wanted
    demo.check(
        "each refusal has a record that names its rule",
        f"{len(wanted)} records",
        f"{len(found)} records",
        found == wanted,
        _some(
            {one for one in denied if (one.source, one.target, str(one.service), one.version) not in found}
        ),
    )
    example = next(
        (flow for flow in flows if flow.src_workload == VICTIM and flow.dst_workload == "dataset"), None
    )
    if example is not None:
        default = example.band in ("", "default")
        decided = "the default" if default else f"rule {example.rule} ({example.band})"
        words = f"{example.src_workload} → {example.dst_workload} {example.protocol}/{example.dst_port}"
        demo.console.print(
            f"  [dim]record {example.record}: {words} dropped by {decided} of revision {example.revision}"
            f" (ringfield why {example.record})[/]"
        )
        demo.note(
            "a refusal", f"record {example.record}: {words}, by {decided}", f"ringfield why {example.record}"
        )


def spoof(demo: FactoryDemo) -> None:
    """A taken host claims other addresses: nothing gets past its port."""
    victim, other = HOSTS[VICTIM], HOSTS["dataset"]
    mac = mac_of(victim)
    gateway = frames.Host("02:52:46:00:00:01", "")
    sent = [
        frames.tcp(
            frames.Host(mac, HOSTS["prep"].address4),
            frames.Host(gateway.mac, other.address4),
            40000 + n,
            2049,
        )
        for n in range(4)
    ]
    before = demo.drops().get("unauthenticated", 0)
    demo.factory.flood(VICTIM, sent, SPOOFED, 0.2)
    dropped = demo.drops().get("unauthenticated", 0) - before
    demo.check(
        f"the agent's host claims to be prep, {SPOOFED} frames",
        f"{SPOOFED} dropped as unauthenticated",
        f"{dropped} dropped as unauthenticated",
        dropped == SPOOFED,
    )
    demo.note("spoofed frames stopped at the port", f"{dropped} of {SPOOFED}", "ringfield stats")


def walk(demo: FactoryDemo) -> None:
    """The step."""
    with demo.step("3  Enforcement", "ringfield can A B tcp/443, ringfield why RECORD"):
        judge(demo)
        spoof(demo)
