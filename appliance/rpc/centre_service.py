# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""The link to a centre, as this appliance tells of it; and breaking the glass."""

from __future__ import annotations

import grpc

from appliance.intelligence.agent import Agent
from appliance.rpc.actor import actor_of
from appliance.v1 import centre_service_pb2, centre_service_pb2_grpc


class CentreServicer(centre_service_pb2_grpc.CentreServiceServicer):
    """Tells of an agent."""

    service = centre_service_pb2.DESCRIPTOR.services_by_name["CentreService"].full_name

    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    def add_to(self, server: grpc.Server) -> None:
        """Register with a server."""
        centre_service_pb2_grpc.add_CentreServiceServicer_to_server(self, server)

    def GetCentre(  # noqa: N802
        self, request: centre_service_pb2.GetCentreRequest, context: grpc.ServicerContext
    ) -> centre_service_pb2.GetCentreResponse:
        """The link."""
        now = self._agent.status
        return centre_service_pb2.GetCentreResponse(
            centre=now.centre, name=now.name, address=now.address, state=now.state, generation=now.generation,
            number=now.number, revision=now.revision, error=now.error, detached=now.detached,
        )  # fmt: skip

    def Detach(  # noqa: N802
        self, request: centre_service_pb2.DetachRequest, context: grpc.ServicerContext
    ) -> centre_service_pb2.DetachResponse:
        """Break the glass."""
        self._agent.detach(actor_of(context), request.reason)
        return centre_service_pb2.DetachResponse()
