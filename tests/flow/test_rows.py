# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Entries as rows: any subset is updated and removed in one call, aborted, and found again after a re-attach."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from appliance.errors import FlowError
from appliance.flow import Dpu, Pipe
from appliance.flow.rows import add_rows, adopt_rows, remove_rows, update_rows
from appliance.flow.types import (
    CHANGEABLE,
    Actions,
    FwdChangeable,
    FwdDrop,
    FwdPort,
    HeaderFormat,
    Ip4,
    Match,
    Meta,
    PipeSpec,
)
from appliance.run import frames
from appliance.run.frames import Host
from tests.support.fastpath import Fastpath

NUMBER = 5000
A = Host("02:00:00:00:00:0a", "10.1.0.1")


def spec() -> PipeSpec:
    return PipeSpec(
        name="rows",
        is_root=True,
        nr_entries=2 * NUMBER,
        match=Match(outer=HeaderFormat(ip4=Ip4(dst_ip=CHANGEABLE))),
        actions=(Actions(meta=Meta(u32=(0, 0, 0, 0, 0, CHANGEABLE))),),
        fwd=FwdChangeable(),
        label="of a test",
    )


def keys(pipe: Pipe, first: int, number: int) -> NDArray[np.void]:
    rows = np.zeros(number, pipe.key_dtype)
    rows["outer.ipv4.dst_ip"] = np.arange(number, dtype=np.uint32) + 0x0A000000 + first
    return rows


def args(pipe: Pipe, values: NDArray[np.uint32]) -> NDArray[np.void]:
    rows = np.zeros(len(values), pipe.args_dtype())
    rows["meta.u32[5]"] = values
    return rows


def where(dpu: Dpu, number: int) -> tuple[str, int]:
    """Port and tag of what an address meets."""
    there = Host("02:00:00:00:00:0b", f"10.0.{number >> 8}.{number & 255}")
    trace = dpu.trace("p0", frames.udp(A, there, 1, 2, b"x"))
    return trace.outcomes[0].port, trace.hops[0].tag


def test_rows_are_added_updated_removed_and_found_again(fastpath: Callable[..., Fastpath]) -> None:
    running = fastpath({"p0": {"backend": "net_ring"}, "p1": {"backend": "net_ring"}})
    fwds = [FwdDrop(), FwdPort(1)]
    with Dpu.attach(running.directory, session="rows", durable=True) as dpu:
        port, peer = dpu.port_start("p0"), dpu.port_start("p1")
        port.pair(peer)
        pipe = port.pipe_create(spec())
        numbers = np.arange(NUMBER, dtype=np.uint32)
        with dpu.transaction():
            handles = add_rows(
                pipe, keys(pipe, 0, NUMBER), args=args(pipe, numbers), tags=(numbers + 7).astype(np.uint64),
                fwd=fwds, fwd_of_row=numbers % 2,
            )  # fmt: skip
        assert where(dpu, 1) == ("p1", 8)
        assert where(dpu, 2) == ("", 9)
        with dpu.transaction():
            remove_rows(pipe, handles[:1000])
            update_rows(
                pipe, handles[1000:2000], args=args(pipe, numbers[:1000]), fwd=fwds,
                fwd_of_row=np.ones(1000, np.uint32),
            )  # fmt: skip
            # The same keys anew: what changes a tag.
            again = add_rows(
                pipe, keys(pipe, 0, 10), args=args(pipe, numbers[:10]), tags=np.full(10, 99, np.uint64),
                fwd=[FwdPort(1)],
            )  # fmt: skip
        assert where(dpu, 2) == ("p1", 99)
        assert where(dpu, 500)[1] == 0
        assert where(dpu, 1002) == ("p1", 1009)

        def change() -> None:
            with dpu.transaction():
                remove_rows(pipe, again)
                add_rows(
                    pipe, keys(pipe, 3000, 1), args=args(pipe, numbers[:1]), fwd=fwds
                )  # the key is taken

        with pytest.raises(FlowError):
            change()
        assert where(dpu, 2) == ("p1", 99)
        # What a failed transaction removed is there as before, its handles too.
        update_rows(pipe, again, args=args(pipe, numbers[:10]), fwd=[FwdDrop()])
        assert where(dpu, 2) == ("", 99)
        update_rows(pipe, again, args=args(pipe, numbers[:10]), fwd=[FwdPort(1)])
        assert where(dpu, 2) == ("p1", 99)
    with Dpu.attach(running.directory, session="rows", durable=True) as dpu:
        assert dpu.resumed
        port, peer = dpu.port_start("p0"), dpu.port_start("p1")
        adopted = port.adopt()
        assert [(pipe.name, pipe.spec.label) for pipe in adopted] == [("rows", "of a test")]
        pipe = adopted[0]
        found = adopt_rows(pipe)
        assert len(found.handles) == NUMBER - 1000 + 10
        order = np.argsort(found.keys["outer.ipv4.dst_ip"])
        assert found.tags[order][:11].tolist() == [99] * 10 + [1007]
        assert found.args["meta.u32[5]"][order][10:13].tolist() == [0, 1, 2]
        assert set(found.fwds[order][10:1010].tolist()) == {b"port p1"}
        assert set(found.fwds[order][1010:].tolist()) == {b"port p1", b"drop"}
        remove_rows(pipe, found.handles)
        assert pipe.info().used == 0
        peer.stop()
        port.stop()
