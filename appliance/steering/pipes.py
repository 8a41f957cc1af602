# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Pipes and entries: one function per call of the C API, over plain values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from appliance._ringfield import ffi, lib
from appliance.errors import InvalidValue
from appliance.steering import ct
from appliance.steering.native import NULL, Cdata, check, plain
from appliance.steering.structs import Arena, Assignment, Desc, target

Row = dict[str, Any]
Values = Sequence[Assignment]


@dataclass(frozen=True, slots=True)
class FwdParts:
    """``struct doca_flow_fwd``: the members that ``type`` has a use for."""

    type: int
    port_id: int = 0
    pipe: Cdata = None
    index: int = 0
    algorithm: int = 0
    queues: Sequence[int] = ()
    outer_flags: int = 0
    inner_flags: int = 0
    hash_func: int = 0
    shared_rss_id: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class CtParts:
    """``struct doca_flow_ringfield_ct``: plain members by name, timers in ms in C's order."""

    members: Mapping[str, int]
    timeouts_ms: Sequence[int]


@dataclass(frozen=True, slots=True)
class MonitorParts:
    """``struct doca_flow_monitor``; types are those of ``enum doca_flow_resource_type``."""

    counter_type: int = 0
    shared_counter_id: int = 0
    meter_type: int = 0
    limit_type: int = 0
    cir: int = 0
    cbs: int = 0
    shared_meter_id: int = 0
    init_color: int = 0
    aging_sec: int = 0


@dataclass(frozen=True, slots=True)
class ElementParts:
    """One element of an ordered list: exactly one of ``actions``, ``monitor``, ``nat64`` counts."""

    actions: Values | None = None
    mask: Values | None = None
    descs: Sequence[Desc] = ()
    monitor: MonitorParts | None = None
    nat64: int = 0


@dataclass(frozen=True, slots=True)
class ListParts:
    """``struct doca_flow_ordered_list``."""

    index: int
    elements: Sequence[ElementParts]


@dataclass(frozen=True, slots=True)
class PipeParts:
    """What ``doca_flow_pipe_cfg`` and ``doca_flow_pipe_create`` take."""

    name: str
    type: int
    domain: int
    is_root: bool
    nr_entries: int
    match: Values | None
    mask: Values | None
    actions: Sequence[Values]
    masks: Sequence[Values | None]
    descs: Sequence[Sequence[Desc]]
    monitor: MonitorParts | None
    fwd: FwdParts | None
    fwd_miss: FwdParts | None
    miss_counter: bool
    label: str
    is_resizable: bool
    congestion: int
    excluded_queues: Sequence[int]
    algorithm: int
    lists: Sequence[ListParts]
    ct: CtParts | None = None


@dataclass(frozen=True, slots=True)
class EntryParts:
    """What the add and update calls take; None is NULL."""

    match: Values | None = None
    mask: Values | None = None
    action_idx: int = 0
    actions: Values | None = None
    actions_mask: Values | None = None
    descs: Sequence[Desc] = ()
    condition: tuple[int, tuple[str, int], tuple[str, int] | None, int] | None = None
    monitor: MonitorParts | None = None
    fwd: FwdParts | None = None
    priority: int = 0
    index: int = 0
    ordered_list: ListParts | None = None
    tag: int = 0


# -- structs ---------------------------------------------------------------------------------------------------------


def drop_number(reason: str) -> int:
    """A drop reason by its name."""
    number = int(lib.doca_flow_ringfield_drop_by_name(reason.encode()))
    if not number:
        raise InvalidValue(f"there is no drop reason {reason!r}")
    return number


def fill_fwd(made: Cdata, parts: FwdParts, arena: Arena) -> None:
    """Fill in a zeroed ``struct doca_flow_fwd``."""
    made.type = parts.type
    if parts.reason:
        made.port_id = drop_number(parts.reason)
    elif parts.type == lib.DOCA_FLOW_FWD_PORT:
        made.port_id = parts.port_id
    elif parts.type == lib.DOCA_FLOW_FWD_PIPE:
        made.next_pipe = NULL if parts.pipe is None else parts.pipe
    elif parts.type == lib.DOCA_FLOW_FWD_TARGET:
        made.target = target()
    elif parts.type == lib.DOCA_FLOW_FWD_ORDERED_LIST_PIPE:
        made.ordered_list_pipe.pipe, made.ordered_list_pipe.idx = parts.pipe, parts.index
    elif parts.type == lib.DOCA_FLOW_FWD_HASH_PIPE:
        made.hash_pipe.pipe, made.hash_pipe.algorithm = parts.pipe, parts.algorithm
    elif parts.type == lib.DOCA_FLOW_FWD_RSS:
        if parts.shared_rss_id is not None:
            made.rss_type = lib.DOCA_FLOW_RESOURCE_TYPE_SHARED
            made.shared_rss_id = parts.shared_rss_id
        else:
            made.rss_type = lib.DOCA_FLOW_RESOURCE_TYPE_NON_SHARED
            arena.rss(made.rss, parts.queues, parts.outer_flags, parts.inner_flags, parts.hash_func)


