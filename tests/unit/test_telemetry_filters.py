# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""The filter language: text, refusals, and masks against a plain evaluation of one record at a time."""

from __future__ import annotations

from fnmatch import fnmatchcase
from ipaddress import ip_address, ip_network
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.flow.types import FlowClose, FlowEvent
from appliance.telemetry import Telemetry, filters, render, schema
from appliance.telemetry.filters import BadFilter, Filter, Term, compiled, parse, parse_term
from appliance.telemetry.names import RESERVED
from tests.support.flows import WORKLOADS, batch, book, row

NAMES = book()
IPS = ("10.0.0.1", "10.0.0.2", "10.0.0.4", "10.9.9.9", "fd00::3", "fd00::9")


@st.composite
def members(draw: st.DrawFn) -> dict[str, Any]:
    source = draw(st.sampled_from(IPS))
    same = [ip for ip in IPS if ip_address(ip).version == ip_address(source).version]
    return row(
        event=draw(st.sampled_from(list(FlowEvent))),
        close=draw(st.sampled_from([0, FlowClose.FIN, FlowClose.POLICY])),
        drop=draw(st.sampled_from([0, 1, 24, 28])),
        src_ip=source,
        dst_ip=draw(st.sampled_from(same)),
        tag=draw(st.integers(0, 7)),
        src_identity=draw(st.integers(0, 90)),
        dst_identity=draw(st.integers(0, 90)),
        src_port=draw(st.sampled_from([1, 443, 40000])),
        dst_port=draw(st.sampled_from([22, 80, 443, 65535])),
        protocol=draw(st.sampled_from([1, 6, 17, 99])),
        revision=draw(st.integers(1, 3)),
        vlan=draw(st.sampled_from([0, 10, 0x600A])),
        in_port=draw(st.sampled_from([0, 1, 9])),
        zone=draw(st.sampled_from([0, 7, 8])),
    )


PREFIX = st.sampled_from(["", "from.", "to."])
SIDED: dict[str, list[str]] = {
    "label": ["app=agent", "app=t*", "env", "reserved=world", "nothing", "app=far"],
    "kind": ["agent", "dataset", "inference"],
    "workload": ["agent-1", "*-1", "far*", "nobody"],
    "identity": ["world", "unknown", "64", "68", "71"],
    "state": ["normal", "quarantined", "watched"],
    "ip": ["10.0.0.1", "10.0.0.0/24", "0.0.0.0/0", "fd00::/16", "fd00::3", "::/0"],
    "port": ["443", "1-1000", "40000-"],
    "mac": ["02:00:00:00:00:01", "02-00-00-00-00-02"],
}
PLAIN: dict[str, list[str]] = {
    "verdict": ["allow", "alert", "drop", "reject", "denied", "forwarded"],
    "reason": ["policy", "pipe"],
    "band": list(filters.BANDS),
    "rule": ["agents-use-tools", "no-*", "r2", "*"],
    "audit": ["allow", "drop"],
    "audit-rule": ["may*"],
    "revision": ["1", "2-3"],
    "event": [event.name.lower() for event in FlowEvent],
    "protocol": ["tcp", "udp", "99", "icmp"],
    "direction": list(schema.DIRECTIONS),
    "reporter": ["source", "only"],
    "close": ["fin", "policy", "quarantine"],
    "in-port": ["p0", "9"],
    "network": ["prod", "8"],
    "vlan": ["10"],
    "record": ["1", "2-5"],
}


@st.composite
def terms(draw: st.DrawFn) -> Term:
    name = draw(st.sampled_from([*SIDED, *PLAIN]))
    words = SIDED.get(name) or PLAIN[name]
    values = draw(st.lists(st.sampled_from(words), min_size=1, max_size=3))
    return Term((draw(PREFIX) if name in SIDED else "") + name, tuple(values), draw(st.booleans()))


FILTERS = st.lists(
    st.lists(terms(), min_size=1, max_size=3).map(lambda some: Filter(tuple(some))), max_size=3
)


