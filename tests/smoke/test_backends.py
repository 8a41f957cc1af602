# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Ports on DPDK's other devices: that they open, receive, send, and tell their link."""

from collections.abc import Callable
from pathlib import Path

import pytest
from scapy.all import IP, UDP, Ether, rdpcap, wrpcap

from appliance.flow import Dpu
from appliance.flow.results import Packet
from appliance.flow.types import CHANGEABLE, Actions, Eth, FwdPort, HeaderFormat, Match, PipeSpec
from tests.support.fastpath import Fastpath, refused, wait_for
from tests.support.netns import Netns
from tests.support.wire import ffi, wire

START = Callable[..., Fastpath]
NETNS = Callable[[str], Netns]


def port_state(running: Fastpath, name: str) -> int:
    with running.wire() as client:
        return next(int(info.state) for info in client.ports() if ffi.string(info.name).decode() == name)


def wait_for_state(running: Fastpath, state: int, name: str) -> None:
    wait_for("the link", lambda: port_state(running, name) == state)


def frames(number: int) -> list[bytes]:
    """Frames that differ, of all lengths that an Ethernet carries."""
    head = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / IP(dst="10.0.0.2") / UDP()
    fill = 1514 - len(head)
    return [
        bytes(head / (bytes([i % 251]) * (1 + i * (fill - 1) // max(1, number - 1)))) for i in range(number)
    ]


def forward(dpu: Dpu, **ways: str) -> None:
    """What comes in at a port leaves by another one, or by itself, with the name of the way in its source address."""
    names = list(dict.fromkeys([*ways, *ways.values()]))
    ports = {name: dpu.port_start(name, number) for number, name in enumerate(names)}
    if len(names) == 2:
        ports[names[0]].pair(ports[names[1]])
    for source, target in ways.items():
        pipe = ports[source].pipe_create(
            PipeSpec(
                name=f"from-{source}",
                is_root=True,
                match=Match(outer=HeaderFormat(eth=Eth(dst_mac=CHANGEABLE))),
                actions=(Actions(outer=HeaderFormat(eth=Eth(src_mac=CHANGEABLE))),),
                fwd=FwdPort(names.index(target)),
            )
        )
        pipe.add(
            match=Match(outer=HeaderFormat(eth=Eth(dst_mac="02:00:00:00:00:02"))),
            actions=Actions(outer=HeaderFormat(eth=Eth(src_mac=passed(source)))),
        )


def passed(port: str) -> str:
    """The source address of what came in at a port."""
    return "02:fa:00:00:00:" + port.encode()[-1:].hex()


def with_source(frame: bytes, mac: str) -> bytes:
    return frame[:6] + bytes.fromhex(mac.replace(":", "")) + frame[12:]


def send_paced(dpu: Dpu, running: Fastpath, port: str, given: list[bytes], took: Callable[[], int]) -> None:
    """A few at a time: devices of this kind have short queues, and what does not fit is a drop."""
    before = took()
    for start in range(0, len(given), 16):
        part = given[start : start + 16]
        dpu.inject(port, part)
        before += len(part)
        wait_for("the device to take them", lambda: took() >= before)  # noqa: B023
    assert running.counters()[port]["dropped"] == 0


def test_pcap_file_is_received_once(fastpath: START, tmp_path: Path) -> None:
    frame = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / IP(dst="10.0.0.2") / UDP() / bytes(64)
    wrpcap(str(tmp_path / "in.pcap"), [frame] * 63)
    args = f"rx_pcap={tmp_path / 'in.pcap'},tx_pcap={tmp_path / 'out.pcap'}"
    running = fastpath({"p0": {"backend": "net_pcap", "args": args}})
    wait_for("the file's packets", lambda: running.counters()["p0"]["received"] == 63)
    wait_for("their end", lambda: running.counters()["p0"]["drops.no_pipeline"] == 63)


def test_pcap_file_is_written(fastpath: START, tmp_path: Path) -> None:
    file = tmp_path / "out.pcap"
    ports = {"p0": {"backend": "net_ring"}, "p1": {"backend": "net_pcap", "args": f"tx_pcap={file}"}}
    running = fastpath(ports)
    given = frames(40)
    with Dpu.attach(running.directory) as dpu:
        forward(dpu, p0="p1")
        send_paced(dpu, running, "p0", given, lambda: running.counters()["p1"]["sent"])
    running.finish()  # the end writes the file to its end
    assert [bytes(one) for one in rdpcap(str(file))] == [with_source(one, passed("p0")) for one in given]


def test_null_device_takes_everything(fastpath: START) -> None:
    running = fastpath({"p0": {"backend": "net_ring"}, "p1": {"backend": "net_null", "args": "no-rx=1"}})
    given = frames(64)
    with Dpu.attach(running.directory) as dpu:
        forward(dpu, p0="p1")
        dpu.inject("p0", given)
        wait_for("the packets to go", lambda: running.counters()["p1"]["sent"] == len(given))
        assert dpu.stats().ports["p1"].sent.total_bytes == sum(map(len, given))


def test_null_device_receives_without_end(fastpath: START) -> None:
    running = fastpath({"p0": {"backend": "net_null", "args": "no-rx=1"}, "p1": {"backend": "net_null"}})
    wait_for("packets", lambda: running.counters()["p1"]["received"] > 1000)
    assert running.counters()["p0"]["received"] == 0
    running.stop()  # it never comes to rest: nothing to check at the end
    running.killed = True


def test_memif_between_two_fast_paths(fastpath: START, tmp_path: Path) -> None:
    socket = tmp_path / "memif.sock"

    def port(role: str) -> dict[str, object]:
        return {"backend": "net_memif", "args": f"role={role},id=0,socket={socket},socket-abstract=no"}

    server = fastpath({"p1": port("server")})
    assert port_state(server, "p1") == wire.STEER_PORT_DOWN
    client = fastpath({"p0": {"backend": "net_ring"}, "p1": port("client")})
    wait_for_state(server, wire.STEER_PORT_UP, "p1")
    wait_for_state(client, wire.STEER_PORT_UP, "p1")

    given, back = frames(200), list[Packet]()

    def all_back() -> bool:
        back.extend(dpu.packets(0.01))
        return len(back) >= len(given)

    with Dpu.attach(server.directory, session="echo", durable=True) as dpu:
        forward(dpu, p1="p1")
    with Dpu.attach(client.directory) as dpu:
        forward(dpu, p0="p1", p1="p0")
        dpu.receive(wire=True)
        send_paced(dpu, client, "p0", given, lambda: client.counters()["p1"]["received"])
        wait_for("all to be back", all_back)
    assert [one.frame for one in back] == [with_source(one, passed("p1")) for one in given]
    for running in (server, client):
        there = running.counters()["p1"]
        assert (there["received"], there["sent"], there["dropped"]) == (len(given), len(given), 0)

    client.finish()
    wait_for_state(server, wire.STEER_PORT_DOWN, "p1")


@pytest.mark.root
def test_af_packet_on_a_veth(netns: NETNS, fastpath: START) -> None:
    web = netns("web")
    web.ip("link", "add", "veth0", "type", "veth", "peer", "name", "veth1")
    for link in ("veth0", "veth1"):
        web.ip("link", "set", link, "up")
    web.ip("address", "add", "10.0.0.1/24", "dev", "veth0")
    running = fastpath({"p0": {"backend": "net_af_packet", "args": "iface=veth1"}}, netns=web)
    web.run("ping", "-c", "1", "-W", "1", "10.0.0.9")
    wait_for("the ARP request", lambda: running.counters()["p0"]["received"] > 0)
    assert "PROMISC" in web.ip("link", "show", "veth1")
    running.stop()
    assert "PROMISC" not in web.ip("link", "show", "veth1")


@pytest.mark.root
def test_af_packet_carries_packets_both_ways(netns: NETNS, fastpath: START) -> None:
    hosts = {"veth-a": netns("a"), "veth-b": netns("b")}
    middle = netns("dpu")
    for number, (link, host) in enumerate(hosts.items(), 1):
        middle.ip("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", host.name)
        middle.ip("link", "set", link, "up")
        host.ip("link", "set", "eth0", "address", f"02:00:00:00:0a:0{number}")
        host.address("eth0", f"10.0.0.{number}/24")
        host.ip(
            "neigh", "add", f"10.0.0.{3 - number}", "lladdr", f"02:00:00:00:0a:0{3 - number}", "dev", "eth0"
        )
    ports = {f"p{i}": {"backend": "net_af_packet", "args": f"iface={link}"} for i, link in enumerate(hosts)}
    running = fastpath(ports, netns=middle)
    with Dpu.attach(running.directory) as dpu:
        start = [dpu.port_start(name, number) for number, name in enumerate(ports)]
        start[0].pair(start[1])
        for number, port in enumerate(start):
            pipe = port.pipe_create(
                PipeSpec(
                    name="ipv4",
                    is_root=True,
                    match=Match(outer=HeaderFormat(eth=Eth(type=CHANGEABLE))),
                    fwd=FwdPort(1 - number),
                )
            )
            pipe.add(match=Match(outer=HeaderFormat(eth=Eth(type=0x0800))))
        a = hosts["veth-a"]
        assert a.run("ping", "-c", "1", "-W", "5", "10.0.0.2").returncode == 0
        before = running.counters()
        done = a.run("ping", "-c", "20", "-i", "0.01", "-W", "5", "-s", "1400", "10.0.0.2")
        assert ", 0% packet loss" in done.stdout, done.stdout
        after = running.counters()
        assert {name: after[name]["sent"] - before[name]["sent"] for name in ports} == {"p0": 20, "p1": 20}


@pytest.mark.parametrize(
    ("port", "words"),
    [
        ("args = 0000:7f:1f.7", ("p0", "0000:7f:1f.7")),
        ("args = not-an-address", ("p0", "not-an-address")),
        ("", ("p0", "address")),
    ],
)
def test_a_pci_device_that_is_not_there_is_told(tmp_path: Path, port: str, words: tuple[str, ...]) -> None:
    sentence = refused(tmp_path, f"[port p0]\nbackend = pci\n{port}\n")
    for word in words:
        assert word in sentence
    assert not (tmp_path / "steering.sock").exists()
