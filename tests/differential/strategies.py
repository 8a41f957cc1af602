# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Random pipelines with entries and packets, for hypothesis.

Everything is bounded and made so that DOCA accepts it: pipes forward only to pipes created before them,
keys of one pipe differ, a root is BASIC or CONTROL. What a rule of doca-flow.md refuses is not generated
here; the negative table tests it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, is_dataclass, replace
from dataclasses import fields as dataclass_fields
from typing import Any

from hypothesis import strategies as st

from appliance.flow import fields
from appliance.flow.types import (
    COUNT,
    Actions,
    CompareOp,
    Condition,
    DefaultMiss,
    DescField,
    Domain,
    EntrySpec,
    Fwd,
    FwdChangeable,
    FwdDrop,
    FwdHash,
    FwdOrderedList,
    FwdPipe,
    FwdPort,
    FwdRss,
    FwdTarget,
    HashAlgorithm,
    L3Type,
    L4TypeExt,
    ListActions,
    Match,
    Mode,
    Monitor,
    OrderedList,
    PipeSpec,
    PipeType,
    prefix_mask,
)
from tests.differential import frames as fr
from tests.differential.packet import parse
from tests.differential.reference import Reference, comparisons
from tests.differential.shapes import (
    SHARED_DECAPS,
    SHARED_ENCAPS,
    Sample,
    action_templates,
    belongs,
    build,
    entry_actions,
    is_set,
    masks_of,
    ones,
    pool,
    shapes,
    templates,
    values_for,
)

PIPES_MAX = 5
ENTRIES_MAX = 5
PACKETS_MAX = 10


@dataclass(frozen=True, slots=True)
class PortPlan:
    """A port to start."""

    port_id: int
    miss: DefaultMiss


@dataclass(frozen=True, slots=True)
class Program:
    """A pipeline with what is sent through it. Pipes stand in the order of creation."""

    mode: Mode
    ports: tuple[PortPlan, ...]
    pipes: tuple[tuple[int, PipeSpec], ...]
    entries: tuple[tuple[str, EntrySpec], ...]
    packets: tuple[tuple[int, bytes, int], ...]
    changes: tuple[tuple[int, EntrySpec | None], ...] = ()
    """Made before the packets are sent a second time: entries by number from 1, updated or (None) removed."""
    misses: tuple[tuple[str, Fwd | None], ...] = ()
    """Likewise: pipes with a new miss."""
    at_once: bool = False
    """The changes are one transaction."""

    def __str__(self) -> str:
        """Short enough to be read in a failure."""
        lines = [f"{self.mode} mode", *(str(plan) for plan in self.ports)]
        lines += [f"on port {port}: {short(pipe)}" for port, pipe in self.pipes]
        lines += [f"to {name}: {short(entry)}" for name, entry in self.entries]
        lines += [
            f"packet on port {port}, pkt_meta {meta}: {frame.hex()}" for port, frame, meta in self.packets
        ]
        lines += [f"then, at once {self.at_once}:"] if self.changes or self.misses else []
        lines += [f"entry {n}: {short(entry) if entry else 'removed'}" for n, entry in self.changes]
        lines += [f"pipe {name} misses to {fwd}" for name, fwd in self.misses]
        return "\n".join(lines)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(str(self))


def short(value: object) -> str:
    """A dataclass without its defaults."""
    assert is_dataclass(value)
    shown = []
    for member in dataclass_fields(value):
        given = getattr(value, member.name)
        if given != member.default and given not in ((), None):
            shown.append(f"{member.name}={given.flat() if isinstance(given, (Match, Actions)) else given}")
    return f"{type(value).__name__}({', '.join(shown)})"


# -- forwards --------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Plan:
    """What the pipes of one port and domain may forward to."""

    domain: Domain
    ports: tuple[int, ...]
    below: list[PipeSpec]
    samples: tuple[Sample, ...] = ()


