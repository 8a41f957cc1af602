# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""The filter language: which flow records somebody wants.

A term is a field and values, any of which may match: ``verdict=drop,reject``. A filter is terms that must all match; of
several filters one must. Terms can be negated. As text: terms with spaces between, ``!`` or ``!=`` negates, ``or``
begins another filter::

    from.label=app=agent to.kind=dataset !port=443 or band=system

``compiled`` turns filters into masks over columns; label, name and rule patterns are judged once for each known name,
not once a record.
"""

from __future__ import annotations

import operator
import re
import shlex
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from functools import reduce
from ipaddress import ip_network
from typing import Any, Final, TypeVar

import numpy as np

from appliance.errors import InvalidValue
from appliance.telemetry import schema
from appliance.telemetry.names import RESERVED, STATES, Identity, Verdict, Workload
from appliance.telemetry.store import Mask, Rows

T = TypeVar("T")
Test = Callable[[Rows], Mask]
BANDS: Final = (
    "system", "override-allow", "override-alert", "override-block", "allow", "alert", "block", "default",
)  # fmt: skip
SIDES: Final = {"from": ("src",), "to": ("dst",), "": ("src", "dst")}
MAX_TERMS: Final = 256


class BadFilter(InvalidValue):
    """A filter that cannot be understood; the reason names the term."""


@dataclass(frozen=True, slots=True)
class Term:
    """A condition: the field's value is one of ``values``; or, negated, none of them."""

    field: str
    values: tuple[str, ...]
    negate: bool = False

    def __str__(self) -> str:
        values = ",".join(value.replace("\\", "\\\\").replace(",", "\\,") for value in self.values)
        return shlex.quote(f"{'!' if self.negate else ''}{self.field}={values}")


@dataclass(frozen=True, slots=True)
class Filter:
    """Terms that must all match; none at all matches everything."""

    terms: tuple[Term, ...] = ()

    def __str__(self) -> str:
        return " ".join(map(str, self.terms))


@dataclass(frozen=True, slots=True)
class Field:
    """A field of the language. ``sided``: it takes ``from.`` and ``to.``, else either side may match."""

    name: str
    sided: bool
    text: str
    test: Callable[[str, Sequence[str]], Test]
    """From the prefix of the columns (``src``, ``dst``, empty) and the values. Raises ``ValueError``."""


# -- values


def _number(text: str, most: int) -> int:
    if not re.fullmatch(r"[0-9]+", text) or (number := int(text)) > most:
        raise ValueError(f"{text!r} is not a number up to {most}")
    return number


def _range(text: str, most: int) -> tuple[int, int]:
    first, dash, last = text.partition("-")
    low = _number(first, most)
    high = (_number(last, most) if last else most) if dash else low
    if high < low:
        raise ValueError(f"{text!r}: the range is backwards")
    return low, high


def _word(text: str, words: Sequence[str]) -> int:
    if not text or text not in words:
        raise ValueError(f"{text!r} is not one of {', '.join(word for word in words if word)}")
    return words.index(text)


DURATION: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)")
_UNITS: Final = {"ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9, "d": 86400 * 10**9}


def moment(text: str, now_ns: int | None = None) -> int:
    """A time in ns since 1970: ``5m`` (ago), ``2026-05-01T12:00:00Z``, or ns as a number."""
    if found := DURATION.fullmatch(text):
        now = time.time_ns() if now_ns is None else now_ns
        return now - int(float(found[1]) * _UNITS[found[2]])
    if re.fullmatch(r"[0-9]{15,19}", text):
        return int(text)
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            f"{text!r} is no time: write 30s, 5m, 2h, 1d (ago) or 2026-05-01T12:00:00Z"
        ) from None
    if when.tzinfo is None:
        when = when.astimezone()
    since = when - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86400 + since.seconds) * 10**9 + since.microseconds * 1000


# -- tests


class _ByCode:
    """A predicate over the entries of a table of names, judged once for each."""

    def __init__(self, predicate: Callable[[Any], bool]) -> None:
        self._predicate = predicate
        self._known: Mask = np.zeros(0, np.bool_)

    def __call__(self, table: Sequence[Any], codes: Any) -> Mask:
        if len(self._known) < (size := len(table)):
            fresh = [self._predicate(one) for one in table[len(self._known) : size]]
            self._known = np.append(self._known, np.array(fresh, np.bool_))
        found: Mask = self._known[codes]
        return found


