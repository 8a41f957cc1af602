# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Files of workloads that cannot be taken, a directory that cannot be read, and bounds on what is read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.errors import InvalidValue
from appliance.intelligence import policies
from appliance.intelligence.access import LOCAL
from appliance.intelligence.centre import Centre
from appliance.intelligence.directory import RETRY_SECONDS, Directory
from appliance.intelligence.fleet import Book
from appliance.intelligence.relevance import Slicer
from appliance.policy.model import Interface, Network
from appliance.run.document import MAX_ALIASES, MAX_STOOD_FOR, ConfigError, parse_document
from tests.intelligence.test_receiver import POLICY, workload

X = "x: {appliance: dpu1, network: %s, port: p3, mac: '02:00:00:00:00:33', addresses: 10.%d.0.33}"


@pytest.fixture
def centre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Centre]:
    made = Centre(tmp_path_factory.mktemp("centre"), name="lab")
    made.apply_networks([Network(name="lab", prefixes=("10.0.0.0/24",))], LOCAL)
    made.apply_workloads([workload(1, "dpu1", "web"), workload(2, "dpu2", "db")], [], LOCAL)
    yield made
    made.close()


def test_a_file_is_taken_whole_or_not_at_all(centre: Centre, tmp_path: Path) -> None:
    book = Book()
    directory = Directory(centre, tmp_path, book)
    number = centre.number
    networks = "networks: {far: {prefixes: [10.7.0.0/16]}}\n"
    twice = X.replace("x:", "y:") % ("far", 7)
    (tmp_path / "a.yaml").write_text(f"{networks}workloads:\n  {X % ('far', 7)}\n  {twice}\n")
    directory.look()
    assert "bound twice" in book.alarms[0].text
    (tmp_path / "a.yaml").write_text(f"{networks}workloads: {{w1: {{labels: {{app: mine}}}}}}\n")
    directory.look()
    assert "local has declared it already" in book.alarms[0].text
    assert (centre.number, sorted(centre.networks)) == (number, ["lab"])
    (tmp_path / "a.yaml").write_text(f"{networks}workloads:\n  {X % ('far', 7)}\n")
    directory.look()
    assert "x" in centre.workloads


def test_files_may_need_each_other_and_are_tried_again(centre: Centre, tmp_path: Path) -> None:
    book, now = Book(), [0.0]
    directory = Directory(centre, tmp_path, book, monotonic=lambda: now[0])
    (tmp_path / "a.yaml").write_text(f"workloads:\n  {X % ('far', 7)}\n")
    assert directory.look()
    refused = centre.audit.count
    assert not directory.look(), "at once would fill the audit log"
    now[0] += RETRY_SECONDS[0]
    assert directory.look()
    assert (centre.audit.count, len(book.alarms)) == (refused + 1, 1)
    (tmp_path / "b.yaml").write_text("networks: {far: {prefixes: [10.7.0.0/16]}}\n")
    assert directory.look()
    assert "x" not in centre.workloads
    now[0] += 2 * RETRY_SECONDS[0]
    assert directory.look()
    assert "x" in centre.workloads
    assert not directory.look()
    again = Directory(centre, tmp_path, book)
    (tmp_path / "c.yaml").write_text((tmp_path / "a.yaml").read_text())
    (tmp_path / "a.yaml").unlink()
    again.look()
    assert centre.declared["x"].source == "file/c.yaml"
    assert len(book.alarms) == 1, "what was taken in the end is no alarm"


def test_what_files_there_are_is_not_guessed(
    centre: Centre, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, book = tmp_path / "files", Book()
    files.mkdir()
    directory = Directory(centre, files, book)
    (files / "z.yaml").write_text(f"workloads:\n  {X % ('lab', 0)}\n")
    directory.look()
    assert "x" in centre.workloads
    (files / "a.yaml").write_text("workloads: {}\n")
    with monkeypatch.context() as changed:
        changed.setattr("appliance.intelligence.directory.MAX_FILES", 1)
        assert not directory.look()
    assert "more than 1 files" in book.alarms[0].text
    (files / "a.yaml").unlink()
    files.rename(tmp_path / "elsewhere")
    assert not directory.look()
    (tmp_path / "elsewhere").rename(files)
    (files / "z.yaml").rename(tmp_path / "z.yaml")
    (files / "z.yaml").symlink_to(tmp_path / "nowhere")
    assert not directory.look()
    assert len(book.alarms) == 2
    assert "x" in centre.workloads
    (files / "z.yaml").unlink()
    with monkeypatch.context() as changed:
        changed.setattr(directory, "_device", 0)
        assert not directory.look()
    assert "is it mounted" in book.alarms[0].text
    assert "x" in centre.workloads
    assert directory.look()
    assert "x" not in centre.workloads


@pytest.mark.parametrize(
    "text",
    [
        f"a: &a [{'x, ' * 2000}]\nb: [" + ", ".join(["*a"] * (MAX_STOOD_FOR // 2000)) + "]\n",
        "a: &a0 [x, x]\n" + "".join(f"b{n}: &a{n + 1} [*a{n}, *a{n}]\n" for n in range(60)),
        "a: &a [x, *a]\n",
    ],
)
def test_aliases_stand_for_no_more_than_there_is_room_for(text: str) -> None:
    with pytest.raises(ConfigError, match="aliases of more than"):
        parse_document(text, "bad.yaml")


def test_aliases_within_bounds_are_read() -> None:
    text = "s: &s [a, b]\nt: &t [*s, *s]\nu: [" + ", ".join(["*t"] * (MAX_ALIASES - 2)) + "]\n"
    assert len(list(parse_document(text, "a").need("u").items())) == MAX_ALIASES - 2


def test_a_prefix_that_holds_nobody_leaves_changes_small(centre: Centre) -> None:
    wide = replace(workload(9, "dpu2", "lan"), interfaces=(
        Interface(network="lab", port="p9", mac="02:00:00:00:00:99", prefixes=("10.0.0.128/25",), appliance="dpu2"),
    ))  # fmt: skip
    centre.publish("base", POLICY, LOCAL, "first")
    centre.apply_workloads([wide], [], LOCAL)
    told: list[set[str] | None] = []
    centre.on_change.append(lambda touched, contained: told.append(touched))
    centre.slices()
    centre.apply_workloads([workload(3, "dpu3", "other")], [], LOCAL)
    assert told.pop() == {"dpu3"}
    centre.slices()
    inside = replace(workload(4, "dpu3", "other"), interfaces=workload(200, "dpu3", "x").interfaces)
    centre.apply_workloads([inside], [], LOCAL)
    assert told.pop() is None
    assert centre.slices() == {
        name: Slicer(centre._slicer.fleet).slice(name) for name in ("dpu1", "dpu2", "dpu3")
    }


def test_what_is_remembered_of_drafts_is_bounded(centre: Centre, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policies, "MOST_READ", 3)
    for number in range(6):
        centre.candidate(f"s{number}", POLICY)
    assert list(policies._read) == ["s3", "s4", "s5"]
    monkeypatch.setattr(policies, "MOST_LETTERS", 2 * len(POLICY))
    centre.candidate("s6", POLICY)
    assert list(policies._read) == ["s5", "s6"]
    with pytest.raises(InvalidValue, match="cannot be a name"):
        centre.candidate("n" * 1000, POLICY)
