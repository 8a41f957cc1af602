# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""SharedResourceService."""

from __future__ import annotations

import grpc

from appliance.rpc.convert.base import BadField
from appliance.rpc.node import Node
from appliance.v1 import shared_resource_pb2, shared_resource_service_pb2, shared_resource_service_pb2_grpc

KINDS = {
    shared_resource_pb2.SHARED_RESOURCE_KIND_METER: "meter",
    shared_resource_pb2.SHARED_RESOURCE_KIND_COUNTER: "counter",
    shared_resource_pb2.SHARED_RESOURCE_KIND_ENCAP: "encap",
    shared_resource_pb2.SHARED_RESOURCE_KIND_DECAP: "decap",
}


class SharedResourceServicer(shared_resource_service_pb2_grpc.SharedResourceServiceServicer):
    """Shared counters, meters, encapsulations and decapsulations."""

    service = shared_resource_service_pb2.DESCRIPTOR.services_by_name["SharedResourceService"].full_name

    def __init__(self, node: Node) -> None:
        self._node = node

    def add_to(self, server: grpc.Server) -> None:
        """Register with a server."""
        shared_resource_service_pb2_grpc.add_SharedResourceServiceServicer_to_server(self, server)

    def SetSharedResource(  # noqa: N802
        self,
        request: shared_resource_service_pb2.SetSharedResourceRequest,
        context: grpc.ServicerContext,
    ) -> shared_resource_service_pb2.SetSharedResourceResponse:
        """Create or change one."""
        with self._node.use(context.time_remaining()) as dpu:
            self._node.set_resource(dpu, request.resource)
            return shared_resource_service_pb2.SetSharedResourceResponse()

    def GetSharedResource(  # noqa: N802
        self,
        request: shared_resource_service_pb2.GetSharedResourceRequest,
        context: grpc.ServicerContext,
    ) -> shared_resource_service_pb2.GetSharedResourceResponse:
        """One by kind and id."""
        if request.kind not in KINDS:
            raise BadField("kind", "is required")
        with self._node.use(context.time_remaining()) as dpu:
            found = self._node.resource(dpu, KINDS[request.kind], request.id)
            return shared_resource_service_pb2.GetSharedResourceResponse(resource=found)
