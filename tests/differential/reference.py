# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""The reference interpreter: DOCA Flow pipelines on packets, slow and plain, as doca-flow.md describes
them.

It shares no code with the C side and takes the values of ``appliance.flow.types``. A match is a list of
comparisons ``(field, mask, value)``; entries are searched one by one; every choice that the sources leave
open is doca-flow.md section 11's. Not here: meters that run dry (a meter never colours anything but green),
random fields, ageing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from appliance.flow import fields
from appliance.flow.results import Verdict
from appliance.flow.types import (
    ActionDesc,
    Actions,
    ActionType,
    CompareOp,
    Condition,
    Counter,
    Decap,
    DefaultMiss,
    DescField,
    Domain,
    Encap,
    EntrySpec,
    Fwd,
    FwdChangeable,
    FwdDrop,
    FwdHash,
    FwdOrderedList,
    FwdPipe,
    FwdPort,
    FwdReject,
    FwdRss,
    FwdTarget,
    HashAlgorithm,
    ListActions,
    Match,
    MeterColor,
    Monitor,
    OrderedList,
    PipeSpec,
    PipeType,
    pipe_name,
)
from tests.differential import packet as pk
from tests.differential import rewrite
from tests.differential.hashing import packed, pipe_hash

MAX_DEPTH = 64
ANY_PORT = 0xFFFF
ANY_INDEX = 0xFFFFFFFF
ANY_ID = 0xFFFFFFFF

PORT_FIELDS = ("src_port", "dst_port")
ACL_PROTOCOL = "parser_meta.outer_l4_type"
"""Each entry of an ACL pipe may say its protocol, also when the pipe's match does not have it."""


@dataclass(frozen=True, slots=True)
class Result:
    """The end of one packet or copy; ``port`` and ``queue`` count for PORT and RSS, ``reason`` for DROP."""

    verdict: Verdict
    port: int = 0
    queue: int = 0
    reason: str = ""
    frame: bytes = b""
    pkt_meta: int = 0


@dataclass(frozen=True, slots=True)
class Compare:
    """``(packet & mask) == value``, or for a range ``value <= packet <= high``."""

    name: str
    mask: int
    value: int
    high: int | None = None

    def holds(self, packet: int) -> bool:
        if self.high is not None:
            return self.value <= packet <= self.high
        return packet & self.mask == self.value & self.mask


@dataclass(slots=True)
class Entry:
    """An entry as it was added; ``order`` grows with each add."""

    id: int
    spec: EntrySpec
    order: int
    counter: Counter = field(default_factory=Counter)


@dataclass(slots=True)
class Pipe:
    """A pipe with its entries."""

    spec: PipeSpec
    port: int
    entries: dict[int, Entry] = field(default_factory=dict)
    misses: Counter = field(default_factory=Counter)
    round_robin: int = 0


@dataclass(slots=True)
class Port:
    """A started port. ``root_port`` is the port whose pipes judge its packets (switch mode: the manager)."""

    id: int
    root_port: int
    default_miss: DefaultMiss = DefaultMiss.DROP
    rss_queues: int = 1
    mtu: int = 1500


@dataclass(slots=True)
class Packet:
    """A packet on its way."""

    frame: bytes
    in_port: int
    pkt_meta: int = 0
    u32: list[int] = field(default_factory=lambda: [0] * fields.META_U32)
    color: int = MeterColor.GREEN
    out_port: int = 0
    domain: Domain = Domain.DEFAULT
    depth: int = 0
    parsed: pk.Parsed = field(default_factory=pk.Parsed)

    def set_frame(self, frame: bytes) -> None:
        self.frame = frame
        self.parsed = pk.parse(frame)

    def copy(self) -> Packet:
        return replace(self, u32=list(self.u32))

    def read(self, name: str) -> int:
        if name == "meta.pkt_meta":
            return self.pkt_meta
        if name.startswith("meta.u32["):
            return self.u32[int(name[9:-1])]
        if name == "parser_meta.port_id":
            return self.in_port
        if name == "parser_meta.meter_color":
            return self.color
        if name.startswith("parser_meta."):
            return self.parsed.meta.get(name.removeprefix("parser_meta."), 0)
        return pk.read(self.frame, self.parsed, name)

    def write(self, name: str, value: int) -> None:
        if name == "meta.pkt_meta":
            self.pkt_meta = value
        elif name.startswith("meta.u32["):
            self.u32[int(name[9:-1])] = value
        else:
            # What a field says about other headers counts at once: a port may make a tunnel, or end one.
            self.set_frame(pk.write(self.frame, self.parsed, name, value))


