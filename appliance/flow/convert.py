# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""From the dataclasses of ``types`` to what ``appliance.steering`` takes, and back from its answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields as dataclass_fields
from typing import Any, SupportsBytes

from appliance.errors import InvalidValue
from appliance.flow import fields, results
from appliance.flow.types import (
    ActionDesc,
    Actions,
    Counter,
    CtConfig,
    CtFull,
    CtTimeouts,
    DescField,
    Domain,
    EntrySpec,
    Fwd,
    FwdDrop,
    FwdHash,
    FwdOrderedList,
    FwdPipe,
    FwdPort,
    FwdReject,
    FwdRss,
    ListActions,
    ListNat64,
    Match,
    Meter,
    MeterColor,
    Monitor,
    OrderedList,
    PipeRef,
    PipeSpec,
    PipeType,
    ResourceType,
    SharedMeter,
)
from appliance.steering.native import Cdata
from appliance.steering.pipes import (
    CtParts,
    ElementParts,
    EntryParts,
    FwdParts,
    ListParts,
    MonitorParts,
    PipeParts,
)
from appliance.steering.structs import Assignment, Desc

Resolve = Callable[[PipeRef], Cdata]
"""Gives the handle of a pipe that a forward names."""

Frame = bytes | str | SupportsBytes
"""A frame from the destination MAC on, without FCS: bytes, hexadecimal text, or what becomes bytes."""

_NO_MATCH = Match()
_DROP_FOR = 1000  # DOCA_FLOW_RINGFIELD_FWD_DROP
_META_NONE = 0xFF
_PASS_INVALID = 2
_COUNTS = (
    "capacity", "denied_capacity", "max_half_open", "max_new_per_second", "id_max_connections",
    "id_max_half_open", "id_max_new_per_second", "max_fragments", "revision",
)  # fmt: skip
_SLOTS = ("zone_u32", "src_u32", "dst_u32", "router_u32")
_TIMERS = tuple(one.name for one in dataclass_fields(CtTimeouts))


def _assignments(flat: Mapping[str, int], rows: Mapping[str, fields.Field]) -> list[Assignment]:
    return [(rows[name].c, rows[name].kind.value, number) for name, number in flat.items()]


def match_values(match: Match | None) -> list[Assignment] | None:
    """A match as assignments; None stays None."""
    return None if match is None else _assignments(match.flat(), fields.MATCH)


def actions_values(actions: Actions | None) -> list[Assignment] | None:
    """Actions as assignments; None stays None."""
    return None if actions is None else _assignments(actions.flat(), fields.ACTIONS)


def _where(desc: DescField) -> tuple[str, int]:
    return desc.field_string, desc.bit_offset


def desc_parts(descs: tuple[ActionDesc, ...]) -> list[Desc]:
    """Action descriptors."""
    return [
        (int(desc.type), None if desc.src is None else _where(desc.src), _where(desc.dst), desc.width)
        for desc in descs
    ]


def monitor_parts(monitor: Monitor | None) -> MonitorParts | None:
    """A monitor."""
    if monitor is None:
        return None
    counter = monitor.counter_type
    shared = int(monitor.counter) if counter is ResourceType.SHARED else 0
    meter = monitor.meter
    if isinstance(meter, SharedMeter):
        return MonitorParts(
            counter, shared, ResourceType.SHARED, shared_meter_id=meter.id, init_color=meter.init_color,
            aging_sec=monitor.aging_sec,
        )  # fmt: skip
    if isinstance(meter, Meter):
        return MonitorParts(
            counter,
            shared,
            ResourceType.NON_SHARED,
            meter.limit_type,
            meter.cir,
            meter.cbs,
            aging_sec=monitor.aging_sec,
        )
    return MonitorParts(counter, shared, aging_sec=monitor.aging_sec)


def fwd_parts(fwd: Fwd | None, resolve: Resolve) -> FwdParts | None:
    """A forward, its pipe as a handle."""
    if fwd is None:
        return None
    kind = int(fwd.type)
    if isinstance(fwd, FwdPort):
        return FwdParts(kind, port_id=fwd.port_id)
    if isinstance(fwd, FwdPipe):
        return FwdParts(kind, pipe=None if fwd.pipe is None else resolve(fwd.pipe))
    if isinstance(fwd, FwdOrderedList):
        return FwdParts(kind, pipe=resolve(fwd.pipe), index=fwd.idx)
    if isinstance(fwd, FwdHash):
        return FwdParts(kind, pipe=resolve(fwd.pipe), algorithm=int(fwd.algorithm))
    if isinstance(fwd, FwdRss):
        return FwdParts(
            kind, queues=fwd.queues, outer_flags=int(fwd.outer_flags), inner_flags=int(fwd.inner_flags),
            hash_func=fwd.hash_func, shared_rss_id=fwd.shared_rss_id,
        )  # fmt: skip
    if isinstance(fwd, FwdReject):
        return FwdParts(kind, reason=fwd.reason)
    if isinstance(fwd, FwdDrop) and fwd.reason:
        return FwdParts(_DROP_FOR, reason=fwd.reason)
    return FwdParts(kind)


