# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Traffic to replay: pairs of pcap files of 60-byte UDP frames, initiators in one, replies in the other.

The connections are those of ``native/bench/traffic.c``. Initiators 10.0.0.0/16, responders 10.128.0.0/20,
responder ports 443, 8080, 5432, 6379. The same bytes on every run.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

FRAME = 60
SERVICES = (443, 8080, 5432, 6379)
INITIATOR, RESPONDER = bytes.fromhex("020000000001"), bytes.fromhex("020000000002")
CLIENTS, SERVERS = 64, 16
"""Workloads on either side when each has a MAC: a /22 of the initiators, a /24 of the responders."""
_ETHER, _IP, _UDP = 14, 20, 8


def _columns(flows: int) -> tuple[NDArray[np.int64], ...]:
    i = np.arange(flows, dtype=np.int64)
    src = 0x0A000000 | (i % 64000 + 1)
    sport = 1024 + (i // 64000 * 31 + i * 7919) % 60000
    dst = 0x0A800000 | (i * 2654435761 % 4096 + 1)
    return src, dst, sport, np.array(SERVICES, np.int64)[i % 4]


def _put(frames: NDArray[np.uint8], at: int, values: NDArray[np.int64], size: int) -> None:
    for byte in range(size):
        frames[:, at + byte] = values >> 8 * (size - 1 - byte) & 0xFF


def mac(server: bool, index: int) -> bytes:
    """Of a workload of either side."""
    return bytes((2, 0, 0, 0, 1 + server, index))


def frames(flows: int, reverse: bool, workloads: bool = False) -> NDArray[np.uint8]:
    """One frame of each connection, a row each. ``workloads``: with a MAC for each workload, else one for each side."""
    src, dst, sport, dport = _columns(flows)
    ends = np.zeros((2, flows), np.int64)
    ends[0], ends[1] = (src & 0xFFFF) >> 10, np.minimum((dst & 0x1FFF) >> 8, SERVERS - 1)
    macs = RESPONDER + INITIATOR
    if reverse:
        src, dst, sport, dport, macs = dst, src, dport, sport, INITIATOR + RESPONDER
    length = FRAME - _ETHER
    head = macs + b"\x08\x00\x45\x00" + length.to_bytes(2, "big") + bytes(4) + b"\x40\x11" + bytes(10)
    head += bytes(4) + (length - _IP).to_bytes(2, "big")
    made = np.zeros((flows, FRAME), np.uint8)
    made[:, : len(head)] = np.frombuffer(head, np.uint8)
    if workloads:
        made[:, :12] = np.frombuffer(mac(not reverse, 0) + mac(reverse, 0), np.uint8)
        made[:, 5], made[:, 11] = (ends[0], ends[1]) if reverse else (ends[1], ends[0])
    _put(made, _ETHER + 12, src, 4)
    _put(made, _ETHER + 16, dst, 4)
    _put(made, _ETHER + _IP, sport, 2)
    _put(made, _ETHER + _IP + 2, dport, 2)
    words = made[:, _ETHER : _ETHER + _IP].reshape(flows, -1, 2).astype(np.int64)
    total = (words[:, :, 0] << 8 | words[:, :, 1]).sum(axis=1)
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    _put(made, _ETHER + 10, ~total & 0xFFFF, 2)
    return made


def write(path: Path, flows: int, packets: int, reverse: bool, workloads: bool = False) -> None:
    """A pcap file of so many frames, every connection equally often, in an order of its own."""
    write_frames(path, frames(flows, reverse, workloads), packets, 8 if reverse else 7)


def write_frames(path: Path, rows: NDArray[np.uint8], packets: int, seed: int = 7) -> None:
    """The same of given frames, a row each."""
    flows = len(rows)
    order = np.tile(np.arange(flows), max(1, packets // flows))[:packets]
    np.random.default_rng(seed).shuffle(order)
    record = np.zeros(
        len(order), np.dtype([("time", "<u4", 2), ("length", "<u4", 2), ("frame", "u1", FRAME)])
    )
    record["length"] = FRAME
    record["frame"] = rows[order]
    header = np.array([0xA1B2C3D4, 2 | 4 << 16, 0, 0, 65535, 1], "<u4")
    path.write_bytes(header.tobytes() + record.tobytes())


def write_pair(directory: Path, flows: int, workloads: bool = False) -> tuple[Path, Path]:
    """Both directions of so many connections."""
    packets = max(16384, 2 * flows)
    name = f"udp_{flows}{'_workloads' if workloads else ''}"
    pair = directory / f"{name}.fwd.pcap", directory / f"{name}.rev.pcap"
    for path, reverse in zip(pair, (False, True), strict=True):
        if not path.exists():
            write(path, flows, packets, reverse, workloads)
    return pair
