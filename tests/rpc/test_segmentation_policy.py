# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Policies over gRPC on real appliances: two-sided ones as messages, table space, signatures."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import grpc
from scapy.layers.inet import TCP

from appliance.policy.store import FILE
from appliance.run import frames
from appliance.run.frames import Host
from appliance.v1 import containment_service_pb2, policy_pb2, policy_service_pb2
from tests.support.heard import heard
from tests.support.rig import TIMEOUT, Running, directory
from tests.support.segmentation import (
    CONFIG,
    DB,
    OPS,
    POLICY,
    PORT_OF,
    WEB,
    entries,
    passes,
    publish,
    quarantine,
    refused,
    release,
    running,
)


def _now(rig: Running) -> policy_service_pb2.GetPolicyResponse:
    return rig.client.policy.GetPolicy(policy_service_pb2.GetPolicyRequest(), timeout=TIMEOUT)


def test_a_two_sided_policy_is_published_as_messages() -> None:
    allow = policy_pb2.PolicySideAllow(peers="app=web", services=["tcp/5432"])
    guard = policy_pb2.NetworkPolicy(
        name="db", subjects="app=db", sides=[policy_pb2.POLICY_SIDE_INGRESS], allows=[allow]
    )
    given = policy_pb2.PolicySet(
        name="sides", default_action=policy_pb2.POLICY_ACTION_ALLOW, network_policies=[guard]
    )
    with running() as rig:
        source = policy_pb2.PolicySource(file="sides", policy=given)
        rig.client.policy.PublishPolicy(
            policy_service_pb2.PublishPolicyRequest(source=source), timeout=TIMEOUT
        )
        assert passes(rig, WEB, DB, 5432)
        assert not passes(rig, WEB, DB, 22)
        assert not passes(rig, OPS, DB, 5432)
        assert passes(rig, OPS, WEB, 5432)
        back = _now(rig)
        assert list(back.policy.network_policies) == [
            policy_pb2.NetworkPolicy(
                name="db", subjects="app=db", sides=guard.sides,
                allows=[policy_pb2.PolicySideAllow(
                    side=policy_pb2.POLICY_SIDE_INGRESS, peers="app=web", services=["tcp/5432"])],
            )
        ]  # fmt: skip
        assert "network_policies:" in back.source.yaml


def test_a_policy_too_big_for_the_tables_is_refused_naming_rule_and_field() -> None:
    with running(settings=CONFIG.replace("  policy:", "  max_rows: 260\n  policy:")) as rig:
        fits = rig.client.policy.ValidatePolicy(policy_service_pb2.ValidatePolicyRequest(), timeout=TIMEOUT)
        assert fits.room == 260
        assert fits.rows == sum(fits.sizes.rows.values()) == fits.in_use <= 260
        rule = "  - {{name: r{0}, band: allow, from: app=web, to: 'app in (db, ops)', services: [tcp/{0}]}}\n"
        large = POLICY + "".join(rule.format(number) for number in range(1000, 1300))
        error = refused(lambda: publish(rig, large), "rule r1000: to:", "room for 260")
        assert error.status is grpc.StatusCode.INVALID_ARGUMENT
        assert error.refusal is not None
        problem = error.refusal.problems[0]
        assert (problem.place, problem.item, problem.field) == ("new.yaml:4", "rule r1000", "to")
        needed = re.search(r"needs (\d+) rows", problem.reason)
        assert needed is not None
        assert int(needed[1]) > 260
        assert _now(rig).revision.number == 1
        assert passes(rig, WEB, DB, 5432)
        request = policy_service_pb2.ValidatePolicyRequest(
            source=policy_pb2.PolicySource(file="large.yaml", yaml=large)
        )
        refused(
            lambda: rig.client.policy.ValidatePolicy(request, timeout=TIMEOUT), "large.yaml:4", "room for 260"
        )


def _tamper(state: Path, number: int) -> None:
    sql = sqlite3.connect(state / FILE)
    with sql:
        sql.execute(
            "UPDATE revisions SET source = replace(source, 'tcp/', 'udp/') WHERE number = ?", (number,)
        )
    sql.close()


