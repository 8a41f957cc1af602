# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""A policy as YAML: reading, with refusals that name file, line, rule and field, and writing. docs/policy.md shows it.

The plain form (``to_dict``) has the same keys; whatever else carries policies (protobuf, a file) goes through it or
makes the dataclasses itself and calls ``check``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import yaml

from appliance.policy.check import check
from appliance.policy.model import (
    Band,
    Default,
    Inventory,
    Mode,
    PolicySet,
    Rule,
    Schedule,
    Side,
    SideAllow,
    SidePolicy,
    Window,
)
from appliance.policy.refusal import Problem, Refused
from appliance.policy.selector import Selector, parse_selector
from appliance.run.document import ConfigError, Node, parse_document

T = TypeVar("T")
DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DUMPER: Final[Any] = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
"""libyaml's, where there is one: twice as fast."""
_BANDS: Final = {band.text: band for band in Band if band not in (Band.SYSTEM, Band.DEFAULT)}


def read_policy(text: str, file: str = "policy.yaml", inventory: Inventory | None = None) -> PolicySet:
    """A policy from its text, checked. ``Refused`` with every problem that was found; nothing is taken then.

    With an inventory also labels and names that nobody has are problems.
    """
    reader = _Reader(file)
    try:
        root = parse_document(text, file)
        policy = reader.policy(root)
    except ConfigError as error:
        raise Refused([Problem("", error.field, error.why, f"{error.file}:{error.line}")]) from None
    problems = [Problem(one.item, one.field, one.why, reader.place(one)) for one in check(policy, inventory)]
    if reader.problems or problems:
        raise Refused([*reader.problems, *problems])
    return policy


@contextmanager
def placed(text: str, file: str) -> Iterator[None]:
    """What is found out about a policy that was read gets file and line too."""
    try:
        yield
    except Refused as refused:
        if all(one.place for one in refused.problems):
            raise
        reader = _Reader(file)
        with suppress(ConfigError):
            reader.policy(parse_document(text, file))
        raise Refused(
            [one if one.place else replace(one, place=reader.place(one)) for one in refused.problems]
        ) from None


