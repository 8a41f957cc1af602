# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Containment whose appliance dies, or whose fast path refuses, in the midst of it."""

import os
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest

from appliance.errors import FlowError, NotConnected
from appliance.policy.audit import LOCAL, LOG, Outcome
from appliance.policy.containment import Contained, KeptPath
from appliance.policy.control import Segmentation
from appliance.policy.imposed import Imposed, Imposing
from appliance.policy.model import Band, Baseline, Rule, State, Workload
from appliance.policy.operation import Settings
from appliance.policy.selector import ANY, named, parse_selector

AGENT = Workload(name="agent", labels={"app": "agent"}, kind="agent")


def appliance(directory: Path) -> Segmentation:
    def use(seconds: float | None) -> NoReturn:
        raise NotConnected("none")

    made = Segmentation(Settings(networks=(), ports={}), directory, use)
    made.declare_workloads([AGENT], "one")
    return made


def told(control: Segmentation) -> list[tuple[str, Outcome]]:
    return [(e.action, e.outcome) for e in control.audit.entries() if e.action.startswith("containment.")]


@pytest.mark.parametrize("keep", [False, True])
def test_who_is_killed_in_the_midst_of_a_quarantine_has_told_and_kept_it(tmp_path: Path, keep: bool) -> None:
    """With ``keep`` the policy is compiled for it."""
    child = os.fork()
    if not child:
        dying = appliance(tmp_path)
        for name in ("flip_now", "post_or_keep"):
            setattr(dying.force, name, lambda *given: os._exit(7))
        kept = [KeptPath(source="app=agent", services=("tcp/22",))] if keep else []
        dying.containment.contain([AGENT], State.QUARANTINED, LOCAL, reason="it scans", keep=kept)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    after = appliance(tmp_path)
    assert told(after) == [("containment.quarantine", Outcome.DONE)]
    assert after.in_force.states == {"agent": State.QUARANTINED}
    assert after.audit.verify().good == after.audit.count
    after.close()


def test_what_the_fast_path_refuses_is_taken_back_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    control = appliance(tmp_path)

    def refuse() -> NoReturn:
        raise FlowError("no more")

    monkeypatch.setattr(control.force, "flip_now", refuse)
    with pytest.raises(FlowError, match="no more"):
        control.containment.contain([AGENT], State.QUARANTINED, LOCAL, reason="it scans")
    assert control.contained.states == {}
    assert told(control) == [
        ("containment.quarantine", Outcome.DONE),
        ("containment.quarantine", Outcome.REFUSED),
    ]
    control.close()


def test_what_cannot_be_told_is_not_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    control = appliance(tmp_path)

    def full(*given: object, **more: object) -> NoReturn:
        raise FlowError(f"no room for {LOG}")

    with monkeypatch.context() as changed:
        changed.setattr(control.audit, "append", full)
        with pytest.raises(FlowError, match="no room"):
            control.containment.contain([AGENT], State.QUARANTINED, LOCAL, reason="it scans")
    assert control.contained.states == {}
    assert control.in_force.states == {}
    control.containment.contain([AGENT], State.QUARANTINED, LOCAL, reason="it scans")
    assert control.in_force.states == {"agent": State.QUARANTINED}
    control.close()


@pytest.mark.parametrize("error", [FlowError("no room"), sqlite3.OperationalError("disk is full")])
@pytest.mark.parametrize("what", ["all", "labels", "state", "path"])
def test_what_a_centre_says_and_cannot_be_told_or_kept_is_not_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, error: Exception
) -> None:
    control = appliance(tmp_path)
    imposing = Imposing(control)
    twin = replace(AGENT, name="twin", labels={"app": "other"})
    first = Imposed(
        revision=5, networks=(), policy="default: allow\n", workloads=(AGENT, twin), contained={}, vteps={}
    )
    imposing.impose(first, LOCAL)
    before, audited = control.in_force, control.audit.count
    kept = (KeptPath(source="app=other", services=("tcp/22",)),) if what == "path" else ()
    contained = {"agent": Contained("agent", State.QUARANTINED, 0.0, 0.0, "it scans", "centre", kept)}

    def change() -> None:
        if what == "all":
            imposing.impose(replace(first, revision=6, workloads=(AGENT,), contained=contained), LOCAL)
        elif what == "labels":
            same = replace(AGENT, labels=twin.labels)
            imposing.impose(replace(first, workloads=(same, twin)), LOCAL)
        else:
            imposing.contain(contained, (), LOCAL)

    def full(*given: object, **more: object) -> NoReturn:
        raise error

    with monkeypatch.context() as changed:
        changed.setattr(control.audit, "append", full)
        with pytest.raises(type(error)):
            change()
    assert control.in_force is before
    assert control.workloads.inventory == before.inventory
    assert (control.contained.states, control.force.pending, control.audit.count) == ({}, {}, audited)
    change()
    assert control.in_force is not before
    assert control.in_force.states == ({} if what == "labels" else {"agent": State.QUARANTINED})
    assert control.audit.count == audited + 1
    control.close()


