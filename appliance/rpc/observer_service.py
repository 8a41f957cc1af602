# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""ObserverService."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from typing import Final, Protocol

import grpc
import numpy as np

from appliance.errors import Full, InvalidValue
from appliance.rpc.convert.base import BadField
from appliance.rpc.convert.observer import edge_to, filters_from, flows_to, losses_to
from appliance.telemetry import Telemetry
from appliance.telemetry.edges import flow_map
from appliance.telemetry.filters import BadFilter, Test, compiled
from appliance.telemetry.store import Rows, gather
from appliance.v1 import observer_pb2, observer_service_pb2, observer_service_pb2_grpc

STREAMS: Final = 12
"""Streams at a time: each takes a thread of the server."""
BATCH: Final = 512
"""Records in one message."""
MAX_LAG: Final = 1 << 20
DEFAULT_LAG: Final = 1 << 16
MAX_LAST: Final = 1 << 17
MAX_PAGE: Final = 10_000
DEFAULT_PAGE: Final = 1000
MAX_EDGES: Final = 10_000
DEFAULT_EDGES: Final = 1000
BEAT_SECONDS: Final = 5.0
"""A follower hears that often that nothing came, so that a dead one is noticed."""


class Wants(Protocol):
    """What all three requests have."""

    @property
    def filter(self) -> str: ...
    @property
    def since_ns(self) -> int: ...
    @property
    def until_ns(self) -> int: ...