class _Reader:
    """Remembers where things stand."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.lines: dict[str, Node] = {}
        self.problems: list[Problem] = []

    def place(self, problem: Problem) -> str:
        node = self.lines.get(f"{problem.item}/{problem.field}") or self.lines.get(problem.item)
        return f"{self.file}:{node.line}" if node is not None else self.file

    def policy(self, root: Node) -> PolicySet:
        policy = PolicySet(
            name=root.text("name", "policy"),
            default=Default(root.choice("default", "block", "block", "alert", "allow")),
            groups=self._named(root, "groups", lambda name, node: self._selector(f"group {name}", "", node)),
            services=self._named(
                root, "services", lambda name, node: self._texts(f"service {name}", "", node)
            ),
            labels=self._named(root, "labels", lambda name, node: self._texts(f"label {name}", "", node)),
            rules=self._list(root, "rules", lambda node: self._rule(node)),
            keep=self._list(root, "keep", lambda node: self._rule(node, Band.SYSTEM)),
            side_policies=self._list(root, "network_policies", self._side_policy),
        )
        root.done()
        return policy

    @staticmethod
    def _named(root: Node, key: str, read: Callable[[str, Node], T]) -> dict[str, T]:
        node = root.get(key)
        return {} if node is None else {name: read(name, child) for name, child in node.children()}

    def _list(self, root: Node, key: str, read: Callable[[Node], T]) -> tuple[T, ...]:
        """Items; what is wrong with one does not hide what is wrong with the next."""
        made = []
        node = root.get(key)
        for item in node.items() if node is not None else ():
            try:
                made.append(read(item))
            except ConfigError as error:
                field = error.field.removeprefix(item.path).lstrip(".")
                self.problems.append(
                    Problem(_item(key, item), field, error.why, f"{error.file}:{error.line}")
                )
        return tuple(made)

    def _texts(self, item: str, field: str, node: Node) -> tuple[str, ...]:
        self.lines[f"{item}/{field}"] = self.lines.setdefault(item, node)
        return tuple(one.as_text() for one in node.items())

    def _selector(self, item: str, field: str, node: Node) -> Selector:
        self.lines[f"{item}/{field}"] = node
        self.lines.setdefault(item, node)
        return node.check(lambda: parse_selector([one.as_text() for one in node.items()]))

    def _rule(self, node: Node, band: Band | None = None) -> Rule:
        name = node.text("name")
        item = f"rule {name}"
        self.lines[item] = node
        if band is None:
            band = _BANDS[node.need("band").as_choice(*_BANDS)]
        for field in ("band", "services", "reject", "alert", "schedule"):
            if (part := node.get(field)) is not None:
                self.lines[f"{item}/{field}"] = part
        schedule = node.get("schedule")
        rule = Rule(
            name=name,
            band=band,
            source=self._selector(item, "from", node.need("from")),
            target=self._selector(item, "to", node.need("to")),
            services=tuple(one.as_text() for one in node.need("services").items()),
            mode=Mode(node.choice("mode", "enforce", "enforce", "audit")),
            enabled=node.switch("enabled", True),
            priority=node.number("priority", 100, 0, 65535),
            reject=node.switch("reject", False),
            alert=node.switch("alert", False),
            log=node.switch("log", False),
            schedule=None if schedule is None else _schedule(schedule),
            comment=node.text("comment", ""),
        )
        node.done()
        return rule

    def _side_policy(self, node: Node) -> SidePolicy:
        name = node.text("name")
        item = f"network policy {name}"
        self.lines[item] = node
        sides = tuple(Side(one.as_choice("ingress", "egress")) for one in node.need("sides").items())
        allows = []
        for number, part in enumerate(node.need("allows").items()):
            allows.append(
                SideAllow(
                    side=Side(
                        part.choice("side", sides[0].value if sides else "ingress", "ingress", "egress")
                    ),
                    peers=self._selector(item, f"allows[{number}].peers", part.need("peers")),
                    services=tuple(one.as_text() for one in part.need("services").items()),
                )
            )
            part.done()
        made = SidePolicy(
            name=name, subjects=self._selector(item, "subjects", node.need("subjects")), sides=sides,
            allows=tuple(allows), comment=node.text("comment", ""),
        )  # fmt: skip
        node.done()
        return made


def _item(key: str, node: Node) -> str:
    """How a broken item is called: by its name if it has one."""
    kind = {"rules": "rule", "keep": "rule", "network_policies": "network policy"}[key]
    try:
        return f"{kind} {node.text('name')}"
    except ConfigError:
        return node.path


def _schedule(node: Node) -> Schedule:
    def window(part: Node) -> Window:
        days = part.list_of("days", lambda day: DAYS.index(day.as_choice(*DAYS))) or tuple(range(7))
        made = Window(days=days, start=_minute(part, "from", 0), end=_minute(part, "to", 1440))
        part.done()
        return made

    made = Schedule(
        windows=node.list_of("windows", window),
        begins=_moment(node, "begins"),
        expires=_moment(node, "expires"),
    )
    if made == Schedule():
        node.fail("it says nothing: give windows, begins or expires")
    node.done()
    return made


def _minute(node: Node, key: str, default: int) -> int:
    part = node.get(key)
    if part is None:
        return default
    found = re.fullmatch(r"(\d{1,2}):(\d{2})", part.raw)
    if not found or int(found[2]) > 59 or int(found[1]) * 60 + int(found[2]) > 1440:
        part.fail(f"a time of day is expected, as 08:30, not {part.raw!r}")
    return int(found[1]) * 60 + int(found[2])


def _moment(node: Node, key: str) -> datetime | None:
    part = node.get(key)
    if part is None:
        return None
    try:
        moment = datetime.fromisoformat(part.raw)
    except ValueError:
        part.fail(f"a moment is expected, as 2026-12-24T18:00:00Z, not {part.raw!r}")
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


# --- writing ----------------------------------------------------------------------------------------------------------


def _texts(values: list[str]) -> str | list[str]:
    return values[0] if len(values) == 1 else values


def _rule_dict(rule: Rule, with_band: bool) -> dict[str, Any]:
    made: dict[str, Any] = {"name": rule.name}
    if with_band:
        made["band"] = rule.band.text
    made |= {
        "from": _texts(rule.source.texts()),
        "to": _texts(rule.target.texts()),
        "services": list(rule.services),
    }
    if rule.mode is Mode.AUDIT:
        made["mode"] = "audit"
    for field, plain in (
        ("enabled", True),
        ("priority", 100),
        ("reject", False),
        ("alert", False),
        ("log", False),
    ):
        if getattr(rule, field) != plain:
            made[field] = getattr(rule, field)
    if rule.schedule is not None:
        made["schedule"] = _schedule_dict(rule.schedule)
    return made | ({"comment": rule.comment} if rule.comment else {})


def _schedule_dict(schedule: Schedule) -> dict[str, Any]:
    made: dict[str, Any] = {}
    if schedule.windows:
        made["windows"] = [
            {
                "days": [DAYS[day] for day in window.days],
                "from": f"{window.start // 60:02}:{window.start % 60:02}",
                "to": f"{window.end // 60:02}:{window.end % 60:02}",
            }
            for window in schedule.windows
        ]
    for field, moment in (("begins", schedule.begins), ("expires", schedule.expires)):
        if moment is not None:
            made[field] = moment.isoformat()
    return made


def to_dict(policy: PolicySet) -> dict[str, Any]:
    """The plain form: what the YAML holds."""
    made: dict[str, Any] = {"name": policy.name, "default": policy.default.value}
    if policy.labels:
        made["labels"] = {key: list(values) for key, values in policy.labels.items()}
    if policy.groups:
        made["groups"] = {name: _texts(selector.texts()) for name, selector in policy.groups.items()}
    if policy.services:
        made["services"] = {name: list(texts) for name, texts in policy.services.items()}
    if policy.rules:
        made["rules"] = [_rule_dict(rule, True) for rule in policy.rules]
    if policy.keep:
        made["keep"] = [_rule_dict(rule, False) for rule in policy.keep]
    if policy.side_policies:
        made["network_policies"] = [
            {
                "name": one.name,
                "subjects": _texts(one.subjects.texts()),
                "sides": [side.value for side in one.sides],
                "allows": [
                    {"side": a.side.value, "peers": _texts(a.peers.texts()), "services": list(a.services)}
                    for a in one.allows
                ],
                **({"comment": one.comment} if one.comment else {}),
            }
            for one in policy.side_policies
        ]
    return made


def write_policy(policy: PolicySet) -> str:
    """As YAML; ``read_policy`` gives the same policy back."""
    plain = to_dict(policy)
    lists = {key: plain.pop(key) for key in ("rules", "keep", "network_policies") if key in plain}
    parts = [_dumped(plain)]
    for key, items in lists.items():
        # A piece at a time, so that other threads get their turns.
        parts += [f"{key}:\n", *(_dumped(items[at : at + 100]) for at in range(0, len(items), 100))]
    return "".join(parts)


def _dumped(what: Any) -> str:
    text: str = yaml.dump(what, Dumper=_DUMPER, sort_keys=False, width=110, allow_unicode=True)
    return text


def from_dict(data: dict[str, Any], inventory: Inventory | None = None) -> PolicySet:
    """From the plain form, checked. ``Refused``."""
    return read_policy(yaml.safe_dump(data, sort_keys=False), "policy", inventory)
