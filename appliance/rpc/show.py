# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""A pipeline written down: for people, for programs, as a Mermaid flowchart.

Works on messages, so that the same text comes from a running appliance, a file, and a test.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from google.protobuf import json_format

from appliance.v1 import entry_pb2, flow_pb2, pipe_pb2

DEFAULT_ENTRIES: Final = 16


@dataclass(frozen=True, slots=True)
class ShownPipe:
    """A pipe, some of its entries, and how many it has."""

    pipe: pipe_pb2.Pipe
    entries: Sequence[entry_pb2.Entry]
    total: int


def type_name(pipe: pipe_pb2.Pipe) -> str:
    """``basic``, ``control`` ..."""
    number = pipe.type or pipe_pb2.PIPE_TYPE_BASIC
    return pipe_pb2.PipeType.Name(number).removeprefix("PIPE_TYPE_").lower()


def fwd_text(fwd: flow_pb2.Fwd | None) -> str:
    """A forward in a few words; empty when there is none."""
    if fwd is None or fwd.type == flow_pb2.FWD_TYPE_UNSPECIFIED:
        return ""
    words: Mapping[int, str] = {
        flow_pb2.FWD_TYPE_PORT: f"port {fwd.port}",
        flow_pb2.FWD_TYPE_PIPE: f"pipe {fwd.pipe}",
        flow_pb2.FWD_TYPE_DROP: f"drop {fwd.drop_reason}".strip(),
        flow_pb2.FWD_TYPE_REJECT: f"reject {fwd.drop_reason}".strip(),
        flow_pb2.FWD_TYPE_ANSWER: "answer",
        flow_pb2.FWD_TYPE_TARGET: "kernel",
        flow_pb2.FWD_TYPE_CHANGEABLE: "by entry",
        flow_pb2.FWD_TYPE_HASH_PIPE: f"hash pipe {fwd.pipe}",
        flow_pb2.FWD_TYPE_ORDERED_LIST_PIPE: f"list {fwd.pipe}[{fwd.index}]",
        flow_pb2.FWD_TYPE_RSS: "software " + ",".join(map(str, fwd.rss_queues)),
    }
    return words.get(fwd.type, str(fwd.type))


def match_text(match: flow_pb2.Match, mask: flow_pb2.Match | None = None) -> str:
    """``src_ip=10.0.0.1 dst_port=80``: fields by their short names where that is clear."""
    masks = {field.name: field.text for field in mask.fields} if mask is not None else {}
    shown = []
    seen = set()
    for field in match.fields:
        seen.add(field.name)
        if field.name.endswith(("l3_type", "l4_type_ext", "tunnel.type")) and not field.name.startswith(
            "parser"
        ):
            continue
        text = "*" if field.text == "changeable" else field.text
        bits = masks.get(field.name, "")
        shown.append(f"{short_name(field.name)}={text}{_mask_text(bits)}")
    for name, bits in masks.items():
        if name not in seen:
            shown.append(f"{short_name(name)}=0{_mask_text(bits)}")
    return " ".join(shown)


def _mask_text(bits: str) -> str:
    if bits in ("", "all"):
        return ""
    return bits if bits.startswith("/") else f"&{bits}"


def short_name(name: str) -> str:
    """``outer.ipv4.src_ip`` is ``src_ip``; inner and tunnel fields keep their layer."""
    for prefix in ("outer.ipv4.", "outer.transport.", "outer.", "parser_meta.", "tunnel.vxlan."):
        if name.startswith(prefix):
            return name.removeprefix(prefix)
    return name


