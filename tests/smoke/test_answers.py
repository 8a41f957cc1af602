# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""A host of the kernel's behind a port believes what the fast path says: ARP, ND, duplicate addresses, refusals."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import ip_address

import pytest

from appliance.flow import Dpu, PortConfig
from appliance.flow.types import (
    ActionDesc,
    Actions,
    DescField,
    FwdAnswer,
    FwdDrop,
    FwdPipe,
    FwdReject,
    Match,
    PipeSpec,
)
from tests.support.fastpath import wait_for
from tests.support.netns import Netns
from tests.support.nft import inside

pytestmark = pytest.mark.root

OTHER = "02:00:00:00:99:01"
OTHER4, OTHER6 = "10.9.0.2", "fd09::2"
WORDS = {f"meta.u32[{i}]": 0xFFFFFFFF for i in range(4)}


@contextmanager
def answering(host: Netns) -> Iterator[Dpu]:
    """A port in the namespace; OTHER has two addresses there, and everything said to it is rejected."""
    config = PortConfig(name="p0", backend="net_tap", netns=host.name, args="iface=eth0")
    with Dpu.launch(ports=[config]) as dpu:
        port = dpu.port_start("p0", 0)
        port.pipe_create(
            PipeSpec(
                name="who",
                match=Match.from_flat(WORDS),
                match_mask=Match.from_flat(WORDS),
                actions=(Actions.from_flat({"outer.eth.src_mac": (1 << 48) - 1}),),
                fwd=FwdAnswer(),
                fwd_miss=FwdDrop("link_control"),
            )
        )
        parts = [(DescField("outer.nd.target", 96 - 32 * i), DescField.meta_u32(i)) for i in range(4)]
        target = tuple(ActionDesc.copy(part, word, 32) for part, word in parts)
        asks = {"parser_meta.outer_l4_type": 0xFFFFFFFF, "outer.l4_type_ext": 3, "outer.icmp.type": 0xFF}
        nd = PipeSpec(
            name="nd", match=Match.from_flat(asks), actions=(Actions(),), action_descs=(target,),
            fwd=FwdPipe("who"), fwd_miss=FwdReject(),
        )  # fmt: skip
        port.pipe_create(nd).add(
            match=Match.from_flat(
                {"parser_meta.outer_l4_type": 3, "outer.l4_type_ext": 3, "outer.icmp.type": 135}
            ),
            actions=Actions(),
        )
        copy = ActionDesc.copy("outer.arp.tpa", DescField.meta_u32(0), 32)
        root = PipeSpec(
            name="root", is_root=True, match=Match.from_flat({"outer.eth.type": 0xFFFF}), actions=(Actions(),),
            action_descs=((copy,),), fwd=FwdPipe("who"), fwd_miss=FwdPipe("nd"),
        )  # fmt: skip
        port.pipe_create(root).add(match=Match.from_flat({"outer.eth.type": 0x0806}), actions=Actions())
        for address in (OTHER4, OTHER6):
            packed = ip_address(address).packed.ljust(16, b"\0")
            words = {f"meta.u32[{i}]": int.from_bytes(packed[4 * i : 4 * i + 4], "big") for i in range(4)}
            told = Actions.from_flat({"outer.eth.src_mac": int(OTHER.replace(":", ""), 16)})
            port.pipe("who").add(match=Match.from_flat(words), actions=told)
        host.address("eth0", "10.9.0.1/24", "fd09::1/64")
        yield dpu


def attempt(kind: int, address: str) -> int:
    """What connecting to port 80 of an address ends with: an errno, or 0."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, kind) as one:
        one.settimeout(10)
        try:
            one.connect((address, 80))
            one.send(b"hello")
            one.recv(1)
        except OSError as error:
            return error.errno or -1
    return 0


def test_a_host_is_answered_and_refused(netns: Callable[[str], Netns]) -> None:
    host = netns("host")
    with answering(host) as dpu:
        for address in (OTHER4, OTHER6):
            assert inside(host.name, lambda to=address: attempt(socket.SOCK_STREAM, to)) == errno.ECONNREFUSED  # type: ignore[misc]
            assert OTHER in host.ip("neigh", "show", address)
        assert inside(host.name, lambda: attempt(socket.SOCK_DGRAM, OTHER4)) == errno.EHOSTUNREACH
        assert inside(host.name, lambda: attempt(socket.SOCK_DGRAM, OTHER6)) == errno.EACCES
        # An address that somebody else has is not taken; one's own is.
        host.ip("address", "add", OTHER6 + "/64", "dev", "eth0")
        host.ip("address", "add", "fd09::3/64", "dev", "eth0")
        wait_for(
            "the duplicate to be found", lambda: "dadfailed" in host.ip("address", "show", "dev", "eth0")
        )
        wait_for("the other to be taken", lambda: "fd09::3/64 scope global" in host.ip("address", "show", "dev", "eth0")
                 and "tentative" not in host.ip("-o", "address", "show", "to", "fd09::3"))  # fmt: skip
        assert "dadfailed" in host.ip("-o", "address", "show", "to", OTHER6)
        assert dpu.stats().generated >= 4
