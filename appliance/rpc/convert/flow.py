# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Matches, actions, monitors, forwards, pipes and entries.

A message that cannot be converted raises ``BadField``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeVar

from appliance.flow import fields
from appliance.flow import types as flow
from appliance.flow.fields import Field
from appliance.rpc import fieldtext
from appliance.rpc.convert.base import MAX_U16, BadField, PortNames, at, enum_from, enum_to
from appliance.v1 import entry_pb2, flow_pb2, pipe_pb2

T = TypeVar("T")

# --- enums ------------------------------------------------------------------------------------------------------

PIPE_TYPES: Final = {
    pipe_pb2.PIPE_TYPE_BASIC: flow.PipeType.BASIC,
    pipe_pb2.PIPE_TYPE_CONTROL: flow.PipeType.CONTROL,
    pipe_pb2.PIPE_TYPE_LPM: flow.PipeType.LPM,
    pipe_pb2.PIPE_TYPE_ACL: flow.PipeType.ACL,
    pipe_pb2.PIPE_TYPE_ORDERED_LIST: flow.PipeType.ORDERED_LIST,
    pipe_pb2.PIPE_TYPE_HASH: flow.PipeType.HASH,
}
DOMAINS: Final = {
    pipe_pb2.PIPE_DOMAIN_DEFAULT: flow.Domain.DEFAULT,
    pipe_pb2.PIPE_DOMAIN_EGRESS: flow.Domain.EGRESS,
}
ALGORITHMS: Final = {
    flow_pb2.HASH_ALGORITHM_HASH: flow.HashAlgorithm.HASH,
    flow_pb2.HASH_ALGORITHM_RANDOM: flow.HashAlgorithm.RANDOM,
    flow_pb2.HASH_ALGORITHM_IDENTITY: flow.HashAlgorithm.IDENTITY,
    flow_pb2.HASH_ALGORITHM_ROUND_ROBIN: flow.HashAlgorithm.ROUND_ROBIN,
    flow_pb2.HASH_ALGORITHM_FLOODING: flow.HashAlgorithm.FLOODING,
    flow_pb2.HASH_ALGORITHM_SELECT_ENABLED: flow.HashAlgorithm.SELECT_ENABLED,
}
OPERATIONS: Final = {
    flow_pb2.CONDITION_OPERATION_EQ: flow.CompareOp.EQ,
    flow_pb2.CONDITION_OPERATION_NE: flow.CompareOp.NE,
    flow_pb2.CONDITION_OPERATION_LT: flow.CompareOp.LT,
    flow_pb2.CONDITION_OPERATION_LE: flow.CompareOp.LE,
    flow_pb2.CONDITION_OPERATION_GT: flow.CompareOp.GT,
    flow_pb2.CONDITION_OPERATION_GE: flow.CompareOp.GE,
}
ACTION_TYPES: Final = {
    flow_pb2.ACTION_TYPE_AUTO: flow.ActionType.AUTO,
    flow_pb2.ACTION_TYPE_ADD: flow.ActionType.ADD,
    flow_pb2.ACTION_TYPE_COPY: flow.ActionType.COPY,
}
COLORS: Final = {
    flow_pb2.METER_COLOR_RED: flow.MeterColor.RED,
    flow_pb2.METER_COLOR_YELLOW: flow.MeterColor.YELLOW,
    flow_pb2.METER_COLOR_GREEN: flow.MeterColor.GREEN,
}
UNITS: Final = {
    flow_pb2.METER_UNIT_BYTES: flow.LimitType.BYTES,
    flow_pb2.METER_UNIT_PACKETS: flow.LimitType.PACKETS,
}
# --- fields -----------------------------------------------------------------------------------------------------


def field_to_proto(row: Field, number: int, *, mask: bool = False) -> flow_pb2.Field:
    """One field with both its value and its text."""
    text = fieldtext.show_mask(row, number) if mask else fieldtext.show(row, number)
    return flow_pb2.Field(name=row.name, value=fieldtext.to_bytes(row, number), text=text)


