# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""StatsService."""

from __future__ import annotations

import time
from collections.abc import Iterator

import grpc

from appliance.flow import Dpu
from appliance.flow.results import PipeInfo
from appliance.rpc.convert.base import BadField
from appliance.rpc.convert.flow import counter_to
from appliance.rpc.convert.results import stats_to
from appliance.rpc.node import Node
from appliance.v1 import stats_pb2, stats_service_pb2, stats_service_pb2_grpc


def _add_pipe(message: stats_pb2.Stats, name: str, entries: int, info: PipeInfo) -> None:
    shown = message.pipes.add(pipe=name, entries=entries, capacity=info.capacity, hits=counter_to(info.hits))
    if info.miss is not None:
        shown.misses.CopyFrom(counter_to(info.miss))


class StatsServicer(stats_service_pb2_grpc.StatsServiceServicer):
    """Statistics."""

    service = stats_service_pb2.DESCRIPTOR.services_by_name["StatsService"].full_name

    def __init__(self, node: Node) -> None:
        self._node = node

    def add_to(self, server: grpc.Server) -> None:
        """Register with a server."""
        stats_service_pb2_grpc.add_StatsServiceServicer_to_server(self, server)

    def _stats(self, dpu: Dpu, include_pipes: bool) -> stats_pb2.Stats:
        message = stats_to(dpu.stats(), dpu.ct_stats(), dpu.stages(), dpu.caches(), time.time_ns())
        if include_pipes:
            for name, state in self._node.state.pipes.items():
                _add_pipe(message, name, state.nr_live, self._node.pipe(name).info())
            # Those that the appliance has made itself, of its policy.
            for info in dpu.pipe_list(own=True):
                if info.name not in self._node.state.pipes:
                    _add_pipe(message, info.name, info.used, info)
        return message

    def GetStats(  # noqa: N802
        self, request: stats_service_pb2.GetStatsRequest, context: grpc.ServicerContext
    ) -> stats_service_pb2.GetStatsResponse:
        """One snapshot."""
        with self._node.use(context.time_remaining()) as dpu:
            return stats_service_pb2.GetStatsResponse(stats=self._stats(dpu, request.include_pipes))

    def WatchStats(  # noqa: N802
        self, request: stats_service_pb2.WatchStatsRequest, context: grpc.ServicerContext
    ) -> Iterator[stats_service_pb2.WatchStatsResponse]:
        """Snapshots at an interval."""
        interval = request.interval_ms or 1000
        if not 100 <= interval <= 60_000:
            raise BadField("interval_ms", f"{interval} is not between 100 and 60000")
        due = time.monotonic()
        while context.is_active():
            with self._node.use(context.time_remaining()) as dpu:
                stats = self._stats(dpu, request.include_pipes)
            yield stats_service_pb2.WatchStatsResponse(stats=stats)
            due += interval / 1000
            while context.is_active() and (left := due - time.monotonic()) > 0:
                time.sleep(min(left, 0.2))

    def QueryPipeMiss(  # noqa: N802
        self, request: stats_service_pb2.QueryPipeMissRequest, context: grpc.ServicerContext
    ) -> stats_service_pb2.QueryPipeMissResponse:
        """A pipe's misses."""
        with self._node.use(context.time_remaining()):
            counter = self._node.pipe(request.pipe).query_miss()
            return stats_service_pb2.QueryPipeMissResponse(counter=counter_to(counter))