def actions_text(template: flow_pb2.ActionTemplate) -> str:
    """What an action template does."""
    fields = {field.name: field.text for field in template.actions.fields}
    shown = []
    if "decap_type" in fields or "shared_decap_id" in fields:
        shown.append("decap")
    if fields.get("pop_vlan"):
        shown.append("pop vlan")
    if fields.get("has_push"):
        shown.append(f"push vlan {fields.get('push.tci', '')}".strip())
    if "encap_type" in fields or "shared_encap_id" in fields:
        kind = fields.get("encap.tunnel.type", "")
        target = fields.get("encap.outer.ipv4.dst_ip", "")
        shown.append(f"encap {kind} {'to ' + target if target else ''}".strip())
    skipped = ("decap", "encap", "shared_", "push.", "pop_vlan", "has_push")
    for name, text in fields.items():
        if not name.startswith(skipped) and not name.endswith(("l3_type", "l4_type_ext", "tunnel.type")):
            shown.append(f"set {short_name(name)}={'*' if text == 'changeable' else text}")
    for desc in template.descriptors:
        verb = flow_pb2.ActionType.Name(desc.type).removeprefix("ACTION_TYPE_").lower()
        shown.append(f"{verb} {short_name(desc.source)} to {short_name(desc.destination)}".replace("  ", " "))
    return ", ".join(shown)


def monitor_text(monitor: flow_pb2.Monitor) -> str:
    """``count, meter 50/s, age 5 s``."""
    shown = []
    if monitor.counter == flow_pb2.RESOURCE_TYPE_NON_SHARED:
        shown.append("count")
    elif monitor.counter == flow_pb2.RESOURCE_TYPE_SHARED:
        shown.append(f"count in shared {monitor.shared_counter_id}")
    if monitor.meter == flow_pb2.RESOURCE_TYPE_NON_SHARED:
        unit = "packets" if monitor.meter_unit == flow_pb2.METER_UNIT_PACKETS else "bytes"
        rate = "by entry" if monitor.cir == (1 << 64) - 1 else f"{monitor.cir} {unit}/s, burst {monitor.cbs}"
        shown.append(f"meter {rate}")
    elif monitor.meter == flow_pb2.RESOURCE_TYPE_SHARED:
        shown.append(f"meter with shared {monitor.shared_meter_id}")
    if monitor.aging_sec:
        shown.append("age by entry" if monitor.aging_sec == 0xFFFFFFFF else f"age {monitor.aging_sec} s")
    return ", ".join(shown)


def entry_text(entry: entry_pb2.Entry) -> str:
    """One entry in one line."""
    parts = [match_text(entry.match, entry.match_mask if entry.HasField("match_mask") else None) or "any"]
    if entry.HasField("actions"):
        template = flow_pb2.ActionTemplate(actions=entry.actions, descriptors=entry.action_descriptors)
        parts.append(actions_text(template))
    if entry.HasField("monitor") and entry.monitor.meter:
        parts.append(monitor_text(entry.monitor))
    if entry.fwd.type:
        parts.append(f"-> {fwd_text(entry.fwd)}")
    return "  ".join(part for part in parts if part)


def text(pipes: Sequence[ShownPipe]) -> str:
    """For people."""
    lines: list[str] = []
    for shown in pipes:
        pipe = shown.pipe
        flags = [type_name(pipe), "root" if pipe.is_root else "", f"on {pipe.port}"]
        if pipe.domain == pipe_pb2.PIPE_DOMAIN_EGRESS:
            flags.append("egress")
        size = f"{shown.total} of {pipe.nr_entries or 8192} entries"
        lines.append(f"pipe {pipe.name} ({', '.join(flag for flag in flags if flag)}; {size})")
        if pipe.label:
            lines.append(f"  label    {pipe.label}")
        mask = pipe.match_mask if pipe.HasField("match_mask") else None
        if pipe.match.fields or mask is not None:
            lines.append(f"  match    {match_text(pipe.match, mask)}")
        lines += [f"  actions  [{i}] {actions_text(template)}" for i, template in enumerate(pipe.actions)]
        if pipe.HasField("monitor"):
            lines.append(f"  monitor  {monitor_text(pipe.monitor)}")
        if pipe.fwd.type:
            lines.append(f"  fwd      {fwd_text(pipe.fwd)}")
        lines.append(f"  miss     {fwd_text(pipe.fwd_miss) or 'default miss of the port'}")
        for entry in shown.entries:
            priority = f" priority {entry.priority}" if pipe.type in _WITH_PRIORITY else ""
            lines.append(f"  entry {entry.id}{priority}: {entry_text(entry)}")
        if shown.total > len(shown.entries):
            lines.append(f"  ... and {shown.total - len(shown.entries)} more")
        lines.append("")
    return "\n".join(lines)


