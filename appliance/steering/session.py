# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""The process's session with a fast path: attach, ports, shared resources, transactions, packets, traces,
statistics.

All of it is the library's global state: attach once, detach once. Lists come back as dicts with the C
members' names.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from appliance._ringfield import ffi, lib
from appliance.errors import Again
from appliance.steering.native import NULL, Cdata, address, check, plain, text
from appliance.steering.structs import Arena, be

PORT_ANY = 0xFFFF
_BUFFER = 1 << 20
_TRACE_BUFFER = 1 << 17  # an answer is at most 64 KiB
_TRACE_OUTCOMES = 2048  # as many as fit into it
_PACKETS = 256

Row = dict[str, Any]

# What closes the device of each started port: it stays open as long as that.
_devices: dict[int, Callable[[], object]] = {}


def attach(
    runtime_dir: str,
    *,
    session: str,
    durable: bool,
    reader: bool,
    timeout_ms: int,
    mode_args: str,
    queues: int,
    queue_depth: int,
    reserves: Mapping[str, int],
    packet_ring_bytes: int = 0,
    flow_ring_bytes: int = 0,
) -> None:
    """``doca_flow_init`` on the fast path of a runtime directory.

    ``reserves``: counters, meters, and by name of shared resource (METER, COUNTER, ...) how many of each.
    """
    arena = Arena()
    where = arena.new("struct doca_flow_ringfield_attach *")
    where.runtime_dir, where.session = arena.string(runtime_dir), arena.string(session)
    where.flags = (lib.DOCA_FLOW_RINGFIELD_DURABLE if durable else 0) | (
        lib.DOCA_FLOW_RINGFIELD_READER if reader else 0
    )
    where.timeout_ms, where.packet_ring_bytes = timeout_ms, packet_ring_bytes
    where.flow_ring_bytes = flow_ring_bytes
    check(lib.doca_flow_ringfield_set_attach(where))
    out = arena.new("struct doca_flow_cfg **")
    check(lib.doca_flow_cfg_create(out))
    cfg = out[0]
    try:
        check(lib.doca_flow_cfg_set_pipe_queues(cfg, queues))
        check(lib.doca_flow_cfg_set_queue_depth(cfg, queue_depth))
        check(lib.doca_flow_cfg_set_mode_args(cfg, arena.string(mode_args)))
        for name, number in reserves.items():
            if name == "counters":
                check(lib.doca_flow_cfg_set_nr_counters(cfg, number))
            elif name == "meters":
                check(lib.doca_flow_cfg_set_nr_meters(cfg, number))
            else:
                kind = getattr(lib, f"DOCA_FLOW_SHARED_RESOURCE_{name}")
                check(lib.doca_flow_cfg_set_nr_shared_resource(cfg, number, kind))
        check(lib.doca_flow_cfg_set_cb_entry_process(cfg, ffi.addressof(lib, "ringfield_on_entry")))
        check(lib.doca_flow_cfg_set_cb_pipe_process(cfg, ffi.addressof(lib, "ringfield_on_pipe")))
        check(
            lib.doca_flow_ringfield_lint_set(
                lib.DOCA_FLOW_RINGFIELD_LINT_WARN, ffi.addressof(lib, "ringfield_on_lint"), NULL
            )
        )
        check(lib.doca_flow_init(cfg))
    finally:
        lib.doca_flow_cfg_destroy(cfg)
    notices()  # whatever an earlier session of this process left


def detach() -> None:
    """``doca_flow_destroy``."""
    lib.doca_flow_destroy()
    while _devices:
        _devices.popitem()[1]()
    lib.doca_flow_ringfield_set_attach(NULL)


def alive() -> bool:
    """Whether the fast path is still there."""
    return bool(lib.doca_flow_ringfield_alive())


def shutdown() -> None:
    """Orderly end of the fast path."""
    check(lib.doca_flow_ringfield_shutdown())


def session_self() -> Row:
    """Own session."""
    out = ffi.new("struct doca_flow_ringfield_session *")
    check(lib.doca_flow_ringfield_session_self(out))
    return dict(plain(out))


def session_drop(name: str) -> None:
    """End a durable session that nobody is attached to."""
    check(lib.doca_flow_ringfield_session_drop(name.encode()))


def _listed(ctype: str, call: Callable[[Cdata, int, Cdata], int], room: int = 64) -> list[Row]:
    number = ffi.new("uint32_t *")
    while True:
        rows = ffi.new(f"{ctype}[]", room)
        check(call(rows, room, number))
        if number[0] <= room:
            return [plain(rows[i]) for i in range(number[0])]
        room = number[0] + 16


