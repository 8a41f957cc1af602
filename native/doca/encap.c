// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

// Encapsulation headers as bytes. Lengths and the IPv4 checksum stay zero: the fast path fills them in per packet.

#include <arpa/inet.h>
#include <stddef.h>
#include <string.h>

#include "actions.h"
#include "match.h"

struct writer {
	uint8_t *data;
	unsigned int used;
	bool overflow;
};

static void put(struct writer *to, const void *bytes, unsigned int nr)
{
	if (to->used + nr > STEER_ENCAP_MAX) {
		to->overflow = true;
		return;
	}
	memcpy(to->data + to->used, bytes, nr);
	to->used += nr;
}

static void put8(struct writer *to, unsigned int value)
{
	put(to, &(uint8_t){(uint8_t)value}, 1);
}

static void put16(struct writer *to, unsigned int value)
{
	put(to, (uint8_t[]){(uint8_t)(value >> 8), (uint8_t)value}, 2);
}

static void put_ethernet(struct writer *to, const struct doca_flow_header_eth *eth, uint16_t l2_valid,
	const struct doca_flow_header_eth_vlan *vlans, unsigned int type)
{
	put(to, eth->dst_mac, sizeof(eth->dst_mac));
	put(to, eth->src_mac, sizeof(eth->src_mac));
	for (unsigned int i = 0; i < DOCA_FLOW_VLAN_MAX; i++)
		if (l2_valid & (DOCA_FLOW_L2_VALID_HEADER_VLAN_0 << i)) {
			put16(to, i == 0 && l2_valid & DOCA_FLOW_L2_VALID_HEADER_VLAN_1
					  ? DOCA_FLOW_ETHER_TYPE_QINQ
					  : DOCA_FLOW_ETHER_TYPE_VLAN);
			put(to, &vlans[i].tci, 2);
		}
	if (type)
		put16(to, type);
	else
		put(to, &eth->type, 2);
}

static unsigned int next_protocol(const struct doca_flow_encap_action *encap)
{
	switch (encap->tun.type) {
	case DOCA_FLOW_TUN_GRE:
		return DOCA_FLOW_PROTO_GRE;
	case DOCA_FLOW_TUN_ESP:
		return DOCA_FLOW_PROTO_ESP;
	case DOCA_FLOW_TUN_IP_IN_IP:
		return 0; // as given, or the inner packet's version
	default:
		return DOCA_FLOW_PROTO_UDP;
	}
}

// A card sends encapsulations without ECN, as NVIDIA's flow_ipv6_flow_label has it (RFC 6040: compatibility mode).
enum { NO_ECN = 0xfc };

static void put_ip4(struct writer *to, const struct doca_flow_header_ip4 *ip, unsigned int protocol)
{
	put8(to, 0x45);
	put8(to, ip->dscp_ecn & NO_ECN);
	put16(to, 0);
	put(to, &ip->identification, 2);
	put(to, &ip->flags_fragment_offset, 2);
	put8(to, ip->ttl);
	put8(to, ip->next_proto ? ip->next_proto : protocol);
	put16(to, 0);
	put(to, &ip->src_ip, 4);
	put(to, &ip->dst_ip, 4);
}

static void put_ip6(struct writer *to, const struct doca_flow_header_ip6 *ip, unsigned int protocol)
{
	uint32_t word = htonl(
		6u << 28 | (uint32_t)(ip->traffic_class & NO_ECN) << 20 | (ntohl(ip->flow_label) & 0xfffff));

	put(to, &word, 4);
	put16(to, 0);
	put8(to, ip->next_proto ? ip->next_proto : protocol);
	put8(to, ip->hop_limit);
	put(to, ip->src_ip, 16);
	put(to, ip->dst_ip, 16);
}

static void put_udp(struct writer *to, const struct doca_flow_header_format *outer, unsigned int port)
{
	put(to, &outer->udp.l4_port.src_port, 2);
	if (outer->udp.l4_port.dst_port)
		put(to, &outer->udp.l4_port.dst_port, 2);
	else
		put16(to, port);
	put16(to, 0);
	put16(to, 0);
}

