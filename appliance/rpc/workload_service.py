# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""WorkloadService."""

from __future__ import annotations

import time
from typing import Final

import grpc

from appliance.errors import NotFound, TimedOut
from appliance.policy.control import Segmentation
from appliance.policy.model import State, Workload
from appliance.policy.operation import InForce
from appliance.policy.selecting import matches
from appliance.rpc.actor import actor_of
from appliance.rpc.audited import audited
from appliance.rpc.convert.base import BadField
from appliance.rpc.convert.workload import STATES, spec_to, workload_from
from appliance.v1 import workload_pb2, workload_service_pb2, workload_service_pb2_grpc

POLL_SECONDS: Final = 0.02
WAIT_SECONDS: Final = 60.0


class WorkloadServicer(workload_service_pb2_grpc.WorkloadServiceServicer):
    """Who there is, and where it is plugged in."""

    service = workload_service_pb2.DESCRIPTOR.services_by_name["WorkloadService"].full_name

    def __init__(self, control: Segmentation) -> None:
        self._control = control

    def add_to(self, server: grpc.Server) -> None:
        """Register with a server."""
        workload_service_pb2_grpc.add_WorkloadServiceServicer_to_server(self, server)

    # -- answers

    def _status(self, workload: Workload, now: InForce) -> workload_pb2.WorkloadStatus:
        bindings = [now.program.bindings[index] for index in now.places.get(workload.name, ())]
        state = now.states.get(workload.name, State.NORMAL)
        reason = ""
        if not self._control.enforced:
            reason = "there is no fast path at the moment"
        elif now.workloads.get(workload.name) != workload:
            reason = "its last change is being brought into force"
        return workload_pb2.WorkloadStatus(
            state=STATES[state],
            identities=sorted({binding.identity for binding in bindings}),
            ready=not reason,
            reason=reason,
            declared=self._control.workloads.is_declared(workload.name),
            inventory_version=self._control.workloads.version,
        )

    def _message(self, workload: Workload, now: InForce | None = None) -> workload_pb2.Workload:
        status = self._status(workload, now or self._control.in_force)
        return workload_pb2.Workload(name=workload.name, spec=spec_to(workload), status=status)

    # -- calls

    def ListWorkloads(  # noqa: N802
        self, request: workload_service_pb2.ListWorkloadsRequest, context: grpc.ServicerContext
    ) -> workload_service_pb2.ListWorkloadsResponse:
        """All, or those that a selector means."""
        now = self._control.in_force
        found = self._control.workloads.all()
        if request.selector:
            found = matches(request.selector, found, now.states)
        return workload_service_pb2.ListWorkloadsResponse(
            workloads=[self._message(one, now) for one in found],
            inventory_version=self._control.workloads.version,
        )

    def GetWorkload(  # noqa: N802
        self, request: workload_service_pb2.GetWorkloadRequest, context: grpc.ServicerContext
    ) -> workload_service_pb2.GetWorkloadResponse:
        """One by name."""
        workload = self._control.workloads.get(request.name)
        return workload_service_pb2.GetWorkloadResponse(workload=self._message(workload))

    @audited("workload.create")
    def CreateWorkload(  # noqa: N802
        self, request: workload_service_pb2.CreateWorkloadRequest, context: grpc.ServicerContext
    ) -> workload_service_pb2.CreateWorkloadResponse:
        """Add one; returns when its port admits it."""
        workload = workload_from(request.workload)
        registry = self._control.workloads
        self._control.change_workloads(
            actor_of(context), "workload.create", workload.name, lambda: registry.create(workload),
            reason=request.reason,
        )  # fmt: skip
        return workload_service_pb2.CreateWorkloadResponse(workload=self._message(workload))

    @audited("workload.update")
    def UpdateWorkload(  # noqa: N802
        self, request: workload_service_pb2.UpdateWorkloadRequest, context: grpc.ServicerContext
    ) -> workload_service_pb2.UpdateWorkloadResponse:
        """Replace one."""
        workload = workload_from(request.workload)
        registry = self._control.workloads
        expected = request.expected_version if request.HasField("expected_version") else None
        self._control.change_workloads(
            actor_of(context), "workload.update", workload.name,
            lambda: registry.update(workload, expected=expected), reason=request.reason,
        )  # fmt: skip
        return workload_service_pb2.UpdateWorkloadResponse(workload=self._message(workload))

    @audited("workload.delete")
    def DeleteWorkload(  # noqa: N802
        self, request: workload_service_pb2.DeleteWorkloadRequest, context: grpc.ServicerContext
    ) -> workload_service_pb2.DeleteWorkloadResponse:
        """Remove one."""
        registry = self._control.workloads
        self._control.change_workloads(
            actor_of(context), "workload.delete", request.name, lambda: registry.remove(request.name),
            reason=request.reason,
        )  # fmt: skip
        return workload_service_pb2.DeleteWorkloadResponse()

    @audited("workload.label")
    def SetLabels(  # noqa: N802
        self, request: workload_service_pb2.SetLabelsRequest, context: grpc.ServicerContext
    ) -> workload_service_pb2.SetLabelsResponse:
        """Set and take away labels."""
        if not request.labels and not request.remove:
            raise BadField("labels", "labels or remove is required")
        registry = self._control.workloads
        self._control.change_workloads(
            actor_of(context), "workload.label", request.name,
            lambda: registry.relabel(request.name, dict(request.labels), request.remove), reason=request.reason,
        )  # fmt: skip
        return workload_service_pb2.SetLabelsResponse(workload=self._message(registry.get(request.name)))

    def ListNetworks(  # noqa: N802
        self, request: workload_service_pb2.ListNetworksRequest, context: grpc.ServicerContext
    ) -> workload_service_pb2.ListNetworksResponse:
        """What workloads can be plugged into."""
        return workload_service_pb2.ListNetworksResponse(
            networks=[
                workload_pb2.Network(
                    name=one.name, vlan=one.vlan, prefixes=one.prefixes, gateways=one.gateways
                )
                for one in self._control.workloads.networks
            ]
        )

    def WaitReady(  # noqa: N802
        self, request: workload_service_pb2.WaitReadyRequest, context: grpc.ServicerContext
    ) -> workload_service_pb2.WaitReadyResponse:
        """Returns when all are ready; ``TimedOut`` names one that is not."""
        if not request.names:
            raise BadField("names", "is required")
        left = context.time_remaining()
        end = time.monotonic() + min(WAIT_SECONDS, WAIT_SECONDS if left is None else left)
        while True:
            try:
                found = [self._message(self._control.workloads.get(name)) for name in request.names]
            except NotFound:
                if time.monotonic() > end:
                    raise
                found = []
            late = [one for one in found if not one.status.ready]
            if found and not late:
                return workload_service_pb2.WaitReadyResponse(workloads=found)
            if time.monotonic() > end or not context.is_active():
                name, why = (late[0].name, late[0].status.reason) if late else (request.names[0], "not there")
                raise TimedOut(f"workload {name} is not ready: {why}")
            time.sleep(POLL_SECONDS)