def session_list() -> list[Row]:
    """All sessions of the fast path."""
    return _listed("struct doca_flow_ringfield_session", lib.doca_flow_ringfield_session_list)


def pipe_list(own: bool) -> list[Row]:
    """Pipes of all sessions, or of this one."""
    return _listed(
        "struct doca_flow_ringfield_pipe",
        lambda rows, room, number: int(lib.doca_flow_ringfield_pipe_list(own, rows, room, number)),
    )


# -- ports -----------------------------------------------------------------------------------------------------------


def port_list() -> list[Row]:
    """All ports of the fast path."""
    return _listed("struct doca_flow_ringfield_port", lib.doca_flow_ringfield_port_list)


def port_add(members: Mapping[str, str], mtu: int) -> Row:
    """A new port at run time; members as in ``doca_flow_ringfield_port_config``."""
    arena = Arena()
    config = arena.new("struct doca_flow_ringfield_port_config *")
    for name, value in members.items():
        setattr(config, name, arena.string(value))
    config.mtu = mtu
    out = ffi.new("struct doca_flow_ringfield_port *")
    check(lib.doca_flow_ringfield_port_add(config, out))
    return dict(plain(out))


def port_remove(index: int) -> None:
    """Take a port away that nobody has started."""
    check(lib.doca_flow_ringfield_port_remove(index))


def port_start(
    name: str,
    port_id: int,
    *,
    representor: bool,
    resources: Mapping[str, int],
    actions_mem_size: int,
    devargs: str,
) -> Cdata:
    """``doca_flow_port_start`` on a port of that name; returns the port."""
    out = ffi.new("struct doca_flow_port_cfg **")
    check(lib.doca_flow_port_cfg_create(out))
    cfg = out[0]
    dev = ffi.new("struct doca_dev_rep **" if representor else "struct doca_dev **")
    started = False
    try:
        check(lib.doca_flow_port_cfg_set_port_id(cfg, port_id))
        if representor:
            check(lib.doca_flow_ringfield_dev_rep_open(name.encode(), dev))
            check(lib.doca_flow_port_cfg_set_dev_rep(cfg, dev[0]))
        else:
            check(lib.doca_flow_ringfield_dev_open(name.encode(), dev))
            check(lib.doca_flow_port_cfg_set_dev(cfg, dev[0]))
        if devargs:
            check(lib.doca_flow_port_cfg_set_devargs(cfg, devargs.encode()))
        if actions_mem_size:
            check(lib.doca_flow_port_cfg_set_actions_mem_size(cfg, actions_mem_size))
        for kind, number in resources.items():
            check(
                lib.doca_flow_port_cfg_set_nr_resources(
                    cfg, getattr(lib, f"DOCA_FLOW_RESOURCE_{kind}"), number
                )
            )
        port = ffi.new("struct doca_flow_port **")
        check(lib.doca_flow_port_start(cfg, port))
        started = True
    finally:
        close = partial(lib.doca_dev_rep_close if representor else lib.doca_dev_close, dev[0])
        if started:
            _devices[address(port[0])] = close
        elif dev[0] != NULL:
            close()
        lib.doca_flow_port_cfg_destroy(cfg)
    made: Cdata = port[0]
    return made


def port_stop(port: Cdata) -> None:
    """``doca_flow_port_stop``, and its device is closed."""
    number = address(port)
    check(lib.doca_flow_port_stop(port))
    if number in _devices:
        _devices.pop(number)()


def port_pair(port: Cdata, other: Cdata) -> None:
    """``doca_flow_port_pair``."""
    check(lib.doca_flow_port_pair(port, other))


def port_flush(port: Cdata) -> None:
    """``doca_flow_port_pipes_flush``."""
    lib.doca_flow_port_pipes_flush(port)


def port_index(port: Cdata) -> int:
    """The fast path's number of a started port."""
    out = ffi.new("uint16_t *")
    check(lib.doca_flow_ringfield_port_index(port, out))
    return int(out[0])


def port_default_miss(port: Cdata, miss: int) -> None:
    """``doca_flow_port_update_default_miss``, without counter."""
    check(lib.doca_flow_port_update_default_miss(port, miss, False))


def _query(call: Callable[[Cdata, Cdata], int], handle: Cdata) -> tuple[int, int]:
    out = ffi.new("struct doca_flow_resource_query *")
    check(call(handle, out))
    return out.counter.total_pkts, out.counter.total_bytes


def process(port: Cdata, queue: int, timeout_us: int, most: int) -> None:
    """``doca_flow_entries_process``."""
    check(lib.doca_flow_entries_process(port, queue, timeout_us, most))