static uint8_t put_vxlan(struct writer *to, const struct doca_flow_encap_action *encap)
{
	const struct doca_flow_tun *tun = &encap->tun;
	bool gpe = tun->vxlan_type == DOCA_FLOW_TUN_EXT_VXLAN_GPE;
	bool gbp = tun->vxlan_type == DOCA_FLOW_TUN_EXT_VXLAN_GBP;

	put_udp(to, &encap->outer, gpe ? DOCA_FLOW_VXLAN_GPE_DEFAULT_PORT : DOCA_FLOW_VXLAN_DEFAULT_PORT);
	if (gpe) {
		put8(to, tun->vxlan_gpe_flags ? tun->vxlan_gpe_flags : 0x0c);
		put16(to, 0);
		put8(to, tun->vxlan_gpe_next_protocol);
	} else {
		put8(to, gbp ? 0x88 : 0x08);
		put8(to, 0);
		put(to, gbp ? (const uint8_t *)&tun->vxlan_gbp_group_policy_id : (const uint8_t[2]){0}, 2);
	}
	put(to, (const uint8_t *)&tun->vxlan_tun_id + 1, 3);
	put8(to, tun->vxlan_tun_rsvd1);
	return gpe ? STEER_TUN_VXLAN_GPE : gbp ? STEER_TUN_VXLAN_GBP : STEER_TUN_VXLAN;
}

static uint8_t put_gre(struct writer *to, const struct doca_flow_tun *tun, bool is_l2)
{
	bool nvgre = tun->gre_type == DOCA_FLOW_TUN_EXT_GRE_NVGRE;

	put16(to, nvgre || tun->key_present ? 0x2000 : 0);
	if (tun->protocol)
		put(to, &tun->protocol, 2);
	else
		put16(to, is_l2 || nvgre ? DOCA_FLOW_ETHER_TYPE_TEB : 0); // 0: the inner packet's type
	if (nvgre) {
		put(to, &tun->nvgre_vs_id, 3);
		put8(to, tun->nvgre_flow_id);
		return STEER_TUN_NVGRE;
	}
	if (tun->key_present)
		put(to, &tun->gre_key, 4);
	return STEER_TUN_GRE;
}

static uint8_t put_geneve(struct writer *to, const struct doca_flow_encap_action *encap)
{
	const struct doca_flow_tun *tun = &encap->tun;
	unsigned int words = tun->geneve.ver_opt_len & 0x3f;

	put_udp(to, &encap->outer, DOCA_FLOW_GENEVE_DEFAULT_PORT);
	put8(to, tun->geneve.ver_opt_len);
	put8(to, tun->geneve.o_c);
	put(to, &tun->geneve.next_proto, 2);
	put(to, &tun->geneve.vni, 4);
	for (unsigned int i = 0; i < words; i++)
		put(to, &tun->geneve_options[i].data, 4);
	return STEER_TUN_GENEVE;
}

static uint8_t put_gtpu(struct writer *to, const struct doca_flow_encap_action *encap)
{
	const struct doca_flow_tun *tun = &encap->tun;
	bool psc = tun->gtp_next_ext_hdr_type == DOCA_FLOW_GTP_EXT_PSC;

	put_udp(to, &encap->outer, DOCA_FLOW_GTPU_DEFAULT_PORT);
	put8(to, psc ? 0x34 : 0x30);
	put8(to, 0xff); // G-PDU
	put16(to, 0);   // length
	put(to, &tun->gtp_teid, 4);
	if (psc) {
		put16(to, 0); // sequence number
		put8(to, 0);  // N-PDU number
		put8(to, DOCA_FLOW_GTP_EXT_PSC);
		put8(to, 1); // words of this extension
		put8(to, 0); // downlink PDU session information
		put8(to, tun->gtp_ext_psc_qfi & 0x3f);
		put8(to, 0); // no further extension
	}
	return STEER_TUN_GTPU;
}

static uint8_t put_mpls(struct writer *to, const struct doca_flow_encap_action *encap)
{
	put_udp(to, &encap->outer, DOCA_FLOW_MPLS_DEFAULT_PORT);
	for (unsigned int i = 0; i < DOCA_FLOW_MPLS_LABELS_MAX; i++)
		if (encap->tun.mpls[i].label)
			put(to, &encap->tun.mpls[i].label, 4);
	return STEER_TUN_MPLS_O_UDP;
}