def list_parts(ordered: OrderedList | None) -> ListParts | None:
    """An ordered list."""
    if ordered is None:
        return None
    elements = []
    for element in ordered.elements:
        if isinstance(element, Monitor):
            elements.append(ElementParts(monitor=monitor_parts(element)))
        elif isinstance(element, ListNat64):
            elements.append(ElementParts(nat64=element.original_l3_type))
        elif isinstance(element, ListActions):
            values, mask = actions_values(element.actions), actions_values(element.actions_mask)
            elements.append(ElementParts(values, mask, desc_parts(element.action_descs)))
    return ListParts(ordered.idx, elements)


def ct_parts(ct: CtConfig | None) -> CtParts | None:
    """An autonomous CT pipe's configuration."""
    if ct is None:
        return None
    members = {name: int(getattr(ct, name)) for name in _COUNTS}
    for name in _SLOTS:
        slot = getattr(ct, name)
        members[name] = _META_NONE if slot is None else slot
    members["full"] = ct.full
    members["flags"] = _PASS_INVALID if ct.pass_invalid else 0
    members["adopt_window_ms"] = round(ct.adopt_window * 1000)
    members["record_interval_ms"] = round(ct.record_interval * 1000)
    return CtParts(members, tuple(round(getattr(ct.timeouts, name) * 1000) for name in _TIMERS))


def ct_config(row: Mapping[str, Any]) -> CtConfig:
    """``struct doca_flow_ringfield_ct``."""
    slots: dict[str, Any] = {name: None if row[name] == _META_NONE else row[name] for name in _SLOTS}
    return CtConfig(
        **{name: row[name] for name in _COUNTS},
        **slots,
        full=CtFull(row["full"]),
        pass_invalid=bool(row["flags"] & _PASS_INVALID),
        timeouts=CtTimeouts(**{name: row["timeout_ms"][i] / 1000 for i, name in enumerate(_TIMERS)}),
        adopt_window=row["adopt_window_ms"] / 1000,
        record_interval=row["record_interval_ms"] / 1000,
    )


def pipe_parts(spec: PipeSpec, resolve: Resolve) -> PipeParts:
    """A pipe's specification. A control or ordered list pipe without a match sets none."""
    matching = spec.type not in (PipeType.CONTROL, PipeType.ORDERED_LIST, PipeType.CT)
    given = matching or spec.match != _NO_MATCH or spec.match_mask is not None
    templates = range(len(spec.actions))
    return PipeParts(
        name=spec.name,
        type=spec.type,
        domain=spec.domain,
        is_root=spec.is_root,
        nr_entries=spec.nr_entries,
        match=match_values(spec.match) if given else None,
        mask=match_values(spec.match_mask),
        actions=[actions_values(actions) or [] for actions in spec.actions],
        masks=[actions_values(spec.actions_mask(i)) for i in templates],
        descs=[desc_parts(spec.descs(i)) for i in templates],
        monitor=monitor_parts(spec.monitor),
        fwd=fwd_parts(spec.fwd, resolve),
        fwd_miss=fwd_parts(spec.fwd_miss, resolve),
        miss_counter=spec.miss_counter,
        label=spec.label,
        is_resizable=spec.is_resizable,
        congestion=spec.congestion_level_threshold,
        excluded_queues=spec.excluded_queues,
        algorithm=int(spec.hash_map_algorithm),
        lists=[parts for parts in map(list_parts, spec.ordered_lists) if parts is not None],
        ct=ct_parts(spec.ct),
    )


def entry_parts(spec: EntrySpec, resolve: Resolve) -> EntryParts:
    """An entry's specification."""
    condition = None
    if spec.condition is not None:
        given = spec.condition
        b = None if given.b is None else _where(given.b)
        condition = (int(given.operation), _where(given.a), b, given.width)
    return EntryParts(
        match=match_values(spec.match),
        mask=match_values(spec.match_mask),
        action_idx=spec.action_idx,
        actions=actions_values(spec.actions),
        actions_mask=actions_values(spec.actions_mask),
        descs=desc_parts(spec.action_descs),
        condition=condition,
        monitor=monitor_parts(spec.monitor),
        fwd=fwd_parts(spec.fwd, resolve),
        priority=spec.priority,
        index=spec.index,
        ordered_list=list_parts(spec.ordered_list),
        tag=spec.tag,
    )


# -- answers ---------------------------------------------------------------------------------------------------------

