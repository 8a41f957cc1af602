# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Figures of the bench: what is compared and what is refused, what is saved and read again, plots."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from appliance.bench import plots, protection
from appliance.bench.figures import (
    Collection,
    Curve,
    Figure,
    Points,
    Section,
    guarded,
    joined,
    ratio,
    section_from,
)
from appliance.bench.machine import BenchError
from appliance.bench.report import saved
from appliance.bench.suite import GROUPS, KEYS, ORDER, PARTS, chosen
from appliance.cli.main import main


def collected(noisy: tuple[float, ...] = (10.0, 10.2, 9.9)) -> Collection:
    found = Collection()
    for ours, peer in zip(noisy, (20.0, 20.4, 19.8), strict=True):
        found.add("ours", "Mpps", ours, key="P1")
        found.add("peer", "Mpps", peer)
    return found


def section(found: Collection, *curves: Curve) -> Section:
    compared = ratio("ours / peer", found.figure("ours"), found.figure("peer"), 0.5, "P1")
    return Section("established", "made up", (*found.figures(), compared), ("a remark",), curves)


def curve(**values: tuple[float, ...]) -> Curve:
    points = Points()
    for line, numbers in values.items():
        for size, value in zip((1, 1000, 4_000_000), numbers, strict=False):
            points.add(line, size, "Mpps", value)
            points.add(line, size, "Mpps", value * 1.1)
    return points.curve("connections", "Made-up packets", "connections")


def test_quiet_runs_are_compared() -> None:
    last = guarded(section(collected()), 0.1, 0.5).figures[-1]
    assert (last.value, last.met, last.refused) == (0.5, True, "")


def test_runs_that_lie_apart_are_not_compared() -> None:
    last = section(collected((5.0, 10.0, 20.0))).figures[-1]
    assert last.value is None
    assert last.met is None
    assert last.refused == "ours: runs lie 150% apart"


def test_nothing_is_compared_while_others_work() -> None:
    made = guarded(section(collected()), 1.24, 0.5)
    ours, _, last = made.figures
    assert ours.value == 10.0, "what is no comparison stays"
    assert (last.value, last.refused) == (None, "other programs used 1.2 cores meanwhile")
    assert last.runs == (0.5, 0.5, 0.5), "for those who look into the JSON"
    assert made.others_cores == 1.24
    assert made.remarks[-1].startswith("NOT QUIET")


def test_a_section_survives_being_saved() -> None:
    made = guarded(section(collected(), curve(one=(1, 2, 3), two=(4.0, 5.0))), 2.0, 0.5)
    assert section_from(json.loads(json.dumps(made.as_json()))) == made


def test_pieces_are_put_together(tmp_path: Path) -> None:
    def write(name: str, when: str, one: Section) -> str:
        told = {
            "time": when,
            "machine": {"cpu": "made up", "cores": 2, "load_average": [0.1, 0.1, 0.1]},
            "settings": {"runs": 3},
            "sections": [one.as_json()],
        }
        (tmp_path / name).write_text(json.dumps(told))
        return str(tmp_path / name)

    old = section(collected(), curve(one=(1.0, 2.0)))
    new = replace(section(collected()), figures=(Figure(name="ours", unit="Mpps", runs=(30.0,), key="P1"),))
    new = replace(new, curves=(curve(one=(7.0,), two=(8.0,)),))
    found = saved([write("b", "2026-02-02", new), write("a", "2026-01-01", old)])
    (one,) = found.sections
    assert one == joined(old, new)
    assert [figure.value for figure in found.table(["P1"])] == [30.0, 0.5], (
        "the newer one, and what only the older has"
    )
    assert one.curves[0].lines["one"][1].value == pytest.approx(7.35)
    assert one.curves[0].lines["one"][1000].value == pytest.approx(2.1)
    assert one.curves[0].lines["two"][1].value == pytest.approx(8.4)
    (tmp_path / "c").write_text("{}")
    with pytest.raises(BenchError, match="is not what `ringfield bench --save` writes"):
        saved([str(tmp_path / "c")])


def test_a_report_has_every_goal() -> None:
    assert [key for key in ORDER if key[1:].isdecimal()] == [f"P{number}" for number in range(1, 15)]
    assert set(chosen("report")) >= set(KEYS.values())
    assert {part for parts in GROUPS.values() for part in parts} == set(PARTS)


@pytest.mark.skipif(not plots.has_library(), reason="Matplotlib is not installed (extra: plots)")
def test_plots_are_made_and_small(tmp_path: Path) -> None:
    stages = Points()
    for name, cycles in (("parse", 30.0), ("ct", 90.0)):
        stages.add(name, "1 connection", "cycles/packet", cycles)
    curves = [
        curve(one=(1, 2, 300), two=(4.0, 5.0)),
        replace(curve(one=(1.0, 1.0)), name="flat"),
        stages.curve("stages", "Cycles", "", stacked=True),
    ]
    made = plots.draw_all(curves, tmp_path / "plots")
    assert sorted(path.name for path in made) == [
        "connections.png", "connections.svg", "flat.png", "flat.svg", "stages.png", "stages.svg",
    ]  # fmt: skip
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in made if path.suffix == ".png")
    assert all(
        b"<svg" in path.read_bytes() and path.stat().st_size < 100_000
        for path in made
        if path.suffix == ".svg"
    )
    again = plots.draw_all(curves[:1], tmp_path / "again")
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in made[:2]]


def test_without_the_library_nothing_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[Any] = []
    monkeypatch.setattr(plots, "has_library", lambda: False)
    monkeypatch.setattr(plots, "LIBRARY", "no-such-thing-as-this>=1")
    monkeypatch.setattr("sys.executable", "/bin/false")
    with pytest.raises(BenchError, match="no plots without Matplotlib; install 'no-such-thing-as-this>=1'"):
        plots.want_library(said.append)
    assert "which is not here" in said[0]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["sizes", "--axes", "weight"], "no axis 'weight'"),
        (["segmentation", "--only", "P3"], "report has it"),
        (["sizes", "--only", "P3"], "--only goes with"),
    ],
)
def test_wrong_words_are_refused(words: list[str], reason: str) -> None:
    from click.testing import CliRunner

    result = CliRunner().invoke(main, ["bench", *words])
    assert result.exit_code == 2
    assert reason in result.output


def test_protection_is_not_compared_when_the_wire_differs_from_itself() -> None:
    runs = {
        protection.WIRE: [100.0, 100.0, 100.0],
        protection.AGAIN: [102.0, 98.0, 150.0],
        "10 rules": [99.0, 98.0, 96.0],
    }
    control, under = protection.ratios(runs, ["10 rules"])
    assert control.runs == (1.02, 0.98, 1.5)
    assert under.value == pytest.approx(2 * 99 / 202)
    assert under.met
    runs[protection.AGAIN] = [110.0, 90.0, 100.0]
    (_, under) = protection.ratios(runs, ["10 rules"])
    assert under.value is None
    assert "differs from itself by 10%" in under.refused
