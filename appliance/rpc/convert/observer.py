# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Flow records, filters and maps: what appliance.telemetry has, as messages, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from appliance.rpc.convert.base import BadField
from appliance.telemetry import schema
from appliance.telemetry.edges import Edge
from appliance.telemetry.filters import BadFilter, Filter, Term, parse
from appliance.telemetry.render import columns
from appliance.telemetry.store import LOST_PLACES, Rows
from appliance.v1 import observer_pb2

_EVENTS: Final = {word: number for number, word in enumerate(schema.EVENTS)}
_VERDICTS: Final = {word: number for number, word in enumerate(schema.VERDICTS)}
_PLACES: Final = {place: number for number, place in enumerate(LOST_PLACES, 1)}


def flows_to(rows: Rows) -> list[observer_pb2.Flow]:
    """Records as messages."""
    made = dict(columns(rows))
    made["event"] = [_EVENTS[word] for word in made["event"]]
    made["verdict"] = [_VERDICTS[word] for word in made["verdict"]]
    keys = list(made)
    make: Any = observer_pb2.Flow
    return [make(**dict(zip(keys, values, strict=True))) for values in zip(*made.values(), strict=True)]


def flow_from(message: observer_pb2.Flow) -> dict[str, Any]:
    """A record as a dict: the public columns in their order, in the words of docs/records.md."""
    found: dict[str, Any] = {column.name: getattr(message, column.name) for column in schema.COLUMNS}
    found["event"] = schema.EVENTS[message.event]
    found["verdict"] = schema.VERDICTS[message.verdict]
    found["src_labels"], found["dst_labels"] = list(message.src_labels), list(message.dst_labels)
    return found


def filters_from(messages: Sequence[observer_pb2.FlowFilter], text: str) -> tuple[Filter, ...]:
    """Filters from messages or from text."""
    if messages and text:
        raise BadField("filter", "give filters as messages or as text, not both")
    if text:
        try:
            return parse(text)
        except BadFilter as error:
            raise BadField("filter", error.reason) from None
    return tuple(
        Filter(tuple(Term(term.field, tuple(term.values), term.negate) for term in message.terms))
        for message in messages
    )


def filters_to(filters: Sequence[Filter]) -> list[observer_pb2.FlowFilter]:
    """Filters as messages."""
    return [
        observer_pb2.FlowFilter(
            terms=[
                observer_pb2.FlowTerm(field=term.field, values=term.values, negate=term.negate)
                for term in one.terms
            ]
        )
        for one in filters
    ]


def losses_to(lost: Mapping[str, int]) -> list[observer_pb2.FlowLoss]:
    """Counts by place, those that are not 0."""
    make: Any = observer_pb2.FlowLoss
    return [make(place=_PLACES[place], count=count) for place, count in lost.items() if count]


def losses_from(messages: Sequence[observer_pb2.FlowLoss]) -> dict[str, int]:
    """Counts by place."""
    return {LOST_PLACES[message.place - 1]: message.count for message in messages if message.place}


def edge_to(edge: Edge) -> observer_pb2.FlowEdge:
    """An edge of the map."""
    make: Any = observer_pb2.FlowEdge
    members = {name: getattr(edge, name) for name in Edge.__slots__}
    made: observer_pb2.FlowEdge = make(**{**members, "verdict": _VERDICTS[edge.verdict]})
    return made


def edge_from(message: observer_pb2.FlowEdge) -> Edge:
    """An edge of the map."""
    members = {name: getattr(message, name) for name in Edge.__slots__}
    return Edge(**{**members, "verdict": schema.VERDICTS[message.verdict]})