@st.composite
def forwards(draw: st.DrawFn, plan: Plan) -> Fwd:
    """A forward that a hit may have."""
    kinds: list[st.SearchStrategy[Fwd]] = [
        st.sampled_from([FwdPort(port) for port in plan.ports]),
        st.sampled_from([FwdPort(port) for port in plan.ports]),
        st.just(FwdDrop()),
    ]
    if plan.domain is Domain.DEFAULT:
        kinds += [st.builds(FwdRss, st.tuples(st.integers(0, 3))), st.just(FwdTarget())]
    for pipe in plan.below:
        if pipe.type is PipeType.HASH:
            kinds.append(st.just(FwdHash(pipe.name)))
        elif pipe.type is PipeType.ORDERED_LIST:
            kinds.append(
                st.builds(FwdOrderedList, st.just(pipe.name), st.integers(0, len(pipe.ordered_lists) - 1))
            )
        else:
            kinds += [st.just(FwdPipe(pipe.name))] * 2
    return draw(st.one_of(kinds))


@st.composite
def misses(draw: st.DrawFn, plan: Plan) -> Fwd | None:
    """A pipe's fwd_miss: PIPE, DROP or the default."""
    kinds: list[Fwd | None] = [None, FwdDrop()]
    kinds += [
        FwdPipe(pipe.name) for pipe in plan.below if pipe.type not in (PipeType.HASH, PipeType.ORDERED_LIST)
    ]
    return draw(st.sampled_from(kinds))


# -- pipes and entries -----------------------------------------------------------------------------------------------


@st.composite
def monitors(draw: st.DrawFn) -> Monitor | None:
    """None, a counter, or a shared counter."""
    return draw(st.sampled_from((None, COUNT, COUNT, Monitor(counter=0), Monitor(counter=1))))


@st.composite
def common(draw: st.DrawFn, plan: Plan) -> dict[str, object]:
    """Members that all pipes have."""
    templates_ = draw(st.lists(action_templates(), max_size=2))
    changeable = draw(st.booleans())
    return {
        "domain": plan.domain,
        "actions": tuple(actions for actions, _, _ in templates_),
        "actions_masks": tuple(mask for _, mask, _ in templates_),
        "action_descs": tuple(descs for _, _, descs in templates_),
        "monitor": draw(monitors()),
        "fwd": FwdChangeable() if changeable else draw(forwards(plan)),
    }


Made = tuple[PipeSpec, list[EntrySpec]]


@st.composite
def entry_common(draw: st.DrawFn, pipe: PipeSpec, plan: Plan) -> dict[str, object]:
    """Members that the entries of most pipes have."""
    made: dict[str, object] = {}
    if pipe.actions:
        index = draw(st.integers(0, len(pipe.actions) - 1))
        made.update(action_idx=index, actions=draw(entry_actions(pipe.actions[index])))
    if pipe.monitor is not None:
        made["monitor"] = draw(st.sampled_from((pipe.monitor, None)))  # None: the pipe's
    if isinstance(pipe.fwd, FwdChangeable):
        made["fwd"] = draw(forwards(plan))
    return made


def distinct(pipe: PipeSpec, entries: list[EntrySpec]) -> list[EntrySpec]:
    """Entries without those whose key an earlier one has."""
    seen, kept = set(), []
    for entry in entries:
        key = tuple(comparisons(pipe, entry))
        if key not in seen:
            seen.add(key)
            kept.append(entry)
    return kept


@st.composite
def basic(draw: st.DrawFn, name: str, root: bool, plan: Plan) -> Made:
    """A BASIC pipe with entries."""
    match, mask, changeable, shape = draw(templates(plan.samples))
    pipe = PipeSpec(
        name=name, is_root=root, match=match, match_mask=mask, nr_entries=64, fwd_miss=draw(misses(plan)),
        miss_counter=draw(st.booleans()), **draw(common(plan)),  # type: ignore[arg-type]
    )  # fmt: skip
    entries = []
    for _ in range(draw(st.integers(0, ENTRIES_MAX))):
        values = draw(values_for(changeable, plan.samples))
        entries.append(EntrySpec(match=build(values, shape), **draw(entry_common(pipe, plan))))  # type: ignore[arg-type]
    return pipe, distinct(pipe, entries)