doca_error_t encap_build(const char *pipe, const struct doca_flow_resource_encap_cfg *cfg, uint8_t *data,
	uint16_t *bytes, uint8_t *tunnel)
{
	const struct doca_flow_encap_action *encap = &cfg->encap;
	const struct doca_flow_header_format *outer = &encap->outer;
	struct writer to = {.data = data};
	unsigned int protocol = next_protocol(encap);

	if (outer->l3_type != DOCA_FLOW_L3_TYPE_IP4 && outer->l3_type != DOCA_FLOW_L3_TYPE_IP6)
		return refuse(DOCA_ERROR_INVALID_VALUE,
			AT(.pipe = pipe, .field = "encap.outer.l3_type", .rule = "encap-header"),
			"an encapsulation needs an IPv4 or IPv6 header");
	put_ethernet(&to, &outer->eth, outer->l2_valid_headers, outer->eth_vlan,
		outer->l3_type == DOCA_FLOW_L3_TYPE_IP4 ? DOCA_FLOW_ETHER_TYPE_IPV4
							: DOCA_FLOW_ETHER_TYPE_IPV6);
	if (outer->l3_type == DOCA_FLOW_L3_TYPE_IP4)
		put_ip4(&to, &outer->ip4, protocol);
	else
		put_ip6(&to, &outer->ip6, protocol);
	switch (encap->tun.type) {
	case DOCA_FLOW_TUN_VXLAN:
		*tunnel = put_vxlan(&to, encap);
		break;
	case DOCA_FLOW_TUN_GRE:
		*tunnel = put_gre(&to, &encap->tun, cfg->is_l2);
		break;
	case DOCA_FLOW_TUN_GENEVE:
		*tunnel = put_geneve(&to, encap);
		break;
	case DOCA_FLOW_TUN_GTPU:
		*tunnel = put_gtpu(&to, encap);
		break;
	case DOCA_FLOW_TUN_MPLS_O_UDP:
		*tunnel = put_mpls(&to, encap);
		break;
	case DOCA_FLOW_TUN_ESP:
		put(&to, &encap->tun.esp_spi, 4);
		put(&to, &encap->tun.esp_sn, 4);
		*tunnel = STEER_TUN_ESP;
		break;
	case DOCA_FLOW_TUN_IP_IN_IP:
		*tunnel = STEER_TUN_IP_IN_IP;
		break;
	case DOCA_FLOW_TUN_NONE: // a plain header in front, as for tests of one's own tunnels
		*tunnel = STEER_TUN_NONE;
		break;
	default:
		return refuse(DOCA_ERROR_NOT_SUPPORTED,
			AT(.pipe = pipe, .field = "encap.tun.type", .rule = "encap-tunnel"),
			"the fast path cannot build tunnel type %d", (int)encap->tun.type);
	}
	if (to.overflow)
		return refuse(DOCA_ERROR_TOO_BIG, AT(.pipe = pipe, .field = "encap", .rule = "encap-size"),
			"the encapsulation is longer than %d bytes", STEER_ENCAP_MAX);
	*bytes = (uint16_t)to.used;
	return DOCA_SUCCESS;
}

