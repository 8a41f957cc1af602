# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Inventory, criteria, policy sets and the watched directory of a centre, without connections."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.errors import BadState, Code, FlowError, InvalidValue, NotFound
from appliance.intelligence import state
from appliance.intelligence.access import LOCAL
from appliance.intelligence.authority import new_key, read_certificate, signing_request
from appliance.intelligence.centre import Centre
from appliance.intelligence.directory import Directory, read_file
from appliance.intelligence.fleet import MAX_ALARMS, Book
from appliance.intelligence.inventory import Criterion
from appliance.intelligence.relevance import Slicer
from appliance.intelligence.slices import ContainedAt
from appliance.intelligence.store import Compacted
from appliance.intelligence.trust import ENROLMENTS_PER_SECOND
from appliance.policy.audit import Actor
from appliance.policy.containment import Contained
from appliance.policy.evaluate import ask
from appliance.policy.model import Band, Interface, Network, Rule, State, Workload
from appliance.policy.reading import read_policy
from appliance.policy.refusal import Refused
from appliance.policy.selector import ANY, Selector, parse_selector
from appliance.run.document import MAX_ALIASES, MAX_DEPTH, ConfigError
from tests.intelligence.test_receiver import POLICY, workload


@pytest.fixture
def centre(tmp_path: Path) -> Iterator[Centre]:
    made = Centre(tmp_path / "c", name="lab")
    made.apply_networks([Network(name="lab", prefixes=("10.0.0.0/24",))], LOCAL)
    made.apply_workloads([workload(1, "dpu1", "web"), workload(2, "dpu2", "db")], [], LOCAL)
    yield made
    made.close()


def test_a_centre_that_is_started_again_is_the_same(centre: Centre, tmp_path: Path) -> None:
    centre.publish("base", POLICY, LOCAL, "first")
    centre.contain(["w1"], "", State.QUARANTINED, LOCAL, reason="a test")
    before = centre.wanted("dpu1")[1]
    again = Centre(tmp_path / "c")
    after = again.wanted("dpu1")[1]
    assert before is not None
    assert after is not None
    assert (after.digest, again.id, again.number) == (before.digest, "lab", centre.number)
    assert again.containment.digest == centre.containment.digest
    assert again.authority.fingerprint == centre.authority.fingerprint
    assert again.signer.public == centre.signer.public
    again.close()
    for file in (tmp_path / "c").rglob("*.key"):
        assert file.stat().st_mode & 0o777 == 0o600


def test_a_change_that_cannot_be_leaves_everything(centre: Centre) -> None:
    before = centre.number
    twice = replace(workload(3, "dpu1", "x"), interfaces=workload(1, "dpu1", "x").interfaces)
    with pytest.raises(Refused, match="bound twice"):
        centre.apply_workloads([workload(4, "dpu1", "x"), twice], [], LOCAL)
    with pytest.raises(Refused, match="VNI 7 is network lab's already"):
        centre.apply_networks([Network(name="lab", vni=7), Network(name="two", vni=7)], LOCAL)
    with pytest.raises(BadState, match="read it again"):
        centre.apply_workloads([workload(4, "dpu1", "x")], [], LOCAL, expected=before - 1)
    with pytest.raises(InvalidValue, match="'kind' is reserved"):
        centre.set_labels("w1", {"kind": "agent"}, [], LOCAL)
    with pytest.raises(NotFound, match="no workload 'w9'"):
        centre.apply_workloads([], ["w9"], LOCAL)
    assert (centre.number, sorted(centre.workloads)) == (before, ["w1", "w2"])


