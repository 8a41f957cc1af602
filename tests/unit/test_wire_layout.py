# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""The wire contract does not change in silence, and lays out the same for every compiler."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.tree import BUILD
from tests.support.wire import constants, ffi

RECORD = Path(__file__).with_name("steering_abi.txt")
STRUCTS = [f"struct {name}" for name in ffi.list_types()[1]]


def test_layout_is_recorded_for_the_abi_number() -> None:
    header = (BUILD / "native/include/steering_layout.h").read_text()
    found = re.search(r"STEERING_LAYOUT_HASH (0x[0-9a-f]{16})ull", header)
    assert found is not None
    line = f"{constants['STEERING_ABI']} {found[1]}"
    last = RECORD.read_text().splitlines()[-1]
    assert last == line, (
        f"the layout of the wire headers changed: raise STEERING_ABI if a release had this number, "
        f"then make the last line of {RECORD.name}: {line}"
    )


@pytest.mark.parametrize("name", STRUCTS)
def test_padding_is_explicit(name: str) -> None:
    kind: Any = ffi.typeof(name)
    end = 0
    for field, info in kind.fields:
        assert info.offset == end, f"{end - info.offset} bytes of hidden padding before {field}"
        end = info.offset + ffi.sizeof(info.type)
    assert ffi.sizeof(name) == end, f"{ffi.sizeof(name) - end} bytes of hidden padding at the end"


def test_rings_keep_their_cursors_apart() -> None:
    lines = [ffi.offsetof("struct steer_ring", cursor) // 64 for cursor in ("tail", "head")]
    assert len({0, *lines}) == 3
    assert ffi.sizeof("struct steer_ring") % 64 == 0


def test_drop_reasons_fit_their_bitmap_and_array() -> None:
    assert constants["STEER_DROP_MAX"] <= constants["STATS_DROPS"] == 64