def _any_of(tests: Iterable[Test]) -> Test:
    every = list(tests)
    return every[0] if len(every) == 1 else lambda rows: reduce(operator.or_, (test(rows) for test in every))


def _all_of(tests: Sequence[Test]) -> Test:
    if not tests:
        return lambda rows: np.ones(len(rows), np.bool_)
    return tests[0] if len(tests) == 1 else lambda rows: reduce(operator.and_, (test(rows) for test in tests))


def _not(test: Test) -> Test:
    return lambda rows: ~test(rows)


def _in(column: str, numbers: Sequence[int]) -> Test:
    """The column is one of the numbers."""
    if len(numbers) == 1:
        return lambda rows: rows[column] == numbers[0]
    return lambda rows: np.isin(rows[column], numbers)


def _between(column: str, ranges: Sequence[tuple[int, int]]) -> Test:
    def one(low: int, high: int) -> Test:
        return lambda rows: (rows[column] >= low) & (rows[column] <= high)

    return _any_of(one(*given) for given in ranges)


def _ranges(column: str, most: int) -> Callable[[str, Sequence[str]], Test]:
    def make(side: str, values: Sequence[str]) -> Test:
        return _between(f"{side}_{column}" if side else column, [_range(value, most) for value in values])

    return make


def _words(column: str, words: Callable[[], Sequence[str]]) -> Callable[[str, Sequence[str]], Test]:
    return lambda side, values: _in(column, [_word(value, words()) for value in values])


def _label(side: str, values: Sequence[str]) -> Test:
    patterns = [value.partition("=") for value in values]
    for key, equals, text in patterns:
        if not key or (equals and not text):
            raise ValueError("a label is written KEY=VALUE, or KEY for any value")

    def matches(one: Identity | Workload) -> bool:
        pairs = dict(one.labels)
        if isinstance(one, Identity) and one.name in RESERVED:
            pairs["reserved"] = one.name
        return any(
            key in pairs and (not equals or fnmatchcase(pairs[key], text)) for key, equals, text in patterns
        )

    identities, workloads = _ByCode(matches), _ByCode(matches)
    return lambda rows: (
        identities(rows.names.identities, rows[f"{side}_labels"])
        | workloads(rows.names.workloads, rows[f"{side}_workload"])
    )


def _kind(side: str, values: Sequence[str]) -> Test:
    wanted = frozenset(values)
    identities, workloads = _ByCode(lambda one: one.kind in wanted), _ByCode(lambda one: one.kind in wanted)
    return lambda rows: (
        identities(rows.names.identities, rows[f"{side}_labels"])
        | workloads(rows.names.workloads, rows[f"{side}_workload"])
    )


def _workload(side: str, values: Sequence[str]) -> Test:
    test = _ByCode(lambda one: bool(one.name) and any(fnmatchcase(one.name, value) for value in values))
    return lambda rows: test(rows.names.workloads, rows[f"{side}_workload"])


def _identity(side: str, values: Sequence[str]) -> Test:
    column = f"{side}_identity"

    def one(value: str) -> Test:
        if value in RESERVED:
            base = RESERVED.index(value)
            return lambda rows: rows[column] >> np.uint32(2) == base
        number = _number(value, 0xFFFFFFFF)
        return lambda rows: rows[column] == number

    return _any_of(one(value) for value in values)


def _state(side: str, values: Sequence[str]) -> Test:
    states = [_word(value, STATES) for value in values]
    return lambda rows: np.isin(rows[f"{side}_identity"] & np.uint32(3), states)


def _ip(side: str, values: Sequence[str]) -> Test:
    column = f"{side}_ip"

    def one(value: str) -> Test:
        prefix = ip_network(value, strict=False)
        packed, mask = (
            np.frombuffer(part.packed.ljust(16, b"\0"), np.uint64)
            for part in (prefix.network_address, prefix.netmask)
        )

        def test(rows: Rows) -> Mask:
            words = np.ascontiguousarray(rows[column]).view(np.uint64)
            found: Mask = (rows["ip_version"] == prefix.version) & ((words & mask) == packed).all(axis=1)
            return found

        return test

    return _any_of(one(value) for value in values)


def _mac(side: str, values: Sequence[str]) -> Test:
    macs = []
    for value in values:
        if not re.fullmatch(r"[0-9a-fA-F]{2}([:-][0-9a-fA-F]{2}){5}", value):
            raise ValueError(f"{value!r} is no MAC address")
        macs.append(np.frombuffer(bytes.fromhex(value.replace(":", "").replace("-", "")), np.uint8))

    def one(mac: Any) -> Test:
        return lambda rows: (rows[f"{side}_mac"] == mac).all(axis=1)

    return _any_of(one(mac) for mac in macs)


