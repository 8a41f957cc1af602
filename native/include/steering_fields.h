// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

// The packet fields that a pipe can match, hash, set, add to or copy: one list, from which the fast path makes its
// extraction table, libdoca_flow its map to struct doca_flow_match, and both their names in texts.
//
// STEERING_FIELDS(X) calls X(ID, "doca.field.string", width in bits) once for each field. A value travels in network
// byte order in the smallest number of whole bytes that holds the width, right-aligned: a 20 bit flow label is three
// bytes with the upper four bits zero, a VNI (24 bit) three bytes. IPv4 and IPv6 addresses are fields of their own and
// read as zero where the packet has the other version or lacks the layer. TCP, UDP, SCTP and "transport" ports are one
// field (doca-flow.md section 11). outer.arp is ARP for IPv4 over Ethernet; outer.nd.target that of neighbour solicitations,
// advertisements and redirects, outer.nd.lladdr the link-layer address option of these (the target's, for solicitations the
// source's, as for router messages). New fields are added before the sentinel; an id never changes meaning within an ABI.

#pragma once

#define STEERING_LAYER_FIELDS(X, L, l)                             \
	X(L##_ETH_DST, l ".eth.dst_mac", 48)                       \
	X(L##_ETH_SRC, l ".eth.src_mac", 48)                       \
	X(L##_ETH_TYPE, l ".eth.type", 16)                         \
	X(L##_VLAN0_TCI, l ".eth_vlan0.tci", 16)                   \
	X(L##_VLAN1_TCI, l ".eth_vlan1.tci", 16)                   \
	X(L##_IP4_VERSION_IHL, l ".ipv4.version_ihl", 8)           \
	X(L##_IP4_DSCP_ECN, l ".ipv4.dscp_ecn", 8)                 \
	X(L##_IP4_TOTAL_LEN, l ".ipv4.total_len", 16)              \
	X(L##_IP4_ID, l ".ipv4.identification", 16)                \
	X(L##_IP4_FLAGS_FRAG, l ".ipv4.flags_fragment_offset", 16) \
	X(L##_IP4_TTL, l ".ipv4.ttl", 8)                           \
	X(L##_IP4_PROTO, l ".ipv4.next_proto", 8)                  \
	X(L##_IP4_SRC, l ".ipv4.src_ip", 32)                       \
	X(L##_IP4_DST, l ".ipv4.dst_ip", 32)                       \
	X(L##_IP6_TRAFFIC_CLASS, l ".ipv6.traffic_class", 8)       \
	X(L##_IP6_FLOW_LABEL, l ".ipv6.flow_label", 20)            \
	X(L##_IP6_PAYLOAD_LEN, l ".ipv6.payload_len", 16)          \
	X(L##_IP6_NEXT_PROTO, l ".ipv6.next_proto", 8)             \
	X(L##_IP6_HOP_LIMIT, l ".ipv6.hop_limit", 8)               \
	X(L##_IP6_SRC, l ".ipv6.src_ip", 128)                      \
	X(L##_IP6_DST, l ".ipv6.dst_ip", 128)                      \
	X(L##_L4_SRC_PORT, l ".transport.src_port", 16)            \
	X(L##_L4_DST_PORT, l ".transport.dst_port", 16)            \
	X(L##_TCP_SEQ, l ".tcp.seq_num", 32)                       \
	X(L##_TCP_ACK, l ".tcp.ack_num", 32)                       \
	X(L##_TCP_DATA_OFFSET, l ".tcp.data_offset", 8)            \
	X(L##_TCP_FLAGS, l ".tcp.flags", 8)                        \
	X(L##_ICMP_TYPE, l ".icmp.type", 8)                        \
	X(L##_ICMP_CODE, l ".icmp.code", 8)                        \
	X(L##_ICMP_IDENT, l ".icmp.ident", 16)

// What the parser says about one layer. l2_type: enum doca_flow_l2_meta values, l3_type and l4_type likewise; the _ok
// fields are 1 or 0.
#define STEERING_PARSER_LAYER_FIELDS(X, L, l)                               \
	X(PM_##L##_L2_TYPE, "parser_meta." l "_l2_type", 8)                 \
	X(PM_##L##_L3_TYPE, "parser_meta." l "_l3_type", 8)                 \
	X(PM_##L##_L4_TYPE, "parser_meta." l "_l4_type", 8)                 \
	X(PM_##L##_IP_FRAGMENTED, "parser_meta." l "_ip_fragmented", 8)     \
	X(PM_##L##_L3_OK, "parser_meta." l "_l3_ok", 8)                     \
	X(PM_##L##_IP4_CHECKSUM_OK, "parser_meta." l "_ip4_checksum_ok", 8) \
	X(PM_##L##_L4_OK, "parser_meta." l "_l4_ok", 8)                     \
	X(PM_##L##_L4_CHECKSUM_OK, "parser_meta." l "_l4_checksum_ok", 8)

#define STEERING_FIELDS(X)                                               \
	X(META_PKT, "meta.pkt_meta", 32)                                 \
	X(META_U32_0, "meta.u32[0]", 32)                                 \
	X(META_U32_1, "meta.u32[1]", 32)                                 \
	X(META_U32_2, "meta.u32[2]", 32)                                 \
	X(META_U32_3, "meta.u32[3]", 32)                                 \
	X(META_U32_4, "meta.u32[4]", 32)                                 \
	X(META_U32_5, "meta.u32[5]", 32)                                 \
	X(META_U32_6, "meta.u32[6]", 32)                                 \
	X(META_U32_7, "meta.u32[7]", 32)                                 \
	X(META_U32_8, "meta.u32[8]", 32)                                 \
	X(META_U32_9, "meta.u32[9]", 32)                                 \
	X(PM_PORT_ID, "parser_meta.port_id", 16)                         \
	X(PM_RANDOM, "parser_meta.random.value", 16)                     \
	X(PM_METER_COLOR, "parser_meta.meter_color", 8)                  \
	STEERING_PARSER_LAYER_FIELDS(X, OUTER, "outer")                  \
	STEERING_PARSER_LAYER_FIELDS(X, INNER, "inner")                  \
	STEERING_LAYER_FIELDS(X, OUTER, "outer")                         \
	STEERING_LAYER_FIELDS(X, INNER, "inner")                         \
	X(TUN_VXLAN_VNI, "tunnel.vxlan.vni", 24)                         \
	X(TUN_VXLAN_FLAGS, "tunnel.vxlan.flags", 8)                      \
	X(TUN_VXLAN_RSVD1, "tunnel.vxlan.rsvd1", 24)                     \
	X(TUN_VXLAN_RSVD2, "tunnel.vxlan.rsvd2", 8)                      \
	X(TUN_VXLAN_GPE_NEXT_PROTO, "tunnel.vxlan_gpe.next_protocol", 8) \
	X(TUN_VXLAN_GBP_POLICY_ID, "tunnel.vxlan_gbp.policy_id", 16)     \
	X(TUN_GRE_KEY_PRESENT, "tunnel.gre.key_present", 8)              \
	X(TUN_GRE_PROTOCOL, "tunnel.gre.protocol", 16)                   \
	X(TUN_GRE_KEY, "tunnel.gre_key.value", 32)                       \
	X(TUN_NVGRE_VS_ID, "tunnel.nvgre.nvgre_vs_id", 24)               \
	X(TUN_NVGRE_FLOW_ID, "tunnel.nvgre.nvgre_flow_id", 8)            \
	X(TUN_GENEVE_VNI, "tunnel.geneve.vni", 24)                       \
	X(TUN_GENEVE_VER_OPT_LEN, "tunnel.geneve.ver_opt_len", 8)        \
	X(TUN_GENEVE_O_C, "tunnel.geneve.o_c", 8)                        \
	X(TUN_GENEVE_NEXT_PROTO, "tunnel.geneve.next_proto", 16)         \
	X(TUN_GTP_TEID, "tunnel.gtp.teid", 32)                           \
	X(TUN_ESP_SPI, "tunnel.esp.spi", 32)                             \
	X(TUN_ESP_SN, "tunnel.esp.sn", 32)                               \
	X(TUN_MPLS_0, "tunnel.mpls[0].label", 32)                        \
	X(TUN_MPLS_1, "tunnel.mpls[1].label", 32)                        \
	X(TUN_MPLS_2, "tunnel.mpls[2].label", 32)                        \
	X(TUN_MPLS_3, "tunnel.mpls[3].label", 32)                        \
	X(TUN_MPLS_4, "tunnel.mpls[4].label", 32)                        \
	X(OUTER_ARP_OP, "outer.arp.op", 16)                              \
	X(OUTER_ARP_SHA, "outer.arp.sha", 48)                            \
	X(OUTER_ARP_SPA, "outer.arp.spa", 32)                            \
	X(OUTER_ARP_THA, "outer.arp.tha", 48)                            \
	X(OUTER_ARP_TPA, "outer.arp.tpa", 32)                            \
	X(OUTER_ND_TARGET, "outer.nd.target", 128)                       \
	X(OUTER_ND_LLADDR, "outer.nd.lladdr", 48)                        \
	X(META_MARK, "meta.mark", 32)

#define STEERING_FIELD_ENUM(id, name, bits) STEER_F_##id,
enum steer_field {
	STEER_F_NONE = 0,
	STEERING_FIELDS(STEERING_FIELD_ENUM) STEER_F_MAX,
};
#undef STEERING_FIELD_ENUM

// Widest field, bytes.
enum { STEER_FIELD_BYTES_MAX = 16 };
