# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""A YAML document whose every value knows its line and its path, so that a refusal can name both.

Reading is by pulling: ``node.text("backend")`` takes a key and checks its type, ``node.done()`` refuses what nobody
asked for. Nothing here knows what the keys mean.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NoReturn, TypeVar

import yaml
from yaml._yaml import CParser
from yaml.composer import Composer
from yaml.constructor import SafeConstructor
from yaml.resolver import Resolver

from appliance.errors import BadConfig

T = TypeVar("T")
_MISSING: Final[Any] = object()
MAX_BYTES: Final = 16 << 20
MAX_DEPTH: Final = 16
MAX_ALIASES: Final = 1000
MAX_STOOD_FOR: Final = 1_000_000
"""Values that all aliases of a document stand for."""


class ConfigError(BadConfig):
    """A configuration that cannot be used: file, line, field and why."""

    def __init__(self, file: str, line: int, field: str, why: str) -> None:
        self.file, self.line, self.field, self.why = file, line, field, why
        super().__init__(f"{file}:{line}: {f'{field}: ' if field else ''}{why}")


class Node:
    """One value of the document."""

    def __init__(self, file: str, path: str, node: yaml.Node) -> None:
        self.file, self.path, self._node = file, path, node
        self._taken: set[str] = set()
        self._items: dict[str, yaml.Node] | None = None

    @property
    def line(self) -> int:
        """Its line, from 1."""
        return int(self._node.start_mark.line) + 1

    def fail(self, why: str) -> NoReturn:
        """Refuse this value."""
        raise ConfigError(self.file, self.line, self.path, why)

    def check(self, make: Callable[[], T]) -> T:
        """What ``make`` gives; its ``ValueError`` becomes a refusal of this value."""
        try:
            return make()
        except (ValueError, TypeError) as error:
            self.fail(str(error))

    # -- kinds of values

    @property
    def is_mapping(self) -> bool:
        """Whether it has keys."""
        return isinstance(self._node, yaml.MappingNode)

    @property
    def scalar(self) -> Any:
        """A string, number, boolean or None."""
        if not isinstance(self._node, yaml.ScalarNode):
            self.fail("one value is expected, not a list or a mapping")
        loader = yaml.SafeLoader("")
        try:
            return loader.construct_object(self._node)
        except (yaml.YAMLError, ValueError) as error:
            self.fail(str(error))
        finally:
            loader.dispose()

    @property
    def raw(self) -> str:
        """A scalar as it is written: ``02`` stays ``02``, ``1:2`` stays ``1:2``."""
        if not isinstance(self._node, yaml.ScalarNode):
            self.fail("one value is expected, not a list or a mapping")
        return str(self._node.value)

    def as_text(self) -> str:
        """A string, or a number or boolean as it is written; not empty."""
        if not self.raw:
            self.fail("must not be empty")
        return self.raw

    def as_number(self, least: int = 0, most: int = (1 << 64) - 1) -> int:
        """An integer within bounds."""
        value = self.scalar
        if not isinstance(value, int) or isinstance(value, bool):
            self.fail(f"a number is expected, not {self.raw!r}")
        if not least <= value <= most:
            self.fail(f"{value} is not between {least} and {most}")
        return value

    def as_switch(self) -> bool:
        """True or false."""
        value = self.scalar
        if not isinstance(value, bool):
            self.fail(f"true or false is expected, not {self.raw!r}")
        return value

    def as_choice(self, *choices: str) -> str:
        """One of some words."""
        if self.raw not in choices:
            self.fail(f"{self.raw!r} is not one of {', '.join(choices)}")
        return self.raw

    def items(self) -> Iterator[Node]:
        """The items of a list; a single value is a list of one."""
        if isinstance(self._node, yaml.SequenceNode):
            for index, item in enumerate(self._node.value):
                yield Node(self.file, f"{self.path}[{index}]", item)
        elif isinstance(self._node, yaml.ScalarNode) and self._node.tag == "tag:yaml.org,2002:null":
            return
        else:
            yield self

    # -- mappings

    def _mapping(self) -> dict[str, yaml.Node]:
        if self._items is None:
            if isinstance(self._node, yaml.ScalarNode) and self._node.tag == "tag:yaml.org,2002:null":
                self._items = {}
            elif not isinstance(self._node, yaml.MappingNode):
                self.fail("keys and values are expected")
            else:
                self._items = {}
                for key, value in self._node.value:
                    if not isinstance(key, yaml.ScalarNode):
                        Node(self.file, self.path, key).fail("a key must be a word")
                    if key.value in self._items:
                        Node(self.file, self._below(key.value), key).fail("is given twice")
                    self._items[key.value] = value
        return self._items

    def _below(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path else key

    def keys(self) -> list[str]:
        """All keys, in order."""
        return list(self._mapping())

    def get(self, key: str) -> Node | None:
        """The value of a key, None when it is not there."""
        self._taken.add(key)
        found = self._mapping().get(key)
        return None if found is None else Node(self.file, self._below(key), found)

    def need(self, key: str) -> Node:
        """The value of a key that must be there."""
        node = self.get(key)
        if node is None:
            self.fail(f"{key!r} is missing")
        return node

    def children(self) -> Iterator[tuple[str, Node]]:
        """Keys and values of a mapping whose keys are names."""
        for key in self._mapping():
            yield key, self.need(key)

    def _value(self, key: str, default: T, read: Callable[[Node], T]) -> T:
        node = self.get(key)
        if node is None:
            if default is _MISSING:
                self.fail(f"{key!r} is missing")
            return default
        return read(node)

    def text(self, key: str, default: str = _MISSING) -> str:
        """A string; without default it must be there."""
        return self._value(key, default, Node.as_text)

    def number(self, key: str, default: int = _MISSING, least: int = 0, most: int = (1 << 64) - 1) -> int:
        """An integer within bounds."""
        return self._value(key, default, lambda node: node.as_number(least, most))

    def switch(self, key: str, default: bool = _MISSING) -> bool:
        """True or false."""
        return self._value(key, default, Node.as_switch)

    def choice(self, key: str, default: str, *choices: str) -> str:
        """One of some words."""
        return self._value(key, default, lambda node: node.as_choice(*choices))

    def list_of(self, key: str, read: Callable[[Node], T]) -> tuple[T, ...]:
        """A list; empty when it is not there."""
        node = self.get(key)
        return () if node is None else tuple(read(item) for item in node.items())

    def done(self) -> None:
        """Refuse keys that nobody asked for."""
        for key in self._mapping():
            if key not in self._taken:
                node = self.need(key)
                known = ", ".join(sorted(self._taken - {key}))
                raise ConfigError(
                    self.file, node.line, self._below(key), f"there is no such key (known: {known})"
                )


def read_document(path: Path) -> Node:
    """The root of a file; unreadable or malformed files raise ``ConfigError``."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ConfigError(str(path), 1, "", f"the file is larger than {MAX_BYTES >> 20} MiB")
        text = path.read_text()
    except OSError as error:
        raise ConfigError(str(path), 1, "", f"cannot read the file: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(str(path), 1, "", "the file is not UTF-8 text") from None
    return parse_document(text, str(path))


class _Bounded(Composer, CParser, SafeConstructor, Resolver):
    """The safe reader, with bounds on depth, aliases and what they stand for, so that a small file is a small document,
    and none contains itself. What reads letters is libyaml: Python's own takes seconds for ten thousand rules.
    """

    depth = aliases = values = stood_for = 0

    def __init__(self, stream: str) -> None:
        CParser.__init__(self, stream)
        Composer.__init__(self)
        SafeConstructor.__init__(self)
        Resolver.__init__(self)
        self.sizes: dict[str | None, int] = {}
        """Values of what an anchor names, aliases in it resolved."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self.depth += 1
        event: Any = self.peek_event()
        before = self.values
        if isinstance(event, yaml.AliasEvent):
            self.aliases += 1
            if event.anchor in self.anchors:  # without a size yet: it contains itself
                size = self.sizes.get(event.anchor, MAX_STOOD_FOR + 1)
                self.values += size
                self.stood_for += size
        else:
            self.values += 1
        if self.depth > MAX_DEPTH + 1 or self.aliases > MAX_ALIASES or self.stood_for > MAX_STOOD_FOR:
            what = (
                f"nested deeper than {MAX_DEPTH}, more than {MAX_ALIASES} aliases, or aliases of more than "
                f"{MAX_STOOD_FOR} values"
            )
            raise yaml.MarkedYAMLError(problem=what, problem_mark=event.start_mark)
        node = super().compose_node(parent, index)
        if event.anchor is not None:
            self.sizes.setdefault(event.anchor, self.values - before)
        self.depth -= 1
        return node


def parse_document(text: str, file: str) -> Node:
    """The root of a text; ``file`` is for messages."""
    try:
        root = _Bounded(text).get_single_node()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        what = getattr(error, "problem", None) or str(error).splitlines()[0]
        line = min(mark.line, text.rstrip().count("\n")) + 1 if mark else 1  # not behind the end
        raise ConfigError(file, line, "", f"not YAML: {what}") from None
    if root is None:
        raise ConfigError(file, 1, "", "the file is empty")
    return Node(file, "", root)
