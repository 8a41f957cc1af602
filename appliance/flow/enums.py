# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""DOCA Flow's enums, value for value."""

from __future__ import annotations

from enum import IntEnum, IntFlag


class L3Type(IntEnum):
    """``enum doca_flow_l3_type``."""

    NONE = 0
    IP4 = 1
    IP6 = 2


class L4TypeExt(IntEnum):
    """``enum doca_flow_l4_type_ext``."""

    NONE = 0
    TCP = 1
    UDP = 2
    ICMP = 3
    ICMP6 = 4
    TRANSPORT = 5


class TunType(IntEnum):
    """``enum doca_flow_tun_type``."""

    NONE = 0
    VXLAN = 1
    GTPU = 2
    GRE = 3
    ESP = 4
    MPLS_O_UDP = 5
    GENEVE = 6
    PSP = 7
    IP_IN_IP = 8


class VxlanType(IntEnum):
    """``enum doca_flow_tun_ext_vxlan_type``."""

    STANDARD = 0
    GPE = 1
    GBP = 2


class GreType(IntEnum):
    """``enum doca_flow_tun_ext_gre_type``."""

    STANDARD = 0
    NVGRE = 1


class L2Meta(IntEnum):
    """``enum doca_flow_l2_meta``."""

    NO_VLAN = 0
    MULTI_VLAN = 1
    SINGLE_VLAN = 2
    CUSTOM_VLAN = 3


class L3Meta(IntEnum):
    """``enum doca_flow_l3_meta``."""

    NONE = 0
    IPV4 = 1
    IPV6 = 2


class L4Meta(IntEnum):
    """``enum doca_flow_l4_meta``."""

    NONE = 0
    TCP = 1
    UDP = 2
    ICMP = 3
    ESP = 4


class MeterColor(IntEnum):
    """``enum doca_flow_meter_color`` of DOCA >= 3.2."""

    RED = 0
    YELLOW = 1
    GREEN = 2


class TcpFlags(IntFlag):
    """``enum doca_flow_match_tcp_flags``."""

    FIN = 1
    SYN = 2
    RST = 4
    PSH = 8
    ACK = 16
    URG = 32
    ECE = 64
    CWR = 128


class L2Valid(IntFlag):
    """``enum doca_flow_l2_valid_header``."""

    VLAN_0 = 1
    VLAN_1 = 2


class ResourceType(IntEnum):
    """``enum doca_flow_resource_type``."""

    NONE = 0
    SHARED = 1
    NON_SHARED = 2


class SharedResourceType(IntEnum):
    """``enum doca_flow_shared_resource_type``."""

    METER = 0
    COUNTER = 1
    RSS = 2
    PSP = 3
    ENCAP = 4
    DECAP = 5
    IPSEC_SA = 6


class PipeType(IntEnum):
    """``enum doca_flow_pipe_type``."""

    BASIC = 0
    CONTROL = 1
    LPM = 2
    CT = 3
    ACL = 4
    ORDERED_LIST = 5
    HASH = 6


class Domain(IntEnum):
    """``enum doca_flow_pipe_domain``."""

    DEFAULT = 0
    SECURE_INGRESS = 1
    EGRESS = 2
    SECURE_EGRESS = 3


class FwdType(IntEnum):
    """``enum doca_flow_fwd_type``, and Ringfield's own from ``enum doca_flow_ringfield_fwd_type``."""

    NONE = 0
    RSS = 1
    PORT = 2
    PIPE = 3
    DROP = 4
    TARGET = 5
    ORDERED_LIST_PIPE = 6
    HASH_PIPE = 7
    CHANGEABLE = 100
    REJECT = 1001
    ANSWER = 1002


class TargetType(IntEnum):
    """``enum doca_flow_target_type``."""

    KERNEL = 0


class HashAlgorithm(IntFlag):
    """``enum doca_flow_pipe_hash_map_algorithm``."""

    HASH = 1
    RANDOM = 2
    IDENTITY = 4
    ROUND_ROBIN = 8
    FLOODING = 16
    SELECT_ENABLED = 32


class RssFlags(IntFlag):
    """``enum doca_rss_type``."""

    IPV4 = 1 << 0
    IPV6 = 1 << 1
    UDP = 1 << 2
    TCP = 1 << 3
    ESP = 1 << 4
    IPV4_SRC = 1 << 5
    IPV4_DST = 1 << 6
    IPV6_SRC = 1 << 7
    IPV6_DST = 1 << 8
    UDP_SRC = 1 << 9
    UDP_DST = 1 << 10
    TCP_SRC = 1 << 11
    TCP_DST = 1 << 12
    AUTO = 1 << 30


class RssHash(IntEnum):
    """``enum doca_flow_rss_hash_function``."""

    TOEPLITZ = 0
    SYMMETRIC_TOEPLITZ = 1


class ActionType(IntEnum):
    """``enum doca_flow_action_type``."""

    AUTO = 0
    ADD = 1
    COPY = 2


class CompareOp(IntEnum):
    """``enum doca_flow_compare_op``."""

    EQ = 0
    NE = 1
    LT = 2
    LE = 3
    GT = 4
    GE = 5


class LimitType(IntEnum):
    """``enum doca_flow_meter_limit_type``."""

    BYTES = 0
    PACKETS = 1


class ColorMode(IntEnum):
    """``enum doca_flow_meter_color_mode``."""

    BLIND = 0
    AWARE = 1


class MeterAlgorithm(IntEnum):
    """``enum doca_flow_meter_algorithm_type``."""

    RFC2697 = 0
    RFC2698 = 1
    RFC4115 = 2


class EntryFlags(IntFlag):
    """``enum doca_flow_entry_flags`` of DOCA >= 3.2. Never both."""

    NONE = 0
    NO_WAIT = 1
    WAIT_FOR_BATCH = 2


class EntryStatus(IntEnum):
    """``enum doca_flow_entry_status``."""

    IN_PROCESS = 0
    SUCCESS = 1
    ERROR = 2


class EntryOp(IntEnum):
    """``enum doca_flow_entry_op``."""

    ADD = 0
    DEL = 1
    UPD = 2
    AGED = 3


class DefaultMiss(IntEnum):
    """What a port does with a packet that no pipe handled: ``doca_flow_port_update_default_miss``."""

    KERNEL = 0
    RSS = 1
    DROP = 2