Row = Mapping[str, Any]
_VERDICTS = (results.Verdict.DROP, results.Verdict.PORT, results.Verdict.RSS, results.Verdict.KERNEL)
_KINDS = {
    2: results.PacketKind.RSS,
    3: results.PacketKind.KERNEL,
    4: results.PacketKind.WIRE,
    5: results.PacketKind.CAPTURE_RX,
    6: results.PacketKind.CAPTURE_TX,
    7: results.PacketKind.CAPTURE_DROP,
}
NO_ENTRY = 0xFFFFFFFF
PORT_NONE = 0xFFFF


def count(row: Row) -> Counter:
    """``struct doca_flow_ringfield_count``."""
    return Counter(row["pkts"], row["bytes"])


def port_info(row: Row) -> results.PortInfo:
    """``struct doca_flow_ringfield_port``."""
    return results.PortInfo(
        name=row["name"],
        index=row["index"],
        backend=row["backend"],
        detail=row["detail"],
        mac=":".join(f"{byte:02x}" for byte in row["mac"]),
        mtu=row["mtu"],
        up=bool(row["up"]),
        ring=bool(row["ring"]),
        started=bool(row["started"]),
        port_id=row["port_id"] if row["started"] and row["port_id"] != PORT_NONE else None,
        owner=row["owner"],
        pci=row["pci"],
        ibdev=row["ibdev"],
        representor=row["representor"],
    )


def port_stats(row: Row, reasons: list[tuple[str, str]]) -> results.PortStats:
    """``struct doca_flow_ringfield_port_stats``."""
    drops = {
        name: row["drops"][number] for number, (name, _) in enumerate(reasons, 1) if row["drops"][number]
    }
    names = ("received", "sent", "injected", "transmitted", "software", "dropped")
    return results.PortStats(**{name: count(row[name]) for name in names}, drops=drops)


def pipe_info(row: Row, port: str) -> results.PipeInfo:
    """``struct doca_flow_ringfield_pipe``."""
    return results.PipeInfo(
        name=row["name"],
        number=row["number"],
        port=port,
        type=PipeType(row["type"]),
        domain=Domain(row["domain"]),
        is_root=bool(row["is_root"]),
        capacity=row["nr_entries"],
        used=row["used"],
        session=row["session"],
        label=row["label"],
        fwd_text=row["fwd"],
        fwd_miss_text=row["fwd_miss"],
        miss=Counter(row["miss_pkts"], row["miss_bytes"]) if row["has_miss_counter"] else None,
        hits=Counter(row["hit_pkts"], row["hit_bytes"]),
    )


def packet(row: Row, frame: bytes, port: str, reasons: list[tuple[str, str]]) -> results.Packet:
    """``struct doca_flow_ringfield_packet``."""
    return results.Packet(
        kind=_KINDS[row["kind"]],
        port=port,
        frame=frame,
        queue=row["queue"],
        pkt_meta=row["pkt_meta"],
        reason=_reason(row["drop"], reasons),
        timestamp_ns=row["timestamp_ns"],
    )


def _reason(number: int, reasons: list[tuple[str, str]]) -> str:
    return reasons[number - 1][0] if 0 < number <= len(reasons) else ""


def frame_bytes(frame: Frame) -> bytes:
    """The bytes of a frame; InvalidValue for text that is not hexadecimal."""
    if not isinstance(frame, str):
        return bytes(frame)
    try:
        return bytes.fromhex(frame)
    except ValueError:
        raise InvalidValue(f"frame: {frame[:40]!r} is not hexadecimal") from None


def trace_hop(row: Row) -> results.TraceHop:
    """``struct doca_flow_ringfield_trace_hop``."""
    keys = []
    for key in row["fields"]:
        numbers = [int.from_bytes(key[part][: key["width"]], "big") for part in ("packet", "value", "mask")]
        keys.append(results.TraceKey(key["name"], *numbers))
    return results.TraceHop(
        pipe=row["pipe"],
        domain=Domain(row["domain"]),
        entry=row["entry"] if row["hit"] and row["entry"] != NO_ENTRY else None,
        tag=row["tag"],
        keys=tuple(keys),
        actions=tuple(f"{action['kind']} {action['field']}".strip() for action in row["actions"]),
        fwd_text=row["fwd"],
        color=MeterColor(row["meter_color"]) if row["meter_color"] in tuple(MeterColor) else None,
        frame_length=row["frame_length"],
        copy=row["copy"],
    )


def outcome(row: Row, frame: bytes, port: str, reasons: list[tuple[str, str]]) -> results.Outcome:
    """``struct doca_flow_ringfield_trace_outcome``."""
    verdict = _VERDICTS[row["verdict"]]
    return results.Outcome(
        verdict=verdict,
        port=port if verdict is not results.Verdict.DROP else "",
        queue=row["queue"],
        reason=_reason(row["drop"], reasons),
        frame=frame,
        pkt_meta=row["pkt_meta"],
        copy=row["copy"],
    )