def _fwd(parts: FwdParts | None, arena: Arena) -> Cdata:
    if parts is None:
        return NULL
    made = arena.new("struct doca_flow_fwd *")
    fill_fwd(made, parts, arena)
    return made


def _monitor(parts: MonitorParts | None, arena: Arena) -> Cdata:
    if parts is None:
        return NULL
    made = arena.new("struct doca_flow_monitor *")
    made.counter_type, made.meter_type, made.aging_sec = parts.counter_type, parts.meter_type, parts.aging_sec
    if parts.counter_type == lib.DOCA_FLOW_RESOURCE_TYPE_SHARED:
        made.shared_counter.shared_counter_id = parts.shared_counter_id
    if parts.meter_type == lib.DOCA_FLOW_RESOURCE_TYPE_SHARED:
        made.shared_meter.shared_meter_id = parts.shared_meter_id
        made.shared_meter.meter_init_color = parts.init_color
    elif parts.meter_type:
        meter = made.non_shared_meter
        meter.limit_type, meter.cir, meter.cbs = parts.limit_type, parts.cir, parts.cbs
    return made


def _list(parts: ListParts | None, arena: Arena) -> Cdata:
    if parts is None:
        return NULL
    elements = arena.new("struct doca_flow_ordered_list_element[]", max(1, len(parts.elements)))
    for made, element in zip(elements, parts.elements, strict=False):
        if element.monitor is not None:
            made.type = lib.DOCA_FLOW_ORDERED_LIST_ELEMENT_MONITOR
            made.monitor = _monitor(element.monitor, arena)
        elif element.nat64:
            made.type = lib.DOCA_FLOW_ORDERED_LIST_ELEMENT_NAT64
            made.nat64 = arena.new("struct doca_flow_nat64_action *", [element.nat64])
        else:
            made.type = lib.DOCA_FLOW_ORDERED_LIST_ELEMENT_ACTIONS
            made.actions = arena.actions(element.actions or ())
            made.actions_mask = arena.actions(element.mask)
            made.action_descs = arena.descs(element.descs)
    return arena.new("struct doca_flow_ordered_list *", [parts.index, len(parts.elements), elements])


# -- pipes -----------------------------------------------------------------------------------------------------------


def pipe_create(port: Cdata, parts: PipeParts) -> Cdata:
    """``doca_flow_pipe_create`` and the setters before it."""
    out = ffi.new("struct doca_flow_pipe_cfg **")
    check(lib.doca_flow_pipe_cfg_create(out, port))
    cfg, arena = out[0], Arena()
    try:
        _configure(cfg, parts, arena)
        pipe = ffi.new("struct doca_flow_pipe **")
        check(lib.doca_flow_pipe_create(cfg, _fwd(parts.fwd, arena), _fwd(parts.fwd_miss, arena), pipe))
        return pipe[0]
    finally:
        lib.doca_flow_pipe_cfg_destroy(cfg)