def test_who_has_a_peer_knows_where_its_tunnels_end(centre: Centre, tmp_path: Path) -> None:
    """Told, changed and taken back by deltas; an address belongs to one appliance; it outlives the process."""
    centre.publish("base", POLICY, LOCAL, "first")

    def ends(of: Centre, appliance: str) -> dict[str, str]:
        found = of.wanted(appliance)[1]
        assert found is not None
        return {name: one.address for name, one in found.vteps.items()}

    told: list[set[str] | None] = []
    centre.slices()
    centre.on_change.append(lambda touched, contained: told.append(touched))
    centre.tell_vtep("dpu2", "192.0.2.2", "", LOCAL)
    assert (ends(centre, "dpu1"), ends(centre, "dpu2"), told) == ({"dpu2": "192.0.2.2"}, {}, [{"dpu1"}])
    centre.tell_vtep("dpu2", "192.0.2.2", "", LOCAL)
    assert len(told) == 1  # no news
    with pytest.raises(InvalidValue, match=r"192\.0\.2\.2 is appliance dpu2's"):
        centre.tell_vtep("dpu1", "192.0.2.2", "", LOCAL)
    with pytest.raises(InvalidValue, match="not the address of one station"):
        centre.tell_vtep("dpu1", "224.0.0.1", "", LOCAL)
    centre.tell_vtep("dpu3", "192.0.2.3", "", LOCAL)
    assert ends(centre, "dpu1") == {"dpu2": "192.0.2.2"}  # dpu3 has nobody whom dpu1 knows
    centre.apply_workloads([workload(2, "dpu3", "db")], [], LOCAL)
    assert ends(centre, "dpu1") == {"dpu3": "192.0.2.3"}
    again = Centre(tmp_path / "c")
    assert ends(again, "dpu1") == {"dpu3": "192.0.2.3"}
    again.close()
    centre.tell_vtep("dpu3", "", "", LOCAL)
    assert ends(centre, "dpu1") == {}


def test_criteria_set_labels_and_names_win(centre: Centre) -> None:
    criteria = [
        Criterion("tier", r"w(\d+)", "", {"tier": r"t\1", "app": "from-rule"}),
        Criterion("late", "w2", "app=db", {"tier": "data"}),
    ]
    assert centre.replace_criteria(criteria, LOCAL) == ["w1", "w2"]
    assert dict(centre.workloads["w1"].labels) == {"tier": "t1", "app": "web"}
    assert dict(centre.workloads["w2"].labels) == {"tier": "data", "app": "db"}
    assert centre.by["w2"] == {"tier": "criterion/late", "app": "local"}
    for bad, words in (
        (Criterion("x", "(", "", {"a": "b"}), "name_pattern"),
        (Criterion("x", "", "a=(", {"a": "b"}), "selector"),
        (Criterion("x", "", "", {"state": "b"}), "reserved"),
        (Criterion("x", "", "", {}), "it sets none"),
    ):
        with pytest.raises(InvalidValue, match=words):
            centre.replace_criteria([bad], LOCAL)
    # What would take a backtracking matcher for ever takes RE2 no time.
    centre.replace_criteria([Criterion("evil", "(w*)*(w*)*x", "", {"a": "b"})], LOCAL)
    centre.apply_workloads([Workload(name="w" * 60)], [], LOCAL)
    centre.replace_criteria([], LOCAL)
    assert "tier" not in centre.workloads["w1"].labels


def test_policy_sets_have_scopes_drafts_and_one_number(centre: Centre) -> None:
    made, problems = centre.update_draft("web", POLICY, "app=web", LOCAL)
    assert (made.scope, problems) == ("app=web", [])
    assert centre.publish("web", "", LOCAL, "from the draft").number == 1
    assert centre.sets["web"].draft == ""
    outside = "rules: [{name: two, band: allow, from: app=db, to: app=db, services: [tcp/1]}]\n"
    with pytest.raises(Refused, match=r"rule two.*workload w2.*outside of the scope"):
        centre.publish("web", outside, LOCAL, "too far")
    with pytest.raises(Refused, match="only the set 'base' may say another default"):
        centre.publish("other", "default: allow\n", LOCAL, "open")
    with pytest.raises(Refused, match="has one of this name already"):
        centre.publish("base", POLICY, LOCAL, "a rule of the same name")
    assert centre.publish("base", outside, LOCAL, "the base may").number == 2
    assert "name: two" in centre.policy.text
    back = centre.rollback(1, LOCAL, "it was wrong")
    assert (back.number, back.of) == (3, 1)
    assert "name: two" not in centre.policy.text
    with pytest.raises(BadState, match="revision 3 is published, not 2"):
        centre.publish("base", outside, LOCAL, "late", 2)