def aging(port: Cdata, queue: int, quota_us: int, most: int) -> int:
    """``doca_flow_aging_handle``: how many aged, or -1 at the end of a round."""
    return int(lib.doca_flow_aging_handle(port, queue, quota_us, most))


def notices() -> list[tuple[int, int, int, int, int, int, str]]:
    """What callbacks told since the last call: kind, object, queue or value, status, op, code, reason."""
    batch = ffi.new("struct ringfield_notice[]", 256)
    told = []
    while True:
        number = lib.ringfield_notices_take(batch, 256)
        for i in range(number):
            one = batch[i]
            detail = one.value if one.kind == lib.RINGFIELD_NOTICE_RESIZE else one.queue
            reason = text(one.reason) if one.reason[0] != b"\0" else ""
            told.append((one.kind, one.object, detail, one.status, one.op, int(one.code), reason))
        if number < 256:
            return told


NOTICE_ENTRY: int = lib.RINGFIELD_NOTICE_ENTRY
NOTICE_PIPE: int = lib.RINGFIELD_NOTICE_PIPE
NOTICE_RESIZE: int = lib.RINGFIELD_NOTICE_RESIZE
NOTICE_LINT: int = lib.RINGFIELD_NOTICE_LINT


# -- shared resources and transactions -------------------------------------------------------------------------------


def shared_set(kind: int, number: int, fill: Callable[[Cdata, Arena], None]) -> None:
    """``doca_flow_shared_resource_set_cfg``; ``fill`` completes the zeroed config."""
    arena = Arena()
    config = arena.new("struct doca_flow_shared_resource_cfg *")
    fill(config, arena)
    check(lib.doca_flow_shared_resource_set_cfg(kind, number, config))


def shared_bind(kind: int, numbers: Sequence[int], to: Cdata | None) -> None:
    """``doca_flow_shared_resources_bind`` to a port, a pipe, or (None) to everything."""
    array = ffi.new("uint32_t[]", list(numbers))
    check(lib.doca_flow_shared_resources_bind(kind, array, len(numbers), NULL if to is None else to))


def shared_query(kind: int, number: int) -> tuple[int, int]:
    """Packets and bytes of a shared counter."""
    out = ffi.new("struct doca_flow_resource_query *")
    check(lib.doca_flow_shared_resources_query(kind, ffi.new("uint32_t *", number), out, 1))
    return out.counter.total_pkts, out.counter.total_bytes


def txn_begin() -> None:
    """What is posted from here on becomes visible at commit."""
    check(lib.doca_flow_ringfield_txn_begin())


def txn_commit() -> int:
    """Publish; returns the revision."""
    out = ffi.new("uint64_t *")
    check(lib.doca_flow_ringfield_txn_commit(out))
    return int(out[0])


def txn_abort() -> None:
    """Forget what was posted since begin."""
    check(lib.doca_flow_ringfield_txn_abort())


# -- packets ---------------------------------------------------------------------------------------------------------


def inject(index: int, pkt_meta: int, frames: Sequence[bytes]) -> int:
    """Frames as if received on a port; returns how many were taken (the rest found the ring full)."""
    done = ffi.new("uint32_t *")
    lengths = ffi.new("uint32_t[]", [len(frame) for frame in frames])
    return _taken(
        lib.doca_flow_ringfield_inject(index, be(pkt_meta, 4), b"".join(frames), lengths, len(frames), done),
        done,
    )


def transmit(index: int, frames: Sequence[bytes]) -> int:
    """Frames sent on a port past all pipes; returns how many were taken."""
    done = ffi.new("uint32_t *")
    lengths = ffi.new("uint32_t[]", [len(frame) for frame in frames])
    return _taken(lib.doca_flow_ringfield_transmit(index, b"".join(frames), lengths, len(frames), done), done)


def _taken(code: int, done: Cdata) -> int:
    with contextlib.suppress(Again):
        check(code)
    return int(done[0])


def receive_set(software: bool, wire: bool, index: int) -> None:
    """Which packets this session wants."""
    flags = (lib.DOCA_FLOW_RINGFIELD_RECEIVE_SOFTWARE if software else 0) | (
        lib.DOCA_FLOW_RINGFIELD_RECEIVE_WIRE if wire else 0
    )
    check(lib.doca_flow_ringfield_receive_set(flags, index))


