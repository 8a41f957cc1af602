# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""The tutorial from Python: a private DPU without root, one pipe, two packets, and why each went where it did."""

from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether

from appliance.flow import Dpu
from appliance.flow.types import (
    CHANGEABLE,
    COUNT,
    FwdDrop,
    FwdPort,
    HeaderFormat,
    Ip4,
    Match,
    PipeSpec,
    Tcp,
)

with Dpu.launch(ports=2) as dpu:
    p0, p1 = dpu.port_start("p0"), dpu.port_start("p1")
    p0.pair(p1)
    services = p0.pipe_create(
        PipeSpec(
            name="services",
            is_root=True,
            match=Match(outer=HeaderFormat(ip4=Ip4(dst_ip=CHANGEABLE), tcp=Tcp(dst_port=CHANGEABLE))),
            fwd=FwdPort(port_id=p1.id),
            fwd_miss=FwdDrop(),
            monitor=COUNT,
        )
    )
    https = services.add(
        match=Match(outer=HeaderFormat(ip4=Ip4(dst_ip="10.0.0.2"), tcp=Tcp(dst_port=443))), monitor=COUNT
    )
    dpu.receive()
    for dport in (443, 22):
        frame = bytes(Ether() / IP(src="10.0.0.1", dst="10.0.0.2") / TCP(dport=dport))
        dpu.inject("p0", frame)
        print(f"port {dport}: arrived {[packet.port for packet in dpu.packets(timeout=0.2)]}")
        print(dpu.trace("p0", frame))
    print(f"{https.query().total_pkts} packet to HTTPS")
