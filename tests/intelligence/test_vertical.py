# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""A centre and an appliance as processes: enrolled, published, enforced by a real fast path, and without the centre."""

from __future__ import annotations

import signal

import grpc
import pytest

from appliance.errors import FlowError
from appliance.intelligence import enrol
from appliance.rpc.client import calls
from appliance.rpc.errors import CallError
from appliance.v1 import (
    centre_service_pb2,
    containment_service_pb2,
    policy_pb2,
    policy_service_pb2,
    workload_service_pb2,
)
from tests.support.central import DB, POLICY, TIMEOUT, WEB, WORKLOADS, Obeying, centre, obeying
from tests.support.fastpath import wait_for
from tests.support.rig import directory


def local_publish(one: Obeying, text: str) -> None:
    source = policy_pb2.PolicySource(file="local.yaml", yaml=text)
    with calls():
        one.client.policy.PublishPolicy(
            policy_service_pb2.PublishPolicyRequest(source=source, force=True), timeout=TIMEOUT
        )


def test_from_token_to_verdict_and_on_alone() -> None:
    with directory() as where, centre(where / "c") as made:
        token = made.token("dpu1")
        made.apply(WORKLOADS)
        assert made.publish(POLICY) == 1
        with obeying(where / "a", token, made.enrolment) as one:
            made.current("dpu1")
            assert one.passes(WEB, DB, 5432)
            assert not one.passes(WEB, DB, 22)
            found = made.of("dpu1")
            assert (found.state, found.revision, found.health) == ("connected", 1, "ok")
            assert (found.workloads, found.peers) == (2, 1)
            # One delta later.
            made.publish(POLICY.replace("5432", "3306"))
            made.current("dpu1")
            assert one.passes(WEB, DB, 3306)
            assert not one.passes(WEB, DB, 5432)
            # Containment from the centre, and back.
            number = made.quarantine("web")
            wait_for("containment", lambda: made.of("dpu1").containment_number == number)
            assert not one.passes(WEB, DB, 3306)
            made.release("web")
            wait_for("release", lambda: one.passes(WEB, DB, 3306))
            # One master.
            with pytest.raises(CallError, match="managed by centre lab") as caught:
                local_publish(one, POLICY)
            assert caught.value.status is grpc.StatusCode.PERMISSION_DENIED
            with pytest.raises(CallError, match="managed by centre lab"), calls():
                one.client.workloads.SetLabels(
                    workload_service_pb2.SetLabelsRequest(name="web", labels={"app": "db"}), timeout=TIMEOUT
                )
            # The token was for once.
            with pytest.raises(FlowError, match="used up"):
                enrol.enrol(token, made.enrolment, where / "thief")
            made.kill()
            assert one.passes(WEB, DB, 3306)
            one.process.send_signal(signal.SIGTERM)
            one.process.wait(30)
        # Cold start without a centre: enforced from the first moment.
        with obeying(where / "a") as one:
            assert one.passes(WEB, DB, 3306)
            assert not one.passes(WEB, DB, 5432)
            state = one.client.centre.GetCentre(centre_service_pb2.GetCentreRequest(), timeout=TIMEOUT)
            assert (state.centre, state.revision) == ("lab", 2)
            # Local containment may tighten; the glass can be broken.
            one.client.containment.Quarantine(
                containment_service_pb2.QuarantineRequest(
                    target=containment_service_pb2.ContainmentTarget(workloads=["db"]), reason="here"
                ),
                timeout=TIMEOUT,
            )
            assert not one.passes(WEB, DB, 3306)
            with centre(where / "c", made.ports) as again:
                wait_for("the report", lambda: again.containment_of("db") == "quarantined")
                one.client.centre.Detach(
                    centre_service_pb2.DetachRequest(reason="the centre is mad"), timeout=TIMEOUT
                )
                wait_for("the news", lambda: again.of("dpu1").state == "detached")
                assert "detached" in again.alarms()
            local_publish(one, POLICY.replace("5432", "8080"))
            assert not one.passes(WEB, DB, 8080)  # it is quarantined still
            with calls():
                one.client.containment.Release(
                    containment_service_pb2.ReleaseRequest(
                        target=containment_service_pb2.ContainmentTarget(workloads=["db"]), reason="over"
                    ),
                    timeout=TIMEOUT,
                )
            assert one.passes(WEB, DB, 8080)