class Receiver:
    """Buffers for received packets. One thread at a time."""

    def __init__(self) -> None:
        self._packets = ffi.new("struct doca_flow_ringfield_packet[]", _PACKETS)
        self._buffer = ffi.new("uint8_t[]", _BUFFER)
        self._number = ffi.new("uint32_t *")

    def take(self, most: int, timeout_us: int) -> list[tuple[Row, bytes]]:
        """What has arrived, waiting for the first packet up to ``timeout_us``."""
        most = min(most or _PACKETS, _PACKETS)
        check(
            lib.doca_flow_ringfield_receive(
                self._packets, most, self._buffer, _BUFFER, timeout_us, self._number
            )
        )
        taken = []
        for i in range(self._number[0]):
            packet = self._packets[i]
            frame = bytes(ffi.buffer(self._buffer + packet.offset, packet.length))
            taken.append(({**plain(packet), "pkt_meta": be(packet.pkt_meta, 4)}, frame))
        return taken


def capture(points: int, index: int, snap: int, drops: int) -> None:
    """Copies of packets to this session; ``points`` 0 stops them."""
    check(lib.doca_flow_ringfield_capture(points, index, snap, drops))


def trace(
    index: int, pkt_meta: int, frame: bytes, hops: int = 64
) -> tuple[list[Row], list[tuple[Row, bytes]], int]:
    """Hops, outcomes with their frames, revision."""
    arena = Arena()
    out = arena.new("struct doca_flow_ringfield_trace *")
    out.max_hops, out.hops = hops, arena.new("struct doca_flow_ringfield_trace_hop[]", hops)
    out.max_outcomes = _TRACE_OUTCOMES
    out.outcomes = arena.new("struct doca_flow_ringfield_trace_outcome[]", _TRACE_OUTCOMES)
    out.buffer_bytes, out.buffer = _TRACE_BUFFER, arena.new("uint8_t[]", _TRACE_BUFFER)
    check(lib.doca_flow_ringfield_trace_frame(index, be(pkt_meta, 4), frame, len(frame), out))
    outcomes = []
    # The numbers are of what there was, the arrays hold what there was room for.
    for i in range(min(out.nr_outcomes, _TRACE_OUTCOMES)):
        row = plain(out.outcomes[i])
        row["pkt_meta"] = be(row["pkt_meta"], 4)
        outcomes.append((row, bytes(ffi.buffer(out.buffer + row["offset"], row["length"]))))
    return [_hop(out.hops[i]) for i in range(min(out.nr_hops, hops))], outcomes, int(out.revision)


def _hop(hop: Cdata) -> Row:
    row: Row = {
        name: plain(getattr(hop, name))
        for name in ("pipe", "entry", "tag", "hit", "domain", "meter_color", "copy", "frame_length", "fwd")
    }
    row["fields"] = [plain(hop.fields[i]) for i in range(hop.nr_fields)]
    row["actions"] = [plain(hop.actions[i]) for i in range(hop.nr_actions)]
    return row


# -- statistics and events -------------------------------------------------------------------------------------------


def stats() -> Row:
    """Totals, without a call to the fast path."""
    out = ffi.new("struct doca_flow_ringfield_stats *")
    check(lib.doca_flow_ringfield_stats_get(out))
    return dict(plain(out))


def port_stats(index: int) -> Row:
    """One port's counters."""
    out = ffi.new("struct doca_flow_ringfield_port_stats *")
    check(lib.doca_flow_ringfield_port_stats_get(index, out))
    return dict(plain(out))


def cache(worker: int) -> Row:
    """Numbers of a worker's flow cache."""
    out = ffi.new("struct doca_flow_ringfield_cache *")
    check(lib.doca_flow_ringfield_cache_get(worker, out))
    return dict(plain(out))


def stages() -> tuple[int, int, list[tuple[str, int]]]:
    """Turns and packets of the sample of turns that the workers watch, and cycles by stage."""
    out = ffi.new("struct doca_flow_ringfield_stages *")
    check(lib.doca_flow_ringfield_stages_get(out))
    named = []
    for number in range(lib.DOCA_FLOW_RINGFIELD_STAGES_MAX):
        name = text(lib.doca_flow_ringfield_stage_name(number))
        if name:
            named.append((name, out.cycles[number]))
    return out.turns, out.packets, named


def drop_reasons() -> list[tuple[str, str]]:
    """Name and meaning of the drop reasons, by number from 1."""
    reasons = []
    for number in range(1, lib.DOCA_FLOW_RINGFIELD_DROPS_MAX):
        name = text(lib.doca_flow_ringfield_drop_name(number))
        if not name:
            break
        reasons.append((name, text(lib.doca_flow_ringfield_drop_text(number))))
    return reasons


def events(most: int, timeout_us: int) -> list[Row]:
    """What happened to ports and pipes."""
    rows, number = ffi.new("struct doca_flow_ringfield_event[]", most), ffi.new("uint32_t *")
    check(lib.doca_flow_ringfield_events(rows, most, timeout_us, number))
    return [plain(rows[i]) for i in range(number[0])]