def within(number: int, text: str) -> bool:
    first, dash, last = text.partition("-")
    return int(first) <= number <= (int(last) if last else 1 << 64) if dash else number == int(first)


def plain_value(one: dict[str, Any], side: str, name: str, value: str) -> bool:
    """One value against one record as it is shown to people."""
    if name == "label":
        key, equals, text = value.partition("=")
        workload = WORKLOADS.get(one[f"{side}_workload"])
        pairs = [*one[f"{side}_labels"], *(f"{k}={v}" for k, v in (workload[1] if workload else {}).items())]
        found = [
            pair.replace("reserved:", "reserved=").partition("=")[::2]
            for pair in pairs
            if pair != "cidr:partners"
        ]
        return any(k == key and (not equals or fnmatchcase(v, text)) for k, v in found)
    if name == "kind":
        workload = WORKLOADS.get(one[f"{side}_workload"])
        return value in (one[f"{side}_kind"], workload[0] if workload else "")
    if name == "workload":
        return bool(one[f"{side}_workload"]) and fnmatchcase(one[f"{side}_workload"], value)
    if name == "identity":
        number = one[f"{side}_identity"]
        return bool(number >> 2 == RESERVED.index(value) if value in RESERVED else number == int(value))
    if name == "state":
        return bool(one[f"{side}_state"] == value)
    if name == "ip":
        return ip_address(one[f"{side}_ip"]) in ip_network(value)
    if name == "port":
        return within(one[f"{side}_port"], value)
    return bool(one[f"{side}_mac"] == value.replace("-", ":"))


def plain_term(one: dict[str, Any], term: Term) -> bool:
    prefix, _, rest = term.field.partition(".")
    name, sides = (rest, filters.SIDES[prefix]) if rest else (term.field, ("src", "dst"))

    def single(value: str) -> bool:
        match name:
            case "verdict" if value == "denied":
                return one["verdict"] in ("drop", "reject")
            case "verdict" if value == "forwarded":
                return one["verdict"] in ("allow", "alert")
            case "rule":
                return bool(one["rule"]) and (fnmatchcase(one["rule"], value) or one["rule_id"] == value)
            case "audit":
                return bool(one["audit_verdict"] == value)
            case "audit-rule":
                return bool(one["audit_rule"]) and fnmatchcase(one["audit_rule"], value)
            case "revision" | "record":
                return within(one[name], value)
            case "close":
                return bool(one["close_reason"] == value)
            case "in-port":
                return bool(one["in_port"] == value)
            case "vlan":
                return bool(one["vlan"] == int(value))
        return bool(one[name] == value)

    if name in SIDED:
        found = any(plain_value(one, side, name, value) for side in sides for value in term.values)
    else:
        found = any(single(value) for value in term.values)
    return found != term.negate


@settings(deadline=None, max_examples=150)
@given(st.lists(members(), min_size=1, max_size=12), FILTERS)
def test_masks_against_plain_evaluation(rows: list[dict[str, Any]], wanted: list[Filter]) -> None:
    telemetry = Telemetry(NAMES, 20, appliance="here")
    telemetry.append(batch(rows))
    stored = telemetry.store.read(1, 100)[0]
    shown = render.records(stored)
    test = compiled(wanted)
    got = test(stored).tolist() if test is not None else [True] * len(rows)
    expected = [
        not wanted or any(all(plain_term(one, term) for term in some.terms) for some in wanted)
        for one in shown
    ]
    assert got == expected


@settings(deadline=None)
@given(FILTERS)
def test_text_and_back(wanted: list[Filter]) -> None:
    assert list(parse(" or ".join(map(str, wanted)))) == wanted