def _verdict(side: str, values: Sequence[str]) -> Test:
    groups = {"denied": (schema.DROP, schema.REJECT), "forwarded": (schema.ALLOW, schema.ALERT)}
    words = (*schema.VERDICTS, *groups)
    numbers: list[int] = []
    for value in values:
        _word(value, words)
        numbers += groups.get(value) or (schema.VERDICTS.index(value),)
    return _in("verdict", numbers)


def _provenance(matches: Callable[[Verdict, str], bool], words: Sequence[str] = ()) -> Callable[..., Test]:
    def make(side: str, values: Sequence[str]) -> Test:
        for value in values:
            if words:
                _word(value, words)
        test = _ByCode(lambda one: any(matches(one, value) for value in values))
        return lambda rows: test(rows.names.verdicts, rows["judged"])

    return make


def _protocol(side: str, values: Sequence[str]) -> Test:
    known = {name: number for number, name in schema.PROTOCOLS.items()}
    return _in("protocol", [known[v] if v in known else _number(v, 255) for v in values])


def _port_name(column: str) -> Callable[[str, Sequence[str]], Test]:
    def make(side: str, values: Sequence[str]) -> Test:
        def test(rows: Rows) -> Mask:
            ports = rows[column]
            wanted = [
                int(n) for n in np.unique(ports) if rows.names.port(int(n)) in values and n != schema.NO_PORT
            ]
            return np.isin(ports, wanted)

        return test

    return make


def _network(side: str, values: Sequence[str]) -> Test:
    def test(rows: Rows) -> Mask:
        zones = rows["zone"]
        return np.isin(zones, [int(n) for n in np.unique(zones) if rows.names.network(int(n)).name in values])

    return test


def _vlan(side: str, values: Sequence[str]) -> Test:
    numbers = [_number(value, 4095) for value in values]
    return lambda rows: np.isin(rows["vlan"] & np.uint16(0xFFF), numbers)


def _record(side: str, values: Sequence[str]) -> Test:
    ranges = [_range(value, 2**63 - 1) for value in values]

    def one(low: int, high: int) -> Test:
        return lambda rows: (rows.records >= low) & (rows.records <= high)

    return _any_of(one(*given) for given in ranges)


def _time(compare: Callable[[Any, int], Mask]) -> Callable[[str, Sequence[str]], Test]:
    def make(side: str, values: Sequence[str]) -> Test:
        if len(values) != 1:
            raise ValueError("takes one time")
        when = moment(values[0])
        return lambda rows: compare(rows["time_ns"], when)

    return make


def _rule_matches(one: Verdict, pattern: str) -> bool:
    return bool(one.rule) and (fnmatchcase(one.rule, pattern) or one.rule_id == pattern)