def _configure(cfg: Cdata, parts: PipeParts, arena: Arena) -> None:
    check(lib.doca_flow_pipe_cfg_set_name(cfg, arena.string(parts.name)))
    check(lib.doca_flow_pipe_cfg_set_type(cfg, parts.type))
    check(lib.doca_flow_pipe_cfg_set_domain(cfg, parts.domain))
    check(lib.doca_flow_pipe_cfg_set_is_root(cfg, parts.is_root))
    if parts.label:
        check(lib.doca_flow_pipe_cfg_set_label(cfg, arena.string(parts.label)))
    if parts.nr_entries:
        check(lib.doca_flow_pipe_cfg_set_nr_entries(cfg, parts.nr_entries))
    if parts.match is not None:
        check(lib.doca_flow_pipe_cfg_set_match(cfg, arena.match(parts.match), arena.match(parts.mask)))
    if parts.actions:
        check(
            lib.doca_flow_pipe_cfg_set_actions(
                cfg,
                arena.pointers("struct doca_flow_actions", [arena.actions(one) for one in parts.actions]),
                arena.pointers("struct doca_flow_actions", [arena.actions(one) for one in parts.masks]),
                arena.pointers("struct doca_flow_action_descs", [arena.descs(one) for one in parts.descs]),
                len(parts.actions),
            )
        )
    if parts.monitor is not None:
        check(lib.doca_flow_pipe_cfg_set_monitor(cfg, _monitor(parts.monitor, arena)))
    if parts.lists:
        lists = arena.pointers("struct doca_flow_ordered_list", [_list(one, arena) for one in parts.lists])
        check(lib.doca_flow_pipe_cfg_set_ordered_lists(cfg, lists, len(parts.lists)))
    if parts.is_resizable:
        check(lib.doca_flow_pipe_cfg_set_is_resizable(cfg, True))
    if parts.congestion:
        check(lib.doca_flow_pipe_cfg_set_congestion_level_threshold(cfg, parts.congestion))
    for queue in parts.excluded_queues:
        check(lib.doca_flow_pipe_cfg_set_excluded_queue(cfg, queue))
    if parts.miss_counter:
        check(lib.doca_flow_pipe_cfg_set_miss_counter(cfg, True))
    if parts.ct is not None:
        check(lib.doca_flow_ringfield_pipe_cfg_set_ct(cfg, ct.config(parts.ct.members, parts.ct.timeouts_ms)))
    if parts.algorithm:
        check(lib.doca_flow_pipe_cfg_set_hash_map_algorithm(cfg, parts.algorithm))


def pipe_destroy(pipe: Cdata) -> None:
    """``doca_flow_pipe_destroy``, with its error."""
    check(lib.doca_flow_ringfield_pipe_destroy(pipe))


def pipe_update_miss(pipe: Cdata, fwd: FwdParts | None) -> None:
    """``doca_flow_pipe_update_miss``."""
    arena = Arena()
    check(lib.doca_flow_pipe_update_miss(pipe, _fwd(fwd, arena)))


def pipe_resize(pipe: Cdata, congestion: int) -> None:
    """``doca_flow_pipe_resize``; completion comes as a notice."""
    check(
        lib.doca_flow_pipe_resize(
            pipe,
            congestion,
            ffi.addressof(lib, "ringfield_on_resize"),
            ffi.addressof(lib, "ringfield_on_relocate"),
        )
    )


def pipe_calc_hash(pipe: Cdata, match: Values) -> int:
    """``doca_flow_pipe_calc_hash``."""
    out = ffi.new("uint32_t *")
    check(lib.doca_flow_pipe_calc_hash(pipe, Arena().match(match), out))
    return int(out[0])


def pipe_info(pipe: Cdata) -> Row:
    """``struct doca_flow_ringfield_pipe``."""
    out = ffi.new("struct doca_flow_ringfield_pipe *")
    check(lib.doca_flow_ringfield_pipe_info(pipe, out))
    return dict(plain(out))


def pipe_query_miss(pipe: Cdata) -> tuple[int, int]:
    """Packets and bytes that missed."""
    out = ffi.new("struct doca_flow_resource_query *")
    check(lib.doca_flow_resource_query_pipe_miss(pipe, out))
    return out.counter.total_pkts, out.counter.total_bytes


def pipe_dump(pipe: Cdata, stream: Any) -> None:
    """``doca_flow_pipe_dump`` to a Python file that has a descriptor."""
    lib.doca_flow_pipe_dump(pipe, stream)


# -- entries ---------------------------------------------------------------------------------------------------------