def test_parse() -> None:
    assert parse("") == ()
    assert parse("verdict=drop,reject !from.kind=agent or 'rule=quarantine agent-1' to.port!=443") == (
        Filter((Term("verdict", ("drop", "reject")), Term("from.kind", ("agent",), True))),
        Filter((Term("rule", ("quarantine agent-1",)), Term("to.port", ("443",), True))),
    )
    assert parse_term(r"rule=a\,b,c").values == ("a,b", "c")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("colour=red", "no field 'colour'"),
        ("from.verdict=drop", "no field 'from.verdict'"),
        ("verdict", "write FIELD=VALUE"),
        ("verdict=", "a value is needed"),
        ("verdict=maybe", "'maybe' is not one of allow, alert, drop, reject"),
        ("port=70000", "not a number up to 65535"),
        ("port=90-80", "backwards"),
        ("port=x", "'x' is not a number"),
        ("ip=10.0.0.300", "10.0.0.300"),
        ("mac=02", "no MAC"),
        ("reason=because", "'because'"),
        ("band=middle", "override-block"),
        ("event=opened", "deny_update"),
        ("identity=somebody", "'somebody'"),
        ("state=bad", "quarantined"),
        ("protocol=tpc", "'tpc'"),
        ("label==x", "KEY=VALUE"),
        ("since=yesterday", "write 30s, 5m"),
        ("since=5m,6m", "one time"),
        ("vlan=4096", "4095"),
        ("or verdict=drop", "stands between"),
        ("verdict=drop or", "stands between"),
        ("rule='x", "quotation"),
    ],
)
def test_refusals(text: str, words: str) -> None:
    with pytest.raises(BadFilter) as caught:
        parse(text)
    assert words in caught.value.reason


def test_too_many_terms() -> None:
    with pytest.raises(BadFilter, match="at most"):
        compiled([Filter((parse_term("port=1"),) * (filters.MAX_TERMS + 1))])


def test_times() -> None:
    second = 10**9
    assert filters.moment("90s", 100 * second) == 10 * second
    assert filters.moment("1.5m", 100 * second) == 10 * second
    assert filters.moment("2026-05-01T12:00:00Z") == 1777636800 * second
    assert filters.moment("1777636800000000000") == 1777636800 * second
    telemetry = Telemetry(NAMES, 20, clock=iter([n * second for n in range(1, 10)]).__next__)
    for _ in range(5):
        telemetry.append(batch([row()]))
    stored = telemetry.store.read(1, 100)[0]
    test = compiled(parse("since=1970-01-01T00:00:02Z until=1970-01-01T00:00:04Z"))
    assert test is not None
    assert stored["time_ns"][test(stored)].tolist() == [2 * second, 3 * second]


def test_new_names_are_judged_too() -> None:
    """A compiled filter sees names that came after it."""
    names = book()
    telemetry = Telemetry(names, 20)
    test = compiled(parse("from.label=app=late"))
    assert test is not None
    telemetry.append(batch([row()]))
    assert not test(telemetry.store.read(1, 2)[0]).any()
    from appliance.telemetry import Binding, Workload, labels

    names.set_workload(Workload("late", labels=labels({"app": "late"})), [Binding.of(7, "10.0.0.77")])
    telemetry.append(batch([row(src_ip="10.0.0.77")]))
    assert test(telemetry.store.read(1, 3)[0]).tolist() == [False, True]


def test_every_field_is_in_the_property_test() -> None:
    rest = {"since", "until", "icmp", "create", "tcp-state", "out-port", "flow", "connection"}
    assert {*SIDED, *PLAIN, *rest} == set(filters.FIELDS)
    telemetry = Telemetry(NAMES, 20)
    telemetry.append(batch([row(icmp_type=8)]))
    stored = telemetry.store.read(1, 2)[0]
    shown = render.records(stored)[0]
    for text in (
        "icmp=8", "create=policy", "tcp-state=syn_sent", "out-port=pf0vf1", f"flow={shown['flow']}",
        f"connection={shown['connection']}",
    ):  # fmt: skip
        test, other = compiled(parse(text)), compiled(parse(f"!{text}"))
        assert test is not None
        assert other is not None
        assert np.array_equal(test(stored), [True])
        assert np.array_equal(other(stored), [False])
