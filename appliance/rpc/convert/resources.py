# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Shared resources: meters, counters, encapsulations, decapsulations."""

from __future__ import annotations

from typing import Final

from appliance.flow import types as flow
from appliance.rpc.convert.base import BadField, enum_from, enum_to
from appliance.rpc.convert.flow import UNITS, actions_from, actions_to
from appliance.v1 import flow_pb2, shared_resource_pb2

METERS: Final = {
    shared_resource_pb2.METER_ALGORITHM_RFC2697: flow.MeterAlgorithm.RFC2697,
    shared_resource_pb2.METER_ALGORITHM_RFC2698: flow.MeterAlgorithm.RFC2698,
    shared_resource_pb2.METER_ALGORITHM_RFC4115: flow.MeterAlgorithm.RFC4115,
}
KINDS: Final = {
    shared_resource_pb2.SHARED_RESOURCE_KIND_METER: flow.SharedResourceType.METER,
    shared_resource_pb2.SHARED_RESOURCE_KIND_COUNTER: flow.SharedResourceType.COUNTER,
    shared_resource_pb2.SHARED_RESOURCE_KIND_ENCAP: flow.SharedResourceType.ENCAP,
    shared_resource_pb2.SHARED_RESOURCE_KIND_DECAP: flow.SharedResourceType.DECAP,
}

Resource = flow.MeterConfig | flow.CounterConfig | flow.Encap | flow.Decap


def resource_from(
    message: shared_resource_pb2.SharedResource, path: str = "resource"
) -> tuple[flow.SharedResourceType, Resource]:
    """Kind and configuration."""
    match message.WhichOneof("resource"):
        case "meter":
            meter = message.meter
            mode = flow.ColorMode.AWARE if meter.color_aware else flow.ColorMode.BLIND
            return flow.SharedResourceType.METER, flow.MeterConfig(
                cir=meter.cir,
                cbs=meter.cbs,
                alg=enum_from(
                    METERS, meter.algorithm, flow.MeterAlgorithm.RFC2697, f"{path}.meter.algorithm"
                ),
                limit_type=enum_from(UNITS, meter.unit, flow.LimitType.BYTES, f"{path}.meter.unit"),
                color_mode=mode,
                ebs=meter.ebs,
                pir=meter.pir,
                pbs=meter.pbs,
                eir=meter.eir,
            )
        case "counter":
            return flow.SharedResourceType.COUNTER, flow.CounterConfig()
        case "encap":
            fields_ = [flow_pb2.Field(name="encap_type", text="non_shared")]
            fields_ += [_prefixed("encap.", field) for field in message.encap.fields]
            encap = actions_from(flow_pb2.Actions(fields=fields_), f"{path}.encap").encap
            return flow.SharedResourceType.ENCAP, encap or flow.Encap()
        case "decap":
            fields_ = [flow_pb2.Field(name="decap_type", text="non_shared")]
            fields_ += [_prefixed("decap.", field) for field in message.decap.fields]
            decap = actions_from(flow_pb2.Actions(fields=fields_), f"{path}.decap").decap
            return flow.SharedResourceType.DECAP, decap or flow.Decap()
        case _:
            raise BadField(path, "one of meter, counter, encap, decap is required")


def _prefixed(prefix: str, field: flow_pb2.Field) -> flow_pb2.Field:
    return flow_pb2.Field(name=prefix + field.name, value=field.value, text=field.text)


def resource_to(resource_id: int, resource: Resource) -> shared_resource_pb2.SharedResource:
    """A resource as it was set."""
    message = shared_resource_pb2.SharedResource(id=resource_id)
    if isinstance(resource, flow.MeterConfig):
        message.meter.CopyFrom(
            shared_resource_pb2.SharedMeter(
                algorithm=enum_to(METERS, resource.alg),
                unit=enum_to(UNITS, resource.limit_type),
                color_aware=resource.color_mode is flow.ColorMode.AWARE,
                cir=resource.cir,
                cbs=resource.cbs,
                ebs=resource.ebs,
                pir=resource.pir,
                pbs=resource.pbs,
                eir=resource.eir,
            )
        )
    elif isinstance(resource, flow.CounterConfig):
        message.counter.SetInParent()
    else:
        encap = isinstance(resource, flow.Encap)
        actions = actions_to(
            flow.Actions(encap=resource) if isinstance(resource, flow.Encap) else flow.Actions(decap=resource)
        )
        prefix = "encap." if encap else "decap."
        kept = [
            flow_pb2.Field(name=field.name.removeprefix(prefix), value=field.value, text=field.text)
            for field in actions.fields
            if field.name.startswith(prefix)
        ]
        (message.encap if encap else message.decap).CopyFrom(flow_pb2.Actions(fields=kept))
    return message
