# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""From what was seen to a policy, by commands on a real appliance: recommend, what-if, draft, publish, restrict."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from appliance.cli.main import main
from appliance.run import frames
from tests.support.fastpath import wait_for
from tests.support.rig import Running
from tests.support.segmentation import DB, OPS, POLICY, PORT_OF, WEB, passes, running

SEEN = ((WEB, DB, 5432), (OPS, WEB, 22), (OPS, DB, 22))
Run = Callable[..., str]


@pytest.fixture
def rig() -> Iterator[Running]:
    """Everything passes and is recorded; these connections were seen."""
    with running("default: alert\n") as made:
        telemetry = made.appliance.segmentation.telemetry  # type: ignore[union-attr]
        for number, (source, target, port) in enumerate(SEEN):
            made.inject(PORT_OF[source], frames.tcp(source, target, 40000 + number, port, frames.SYN))
        wait_for("their records", lambda: len(telemetry.store) == len(SEEN))
        yield made


@pytest.fixture
def run(rig: Running) -> Run:
    """Runs a command in a narrow terminal; what it wrote to standard output. ``status``: the one that is expected."""
    target = f"unix:{rig.appliance.config.grpc.unix}"

    def call(*words: str, status: int = 0) -> str:
        done = CliRunner().invoke(main, ["--target", target, *words], env={"COLUMNS": "60"})
        assert done.exit_code == status, done.output
        return done.stdout

    return call


def test_what_is_recommended_can_be_published_and_permits_what_was_seen(
    rig: Running, run: Run, tmp_path: Path
) -> None:
    file = tmp_path / "recommended.yaml"
    file.write_text(run("policy", "recommend"))
    told = json.loads(run("--json", "policy", "recommend", "--flows", "1h"))
    assert int(told["flows"]) == len(SEEN)
    assert sum(int(one["pairs_seen"]) for one in told["rules"]) >= len(SEEN)
    what_if = json.loads(run("--json", "policy", "simulate", "--flows", "1h", "-f", str(file)))
    then = {(one["verdict"]["action"], one["verdict"]["band"]) for one in what_if["answers"]}
    assert then <= {("POLICY_ACTION_ALLOW", "POLICY_BAND_ALLOW")}, "nothing that was seen would be cut"
    run("policy", "publish", str(file), "-m", "what was seen")
    assert all(passes(rig, *one) for one in SEEN)
    assert not passes(rig, WEB, DB, 22)
    assert not passes(rig, DB, WEB, 5432)


def test_what_if_names_the_flows_that_a_policy_would_cut(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "strict.yaml"
    file.write_text(POLICY.replace("app=ops, to: any", "app=ops, to: app=db"))
    told = json.loads(run("--json", "policy", "simulate", "--flows", "1h", "-f", str(file)))
    cut = [
        (one["question"]["source"], one["question"]["target"], one["question"]["service"], one["count"])
        for one in told["answers"]
        if one["verdict"]["action"] == "POLICY_ACTION_BLOCK"
    ]
    assert [(*ends, int(count)) for *ends, count in cut] == [("app=ops", "app=web", "tcp/22", 1)]
    assert "tcp/22" in run("policy", "simulate", "--flows", "1h", "-f", str(file))
    table = json.loads(
        run("--json", "policy", "simulate", "-f", str(file), "--service", "tcp/22", "--service", "tcp/5432")
    )
    allowed = {
        (one["question"]["source"], one["question"]["target"], one["question"]["service"])
        for one in table["answers"]
        if one["verdict"]["action"] == "POLICY_ACTION_ALLOW"
    }
    assert {
        ("app=web", "kind=dataset, app=db", "tcp/5432"),
        ("app=ops", "kind=dataset, app=db", "tcp/22"),
    } == allowed


def test_a_draft_is_kept_printed_as_it_was_written_and_published(
    rig: Running, run: Run, tmp_path: Path
) -> None:
    file = tmp_path / "draft.yaml"
    file.write_text(POLICY)
    assert "kept" in run("policy", "draft", str(file))
    assert run("policy", "draft") == POLICY
    assert "good" in run("policy", "validate")
    assert passes(rig, WEB, OPS, 5432)
    run("policy", "publish", "-m", "the draft")
    assert not passes(rig, WEB, OPS, 5432)
    assert passes(rig, WEB, DB, 5432)


def test_restrict_leaves_what_was_seen(rig: Running, run: Run) -> None:
    run("restrict", "ops", "-m", "looks odd", "--keep", "to app=web tcp/2222")
    assert passes(rig, OPS, DB, 22)
    assert passes(rig, OPS, WEB, 2222)
    assert not passes(rig, OPS, DB, 5432)
    assert passes(rig, WEB, DB, 22), "nobody else is concerned"
    assert "restricted" in run("workload", "show", "ops")
    run("release", "ops", "-m", "it was nothing")
    assert passes(rig, OPS, DB, 5432)
