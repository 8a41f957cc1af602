# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""The hash of hash pipes, as the contract defines it."""

from __future__ import annotations

from collections.abc import Mapping

from appliance.flow import fields

_POLYNOMIAL = 0x82F63B78  # CRC32C (Castagnoli), reflected


def crc32c(data: bytes, start: int = 0xFFFFFFFF) -> int:
    """CRC32C bit by bit, without the final inversion."""
    crc = start
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (_POLYNOMIAL if crc & 1 else 0)
    return crc


def pipe_hash(values: Mapping[str, int]) -> int:
    """The hash over the masked fields of a hash pipe, in the order of the field list."""
    packed = b"".join(
        values[row.name].to_bytes((row.bits + 7) // 8, "big")
        for row in fields.MATCH_FIELDS
        if row.name in values
    )
    return crc32c(packed)