class Reference:
    """A DPU of ports and pipes that judges one packet at a time."""

    def __init__(self) -> None:
        self.ports: dict[int, Port] = {}
        self.pipes: dict[str, Pipe] = {}
        self.entries: dict[int, Pipe] = {}
        self.shared_counters: dict[int, Counter] = {}
        self.shared_encaps: dict[int, Encap] = {}
        self.shared_decaps: dict[int, Decap] = {}
        self._order = 0

    # -- building ----------------------------------------------------------------------------------------------

    def port_start(
        self, port: int, root_port: int | None = None, miss: DefaultMiss = DefaultMiss.DROP
    ) -> None:
        self.ports[port] = Port(port, port if root_port is None else root_port, miss)

    def pipe_create(self, port: int, spec: PipeSpec) -> None:
        self.pipes[spec.name] = Pipe(spec, self.ports[port].root_port)

    def update_miss(self, pipe: str, fwd: Fwd | None) -> None:
        self.pipes[pipe].spec = replace(self.pipes[pipe].spec, fwd_miss=fwd)

    def entry_add(self, pipe: str, spec: EntrySpec) -> int:
        self._order += 1
        owner = self.pipes[pipe]
        owner.entries[self._order] = Entry(self._order, spec, self._order)
        self.entries[self._order] = owner
        return self._order

    def entry_update(self, entry: int, spec: EntrySpec) -> None:
        """New actions, monitor and forward; the match stays, and so does the counter."""
        found = self.entries[entry].entries[entry]
        found.spec = replace(
            found.spec, actions=spec.actions, action_idx=spec.action_idx, monitor=spec.monitor, fwd=spec.fwd
        )

    def entry_remove(self, entry: int) -> None:
        del self.entries.pop(entry).entries[entry]

    def counter(self, entry: int) -> Counter:
        return self.entries[entry].entries[entry].counter

    # -- judging -----------------------------------------------------------------------------------------------

    def process(self, port: int, frame: bytes, pkt_meta: int = 0) -> list[Result]:
        """Judge a frame received on a port; the copies of a flooded packet come in the order of the hash
        entries.
        """
        packet = Packet(frame, port, pkt_meta)
        packet.set_frame(frame)
        if packet.parsed.malformed:
            return [self._dropped(packet, "malformed")]
        root = self._root(port, Domain.DEFAULT)
        if root is None:
            return [self._dropped(packet, "no_pipeline")]
        return list(self._walk(packet, root))

    def _root(self, port: int, domain: Domain) -> Pipe | None:
        if port not in self.ports:
            return None
        owner = self.ports[port].root_port
        for pipe in self.pipes.values():
            if pipe.port == owner and pipe.spec.is_root and pipe.spec.domain is domain:
                return pipe
        return None

    @staticmethod
    def _dropped(packet: Packet, reason: str) -> Result:
        return Result(Verdict.DROP, reason=reason, frame=packet.frame, pkt_meta=packet.pkt_meta)

    def _walk(self, packet: Packet, pipe: Pipe) -> Iterator[Result]:
        if pipe.spec.type is PipeType.HASH:
            yield from self._jump(packet, pipe, self._hash_indices(packet, pipe, HashAlgorithm(0)))
            return
        packet.depth += 1
        if packet.depth > MAX_DEPTH:
            yield self._dropped(packet, "depth")
            return
        self._enter(packet, pipe)
        entry = self._find(packet, pipe)
        if entry is None:
            if pipe.spec.miss_counter:
                pipe.misses = _count(pipe.misses, packet)
            if pipe.spec.fwd_miss is None:
                yield self._default_miss(packet)
            else:
                yield from self._forward(packet, pipe.spec.fwd_miss)
            return
        yield from self._execute(packet, pipe, entry)

    @staticmethod
    def _enter(packet: Packet, pipe: Pipe) -> None:
        """A pipe of egress puts a packet on its way out of that port; there it stays."""
        if packet.domain is Domain.DEFAULT and pipe.spec.domain is Domain.EGRESS:
            packet.domain, packet.out_port = Domain.EGRESS, pipe.port

    def _execute(self, packet: Packet, pipe: Pipe, entry: Entry) -> Iterator[Result]:
        """Monitor, actions, forward of the entry that was hit."""
        spec = pipe.spec
        try:
            if spec.type is PipeType.ORDERED_LIST:
                self._run_list(packet, spec, entry)
            else:
                self._monitor(packet, spec, entry)
                self._act(packet, *_entry_actions(spec, entry.spec))
        except rewrite.ActionFailed:
            yield self._dropped(packet, "action_failed")
            return
        except rewrite.MarkLost:
            yield self._dropped(packet, "tunnel_ecn")
            return
        yield from self._forward(packet, entry_fwd(spec, entry.spec))

    def _default_miss(self, packet: Packet) -> Result:
        miss = self.ports[packet.in_port].default_miss
        if miss is DefaultMiss.DROP:
            return self._dropped(packet, "default_miss")
        verdict = Verdict.RSS if miss is DefaultMiss.RSS else Verdict.KERNEL
        return Result(verdict, packet.in_port, 0, "", packet.frame, packet.pkt_meta)

    def _forward(self, packet: Packet, fwd: Fwd | None) -> Iterator[Result]:
        if isinstance(fwd, FwdDrop):
            yield self._dropped(packet, fwd.reason or "pipe")
        elif isinstance(fwd, FwdReject):  # what the sender is told is not modelled
            yield self._dropped(packet, fwd.reason or "policy")
        elif isinstance(fwd, FwdPort):
            yield from self._send(packet, fwd.port_id)
        elif isinstance(fwd, FwdPipe) and fwd.pipe is not None:
            yield from self._walk(packet, self.pipes[pipe_name(fwd.pipe)])
        elif isinstance(fwd, FwdRss):
            yield Result(Verdict.RSS, packet.in_port, fwd.queues[0], "", packet.frame, packet.pkt_meta)
        elif isinstance(fwd, FwdTarget):
            yield Result(Verdict.KERNEL, packet.in_port, 0, "", packet.frame, packet.pkt_meta)
        elif isinstance(fwd, FwdOrderedList):
            yield from self._jump(packet, self.pipes[pipe_name(fwd.pipe)], [fwd.idx])
        elif isinstance(fwd, FwdHash):
            pipe = self.pipes[pipe_name(fwd.pipe)]
            yield from self._jump(packet, pipe, self._hash_indices(packet, pipe, fwd.algorithm))
        else:
            yield self._dropped(packet, "bad_fwd")

    def _send(self, packet: Packet, port: int) -> Iterator[Result]:
        if packet.domain is Domain.DEFAULT:
            root = self._root(port, Domain.EGRESS)
            packet.domain, packet.out_port = Domain.EGRESS, port
            if root is not None:
                yield from self._walk(packet, root)
                return
        if len(packet.frame) - 14 - 4 * packet.parsed.outer.vlans > self.ports[port].mtu:
            yield self._dropped(packet, "mtu")
            return
        yield Result(Verdict.PORT, port, 0, "", packet.frame, packet.pkt_meta)

    # -- hash and ordered list pipes ---------------------------------------------------------------------------

    def _hash_indices(self, packet: Packet, pipe: Pipe, algorithm: HashAlgorithm) -> list[int]:
        chosen = algorithm or pipe.spec.hash_map_algorithm or HashAlgorithm.HASH
        size = pipe.spec.nr_entries
        if chosen & HashAlgorithm.FLOODING:
            return sorted(entry.spec.index for entry in pipe.entries.values())
        if chosen & HashAlgorithm.ROUND_ROBIN:
            pipe.round_robin += 1
            return [(pipe.round_robin - 1) % size]
        mask = (pipe.spec.match_mask or Match()).flat()
        values = {name: packet.read(name) & mask[name] for name in mask if not fields.MATCH[name].selector}
        if chosen & HashAlgorithm.IDENTITY:
            return [int.from_bytes(packed(values)[-4:], "big") % size]
        return [pipe_hash(values) % size]

    def _jump(self, packet: Packet, pipe: Pipe, indices: list[int]) -> Iterator[Result]:
        packet.depth += 1
        if packet.depth > MAX_DEPTH:
            yield self._dropped(packet, "depth")
            return
        self._enter(packet, pipe)
        by_index = {entry.spec.index: entry for entry in pipe.entries.values()}
        found = [by_index[index] for index in indices if index in by_index]
        if not found:
            yield self._dropped(packet, "hash_empty")
        for entry in found:
            yield from self._execute(packet.copy(), pipe, entry)

    def _run_list(self, packet: Packet, spec: PipeSpec, entry: Entry) -> None:
        given = entry.spec.ordered_list
        assert given is not None
        template: OrderedList = spec.ordered_lists[given.idx]
        for i, element in enumerate(template.elements):
            mine = given.elements[i] if i < len(given.elements) else element
            if isinstance(element, Monitor):
                monitor = mine if isinstance(mine, Monitor) else element
                self._count_for(packet, monitor if monitor.counter is not False else element, entry)
            elif isinstance(element, ListActions):
                values = mine.actions if isinstance(mine, ListActions) else Actions()
                self._act(packet, element.actions, element.actions_mask, element.action_descs, values)
            else:
                raise NotImplementedError("NAT64")

    # -- matching ----------------------------------------------------------------------------------------------

    def _find(self, packet: Packet, pipe: Pipe) -> Entry | None:
        hits = [entry for entry in pipe.entries.values() if self._hits(packet, pipe.spec, entry.spec)]
        if not hits:
            return None
        kind = pipe.spec.type
        if kind is PipeType.LPM:
            return max(hits, key=lambda entry: _prefix(pipe.spec, entry.spec))
        if kind in (PipeType.ACL, PipeType.CONTROL):
            return min(hits, key=lambda entry: (entry.spec.priority, -entry.order))
        return max(hits, key=lambda entry: entry.order)

    def _hits(self, packet: Packet, pipe: PipeSpec, entry: EntrySpec) -> bool:
        if not all(compare.holds(packet.read(compare.name)) for compare in comparisons(pipe, entry)):
            return False
        return entry.condition is None or self._condition(packet, entry.condition, entry.match)

    def _condition(self, packet: Packet, condition: Condition, match: Match) -> bool:
        a = _get_bits(packet, condition.a, condition.width)
        if condition.b is not None and condition.b.field_string:
            b = _get_bits(packet, condition.b, condition.width)
        else:
            name, shift, width = _place(condition.a, condition.width)
            b = (match.flat().get(name, 0) >> shift) & ((1 << width) - 1)
        return {
            CompareOp.EQ: a == b,
            CompareOp.NE: a != b,
            CompareOp.LT: a < b,
            CompareOp.LE: a <= b,
            CompareOp.GT: a > b,
            CompareOp.GE: a >= b,
        }[condition.operation]

    # -- monitor and actions -----------------------------------------------------------------------------------

    def _monitor(self, packet: Packet, pipe: PipeSpec, entry: Entry) -> None:
        monitor = pipe.monitor
        if pipe.type is PipeType.CONTROL or (
            monitor is not None and entry.spec.monitor is not None and int(monitor.counter) == ANY_ID
        ):
            monitor = entry.spec.monitor
        if monitor is not None:
            self._count_for(packet, monitor, entry)

    def _count_for(self, packet: Packet, monitor: Monitor, entry: Entry) -> None:
        if monitor.counter is True:
            entry.counter = _count(entry.counter, packet)
        elif monitor.counter is not False:
            number = int(monitor.counter)
            self.shared_counters[number] = _count(self.shared_counters.get(number, Counter()), packet)

    def _act(
        self,
        packet: Packet,
        template: Actions,
        mask: Actions | None,
        descs: tuple[ActionDesc, ...],
        values: Actions,
    ) -> None:
        """DOCA's order: decap, pop, meta, outer, tun, push, encap.

        In each of meta, outer and tun the fields are set first, then the descriptors that change it run.
        The value of an ADD is not written as well.
        """
        removed = rewrite.chosen(template, values, "decap", self.shared_decaps)
        if removed is not None:
            packet.set_frame(rewrite.decap(packet.frame, packet.parsed, removed))
        if template.pop_vlan:
            packet.set_frame(rewrite.pop_vlan(packet.frame, packet.parsed))
        added = {_place(desc.dst, 0)[0] for desc in descs if desc.type is ActionType.ADD and desc.src is None}
        for prefix in ("meta.", "outer.", "tunnel."):
            for name, bits, value in sets(template, mask, values):
                if name.startswith(prefix) and name not in added:
                    packet.write(name, (packet.read(name) & ~bits) | (value & bits))
            for desc in descs:
                where = _place(desc.dst, 0)[0].replace("inner.", "outer.")
                if desc.type is not ActionType.AUTO and where.startswith(prefix):
                    _describe(packet, desc, template, values)
        if template.push is not None:
            packet.set_frame(rewrite.push_vlan(packet.frame, template.push, values.push))
        headers = rewrite.chosen(template, values, "encap", self.shared_encaps)
        if headers is not None:
            packet.set_frame(rewrite.encap(packet.frame, packet.parsed, headers))


