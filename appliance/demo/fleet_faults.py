# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Step 6: the centre and a management plane are killed with -9: enforcement goes on, and all come back."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from appliance.demo.fleet_data import FIRST
from appliance.demo.fleet_policy import some

if TYPE_CHECKING:
    from appliance.demo.fleet import FleetDemo


def walk(demo: FleetDemo, policy: str) -> None:
    """The step."""
    with demo.step("6  Lose the centre and a management plane", "kill -9"):
        demo.factory.open_streams(demo.streams())
        planes = {side.name: side.fastpath_pid for side in demo.sides}
        demo.centre.process.kill()
        judge(demo, "the centre is dead (kill -9)")
        side = demo.sides[0]
        side.process.kill()
        judge(demo, f"so is {side.name}'s management plane")
        started = time.monotonic()
        demo.centre.start()
        side.start()
        demo.centre.ready()
        side.process.ready()
        demo.centre.current()
        back = time.monotonic() - started
        now = {side.name: side.fastpath_pid for side in demo.sides}
        demo.check(
            "both are started again",
            "both appliances current, their data planes the same processes",
            f"current after {back:.1f} s, data planes {'the same' if planes == now else 'OTHERS'}",
            planes == now,
        )
        demo.judge_streams()
        wanted = demo.centre.publish(policy + "# again\n", "after the fall")
        found = demo.centre.current()
        demo.check(
            "the centre is obeyed again",
            f"revision {wanted} on both",
            ", ".join(f"{one.revision} on {name}" for name, one in found.items()),
            all(one.revision == wanted for one in found.values()),
        )


def judge(demo: FleetDemo, what: str) -> None:
    """New connections are judged as before."""
    tries = [one for one in demo.tries() if one.source in FIRST and one.target in FIRST]
    wanted = demo.wanted(tries)
    outcomes = demo.factory.measure(tries, wanted)
    reached = {one for one, outcome in outcomes.items() if outcome == "open"}
    demo.check(
        what,
        f"{len(wanted)} of {len(tries)} new connections open, as before",
        f"{len(reached)} open",
        reached == wanted,
        some(reached ^ wanted),
    )