def _flat(messages: Iterable[flow_pb2.Field], rows: Mapping[str, Field], path: str) -> dict[str, int]:
    flat: dict[str, int] = {}
    for index, message in enumerate(messages):
        with at(f"{path}.fields[{index}]"):
            row = fieldtext.resolve(message.name, rows)
            if row.name in flat:
                raise ValueError(f"{row.name} is given twice")
            if message.value:
                flat[row.name] = fieldtext.from_bytes(row, message.value)
            elif message.text:
                flat[row.name] = fieldtext.parse(row, message.text)
            else:
                raise ValueError(f"{message.name} has neither value nor text")
    return flat


def match_from(message: flow_pb2.Match, path: str) -> flow.Match:
    """A match or a match mask."""
    flat = _flat(message.fields, fields.MATCH, path)
    with at(path):
        return flow.Match.from_flat(flat)


def match_to(match: flow.Match, *, mask: bool = False) -> flow_pb2.Match:
    """The non-zero fields."""
    flat = match.flat()
    return flow_pb2.Match(fields=[field_to_proto(fields.MATCH[n], v, mask=mask) for n, v in flat.items()])


def actions_from(message: flow_pb2.Actions, path: str) -> flow.Actions:
    """Actions or an actions mask."""
    flat = _flat(message.fields, fields.ACTIONS, path)
    with at(path):
        return flow.Actions.from_flat(flat)


def actions_to(actions: flow.Actions, *, mask: bool = False) -> flow_pb2.Actions:
    """The non-zero fields."""
    flat = actions.flat()
    return flow_pb2.Actions(fields=[field_to_proto(fields.ACTIONS[n], v, mask=mask) for n, v in flat.items()])


def _desc_from(message: flow_pb2.ActionDescriptor, path: str) -> flow.ActionDesc:
    kind = enum_from(ACTION_TYPES, message.type, flow.ActionType.AUTO, f"{path}.type")
    source = flow.DescField(message.source, message.source_bit) if message.source else None
    destination = flow.DescField(message.destination, message.destination_bit)
    return flow.ActionDesc(kind, destination, source, message.width)


def _desc_to(desc: flow.ActionDesc) -> flow_pb2.ActionDescriptor:
    source = desc.src or flow.DescField("")
    return flow_pb2.ActionDescriptor(
        type=enum_to(ACTION_TYPES, desc.type),
        source=source.field_string,
        source_bit=source.bit_offset,
        destination=desc.dst.field_string,
        destination_bit=desc.dst.bit_offset,
        width=desc.width,
    )


Template = tuple[flow.Actions, "flow.Actions | None", tuple[flow.ActionDesc, ...]]


def _template_from(message: flow_pb2.ActionTemplate, path: str) -> Template:
    mask = actions_from(message.mask, f"{path}.mask") if message.HasField("mask") else None
    descs = tuple(_desc_from(desc, f"{path}.descriptors[{i}]") for i, desc in enumerate(message.descriptors))
    return actions_from(message.actions, f"{path}.actions"), mask, descs


def _template_to(
    actions: flow.Actions, mask: flow.Actions | None, descs: Iterable[flow.ActionDesc]
) -> flow_pb2.ActionTemplate:
    return flow_pb2.ActionTemplate(
        actions=actions_to(actions),
        mask=None if mask is None else actions_to(mask, mask=True),
        descriptors=[_desc_to(desc) for desc in descs],
    )


# --- monitor, forward, condition --------------------------------------------------------------------------------