def test_what_is_done_here_never_loosens_what_a_centre_said(tmp_path: Path) -> None:
    """Neither by a wider baseline, nor by a path that was kept before there was a centre."""
    control = appliance(tmp_path)
    book = control.contained
    wide = Rule(name="wide", band=Band.SYSTEM, source=named("agent"), target=ANY)
    narrow = Rule(name="narrow", band=Band.SYSTEM, source=named("agent"), target=parse_selector("app=db"))

    def contain(state: State, baseline: tuple[Rule, ...] = (), keep: tuple[KeptPath, ...] = ()) -> None:
        book.contain([AGENT], state, reason="here", actor="somebody", baseline=baseline, keep=keep)

    def above(state: State, *baseline: Rule) -> Contained:
        return Contained("agent", state, 1.0, 0.0, "there", "centre", baseline=baseline)

    contain(State.QUARANTINED, keep=(KeptPath(source="app=web"),))
    assert [rule.name for rule in book.model().keep] == ["keep-agent-0"]
    Imposing(control).obey("lab")
    assert book.model().keep == ()
    contain(State.RESTRICTED, (wide,))
    assert book.model().baselines == (Baseline("agent", wide),)
    book.impose({"agent": above(State.RESTRICTED, narrow)})
    assert book.model().baselines == (Baseline("agent", narrow),)
    contain(State.QUARANTINED)
    assert (book.states, book.model().baselines) == (
        {"agent": State.QUARANTINED},
        (Baseline("agent", narrow),),
    )
    # Taken back when it could not be brought into force: what was done here and what was said there stay two.
    kept = book.kept(["agent"])
    book.release(["agent"])
    book.put_back(kept)
    assert [one.state for one in book.local()] == [State.QUARANTINED]
    book.release(["agent"])
    assert book.states == {"agent": State.RESTRICTED}
    control.close()


def test_who_breaks_the_glass_leaves_containment_as_it_was(tmp_path: Path) -> None:
    """Of two words the stricter, though it was the centre's; paths that the centre gave, and no others."""
    control = appliance(tmp_path)
    book, imposing = control.contained, Imposing(control)
    twin, third = (replace(AGENT, name=name) for name in ("twin", "third"))
    mine, theirs = KeptPath(source="app=agent"), KeptPath(target="app=agent")
    book.contain([AGENT], State.WATCHED, reason="here", actor="somebody")
    for one in (twin, third):
        book.contain([one], State.QUARANTINED, reason="here", actor="somebody", keep=(mine,))
    imposing.obey("lab")
    contained = {
        name: Contained(name, State.QUARANTINED, 1.0, 0.0, "there", "centre", (theirs,))
        for name in ("agent", "twin")
    }
    wanted = Imposed(
        revision=5, networks=(), policy="default: allow\n", workloads=(AGENT, twin, third), contained=contained,
        vteps={},
    )  # fmt: skip
    imposing.impose(wanted, LOCAL)
    before = book.model()
    assert set(before.states.values()) == {State.QUARANTINED}
    imposing.let_go(LOCAL, "the centre is gone")
    after = book.model()
    assert after.states == before.states
    paths = [[(one.name, one.source, one.target) for one in model.keep] for model in (before, after)]
    assert paths[0] == paths[1]
    assert len(paths[0]) == 2
    assert control.in_force.states == before.states
    control.close()
    again = appliance(tmp_path)
    assert again.contained.states == before.states
    again.close()