_U64: Final = 2**64 - 1
FIELDS: Final[Mapping[str, Field]] = {
    field.name: field
    for field in (
        Field("label", True, "`KEY=VALUE` (with `*`), `KEY` for any value, `reserved=world`", _label),
        Field("kind", True, "kind of the workload: `agent`, `dataset` ...", _kind),
        Field("workload", True, "name, with `*`", _workload),
        Field("identity", True, "number, or `world`, `unknown`, `appliance`", _identity),
        Field("state", True, "`normal`, `watched`, `restricted`, `quarantined`", _state),
        Field("ip", True, "address or prefix", _ip),
        Field("port", True, "number or range `8000-8080`", _ranges("port", 0xFFFF)),
        Field("mac", True, "address", _mac),
        Field("verdict", False, "`allow`, `alert`, `drop`, `reject`; `denied`, `forwarded`", _verdict),
        Field("reason", False, "drop reason: `policy`, `ct_limit` ...", _words("drop", schema.reasons)),
        Field("band", False, "of the rule that decided", _provenance(lambda v, text: v.band == text, BANDS)),
        Field("rule", False, "its name, with `*`, or its id", _provenance(_rule_matches)),
        Field("audit", False, "verdict of the audit rule: `drop` ...", _provenance(
            lambda v, text: v.audit_verdict == text, schema.VERDICTS)),
        Field("audit-rule", False, "name of the audit rule, with `*`", _provenance(
            lambda v, text: bool(v.audit_rule) and fnmatchcase(v.audit_rule, text))),
        Field("revision", False, "of the policy; number or range `10-`", _ranges("revision", _U64)),
        Field("event", False, "`open`, `update`, `close`, `deny`, `deny_update`",
            _words("event", lambda: schema.EVENTS)),
        Field("protocol", False, "`tcp`, `udp`, `icmp`, `icmpv6`, `sctp` ... or a number", _protocol),
        Field("icmp", False, "ICMP type; number or range", _ranges("icmp_type", 255)),
        Field("direction", False, "`egress`, `ingress`, `internal`, `transit`",
            _words("direction", lambda: schema.DIRECTIONS)),
        Field("reporter", False, "`source`, `destination`, `only`", _words("reporter", lambda: schema.REPORTERS)),
        Field("close", False, "why it closed: `fin`, `rst`, `timeout`, `quarantine` ...",
            _words("close", lambda: schema.CLOSES)),
        Field("create", False, "`policy`, `adopted`", _words("create", lambda: schema.CREATES)),
        Field("tcp-state", False, "`established` ...", _words("tcp_state", lambda: schema.TCP_STATES)),
        Field("in-port", False, "name of the port where it came in", _port_name("in_port")),
        Field("out-port", False, "name of the port where it went out", _port_name("out_port")),
        Field("network", False, "name", _network),
        Field("vlan", False, "VLAN id", _vlan),
        Field("flow", False, "the connection's number", _ranges("id", _U64)),
        Field("connection", False, "the connection's hash", _ranges("connection", _U64)),
        Field("record", False, "number or range", _record),
        Field("since", False, "`30s`, `5m`, `2h`, `1d` ago, or `2026-05-01T12:00:00Z`", _time(operator.ge)),
        Field("until", False, "a time as for `since`, exclusive", _time(operator.lt)),
    )
}  # fmt: skip
"""Every field, in the order of docs/records.md."""


# -- text and masks


def split_values(text: str) -> tuple[str, ...]:
    """``a,b`` as values; ``\\,`` is a comma."""
    parts = re.findall(r"(?:[^\\,]|\\.)+", text)
    return tuple(re.sub(r"\\(.)", r"\1", part) for part in parts)


def parse_term(text: str) -> Term:
    """``field=value,value``, ``!field=value``, ``field!=value``."""
    negate = text.startswith("!")
    name, equals, values = text.removeprefix("!").partition("=")
    if name.endswith("!"):
        name, negate = name[:-1], not negate
    if not equals:
        raise BadFilter(f"{text!r} is no term of a filter: write FIELD=VALUE")
    term = Term(name, split_values(values), negate)
    _test(term)
    return term


def parse(text: str) -> tuple[Filter, ...]:
    """Filters from text. Raises ``BadFilter``."""
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise BadFilter(f"{text!r}: {error}") from None
    groups: list[list[Term]] = [[]]
    for word in words:
        if word == "or":
            groups.append([])
        else:
            groups[-1].append(parse_term(word))
    if any(not group for group in groups) and len(groups) > 1:
        raise BadFilter(f"{text!r}: 'or' stands between two filters")
    return tuple(Filter(tuple(group)) for group in groups if group)


def _test(term: Term) -> Test:
    prefix, dot, rest = term.field.partition(".")
    name, side = (rest, prefix) if dot else (term.field, "")
    field = FIELDS.get(name)
    if field is None or (dot and (side not in ("from", "to") or not field.sided)):
        known = ", ".join(f"[from.|to.]{one.name}" if one.sided else one.name for one in FIELDS.values())
        raise BadFilter(f"there is no field {term.field!r} in filters (fields: {known})")
    if not term.values:
        raise BadFilter(f"{term.field}: a value is needed")
    try:
        if field.sided:
            test = _any_of([field.test(column, term.values) for column in SIDES[side]])
        else:
            test = field.test("", term.values)
    except ValueError as error:
        raise BadFilter(f"{term.field}: {error}") from None
    return _not(test) if term.negate else test


def compiled(filters: Sequence[Filter]) -> Test | None:
    """A mask over records; None takes everything. Each reader compiles its own. Raises ``BadFilter``."""
    if sum(len(one.terms) for one in filters) > MAX_TERMS:
        raise BadFilter(f"a filter has at most {MAX_TERMS} terms")
    if not filters or any(not one.terms for one in filters):
        return None
    return _any_of([_all_of([_test(term) for term in one.terms]) for one in filters])
