# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""PacketService."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import grpc

from appliance.flow.results import PacketKind
from appliance.rpc.convert.base import BadField
from appliance.rpc.convert.results import POINTS, packet_to
from appliance.rpc.node import Node
from appliance.rpc.packets import CAPTURES, PacketHub, Wish
from appliance.rpc.trace_service import check_frame
from appliance.v1 import packet_pb2, packet_service_pb2, packet_service_pb2_grpc

POLL_SECONDS = 0.2
SOFTWARE = frozenset({PacketKind.RSS, PacketKind.KERNEL, PacketKind.WIRE})


class PacketServicer(packet_service_pb2_grpc.PacketServiceServicer):
    """Packets between software and the DPU."""

    service = packet_service_pb2.DESCRIPTOR.services_by_name["PacketService"].full_name

    def __init__(self, node: Node, hub: PacketHub) -> None:
        self._node, self._hub = node, hub

    def add_to(self, server: grpc.Server) -> None:
        """Register with a server."""
        packet_service_pb2_grpc.add_PacketServiceServicer_to_server(self, server)

    def InjectPackets(  # noqa: N802
        self, request: packet_service_pb2.InjectPacketsRequest, context: grpc.ServicerContext
    ) -> packet_service_pb2.InjectPacketsResponse:
        """Frames as if received on a port."""
        for index, frame in enumerate(request.frames):
            check_frame(frame, f"frames[{index}]")
        with self._node.use(context.time_remaining()) as dpu:
            dpu.port(request.port)
            dpu.inject(request.port, request.frames)
        return packet_service_pb2.InjectPacketsResponse(accepted=len(request.frames))

    def TransmitPackets(  # noqa: N802
        self, request: packet_service_pb2.TransmitPacketsRequest, context: grpc.ServicerContext
    ) -> packet_service_pb2.TransmitPacketsResponse:
        """Frames out of a port."""
        for index, frame in enumerate(request.frames):
            check_frame(frame, f"frames[{index}]")
        with self._node.use(context.time_remaining()) as dpu:
            dpu.port(request.port)
            dpu.transmit(request.port, request.frames)
        return packet_service_pb2.TransmitPacketsResponse(accepted=len(request.frames))

    def ReceivePackets(  # noqa: N802
        self, request: packet_service_pb2.ReceivePacketsRequest, context: grpc.ServicerContext
    ) -> Iterator[packet_service_pb2.ReceivePacketsResponse]:
        """What the pipeline forwards to software, and what ring ports send."""
        kinds = _kinds(request.points, SOFTWARE, "points") or SOFTWARE
        self._check_ports(request.ports, context)
        with self._hub.subscribe(
            Wish(kinds, frozenset(request.ports)), context.time_remaining()
        ) as subscriber:
            yield packet_service_pb2.ReceivePacketsResponse()
            while context.is_active():
                packets = subscriber.take(POLL_SECONDS)
                if packets:
                    yield packet_service_pb2.ReceivePacketsResponse(
                        packets=[packet_to(packet) for packet in packets],
                        lost=subscriber.lost + self._hub.lost,
                    )

    def CapturePackets(  # noqa: N802
        self, request: packet_service_pb2.CapturePacketsRequest, context: grpc.ServicerContext
    ) -> Iterator[packet_service_pb2.CapturePacketsResponse]:
        """Copies at ports and of drops."""
        kinds = _kinds(request.points, frozenset(CAPTURES), "points")
        kinds = kinds or frozenset({PacketKind.CAPTURE_RX, PacketKind.CAPTURE_TX})
        ports = [request.port] if request.port else []
        self._check_ports(ports, context)
        if request.drop_reasons and PacketKind.CAPTURE_DROP not in kinds:
            raise BadField("drop_reasons", "needs PACKET_POINT_DROP among the points")
        with self._node.use(context.time_remaining()) as dpu:
            known = dpu.drop_reasons()
        for index, reason in enumerate(request.drop_reasons):
            if reason not in known:
                raise BadField(
                    f"drop_reasons[{index}]", f"there is no reason {reason!r} ({', '.join(known)})"
                )
        wish = Wish(kinds, frozenset(ports), frozenset(request.drop_reasons), request.snap_length)
        left = request.limit or -1
        with self._hub.subscribe(wish, context.time_remaining()) as subscriber:
            yield packet_service_pb2.CapturePacketsResponse()
            while context.is_active() and left:
                packets = subscriber.take(POLL_SECONDS, left if 0 < left < 256 else 256)
                if packets:
                    left -= len(packets) if left > 0 else 0
                    yield packet_service_pb2.CapturePacketsResponse(
                        packets=[packet_to(packet) for packet in packets],
                        lost=subscriber.lost + self._hub.lost,
                    )

    def _check_ports(self, names: Iterable[str], context: grpc.ServicerContext) -> None:
        with self._node.use(context.time_remaining()) as dpu:
            for name in names:
                dpu.port(name)


def _kinds(
    points: Iterable[packet_pb2.PacketPoint], allowed: frozenset[PacketKind], path: str
) -> frozenset[PacketKind]:
    found = set()
    for index, point in enumerate(points):
        kind = POINTS.get(point)
        if kind is None or kind not in allowed:
            raise BadField(f"{path}[{index}]", f"point {int(point)} cannot be asked for here")
        found.add(kind)
    return frozenset(found)
