# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Ringfield's own forwards: drops with a reason, rejects, answers."""

import time
from collections.abc import Iterator

import pytest

from appliance.errors import InvalidValue
from appliance.flow import Dpu, Port
from appliance.flow.types import (
    CHANGEABLE,
    COUNT,
    ActionDesc,
    Actions,
    DescField,
    Eth,
    FwdAnswer,
    FwdChangeable,
    FwdDrop,
    FwdPipe,
    FwdReject,
    HeaderFormat,
    Match,
    Meta,
    PipeSpec,
)
from tests.differential import frames as fr
from tests.differential import packet as pk

A, B = "02:00:00:00:00:0a", "02:00:00:00:00:0b"
BY_SOURCE = Match(outer=HeaderFormat(eth=Eth(src_mac=CHANGEABLE)))


@pytest.fixture(scope="module")
def dpu() -> Iterator[Dpu]:
    with Dpu.launch(ports=2) as opened:
        opened.receive()
        yield opened


@pytest.fixture
def port(dpu: Dpu) -> Iterator[Port]:
    with dpu.port_start("p0", 0) as p0:
        yield p0


def frame(source: str) -> bytes:
    return pk.ethernet_bytes(Eth(source, B), (), 0x9000) + bytes(46)


def arp(target: int) -> bytes:
    """A asks for 10.0.0.``target`` in the name of 10.0.0.1."""
    head = bytes.fromhex("0001080006040001")
    sender = bytes.fromhex(A.replace(":", "")) + bytes((10, 0, 0, 1))
    wanted = bytes(6) + bytes((10, 0, 0, target))
    return pk.ethernet_bytes(Eth(A, "ff:ff:ff:ff:ff:ff"), (), 0x0806) + head + sender + wanted + bytes(18)


def solicitation(target: bytes) -> bytes:
    """A, fe80::1, asks for an address."""
    source, group = bytes.fromhex("fe80" + "00" * 13 + "01"), bytes.fromhex("ff02" + "00" * 9 + "01ff")
    group += target[13:]
    option = bytes((1, 1)) + bytes.fromhex(A.replace(":", ""))
    body = bytes((135, 0, 0, 0, 0, 0, 0, 0)) + target + option
    pseudo = source + group + len(body).to_bytes(4, "big") + bytes((0, 0, 0, 58))
    sum_ = pk.checksum(pseudo + body)
    body = body[:2] + sum_.to_bytes(2, "big") + body[4:]
    head = bytes((0x60, 0, 0, 0, 0, len(body), 58, 255)) + source + group
    return pk.ethernet_bytes(Eth(A, "33:33:ff:00:00:09"), (), 0x86DD) + head + body


def drops(dpu: Dpu, reason: str, wanted: int) -> None:
    """Wait until so many packets of p0 were dropped for this reason."""
    end = time.monotonic() + 30
    while dpu.port_stats("p0").drops.get(reason, 0) < wanted:
        assert time.monotonic() < end, (reason, dpu.port_stats("p0").drops)
        time.sleep(0.001)
    assert dpu.port_stats("p0").drops.get(reason, 0) == wanted


def test_drops_count_under_their_reason(dpu: Dpu, port: Port) -> None:
    pipe = port.pipe_create(
        PipeSpec(
            name="root",
            is_root=True,
            match=BY_SOURCE,
            fwd=FwdChangeable(),
            fwd_miss=FwdDrop("unauthenticated"),
        )
    )
    pipe.add(match=Match(outer=HeaderFormat(eth=Eth(src_mac=A))), fwd=FwdDrop("no_route"), monitor=COUNT)
    dpu.inject("p0", [frame(A), frame(B), frame(B)])
    drops(dpu, "unauthenticated", 2)
    drops(dpu, "no_route", 1)
    trace = dpu.trace("p0", frame(A))
    assert (trace.hops[0].fwd_text, trace.outcomes[0].reason) == ("drop no_route", "no_route")
    assert dpu.trace("p0", frame(B)).outcomes[0].reason == "unauthenticated"
    assert pipe.info().fwd_miss_text == "drop unauthenticated"


def test_an_unknown_reason_is_refused(port: Port) -> None:
    with pytest.raises(InvalidValue, match="no drop reason 'fancy'"):
        port.pipe_create(PipeSpec(name="root", is_root=True, match=BY_SOURCE, fwd=FwdDrop("fancy")))