def test_nothing_is_told_before_something_was_published(centre: Centre) -> None:
    assert centre.wanted("dpu1")[1] is None
    centre.publish("base", POLICY, LOCAL, "first")
    assert centre.wanted("dpu1")[1] is not None


def test_scale_out_and_a_move_are_changes_of_few_slices(centre: Centre) -> None:
    centre.publish("base", POLICY, LOCAL, "first")
    for appliance in ("dpu1", "dpu2"):
        centre.wanted(appliance)
    told: list[set[str] | None] = []
    centre.on_change.append(lambda touched, contained: told.append(touched))
    centre.apply_workloads([workload(number, "dpu3", "web") for number in range(10, 28)], [], LOCAL)
    assert told[-1] is None or told[-1] == {"dpu2", "dpu3"}
    made = centre.wanted("dpu2")[1]
    assert made is not None
    assert len(made.peers) == 19
    one = workload(1, "dpu1", "web")
    both = replace(one, interfaces=(*one.interfaces, replace(one.interfaces[0], appliance="dpu3")))
    centre.apply_workloads([both], [], LOCAL)
    for appliance in ("dpu1", "dpu3"):
        assert "w1" in Slicer(centre._fleet()).slice(appliance).own
    centre.apply_workloads([workload(1, "dpu3", "web")], [], LOCAL)
    wanted = centre.wanted("dpu1")[1]
    assert wanted is not None
    assert "w1" not in wanted.own


def test_one_mac_with_other_addresses_elsewhere_is_refused(centre: Centre) -> None:
    """Tunnels are found by MAC: half of the packets would go the wrong way."""
    one = workload(1, "dpu1", "web")
    other = replace(one.interfaces[0], appliance="dpu3", addresses=("10.0.0.9",))
    with pytest.raises(
        InvalidValue, match="at appliance dpu1 with other addresses: give it a MAC of its own"
    ):
        centre.apply_workloads([replace(one, interfaces=(*one.interfaces, other))], [], LOCAL)
    second = replace(other, mac="02:00:00:00:00:99")
    centre.apply_workloads([replace(one, interfaces=(*one.interfaces, second))], [], LOCAL)
    with pytest.raises(Refused, match="is bound twice: to w1 and to w5"):
        centre.apply_workloads([replace(one, name="w5", interfaces=(other,))], [], LOCAL)


def test_local_containment_tightens_and_is_taken_back(centre: Centre) -> None:
    def local(state: State) -> ContainedAt:
        return ContainedAt(Contained("w2", state, 1.0, 0.0, "here", "somebody"))

    centre.contain(["w2"], "", State.RESTRICTED, LOCAL, reason="a test")
    centre.report_local("dpu2", [local(State.WATCHED)], LOCAL)
    assert centre.containment.contained["w2"].contained.state is State.RESTRICTED
    centre.report_local("dpu2", [local(State.QUARANTINED)], LOCAL)
    found = centre.containment.contained["w2"]
    assert (found.contained.state, found.origin) == (State.QUARANTINED, "dpu2")
    number = centre.containment.number
    centre.report_local("dpu2", [local(State.QUARANTINED)], LOCAL)
    assert centre.containment.number == number
    centre.report_local("dpu1", [], LOCAL)
    assert "w2" in centre.containment.contained
    centre.report_local("dpu2", [], LOCAL)
    found = centre.containment.contained["w2"]
    assert (found.contained.state, found.origin) == (State.RESTRICTED, ""), "what the centre said is back"
    centre.release(["w2"], LOCAL, "a test")
    assert "w2" not in centre.containment.contained


