# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""TraceService."""

from __future__ import annotations

import grpc

from appliance.rpc.convert.base import BadField
from appliance.rpc.convert.results import trace_to
from appliance.rpc.node import Node
from appliance.v1 import trace_service_pb2, trace_service_pb2_grpc

FRAME_MIN, FRAME_MAX = 14, 9600


class TraceServicer(trace_service_pb2_grpc.TraceServiceServicer):
    """Where did my packet go, and why?"""

    service = trace_service_pb2.DESCRIPTOR.services_by_name["TraceService"].full_name

    def __init__(self, node: Node) -> None:
        self._node = node

    def add_to(self, server: grpc.Server) -> None:
        """Register with a server."""
        trace_service_pb2_grpc.add_TraceServiceServicer_to_server(self, server)

    def TracePacket(  # noqa: N802
        self, request: trace_service_pb2.TracePacketRequest, context: grpc.ServicerContext
    ) -> trace_service_pb2.TracePacketResponse:
        """Follow one frame."""
        check_frame(request.frame, "frame")
        with self._node.use(context.time_remaining()) as dpu:
            dpu.port(request.port)
            trace = self._node.trace(dpu, request.port, request.frame, request.pkt_meta)
            return trace_service_pb2.TracePacketResponse(trace=trace_to(trace, self._node.names(dpu)))


def check_frame(frame: bytes, path: str) -> None:
    """A frame has an Ethernet header at least."""
    if not FRAME_MIN <= len(frame) <= FRAME_MAX:
        raise BadField(path, f"a frame has {FRAME_MIN} to {FRAME_MAX} bytes, not {len(frame)}")