# -- the rules of section 2.2 and 4.2 -------------------------------------------------------------------------------


def comparisons(pipe: PipeSpec, entry: EntrySpec) -> list[Compare]:
    """What a packet is compared with to hit an entry."""
    if pipe.type is PipeType.CONTROL:
        return _control(entry)
    mine = entry.match.flat()
    if pipe.type is PipeType.ACL:
        return list(_acl(pipe, entry))
    rows = []
    lpm = lpm_field(pipe) if pipe.type is PipeType.LPM else ""
    if lpm:
        prefix = (entry.match_mask or Match()).flat().get(lpm, 0)
        rows.append(Compare(lpm, prefix, mine.get(lpm, 0) & prefix))
    for name, mask, value in template(pipe.match, pipe.match_mask):
        if name == lpm:
            continue
        if value is None:
            rows.append(Compare(name, mask, mine.get(name, 0) & mask))
        else:
            rows.append(Compare(name, mask, value & mask))
    return rows


def template(match: Match, match_mask: Match | None) -> list[tuple[str, int, int | None]]:
    """Field, mask, and the constant value or None for "the entry brings it".

    With an explicit mask a value of zero is the entry's too, as NVIDIA's samples have it: an entry that
    says nothing then means zero.
    """
    values, rows = match.flat(), []
    masks = values if match_mask is None else match_mask.flat()
    for name in masks:
        row = fields.MATCH[name]
        if row.selector:
            continue
        value = values.get(name, 0)
        mask = row.ones if match_mask is None else masks[name]
        changeable = value == row.ones or (match_mask is not None and value == 0)
        rows.append((name, mask, None if changeable else value))
    return rows