def test_arp_is_answered_from_a_table(dpu: Dpu, port: Port) -> None:
    port.pipe_create(
        PipeSpec(
            name="who",
            match=Match(meta=Meta(u32=(CHANGEABLE,))),
            match_mask=Match(meta=Meta(u32=(0xFFFFFFFF,))),
            actions=(Actions(outer=HeaderFormat(eth=Eth(src_mac=CHANGEABLE))),),
            fwd=FwdAnswer(),
            fwd_miss=FwdDrop("link_control"),
        )
    )
    root = port.pipe_create(
        PipeSpec(
            name="root",
            is_root=True,
            match=Match(outer=HeaderFormat(eth=Eth(type=0x0806))),
            actions=(Actions(),),
            action_descs=((ActionDesc.copy("outer.arp.tpa", DescField.meta_u32(0), 32),),),
            fwd=FwdPipe("who"),
        )
    )
    root.add(actions=Actions())
    port.pipe("who").add(
        match=Match(meta=Meta(u32=(0x0A000002,))), actions=Actions(outer=HeaderFormat(eth=Eth(src_mac=B)))
    )
    before = dpu.port_stats("p0").drops.get("link_control", 0)
    dpu.inject("p0", [arp(2), arp(3)])
    (answer,) = dpu.packets(timeout=30)
    assert (answer.port, answer.frame[:14]) == ("p0", pk.ethernet_bytes(Eth(B, A), (), 0x0806))
    assert answer.frame[20:32] == bytes((0, 2)) + bytes.fromhex(B.replace(":", "")) + bytes((10, 0, 0, 2))
    drops(dpu, "link_control", before + 1)
    trace = dpu.trace("p0", arp(2))
    assert (trace.hops[1].fwd_text, trace.outcomes[0].port) == ("answer", "p0")
    assert trace.outcomes[0].frame == answer.frame


def test_a_solicitation_is_answered_from_a_table(dpu: Dpu, port: Port) -> None:
    target = bytes.fromhex("20010db8" + "00" * 11 + "09")
    words = tuple(int.from_bytes(target[i : i + 4], "big") for i in (0, 4, 8, 12))
    port.pipe_create(
        PipeSpec(
            name="who",
            match=Match(meta=Meta(u32=(CHANGEABLE,) * 4)),
            match_mask=Match(meta=Meta(u32=(0xFFFFFFFF,) * 4)),
            actions=(Actions(outer=HeaderFormat(eth=Eth(src_mac=CHANGEABLE))),),
            fwd=FwdAnswer(),
            fwd_miss=FwdDrop("link_control"),
        )
    )
    copies = tuple(
        ActionDesc.copy(DescField("outer.nd.target", 96 - 32 * i), DescField.meta_u32(i), 32)
        for i in range(4)
    )
    root = port.pipe_create(
        PipeSpec(
            name="root",
            is_root=True,
            match=Match(outer=HeaderFormat(eth=Eth(type=0x86DD))),
            actions=(Actions(),),
            action_descs=(copies,),
            fwd=FwdPipe("who"),
        )
    )
    root.add(actions=Actions())
    port.pipe("who").add(
        match=Match(meta=Meta(u32=words)), actions=Actions(outer=HeaderFormat(eth=Eth(src_mac=B)))
    )
    dpu.inject("p0", solicitation(target))
    (answer,) = dpu.packets(timeout=30)
    parsed = pk.parse(answer.frame)
    assert (answer.port, answer.frame[:12]) == ("p0", pk.ethernet_bytes(Eth(B, A), (), 0)[:12])
    assert parsed.meta["outer_l4_checksum_ok"]
    assert (answer.frame[54], answer.frame[62:78]) == (136, target)


def test_a_rejected_packet_is_refused_to_its_sender(dpu: Dpu, port: Port) -> None:
    root = port.pipe_create(
        PipeSpec(name="root", is_root=True, match=BY_SOURCE, fwd=FwdReject(), fwd_miss=FwdReject("no_route"))
    )
    root.add(match=Match(outer=HeaderFormat(eth=Eth(src_mac=A))))
    segment = fr.with_checksum(
        fr.tcp(4000, 80, 0x02, 7, b""), 16, bytes([10, 0, 0, 1, 10, 0, 0, 2, 0, 6, 0, 20])
    )
    syn = pk.ethernet_bytes(Eth(A, B), (), 0x0800) + fr.ip4(0x0A000001, 0x0A000002, 6, segment)
    before = dpu.stats()
    dpu.inject("p0", syn)
    (answer,) = dpu.packets(timeout=30)
    parsed = pk.parse(answer.frame)
    assert (answer.port, answer.frame[:12]) == ("p0", pk.ethernet_bytes(Eth(B, A), (), 0)[:12])
    assert parsed.meta["outer_l4_checksum_ok"]
    assert parsed.meta["outer_ip4_checksum_ok"]
    assert answer.frame[47] == 0x14
    drops(dpu, "policy", 1)
    assert dpu.stats().generated == before.generated + 1
    trace = dpu.trace("p0", syn)
    assert (trace.hops[0].fwd_text, trace.outcomes[0].reason) == ("reject", "policy")