def test_an_appliance_contains_what_it_holds_and_nothing_else(tmp_path: Path, centre: Centre) -> None:
    def local(name: str, state: State = State.QUARANTINED) -> ContainedAt:
        return ContainedAt(Contained(name, state, 1.0, 0.0, "here", "somebody"))

    def states(centre: Centre) -> dict[str, State]:
        return {name: one.contained.state for name, one in centre.containment.contained.items()}

    number = centre.containment.number
    assert centre.report_local("dpu1", [local("w2"), local("nobody")], LOCAL) == ["w2"]
    assert centre.containment.number == number
    assert centre.report_local("dpu1", [local("w1", State.RESTRICTED), local("w2")], LOCAL) == ["w2"]
    # Moved away: it stays contained, but is tightened there no more; and no longer than it is said.
    centre.apply_workloads([workload(1, "dpu3", "web")], [], LOCAL)
    assert centre.report_local("dpu1", [local("w1", State.RESTRICTED)], LOCAL) == []
    assert centre.report_local("dpu1", [local("w1")], LOCAL) == ["w1"]
    assert states(centre) == {"w1": State.RESTRICTED}
    # Two say it: when one takes it back, the other's counts; also after a restart of the centre.
    assert centre.report_local("dpu3", [local("w1")], LOCAL) == []
    again = Centre(tmp_path / "c")
    assert states(again) == {"w1": State.QUARANTINED}
    again.report_local("dpu3", [], LOCAL)
    assert states(again) == {"w1": State.RESTRICTED}
    again.report_local("dpu1", [], LOCAL)
    assert states(again) == {}
    again.close()


def test_what_is_said_by_others_keeps_no_time_from_running(tmp_path: Path) -> None:
    """Whoever says something: the time that is left of all is written down with it."""
    now = 0.0
    made = Centre(tmp_path / "t", name="lab", monotonic=lambda: now)
    made.apply_networks([Network(name="lab", prefixes=("10.0.0.0/24",))], LOCAL)
    made.apply_workloads([workload(1, "dpu1", "web"), workload(2, "dpu2", "db")], [], LOCAL)
    made.contain(["w1"], "", State.QUARANTINED, LOCAL, reason="a test", ttl=1000.0)
    now = 900.0
    made.report_local("dpu2", [ContainedAt(Contained("w2", State.RESTRICTED, 1.0, 0.0, "here", "x"))], LOCAL)
    made.close()
    again = Centre(tmp_path / "t", monotonic=lambda: now)
    assert again.containment.contained["w1"].contained.left == 100.0
    now = 1001.0
    again.tick()
    assert sorted(again.containment.contained) == ["w2"]
    again.close()


def test_a_baseline_says_nothing_for_the_other_end(centre: Centre) -> None:
    """An appliance that restricts its own workload to everything opens nobody else who is restricted."""
    any_, app, db = (parse_selector(text) for text in ("name=w1", "app=web", "app=db"))
    centre.publish("base", POLICY.replace("app=web", "any").replace("app=db", "any"), LOCAL, "first")

    def may(source: str, target: str) -> bool:
        answer = ask(centre.program(), centre.inventory(), source, target, "tcp/80")
        return answer.verdict.passes

    def rule(source: Selector, target: Selector) -> Rule:
        return Rule(name="r", band=Band.SYSTEM, source=source, target=target)

    assert may("w1", "w2")
    centre.contain(["w2"], "", State.RESTRICTED, LOCAL, reason="a test")
    one = Contained("w1", State.RESTRICTED, 1.0, 0.0, "here", "somebody", baseline=(rule(any_, ANY),))
    assert centre.report_local("dpu1", [ContainedAt(one)], LOCAL) == []
    assert not may("w1", "w2")
    # With a connection of its own at either end.
    centre.contain(["w2"], "", State.RESTRICTED, LOCAL, reason="a test", baseline=[rule(app, db)])
    assert may("w1", "w2")
    assert not may("w2", "w1")