def _control(entry: EntrySpec) -> list[Compare]:
    values = entry.match.flat()
    masks = values if entry.match_mask is None else entry.match_mask.flat()
    immediate = _place(entry.condition.a, 0)[0] if entry.condition and entry.condition.b is None else ""
    rows = []
    for name in masks:
        row = fields.MATCH[name]
        if not row.selector and name != immediate:
            mask = row.ones if entry.match_mask is None else masks[name]
            rows.append(Compare(name, mask, values.get(name, 0) & mask))
    return rows


def _acl(pipe: PipeSpec, entry: EntrySpec) -> Iterator[Compare]:
    values, masks = entry.match.flat(), (entry.match_mask or Match()).flat()
    rows = template(pipe.match, pipe.match_mask)
    if ACL_PROTOCOL not in {name for name, _, _ in rows}:
        rows.append((ACL_PROTOCOL, fields.MATCH[ACL_PROTOCOL].ones, None))
    for name, _, constant in rows:
        if constant is not None:
            yield Compare(name, fields.MATCH[name].ones, constant)
            continue
        value, mask = values.get(name, 0), masks.get(name, 0)
        if name.endswith(PORT_FIELDS):
            # TCP, UDP and transport ports are one field: an entry may say which of them it means.
            layer, _, port = name.split(".")
            names = [f"{layer}.{kind}.{port}" for kind in ("tcp", "udp", "transport")]
            value, mask = max(values.get(n, 0) for n in names), max(masks.get(n, 0) for n in names)
            if mask:
                yield Compare(name, 0, value, max(mask, value))
        else:
            yield Compare(name, mask, value & mask)


