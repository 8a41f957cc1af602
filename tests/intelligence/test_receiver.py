# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Statements that an appliance must not obey: each is refused with its reason, and changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.errors import InvalidValue
from appliance.intelligence import wire
from appliance.intelligence.access import LOCAL
from appliance.intelligence.centre import Centre
from appliance.intelligence.receiver import Held, Receiver
from appliance.intelligence.signing import signed
from appliance.intelligence.slices import Slice, delta
from appliance.intelligence.v1 import link_pb2, statement_pb2
from appliance.policy.model import Interface, Network, State, Workload

POLICY = "rules: [{name: one, band: allow, from: app=web, to: app=db, services: [tcp/80]}]\n"


def workload(number: int, appliance: str, app: str) -> Workload:
    place = Interface(
        network="lab", port="p1", mac=f"02:00:00:00:00:{number:02x}", addresses=(f"10.0.0.{number}",),
        appliance=appliance,
    )  # fmt: skip
    return Workload(name=f"w{number}", labels={"app": app}, interfaces=(place,))


class Bed:
    """A centre, and one appliance that has its first snapshot. No wire in between."""

    def __init__(self, directory: Path) -> None:
        self.centre = Centre(directory, name="lab")
        self.centre.apply_networks([Network(name="lab", prefixes=("10.0.0.0/24",))], LOCAL)
        self.centre.apply_workloads([workload(1, "dpu1", "web"), workload(2, "dpu2", "db")], [], LOCAL)
        self.centre.publish("base", POLICY, LOCAL, "first")
        self.imposed: list[Held] = []
        self.kept: list[Held] = []
        self.refuse = ""
        self.disk_full = False
        held = Held(centre="lab", appliance="dpu1", key=self.centre.signer.public)
        self.receiver = Receiver(held, self._impose, self._keep)
        assert self.take(self.snapshot()) == "applied"

    def _impose(self, before: Held, after: Held) -> None:
        if self.refuse:
            raise InvalidValue(self.refuse)
        self.imposed.append(after)

    def _keep(self, held: Held) -> None:
        if self.disk_full:
            raise OSError(28, "No space left on device")
        self.kept.append(held)

    def statement(self, **other: object) -> statement_pb2.Statement:
        """The snapshot that the centre would send now."""
        number, wanted = self.centre.wanted("dpu1")
        assert wanted is not None
        payload = wire.slice_to(wanted, self.centre.containment).SerializeToString()
        made = statement_pb2.Statement(
            centre="lab", generation=self.centre.generation, appliance="dpu1", number=number, payload=payload,
            kind=statement_pb2.STATEMENT_KIND_SNAPSHOT, result_digest=wanted.digest,
        )  # fmt: skip
        for name, value in other.items():
            setattr(made, name, value)
        return made

    def snapshot(self, **other: object) -> statement_pb2.SignedStatement:
        return self.centre.signer.sign(self.statement(**other))

    def delta(self, base: Slice) -> statement_pb2.SignedStatement:
        """What changes a slice into the one that the centre wants."""
        number, wanted = self.centre.wanted("dpu1")
        assert wanted is not None
        change = delta(base, wanted)
        made = statement_pb2.Statement(
            centre="lab", generation=self.centre.generation, appliance="dpu1", number=number,
            kind=statement_pb2.STATEMENT_KIND_DELTA, base_digest=change.base, result_digest=change.result,
            payload=wire.delta_to(change, self.centre.containment).SerializeToString(),
        )  # fmt: skip
        return self.centre.signer.sign(made)

    def containment(self) -> statement_pb2.SignedStatement:
        now = self.centre.containment
        return self.centre.signer.sign(
            statement_pb2.Statement(
                centre="lab", generation=self.centre.generation, appliance="dpu1", number=now.number,
                kind=statement_pb2.STATEMENT_KIND_CONTAINMENT, result_digest=now.digest,
                payload=wire.containment_to(now).SerializeToString(),
            )
        )  # fmt: skip

    def take(self, message: statement_pb2.SignedStatement) -> str:
        """``applied``, or the kind of the refusal. A refusal changes nothing."""
        before, kept, imposed = self.receiver.held, len(self.kept), len(self.imposed)
        answer = self.receiver.receive(message)
        if answer.WhichOneof("what") == "applied":
            assert self.kept[-1] is self.receiver.held
            return "applied"
        assert self.receiver.held is before
        assert len(self.kept) == kept
        assert len(self.imposed) == imposed or self.disk_full
        assert answer.refused.reason
        return link_pb2.RefusalKind.Name(answer.refused.refusal).removeprefix("REFUSAL_KIND_")

    @property
    def held(self) -> Slice:
        assert self.receiver.held.slice is not None
        return self.receiver.held.slice

    def relabel(self, app: str) -> None:
        self.centre.set_labels("w2", {"app": app}, [], LOCAL)