def test_what_an_appliance_contains_opens_nothing_for_others(centre: Centre) -> None:
    """The baseline that it tells is bound to the workload, or goes when it could not be brought into force."""
    centre.publish("base", POLICY, LOCAL, "first")
    any_, web, db = (parse_selector(text) for text in ("any", "app=web", "app=db"))

    def told(source: Selector, target: Selector, service: str = "tcp/80") -> list[tuple[str, str]]:
        rule = Rule(name="r", band=Band.SYSTEM, source=source, target=target, services=(service,))
        one = Contained("w2", State.RESTRICTED, 1.0, 0.0, "here", "somebody", baseline=(rule,))
        centre.report_local("dpu2", [ContainedAt(one)], LOCAL)
        found = centre.containment.contained["w2"].contained.baseline
        centre.program()
        centre.report_local("dpu2", [], LOCAL)
        return [(str(one.source), str(one.target)) for one in found]

    assert told(any_, any_) == [("name=w2", "any"), ("any", "name=w2")]
    assert told(web, db) == [("app=web", "name=w2")]
    assert told(web, web) == []
    assert told(web, db, "nonsense") == []
    assert told(web, parse_selector("group=nobody")) == []


def test_who_is_removed_is_contained_no_more_in_the_same_step(
    centre: Centre, monkeypatch: pytest.MonkeyPatch
) -> None:
    centre.contain(["w1", "w2"], "", State.QUARANTINED, LOCAL, reason="a test")
    one, number = workload(1, "dpu1", "web"), centre.number
    for put, remove in (([one], ["w1"]), ([], ["w1", "w1"])):
        with pytest.raises(InvalidValue, match="workload w1: it comes twice"):
            centre.apply_workloads(put, remove, LOCAL)
    assert (centre.number, sorted(centre.containment.contained)) == (number, ["w1", "w2"])

    written: list[str] = []

    def unwritten(actor: Actor, action: str, *rest: object, **more: object) -> None:
        written.append(action)
        raise FlowError("no room", Code.IO_FAILED)

    with monkeypatch.context() as patch:
        patch.setattr(centre.audit, "append", unwritten)
        with pytest.raises(FlowError, match="it is done, but"):
            centre.apply_workloads([], ["w1"], LOCAL)
    assert written == ["workload.apply", "containment.release"]
    assert (centre.number, sorted(centre.containment.contained)) == (number + 1, ["w2"])


def test_every_end_is_told_and_changes_are_forgotten(centre: Centre, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "COMPACT_EVERY", 3)
    monkeypatch.setattr(state, "KEEP_CHANGES", 2)
    centre.contain(["w1", "w2"], "", State.QUARANTINED, LOCAL, reason="a test", ttl=1e-6)
    centre.trust.enrolment_token("x", 0)  # a commit like any other
    written: list[str] = []

    def unwritten(actor: Actor, action: str, target: str, **more: object) -> None:
        written.append(target)
        raise FlowError("no room", Code.IO_FAILED)

    with monkeypatch.context() as patch:
        patch.setattr(centre.audit, "append", unwritten)
        with pytest.raises(FlowError, match="it is done, but"):
            centre.tick()
    assert (written, dict(centre.containment.contained)) == (["w1", "w2"], {})
    last = centre.store.version
    assert len(centre.store.changes(last - 2)) > 0
    with pytest.raises(Compacted):
        centre.store.changes(last - 3)


def test_no_tunnels_end_at_who_was_revoked(centre: Centre) -> None:
    _, key = new_key()
    token = centre.trust.enrolment_token("dpu1", 0)
    centre.trust.enrol(token.text, signing_request(key, "dpu1"))
    centre.tell_vtep("dpu1", "192.0.2.1", "", LOCAL)
    centre.trust.revoke("appliance/dpu1", "a test")
    centre.tell_vtep("dpu1", "", "", LOCAL)
    centre.tell_vtep("dpu1", "192.0.2.1", "", LOCAL)  # it said so before, and it is looked at late
    assert centre.vteps == {}