def lpm_field(pipe: PipeSpec) -> str:
    """The address of an LPM pipe: the one changeable IP address; an explicit mask is for the exact fields."""
    for name, _, value in template(pipe.match, None):
        if value is None and name.endswith((".src_ip", ".dst_ip")):
            return name
    raise ValueError(f"pipe {pipe.name} has no address to match by prefix")


def _prefix(pipe: PipeSpec, entry: EntrySpec) -> int:
    return (entry.match_mask or Match()).flat().get(lpm_field(pipe), 0).bit_count()


def _entry_actions(
    pipe: PipeSpec, entry: EntrySpec
) -> tuple[Actions, Actions | None, tuple[ActionDesc, ...], Actions]:
    """Template, mask, descriptors, the entry's values."""
    values = entry.actions or Actions()
    if pipe.type is PipeType.CONTROL:
        return values, entry.actions_mask, entry.action_descs, values
    if not pipe.actions:
        return Actions(), None, (), Actions()
    index = entry.action_idx
    return pipe.actions[index], pipe.actions_mask(index), pipe.descs(index), values


def sets(template: Actions, mask: Actions | None, values: Actions) -> list[tuple[str, int, int]]:
    """Field, bits to write, value: the rules of match values, mirrored."""
    constant, given = template.flat(), values.flat()
    masks = constant if mask is None else mask.flat()
    rows = []
    for name, row in fields.ACTIONS.items():
        if row.selector or not name.startswith(("meta.", "outer.", "tunnel.")) or name not in masks:
            continue
        bits = row.ones if mask is None else masks[name]
        value = constant.get(name, 0)
        rows.append((name, bits, given.get(name, 0) if value == row.ones else value))
    return rows


