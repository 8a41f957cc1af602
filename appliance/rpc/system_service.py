# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""SystemService."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version

import grpc

from appliance.rpc.node import Node
from appliance.v1 import system_service_pb2, system_service_pb2_grpc


class SystemServicer(system_service_pb2_grpc.SystemServiceServicer):
    """What runs here, and in which state. Answers also while the fast path is being brought back."""

    service = system_service_pb2.DESCRIPTOR.services_by_name["SystemService"].full_name

    def __init__(self, node: Node, describe: Callable[[system_service_pb2.GetStatusResponse], None]) -> None:
        self._node, self._describe = node, describe

    def add_to(self, server: grpc.Server) -> None:
        """Register with a server."""
        system_service_pb2_grpc.add_SystemServiceServicer_to_server(self, server)

    def GetVersion(  # noqa: N802
        self, request: system_service_pb2.GetVersionRequest, context: grpc.ServicerContext
    ) -> system_service_pb2.GetVersionResponse:
        """Version of the management plane."""
        return system_service_pb2.GetVersionResponse(version=version("ringfield"))

    def GetStatus(  # noqa: N802
        self, request: system_service_pb2.GetStatusRequest, context: grpc.ServicerContext
    ) -> system_service_pb2.GetStatusResponse:
        """State of the fast path."""
        up = self._node.dpu is not None
        state = (
            system_service_pb2.FASTPATH_STATE_SERVING if up else system_service_pb2.FASTPATH_STATE_RECOVERING
        )
        response = system_service_pb2.GetStatusResponse(
            state=state,
            boot_id=self._node.state.boot_id,
            pipes=len(self._node.state.pipes),
            entries=self._node.state.nr_entries,
        )
        self._describe(response)
        return response
