# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""PortService."""

from __future__ import annotations

import grpc

from appliance.errors import NotFound
from appliance.flow import Dpu, results
from appliance.flow import types as flow
from appliance.rpc.convert.results import MISSES, port_to
from appliance.rpc.node import Node
from appliance.v1 import port_pb2, port_service_pb2, port_service_pb2_grpc


class PortServicer(port_service_pb2_grpc.PortServiceServicer):
    """Ports: list, add, remove."""

    service = port_service_pb2.DESCRIPTOR.services_by_name["PortService"].full_name

    def __init__(self, node: Node) -> None:
        self._node = node

    def add_to(self, server: grpc.Server) -> None:
        """Register with a server."""
        port_service_pb2_grpc.add_PortServiceServicer_to_server(self, server)

    def _port(self, info: results.PortInfo) -> port_pb2.Port:
        changed = self._node.state.default_misses.get(info.name)
        declared = {spec.name: spec.default_miss for spec in self._node.declared.ports}
        miss = MISSES[changed] if changed else declared.get(info.name)
        added = self._node.state.ports.get(info.name)
        if added is not None:
            return port_to(info, miss or flow.DefaultMiss.DROP, netns=added.netns, args=added.args)
        return port_to(info, miss, netns=self._node.declared.netns.get(info.name, ""))

    def _find(self, dpu: Dpu, name: str) -> port_pb2.Port:
        known = {info.name: info for info in dpu.port_list()}
        if name not in known:
            raise NotFound(f"there is no port {name!r} (ports: {', '.join(known)})")
        return self._port(known[name])

    def ListPorts(  # noqa: N802
        self, request: port_service_pb2.ListPortsRequest, context: grpc.ServicerContext
    ) -> port_service_pb2.ListPortsResponse:
        """All ports."""
        with self._node.use(context.time_remaining()) as dpu:
            infos = sorted(dpu.port_list(), key=lambda i: (i.port_id is None, i.port_id, i.index))
            return port_service_pb2.ListPortsResponse(ports=[self._port(info) for info in infos])

    def GetPort(  # noqa: N802
        self, request: port_service_pb2.GetPortRequest, context: grpc.ServicerContext
    ) -> port_service_pb2.GetPortResponse:
        """One port."""
        with self._node.use(context.time_remaining()) as dpu:
            return port_service_pb2.GetPortResponse(port=self._find(dpu, request.name))

    def AddPort(  # noqa: N802
        self, request: port_service_pb2.AddPortRequest, context: grpc.ServicerContext
    ) -> port_service_pb2.AddPortResponse:
        """Open a device and start it as a port."""
        with self._node.use(context.time_remaining()) as dpu:
            self._node.add_port(dpu, request.port)
            return port_service_pb2.AddPortResponse(port=self._find(dpu, request.port.name))

    def RemovePort(  # noqa: N802
        self, request: port_service_pb2.RemovePortRequest, context: grpc.ServicerContext
    ) -> port_service_pb2.RemovePortResponse:
        """Stop and close a port."""
        with self._node.use(context.time_remaining()) as dpu:
            self._find(dpu, request.name)
            self._node.remove_port(dpu, request.name)
            return port_service_pb2.RemovePortResponse()

    def SetDefaultMiss(  # noqa: N802
        self, request: port_service_pb2.SetDefaultMissRequest, context: grpc.ServicerContext
    ) -> port_service_pb2.SetDefaultMissResponse:
        """Where packets go that no pipe decides about."""
        with self._node.use(context.time_remaining()) as dpu:
            self._node.set_default_miss(dpu, request.name, request.default_miss)
            return port_service_pb2.SetDefaultMissResponse()
