# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""DHCP on a real appliance: answered from the inventory or relayed; scapy speaks the client's and the server's part."""

from __future__ import annotations

import random
from collections.abc import Iterator
from ipaddress import IPv4Address

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Dot1Q, Ether

from appliance.cli.main import main
from appliance.policy import model
from appliance.run import dhcp_wire as wire
from appliance.run.dhcp import Dhcp
from appliance.run.document import ConfigError
from appliance.run.frames import Host
from tests.support.dhcp import GATEWAY, NOWHERE, client, options
from tests.support.fastpath import wait_for
from tests.support.heard import ask, drops
from tests.support.rig import Running, config, directory
from tests.support.segmentation import CONFIG, OPS, POLICY, WEB, quarantine, release, running

ANSWER = CONFIG.replace(
    "gateways: [10.0.0.254]}",
    "gateways: [10.0.0.254], dhcp: {mode: answer, dns: [10.0.0.53, 10.0.0.54], ntp: [10.0.0.53], domain: lab.example,"
    " lease_seconds: 600}}",
)


@pytest.fixture(scope="module")
def answering() -> Iterator[Running]:
    with running(settings=ANSWER) as rig:
        yield rig


def test_a_client_gets_what_the_inventory_says(answering: Running) -> None:
    offer = ask(answering, client("discover"))
    assert (offer[Ether].src, offer[Ether].dst) == ("02:52:46:00:00:01", WEB.mac)
    assert (offer[IP].src, offer[IP].dst, offer[UDP].sport, offer[UDP].dport) == (
        GATEWAY,
        WEB.address,
        67,
        68,
    )
    assert (offer[BOOTP].op, offer[BOOTP].yiaddr, offer[BOOTP].xid) == (2, WEB.address, 7)
    again = Ether(bytes(offer))
    del again[IP].chksum, again[UDP].chksum, again[UDP].len, again[IP].len
    assert bytes(Ether(bytes(again))) == bytes(offer), "lengths and checksums are right"
    told = options(offer)
    assert told.pop("message-type") == 2
    assert told == {
        "server_id": GATEWAY, "lease_time": 600, "renewal_time": 300, "rebinding_time": 525,
        "subnet_mask": "255.255.255.0", "router": GATEWAY, "name_server": ("10.0.0.53", "10.0.0.54"),
        "NTP_server": "10.0.0.53", "domain": b"lab.example", "hostname": b"web",
    }  # fmt: skip
    ack = ask(answering, client("request", ("requested_addr", WEB.address), ("server_id", GATEWAY), xid=8))
    assert (options(ack)["message-type"], ack[BOOTP].yiaddr, ack[BOOTP].xid) == (5, WEB.address, 8)


def test_another_address_is_refused_to_a_client(answering: Running) -> None:
    nak = ask(answering, client("request", ("requested_addr", OPS.address)))
    assert (options(nak)["message-type"], nak[BOOTP].yiaddr) == (6, NOWHERE)
    assert (nak[IP].dst, nak[Ether].dst) == ("255.255.255.255", WEB.mac)


def test_a_lease_is_renewed_whoever_is_contained(answering: Running) -> None:
    quarantine(answering, "web")
    renewal = client(
        "request", source=WEB.address, target=GATEWAY, to="02:52:46:00:00:01", ciaddr=WEB.address, xid=9
    )
    ack = ask(answering, renewal)
    assert (options(ack)["message-type"], ack[IP].dst, ack[BOOTP].ciaddr) == (5, WEB.address, WEB.address)
    release(answering, "web")


def test_requests_are_consumed_and_what_nobody_may_say_is_dropped(answering: Running) -> None:
    """None of it is spoofing but the wrong MAC; nothing of it gets an answer."""
    before = drops(answering)
    other = client("discover", mac=OPS.mac)
    answering.inject("p1", other)  # another's MAC
    answering.inject("p1", client("discover")[:-80])  # cut short
    answering.inject("p1", client("request", ("server_id", "10.0.0.9"), ("requested_addr", WEB.address)))
    forged = bytearray(client("discover"))
    forged[70:76] = bytes.fromhex(OPS.mac.replace(":", ""))  # for somebody else
    answering.inject("p1", bytes(Ether(bytes(forged[:34])) / UDP(sport=68, dport=67) / bytes(forged[42:])))
    reply = bytearray(client("offer", mac=WEB.mac, source=WEB.address, op=2))
    rogue = Ether(bytes(reply))
    rogue[UDP].sport, rogue[UDP].dport = 67, 68
    del rogue[UDP].chksum
    answering.inject("p1", bytes(rogue))
    wait_for("the drops", lambda: drops(answering).get("rogue_control", 0) > before.get("rogue_control", 0))
    assert drops(answering)["unauthenticated"] == before.get("unauthenticated", 0) + 1
    offer = ask(answering, client("discover", xid=99))  # what comes next is the answer to this
    assert offer[BOOTP].xid == 99


def test_the_appliances_own_rule_is_named(answering: Running) -> None:
    target = ["-t", str(answering.appliance.config.grpc.unix)]
    done = CliRunner().invoke(main, [*target, "can", "web", GATEWAY, "udp/67"], env={"COLUMNS": "200"})
    assert done.exit_code == 0, done.output
    assert "appliance-dhcp" in done.output
    done = CliRunner().invoke(main, [*target, "can", "web", GATEWAY, "udp/68"])
    assert done.exit_code == 1, done.output


