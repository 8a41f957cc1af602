# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""docs/doca-coverage.md says what is so: its tests exist, its functions are those of the sources."""

import re
import subprocess
import sys

from tests.behaviour.test_programs import PROGRAMS
from tests.support.tree import ROOT

HERE = ROOT / "tests" / "behaviour"
DOCUMENT = ROOT / "docs" / "doca-coverage.md"
ROW = re.compile(r"^\| (\d+) \| (flow_\w+) \| (\w+) \| (.*?) ?\| (.*?) ?\|$", re.MULTILINE)


def rows() -> list[tuple[int, str, str, list[str], str]]:
    """Number, sample, state, tests, notes."""
    return [
        (int(number), sample, state, re.findall(r"`([^`]+)`", tests), notes)
        for number, sample, state, tests, notes in ROW.findall(DOCUMENT.read_text())
    ]


def exists(test: str) -> bool:
    """Whether a test of tests/behaviour exists: a function of a module, or a C program that is run."""
    file, _, function = test.partition("::")
    if file.startswith("c/"):
        return (HERE / file).is_file() and (HERE / file).stem in PROGRAMS
    return (HERE / file).is_file() and f"def {function}(" in (HERE / file).read_text()


def test_every_sample_has_a_row() -> None:
    """65 samples, numbered, each once."""
    assert [number for number, *_ in rows()] == list(range(1, 66))
    assert len({sample for _, sample, *_ in rows()}) == 65


def test_states_are_backed() -> None:
    """What passes names tests that exist; what does not says why."""
    wrong = []
    for _, sample, state, tests, notes in rows():
        if state not in ("pass", "partial", "later"):
            wrong.append(f"{sample}: no such state as {state}")
        if state in ("pass", "partial") and not tests:
            wrong.append(f"{sample}: {state} without a test")
        if state in ("partial", "later") and not notes:
            wrong.append(f"{sample}: {state} without a reason")
        if state == "later" and tests:
            wrong.append(f"{sample}: later, but it names tests")
        wrong += [f"{sample}: there is no {test}" for test in tests if not exists(test)]
    assert not wrong


def test_every_test_program_is_run() -> None:
    """Each C file but the rigs is a program of test_programs."""
    assert {path.stem for path in (HERE / "c").glob("*.c")} - {"rig", "ct_rig"} == set(PROGRAMS)


def test_functions_are_those_of_the_sources() -> None:
    """The table of functions is what devtools/doca_coverage.py would write."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "devtools" / "doca_coverage.py"), "--check"], check=False
    )
    assert done.returncode == 0, "run devtools/doca_coverage.py"