def test_a_stored_revision_that_was_changed_is_refused_and_the_last_good_one_stays() -> None:
    with directory() as where:
        with running(at=where) as rig:
            publish(rig, POLICY.replace("5432", "3306"))
            third = publish(rig, POLICY)
            assert (third.signature_fault, bool(third.signature)) == ("", True)
            state = rig.appliance.config.segmentation.state_dir  # type: ignore[union-attr]
        _tamper(state, 3)
        with running(at=where) as rig:
            now = _now(rig)
            assert (now.revision.number, now.revision.signature_fault) == (2, "")
            assert "revision 3 was changed since it was published" in now.fault
            assert passes(rig, WEB, DB, 3306)
            assert not passes(rig, WEB, DB, 22)
            listed = rig.client.policy.ListRevisions(
                policy_service_pb2.ListRevisionsRequest(), timeout=TIMEOUT
            )
            assert [bool(one.signature_fault) for one in listed.revisions] == [True, False, False]
            assert listed.revisions[0].appliances[0].state == policy_pb2.REVISION_STATE_REFUSED
            told = [entry for entry in entries(rig) if entry.action == "policy.verify"]
            assert [(entry.target, entry.actor) for entry in told] == [("revision 3", "appliance")]
            fourth = publish(rig, POLICY)  # and then nothing is wrong any more
            assert (fourth.number, _now(rig).fault) == (4, "")
            _tamper(state, 1)
            request = policy_service_pb2.RollbackPolicyRequest(to=1, reason="back")
            refused(
                lambda: rig.client.policy.RollbackPolicy(request, timeout=TIMEOUT), "revision 1 was changed"
            )
            assert _now(rig).revision.number == 4
            assert passes(rig, WEB, DB, 5432)
        _tamper(state, 2)
        _tamper(state, 4)
        with running(at=where) as rig:  # nothing good is left but what the configuration says
            assert (_now(rig).revision.number, _now(rig).revision.origin) == (5, "config")
            assert passes(rig, WEB, DB, 5432)


def test_a_stored_revision_that_was_taken_away_is_missed() -> None:
    with directory() as where:
        with running(at=where) as rig:
            publish(rig, POLICY.replace("5432", "3306"))
            state = rig.appliance.config.segmentation.state_dir  # type: ignore[union-attr]
            assert _now(rig).fault == ""
        with running(at=where) as rig:
            assert (_now(rig).revision.number, _now(rig).fault) == (2, "")
        sql = sqlite3.connect(state / FILE)
        with sql:
            sql.execute("DELETE FROM revisions WHERE number = 2")
        sql.close()
        with running(at=where) as rig:
            now = _now(rig)
            assert now.revision.number == 1
            assert "the audit log names revision 2, but the newest on disk is 1" in now.fault
            assert publish(rig, POLICY).number == 3, "what was revision 2 once is never another one"


def _open(rig: Running, source: Host, target: Host, port: int) -> None:
    """A TCP connection, as far as the fast path can tell."""
    with heard(rig, PORT_OF[target]) as there, heard(rig, PORT_OF[source]) as here:
        rig.inject(PORT_OF[source], frames.tcp(source, target, 40001, port, seq=100))
        next(there)
        rig.inject(
            PORT_OF[target],
            frames.tcp(target, source, port, 40001, frames.SYN | frames.ACK, seq=500, ack=101),
        )
        next(here)
        rig.inject(PORT_OF[source], frames.tcp(source, target, 40001, port, frames.ACK, seq=101, ack=501))
        next(there)


def test_peers_of_a_quarantined_workload_are_reset_if_asked() -> None:
    data = frames.tcp(WEB, DB, 40001, 5432, frames.ACK, b"hello", seq=101, ack=501)
    with directory() as where:
        with running(at=where) as rig:
            _open(rig, WEB, DB, 5432)
            quarantine(rig, "web")
            rig.inject("p1", data)
            release(rig, "web")
            _open(rig, OPS, DB, 22)
            answer = quarantine(rig, "db", reset=True)
            assert answer.contained[0].reset
            with heard(rig, "p3") as ops, heard(rig, "p1") as web:  # the first that web hears is of db's
                more = frames.tcp(OPS, DB, 40001, 22, frames.ACK, b"x", seq=101, ack=501)
                rig.inject("p3", more)
                reset = next(ops)[TCP]
                assert (str(reset.flags), reset.seq, reset.sport, reset.dport) == ("R", 501, 22, 40001)
                rig.inject("p1", frames.tcp(WEB, DB, 40002, 5432))
                assert str(next(web)[TCP].flags) == "RA"
            assert "reset" in str(entries(rig)[-1].after)
            quarantine(rig, "web")  # not asked: silence, though others are reset
            rig.settle()
        with running(at=where) as rig:
            listed = rig.client.containment.ListContainment(
                containment_service_pb2.ListContainmentRequest(), timeout=TIMEOUT
            ).contained
            assert [(one.workload, one.reset) for one in listed] == [("db", True), ("web", False)]
            with heard(rig, "p3") as ops:
                rig.inject("p3", frames.tcp(OPS, WEB, 40003, 22))  # silent
                rig.inject("p3", frames.tcp(OPS, DB, 40004, 22))
                told = next(ops)
                assert (told[TCP].dport, str(told[TCP].flags)) == (40004, "RA")
            release(rig, "db")
            rig.inject("p3", frames.tcp(OPS, DB, 40005, 22))
            assert passes(rig, OPS, DB, 22)