_WITH_PRIORITY: Final = (pipe_pb2.PIPE_TYPE_CONTROL, pipe_pb2.PIPE_TYPE_ACL)


def as_json(pipes: Sequence[ShownPipe]) -> str:
    """For programs: the messages of the API in protobuf's JSON, entries beside their pipe."""

    def plain(message: pipe_pb2.Pipe | entry_pb2.Entry) -> object:
        return json_format.MessageToDict(message, preserving_proto_field_name=True)

    shown = [
        {"pipe": plain(item.pipe), "entries": [plain(entry) for entry in item.entries], "total": item.total}
        for item in pipes
    ]
    return json.dumps({"pipes": shown}, indent=2)


def _node_id(name: str) -> str:
    return "n" + "".join(c if c.isalnum() and c.isascii() else f"_{ord(c):x}_" for c in name)


def _label(words: str) -> str:
    return '"' + re.sub(r"[\"`<>]", " ", words) + '"'


def mermaid(pipes: Sequence[ShownPipe]) -> str:
    """A flowchart: ports, pipes, where hits and misses go."""
    lines = ["flowchart LR"]
    arrows: dict[tuple[str, str, str], list[str]] = {}
    nodes: dict[str, str] = {}

    def target(fwd: flow_pb2.Fwd) -> str:
        match fwd.type:
            case flow_pb2.FWD_TYPE_PIPE | flow_pb2.FWD_TYPE_HASH_PIPE | flow_pb2.FWD_TYPE_ORDERED_LIST_PIPE:
                return _node_id("pipe " + fwd.pipe)
            case flow_pb2.FWD_TYPE_PORT:
                node, shape = _node_id("out " + fwd.port), f"([{_label('port ' + fwd.port)}])"
            case flow_pb2.FWD_TYPE_DROP | flow_pb2.FWD_TYPE_REJECT:
                node, shape = "drop", f"[/{_label('drop')}/]"
            case flow_pb2.FWD_TYPE_RSS | flow_pb2.FWD_TYPE_TARGET:
                node, shape = "software", f"[/{_label('software')}/]"
            case _:
                return ""
        nodes[node] = shape
        return node

    for shown in pipes:
        pipe = shown.pipe
        here = _node_id("pipe " + pipe.name)
        mask = pipe.match_mask if pipe.HasField("match_mask") else None
        words = [pipe.name, f"{type_name(pipe)}, {shown.total} entries", match_text(pipe.match, mask)]
        words += [actions_text(template) for template in pipe.actions]
        nodes[here] = f"[{_label('<br/>'.join(word for word in words if word)).replace(' br/ ', '<br/>')}]"
        if pipe.is_root:
            source = _node_id("in " + pipe.port)
            nodes[source] = f"([{_label(pipe.port)}])"
            arrows.setdefault((source, here, "-->"), [])
        forwards = [entry.fwd for entry in shown.entries if entry.fwd.type] or [pipe.fwd]
        if pipe.fwd.type not in (flow_pb2.FWD_TYPE_CHANGEABLE, flow_pb2.FWD_TYPE_UNSPECIFIED):
            forwards.append(pipe.fwd)
        for fwd in forwards:
            if there := target(fwd):
                arrows.setdefault((here, there, "-->"), [])
        if there := target(pipe.fwd_miss):
            arrows.setdefault((here, there, "-.->"), []).append("miss")
    lines += [f"    {node}{shape}" for node, shape in nodes.items()]
    for (source, there, arrow), labels in arrows.items():
        note = f"|{labels[0]}|" if labels else ""
        lines.append(f"    {source} {arrow}{note} {there}")
    return "\n".join(lines) + "\n"


FORMATS: Final[Mapping[int, Callable[[Sequence[ShownPipe]], str]]] = {
    pipe_pb2.PIPELINE_FORMAT_UNSPECIFIED: text,
    pipe_pb2.PIPELINE_FORMAT_TEXT: text,
    pipe_pb2.PIPELINE_FORMAT_JSON: as_json,
    pipe_pb2.PIPELINE_FORMAT_MERMAID: mermaid,
}