def monitor_from(message: flow_pb2.Monitor, path: str) -> flow.Monitor:
    """A monitor."""
    counter: bool | int = False
    if message.counter == flow_pb2.RESOURCE_TYPE_NON_SHARED:
        counter = True
    elif message.counter == flow_pb2.RESOURCE_TYPE_SHARED:
        counter = message.shared_counter_id
    elif message.counter not in (flow_pb2.RESOURCE_TYPE_UNSPECIFIED, flow_pb2.RESOURCE_TYPE_NONE):
        raise BadField(f"{path}.counter", f"{message.counter} is not a value of this enum")
    meter: flow.Meter | flow.SharedMeter | None = None
    if message.meter == flow_pb2.RESOURCE_TYPE_NON_SHARED:
        unit = enum_from(UNITS, message.meter_unit, flow.LimitType.BYTES, f"{path}.meter_unit")
        meter = flow.Meter(message.cir, message.cbs, unit)
    elif message.meter == flow_pb2.RESOURCE_TYPE_SHARED:
        color = enum_from(
            COLORS, message.shared_meter_init_color, flow.MeterColor.GREEN, f"{path}.shared_meter_init_color"
        )
        meter = flow.SharedMeter(message.shared_meter_id, color)
    elif message.meter not in (flow_pb2.RESOURCE_TYPE_UNSPECIFIED, flow_pb2.RESOURCE_TYPE_NONE):
        raise BadField(f"{path}.meter", f"{message.meter} is not a value of this enum")
    return flow.Monitor(counter, meter, message.aging_sec)


def monitor_to(monitor: flow.Monitor) -> flow_pb2.Monitor:
    """A monitor."""
    message = flow_pb2.Monitor(aging_sec=monitor.aging_sec)
    if monitor.counter_type is flow.ResourceType.NON_SHARED:
        message.counter = flow_pb2.RESOURCE_TYPE_NON_SHARED
    elif monitor.counter_type is flow.ResourceType.SHARED:
        message.counter = flow_pb2.RESOURCE_TYPE_SHARED
        message.shared_counter_id = int(monitor.counter)
    if isinstance(monitor.meter, flow.Meter):
        message.meter = flow_pb2.RESOURCE_TYPE_NON_SHARED
        message.meter_unit = enum_to(UNITS, monitor.meter.limit_type)
        message.cir, message.cbs = monitor.meter.cir, monitor.meter.cbs
    elif isinstance(monitor.meter, flow.SharedMeter):
        message.meter = flow_pb2.RESOURCE_TYPE_SHARED
        message.shared_meter_id = monitor.meter.id
        message.shared_meter_init_color = enum_to(COLORS, monitor.meter.init_color)
    return message


def fwd_from(message: flow_pb2.Fwd, ports: PortNames, path: str) -> flow.Fwd | None:
    """A forward; None when unspecified."""
    kind = message.type
    if kind == flow_pb2.FWD_TYPE_UNSPECIFIED:
        return None
    if kind == flow_pb2.FWD_TYPE_PORT:
        with at(f"{path}.port"):
            return flow.FwdPort(ports.id(message.port))
    if kind == flow_pb2.FWD_TYPE_PIPE:
        return flow.FwdPipe(message.pipe or None)
    if kind == flow_pb2.FWD_TYPE_DROP:
        return flow.FwdDrop(message.drop_reason)
    if kind == flow_pb2.FWD_TYPE_REJECT:
        return flow.FwdReject(message.drop_reason)
    if kind == flow_pb2.FWD_TYPE_ANSWER:
        return flow.FwdAnswer()
    if kind == flow_pb2.FWD_TYPE_TARGET:
        return flow.FwdTarget()
    if kind == flow_pb2.FWD_TYPE_CHANGEABLE:
        return flow.FwdChangeable()
    if kind == flow_pb2.FWD_TYPE_ORDERED_LIST_PIPE:
        return flow.FwdOrderedList(message.pipe, message.index)
    if kind == flow_pb2.FWD_TYPE_HASH_PIPE:
        algorithm = enum_from(ALGORITHMS, message.algorithm, flow.NO_ALGORITHM, f"{path}.algorithm")
        return flow.FwdHash(message.pipe, algorithm)
    if kind == flow_pb2.FWD_TYPE_RSS:
        for index, queue in enumerate(message.rss_queues):
            if queue > MAX_U16:
                raise BadField(f"{path}.rss_queues[{index}]", f"{queue} is above {MAX_U16}")
        function = flow.RssHash.SYMMETRIC_TOEPLITZ if message.rss_symmetric else flow.RssHash.TOEPLITZ
        return flow.FwdRss(
            tuple(message.rss_queues) or (0,),
            flow.RssFlags(message.rss_outer_flags),
            flow.RssFlags(message.rss_inner_flags),
            function,
        )
    raise BadField(f"{path}.type", f"{kind} is not a value of this enum")