@st.composite
def control(draw: st.DrawFn, name: str, root: bool, plan: Plan) -> Made:
    """A CONTROL pipe; each entry brings its own match, mask, condition, actions and forward."""
    pipe = PipeSpec(name=name, type=PipeType.CONTROL, is_root=root, domain=plan.domain)
    entries = []
    for _ in range(draw(st.integers(1, ENTRIES_MAX))):
        shape = draw(shapes())
        chosen = draw(st.lists(st.sampled_from(shape.names), max_size=3, unique=True))
        values = draw(values_for(chosen, plan.samples))
        masks = {field_name: draw(masks_of(field_name)) for field_name in chosen}
        condition = None
        if draw(st.integers(0, 4)) == 0:
            operation = draw(st.sampled_from(CompareOp))
            if draw(st.booleans()):
                a, b = DescField("outer.ipv4.ttl"), DescField.meta_u32(0)
                condition = Condition(operation, a, b, 8)
            else:
                field_name = draw(st.sampled_from([n for n in shape.names if n.startswith("outer.") and n.endswith(
                    ("ttl", "hop_limit", "src_port", "seq_num"))]))  # fmt: skip
                condition = Condition(operation, DescField(field_name), width=fields.MATCH[field_name].bits)
                values |= draw(values_for([field_name], plan.samples))
                masks.pop(field_name, None)
        actions, actions_mask, descs = draw(action_templates())
        given_actions = Actions.from_flat({
            name_: (draw(st.sampled_from(pool(name_))) if is_set(name_) and value == ones(name_) else value)
            for name_, value in actions.flat().items()
        }) if not descs else actions  # fmt: skip
        selectors = {
            n: v
            for n, v in shape.selectors.items()
            if any(belongs(n, other) for other in {**values, **masks})
        }
        entries.append(
            EntrySpec(
                match=Match.from_flat({**values, **selectors}),
                match_mask=Match.from_flat({**masks, **selectors}),
                condition=condition,
                actions=given_actions,
                actions_mask=actions_mask,
                action_descs=descs,
                monitor=draw(monitors()),
                priority=draw(st.integers(0, 7)),
                fwd=draw(forwards(plan)),
            )
        )
    return pipe, entries


@st.composite
def lpm(draw: st.DrawFn, name: str, root: bool, plan: Plan) -> Made:
    """An LPM pipe, sometimes with an exact field beside the address."""
    address = draw(st.sampled_from(("outer.ipv4.src_ip", "outer.ipv4.dst_ip", "outer.ipv6.dst_ip")))
    exact = ["meta.u32[1]"] if draw(st.booleans()) else []
    names = [address, *exact]
    l3 = {"outer.l3_type": L3Type.IP6 if "ipv6" in address else L3Type.IP4}
    whole = Match.from_flat({**{field_name: ones(field_name) for field_name in names}, **l3})
    members = draw(common(plan))
    if not isinstance(members["monitor"], Monitor) or members["monitor"] != COUNT:
        members["monitor"] = None
    pipe = PipeSpec(
        name=name, type=PipeType.LPM, match=whole, match_mask=whole if exact else None, nr_entries=64,
        fwd_miss=draw(misses(plan)), miss_counter=draw(st.booleans()), **members,  # type: ignore[arg-type]
    )  # fmt: skip
    entries = []
    width = fields.MATCH[address].bits
    for _ in range(draw(st.integers(0, ENTRIES_MAX))):
        prefix = prefix_mask(
            draw(st.one_of(st.sampled_from((0, 8, 16, 24, 31, 32, width)), st.integers(0, width))), width
        )
        values = {address: draw(values_for([address], plan.samples))[address] & prefix}
        values |= {field_name: draw(st.sampled_from((0, 1))) for field_name in exact}
        mask = Match.from_flat({address: prefix, **l3})
        given = draw(entry_common(pipe, plan))
        entries.append(EntrySpec(match=Match.from_flat({**values, **l3}), match_mask=mask, **given))  # type: ignore[arg-type]
    return pipe, distinct(pipe, entries)