@pytest.fixture
def bed(tmp_path: Path) -> Iterator[Bed]:
    made = Bed(tmp_path)
    yield made
    made.centre.close()


def test_deltas_lead_to_the_same_state_and_survive_the_disk(bed: Bed) -> None:
    assert set(bed.held.peers) == {"w2"}
    bed.relabel("cache")
    assert bed.take(bed.delta(bed.held)) == "applied"
    assert set(bed.held.peers) == set()
    data = bed.kept[-1].to_message().SerializeToString()
    again = Held.from_message(statement_pb2.HeldState.FromString(data))
    assert again.slice is not None
    assert (again.slice.digest, again.number, again.generation) == (
        bed.held.digest, bed.receiver.held.number, bed.receiver.held.generation,
    )  # fmt: skip


def test_a_replayed_revision_is_refused(bed: Bed) -> None:
    old = bed.snapshot()
    assert bed.take(old) == "OLDER"
    bed.relabel("cache")
    assert bed.take(bed.snapshot()) == "applied"
    assert bed.take(old) == "OLDER"


def test_a_replayed_release_is_refused(bed: Bed) -> None:
    bed.centre.contain(["w2"], "", State.QUARANTINED, LOCAL, reason="a test")
    assert bed.take(bed.containment()) == "applied"
    bed.centre.release(["w2"], LOCAL, "a test")
    release = bed.containment()
    assert bed.take(release) == "applied"
    bed.centre.contain(["w2"], "", State.QUARANTINED, LOCAL, reason="again")
    assert bed.take(bed.containment()) == "applied"
    assert bed.take(release) == "OLDER"
    assert bed.receiver.held.containment.contained["w2"].contained.state is State.QUARANTINED


def test_a_snapshot_with_older_containment_is_refused(bed: Bed) -> None:
    bed.relabel("cache")
    old = bed.statement()
    bed.centre.contain(["w2"], "", State.QUARANTINED, LOCAL, reason="a test")
    assert bed.take(bed.containment()) == "applied"
    assert bed.take(bed.centre.signer.sign(old)) == "OLDER"
    assert bed.take(bed.snapshot()) == "applied"


