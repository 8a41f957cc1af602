# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""A kernel firewall without its tools: an nftables ruleset over netlink, taps, all in another namespace."""

import ctypes
import fcntl
import os
import socket
import struct
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

from tests.support.netns import RUN

Result = TypeVar("Result")
_NEWNET = 0x40000000
_NETFILTER = 12  # netlink family
_NFTABLES = 10  # subsystem
_REQUEST, _ACK, _CREATE, _APPEND = 0x1, 0x4, 0x400, 0x800
_NESTED = 0x8000
_TUNSETIFF = 0x400454CA
_TAP, _NO_PI = 0x2, 0x1000
ESTABLISHED_OR_RELATED = 1 << 1 | 1 << 2
NEW = 1 << 3
INVALID = 1 << 0


def inside(name: str, work: Callable[[], Result]) -> Result:
    """Do something in a namespace, in a thread of its own; sockets and taps made there stay there."""
    results: list[Result] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            with (RUN / name).open() as namespace:
                if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), _NEWNET):
                    raise OSError(ctypes.get_errno(), f"setns {name}")
            results.append(work())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


def tap(name: str) -> int:
    """A tap interface; what is written to the descriptor comes in by it, what it sends can be read."""
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _TAP | _NO_PI))
    return descriptor


# -- netlink -----------------------------------------------------------------------------------------------------------


def _attribute(kind: int, data: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(data), kind) + data + bytes(-len(data) % 4)


def _nest(kind: int, *parts: bytes) -> bytes:
    return _attribute(kind | _NESTED, b"".join(parts))


def _number(kind: int, number: int) -> bytes:
    return _attribute(kind, struct.pack(">I", number))


def _text(kind: int, text: str) -> bytes:
    return _attribute(kind, text.encode() + b"\0")


def _message(kind: int, flags: int, family: int, body: bytes, sequence: int) -> bytes:
    payload = struct.pack(">BBH", family, 0, _NFTABLES if kind < 0x100 else 0) + body  # batch marks name it
    return struct.pack("=IHHII", 16 + len(payload), kind, flags, sequence, 0) + payload


def _expression(name: str, *parts: bytes) -> bytes:
    return _nest(1, _text(1, name), _nest(2, *parts))


def _compare(value: bytes, operation: int = 0) -> bytes:
    return _expression("cmp", _number(1, 1), _number(2, operation), _nest(3, _attribute(1, value)))


def in_state(states: int) -> list[bytes]:
    """The packet's connection is in one of these states."""
    mask, zero = struct.pack("=I", states), bytes(4)
    return [
        _expression("ct", _number(1, 1), _number(2, 0)),
        _expression(
            "bitwise", _number(1, 1), _number(2, 1), _number(3, 4),
            _nest(4, _attribute(1, mask)), _nest(5, _attribute(1, zero)),
        ),
        _compare(zero, 1),
    ]  # fmt: skip


def from_interface(name: str) -> list[bytes]:
    """It came in there."""
    return [_expression("meta", _number(1, 1), _number(2, 6)), _compare(name.encode().ljust(16, b"\0"))]


def of_protocol(protocol: int) -> list[bytes]:
    """Its transport protocol."""
    return [_expression("meta", _number(1, 1), _number(2, 16)), _compare(bytes([protocol]))]


def with_header(offset: int, value: bytes) -> list[bytes]:
    """These bytes of its transport header."""
    load = _expression("payload", _number(1, 1), _number(2, 2), _number(3, offset), _number(4, len(value)))
    return [load, _compare(value)]


def accept() -> list[bytes]:
    """And so it passes."""
    return [_expression("immediate", _number(1, 0), _nest(2, _nest(2, _number(1, 1))))]


def forward_policy(rules: Sequence[list[bytes]]) -> None:
    """In this namespace: a forward chain that drops what no rule accepts. OSError: the kernel cannot."""
    inet, requests = 1, []
    table = _text(1, "judge")
    hook = _nest(4, _number(1, 2), _number(2, 0))
    requests.append((0, _CREATE, table))
    requests.append((3, _CREATE, table + _text(3, "forward") + hook + _number(5, 0) + _text(7, "filter")))
    for rule in rules:
        expressions = _nest(4, *rule)
        requests.append((6, _CREATE | _APPEND, table + _text(2, "forward") + expressions))
    batch = _message(0x10, _REQUEST, 0, b"", 1)
    for sequence, (kind, flags, body) in enumerate(requests, 2):
        batch += _message(_NFTABLES << 8 | kind, _REQUEST | _ACK | flags, inet, body, sequence)
    batch += _message(0x11, _REQUEST, 0, b"", 100)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETFILTER) as netlink:
        netlink.settimeout(5)
        netlink.send(batch)
        left = len(requests)
        while left:
            answer = netlink.recv(65536)
            while answer:
                length, kind, _, sequence, _ = struct.unpack_from("=IHHII", answer)
                code = struct.unpack_from("=i", answer, 16)[0] if kind == 2 else 0
                if code:
                    raise OSError(-code, f"nftables: {os.strerror(-code)} in message {sequence}")
                left -= kind == 2
                answer = answer[length + (-length % 4) :]
