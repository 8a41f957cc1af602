# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""PipeService."""

from __future__ import annotations

import grpc

from appliance.rpc import show
from appliance.rpc.convert.base import BadField
from appliance.rpc.node import Node
from appliance.rpc.state import PipeState
from appliance.v1 import pipe_pb2, pipe_service_pb2, pipe_service_pb2_grpc


class PipeServicer(pipe_service_pb2_grpc.PipeServiceServicer):
    """Pipes: create, show, change, destroy."""

    service = pipe_service_pb2.DESCRIPTOR.services_by_name["PipeService"].full_name

    def __init__(self, node: Node) -> None:
        self._node = node

    def add_to(self, server: grpc.Server) -> None:
        """Register with a server."""
        pipe_service_pb2_grpc.add_PipeServiceServicer_to_server(self, server)

    def _message(self, state: PipeState) -> pipe_pb2.Pipe:
        message = pipe_pb2.Pipe.FromString(state.message.SerializeToString())
        if state.miss_changed:
            message.ClearField("fwd_miss")
            if state.miss is not None:
                message.fwd_miss.CopyFrom(state.miss)
        info = self._node.pipe(state.name).info()
        message.pipe_id, message.used_entries = info.number, info.used
        return message

    def ListPipes(  # noqa: N802
        self, request: pipe_service_pb2.ListPipesRequest, context: grpc.ServicerContext
    ) -> pipe_service_pb2.ListPipesResponse:
        """All pipes."""
        with self._node.use(context.time_remaining()):
            pipes = [
                self._message(pipe)
                for pipe in self._node.state.pipes.values()
                if request.port in ("", pipe.message.port)
            ]
            return pipe_service_pb2.ListPipesResponse(pipes=pipes)

    def GetPipe(  # noqa: N802
        self, request: pipe_service_pb2.GetPipeRequest, context: grpc.ServicerContext
    ) -> pipe_service_pb2.GetPipeResponse:
        """One pipe."""
        with self._node.use(context.time_remaining()):
            return pipe_service_pb2.GetPipeResponse(pipe=self._message(self._node.state.pipe(request.name)))

    def CreatePipe(  # noqa: N802
        self, request: pipe_service_pb2.CreatePipeRequest, context: grpc.ServicerContext
    ) -> pipe_service_pb2.CreatePipeResponse:
        """Create a pipe."""
        with self._node.use(context.time_remaining()) as dpu:
            self._node.create_pipe(dpu, request.pipe)
            state = self._node.state.pipe(request.pipe.name)
            return pipe_service_pb2.CreatePipeResponse(pipe=self._message(state))

    def DestroyPipe(  # noqa: N802
        self, request: pipe_service_pb2.DestroyPipeRequest, context: grpc.ServicerContext
    ) -> pipe_service_pb2.DestroyPipeResponse:
        """Destroy a pipe."""
        with self._node.use(context.time_remaining()):
            self._node.destroy_pipe(request.name)
            return pipe_service_pb2.DestroyPipeResponse()

    def UpdatePipeMiss(  # noqa: N802
        self, request: pipe_service_pb2.UpdatePipeMissRequest, context: grpc.ServicerContext
    ) -> pipe_service_pb2.UpdatePipeMissResponse:
        """Replace a pipe's miss."""
        with self._node.use(context.time_remaining()) as dpu:
            given = request.fwd_miss if request.HasField("fwd_miss") else None
            self._node.update_miss(dpu, request.name, given)
            return pipe_service_pb2.UpdatePipeMissResponse()

    def ResizePipe(  # noqa: N802
        self, request: pipe_service_pb2.ResizePipeRequest, context: grpc.ServicerContext
    ) -> pipe_service_pb2.ResizePipeResponse:
        """Give a pipe another size."""
        with self._node.use(context.time_remaining()):
            now = self._node.resize(request.name, request.nr_entries)
            return pipe_service_pb2.ResizePipeResponse(nr_entries=now)

    def ShowPipeline(  # noqa: N802
        self, request: pipe_service_pb2.ShowPipelineRequest, context: grpc.ServicerContext
    ) -> pipe_service_pb2.ShowPipelineResponse:
        """Pipes and entries as text, JSON or Mermaid."""
        if request.format not in show.FORMATS:
            raise BadField("format", f"{request.format} is not a value of this enum")
        with self._node.use(context.time_remaining()):
            names = list(request.names) or list(self._node.state.pipes)
            pipes = []
            for name in names:
                state = self._node.state.pipe(name)
                limit = request.max_entries or show.DEFAULT_ENTRIES
                numbers = state.numbers()[:limit]
                entries = [self._node.state.message(number) for number in numbers]
                pipes.append(show.ShownPipe(self._message(state), entries, state.nr_live))
        return pipe_service_pb2.ShowPipelineResponse(text=show.FORMATS[request.format](pipes))
