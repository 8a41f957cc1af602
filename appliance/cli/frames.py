# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Frames given on the command line: hexadecimal, a pcap file, or a scapy expression; and pcap files written."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import IO, Any, Final

import click

LINKTYPE_ETHERNET: Final = 1
_MAGIC_US: Final = 0xA1B2C3D4
_MAGIC_NS: Final = 0xA1B23C4D


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


_PROTOCOLS: Final = {1: "ICMP", 6: "TCP", 17: "UDP", 47: "GRE", 50: "ESP", 58: "ICMPv6", 132: "SCTP"}
_FLAGS: Final = "FSRPAUEC"


def summary(frame: bytes) -> str:
    """A frame in a line: ``10.0.0.1:40000 > 10.0.0.2:80 TCP S``."""
    try:
        return _ethernet(frame)
    except (IndexError, struct.error, ValueError):
        return f"{len(frame)} bytes, cut short: {frame[:34].hex()}"


def _ethernet(frame: bytes) -> str:
    ethertype = struct.unpack_from("!H", frame, 12)[0]
    at, tags = 14, ""
    while ethertype in (0x8100, 0x88A8):
        tci, ethertype = struct.unpack_from("!HH", frame, at)
        tags += f"VLAN {tci & 0xFFF} "
        at += 4
    if ethertype == 0x0800:
        return tags + _ip(frame, at, 4)
    if ethertype == 0x86DD:
        return tags + _ip(frame, at, 6)
    if ethertype == 0x0806:
        sender, target = ip_address(frame[at + 14 : at + 18]), ip_address(frame[at + 24 : at + 28])
        return f"{tags}ARP {'who has' if frame[at + 7] == 1 else 'is at'} {target} {sender}"
    return f"{tags}{frame[6:12].hex(':')} > {frame[:6].hex(':')} type {ethertype:#06x}, {len(frame)} bytes"


def _ip(frame: bytes, at: int, version: int) -> str:
    if version == 4:
        protocol, size = frame[at + 9], (frame[at] & 15) * 4
        source, target = ip_address(frame[at + 12 : at + 16]), ip_address(frame[at + 16 : at + 20])
        if struct.unpack_from("!H", frame, at + 6)[0] & 0x1FFF:
            return f"{source} > {target} {_PROTOCOLS.get(protocol, protocol)} later fragment"
    else:
        protocol, size = frame[at + 6], 40
        source, target = ip_address(frame[at + 8 : at + 24]), ip_address(frame[at + 24 : at + 40])
    name = _PROTOCOLS.get(protocol, f"protocol {protocol}")
    at += size
    if protocol not in (6, 17, 132):
        return f"{source} > {target} {name}"
    from_port, to_port = struct.unpack_from("!HH", frame, at)
    shown = f"{source}:{from_port} > {target}:{to_port} {name}"
    if protocol == 6:
        flags = frame[at + 13]
        return f"{shown} {''.join(letter for bit, letter in enumerate(_FLAGS) if flags >> bit & 1) or '-'}"
    if protocol == 17 and to_port == 4789 and len(frame) >= at + 30:
        vni = int.from_bytes(frame[at + 12 : at + 15], "big")
        return f"{source} > {target} VXLAN {vni} [{_ethernet(frame[at + 16 :])}]"
    return shown


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
