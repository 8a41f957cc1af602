# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""The fleet simulator's scenarios, small: everybody ends current, nobody refuses."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest


def simulated(scenario: str, number: int) -> dict[str, Any]:
    command = [
        sys.executable, "-m", "appliance", "--json", "central", "simulate", "--appliances", str(number), "--scenario",
        scenario, "--workloads", str(3 * number), "--rules", str(number), "--rounds", "1",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize(("scenario", "number"), [("storm", 12), ("flapping", 20), ("stalled", 56)])
def test_scenarios(scenario: str, number: int) -> None:
    found = simulated(scenario, number)
    assert found["refused"] == 0
    assert found["publish_seconds"] > 0
    if scenario != "stalled":
        assert found["recover_seconds"][scenario] > 0
    if scenario != "storm":
        assert found["fan_out"]["all"]["touched"] == number - (50 if scenario == "stalled" else 0)


def test_a_wait_ends_in_words() -> None:
    command = [
        sys.executable, "-m", "appliance", "central", "simulate", "--appliances", "40", "--workloads", "2000",
        "--rules", "2000", "--rounds", "1000", "--limit", "2",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert "after 2 s" in done.stderr
