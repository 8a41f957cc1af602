# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Packed columns of a bulk message to the structured arrays of ``Pipe.add_rows``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from appliance.flow import Entries, Pipe, fields
from appliance.flow.fields import Field
from appliance.rpc import fieldtext
from appliance.rpc.convert import flow as convert
from appliance.rpc.convert.base import BadField, PortNames, at
from appliance.v1 import entry_pb2

MAX_ITEMS: Final = 1 << 20

Rows = npt.NDArray[np.void]
Items = npt.NDArray[np.int64]


def _bytes(column: entry_pb2.Column, row: Field, count: int, path: str) -> npt.NDArray[np.uint8]:
    """The values of one column, one row of bytes per item."""
    size = fieldtext.width(row)
    if len(column.values) != size * count:
        raise BadField(path, f"{row.name}: {len(column.values)} bytes for {count} items of {size}")
    return np.frombuffer(column.values, np.uint8).reshape(count, size)


def _fill(rows: Rows, name: str, values: npt.NDArray[np.uint8]) -> None:
    """Put values into a field of the rows: a number in network order, or as many bytes."""
    place: Any = rows[name]
    if place.ndim == 2:
        place[:] = values[:, -place.shape[1] :]
        return
    size = place.dtype.itemsize
    if size < values.shape[1]:
        values = values[:, -size:]
    place[:] = np.ascontiguousarray(values).view(f">u{size}").reshape(len(values))


def _place(row: Field, names: Sequence[str]) -> str | None:
    """The name of a field in the rows; ports are one field whatever the protocol."""
    transport = row.name.replace(".tcp.", ".transport.").replace(".udp.", ".transport.")
    return next((name for name in (row.name, transport) if name in names), None)


def _rows(
    columns: Sequence[entry_pb2.Column],
    dtype: np.dtype[np.void],
    table: str,
    message: entry_pb2.EntryColumns,
    path: str,
) -> Rows:
    names = dtype.names or ()
    rows: Rows = np.zeros(message.count, dtype)
    seen: set[str] = set()
    for index, column in enumerate(columns):
        here = f"{path}.{table}[{index}]"
        with at(here):
            row = fieldtext.resolve(column.name, fields.MATCH if table == "match" else fields.ACTIONS)
        name = _place(row, names)
        if name is None:
            raise BadField(here, f"{row.name} is not changeable in pipe {message.pipe!r}")
        if name in seen:
            raise BadField(here, f"{row.name} is given twice")
        seen.add(name)
        _fill(rows, name, _bytes(column, row, message.count, here))
    if missing := [name for name in names if name not in seen]:
        raise BadField(f"{path}.{table}", f"changeable fields are missing: {', '.join(missing)}")
    return rows


def add(
    pipe: Pipe,
    message: entry_pb2.EntryColumns,
    names: PortNames,
    first: int,
    only: Items | None = None,
    path: str = "add_columns",
) -> Entries:
    """Add the items of a batch, or some of them, tagged with their numbers; results are in the items' order."""
    count = message.count
    if not 0 < count <= MAX_ITEMS:
        raise BadField(f"{path}.count", f"is between 1 and {MAX_ITEMS}")
    with at(path):
        keys = _rows(message.match, pipe.key_dtype, "match", message, path)
    args: Rows | None = None
    dtype = pipe.args_dtype(message.action_index)
    if dtype.names or message.actions:
        args = _rows(message.actions, dtype, "actions", message, path)
    if message.tags and len(message.tags) != 8 * count:
        raise BadField(f"{path}.tags", f"{len(message.tags)} bytes for {count} items of 8")
    fwd_of_row: npt.NDArray[np.uint32] | None = None
    if message.fwd_table:
        if len(message.fwd_index) != count:
            raise BadField(f"{path}.fwd_index", f"{len(message.fwd_index)} bytes for {count} items")
        fwd_of_row = np.frombuffer(message.fwd_index, np.uint8).astype(np.uint32)
        if int(fwd_of_row.max()) >= len(message.fwd_table):
            raise BadField(f"{path}.fwd_index", f"{int(fwd_of_row.max())} is outside of fwd_table")
        forwards = [
            convert.fwd_from(fwd, names, f"{path}.fwd_table[{index}]")
            for index, fwd in enumerate(message.fwd_table)
        ]
        if None in forwards:
            raise BadField(f"{path}.fwd_table", "every forward needs a type")
    else:
        forwards = [convert.fwd_from(message.fwd, names, f"{path}.fwd")]
    items = np.arange(count) if only is None else only
    whole = only is None
    return pipe.add_rows(
        keys if whole else keys[items],
        args=args if whole or args is None else args[items],
        action_idx=message.action_index,
        tags=(items + first).astype(np.uint64),
        monitor=convert.monitor_from(message.monitor, f"{path}.monitor")
        if message.HasField("monitor")
        else None,
        fwd=[fwd for fwd in forwards if fwd is not None] or None,
        fwd_of_row=fwd_of_row if whole or fwd_of_row is None else fwd_of_row[items],
    )