def entry_add(kind: int, queue: int, pipe: Cdata, parts: EntryParts, flags: int) -> Cdata:
    """The add call for a type of pipe; returns the entry."""
    arena, out = Arena(), ffi.new("struct doca_flow_pipe_entry **")
    match, mask = arena.match(parts.match), arena.match(parts.mask)
    actions = arena.actions(parts.actions)
    monitor, fwd = _monitor(parts.monitor, arena), _fwd(parts.fwd, arena)
    lib.doca_flow_ringfield_set_tag(parts.tag)
    if kind == lib.DOCA_FLOW_PIPE_BASIC:
        code = lib.doca_flow_pipe_basic_add_entry(
            queue, pipe, match, parts.action_idx, actions, monitor, fwd, flags, NULL, out
        )
    elif kind == lib.DOCA_FLOW_PIPE_CONTROL:
        condition = NULL if parts.condition is None else arena.condition(*parts.condition)
        actions_mask, descs = arena.actions(parts.actions_mask), arena.descs(parts.descs)
        code = lib.doca_flow_pipe_control_add_entry(
            queue,
            pipe,
            match,
            mask,
            condition,
            actions,
            actions_mask,
            descs,
            monitor,
            parts.priority,
            fwd,
            NULL,
            out,
        )
    elif kind == lib.DOCA_FLOW_PIPE_LPM:
        code = lib.doca_flow_pipe_lpm_add_entry(
            queue, pipe, match, mask, parts.action_idx, actions, monitor, fwd, flags, NULL, out
        )
    elif kind == lib.DOCA_FLOW_PIPE_ACL:
        code = lib.doca_flow_pipe_acl_add_entry(
            queue, pipe, match, mask, parts.action_idx, actions, parts.priority, fwd, flags, NULL, out
        )
    elif kind == lib.DOCA_FLOW_PIPE_ORDERED_LIST:
        ordered = _list(parts.ordered_list, arena)
        code = lib.doca_flow_pipe_ordered_list_add_entry(
            queue, pipe, parts.index, ordered, fwd, flags, NULL, out
        )
    else:
        code = lib.doca_flow_pipe_hash_add_entry(
            queue, pipe, parts.index, parts.action_idx, actions, monitor, fwd, flags, NULL, out
        )
    lib.doca_flow_ringfield_set_tag(0)
    check(code)
    return out[0]


def entry_update(kind: int, queue: int, pipe: Cdata, entry: Cdata, parts: EntryParts, flags: int) -> None:
    """The update call for a type of pipe; types without one get the basic one's refusal."""
    arena = Arena()
    actions, monitor, fwd = (
        arena.actions(parts.actions),
        _monitor(parts.monitor, arena),
        _fwd(parts.fwd, arena),
    )
    if kind == lib.DOCA_FLOW_PIPE_ACL:
        code = lib.doca_flow_pipe_acl_update_entry(queue, pipe, parts.action_idx, actions, fwd, flags, entry)
    else:
        call: Callable[..., int] = (
            lib.doca_flow_pipe_lpm_update_entry
            if kind == lib.DOCA_FLOW_PIPE_LPM
            else lib.doca_flow_pipe_basic_update_entry
        )
        code = call(queue, pipe, parts.action_idx, actions, monitor, fwd, flags, entry)
    check(code)


def entry_remove(queue: int, entry: Cdata, flags: int) -> None:
    """``doca_flow_pipe_remove_entry``."""
    check(lib.doca_flow_pipe_remove_entry(queue, flags, entry))


def entry_query(entry: Cdata) -> tuple[int, int]:
    """Packets and bytes of an entry's counter."""
    out = ffi.new("struct doca_flow_resource_query *")
    check(lib.doca_flow_resource_query_entry(entry, out))
    return out.counter.total_pkts, out.counter.total_bytes


def entry_status(entry: Cdata) -> int:
    """``doca_flow_pipe_entry_get_status``."""
    return int(lib.doca_flow_pipe_entry_get_status(entry))


def entry_info(entry: Cdata) -> Row:
    """``struct doca_flow_ringfield_entry``."""
    out = ffi.new("struct doca_flow_ringfield_entry *")
    check(lib.doca_flow_ringfield_entry_info(entry, out))
    return dict(plain(out))


# -- many entries at once --------------------------------------------------------------------------------------------

_NUMBERS = {1: ">u1", 2: ">u2", 4: ">u4", 8: ">u8"}


def row_dtype(pipe: Cdata, args: bool, action_idx: int) -> np.dtype[np.void]:
    """The layout of rows, by column name. Odd widths (a MAC, an IPv6 address, a VNI) are arrays of bytes."""
    part = lib.DOCA_FLOW_RINGFIELD_ROW_ARGS if args else lib.DOCA_FLOW_RINGFIELD_ROW_KEY
    columns = ffi.new("struct doca_flow_ringfield_column[]", 64)
    number, size = ffi.new("uint32_t *"), ffi.new("uint32_t *")
    check(lib.doca_flow_ringfield_pipe_columns(pipe, part, action_idx, columns, 64, number, size))
    rows = [plain(columns[i]) for i in range(number[0])]
    return np.dtype({
        "names": [row["name"] for row in rows],
        "formats": [_NUMBERS.get(row["width"], ("u1", (row["width"],))) for row in rows],
        "offsets": [row["offset"] for row in rows],
        "itemsize": int(size[0]),
    })  # fmt: skip