def fwd_to(fwd: flow.Fwd | None, ports: PortNames) -> flow_pb2.Fwd | None:
    """A forward; None when there is none."""
    if isinstance(fwd, flow.FwdPort):
        return flow_pb2.Fwd(type=flow_pb2.FWD_TYPE_PORT, port=ports.name(fwd.port_id))
    if isinstance(fwd, flow.FwdPipe):
        return flow_pb2.Fwd(
            type=flow_pb2.FWD_TYPE_PIPE, pipe="" if fwd.pipe is None else flow.pipe_name(fwd.pipe)
        )
    if isinstance(fwd, flow.FwdDrop):
        return flow_pb2.Fwd(type=flow_pb2.FWD_TYPE_DROP, drop_reason=fwd.reason)
    if isinstance(fwd, flow.FwdReject):
        return flow_pb2.Fwd(type=flow_pb2.FWD_TYPE_REJECT, drop_reason=fwd.reason)
    if isinstance(fwd, flow.FwdAnswer):
        return flow_pb2.Fwd(type=flow_pb2.FWD_TYPE_ANSWER)
    if isinstance(fwd, flow.FwdTarget):
        return flow_pb2.Fwd(type=flow_pb2.FWD_TYPE_TARGET)
    if isinstance(fwd, flow.FwdChangeable):
        return flow_pb2.Fwd(type=flow_pb2.FWD_TYPE_CHANGEABLE)
    if isinstance(fwd, flow.FwdOrderedList):
        return flow_pb2.Fwd(
            type=flow_pb2.FWD_TYPE_ORDERED_LIST_PIPE, pipe=flow.pipe_name(fwd.pipe), index=fwd.idx
        )
    if isinstance(fwd, flow.FwdHash):
        message = flow_pb2.Fwd(type=flow_pb2.FWD_TYPE_HASH_PIPE, pipe=flow.pipe_name(fwd.pipe))
        if fwd.algorithm:
            message.algorithm = enum_to(ALGORITHMS, fwd.algorithm)
        return message
    if isinstance(fwd, flow.FwdRss):
        return flow_pb2.Fwd(
            type=flow_pb2.FWD_TYPE_RSS,
            rss_queues=list(fwd.queues),
            rss_outer_flags=int(fwd.outer_flags),
            rss_inner_flags=int(fwd.inner_flags),
            rss_symmetric=fwd.hash_func is flow.RssHash.SYMMETRIC_TOEPLITZ,
        )
    return None


def condition_from(message: flow_pb2.Condition, path: str) -> flow.Condition:
    """A condition of a control entry."""
    if message.operation == flow_pb2.CONDITION_OPERATION_UNSPECIFIED:
        raise BadField(f"{path}.operation", "is required")
    operation = enum_from(OPERATIONS, message.operation, flow.CompareOp.EQ, f"{path}.operation")
    b = flow.DescField(message.b, message.b_bit) if message.b else None
    return flow.Condition(operation, flow.DescField(message.a, message.a_bit), b, message.width)


def condition_to(condition: flow.Condition) -> flow_pb2.Condition:
    """A condition of a control entry."""
    b = condition.b or flow.DescField("")
    return flow_pb2.Condition(
        operation=enum_to(OPERATIONS, condition.operation),
        a=condition.a.field_string,
        a_bit=condition.a.bit_offset,
        b=b.field_string,
        b_bit=b.bit_offset,
        width=condition.width,
    )


