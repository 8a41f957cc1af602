# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""What sensors report: kept once, checked field by field, bounded in number and in time."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from appliance.cli.main import main
from appliance.errors import AlreadyExists, Code, FlowError, InvalidValue
from appliance.intelligence import threats
from appliance.intelligence.authority import parse_token
from appliance.intelligence.sqlite import SqliteStore
from appliance.intelligence.threats import Severity, Threat, Threats, check
from appliance.policy.model import State
from tests.support.central import WORKLOADS, centre
from tests.support.rig import directory

NOW = 1_000_000.0


class Clock:
    now = NOW

    def __call__(self) -> float:
        return self.now


def threat(key: str = "k", **more: Any) -> Threat:
    given: dict[str, Any] = {
        "key": key, "observed": NOW, "category": "prompt-injection", "severity": Severity.HIGH, "workload": "w",
    }  # fmt: skip
    return Threat(**given | more)


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[tuple[Threats, Clock]]:
    clock, store = Clock(), SqliteStore(tmp_path)
    yield Threats(store, clock=clock, monotonic=clock), clock
    store.close()


def test_a_report_counts_once_and_less_as_time_passes(kept: tuple[Threats, Clock], tmp_path: Path) -> None:
    made, clock = kept
    assert made.add("s", threat())
    assert not made.add("s", threat())
    with pytest.raises(AlreadyExists, match="was used for another"):
        made.add("s", threat(severity=Severity.LOW))
    assert made.add("t", threat(severity=Severity.LOW))  # each sensor has its own keys
    one = made.all()[0]
    assert one.weight(NOW + threats.HALF_LIFE_SECONDS) == pytest.approx(one.weight(NOW) / 2)
    store = SqliteStore(tmp_path)
    assert [report.sensor for report in Threats(store, clock=clock).all("w")] == ["s", "t"]
    store.close()
    clock.now += threats.KEEP_SECONDS + 1
    assert made.all() == []
    assert made.add("s", threat(observed=clock.now))  # the key is free again


def test_reports_are_bounded(kept: tuple[Threats, Clock], monkeypatch: pytest.MonkeyPatch) -> None:
    made, clock = kept
    monkeypatch.setattr(threats, "MAX_OF_ONE", 3)
    monkeypatch.setattr(threats, "MAX_SENSORS", 2)
    made.add("quiet", threat("q"))
    for number in range(5):
        clock.now += 1
        made.add("loud", threat(str(number)))
    assert [one.threat.key for one in made.all()] == ["4", "3", "2", "q"]  # its own oldest, not another's
    made.add("third", threat("x"))
    assert {one.sensor for one in made.all()} == {"loud", "third"}
    clock.now += 1
    made.add("loud", threat("5"))
    again = Threats(made._store, clock=clock, monotonic=clock)  # it knows who was silent longest
    again.add("fourth", threat("y"))
    assert {one.sensor for one in again.all()} == {"loud", "fourth"}
    for _ in range(int(threats.BURST)):
        made.admit("loud")
    with pytest.raises(FlowError, match="more than 10 threats a second") as caught:
        made.admit("loud")
    assert caught.value.code is Code.AGAIN
    made.admit("third")
    clock.now += 1
    made.admit("loud")


@pytest.mark.parametrize(
    ("field", "more"),
    [
        ("key", {"key": ""}),
        ("key", {"key": "a b"}),
        ("observed", {"observed": NOW + 3600}),
        ("observed", {"observed": float("nan")}),
        ("observed", {"observed": NOW - 8 * 86400}),
        ("workload", {"workload": ""}),
        ("workload", {"workload": "ghost"}),
        ("connection_id", {"connection": "a b"}),
        ("address", {"address": "10.0.0"}),
        ("network", {"address": "10.0.0.1"}),
        ("network", {"network": "lab"}),
        ("category", {"category": "Bad Thing"}),
        ("evidence", {"evidence": "x" * 1025}),
    ],
)
def test_what_is_wrong_is_named(field: str, more: dict[str, Any]) -> None:
    check(threat(), NOW, {"lab"}, {"w"})
    with pytest.raises(InvalidValue, match=rf"threat\.{field}: "):
        check(threat(**more), NOW, {"lab"}, {"w"})


def test_a_name_that_nobody_has_is_not_repeated_whole() -> None:
    for more in ({"workload": "g" * 9999}, {"address": "10.0.0.1", "network": "g" * 9999}):
        with pytest.raises(InvalidValue, match="there is no") as caught:
            check(threat(**more), NOW, (), ("w",))
        assert len(caught.value.reason) < 200


def test_an_address_alone_proves_nothing() -> None:
    assert threat().at_most is State.QUARANTINED
    assert threat(workload="", connection="c1").at_most is State.QUARANTINED
    assert threat(workload="", address="10.0.0.1", network="lab").at_most is State.WATCHED


def test_a_sensor_reports_and_people_look(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(at: str, *words: str, status: int = 0) -> str:
        result = CliRunner().invoke(main, ["--json", "central", "--at", at, *words])
        assert result.exit_code == status, result.output
        return result.output

    with directory() as where, centre(where / "c") as made:
        made.apply(WORKLOADS)
        token = made.operator("fw", "sensor")
        monkeypatch.setenv("RINGFIELD_CENTRAL_TOKEN", token)
        report = (
            "threat", "report", "--workload", "web", "--category", "prompt-injection", "--severity", "high",
            "--key", "1", "--evidence", "it asked for the keys", "--observed", str(int(time.time())),
        )  # fmt: skip
        assert not json.loads(run(made.enrolment, *report))["known"]
        assert json.loads(run(made.enrolment, *report))["known"]
        assert "there is no workload 'ghost'" in run(
            made.enrolment, *report[:3], "ghost", *report[4:], status=1
        )
        assert "fw is a sensor" in run(made.enrolment, "threat", "list", status=1)
        found = json.loads(run(str(made.unix), "threat", "list", "web"))["reports"]
        assert [(one["sensor"], one["at_most"]) for one in found] == [
            ("operator/fw", "WORKLOAD_STATE_QUARANTINED")
        ]
        said = [
            (one["action"], one["target"], one["refused"])
            for one in json.loads(run(str(made.unix), "audit", "--limit", "4"))["entries"]
        ]
        assert said == [
            ("central.operator", "fw", False),
            ("threat.report", "web", False),
            ("threat.report", "ghost", True),
            ("call.ThreatService/ListThreats", said[3][1], True),
        ]
        assert parse_token(token).secret not in (where / "c" / "run.log").read_text()
