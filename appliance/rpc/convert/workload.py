# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Workloads and containment: messages and values of ``appliance.policy``."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address, ip_network
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from appliance.flow.values import parse_mac
from appliance.intelligence.v1 import statement_pb2
from appliance.policy.containment import Contained, KeptPath
from appliance.policy.model import Interface, State, Workload
from appliance.rpc.convert.base import BadField, at
from appliance.v1 import containment_service_pb2, workload_pb2

STATES: Final = {
    State.NORMAL: workload_pb2.WORKLOAD_STATE_NORMAL,
    State.WATCHED: workload_pb2.WORKLOAD_STATE_WATCHED,
    State.RESTRICTED: workload_pb2.WORKLOAD_STATE_RESTRICTED,
    State.QUARANTINED: workload_pb2.WORKLOAD_STATE_QUARANTINED,
}
STATE_OF: Final = {number: state for state, number in STATES.items()}


def timestamp(seconds: float) -> Timestamp:
    """Seconds since the epoch as a message."""
    made = Timestamp()
    made.FromNanoseconds(int(seconds * 1e9))
    return made


def interface_from(message: workload_pb2.WorkloadInterface, path: str) -> Interface:
    """An interface; ``BadField`` names what is wrong."""
    for name in ("network", "port", "mac"):
        if not getattr(message, name):
            raise BadField(f"{path}.{name}", "is required")
    with at(f"{path}.mac"):
        parse_mac(message.mac)
    with at(f"{path}.addresses"):
        addresses = tuple(str(ip_address(text)) for text in message.addresses)
    with at(f"{path}.prefixes"):
        prefixes = tuple(str(ip_network(text)) for text in message.prefixes)
    if not addresses and not prefixes:
        raise BadField(f"{path}.addresses", "without an address or a prefix the port would admit nothing")
    return Interface(
        network=message.network, port=message.port, mac=message.mac.lower(), addresses=addresses,
        prefixes=prefixes, appliance=message.appliance,
    )  # fmt: skip


def workload_from(message: workload_pb2.Workload) -> Workload:
    """A workload as it is wanted; what only an inventory can tell is not checked."""
    if not message.name:
        raise BadField("workload.name", "is required")
    spec = message.spec
    interfaces = tuple(
        interface_from(one, f"workload.spec.interfaces[{index}]") for index, one in enumerate(spec.interfaces)
    )
    return Workload(
        name=message.name, labels=dict(spec.labels), kind=spec.kind or "generic", origin=spec.origin or "dc",
        interfaces=interfaces, risk=spec.risk,
    )  # fmt: skip


def spec_to(workload: Workload) -> workload_pb2.WorkloadSpec:
    """What a workload is to be."""
    return workload_pb2.WorkloadSpec(
        labels=dict(workload.labels),
        kind=workload.kind,
        origin=workload.origin,
        risk=workload.risk,
        interfaces=[
            workload_pb2.WorkloadInterface(
                network=one.network, port=one.port, mac=one.mac, addresses=one.addresses,
                prefixes=one.prefixes, appliance=one.appliance,
            )
            for one in workload.interfaces
        ],
    )  # fmt: skip


def keep_from(
    messages: Iterable[containment_service_pb2.KeptPath | statement_pb2.ContainedPath],
) -> tuple[KeptPath, ...]:
    """Paths that stay open."""
    return tuple(KeptPath(one.source, one.target, tuple(one.services) or ("any",)) for one in messages)


def contained_to(one: Contained) -> containment_service_pb2.Contained:
    """A contained workload."""
    return containment_service_pb2.Contained(
        workload=one.workload,
        state=STATES[one.state],
        since=timestamp(one.since),
        seconds_left=one.left,
        reason=one.reason,
        actor=one.actor,
        reset=one.reset,
        keep=[
            containment_service_pb2.KeptPath(source=path.source, target=path.target, services=path.services)
            for path in one.keep
        ],
    )
