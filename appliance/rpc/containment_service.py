# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""ContainmentService."""

from __future__ import annotations

from typing import Final

import grpc

from appliance.policy.blast import Blast, blast_radius
from appliance.policy.control import Segmentation
from appliance.policy.model import State, Workload
from appliance.policy.operation import InForce
from appliance.rpc.actor import actor_of
from appliance.rpc.audited import audited
from appliance.rpc.convert.workload import contained_to, keep_from
from appliance.v1 import containment_service_pb2, containment_service_pb2_grpc

MANY: Final = 1000
"""Workloads beyond which a blast radius takes a second or more."""


class ContainmentServicer(containment_service_pb2_grpc.ContainmentServiceServicer):
    """Cut off, narrow, let go."""

    service = containment_service_pb2.DESCRIPTOR.services_by_name["ContainmentService"].full_name

    def __init__(self, control: Segmentation) -> None:
        self._control = control

    def add_to(self, server: grpc.Server) -> None:
        """Register with a server."""
        containment_service_pb2_grpc.add_ContainmentServiceServicer_to_server(self, server)

    def _targets(self, target: containment_service_pb2.ContainmentTarget) -> list[Workload]:
        return self._control.select(target.workloads, target.selector)

    @audited("containment.quarantine")
    def Quarantine(  # noqa: N802
        self, request: containment_service_pb2.QuarantineRequest, context: grpc.ServicerContext
    ) -> containment_service_pb2.QuarantineResponse:
        """Cut off; returns when no packet passes any more."""
        workloads = self._targets(request.target)
        made, before, after, seconds = self._control.containment.contain(
            workloads, State.QUARANTINED, actor_of(context), reason=request.reason, ttl=request.ttl_seconds,
            keep=keep_from(request.keep), reset=request.reset,
        )  # fmt: skip
        names = [one.workload for one in made]
        return containment_service_pb2.QuarantineResponse(
            contained=[contained_to(one) for one in made], before=_quick(before, names),
            after=_quick(after, names), seconds=seconds,
        )  # fmt: skip

    @audited("containment.restrict")
    def Restrict(  # noqa: N802
        self, request: containment_service_pb2.RestrictRequest, context: grpc.ServicerContext
    ) -> containment_service_pb2.RestrictResponse:
        """Leave only connections of known kinds."""
        workloads = self._targets(request.target)
        made, before, after, seconds = self._control.containment.contain(
            workloads, State.RESTRICTED, actor_of(context), reason=request.reason, ttl=request.ttl_seconds,
            keep=keep_from(request.keep),
        )  # fmt: skip
        names = [one.workload for one in made]
        return containment_service_pb2.RestrictResponse(
            contained=[contained_to(one) for one in made], before=_quick(before, names),
            after=_quick(after, names), seconds=seconds,
        )  # fmt: skip

    @audited("containment.release")
    def Release(  # noqa: N802
        self, request: containment_service_pb2.ReleaseRequest, context: grpc.ServicerContext
    ) -> containment_service_pb2.ReleaseResponse:
        """End containment. A selector means those of its workloads that are contained."""
        names = list(request.target.workloads)
        if request.target.selector:
            found = self._control.select((), request.target.selector)
            names += [one.name for one in found if self._control.contained.get(one.name) is not None]
        if not names:
            self._targets(request.target)  # says what is missing
        made = self._control.containment.release(names, actor_of(context), request.reason)
        return containment_service_pb2.ReleaseResponse(released=[one.workload for one in made])

    def ListContainment(  # noqa: N802
        self, request: containment_service_pb2.ListContainmentRequest, context: grpc.ServicerContext
    ) -> containment_service_pb2.ListContainmentResponse:
        """Who is contained."""
        return containment_service_pb2.ListContainmentResponse(
            contained=[contained_to(one) for one in self._control.contained.all()]
        )

    def GetBlastRadius(  # noqa: N802
        self, request: containment_service_pb2.GetBlastRadiusRequest, context: grpc.ServicerContext
    ) -> containment_service_pb2.GetBlastRadiusResponse:
        """What a workload reaches now, and would if it were quarantined."""
        workload = self._control.workloads.get(request.workload)
        now = self._control.in_force
        then = self._control.containment.as_if(workload.name, State.QUARANTINED)
        return containment_service_pb2.GetBlastRadiusResponse(
            now=_radius(now, [workload.name]), quarantined=_radius(then, [workload.name])
        )


def _quick(at: InForce, names: list[str]) -> containment_service_pb2.BlastRadius | None:
    """The same where it takes no time: nobody should wait for it when something burns."""
    return _radius(at, names) if len(at.inventory.workloads) <= MANY else None


def _radius(at: InForce, names: list[str]) -> containment_service_pb2.BlastRadius:
    found: Blast = blast_radius(at.program, at.inventory, at.policy, names)
    return containment_service_pb2.BlastRadius(
        direct=found.direct, transitive=found.transitive, kinds=found.kinds
    )
