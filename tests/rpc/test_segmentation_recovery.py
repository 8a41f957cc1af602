# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""An allowed connection loses nothing when policy, containment and the appliance come and go."""

from __future__ import annotations

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from appliance.errors import FlowError
from appliance.rpc.client import Client
from appliance.run import frames
from appliance.run.appliance import kill_recorded
from appliance.v1 import (
    containment_service_pb2,
    policy_service_pb2,
    stats_service_pb2,
    system_service_pb2,
)
from tests.rpc.test_recovery import Load
from tests.support import process
from tests.support.fastpath import wait_for
from tests.support.rig import TIMEOUT, Running, directory
from tests.support.segmentation import (
    CONFIG,
    DB,
    OPS,
    POLICY,
    WEB,
    passes,
    publish,
    quarantine,
    refused,
    release,
    running,
)

ALLOWED = POLICY.replace("tcp/5432]", "tcp/5432, udp/53]")
QUESTION = frames.udp(WEB, DB, 40000, 53, b"a question")


def sent_by(client: Client, port: str) -> int:
    stats = client.stats.GetStats(stats_service_pb2.GetStatsRequest(), timeout=TIMEOUT).stats
    return next(item.sent.packets for item in stats.ports if item.port == port)


def judged_again(client: Client) -> int:
    stats = client.stats.GetStats(stats_service_pb2.GetStatsRequest(), timeout=TIMEOUT).stats
    return stats.connections.rejudged


def test_publish_quarantine_and_kill_9_lose_no_packet_of_others() -> None:
    with directory() as where:
        file = where / "test.yaml"
        file.write_text(CONFIG)
        (where / "policy.yaml").write_text(ALLOWED)
        target = f"unix:{where / 'ringfield.sock'}"
        try:
            with process.appliance(file) as first:
                process.wait_ready(first)
                load = Load(where, "p1", QUESTION)
                with Client(target) as client:
                    rig = Running(None, client)  # type: ignore[arg-type]
                    for port in (3306, 1521):
                        publish(rig, ALLOWED.replace("5432", str(port)))
                    back = policy_service_pb2.RollbackPolicyRequest(to=1)
                    client.policy.RollbackPolicy(back, timeout=TIMEOUT)
                    quarantine(rig, "ops")
                    publish(
                        rig, ALLOWED + "  - {name: more, band: block, from: app=db, to: any, services: any}\n"
                    )
                    pid = client.system.GetStatus(
                        system_service_pb2.GetStatusRequest(), timeout=TIMEOUT
                    ).fastpath_pid
                    wait_for("the last publish to reach the connection", lambda: judged_again(client) >= 3)
                    before = judged_again(client)
                first.kill()
                first.wait()
                with process.appliance(file) as second:
                    process.wait_ready(second)
                    with Client(target) as client:
                        rig = Running(None, client)  # type: ignore[arg-type]
                        # It may have been killed between a commit and its epoch.
                        wait_for("open connections to be told", lambda: judged_again(client) > before)
                        status = client.system.GetStatus(
                            system_service_pb2.GetStatusRequest(), timeout=TIMEOUT
                        )
                        assert (status.adopted, status.fastpath_pid) == (True, pid)
                        assert not passes(rig, OPS, DB, 22)  # still quarantined
                        release(rig, "ops")
                        assert passes(rig, OPS, DB, 22)
                        publish(rig, ALLOWED)
                        sent = load.stop()
                        assert sent > 50
                        wait_for("every packet of the connection", lambda: sent_by(client, "p2") >= sent)
                        assert sent_by(client, "p2") == sent
                    second.send_signal(signal.SIGTERM)
                    assert second.wait(60) == 0
        finally:
            kill_recorded(where)


def test_a_killed_fast_path_gets_everything_back() -> None:
    with running() as rig:
        publish(rig, POLICY.replace("tcp/5432", "tcp/3306"))
        quarantine(rig, "ops")
        control = rig.appliance.segmentation.control  # type: ignore[union-attr]
        os.kill(rig.appliance.fastpath_pid, signal.SIGKILL)
        wait_for("the restart", lambda: rig.appliance.restarts == 1 and control.enforced)
        assert passes(rig, WEB, DB, 3306)
        assert not passes(rig, WEB, DB, 5432)
        assert not passes(rig, OPS, DB, 22)
        release(rig, "ops")
        assert passes(rig, OPS, DB, 22)
        assert control.audit.verify().ok


