# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""The values of appliance.flow.types: normalisation, inferred selectors, the flat view, error codes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.errors import Code, FlowError, Full, InvalidValue, error_from_code
from appliance.flow import fields
from appliance.flow.types import (
    CHANGEABLE,
    Actions,
    Decap,
    Encap,
    Eth,
    HeaderFormat,
    Icmp,
    Ip4,
    Ip6,
    L3Type,
    L4TypeExt,
    Match,
    Meta,
    PushVlan,
    ResourceType,
    Tcp,
    Tun,
    TunType,
    Udp,
    prefix_mask,
)


def test_values_are_written_as_people_do() -> None:
    match = Match(
        outer=HeaderFormat(
            eth=Eth(src_mac="aa:bb:cc:dd:ee:ff"),
            ip4=Ip4(src_ip="1.2.3.4", dst_ip=CHANGEABLE, ttl=-1),
            tcp=Tcp(dst_port=80),
        )
    )
    assert match.flat() == {
        "outer.eth.src_mac": 0xAABBCCDDEEFF,
        "outer.l3_type": L3Type.IP4,
        "outer.ipv4.src_ip": 0x01020304,
        "outer.ipv4.dst_ip": 0xFFFFFFFF,
        "outer.ipv4.ttl": 0xFF,
        "outer.l4_type_ext": L4TypeExt.TCP,
        "outer.tcp.dst_port": 80,
    }


def test_selectors_follow_from_headers() -> None:
    assert HeaderFormat(ip6=Ip6(dst_ip="::1"), icmp=Icmp(type=128)).l4_type_ext is L4TypeExt.ICMP6
    assert HeaderFormat(eth_vlan=(0, 7)).l2_valid_headers == 2
    assert Tun.vxlan(100).vxlan_tun_id == 100
    assert Tun.vxlan(CHANGEABLE).vxlan_tun_id == 0xFFFFFFFF
    assert Tun(esp_spi=5).type is TunType.ESP
    assert Actions(encap=Encap()).encap_type is ResourceType.NON_SHARED
    assert Actions(shared_decap_id=3).decap_type is ResourceType.SHARED


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Ip4(ttl=256),
        lambda: Ip4(src_ip="1.2.3"),
        lambda: Eth(src_mac="aa:bb"),
        lambda: Meta(u32=(0,) * 11),
        lambda: HeaderFormat(ip4=Ip4(ttl=1), ip6=Ip6(hop_limit=1)),
        lambda: HeaderFormat(tcp=Tcp(src_port=1), udp=Udp(src_port=1)),
        lambda: Tun(vxlan_tun_id=1, gre_key=1),
        lambda: Actions(encap=Encap(), shared_encap_id=1),
        lambda: Match.from_flat({"outer.ipv4.nonsense": 1}),
        lambda: prefix_mask(33),
    ],
)
def test_nonsense_is_refused(wrong: object) -> None:
    assert callable(wrong)
    with pytest.raises(ValueError, match=r"."):
        wrong()


def test_an_actions_struct_survives_the_flat_view() -> None:
    actions = Actions(
        decap=Decap(is_l2=False, eth=Eth(dst_mac=5), eth_vlan=(1,)),
        pop_vlan=True,
        meta=Meta(pkt_meta=1, u32=(0, 9)),
        outer=HeaderFormat(ip4=Ip4(ttl=1)),
        encap=Encap(HeaderFormat(ip6=Ip6(hop_limit=9), udp=Udp(dst_port=4789)), Tun.vxlan(7), is_l2=False),
        push=PushVlan(5),
        nat64=L3Type.IP4,
    )
    assert Actions.from_flat(actions.flat()) == actions
    assert Actions.from_flat(Actions(push=PushVlan(0, 0)).flat()) == Actions(push=PushVlan(0, 0))
    assert Actions.from_flat(Actions(encap=Encap(is_l2=False)).flat()) == Actions(encap=Encap(is_l2=False))


@given(st.data())
def test_every_match_survives_the_flat_view(data: st.DataObject) -> None:
    # One L3 and one L4 header of each layer, one tunnel, as the unions of the C struct allow.
    def fits(name: str) -> bool:
        return not any(part in name for part in ("ipv6", "udp", "icmp", "transport")) and not (
            name.startswith("tunnel") and "vxlan.vxlan_tun" not in name
        )

    rows = [row for row in fields.MATCH_FIELDS if not row.selector and fits(row.name)]
    chosen = data.draw(st.lists(st.sampled_from(rows), max_size=12))
    flat = {row.name: data.draw(st.integers(0, row.ones)) for row in chosen}
    match = Match.from_flat(flat)
    assert Match.from_flat(match.flat()) == match
    assert {name: value for name, value in flat.items() if value}.items() <= match.flat().items()


def test_fields_are_unique_and_typed() -> None:
    assert len(fields.MATCH) == len(fields.MATCH_FIELDS)
    assert len(fields.ACTIONS) == len(fields.ACTION_FIELDS)
    assert all(row.bits > 0 for row in (*fields.MATCH_FIELDS, *fields.ACTION_FIELDS))


def test_errors_by_code() -> None:
    error = error_from_code(24, "pipe 'a': 16 of 16 entries are used")
    assert isinstance(error, Full)
    assert error.reason == "pipe 'a': 16 of 16 entries are used"
    assert isinstance(error_from_code(Code.INVALID_VALUE), InvalidValue)
    assert type(error_from_code(Code.SHUTDOWN)) is FlowError
    assert error_from_code(99).code is Code.UNKNOWN
