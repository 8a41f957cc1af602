# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""A workload moves between two real appliances: made everywhere before the old place is given up."""

from __future__ import annotations

import grpc
import pytest

from appliance.intelligence.v1 import inventory_service_pb2
from appliance.v1 import workload_pb2
from tests.support.central import POLICY, TIMEOUT, WORKLOADS, Centre, centre, obeying
from tests.support.rig import directory


def move(
    made: Centre, appliance: str, port: str, seconds: float
) -> inventory_service_pb2.MoveWorkloadResponse:
    place = workload_pb2.WorkloadInterface(
        network="lab", appliance=appliance, port=port, mac="02:00:00:00:00:03", addresses=["10.0.0.3"]
    )
    request = inventory_service_pb2.MoveWorkloadRequest(
        name="far", interfaces=[place], timeout_seconds=seconds
    )
    return made.inventory.MoveWorkload(request, timeout=TIMEOUT + seconds)


def where_is(made: Centre) -> list[str]:
    found = made.inventory.ListWorkloads(
        inventory_service_pb2.ListWorkloadsRequest(selector="name=far"), timeout=TIMEOUT
    )
    return [one.appliance for one in found.workloads[0].workload.spec.interfaces]


def test_a_move_is_made_before_the_old_place_is_broken() -> None:
    with directory() as where, centre(where / "c") as made:
        made.apply(WORKLOADS)
        made.publish(POLICY)
        with obeying(where / "a", made.token("dpu1"), made.enrolment):
            made.current("dpu1")
            # Nobody is at dpu2: what is waited for is named, and the old place is not given up.
            with pytest.raises(grpc.RpcError, match="appliance dpu2 is not connected") as caught:
                move(made, "dpu1", "p0", 1.0)
            assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
            assert where_is(made) == ["dpu2", "dpu1"]
            with obeying(where / "b", made.token("dpu2"), made.enrolment):
                made.current("dpu1", "dpu2")
                ready = inventory_service_pb2.WaitReadyRequest(names=["far", "web", "db"])
                assert all(one.ready for one in made.inventory.WaitReady(ready, timeout=TIMEOUT).workloads)
                assert move(made, "dpu1", "p0", 10.0).ready_seconds >= 0
                assert where_is(made) == ["dpu1"]
                made.current("dpu1", "dpu2")
                assert (made.of("dpu1").workloads, made.of("dpu2").workloads) == (3, 0)
