# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""docs/records.md lists what the code has: columns, filter fields, metrics, places of losses."""

from __future__ import annotations

import re

import pytest

from appliance.telemetry.filters import FIELDS
from appliance.telemetry.metrics import METRICS
from appliance.telemetry.schema import COLUMNS
from appliance.telemetry.store import LOST_PLACES
from tests.support.tree import ROOT


def table(heading: str) -> list[list[str]]:
    """Cells of the table below a heading."""
    text = (ROOT / "docs/records.md").read_text()
    section = text.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in section.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def code(text: str) -> str:
    return text.replace("|", "\\|")


@pytest.mark.parametrize(
    ("heading", "expected"),
    [
        ("Columns", [[f"`{one.name}`", one.kind, one.unit, one.text] for one in COLUMNS]),
        ("Filters", [[f"`{one.name}`", "yes" if one.sided else "", one.text] for one in FIELDS.values()]),
        ("Metrics", [[f"`{one.exposed}`", one.kind, ", ".join(one.labels), one.text] for one in METRICS]),
    ],
)
def test_tables(heading: str, expected: list[list[str]]) -> None:
    assert table(heading) == [[code(cell) for cell in row] for row in expected]


def test_places() -> None:
    assert [row[0] for row in table("Lost records")] == [f"`{place}`" for place in LOST_PLACES]