@st.composite
def acl(draw: st.DrawFn, name: str, root: bool, plan: Plan) -> Made:
    """An ACL pipe over the five-tuple."""
    six = draw(st.booleans())
    ip = "outer.ipv6" if six else "outer.ipv4"
    l4 = draw(st.sampled_from(("tcp", "udp", "transport")))
    names = [f"{ip}.src_ip", f"{ip}.dst_ip", f"outer.{l4}.src_port", f"outer.{l4}.dst_port"]
    names = draw(st.lists(st.sampled_from(names), min_size=1, unique=True))
    selectors: dict[str, int] = {"outer.l3_type": L3Type.IP6 if six else L3Type.IP4}
    if any(l4 in field_name for field_name in names):
        selectors["outer.l4_type_ext"] = L4TypeExt[l4.upper()]
    whole = Match.from_flat({**{field_name: ones(field_name) for field_name in names}, **selectors})
    members = draw(common(plan))
    if members["monitor"] != COUNT:
        members["monitor"] = None
    pipe = PipeSpec(
        name=name, type=PipeType.ACL, match=whole, nr_entries=64, fwd_miss=draw(misses(plan)),
        miss_counter=draw(st.booleans()), **members,  # type: ignore[arg-type]
    )  # fmt: skip
    entries = []
    for _ in range(draw(st.integers(1, ENTRIES_MAX))):
        values, masks = dict(selectors), dict(selectors)
        for field_name, value in draw(values_for(names, plan.samples)).items():
            if field_name.endswith("_port"):
                mask = draw(st.sampled_from((value, 0, 0xFFFF, max(value, 1234))))
            else:
                width = fields.MATCH[field_name].bits
                mask = prefix_mask(draw(st.sampled_from((0, 8, 16, 24, width))), width)
            values[field_name], masks[field_name] = value, mask
        given = draw(entry_common(pipe, plan))
        given.pop("monitor", None)
        match, mask_ = Match.from_flat(values), Match.from_flat(masks)
        priority = draw(st.integers(0, 3))
        entries.append(EntrySpec(match=match, match_mask=mask_, priority=priority, **given))  # type: ignore[arg-type]
    return pipe, entries


@st.composite
def hashed(draw: st.DrawFn, name: str, root: bool, plan: Plan) -> Made:
    """A HASH pipe with all its entries."""
    shape = draw(shapes(meta=False))
    names = [n for n in shape.names if not n.startswith("parser_meta.")]
    chosen = draw(st.lists(st.sampled_from(names), min_size=1, max_size=3, unique=True))
    algorithm = draw(st.sampled_from((HashAlgorithm.HASH, HashAlgorithm.FLOODING)))
    size = draw(st.sampled_from((1, 2, 4)))
    members = draw(common(plan))
    if algorithm is HashAlgorithm.FLOODING:
        members["fwd"] = FwdChangeable()
    pipe = PipeSpec(
        name=name, type=PipeType.HASH, nr_entries=size, match_mask=build({n: ones(n) for n in chosen}, shape),
        hash_map_algorithm=algorithm, **members,  # type: ignore[arg-type]
    )  # fmt: skip
    entries = []
    for index in range(size):
        given = draw(entry_common(pipe, plan))
        if algorithm is HashAlgorithm.FLOODING:
            given["fwd"] = FwdPort(draw(st.sampled_from(plan.ports)))
        entries.append(EntrySpec(index=index, **given))  # type: ignore[arg-type]
    return pipe, entries


@st.composite
def ordered(draw: st.DrawFn, name: str, root: bool, plan: Plan) -> Made:
    """An ORDERED_LIST pipe with an entry per list."""
    lists = []
    for index in range(draw(st.integers(1, 2))):
        elements = draw(st.lists(st.one_of(st.just(COUNT), _list_actions()), min_size=1, max_size=3))
        only_one = [
            e for i, e in enumerate(elements) if not isinstance(e, Monitor) or COUNT not in elements[:i]
        ]
        lists.append(OrderedList(index, tuple(only_one)))
    pipe = PipeSpec(
        name=name, type=PipeType.ORDERED_LIST, domain=plan.domain, nr_entries=4, ordered_lists=tuple(lists),
        fwd=draw(forwards(plan)),
    )  # fmt: skip
    entries = [EntrySpec(index=index, ordered_list=lists[index]) for index in range(len(lists))]
    return pipe, entries


@st.composite
def _list_actions(draw: st.DrawFn) -> ListActions:
    actions, mask, descs = draw(action_templates())
    flat = actions.flat()
    for name, value in flat.items():
        if is_set(name) and value == ones(name) and not descs:
            flat[name] = draw(st.sampled_from([v for v in pool(name) if 0 < v < ones(name)]))
    return ListActions(Actions.from_flat(flat), mask, descs)


UPDATED = (PipeType.BASIC, PipeType.LPM, PipeType.ACL)
"""Types whose entries can be updated, and that have a miss."""