def test_who_has_no_token_keeps_nobody_from_another_certificate(tmp_path: Path, centre: Centre) -> None:
    _, key = new_key()
    request = signing_request(key, "dpu1")
    token = centre.trust.enrolment_token("dpu1", 0)
    _, pem = centre.trust.enrol(token.text, request)

    def stranger() -> str:
        try:
            centre.trust.enrol("nonsense", request)
        except FlowError as error:
            return error.reason
        return ""

    said = [stranger() for _ in range(10 * ENROLMENTS_PER_SECOND)]
    assert "too many enrolments" in said[-1]
    caller = centre.trust.by_certificate(read_certificate(pem))
    assert read_certificate(centre.trust.renew(caller, request)).name == "dpu1"


def test_alarms_of_one_push_out_no_others() -> None:
    book = Book()
    book.alarm("drift", "dpu1", "look")
    for number in range(2 * MAX_ALARMS):
        book.alarm("refusal", "dpu2", str(number))
    assert [one.kind for one in book.alarms if one.appliance == "dpu1"] == ["drift"]
    assert book.alarms[0].text == str(2 * MAX_ALARMS - 1)


def test_the_directory_is_watched(centre: Centre, tmp_path: Path) -> None:
    files = tmp_path / "files"
    files.mkdir()
    book = Book()
    directory = Directory(centre, files, book)
    one = files / "a.yaml"
    one.write_text(
        "workloads:\n"
        "  x: {appliance: dpu1, network: lab, port: p3, mac: '02:00:00:00:00:33', addresses: 10.0.0.33,\n"
        "    labels: {a: b}}\n"
        "  seen: {network: lab, addresses: [10.0.0.34]}\n"
    )
    assert directory.look()
    assert not directory.look()
    assert centre.by["x"] == {"a": "file/a.yaml"}
    assert centre.workloads["seen"].interfaces[0].appliance == ""
    one.write_text("workloads: {x: {kindd: agent}}\n")
    directory.look()
    assert "x" in centre.workloads
    assert book.alarms[0].kind == "file"
    assert "kindd" in book.alarms[0].text
    one.write_text("workloads: {w1: {labels: {app: mine}}}\n")
    directory.look()
    assert "local has declared it already" in book.alarms[0].text
    assert centre.workloads["w1"].labels["app"] == "web"
    one.unlink()
    directory.look()
    assert sorted(centre.workloads) == ["w1", "w2"]


@pytest.mark.parametrize(
    "text",
    [
        "workloads: " + "[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1),
        "a: &a [x]\nb: [" + ", ".join(["*a"] * (MAX_ALIASES + 1)) + "]\n",
    ],
)
def test_documents_are_bounded(text: str) -> None:
    with pytest.raises(ConfigError, match="nested deeper than"):
        read_file(text, "bad.yaml")
    with pytest.raises(Refused, match="nested deeper than"):
        read_policy(text)


def test_what_is_wrong_in_a_file_is_named() -> None:
    for text, words in (
        ("workloads: {x: {appliance: d, network: lab, port: p1, addresses: 10.0.0.1}}", "'mac' is missing"),
        ("workloads: {x: {network: lab, addresses: nonsense}}", "addresses"),
        ("networks: {lab: {vlan: 5000}}", "vlan"),
        ("wrokloads: {}", "wrokloads"),
    ):
        with pytest.raises(FlowError, match=words):
            read_file(text, "bad.yaml")


def test_interfaces_of_who_is_behind_no_appliance_have_a_stand_in_for_a_mac() -> None:
    _, workloads = read_file("workloads: {x: {network: lab, addresses: [10.0.0.9]}}", "a.yaml")
    place = workloads[0].interfaces[0]
    assert isinstance(place, Interface)
    assert (place.port, place.mac[:3]) == ("-", "06:")
