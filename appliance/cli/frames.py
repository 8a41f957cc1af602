# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Frames given on the command line: hexadecimal, a pcap file, or a scapy expression; and pcap files written."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final

import click

LINKTYPE_ETHERNET: Final = 1
_MAGIC_US: Final = 0xA1B2C3D4
_MAGIC_NS: Final = 0xA1B23C4D
MAX_FRAMES: Final = 1_000_000


def read_frames(what: str) -> list[bytes]:
    """Frames of a hex string, a pcap file or a scapy expression, in this order of guessing."""
    plain = re.sub(r"[\s:]", "", what)
    if re.fullmatch(r"(0x)?([0-9a-fA-F]{2})+", plain):
        return [bytes.fromhex(plain.removeprefix("0x"))]
    path = Path(what)
    try:
        is_file = path.is_file()
    except OSError:
        is_file = False
    if is_file:
        return list(read_pcap(path))
    if "(" in what:
        return _from_scapy(what)
    raise click.BadParameter(
        f"{what!r} is no hexadecimal frame, no pcap file and no scapy expression"
        " like Ether()/IP(dst='10.0.0.1')/TCP(dport=80)"
    )


def _scapy() -> Any:
    try:
        import scapy.all
    except ImportError:
        raise click.ClickException(
            "scapy is not installed: pip install scapy, or give the frame as hex"
        ) from None
    return scapy.all


def _from_scapy(expression: str) -> list[bytes]:
    """The packets of an expression of the caller's own, who could as well have run it in Python."""
    scapy = _scapy()
    names = {name: value for name, value in vars(scapy).items() if not name.startswith("_")}
    try:
        made = eval(expression, {"__builtins__": {}}, names)  # noqa: S307
        packets = made if isinstance(made, list) else list(made)
        return [bytes(packet) for packet in packets]
    except Exception as error:
        raise click.BadParameter(f"{expression!r} is no scapy packet: {error}") from None


def summary(frame: bytes) -> str:
    """A frame in a line: by scapy when it is there, else its first bytes."""
    try:
        from scapy.layers.l2 import Ether

        return str(Ether(frame).summary())
    except Exception:
        return f"{len(frame)} bytes: {frame[:34].hex()}{'...' if len(frame) > 34 else ''}"


def read_pcap(path: Path) -> Iterator[bytes]:
    """Frames of a pcap file (not pcapng), whole ones only."""
    data = path.read_bytes()
    if len(data) < 24:
        raise click.BadParameter(f"{path} is no pcap file")
    for order in "<>":
        if struct.unpack(order + "I", data[:4])[0] in (_MAGIC_US, _MAGIC_NS):
            break
    else:
        raise click.BadParameter(f"{path} is no pcap file (pcapng: editcap -F pcap converts it)")
    if struct.unpack(order + "I", data[20:24])[0] & 0xFFFF != LINKTYPE_ETHERNET:
        raise click.BadParameter(f"{path} holds no Ethernet frames")
    at = 24
    while at + 16 <= len(data):
        _, _, length, _ = struct.unpack(order + "IIII", data[at : at + 16])
        at += 16
        if at + length > len(data):
            raise click.BadParameter(f"{path} ends in the middle of a packet")
        yield data[at : at + length]
        at += length


class PcapWriter:
    """Writes a pcap file with nanosecond times."""

    def __init__(self, file: IO[bytes], snap: int = 65535) -> None:
        self._file = file
        file.write(struct.pack("<IHHiIII", _MAGIC_NS, 2, 4, 0, 0, snap or 65535, LINKTYPE_ETHERNET))

    def write(self, frame: bytes, timestamp_ns: int) -> None:
        """One frame."""
        seconds, nanoseconds = divmod(timestamp_ns, 1_000_000_000)
        self._file.write(struct.pack("<IIII", seconds, nanoseconds, len(frame), len(frame)) + frame)
        self._file.flush()