def _list_from(message: flow_pb2.OrderedList, path: str) -> flow.OrderedList:
    elements: list[flow.ListElement] = []
    for index, element in enumerate(message.elements):
        where = f"{path}.elements[{index}]"
        match element.WhichOneof("element"):
            case "actions":
                elements.append(flow.ListActions(*_template_from(element.actions, f"{where}.actions")))
            case "monitor":
                elements.append(monitor_from(element.monitor, f"{where}.monitor"))
            case "nat64":
                if element.nat64 not in (4, 6):
                    raise BadField(f"{where}.nat64", "is 4 or 6")
                elements.append(flow.ListNat64(flow.L3Type.IP4 if element.nat64 == 4 else flow.L3Type.IP6))
            case _:
                raise BadField(where, "is empty")
    return flow.OrderedList(message.index, tuple(elements))


def _list_to(ordered: flow.OrderedList) -> flow_pb2.OrderedList:
    message = flow_pb2.OrderedList(index=ordered.idx)
    for element in ordered.elements:
        added = message.elements.add()
        if isinstance(element, flow.Monitor):
            added.monitor.CopyFrom(monitor_to(element))
        elif isinstance(element, flow.ListNat64):
            added.nat64 = 4 if element.original_l3_type is flow.L3Type.IP4 else 6
        else:
            added.actions.CopyFrom(_template_to(element.actions, element.actions_mask, element.action_descs))
    return message


# --- pipes and entries ------------------------------------------------------------------------------------------


def name_from(name: str, path: str) -> str:
    """A name: 1 to 63 bytes, printable, without spaces at its ends."""
    if not name or name != name.strip() or not name.isprintable():
        raise BadField(path, "a name of 1 to 63 printable bytes is required")
    if len(name.encode()) > 63:
        raise BadField(path, f"{name!r} is longer than 63 bytes")
    return name


def pipe_from(message: pipe_pb2.Pipe, ports: PortNames, path: str = "pipe") -> flow.PipeSpec:
    """What to create; output only fields are ignored, ``port`` is the caller's to resolve."""
    templates = [_template_from(action, f"{path}.actions[{i}]") for i, action in enumerate(message.actions)]
    algorithm = flow.NO_ALGORITHM
    for index, number in enumerate(message.hash_algorithms):
        where = f"{path}.hash_algorithms[{index}]"
        algorithm |= enum_from(ALGORITHMS, number, flow.NO_ALGORITHM, where)
    if message.congestion_percent > 100:
        raise BadField(f"{path}.congestion_percent", f"{message.congestion_percent} is above 100")
    return flow.PipeSpec(
        name=name_from(message.name, f"{path}.name"),
        type=enum_from(PIPE_TYPES, message.type, flow.PipeType.BASIC, f"{path}.type"),
        domain=enum_from(DOMAINS, message.domain, flow.Domain.DEFAULT, f"{path}.domain"),
        is_root=message.is_root,
        nr_entries=message.nr_entries,
        match=match_from(message.match, f"{path}.match"),
        match_mask=match_from(message.match_mask, f"{path}.match_mask")
        if message.HasField("match_mask")
        else None,
        actions=tuple(template[0] for template in templates),
        actions_masks=tuple(template[1] for template in templates),
        action_descs=tuple(template[2] for template in templates),
        monitor=monitor_from(message.monitor, f"{path}.monitor") if message.HasField("monitor") else None,
        fwd=fwd_from(message.fwd, ports, f"{path}.fwd"),
        fwd_miss=fwd_from(message.fwd_miss, ports, f"{path}.fwd_miss"),
        miss_counter=message.miss_counter,
        label=message.label,
        is_resizable=message.is_resizable,
        congestion_level_threshold=message.congestion_percent,
        excluded_queues=tuple(message.excluded_queues),
        hash_map_algorithm=algorithm,
        ordered_lists=tuple(
            _list_from(ordered, f"{path}.ordered_lists[{i}]")
            for i, ordered in enumerate(message.ordered_lists)
        ),
    )


