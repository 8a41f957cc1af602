# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""What the fast path answers: ports, packets, traces, statistics. One way only: the appliance speaks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Final

from appliance.flow import fields, results
from appliance.flow import types as flow
from appliance.flow.ct import CtStats
from appliance.rpc import fieldtext
from appliance.rpc.convert.base import PortNames, enum_to
from appliance.rpc.convert.flow import counter_to, fwd_to
from appliance.v1 import flow_pb2, packet_pb2, port_pb2, stats_pb2, trace_pb2

MISSES: Final = {
    port_pb2.DEFAULT_MISS_DROP: flow.DefaultMiss.DROP,
    port_pb2.DEFAULT_MISS_RSS: flow.DefaultMiss.RSS,
    port_pb2.DEFAULT_MISS_KERNEL: flow.DefaultMiss.KERNEL,
}
POINTS: Final = {
    packet_pb2.PACKET_POINT_SOFTWARE: results.PacketKind.RSS,
    packet_pb2.PACKET_POINT_KERNEL: results.PacketKind.KERNEL,
    packet_pb2.PACKET_POINT_WIRE: results.PacketKind.WIRE,
    packet_pb2.PACKET_POINT_RX: results.PacketKind.CAPTURE_RX,
    packet_pb2.PACKET_POINT_TX: results.PacketKind.CAPTURE_TX,
    packet_pb2.PACKET_POINT_DROP: results.PacketKind.CAPTURE_DROP,
}
VERDICTS: Final = {
    trace_pb2.VERDICT_DROP: results.Verdict.DROP,
    trace_pb2.VERDICT_PORT: results.Verdict.PORT,
    trace_pb2.VERDICT_RSS: results.Verdict.RSS,
    trace_pb2.VERDICT_KERNEL: results.Verdict.KERNEL,
}


def port_to(
    info: results.PortInfo, default_miss: flow.DefaultMiss | None = None, *, netns: str = "", args: str = ""
) -> port_pb2.Port:
    """A port as it is now."""
    return port_pb2.Port(
        name=info.name,
        backend=info.backend,
        args=args or info.detail,
        netns=netns,
        mac=info.mac,
        mtu=info.mtu,
        port_id=info.port_id,
        up=info.up,
        started=info.started,
        owner=info.owner,
        default_miss=port_pb2.DEFAULT_MISS_UNSPECIFIED
        if default_miss is None
        else enum_to(MISSES, default_miss),
    )


def packet_to(packet: results.Packet) -> packet_pb2.Packet:
    """A received or captured packet."""
    return packet_pb2.Packet(
        frame=packet.frame,
        port=packet.port,
        point=enum_to(POINTS, packet.kind),
        timestamp_ns=packet.timestamp_ns,
        queue=packet.queue,
        drop_reason=packet.reason,
        pkt_meta=packet.pkt_meta,
    )


def _trace_field(key: results.TraceKey, hit: bool) -> trace_pb2.TraceField:
    row = fields.MATCH.get(key.field)
    if row is None:  # a field of the wire that DOCA's structs call otherwise
        return trace_pb2.TraceField(
            name=key.field,
            packet=f"{key.packet:#x}",
            value=f"{key.value:#x}" if hit else "",
            mask=f"{key.mask:#x}",
        )
    mask = fieldtext.show_mask(row, key.mask & row.ones)
    return trace_pb2.TraceField(
        name=key.field,
        packet=fieldtext.show(row, key.packet, changeable=False),
        value=fieldtext.show(row, key.value, changeable=False) if hit else "",
        mask="" if mask == fieldtext.ALL else mask,
    )


def _fwd_of(text: str) -> flow_pb2.Fwd | None:
    """A forward that is known by its words."""
    word, _, name = text.partition(" ")
    match word:
        case "port":
            return flow_pb2.Fwd(type=flow_pb2.FWD_TYPE_PORT, port=name)
        case "pipe":
            return flow_pb2.Fwd(type=flow_pb2.FWD_TYPE_PIPE, pipe=name)
        case "drop":
            return flow_pb2.Fwd(type=flow_pb2.FWD_TYPE_DROP, drop_reason=name)
        case "reject":
            return flow_pb2.Fwd(type=flow_pb2.FWD_TYPE_REJECT, drop_reason=name)
        case "answer":
            return flow_pb2.Fwd(type=flow_pb2.FWD_TYPE_ANSWER)
        case _:
            return None


def trace_to(trace: results.Trace, ports: PortNames) -> trace_pb2.Trace:
    """A trace."""
    message = trace_pb2.Trace(revision=trace.revision)
    for hop in trace.hops:
        message.hops.add(
            pipe=hop.pipe,
            hit=hop.hit,
            entry_id=hop.entry or 0,
            tag=hop.tag,
            fields=[_trace_field(key, hop.hit) for key in hop.keys],
            actions=list(hop.actions),
            fwd=fwd_to(hop.fwd, ports) or _fwd_of(hop.fwd_text),
            fwd_text=hop.fwd_text,
            domain=hop.domain.name.lower(),
            meter_color="" if hop.color is None else hop.color.name.lower(),
            frame_length=hop.frame_length,
            copy=hop.copy,
        )
    for outcome in trace.outcomes:
        message.outcomes.add(
            verdict=enum_to(VERDICTS, outcome.verdict),
            drop_reason=outcome.reason,
            port=outcome.port,
            queue=outcome.queue,
            copy=outcome.copy,
            frame=outcome.frame,
        )
    return message


def stages_to(stages: results.Stages) -> stats_pb2.StageStats:
    """Cycles by stage."""
    cycles = [stats_pb2.StageStats.Cycles(stage=name, cycles=took) for name, took in stages.cycles.items()]
    return stats_pb2.StageStats(packets=stages.packets, cycles=cycles)


def stats_to(
    stats: results.DpuStats,
    connections: CtStats,
    stages: results.Stages,
    caches: Iterable[flow.CacheStats],
    timestamp_ns: int,
) -> stats_pb2.Stats:
    """A snapshot, without pipes."""
    message = stats_pb2.Stats(
        timestamp_ns=timestamp_ns,
        copies=stats.copies,
        generated=stats.generated,
        held=stats.held,
        mbufs_total=stats.mbufs_total,
        mbufs_free=stats.mbufs_free,
        entries=stats.entries,
        posted=stats.posted,
        refused=stats.refused,
        revision=stats.revision,
        uptime_s=stats.uptime_s,
        workers=stats.nr_workers,
        busy=stats.busy,
        connections=stats_pb2.CtStats(**asdict(connections)),
        cycles_busy=stats.cycles_busy,
        stages=stages_to(stages),
        caches=[stats_pb2.CacheStats(**asdict(one)) for one in caches],
    )
    for name, port in stats.ports.items():
        message.ports.add(
            port=name,
            received=counter_to(port.received),
            sent=counter_to(port.sent),
            injected=counter_to(port.injected),
            software=counter_to(port.software),
            dropped=counter_to(port.dropped),
            drops=[stats_pb2.DropCount(reason=r, packets=n) for r, n in port.drops.items() if n],
            transmitted=counter_to(port.transmitted),
        )
    return message