def test_a_forged_signature_is_refused(bed: Bed) -> None:
    bed.relabel("cache")
    assert bed.take(signed(Ed25519PrivateKey.generate(), bed.statement())) == "FORGED"
    good = bed.snapshot()
    for place in (0, len(good.statement) // 2, len(good.statement) - 1):
        data = bytearray(good.statement)
        data[place] ^= 1
        bad = statement_pb2.SignedStatement(statement=bytes(data), signature=good.signature)
        assert bed.take(bad) == "FORGED"
    assert bed.take(statement_pb2.SignedStatement(statement=good.statement, signature=b"short")) == "FORGED"
    assert bed.take(good) == "applied"


def test_a_delta_on_a_wrong_base_asks_for_a_snapshot(bed: Bed) -> None:
    bed.relabel("cache")
    lost = bed.held
    bed.relabel("db")
    bed.centre.set_labels("w1", {"tier": "one"}, [], LOCAL)
    _, wanted = bed.centre.wanted("dpu1")
    assert wanted is not None
    other = replace(lost, revision=7)
    assert bed.take(bed.delta(other)) == "WRONG_BASE"
    assert bed.take(bed.snapshot()) == "applied"


@pytest.mark.parametrize("field", ["centre", "appliance"])
def test_what_is_for_somebody_else_is_refused(bed: Bed, field: str) -> None:
    bed.relabel("cache")
    assert bed.take(bed.snapshot(**{field: "other"})) == "NOT_FOR_US"


def test_a_result_that_is_not_the_one_that_was_signed_is_refused(bed: Bed) -> None:
    bed.relabel("cache")
    assert bed.take(bed.snapshot(result_digest=b"\1" * 32)) == "WRONG_RESULT"
    assert bed.take(bed.snapshot(payload=b"\xff\xff")) == "MALFORMED"
    assert bed.take(bed.snapshot(kind=0)) == "MALFORMED"


def test_an_older_generation_is_refused_and_a_raised_one_is_obeyed(bed: Bed) -> None:
    bed.relabel("cache")
    restored = bed.statement(number=1)
    bed.centre.raise_generation(LOCAL, "restored from a backup")
    assert bed.take(bed.snapshot(number=1)) == "applied"
    assert bed.receiver.held.generation == 2
    assert bed.take(bed.centre.signer.sign(restored)) == "OLDER"
    restored.number = 1 << 40
    assert bed.take(bed.centre.signer.sign(restored)) == "OLDER"


def test_what_cannot_be_enforced_or_kept_is_refused(bed: Bed) -> None:
    bed.relabel("cache")
    bed.refuse = "there is no port 'p9'"
    assert bed.take(bed.snapshot()) == "INVALID"
    bed.refuse, bed.disk_full = "", True
    assert bed.take(bed.snapshot()) == "INVALID"
    assert bed.imposed[-1].number == bed.receiver.held.number  # put back
    bed.disk_full = False
    assert bed.take(bed.snapshot()) == "applied"


def test_a_key_is_changed_by_the_one_before_only(bed: Bed) -> None:
    old = bed.centre.signer.public
    bed.centre.rotate_key(LOCAL, "a year has passed")
    bed.relabel("cache")
    assert bed.take(bed.snapshot()) == "FORGED"
    news = statement_pb2.Statement(
        centre="lab", generation=1, appliance="dpu1", kind=statement_pb2.STATEMENT_KIND_KEY,
        payload=statement_pb2.KeyChange(public_key=bed.centre.signer.public).SerializeToString(),
    )  # fmt: skip
    assert bed.take(bed.centre.signer.sign(news)) == "FORGED"
    told = bed.centre.signer.sign_with(old, news)
    assert told is not None
    assert bed.take(told) == "applied"
    assert bed.take(bed.snapshot()) == "applied"
    assert bed.take(told) == "FORGED"


def test_a_detached_appliance_obeys_nobody(bed: Bed) -> None:
    bed.receiver.held = replace(bed.receiver.held, detached="an emergency")
    bed.relabel("cache")
    assert bed.take(bed.snapshot()) == "DETACHED"


def test_statements_come_in_parts_and_have_an_end(bed: Bed) -> None:
    bed.relabel("cache")
    data = bed.snapshot().SerializeToString()
    half = len(data) // 2
    assert bed.receiver.part(link_pb2.StatementPart(data=data[:half])) is None
    answer = bed.receiver.part(link_pb2.StatementPart(data=data[half:], last=True))
    assert answer is not None
    assert answer.WhichOneof("what") == "applied"
    answer = bed.receiver.part(link_pb2.StatementPart(data=b"\0" * 100), limit=50)
    assert answer is not None
    assert "larger than" in answer.refused.reason