// Calls visit for every member of an encapsulation's headers that is all ones.
static bool each_open(struct doca_flow_resource_encap_cfg *cfg,
	bool (*visit)(struct doca_flow_resource_encap_cfg *, void *member, unsigned int bytes, size_t offset,
		const void *context),
	const void *context)
{
	struct field_view view = {.base = {[FIELD_OUTER] = (const uint8_t *)&cfg->encap.outer,
					  [FIELD_TUN] = (const uint8_t *)&cfg->encap.tun}};
	struct field_gate gates[FIELD_LAYERS];
	bool any = false;

	field_gates(gates, &view);
	for (int layer = FIELD_OUTER; layer <= FIELD_TUN; layer++) {
		unsigned int nr;
		const struct field_map *rows = field_table(layer, &nr);

		for (unsigned int i = 0; i < nr; i++) {
			uint8_t *member = (uint8_t *)view.base[layer] + rows[i].offset;
			unsigned int size = rows[i].size;
			bool open =
				field_selected(&rows[i], &gates[layer]) && rows[i].conversion != CONVERT_BOOL;

			if (rows[i].selector == SELECT_GENEVE && size > 4)
				continue; // options, word by word below
			if (open && rows[i].field) {
				uint8_t value[STEER_FIELD_BYTES_MAX];

				field_read(&rows[i], rows[i].field, view.base[layer], value);
				open = match_all_ones(rows[i].field, value);
			} else {
				for (unsigned int b = 0; b < size && open; b++)
					open = member[b] == 0xff;
			}
			if (open)
				any |= visit(cfg, member, size, (size_t)(member - (uint8_t *)cfg), context);
		}
	}
	if (cfg->encap.tun.type == DOCA_FLOW_TUN_GENEVE)
		for (unsigned int i = 0; i < (cfg->encap.tun.geneve.ver_opt_len & 0x3fu); i++) {
			union doca_flow_geneve_option *word = &cfg->encap.tun.geneve_options[i];

			if (word->data == UINT32_MAX)
				any |= visit(cfg, word, sizeof(*word),
					(size_t)((uint8_t *)word - (uint8_t *)cfg), context);
		}
	return any;
}

static bool visit_yes(struct doca_flow_resource_encap_cfg *cfg, void *member, unsigned int bytes,
	size_t offset, const void *context)
{
	(void)cfg, (void)member, (void)bytes, (void)offset, (void)context;
	return true;
}

static bool visit_fill(struct doca_flow_resource_encap_cfg *cfg, void *member, unsigned int bytes,
	size_t offset, const void *context)
{
	(void)cfg;
	memcpy(member, (const uint8_t *)context + offset, bytes);
	return true;
}

bool encap_changeable(const struct doca_flow_resource_encap_cfg *cfg)
{
	return each_open((struct doca_flow_resource_encap_cfg *)cfg, visit_yes, NULL);
}

void encap_merge(struct doca_flow_resource_encap_cfg *cfg, const struct doca_flow_resource_encap_cfg *entry)
{
	each_open(cfg, visit_fill, entry);
}

static bool all_ff(const void *bytes, unsigned int nr)
{
	const uint8_t *at = bytes;

	while (nr--)
		if (*at++ != 0xff)
			return false;
	return true;
}

void decap_build(const struct doca_flow_resource_decap_cfg *cfg, uint8_t *data, uint16_t *bytes)
{
	struct writer to = {.data = data};

	put_ethernet(&to, &cfg->eth, cfg->l2_valid_headers, cfg->eth_vlan, 0);
	*bytes = (uint16_t)to.used;
}

bool decap_changeable(const struct doca_flow_resource_decap_cfg *cfg)
{
	return all_ff(cfg->eth.src_mac, 6) || all_ff(cfg->eth.dst_mac, 6) || all_ff(&cfg->eth.type, 2) ||
	       (cfg->l2_valid_headers & DOCA_FLOW_L2_VALID_HEADER_VLAN_0 && all_ff(&cfg->eth_vlan[0], 2)) ||
	       (cfg->l2_valid_headers & DOCA_FLOW_L2_VALID_HEADER_VLAN_1 && all_ff(&cfg->eth_vlan[1], 2));
}

void decap_merge(struct doca_flow_resource_decap_cfg *cfg, const struct doca_flow_resource_decap_cfg *entry)
{
	if (all_ff(cfg->eth.src_mac, 6))
		memcpy(cfg->eth.src_mac, entry->eth.src_mac, 6);
	if (all_ff(cfg->eth.dst_mac, 6))
		memcpy(cfg->eth.dst_mac, entry->eth.dst_mac, 6);
	if (all_ff(&cfg->eth.type, 2))
		cfg->eth.type = entry->eth.type;
	for (unsigned int i = 0; i < DOCA_FLOW_VLAN_MAX; i++)
		if (all_ff(&cfg->eth_vlan[i], 2))
			cfg->eth_vlan[i] = entry->eth_vlan[i];
}