def test_a_transaction_that_fails_is_refused_and_nothing_changes() -> None:
    """The reconciler loses its way; the appliance attaches anew without touching a packet."""
    with running() as rig:
        control = rig.appliance.segmentation.control  # type: ignore[union-attr]
        boot = rig.appliance.node.state.boot_id
        live = control.force.reconciler._live["seg/service"]
        live.handles = live.handles[:0]  # it no longer knows its entries: adding them again must fail
        live.rows = live.rows.take(live.handles.astype("i8"))
        live.table = None
        refused(lambda: publish(rig, POLICY.replace("tcp/22]", "tcp/22, tcp/23]")), "fast path refused")
        wait_for("a new attachment", lambda: control.enforced)
        assert rig.appliance.node.state.boot_id == boot
        assert passes(rig, WEB, DB, 5432)
        assert not passes(rig, OPS, WEB, 23)
        publish(rig, POLICY.replace("tcp/22]", "tcp/22, tcp/23]"))
        assert passes(rig, OPS, WEB, 23)


def test_connections_that_were_not_told_of_a_change_are_told_by_the_next_attachment() -> None:
    with running() as rig:
        control = rig.appliance.segmentation.control  # type: ignore[union-attr]

        def fails(*_: object) -> None:
            raise FlowError("lost")

        with control.force.use(None) as dpu:
            told, dpu.ct_epoch = dpu.ct_epoch, fails
        refused(lambda: quarantine(rig, "ops"), "were not told")
        wait_for("a new attachment", lambda: control.enforced)
        with control.force.use(None) as dpu:
            dpu.ct_epoch = told
        wait_for("what was before", lambda: control.enforced and passes(rig, OPS, DB, 22))
        quarantine(rig, "ops")
        assert not passes(rig, OPS, DB, 22)


def test_a_roll_back_that_fails_is_tried_again() -> None:
    with running() as rig:
        control = rig.appliance.segmentation.control  # type: ignore[union-attr]
        publish(rig, POLICY.replace("tcp/5432", "tcp/3306"), confirm_seconds=1.0)
        live = control.force.reconciler._live["seg/service"]
        live.handles = live.handles[:0]
        live.rows = live.rows.take(live.handles.astype("i8"))
        live.table = None
        wait_for("the roll back", lambda: control.enforced and control.in_force.revision > 2)
        assert passes(rig, WEB, DB, 5432)


def test_a_restricted_workload_keeps_its_baseline_over_a_restart() -> None:
    policy = POLICY.replace("[tcp/5432]", "[tcp/5432, tcp/3306]")
    with directory() as where:
        with running(policy, at=where) as rig:
            telemetry = rig.appliance.segmentation.telemetry  # type: ignore[union-attr]
            rig.inject("p1", frames.tcp(WEB, DB, 40000, 5432, frames.SYN))
            wait_for("the record of what it does", lambda: len(telemetry.store) > 0)
            target = containment_service_pb2.ContainmentTarget(workloads=["web"])
            rig.client.containment.Restrict(
                containment_service_pb2.RestrictRequest(target=target, reason="looks odd"), timeout=TIMEOUT
            )
            assert passes(rig, WEB, DB, 5432)
            assert not passes(rig, WEB, DB, 3306)
        with running(policy, at=where) as rig:
            assert passes(rig, WEB, DB, 5432)
            assert not passes(rig, WEB, DB, 3306)
            quarantine(rig, "web")
            assert not passes(rig, WEB, DB, 5432)
            release(rig, "web")
            assert passes(rig, WEB, DB, 3306)


def test_a_state_that_is_being_compiled_is_not_in_force_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody else's quarantine, meanwhile, must not cut what the restricted one is to keep."""
    with running() as rig:
        control = rig.appliance.segmentation.control  # type: ignore[union-attr]
        compiling, go_on = threading.Event(), threading.Event()
        compiled = control.force.compile

        def slow(*given: Any, **more: Any) -> Any:
            compiling.set()
            assert go_on.wait(TIMEOUT)
            return compiled(*given, **more)

        monkeypatch.setattr(control.force, "compile", slow)
        keep = [containment_service_pb2.KeptPath(target="app=db", services=["tcp/5432"])]
        target = containment_service_pb2.ContainmentTarget(workloads=["web"])
        request = containment_service_pb2.QuarantineRequest(target=target, reason="a test", keep=keep)
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(rig.client.containment.Quarantine, request, timeout=TIMEOUT)
            assert compiling.wait(TIMEOUT)
            quarantine(rig, "ops")
            assert not passes(rig, OPS, DB, 22)
            assert passes(rig, WEB, DB, 5432)
            go_on.set()
            waiting.result()
        assert passes(rig, WEB, DB, 5432)
        assert not passes(rig, WEB, OPS, 22)