def pipe_to(spec: flow.PipeSpec, port: str, ports: PortNames) -> pipe_pb2.Pipe:
    """A pipe as it was created."""
    return pipe_pb2.Pipe(
        name=spec.name,
        port=port,
        type=enum_to(PIPE_TYPES, spec.type),
        domain=enum_to(DOMAINS, spec.domain),
        is_root=spec.is_root,
        nr_entries=spec.nr_entries,
        match=match_to(spec.match),
        match_mask=None if spec.match_mask is None else match_to(spec.match_mask, mask=True),
        actions=[
            _template_to(actions, spec.actions_mask(i), spec.descs(i))
            for i, actions in enumerate(spec.actions)
        ],
        monitor=None if spec.monitor is None else monitor_to(spec.monitor),
        fwd=fwd_to(spec.fwd, ports),
        fwd_miss=fwd_to(spec.fwd_miss, ports),
        miss_counter=spec.miss_counter,
        label=spec.label,
        is_resizable=spec.is_resizable,
        congestion_percent=spec.congestion_level_threshold,
        excluded_queues=list(spec.excluded_queues),
        hash_algorithms=[key for key, flag in ALGORITHMS.items() if flag & spec.hash_map_algorithm],
        ordered_lists=[_list_to(ordered) for ordered in spec.ordered_lists],
    )


def entry_from(message: entry_pb2.Entry, ports: PortNames, path: str = "entry") -> flow.EntrySpec:
    """What to add or update; ``id`` and ``pipe`` are the caller's to resolve."""

    def present(name: str, read: Callable[[], T]) -> T | None:
        return read() if message.HasField(name) else None

    return flow.EntrySpec(
        match=match_from(message.match, f"{path}.match"),
        match_mask=present("match_mask", lambda: match_from(message.match_mask, f"{path}.match_mask")),
        action_idx=message.action_index,
        actions=present("actions", lambda: actions_from(message.actions, f"{path}.actions")),
        actions_mask=present(
            "actions_mask", lambda: actions_from(message.actions_mask, f"{path}.actions_mask")
        ),
        action_descs=tuple(
            _desc_from(desc, f"{path}.action_descriptors[{i}]")
            for i, desc in enumerate(message.action_descriptors)
        ),
        condition=present("condition", lambda: condition_from(message.condition, f"{path}.condition")),
        monitor=present("monitor", lambda: monitor_from(message.monitor, f"{path}.monitor")),
        fwd=fwd_from(message.fwd, ports, f"{path}.fwd"),
        priority=message.priority,
        index=message.index,
        ordered_list=present(
            "ordered_list", lambda: _list_from(message.ordered_list, f"{path}.ordered_list")
        ),
        tag=message.tag,
    )


def entry_to(spec: flow.EntrySpec, entry_id: int, pipe: str, ports: PortNames) -> entry_pb2.Entry:
    """An entry as it was added."""
    return entry_pb2.Entry(
        id=entry_id,
        pipe=pipe,
        match=match_to(spec.match),
        match_mask=None if spec.match_mask is None else match_to(spec.match_mask, mask=True),
        action_index=spec.action_idx,
        actions=None if spec.actions is None else actions_to(spec.actions),
        actions_mask=None if spec.actions_mask is None else actions_to(spec.actions_mask, mask=True),
        action_descriptors=[_desc_to(desc) for desc in spec.action_descs],
        condition=None if spec.condition is None else condition_to(spec.condition),
        monitor=None if spec.monitor is None else monitor_to(spec.monitor),
        fwd=fwd_to(spec.fwd, ports),
        priority=spec.priority,
        index=spec.index,
        ordered_list=None if spec.ordered_list is None else _list_to(spec.ordered_list),
        tag=spec.tag,
    )


def counter_to(counter: flow.Counter) -> entry_pb2.Counter:
    """Packets and bytes."""
    return entry_pb2.Counter(packets=counter.total_pkts, bytes=counter.total_bytes)
