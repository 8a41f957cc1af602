# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Pipes, entries and shared resources in the configuration file, as values of ``appliance.flow.types``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from appliance.flow import fields
from appliance.flow import types as flow
from appliance.flow.fields import Field
from appliance.rpc import fieldtext
from appliance.run.document import Node

MAX_U32 = 0xFFFFFFFF
PIPE_TYPES = {kind.name.lower(): kind for kind in flow.PipeType if kind is not flow.PipeType.CT}
ALGORITHMS = {flag.name.lower(): flag for flag in flow.HashAlgorithm if flag.name}
OPERATIONS = {
    "==": flow.CompareOp.EQ, "!=": flow.CompareOp.NE, "<": flow.CompareOp.LT,
    "<=": flow.CompareOp.LE, ">": flow.CompareOp.GT, ">=": flow.CompareOp.GE,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class PipeConfig:
    """A declared pipe, its port and its entries."""

    spec: flow.PipeSpec
    port: str
    entries: tuple[flow.EntrySpec, ...]
    where: str
    """``file:line``, for messages about what the fast path refuses later."""


Shared: TypeAlias = flow.MeterConfig | flow.CounterConfig | flow.Encap | flow.Decap


@dataclass(frozen=True, slots=True)
class SharedConfig:
    """A declared shared resource."""

    type: flow.SharedResourceType
    id: int
    resource: Shared
    where: str


@dataclass(frozen=True, slots=True)
class Names:
    """What the pipeline may refer to: logical ids by port name."""

    ports: Mapping[str, int]

    def port(self, node: Node) -> int:
        """The logical id of the port that a value names."""
        if node.raw in (fieldtext.CHANGEABLE, "*"):
            return 0xFFFF
        if node.raw not in self.ports:
            node.fail(f"there is no port {node.raw!r} (ports: {', '.join(self.ports)})")
        return self.ports[node.raw]


def _flat(node: Node | None, rows: Mapping[str, Field], names: Names) -> dict[str, int]:
    """Fields of a mapping; ``parser_meta.port_id`` takes the name of a port."""
    flat: dict[str, int] = {}
    for name, value in [] if node is None else node.children():
        row = value.check(lambda name=name: fieldtext.resolve(name, rows))  # type: ignore[misc]
        if row.name in flat:
            value.fail("is given twice")
        if row.name == "parser_meta.port_id" and value.raw in names.ports:
            flat[row.name] = names.ports[value.raw]
        else:
            flat[row.name] = value.check(lambda v=value, r=row: fieldtext.parse(r, v.raw))  # type: ignore[misc]
    return flat


def _is_port(row: Field) -> bool:
    return row.name.endswith((".src_port", ".dst_port"))


def _with_masks(
    node: Node | None, kind: flow.PipeType, names: Names
) -> tuple[dict[str, int], dict[str, int]]:
    """Values, and the masks given, of a match in which ``10.0.0.0/8``, ``80-90`` and ``0x10&0x30`` say both."""
    values: dict[str, int] = {}
    masks: dict[str, int] = {}
    for name, value in [] if node is None else node.children():
        row = value.check(lambda name=name: fieldtext.resolve(name, fields.MATCH))  # type: ignore[misc]

        def number(text: str, row: Field = row, value: Node = value) -> int:
            return value.check(lambda: fieldtext.parse(row, text))

        text = value.raw
        if row.name in values:
            value.fail("is given twice")
        if row.name == "parser_meta.port_id" and text in names.ports:
            values[row.name] = names.ports[text]
        elif fieldtext.is_address(row) and "/" in text.strip()[1:]:
            address, _, length = text.partition("/")
            values[row.name], masks[row.name] = number(address), number("/" + length)
        elif kind is flow.PipeType.ACL and _is_port(row) and "-" in text:
            first, _, last = text.partition("-")
            values[row.name], masks[row.name] = number(first), number(last)
            if masks[row.name] < values[row.name]:
                value.fail(f"the range {text} is empty")
        elif "&" in text:
            plain, _, mask = text.partition("&")
            values[row.name], masks[row.name] = number(plain), number(mask)
        else:
            values[row.name] = number(text)
    return values, masks


def _complete(values: Mapping[str, int], masks: Mapping[str, int], kind: flow.PipeType) -> dict[str, int]:
    """A mask for every field that has a value: the one given, else the whole field (ACL ports: exactly this one)."""
    full = dict(masks)
    for name, value in values.items():
        row = fields.MATCH[name]
        if name not in full:
            exact_port = kind is flow.PipeType.ACL and _is_port(row)
            full[name] = value if row.selector or exact_port else row.ones
    return full


def _match(
    node: Node, kind: flow.PipeType, names: Names, *, entry: bool
) -> tuple[flow.Match, flow.Match | None]:
    """``match`` and ``match_mask`` of a pipe or an entry.

    Where a mask is needed, or one field has one, all have. A zero that is written down is meant, so it needs a mask as
    well: without one DOCA ignores the field.
    """
    given, mask_node = node.get("match"), node.get("match_mask")
    values, masks = _with_masks(given, kind, names)
    if entry and kind is not flow.PipeType.CONTROL:
        needed = kind in (flow.PipeType.LPM, flow.PipeType.ACL)
    else:
        needed = not all(values.values())
    if masks or needed:
        masks = _complete(values, masks, kind)
    if mask_node is not None:
        masks |= _flat(mask_node, fields.MATCH, names)
    match = (given or node).check(lambda: flow.Match.from_flat(values))
    if not (masks or needed or mask_node is not None):
        return match, None
    return match, (mask_node or given or node).check(lambda: flow.Match.from_flat(masks))


def _desc_field(node: Node, key: str) -> flow.DescField | None:
    """``outer.ipv4.src_ip`` or ``meta.data@32``: a field string and its first bit."""
    value = node.get(key)
    if value is None:
        return None
    name, _, bit = value.raw.partition("@")
    return flow.DescField(name.strip(), value.check(lambda: int(bit or "0", 0)))


Template = tuple[flow.Actions, "flow.Actions | None", tuple[flow.ActionDesc, ...]]


def _template(node: Node, names: Names) -> Template:
    """``set``, ``mask``, ``add`` and ``copy`` of one action template; the other keys are the caller's."""
    given, mask_node = node.get("set"), node.get("mask")
    flat = _flat(given, fields.ACTIONS, names)
    for what, config in (("encap", "encap."), ("decap", "decap.")):
        if any(name.startswith(config) for name in flat):
            flat.setdefault(f"{what}_type", int(flow.ResourceType.NON_SHARED))
    if any(name.startswith("push.") for name in flat):
        flat.setdefault("has_push", 1)
        flat.setdefault("push.eth_type", 0x8100)
    descs = []
    for item in node.list_of("add", lambda item: item):
        dst = _desc_field(item, "to")
        descs.append(
            flow.ActionDesc(
                flow.ActionType.ADD,
                dst or item.fail("'to' is missing"),
                _desc_field(item, "from"),
                item.number("width", 0, 0, 128),
            )
        )
        item.done()
    for item in node.list_of("copy", lambda item: item):
        dst, src = _desc_field(item, "to"), _desc_field(item, "from")
        if dst is None or src is None:
            item.fail("'from' and 'to' are both needed")
        descs.append(flow.ActionDesc(flow.ActionType.COPY, dst, src, item.number("width", 0, 0, 128)))
        item.done()
    actions = (given or node).check(lambda: flow.Actions.from_flat(flat))
    mask = None
    if mask_node is not None:
        mask_flat = _flat(mask_node, fields.ACTIONS, names)
        mask = mask_node.check(lambda: flow.Actions.from_flat(mask_flat))
    return actions, mask, tuple(descs)


def _count(node: Node, key: str) -> int:
    """A number, or ``changeable`` for all ones of 32 bits."""
    value = node.get(key)
    if value is None:
        return 0
    return MAX_U32 if value.raw in (fieldtext.CHANGEABLE, "*") else value.as_number(0, MAX_U32)


def _rate(node: Node, key: str) -> int:
    value = node.need(key)
    return (1 << 64) - 1 if value.raw in (fieldtext.CHANGEABLE, "*") else value.as_number(0)


def _unit(node: Node) -> flow.LimitType:
    return (
        flow.LimitType.PACKETS
        if node.choice("unit", "bytes", "bytes", "packets") == "packets"
        else flow.LimitType.BYTES
    )


def read_monitor(node: Node) -> flow.Monitor:
    """``{counter: true, meter: {...}, shared_counter: 1, shared_meter: 2, aging_sec: 5}``."""
    counter: bool | int = node.switch("counter", False)
    if node.get("shared_counter") is not None:
        if counter:
            node.fail("counter or shared_counter, not both")
        counter = _count(node, "shared_counter")
    meter: flow.Meter | flow.SharedMeter | None = None
    own = node.get("meter")
    if own is not None:
        meter = flow.Meter(_rate(own, "cir"), _rate(own, "cbs"), _unit(own))
        own.done()
    if node.get("shared_meter") is not None:
        if meter is not None:
            node.fail("meter or shared_meter, not both")
        color = node.choice("color", "green", "red", "yellow", "green")
        meter = flow.SharedMeter(_count(node, "shared_meter"), flow.MeterColor[color.upper()])
    monitor = flow.Monitor(counter, meter, _count(node, "aging_sec"))
    node.done()
    return monitor


def read_fwd(node: Node, names: Names) -> flow.Fwd:
    """``drop``, ``reject``, ``answer``, ``kernel``, ``changeable``, or one of port, pipe, rss, hash, list, drop,
    reject with what they need.
    """
    if not node.is_mapping:
        words: dict[str, flow.Fwd] = {
            "drop": flow.FwdDrop(), "kernel": flow.FwdTarget(), "changeable": flow.FwdChangeable(),
            "reject": flow.FwdReject(), "answer": flow.FwdAnswer(),
        }  # fmt: skip
        if node.raw not in words:
            node.fail(
                f"{node.raw!r} is not drop, kernel, changeable, reject, answer, "
                "or one of port:, pipe:, rss:, hash:, list:, drop:, reject:"
            )
        return words[node.raw]
    fwd: flow.Fwd
    if (port := node.get("port")) is not None:
        fwd = flow.FwdPort(names.port(port))
    elif (pipe := node.get("pipe")) is not None:
        fwd = flow.FwdPipe(pipe.as_text())
    elif (queues := node.get("rss")) is not None:
        flags = flow.RssFlags(0)
        known = {flag.name.lower(): flag for flag in flow.RssFlags if flag.name}
        for word in node.list_of("fields", lambda item: item.as_choice(*known)):
            flags |= known[word]
        function = (
            flow.RssHash.SYMMETRIC_TOEPLITZ if node.switch("symmetric", False) else flow.RssHash.TOEPLITZ
        )
        fwd = flow.FwdRss(
            tuple(item.as_number(0, 0xFFFF) for item in queues.items()), flags, hash_func=function
        )
    elif (pipe := node.get("hash")) is not None:
        word = node.choice("algorithm", "", *ALGORITHMS)
        fwd = flow.FwdHash(pipe.as_text(), ALGORITHMS[word] if word else flow.NO_ALGORITHM)
    elif (pipe := node.get("list")) is not None:
        fwd = flow.FwdOrderedList(pipe.as_text(), _count(node, "index"))
    elif (reason := node.get("drop")) is not None:
        fwd = flow.FwdDrop(reason.as_text())
    elif (reason := node.get("reject")) is not None:
        fwd = flow.FwdReject(reason.as_text())
    else:
        node.fail("one of port, pipe, rss, hash, list, drop, reject is needed")
    node.done()
    return fwd


def _ordered_list(node: Node, index: int, names: Names) -> flow.OrderedList:
    elements: list[flow.ListElement] = []
    for item in node.items():
        if (monitor := item.get("monitor")) is not None:
            elements.append(read_monitor(monitor))
        elif (nat64 := item.get("nat64")) is not None:
            elements.append(
                flow.ListNat64(flow.L3Type.IP4 if nat64.as_number(4, 6) == 4 else flow.L3Type.IP6)
            )
        else:
            elements.append(flow.ListActions(*_template(item, names)))
        item.done()
    return flow.OrderedList(index, tuple(elements))


def read_entry(node: Node, kind: flow.PipeType, names: Names) -> flow.EntrySpec:
    """One entry of a pipe of this type."""
    match, mask = _match(node, kind, names, entry=True)
    has_actions = not {"set", "mask", "add", "copy"}.isdisjoint(node.keys())
    actions, actions_mask, descs = _template(node, names)
    condition = None
    if (given := node.get("condition")) is not None:
        a = _desc_field(given, "field")
        if a is None:
            given.fail("'field' is missing")
        condition = flow.Condition(
            OPERATIONS[given.choice("is", "==", *OPERATIONS)],
            a,
            _desc_field(given, "other"),
            given.number("width", 0, 0, 64),
        )
        given.done()
    monitor, fwd, ordered = node.get("monitor"), node.get("fwd"), node.get("list")
    entry = flow.EntrySpec(
        match=match,
        match_mask=mask,
        action_idx=node.number("action", 0, 0, 255),
        actions=actions if has_actions else None,
        actions_mask=actions_mask,
        action_descs=descs,
        condition=condition,
        monitor=None if monitor is None else read_monitor(monitor),
        fwd=None if fwd is None else read_fwd(fwd, names),
        priority=node.number("priority", 0, 0, MAX_U32),
        index=node.number("index", 0, 0, MAX_U32),
        ordered_list=None
        if ordered is None
        else _ordered_list(ordered, node.number("list_index", 0, 0, 255), names),
        tag=node.number("tag", 0),
    )
    node.done()
    return entry


def read_pipe(node: Node, names: Names) -> PipeConfig:
    """One pipe with its entries."""
    kind = PIPE_TYPES[node.choice("type", "basic", *PIPE_TYPES)]
    match, mask = _match(node, kind, names, entry=False)
    templates = [_template_item(item, names) for item in node.list_of("actions", lambda item: item)]
    algorithm = flow.NO_ALGORITHM
    for word in node.list_of("algorithm", lambda item: item.as_choice(*ALGORITHMS)):
        algorithm |= ALGORITHMS[word]
    monitor, fwd, miss = node.get("monitor"), node.get("fwd"), node.get("miss")
    port_node = node.need("port")
    names.port(port_node)
    lists = node.list_of("lists", lambda item: item)
    name = node.need("name")
    if len(name.as_text().encode()) > 63 or not name.raw.isprintable():
        name.fail("a name has 1 to 63 printable bytes")
    masks = tuple(template[1] for template in templates)
    descs = tuple(template[2] for template in templates)
    spec = flow.PipeSpec(
        name=name.raw,
        type=kind,
        domain=flow.Domain.EGRESS
        if node.choice("domain", "default", "default", "egress") == "egress"
        else flow.Domain.DEFAULT,
        is_root=node.switch("root", False),
        nr_entries=node.number("nr_entries", 0, 0, 1 << 24),
        match=match,
        match_mask=mask,
        actions=tuple(template[0] for template in templates),
        actions_masks=masks if any(mask is not None for mask in masks) else (),
        action_descs=descs if any(descs) else (),
        monitor=None if monitor is None else read_monitor(monitor),
        fwd=None if fwd is None else read_fwd(fwd, names),
        fwd_miss=None if miss is None else read_fwd(miss, names),
        miss_counter=node.switch("miss_counter", False),
        label=node.text("label", ""),
        is_resizable=node.switch("resizable", False),
        congestion_level_threshold=node.number("congestion_percent", 0, 0, 100),
        hash_map_algorithm=algorithm,
        ordered_lists=tuple(_ordered_list(item, index, names) for index, item in enumerate(lists)),
    )
    entries = node.list_of("entries", lambda item: read_entry(item, kind, names))
    where = f"{node.file}:{node.line}"
    node.done()
    return PipeConfig(spec, port_node.raw, entries, where)


def _template_item(node: Node, names: Names) -> Template:
    template = _template(node, names)
    node.done()
    return template


def read_shared(node: Node, names: Names) -> tuple[SharedConfig, ...]:
    """``shared: {meters: {1: {...}}, counters: [1], encaps: {1: {...}}, decaps: {1: {...}}}``."""
    found: list[SharedConfig] = []

    def add(kind: flow.SharedResourceType, key: str, item: Node, resource: Shared | None) -> None:
        where = f"{item.file}:{item.line}"
        number = item.check(lambda: int(key, 0))
        if not 0 <= number < 1 << 16:
            item.fail("a shared resource has an id from 0 to 65535")
        if resource is not None:
            found.append(SharedConfig(kind, number, resource, where))

    meters = node.get("meters")
    for key, item in () if meters is None else meters.children():
        algorithm = item.choice("algorithm", "rfc2697", "rfc2697", "rfc2698", "rfc4115")
        aware = item.switch("color_aware", False)
        rates = {name: item.number(name, 0) for name in ("ebs", "pir", "pbs", "eir")}
        meter = flow.MeterConfig(
            cir=item.number("cir"),
            cbs=item.number("cbs"),
            alg=flow.MeterAlgorithm[algorithm.upper()],
            limit_type=_unit(item),
            color_mode=flow.ColorMode.AWARE if aware else flow.ColorMode.BLIND,
            **rates,
        )
        item.done()
        add(flow.SharedResourceType.METER, key, item, meter)
    for item in node.list_of("counters", lambda item: item):
        add(flow.SharedResourceType.COUNTER, item.raw, item, flow.CounterConfig())
    for what, kind in (("encaps", flow.SharedResourceType.ENCAP), ("decaps", flow.SharedResourceType.DECAP)):
        group = node.get(what)
        for key, item in () if group is None else group.children():
            prefix = what.removesuffix("s")
            rows = {
                n.removeprefix(f"{prefix}."): r
                for n, r in fields.ACTIONS.items()
                if n.startswith(f"{prefix}.")
            }
            flat = _flat(item, rows, names)
            flat[f"{prefix}_type"] = int(flow.ResourceType.NON_SHARED)
            actions = item.check(lambda flat=flat: flow.Actions.from_flat(flat))  # type: ignore[misc]
            add(kind, key, item, actions.encap or actions.decap)
    node.done()
    return tuple(found)