@dataclass(slots=True)
class Bulk:
    """Many entries in one call. ``entries`` holds handles, ``results`` a ``doca_error_t`` each."""

    pipe: Cdata
    number: int
    queue: int = 0
    action_idx: int = 0
    keys: NDArray[np.void] | None = None
    masks: NDArray[np.void] | None = None
    args: NDArray[np.void] | None = None
    priorities: NDArray[np.uint32] | None = None
    tags: NDArray[np.uint64] | None = None
    monitor: MonitorParts | None = None
    fwds: Sequence[FwdParts] = ()
    fwd_of_row: NDArray[np.uint32] | None = None
    timeout_us: int = 0
    entries: Cdata = None
    results: NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))
    done: int = 0

    def run(self, operation: str) -> int:
        """``add``, ``update`` or ``remove``; returns the first error's code."""
        arena = Arena()
        if self.entries is None:
            self.entries = ffi.new("struct doca_flow_pipe_entry *[]", max(1, self.number))
        elif isinstance(self.entries, np.ndarray):  # handles as numbers
            self.entries = arena.buffer("struct doca_flow_pipe_entry *[]", self.entries)
        self.results = np.zeros(self.number, np.int32)
        made = arena.new("struct doca_flow_ringfield_bulk *")
        made.pipe, made.pipe_queue, made.action_idx, made.nr = (
            self.pipe,
            self.queue,
            self.action_idx,
            self.number,
        )
        for name in ("keys", "masks", "args"):
            rows = getattr(self, name)
            if rows is not None:
                setattr(made, name, arena.buffer("uint8_t[]", np.ascontiguousarray(rows)))
        if self.priorities is not None:
            made.priorities = arena.buffer("uint32_t[]", np.ascontiguousarray(self.priorities, np.uint32))
        if self.tags is not None:
            made.tags = arena.buffer("uint64_t[]", np.ascontiguousarray(self.tags, np.uint64))
        made.monitor = _monitor(self.monitor, arena)
        if self.fwds:
            made.fwds = arena.new("struct doca_flow_fwd[]", len(self.fwds))
            made.nr_fwds = len(self.fwds)
            for i, parts in enumerate(self.fwds):
                fill_fwd(made.fwds[i], parts, arena)
        if self.fwd_of_row is not None:
            made.fwd_of_row = arena.buffer("uint32_t[]", np.ascontiguousarray(self.fwd_of_row, np.uint32))
        made.timeout_us, made.entries = self.timeout_us, self.entries
        made.results = ffi.cast("doca_error_t *", arena.buffer("int32_t[]", self.results))
        code: int = getattr(lib, f"doca_flow_ringfield_bulk_{operation}")(made)
        self.done = int(made.nr_done)
        return code


# -- adoption --------------------------------------------------------------------------------------------------------


def adopt_pipes(port: Cdata) -> list[Cdata]:
    """Handles for the pipes that a durable session left on a port."""
    room, number = 1 << 14, ffi.new("uint32_t *")
    pipes = ffi.new("struct doca_flow_pipe *[]", room)
    check(lib.doca_flow_ringfield_adopt_pipes(port, pipes, room, number))
    return [pipes[i] for i in range(min(room, number[0]))]


def adopt_entries(
    pipe: Cdata, queue: int, key_bytes: int, args_bytes: int
) -> list[tuple[Cdata, Row, bytes, bytes, bytes]]:
    """Handles for an adopted pipe's entries: entry, its info, key row, mask row, argument row."""
    room, found = 256, []
    arena = Arena()
    adopt = arena.new("struct doca_flow_ringfield_adopt *")
    adopt.pipe, adopt.pipe_queue, adopt.max, adopt.args_bytes = pipe, queue, room, args_bytes
    adopt.entries = arena.new("struct doca_flow_pipe_entry *[]", room)
    adopt.infos = arena.new("struct doca_flow_ringfield_entry[]", room)
    if key_bytes:
        adopt.keys = arena.new("uint8_t[]", room * key_bytes)
        adopt.masks = arena.new("uint8_t[]", room * key_bytes)
    if args_bytes:
        adopt.args = arena.new("uint8_t[]", room * args_bytes)
    while True:
        check(lib.doca_flow_ringfield_adopt_entries(adopt))
        for i in range(adopt.nr_entries):
            keys = [
                bytes(ffi.buffer(rows + i * size, size)) if size else b""
                for rows, size in (
                    (adopt.keys, key_bytes),
                    (adopt.masks, key_bytes),
                    (adopt.args, args_bytes),
                )
            ]
            found.append((adopt.entries[i], plain(adopt.infos[i]), keys[0], keys[1], keys[2]))
        if not adopt.nr_entries:
            return found


