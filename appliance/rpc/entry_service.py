# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""EntryService."""

from __future__ import annotations

from collections.abc import Iterator

import grpc
import numpy as np
import numpy.typing as npt

from appliance.errors import FlowError
from appliance.rpc.convert.base import BadField
from appliance.rpc.convert.flow import counter_to
from appliance.rpc.node import Node
from appliance.v1 import entry_pb2, entry_service_pb2, entry_service_pb2_grpc, flow_pb2

PAGE = 500


class EntryServicer(entry_service_pb2_grpc.EntryServiceServicer):
    """Entries: one by one, in bulk, several in one step."""

    service = entry_service_pb2.DESCRIPTOR.services_by_name["EntryService"].full_name

    def __init__(self, node: Node) -> None:
        self._node = node

    def add_to(self, server: grpc.Server) -> None:
        """Register with a server."""
        entry_service_pb2_grpc.add_EntryServiceServicer_to_server(self, server)

    def AddEntry(  # noqa: N802
        self, request: entry_service_pb2.AddEntryRequest, context: grpc.ServicerContext
    ) -> entry_service_pb2.AddEntryResponse:
        """Add one entry."""
        with self._node.use(context.time_remaining()) as dpu:
            number, error = self._node.add_entries(dpu, [request.entry])[0]
            if error is not None:
                raise error
            return entry_service_pb2.AddEntryResponse(id=number)

    def UpdateEntry(  # noqa: N802
        self, request: entry_service_pb2.UpdateEntryRequest, context: grpc.ServicerContext
    ) -> entry_service_pb2.UpdateEntryResponse:
        """Replace actions, monitor and forward."""
        with self._node.use(context.time_remaining()) as dpu:
            self._node.update_entry(dpu, request.entry)
            return entry_service_pb2.UpdateEntryResponse()

    def RemoveEntry(  # noqa: N802
        self, request: entry_service_pb2.RemoveEntryRequest, context: grpc.ServicerContext
    ) -> entry_service_pb2.RemoveEntryResponse:
        """Remove one entry."""
        with self._node.use(context.time_remaining()):
            error = self._node.remove_entries([request.id])[0]
            if error is not None:
                raise error
            return entry_service_pb2.RemoveEntryResponse()

    def GetEntry(  # noqa: N802
        self, request: entry_service_pb2.GetEntryRequest, context: grpc.ServicerContext
    ) -> entry_service_pb2.GetEntryResponse:
        """One entry and its counter."""
        with self._node.use(context.time_remaining()):
            message = self._node.state.message(request.id)
            response = entry_service_pb2.GetEntryResponse(entry=message)
            if message.monitor.counter in (flow_pb2.RESOURCE_TYPE_NON_SHARED, flow_pb2.RESOURCE_TYPE_SHARED):
                response.counter.CopyFrom(counter_to(self._node.entry(request.id).query()))
            return response

    def ListEntries(  # noqa: N802
        self, request: entry_service_pb2.ListEntriesRequest, context: grpc.ServicerContext
    ) -> Iterator[entry_service_pb2.ListEntriesResponse]:
        """A pipe's entries, page by page; each page is consistent in itself."""
        with self._node.use(context.time_remaining()):
            numbers = self._node.state.pipe(request.pipe).numbers()
        numbers = numbers[: request.limit] if request.limit else numbers
        for start in range(0, len(numbers), PAGE):
            page = entry_service_pb2.ListEntriesResponse()
            with self._node.use(context.time_remaining()):
                for number in numbers[start : start + PAGE]:
                    try:
                        page.entries.append(self._node.state.message(number))
                    except FlowError:
                        continue  # removed meanwhile
            yield page

    def QueryEntries(  # noqa: N802
        self, request: entry_service_pb2.QueryEntriesRequest, context: grpc.ServicerContext
    ) -> entry_service_pb2.QueryEntriesResponse:
        """Counters."""
        with self._node.use(context.time_remaining()):
            if request.ids:
                numbers = list(request.ids)
            elif request.pipe:
                numbers = self._node.state.pipe(request.pipe).numbers()
            else:
                raise BadField("ids", "ids or pipe is required")
            counters = [counter_to(self._node.entry(number).query()) for number in numbers]
            return entry_service_pb2.QueryEntriesResponse(ids=numbers, counters=counters)

    def StreamEntries(  # noqa: N802
        self,
        request_iterator: Iterator[entry_service_pb2.StreamEntriesRequest],
        context: grpc.ServicerContext,
    ) -> Iterator[entry_service_pb2.StreamEntriesResponse]:
        """Batches, one response each."""
        for request in request_iterator:
            with self._node.use(context.time_remaining()) as dpu:
                response = entry_service_pb2.StreamEntriesResponse(sequence=request.sequence)
                match request.WhichOneof("batch"):
                    case "add":
                        for number, why in self._node.add_entries(dpu, request.add.entries, "add.entries"):
                            response.statuses.append(_status(why, number))
                    case "update":
                        for index, entry in enumerate(request.update.entries):
                            failed: FlowError | None = None
                            try:
                                self._node.update_entry(dpu, entry, f"update.entries[{index}]")
                            except FlowError as error:
                                failed = error
                            response.statuses.append(_status(failed, entry.id))
                    case "remove":
                        errors = self._node.remove_entries(request.remove.ids)
                        for number, why in zip(request.remove.ids, errors, strict=True):
                            response.statuses.append(_status(why, number))
                    case "add_columns":
                        first, entries = self._node.add_columns(dpu, request.add_columns)
                        said = "" if entries.error is None else entries.error.reason
                        response.columns.CopyFrom(_columns(first, entries.results.astype(np.uint8), said))
                    case "remove_columns":
                        packed = request.remove_columns.ids
                        if len(packed) % 8:
                            raise BadField("remove_columns.ids", "8 bytes for each number")
                        codes, reason = self._node.remove_columns(np.frombuffer(packed, "<u8"))
                        response.columns.CopyFrom(_columns(0, codes, reason))
                    case _:
                        raise BadField(
                            "batch", "one of add, update, remove, add_columns, remove_columns is required"
                        )
            yield response

    def ApplyTransaction(  # noqa: N802
        self, request: entry_service_pb2.ApplyTransactionRequest, context: grpc.ServicerContext
    ) -> entry_service_pb2.ApplyTransactionResponse:
        """Several changes in one step."""
        changes: list[tuple[str, entry_pb2.Entry | int]] = []
        for index, change in enumerate(request.changes):
            kind = change.WhichOneof("change")
            if kind is None:
                raise BadField(f"changes[{index}]", "one of add, update, remove is required")
            changes.append((kind, getattr(change, kind)))
        with self._node.use(context.time_remaining()) as dpu:
            numbers = self._node.transaction(dpu, changes)
            return entry_service_pb2.ApplyTransactionResponse(
                revision=dpu.stats().revision, statuses=[_status(None, number) for number in numbers]
            )


def _status(error: FlowError | None, number: int) -> flow_pb2.ItemStatus:
    if error is None:
        return flow_pb2.ItemStatus(entry_id=number)
    return flow_pb2.ItemStatus(doca_code=int(error.code), reason=error.reason, entry_id=number)


def _columns(first: int, codes: npt.NDArray[np.uint8], reason: str) -> entry_pb2.ColumnsStatus:
    failed = int(np.count_nonzero(codes))
    return entry_pb2.ColumnsStatus(
        succeeded=len(codes) - failed,
        first_entry_id=first,
        doca_codes=codes.tobytes() if failed else b"",
        first_reason=reason,
    )
