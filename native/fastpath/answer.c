// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Answers to ARP requests and neighbour solicitations, made of the question's own frame.

#include <errno.h>
#include <string.h>

#include <netinet/in.h>

#include "answer.h"
#include "checksum.h"
#include "parse.h"

enum {
	ARP_REQUEST = 1,
	ARP_REPLY = 2,
	NA_BYTES = 32, // advertisement with one option
	NA_SOLICITED = 0x40,
	NA_OVERRIDE = 0x20,
};

static const uint8_t nothing[16];

static void to_sender(struct packet *p, const uint8_t *mac)
{
	memcpy(p->data, mac, 6);
	p->out_port = p->in_port;
	p->verdict = PACKET_SEND;
}

static int answer_arp(struct packet *p)
{
	uint8_t *h = p->base[REGION_ARP], target[4];

	// Who asks for its own address looks for a conflict, or tells of itself.
	if (h[6] || h[7] != ARP_REQUEST || !memcmp(h + 14, h + 24, 4))
		return -EINVAL;
	memcpy(target, h + 24, 4);
	h[7] = ARP_REPLY;
	memcpy(h + 18, h + 8, 10); // the asker's addresses
	memcpy(h + 8, p->data + 6, 6);
	memcpy(h + 14, target, 4);
	to_sender(p, p->sender);
	return 0;
}

// RFC 4861 7.1.1.
static bool solicitation_is_valid(struct packet *p, const uint8_t *ip, const uint8_t *icmp)
{
	bool unspecified = !memcmp(ip + 8, nothing, 16);

	if (icmp[0] != ND_SOLICITATION || icmp[1] || ip[7] != 255 || !p->meta.layer[0].l3_ok ||
		p->layer[0].l4 != p->layer[0].l3 + 40 || icmp[8] == 0xff || ip[8] == 0xff)
		return false;
	// Duplicate address detection goes to the solicited-node group and has no address of its own to tell.
	if (unspecified &&
		(packet_has(p, REGION_ND_LLADDR) || ip[24] != 0xff || memcmp(ip + 37, icmp + 21, 3)))
		return false;
	packet_judge(p);
	return p->meta.layer[0].l4_checksum_ok;
}

static int answer_solicitation(struct packet *p)
{
	static const uint8_t all_nodes[16] = {0xff, 0x02, [15] = 1}, all_nodes_mac[6] = {0x33, 0x33, [5] = 1};
	uint8_t *ip = p->data + p->layer[0].l3, *icmp = p->data + p->layer[0].l4;
	uint32_t wanted = p->layer[0].l4 + NA_BYTES;
	struct rte_mbuf *m = p->m;
	bool duplicate;
	uint16_t sum;

	if (!solicitation_is_valid(p, ip, icmp) || m->nb_segs != 1)
		return -EINVAL;
	if (wanted > p->frame_len) {
		if (!rte_pktmbuf_append(m, (uint16_t)(wanted - p->frame_len)))
			return -EINVAL;
	} else {
		rte_pktmbuf_trim(m, (uint16_t)(p->frame_len - wanted));
	}
	packet_load(p, p->data, m->data_len, m->pkt_len);
	p->stale = true;
	duplicate = !memcmp(ip + 8, nothing, 16);
	ip[0] = 0x60;
	memset(ip + 1, 0, 4);
	ip[5] = NA_BYTES;
	memcpy(ip + 24, duplicate ? all_nodes : ip + 8, 16);
	memcpy(ip + 8, icmp + 8, 16);
	icmp[0] = ND_ADVERTISEMENT;
	icmp[2] = icmp[3] = 0;
	icmp[4] = duplicate ? NA_OVERRIDE : NA_OVERRIDE | NA_SOLICITED;
	memset(icmp + 5, 0, 3);
	icmp[24] = 2; // target link-layer address
	icmp[25] = 1;
	memcpy(icmp + 26, p->data + 6, 6);
	sum = (uint16_t)~checksum_fold(checksum_add(
		checksum_add(htons(NA_BYTES) + htons(IPPROTO_ICMPV6), ip + 8, 32), icmp, NA_BYTES));
	memcpy(icmp + 2, &sum, 2);
	to_sender(p, duplicate ? all_nodes_mac : p->sender);
	return 0;
}

int answer_neighbour(struct packet *p)
{
	packet_refresh(p);
	// Its own address, or none: an answer would take it away from the asker.
	if (!memcmp(p->data + 6, p->sender, 6) || (p->data[6] & 1) || (p->sender[0] & 1))
		return -EINVAL;
	if (packet_has(p, REGION_ARP))
		return answer_arp(p);
	if (packet_has(p, REGION_ND))
		return answer_solicitation(p);
	return -EINVAL;
}
