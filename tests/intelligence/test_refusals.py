# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""What a real appliance refuses of what comes over a real link: with its reason, told to the centre, logged on both
sides; and its fast path goes on as it was. A wire in between says it, with everybody's keys but the one that counts.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.intelligence import enrol
from appliance.intelligence.access import LOCAL
from appliance.intelligence.signing import signed
from appliance.intelligence.v1 import link_pb2, statement_pb2
from appliance.policy.model import State
from tests.intelligence.bad_wire import NAMES, PORTS, Bed, brisk, policy
from tests.support.rig import directory
from tests.support.waiting import wait_for

ME, OTHER = NAMES


@pytest.fixture(scope="module")
def bed() -> Iterator[Bed]:
    with directory() as where, brisk(1 << 20):
        made = Bed(where)
        try:
            made.current()
            yield made
        finally:
            made.close()


def statement_of(down: link_pb2.LinkDown) -> statement_pb2.Statement:
    what = down.WhichOneof("what")
    if what == "part":
        return statement_pb2.Statement.FromString(
            statement_pb2.SignedStatement.FromString(down.part.data).statement
        )
    return statement_pb2.Statement.FromString(
        (down.containment if what == "containment" else down.key).statement
    )


def part(message: statement_pb2.SignedStatement) -> link_pb2.LinkDown:
    return link_pb2.LinkDown(part=link_pb2.StatementPart(data=message.SerializeToString(), last=True))


def newest(bed: Bed, name: str, kind: statement_pb2.StatementKind) -> link_pb2.LinkDown:
    return next(one for one, *_ in reversed(bed.proxy.wires[name].said) if statement_of(one).kind == kind)


def forge(bed: Bed, key: Ed25519PrivateKey | None = None, **other: object) -> link_pb2.LinkDown:
    """The newest slice with something else in it, signed by the centre, or by somebody else."""
    made = statement_of(newest(bed, ME, statement_pb2.STATEMENT_KIND_SNAPSHOT))
    made.number = bed.centre.number + 1000
    for field, value in other.items():
        setattr(made, field, value)
    return part(bed.centre.signer.sign(made) if key is None else signed(key, made))


def says(bed: Bed, down: link_pb2.LinkDown, kind: str) -> None:
    """Say it; it is refused as a kind, and everybody knows."""
    before, table = bed.held(ME), bed.table(ME)
    assert bed.server is not None
    book, wire = bed.server.book, bed.proxy.wires[ME]
    answers = len(wire.answers)
    with structlog.testing.capture_logs() as logs:
        bed.soon(lambda: wire.put(down))
        wait_for("the answer", lambda: len(wire.answers) > answers)
        assert wire.answers[answers] == f"REFUSAL_KIND_{kind.upper().replace('-', '_')}"
        if kind != "wrong-base":  # that one asks for a snapshot, and is nobody's fault
            wait_for(
                "the alarm", lambda: [one for one in logs if one.get("text", "").startswith(f"{kind}: ")]
            )
            assert book.of(ME).refusal.startswith(f"{kind}: ")
    refused = [one for one in logs if one["event"] == "a statement is refused"]
    assert refused, "the appliance logs nothing"
    assert refused[0]["log_level"] == "warning"
    now = bed.held(ME)
    assert now.containment == before.containment
    if kind == "wrong-base":
        bed.current()
    else:
        assert now.number == before.number
    assert bed.table(ME) == table == {PORTS[0]}
    bed.check()


def test_a_replayed_revision(bed: Bed) -> None:
    old = newest(bed, ME, statement_pb2.STATEMENT_KIND_SNAPSHOT)
    says(bed, old, "older")
    bed.centre.publish("base", policy(PORTS[1]), LOCAL, "another")
    bed.current()
    bed.centre.publish("base", policy(PORTS[0]), LOCAL, "and back")
    bed.current()
    says(bed, old, "older")


def test_a_replayed_release(bed: Bed) -> None:
    who = f"db-{OTHER}"
    bed.centre.contain([who], "", State.QUARANTINED, LOCAL, reason="a test")
    bed.current()
    bed.centre.release([who], LOCAL, "a test")
    bed.current()
    release = newest(bed, ME, statement_pb2.STATEMENT_KIND_CONTAINMENT)
    bed.centre.contain([who], "", State.QUARANTINED, LOCAL, reason="again")
    bed.current()
    says(bed, release, "older")
    assert bed.held(ME).containment.contained.keys() == {who}
    bed.centre.release([who], LOCAL, "the end")
    bed.current()