def entry_fwd(pipe: PipeSpec, entry: EntrySpec) -> Fwd | None:
    """The forward of a hit: the entry's when the pipe's is changeable or absent, else the pipe's."""
    fwd = pipe.fwd
    open_ended = (
        fwd is None
        or isinstance(fwd, FwdChangeable)
        or (isinstance(fwd, FwdPort) and fwd.port_id == ANY_PORT)
        or (isinstance(fwd, FwdPipe) and fwd.pipe is None)
        or (isinstance(fwd, FwdOrderedList) and fwd.idx == ANY_INDEX)
    )
    return entry.fwd if open_ended and entry.fwd is not None else fwd


def _count(counter: Counter, packet: Packet) -> Counter:
    return Counter(counter.total_pkts + 1, counter.total_bytes + len(packet.frame))


# -- fields by string and bits ---------------------------------------------------------------------------------------


def _place(where: DescField, width: int) -> tuple[str, int, int]:
    """Field name, bit of that field, number of bits."""
    name, bit = where.field_string, where.bit_offset
    if name == "meta.data":
        word, bit = divmod(bit, 32)
        name = "meta.pkt_meta" if word == 0 else f"meta.u32[{word - 1}]"
    if name.endswith("tcp.data_offset"):
        return name, bit + 4, width or 4 - bit  # the header field is the upper half of DOCA's byte
    return name, bit, width or fields.MATCH[name].bits - bit


def _get_bits(packet: Packet, where: DescField, width: int) -> int:
    name, bit, width = _place(where, width)
    return (packet.read(name) >> bit) & ((1 << width) - 1)


def _describe(packet: Packet, desc: ActionDesc, template: Actions, values: Actions) -> None:
    name, bit, width = _place(desc.dst, desc.width)
    ones = (1 << width) - 1
    old = packet.read(name)
    now = (old >> bit) & ones
    if desc.src is not None:
        operand = _get_bits(packet, desc.src, width)
    else:
        constant = template.flat().get(name, 0)
        operand = (constant or values.flat().get(name, 0)) >> bit  # all ones is -1 here, zero is changeable
    new = operand & ones if desc.type is ActionType.COPY else (now + operand) & ones
    packet.write(name, (old & ~(ones << bit)) | (new << bit))


def results_by_port(results: list[Result]) -> Mapping[int, list[Result]]:
    """The sent packets by port, in order."""
    by_port: dict[int, list[Result]] = {}
    for result in results:
        if result.verdict is Verdict.PORT:
            by_port.setdefault(result.port, []).append(result)
    return by_port