def test_a_link_local_source_is_answered_too(answering: Running) -> None:
    offer = ask(answering, client("discover", source="169.254.7.8", xid=5))
    assert offer[BOOTP].yiaddr == WEB.address


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("dhcp: maybe", "off, answer or relay SERVER"),
        ("dhcp: relay nowhere", "nowhere"),
        ("dhcp: {mode: answer, dns: [fd00::1]}", "fd00::1"),
        ("dhcp: {mode: answer, lease_seconds: 3}", "between 60"),
        ("dhcp: {dns: [10.0.0.1]}", "mode"),
    ],
)
def test_bad_settings_are_refused(text: str, words: str) -> None:
    bad = CONFIG.replace("gateways: [10.0.0.254]}", f"gateways: [10.0.0.254], {text}}}")
    with directory() as where:
        (where / "policy.yaml").write_text(POLICY)
        with pytest.raises(ConfigError, match=words):
            config(bad, where)
        with pytest.raises(ConfigError, match="gateways"):
            config(CONFIG.replace("gateways: [10.0.0.254]}", "dhcp: answer}"), where)


@given(data=st.binary(max_size=600), at=st.integers(0, 330))
def test_no_bytes_confuse_the_reader(data: bytes, at: int) -> None:
    good = client("discover")
    for frame in (data, good[:at] + data, good[: at + 40]):
        datagram = wire.parse_datagram(frame)
        if datagram is not None:
            wire.parse_message(datagram.data)


def test_a_message_is_what_scapy_says_it_is() -> None:
    made = wire.Message(
        op=2, xid=random.Random(1).getrandbits(32), mac=WEB.mac, flags=0x8000, hops=3, secs=4,
        options={wire.TYPE: b"\5", wire.DOMAIN: b"x", wire.HOSTNAME: b""},
    )  # fmt: skip
    data = wire.build_message(made)
    found = BOOTP(data)
    assert (found.op, found.xid, found.hops, found.secs, int(found.flags)) == (2, made.xid, 3, 4, 0x8000)
    assert found[DHCP].options[:3] == [("message-type", 5), ("domain", b"x"), "end"]
    back = wire.parse_message(data)
    assert back is not None
    assert back == wire.Message(**{
        name: getattr(made, name) for name in made.__slots__ if name != "options"
    }, options={wire.TYPE: b"\5", wire.DOMAIN: b"x"})  # fmt: skip
    tagged = wire.parse_datagram(
        bytes(Ether() / Dot1Q(vlan=7) / IP(src="10.0.0.1", dst="10.0.0.2") / UDP() / b"x")
    )
    assert tagged is not None
    assert (tagged.vlan, tagged.data, tagged.source.address) == (7, b"x", "10.0.0.1")
    assert wire.parse_datagram(wire.build_datagram(tagged)) == tagged


def test_who_asks_for_ever_loses_nobody_elses_answer() -> None:
    now = 1000.0
    network = model.Network(
        name="net", prefixes=("10.0.0.0/24",), gateways=("10.0.0.254",), dhcp=model.Dhcp(server="10.0.0.53")
    )
    macs = [f"02:00:00:00:00:{number:02x}" for number in range(6)]
    last = [53, 10, 11, 12, 13, 14]
    workloads = tuple(
        model.Workload(
            name=f"w{at}",
            interfaces=(
                model.Interface(network="net", port=f"p{at}", mac=mac, addresses=(f"10.0.0.{last[at]}",)),
            ),
        )
        for at, mac in enumerate(macs)
    )
    inventory = model.Inventory(networks=(network,), workloads=workloads)
    dhcp = Dhcp(lambda: inventory, lambda: now)

    def says(at: int, xid: int) -> list[tuple[str, bytes]]:
        message = wire.Message(op=1, xid=xid, mac=macs[at], options={wire.TYPE: bytes([wire.DISCOVER])})
        source, target = Host(macs[at], "0.0.0.0"), Host("ff:ff:ff:ff:ff:ff", wire.EVERYBODY)  # noqa: S104
        asked = wire.Datagram(source, target, 0, 68, 67, wire.build_message(message))
        return list(dhcp.taken(f"p{at}", wire.build_datagram(asked)))

    assert [port for port, _ in says(1, 7)] == ["p0"]
    relayed = sum(len(says(at, xid)) for xid in range(40) for at in range(2, 6))
    for xid in range(1000, 2100):
        now += 0.05
        relayed += sum(len(says(at, xid)) for at in range(2, 6))
    assert relayed > 4096
    offer = wire.Message(
        op=2, xid=7, mac=macs[1], given=IPv4Address("10.0.0.10"), options={wire.TYPE: bytes([wire.OFFER])}
    )
    source, target = Host(macs[0], "10.0.0.53"), Host(network.gateway_mac, "10.0.0.254")
    answer = wire.Datagram(source, target, 0, 67, 67, wire.build_message(offer))
    assert [port for port, _ in dhcp.taken("p0", wire.build_datagram(answer))] == ["p1"]