class ObserverServicer(observer_service_pb2_grpc.ObserverServiceServicer):
    """Flow records."""

    service = observer_service_pb2.DESCRIPTOR.services_by_name["ObserverService"].full_name

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry
        self._streams = threading.Semaphore(STREAMS)

    def add_to(self, server: grpc.Server) -> None:
        """Register with a server."""
        observer_service_pb2_grpc.add_ObserverServiceServicer_to_server(self, server)

    # -- what a request means

    def _test(
        self,
        request: observer_service_pb2.GetFlowsRequest
        | observer_service_pb2.ListFlowsRequest
        | observer_service_pb2.GetFlowStatsRequest,
    ) -> Test | None:
        try:
            return compiled(filters_from(request.filters, request.filter))
        except BadFilter as error:
            raise BadField("filters", error.reason) from None

    def _range(self, request: Wants) -> tuple[int, int]:
        """Record numbers from and up to which."""
        store = self._telemetry.store
        if request.since_ns < 0 or request.until_ns < 0:
            raise BadField("since_ns" if request.since_ns < 0 else "until_ns", "is before 1970")
        if request.until_ns and request.until_ns < request.since_ns:
            raise BadField("until_ns", "is before since_ns")
        stop = store.first_since(request.until_ns) if request.until_ns else store.next
        return (store.first_since(request.since_ns) if request.since_ns else store.oldest), stop

    def _gone(self, request: Wants) -> dict[str, int]:
        """What a question about the past could not see."""
        store = self._telemetry.store
        whole = store.first_since(request.since_ns) > store.oldest if request.since_ns else False
        return {place: count for place, count in store.lost.items() if not (place == "store" and whole)}

    def _flows(self, rows: Rows) -> list[observer_pb2.Flow]:
        """Records as messages."""
        with self._telemetry.converting():
            return flows_to(rows)

    def _answers(
        self, rows: Rows | None, lost: Mapping[str, int], position: int
    ) -> Iterator[observer_service_pb2.GetFlowsResponse]:
        """Records in messages of bounded size; what was lost is told in the first."""
        count = 0 if rows is None else len(rows)
        for at in range(0, max(count, 1), BATCH):
            flows = [] if rows is None else self._flows(rows.take(np.arange(at, min(at + BATCH, count))))
            losses = losses_to(lost) if at == 0 else []
            reached = position if rows is None or at + BATCH >= count else int(rows.records[at + BATCH])
            yield observer_service_pb2.GetFlowsResponse(flows=flows, losses=losses, next_record=reached)

    # -- calls

    def GetFlows(  # noqa: N802
        self, request: observer_service_pb2.GetFlowsRequest, context: grpc.ServicerContext
    ) -> Iterator[observer_service_pb2.GetFlowsResponse]:
        """Stream records."""
        test = self._test(request)
        if request.follow and request.until_ns:
            raise BadField("until_ns", "there is no end when following")
        _bounded("lag", request.lag, MAX_LAG)
        _bounded("last", request.last, MAX_LAST)
        if not self._streams.acquire(blocking=False):
            raise Full(f"{STREAMS} streams of flow records run already")
        try:
            yield from self._stream(request, test, context)
        finally:
            self._streams.release()

    def _stream(
        self, request: observer_service_pb2.GetFlowsRequest, test: Test | None, context: grpc.ServicerContext
    ) -> Iterator[observer_service_pb2.GetFlowsResponse]:
        start, stop = self._range(request)
        if request.follow and not request.since_ns and not request.last:
            start = stop
        lost = self._gone(request) if start < stop else {}
        if request.last:
            # Found at once, since the store goes on overwriting.
            rows = self._newest(test, start, stop, request.last)
            if rows is not None and len(rows) == request.last:
                lost.pop("store", None)  # what was asked for is there
            yield from self._answers(rows, lost, stop)
            start, lost = stop, {}
        if start >= stop and not request.follow:
            return
        reader = self._telemetry.follow(test, start=start, lag=request.lag or DEFAULT_LAG)
        if not context.add_callback(reader.close):
            return
        yield from self._answers(None, lost, start)  # the client knows that it is listened to
        told = time.monotonic()
        while not reader.closed and (request.follow or reader.position < stop):
            reader.wait(BEAT_SECONDS)
            with self._telemetry.converting():
                taken = reader.take(0)
            rows = taken.rows if request.follow else taken.rows.take(taken.rows.records < stop)
            if len(rows) or taken.lost or time.monotonic() - told >= BEAT_SECONDS:
                yield from self._answers(rows, taken.lost, taken.position)
                told = time.monotonic()

    def _newest(self, test: Test | None, start: int, stop: int, count: int) -> Rows | None:
        pieces: list[Rows] = []
        left = count
        for piece in self._telemetry.store.scan(test, start=start, stop=stop, backwards=True):
            pieces.append(piece.take(np.arange(max(0, len(piece) - left), len(piece))))
            left -= len(pieces[-1])
            if left <= 0:
                break
        return gather(pieces[::-1]) if pieces else None

    def ListFlows(  # noqa: N802
        self, request: observer_service_pb2.ListFlowsRequest, context: grpc.ServicerContext
    ) -> observer_service_pb2.ListFlowsResponse:
        """A page of the history."""
        test = self._test(request)
        store = self._telemetry.store
        size = _bounded("page_size", request.page_size, MAX_PAGE) or DEFAULT_PAGE
        start, stop = self._range(request)
        if request.page_token:
            if not request.page_token.isdecimal():
                raise BadField("page_token", "is not from an answer of this call")
            token = min(int(request.page_token), 1 << 62)
            start, stop = (start, min(stop, token)) if request.newest_first else (max(start, token), stop)
        pieces: list[Rows] = []
        found = 0
        for piece in store.scan(test, start=start, stop=stop, backwards=request.newest_first):
            pieces.append(piece)
            found += len(piece)
            if found > size:
                break
        response = observer_service_pb2.ListFlowsResponse(losses=losses_to(self._gone(request)))
        if found:
            rows = gather(pieces[::-1] if request.newest_first else pieces)
            order = np.arange(len(rows))[:: -1 if request.newest_first else 1]
            for at in range(0, min(size, found), BATCH):
                response.flows.extend(self._flows(rows.take(order[at : min(at + BATCH, size)])))
            if found > size:
                last = int(rows.records[order[size - 1]])
                response.next_page_token = str(last if request.newest_first else last + 1)
        oldest = store.read(store.oldest, store.oldest + 1)[0]
        if len(oldest):
            response.oldest_record, response.oldest_ns = int(oldest.records[0]), int(oldest["time_ns"][0])
        response.stored = len(store)
        return response

    def GetFlowStats(  # noqa: N802
        self, request: observer_service_pb2.GetFlowStatsRequest, context: grpc.ServicerContext
    ) -> observer_service_pb2.GetFlowStatsResponse:
        """The map."""
        test = self._test(request)
        limit = _bounded("limit", request.limit, MAX_EDGES) or DEFAULT_EDGES
        start, stop = self._range(request)
        try:
            found = flow_map(
                self._telemetry.store.scan(test, start=start, stop=stop),
                request.group_by or "workload",
                services=not request.without_services,
                limit=limit,
            )
        except InvalidValue as error:
            raise BadField("group_by", error.reason) from None
        return observer_service_pb2.GetFlowStatsResponse(
            edges=map(edge_to, found.edges),
            total_edges=found.total,
            connections=found.connections,
            losses=losses_to(self._gone(request)),
        )


def _bounded(field: str, number: int, most: int) -> int:
    if number > most:
        raise BadField(field, f"is at most {most}")
    return number