@st.composite
def changes_of(
    draw: st.DrawFn, pipe: PipeSpec, entries: list[EntrySpec], first: int, plan: Plan
) -> list[tuple[int, EntrySpec | None]]:
    """Some entries of a pipe removed, some with other actions and forwards."""
    made: list[tuple[int, EntrySpec | None]] = []
    for number, entry in enumerate(entries, first):
        kind = draw(st.integers(0, 5))
        if kind == 0 and pipe.type is not PipeType.HASH:
            made.append((number, None))
        elif kind == 1 and pipe.type in UPDATED:
            members = draw(entry_common(pipe, plan))
            if pipe.type is PipeType.ACL:
                members.pop("monitor", None)
            made.append((number, replace(entry, **members)))  # type: ignore[arg-type]
    return made


MAKERS: dict[PipeType, Callable[..., st.SearchStrategy[Made]]] = {
    PipeType.BASIC: basic,
    PipeType.CONTROL: control,
    PipeType.LPM: lpm,
    PipeType.ACL: acl,
    PipeType.HASH: hashed,
    PipeType.ORDERED_LIST: ordered,
}


@st.composite
def programs(
    draw: st.DrawFn, kinds: tuple[PipeType, ...] = tuple(MAKERS), mode: Mode | None = None
) -> Program:
    """A whole program. ``kinds`` are the pipe types that may occur below the roots."""
    modes: tuple[Mode, ...] = ("vnf", "vnf", "switch") if mode is None else (mode,)
    drawn = draw(st.sampled_from(modes))
    port_ids = (0, 1) if drawn == "vnf" else (0, 1, 2)
    ports = tuple(PortPlan(port, draw(st.sampled_from(DefaultMiss))) for port in port_ids)
    packets = draw(
        st.lists(
            st.tuples(st.sampled_from(port_ids), fr.frames(), st.sampled_from((0, 1, 2))),
            min_size=1,
            max_size=PACKETS_MAX,
        )
    )
    samples = tuple(Sample(port, frame, meta, parse(frame)) for port, frame, meta in packets)
    pipes: list[tuple[int, PipeSpec]] = []
    entries: list[tuple[str, EntrySpec]] = []
    changes: list[tuple[int, EntrySpec | None]] = []
    new_misses: list[tuple[str, Fwd | None]] = []
    owners = port_ids if drawn == "vnf" else (0,)
    for owner in owners:
        for domain in (Domain.DEFAULT, Domain.EGRESS):
            if domain is Domain.EGRESS and draw(st.integers(0, 2)):
                continue
            targets = (
                port_ids if drawn == "switch" else ((owner,) if domain is Domain.EGRESS else (1 - owner,))
            )
            # A switch's egress may use its ingress pipes again.
            ingress = [pipe for _, pipe in pipes if not pipe.is_root] if drawn == "switch" else []
            plan = Plan(domain, targets, ingress, samples)
            count = draw(st.integers(1, PIPES_MAX if domain is Domain.DEFAULT else 2))
            for number in range(count):
                root = number == count - 1
                kind = draw(st.sampled_from((PipeType.BASIC, PipeType.CONTROL) if root else kinds))
                name = f"p{owner}{'e' if domain is Domain.EGRESS else 'd'}{number}"
                pipe, made = draw(MAKERS[kind](name, root, plan))
                pipes.append((owner, pipe))
                first = len(entries) + 1
                entries += [(name, entry) for entry in made]
                changes += draw(changes_of(pipe, made, first, plan))
                if pipe.type in UPDATED and draw(st.integers(0, 3)) == 0:
                    new_misses.append((name, draw(misses(plan))))
                plan.below.append(pipe)
    return Program(
        drawn,
        ports,
        tuple(pipes),
        tuple(entries),
        tuple(packets),
        tuple(changes),
        tuple(new_misses),
        draw(st.booleans()),
    )


def load(program: Program) -> Reference:
    """The program in the reference interpreter; entries get the numbers 1, 2 ... in their order."""
    reference = Reference()
    reference.shared_encaps.update(enumerate(SHARED_ENCAPS))
    reference.shared_decaps.update(enumerate(SHARED_DECAPS))
    for plan in program.ports:
        reference.port_start(plan.port_id, plan.port_id if program.mode == "vnf" else 0, plan.miss)
    for port, pipe in program.pipes:
        reference.pipe_create(port, pipe)
    for name, entry in program.entries:
        reference.entry_add(name, entry)
    return reference
