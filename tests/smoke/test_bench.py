# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""`ringfield bench` runs and tells what it found; how much that is, is no test's business."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from appliance.bench import traffic
from appliance.bench.machine import PAGES
from appliance.bench.programs import has_testpmd

pytestmark = pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="the bench needs two cores")
ordinary = pytest.mark.skipif("ASAN_OPTIONS" in os.environ, reason="the ordinary build is what is measured")


def bench(*arguments: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "appliance", "bench", *arguments, "--quick", "--json", "--noise", "9"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def test_report_of_a_quick_run() -> None:
    pages = PAGES / "nr_hugepages"
    before = pages.read_text() if pages.exists() else ""
    report = bench("start", "--no-huge")
    assert not report["failed"]
    assert not report["settings"]["hugepages"]
    assert report["machine"]["cores"] >= 2
    (section,) = report["sections"]
    names = [figure["name"] for figure in section["figures"]]
    assert "start to first packet forwarded (P10)" in names
    assert all(figure["value"] > 0 for figure in section["figures"] if figure["unit"] == "s")
    assert (pages.read_text() if pages.exists() else "") == before


PARTS = {
    "forward": ["1 pipe", "2 pipes", "4 pipes", "8 pipes", "8 pipes / 1 pipe, cache off (P3)"],
    "entries": ["C library: add, batches of 1", "Python bulk: add", "gRPC stream: add, columns"],
    "churn": ["hit: undisturbed", "hit: disturbed", "miss: disturbed"],
}


@ordinary
@pytest.mark.parametrize("part", [pytest.param("forward", marks=pytest.mark.soak), "entries", "churn"])
def test_parts_of_pipelines_in_a_quick_run(part: str) -> None:
    report = bench(part, "--no-huge")
    assert not report["failed"]
    figures = {one["name"]: one["value"] for one in report["sections"][0]["figures"]}
    for wanted in PARTS[part]:
        (value,) = [
            value for name, value in figures.items() if name.removeprefix("1024 connections: ") == wanted
        ]
        assert value > 0, wanted
    if part == "forward" and has_testpmd():
        assert figures["1024 connections: testpmd io"] > 0


def test_a_table_for_people() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "appliance", "bench", "posts", "--quick", "--no-huge"],
        capture_output=True, text=True, timeout=120, check=False, env=os.environ | {"COLUMNS": "160"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for words in ("C, alone: p99", "Python, another session at 100,000/s, ACL builds: p99"):
        assert words in done.stdout


def test_latency_of_a_quick_run() -> None:
    report = bench("latency", "--no-huge")
    assert not report["failed"]
    assert report["sections"][0]["figures"][0]["value"] > 0


def test_records_of_a_quick_run() -> None:
    report = bench("records", "--no-huge")
    assert not report["failed"]
    figures = {figure["name"]: figure["value"] for figure in report["sections"][0]["figures"]}
    assert next(value for name, value in figures.items() if name.endswith("stored (P13)")) > 0
    assert figures["first record: p50 until it is stored"] > 0


def test_segmentation_of_a_quick_run_is_one_table() -> None:
    report = bench("segmentation", "--no-huge", "--only", "P2,P5,P10,full,judged")
    assert not report["failed"]
    assert [section["name"] for section in report["sections"]] == ["million", "connections", "full"]
    table = report["table"]
    assert list(dict.fromkeys(one["key"] for one in table)) == ["P2", "P5", "P10", "full", "judged"]
    assert all(one["value"] is not None for one in table)
    exact = {one["name"]: one["value"] for one in table if one["goal"] == 0}
    assert len(exact) == 3
    assert set(exact.values()) == {0}, exact


@pytest.mark.parametrize(
    "axis",
    [
        "fill",
        *(
            pytest.param(axis, marks=pytest.mark.soak)
            for axis in ("connections", "rules", "pipes", "frames", "latency")
        ),
    ],
)
def test_sizes_of_a_quick_run(axis: str, tmp_path: Path) -> None:
    file = tmp_path / "saved.json"
    report = bench("sizes", "--no-huge", "--axes", axis, "--save", str(file), "--minutes", "3")
    assert not report["failed"]
    curves = {one["name"]: one for one in report["sections"][0]["curves"]}
    assert set(curves) >= {axis} - {"stages"}
    for one in curves.values():
        assert all(point["value"] >= 0 for line in one["lines"] for point in line["points"])
    if axis in ("fill", "connections", "pipes"):
        stages = {line["name"] for line in curves["stages"]["lines"]}
        assert stages == {"receive", "parse", "cache", "ct", "pipes", "actions", "send"}
    shown = bench("sizes", "--from", str(file))
    assert shown["sections"] == report["sections"]


@pytest.mark.soak
def test_workers_of_a_quick_run() -> None:
    report = bench("workers", "--no-huge")
    assert not report["failed"]
    figures = {figure["name"]: figure["value"] for figure in report["sections"][0]["figures"]}
    assert figures["2 workers, split: packets handed over, of those sent"] == 0, "each came to its owner"
    assert figures["2 workers, unsplit: packets handed over, of those sent"] > 0.1
    assert any(name.startswith("2 workers, split / 1 worker") for name in figures)


@ordinary
@pytest.mark.soak
def test_established_connections_and_policies_in_a_quick_run() -> None:
    report = bench("segmentation", "--no-huge", "--only", "P1,P9")
    assert not report["failed"]
    table = {one["name"]: one["value"] for one in report["table"]}
    assert {one["key"] for one in report["table"]} >= {"P1", "P9"}
    assert all(value > 0 for name, value in table.items() if "1000 rules" in name or "label change" in name)


def test_events_cost_others_nothing() -> None:
    report = bench("disruption", "--no-huge", "-n", "2", "--events", "publish,rollback,quarantine,kill9")
    assert not report["failed"]
    figures = {figure["name"]: figure for figure in report["sections"][0]["figures"]}
    for event in ("publish", "rollback", "quarantine", "kill9"):
        assert figures[f"{event}: packets lost"]["runs"] == [0, 0]
        assert figures[f"{event}: packets of the crowd lost"]["runs"] == [0, 0]
        if not os.geteuid():
            assert figures[f"{event}: packets of TCP dropped"]["runs"] == [0, 0]
            assert len(figures[f"{event}: TCP segments sent again"]["runs"]) == 2
    assert all(value >= 0 for value in figures["quarantine: call to last packet forwarded (P8)"]["runs"])


def test_floods_are_dropped_by_name_and_counters_balance() -> None:
    floods = {"half-open": "ct_identity_limit", "spoofed": "unauthenticated", "fragments": "fragment_lost"}
    report = bench("hostile", "--no-huge", "--floods", ",".join(floods))
    assert not report["failed"]
    figures = {figure["name"]: figure["value"] for figure in report["sections"][0]["figures"]}
    for name, reason in floods.items():
        assert figures[f"{name}: dropped as {reason}"] > 1000
        assert figures[f"{name}: packets without an end"] == 0
        assert figures[f"{name}: packets of the allowed lost"] == 0


def test_frames_are_distinct_connections_with_right_checksums(tmp_path: Path) -> None:
    made = traffic.frames(4096, reverse=False)
    assert len(np.unique(made[:, 26:38], axis=0)) == 4096
    words = made[:, 14:34].reshape(4096, -1, 2).astype(np.int64)
    total = (words[:, :, 0] << 8 | words[:, :, 1]).sum(axis=1)
    assert ((total & 0xFFFF) + (total >> 16) == 0xFFFF).all()
    replies = traffic.frames(4096, reverse=True)
    assert (replies[:, 26:30] == made[:, 30:34]).all()
    forward, _ = traffic.write_pair(tmp_path, 1024)
    assert forward.stat().st_size == 24 + 16384 * (16 + traffic.FRAME)