def handle_numbers(entries: Cdata, number: int) -> NDArray[np.uintp]:
    """Handles of a bulk call as an array of numbers, which ``Bulk.entries`` takes back."""
    return np.frombuffer(ffi.buffer(entries, number * np.dtype(np.uintp).itemsize), np.uintp).copy()


@dataclass(frozen=True, slots=True)
class AdoptedRows:
    """An adopted pipe's entries in arrays, one item each."""

    handles: NDArray[np.uintp]
    infos: NDArray[np.void]
    """number, priority, action_idx, tag, fwd (text; empty: the pipe's)."""
    keys: NDArray[np.uint8]
    masks: NDArray[np.uint8]
    args: NDArray[np.uint8]


def _info_dtype() -> np.dtype[np.void]:
    names = {"number": "u4", "priority": "u4", "action_idx": "u1", "tag": "u8", "fwd": "S48"}
    ctype = "struct doca_flow_ringfield_entry"
    return np.dtype({
        "names": list(names),
        "formats": list(names.values()),
        "offsets": [ffi.offsetof(ctype, name) for name in names],
        "itemsize": ffi.sizeof(ctype),
    })  # fmt: skip


def adopt_rows(pipe: Cdata, queue: int, key_bytes: int, args_bytes: int) -> AdoptedRows:
    """As ``adopt_entries``, for very many entries."""
    return _all_rows(pipe, key_bytes, args_bytes, queue, None)


def look_rows(pipe: Cdata, key_bytes: int, args_bytes: int, after: int) -> AdoptedRows:
    """Up to 4096 of a pipe's entries as the fast path holds them now, numbered above ``after`` (-1: from the first).
    No handles.
    """
    return _all_rows(pipe, key_bytes, args_bytes, 0, after & 0xFFFFFFFF)


def _all_rows(pipe: Cdata, key_bytes: int, args_bytes: int, queue: int, after: int | None) -> AdoptedRows:
    room = 4096
    arena, dtype = Arena(), _info_dtype()
    adopt = arena.new("struct doca_flow_ringfield_adopt *")
    adopt.pipe, adopt.pipe_queue, adopt.max, adopt.args_bytes = pipe, queue, room, args_bytes
    if after is None:
        adopt.entries = arena.new("struct doca_flow_pipe_entry *[]", room)
    else:
        adopt.after = after
    adopt.infos = arena.new("struct doca_flow_ringfield_entry[]", room)
    widths = {"keys": key_bytes, "masks": key_bytes, "args": args_bytes}
    for name, width in widths.items():
        if width:
            setattr(adopt, name, arena.new("uint8_t[]", room * width))
    handles: list[NDArray[np.uintp]] = []
    infos: list[NDArray[np.void]] = []
    rows: dict[str, list[NDArray[np.uint8]]] = {name: [] for name in widths}
    while True:
        if after is None:
            check(lib.doca_flow_ringfield_adopt_entries(adopt))
        else:
            check(lib.doca_flow_ringfield_look_entries(adopt))
        number = int(adopt.nr_entries)
        if not number:
            break
        if after is None:
            handles.append(handle_numbers(adopt.entries, number))
        infos.append(np.frombuffer(ffi.buffer(adopt.infos, number * dtype.itemsize), dtype).copy())
        for name, width in widths.items():
            data = bytes(ffi.buffer(getattr(adopt, name), number * width)) if width else b""
            rows[name].append(np.frombuffer(data, np.uint8).reshape(number, width))
        if after is not None:
            break
    whole = {
        name: np.concatenate(parts) if parts else np.zeros((0, widths[name]), np.uint8)
        for name, parts in rows.items()
    }
    return AdoptedRows(
        np.concatenate(handles) if handles else np.zeros(0, np.uintp),
        np.concatenate(infos) if infos else np.zeros(0, dtype),
        **whole,
    )