def test_forged_and_for_somebody_else(bed: Bed) -> None:
    says(bed, forge(bed, Ed25519PrivateKey.generate()), "forged")
    says(bed, newest(bed, OTHER, statement_pb2.STATEMENT_KIND_SNAPSHOT), "not-for-us")
    says(bed, forge(bed, centre="another"), "not-for-us")
    says(bed, forge(bed, result_digest=b"\1" * 32), "wrong-result")
    says(bed, forge(bed, payload=b"\xff\xff"), "malformed")
    says(bed, forge(bed, generation=0), "older")


def test_a_delta_on_a_wrong_base(bed: Bed) -> None:
    says(bed, forge(bed, kind=statement_pb2.STATEMENT_KIND_DELTA, base_digest=b"\2" * 32), "wrong-base")


def test_what_is_current_is_not_told_again(bed: Bed) -> None:
    """A link that breaks is taken up where it was; what came in between comes as a delta."""
    wire = bed.proxy.wires[ME]
    for change in (False, True):
        said, streams = len(wire.said), wire.streams
        if change:
            wire.plans["down"].append("cut")  # before it can be answered
            bed.centre.publish("base", policy(PORTS[1]), LOCAL, "another")
        else:
            bed.heal()
        wait_for("another stream", lambda streams=streams: wire.streams > streams)  # type: ignore[misc]
        bed.current()
        time.sleep(0.3)  # whatever else would be said has been by now
        kinds = [statement_of(one).kind for one, *_ in wire.said[said:]]
        assert set(kinds) <= {statement_pb2.STATEMENT_KIND_DELTA}
        assert bool(kinds) == change
    bed.centre.publish("base", policy(PORTS[0]), LOCAL, "and back")
    bed.current()


def test_an_older_centre_is_refused_until_somebody_says_so(bed: Bed, tmp_path: Path) -> None:
    """Restored from a backup: it knows less than its appliances."""
    bed.stop_centre()
    shutil.copytree(bed.where / "c", tmp_path / "backup")
    bed.start_centre()
    bed.centre.publish("base", policy(PORTS[1]), LOCAL, "what the backup knows nothing of")
    bed.current()
    bed.stop_centre()
    shutil.rmtree(bed.where / "c")
    shutil.copytree(tmp_path / "backup", bed.where / "c")
    bed.start_centre()
    assert bed.server is not None
    book = bed.server.book
    wait_for(
        "the alarm", lambda: {one.appliance for one in book.alarms if one.kind == "restored"} == set(NAMES)
    )
    wait_for("a refusal", lambda: "REFUSAL_KIND_OLDER" in bed.proxy.wires[ME].answers[-3:])
    assert book.health(book.of(ME)) == "refuses"
    assert bed.table(ME) == bed.table(OTHER) == {PORTS[1]}
    bed.centre.raise_generation(LOCAL, "restored from the backup of today")
    bed.current()
    assert bed.table(ME) == bed.table(OTHER) == {PORTS[0]}
    assert {bed.held(name).generation for name in NAMES} == {bed.centre.generation}


def test_nothing_secret_is_in_any_log_or_message(bed: Bed) -> None:
    """Of the centre and of the appliance in a process of its own: what they wrote, and what was said over the wire."""
    private = [
        file.read_text().splitlines()[1].encode()
        for file in [
            *(bed.where / "c").rglob("*.key"),
            *(home / "central" / enrol.KEY for home in bed.homes.values()),
        ]
    ]
    assert len(private) >= 5
    for home in bed.homes.values():
        for file in (home / "central").iterdir():
            mode = file.stat().st_mode & 0o777
            assert mode == 0o600 or file.name in (enrol.CERTIFICATE, enrol.AUTHORITY)
    logs = [home / "run.log" for home in bed.homes.values() if (home / "run.log").exists()]
    assert logs
    written = [file.read_bytes() for file in (*logs, *(bed.where / "c").rglob("audit.log"))]
    written += [
        one.SerializeToString() for wire in bed.proxy.wires.values() for said in wire.said for one in said
    ]
    for text in written:
        assert not [secret for secret in private if secret in text]
    assert json.loads((bed.homes[ME] / "central" / enrol.LINK).read_text())["name"] == ME
