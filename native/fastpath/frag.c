// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

#include <stdlib.h>
#include <string.h>

#include <netinet/in.h>

#include <rte_cycles.h>

#include "bytes.h"
#include "frag.h"
#include "walk.h"

enum {
	NONE = 0xffff,
	UNITS = 8192,     // of 8 bytes, in the largest datagram
	DATAGRAM = 65535, // bytes
	SWEEP_MAX = 16,   // datagrams given up in one turn
	SWEEPS_PER_SECOND = 32,
};

struct frag_key {
	uint8_t src[16];
	uint8_t dst[16];
	uint8_t from[16]; // inside of a tunnel: its ends, and its VNI
	uint8_t to[16];
	uint32_t vni;
	uint32_t id;
	uint16_t in_port;
	uint16_t vlan;
	uint8_t version;
	uint8_t protocol;
	uint8_t pad[2];
};

enum { KEY_WORDS = sizeof(struct frag_key) / 4 };

// Lists are of slot numbers: every slot is free, or in its bucket and in one list of its port.
struct slot {
	struct frag_key key;
	uint64_t expires;
	uint32_t end;     // of the datagram, bytes; 0 = its last fragment has not come
	uint32_t highest; // end of what has come
	uint16_t units;   // that have come
	bool first;       // has come: what follows is known
	bool spoilt;
	uint8_t protocol;
	uint8_t icmp_type;
	uint16_t port[2];
	uint16_t held_first; // nodes
	uint16_t held_last;
	uint16_t nr_held;
	uint16_t bucket_next;
	uint16_t older;
	uint16_t younger;
	uint64_t map[UNITS / 64];
};

struct node {
	struct frag_back back;
	uint16_t next;
};

// Slots of one port, by age: those that wait for their first fragment, and those that have it.
struct list {
	uint16_t oldest;
	uint16_t youngest;
	uint16_t nr;
};

struct frag_table {
	uint64_t wait; // cycles
	uint64_t life;
	uint64_t sweep_every;
	uint64_t next_sweep;
	uint64_t seed;
	uint16_t free_slot;
	uint16_t free_node;
	uint16_t out_first; // nodes to be given back
	uint16_t out_last;
	uint32_t nr_slots;
	uint32_t nr_held;
	uint16_t sweep_port;
	uint16_t held_of_port[STEER_PORT_MAX];
	struct list waiting[STEER_PORT_MAX];
	struct list known[STEER_PORT_MAX];
	uint16_t bucket[FRAG_SLOTS];
	struct node nodes[FRAG_HELD_MAX];
	struct slot slots[FRAG_SLOTS];
};

// --- The table --------------------------------------------------------------------------------------------------------

struct frag_table *frag_table_create(uint64_t tsc_hz)
{
	struct frag_table *t = table_alloc(sizeof(*t));

	if (!t)
		return NULL;
	t->wait = FRAG_WAIT_SECONDS * tsc_hz;
	t->life = FRAG_LIFE_SECONDS * tsc_hz;
	t->sweep_every = tsc_hz / SWEEPS_PER_SECOND;
	t->seed = (uint64_t)(uintptr_t)t * 0x9e3779b97f4a7c15 ^ rte_rdtsc();
	t->out_first = t->out_last = NONE;
	for (unsigned int i = 0; i < FRAG_SLOTS; i++) {
		t->bucket[i] = NONE;
		t->slots[i].bucket_next = i + 1 < FRAG_SLOTS ? (uint16_t)(i + 1) : (uint16_t)NONE;
	}
	for (unsigned int i = 0; i < FRAG_HELD_MAX; i++)
		t->nodes[i].next = i + 1 < FRAG_HELD_MAX ? (uint16_t)(i + 1) : (uint16_t)NONE;
	for (unsigned int i = 0; i < STEER_PORT_MAX; i++)
		t->waiting[i] = t->known[i] = (struct list){.oldest = NONE, .youngest = NONE};
	return t;
}

void frag_table_destroy(struct frag_table *t)
{
	free(t);
}

static struct list *list_of(struct frag_table *t, const struct slot *s)
{
	return s->first ? &t->known[s->key.in_port] : &t->waiting[s->key.in_port];
}

static void list_add(struct frag_table *t, struct slot *s)
{
	struct list *list = list_of(t, s);
	uint16_t index = (uint16_t)(s - t->slots);

	s->older = list->youngest;
	s->younger = NONE;
	if (list->youngest != NONE)
		t->slots[list->youngest].younger = index;
	else
		list->oldest = index;
	list->youngest = index;
	list->nr++;
}

static void list_remove(struct frag_table *t, struct slot *s)
{
	struct list *list = list_of(t, s);

	if (s->older != NONE)
		t->slots[s->older].younger = s->younger;
	else
		list->oldest = s->younger;
	if (s->younger != NONE)
		t->slots[s->younger].older = s->older;
	else
		list->youngest = s->older;
	list->nr--;
}

static unsigned int bucket_of(const struct frag_table *t, const struct frag_key *key)
{
	uint32_t words[KEY_WORDS];
	uint64_t hash = t->seed;

	memcpy(words, key, sizeof(words));
	for (unsigned int i = 0; i < KEY_WORDS; i++) {
		hash = (hash ^ words[i]) * 0x9e3779b97f4a7c15;
		hash ^= hash >> 32;
	}
	return hash & (FRAG_SLOTS - 1);
}

static struct slot *find(struct frag_table *t, const struct frag_key *key, unsigned int bucket)
{
	for (uint16_t i = t->bucket[bucket]; i != NONE; i = t->slots[i].bucket_next)
		if (!memcmp(&t->slots[i].key, key, sizeof(*key)))
			return &t->slots[i];
	return NULL;
}

// Everything that the slot holds is given back: to go on behind its first fragment, or to be dropped.
static void give_back(struct frag_table *t, struct slot *s, enum steer_drop reason)
{
	if (!s->nr_held)
		return;
	for (uint16_t i = s->held_first; i != NONE; i = t->nodes[i].next) {
		struct frag_back *back = &t->nodes[i].back;

		back->reason = (uint8_t)reason;
		back->protocol = s->protocol;
		back->icmp_type = s->icmp_type;
		memcpy(back->port, s->port, sizeof(back->port));
	}
	if (t->out_last != NONE)
		t->nodes[t->out_last].next = s->held_first;
	else
		t->out_first = s->held_first;
	t->out_last = s->held_last;
	t->held_of_port[s->key.in_port] = (uint16_t)(t->held_of_port[s->key.in_port] - s->nr_held);
	s->nr_held = 0;
}

static void release(struct frag_table *t, struct slot *s, enum steer_drop reason)
{
	uint16_t index = (uint16_t)(s - t->slots), *link = &t->bucket[bucket_of(t, &s->key)];

	give_back(t, s, reason);
	list_remove(t, s);
	while (*link != index)
		link = &t->slots[*link].bucket_next;
	*link = s->bucket_next;
	s->bucket_next = t->free_slot;
	t->free_slot = index;
	t->nr_slots--;
}

// No slot is free: the port that has most of them loses its oldest.
static void evict(struct frag_table *t)
{
	unsigned int most = 0, port = 0;
	struct list *list;

	for (unsigned int i = 0; i < STEER_PORT_MAX; i++) {
		unsigned int nr = t->waiting[i].nr + t->known[i].nr;

		if (nr > most) {
			most = nr;
			port = i;
		}
	}
	list = t->waiting[port].nr > t->known[port].nr ? &t->waiting[port] : &t->known[port];
	release(t, &t->slots[list->oldest], STEER_DROP_FRAGMENT_LOST);
}

static struct slot *open_slot(
	struct frag_table *t, const struct frag_key *key, unsigned int bucket, uint64_t tsc)
{
	struct slot *s;

	if (t->free_slot == NONE)
		evict(t);
	s = &t->slots[t->free_slot];
	t->free_slot = s->bucket_next;
	memset(s, 0, sizeof(*s));
	s->key = *key;
	s->expires = tsc + t->wait;
	s->held_first = s->held_last = NONE;
	s->bucket_next = t->bucket[bucket];
	t->bucket[bucket] = (uint16_t)(s - t->slots);
	list_add(t, s);
	t->nr_slots++;
	return s;
}

// --- What a fragment is -----------------------------------------------------------------------------------------------

struct extent {
	uint32_t at; // in the datagram's payload, bytes
	uint32_t end;
	bool more;
};

static void read_ip4(const struct packet *p, unsigned int layer, struct frag_key *key, struct extent *extent)
{
	const uint8_t *ip = p->base[layer * REGION_LAYER + REGION_IP4];
	uint32_t fragment = be16(ip + 6);

	key->version = 4;
	key->protocol = ip[9];
	key->id = be16(ip + 4);
	memcpy(key->src, ip + 12, 4);
	memcpy(key->dst, ip + 16, 4);
	extent->at = (fragment & 0x1fff) * 8;
	extent->end = extent->at + p->layer[layer].l4_len;
	extent->more = fragment & 0x2000;
}

static void read_ip6(const struct packet *p, unsigned int layer, struct frag_key *key, struct extent *extent)
{
	const uint8_t *ip = p->base[layer * REGION_LAYER + REGION_IP6], *header = p->data + p->frag_at;

	key->version = 6;
	memcpy(&key->id, header + 4, 4);
	memcpy(key->src, ip + 8, 16);
	memcpy(key->dst, ip + 24, 16);
	extent->at = be16(header + 2) & 0xfff8;
	extent->end = extent->at + p->layer[layer].end - p->frag_at - 8;
	extent->more = header[3] & 1;
}

// The layer that is a fragment.
static unsigned int layer_of(const struct packet *p)
{
	return p->meta.layer[0].ip_fragmented ? 0 : 1;
}

static void read_tunnel(const struct packet *p, struct frag_key *key)
{
	if (p->meta.layer[0].l3_type == L3_META_IPV6) {
		memcpy(key->from, p->base[REGION_IP6] + 8, 16);
		memcpy(key->to, p->base[REGION_IP6] + 24, 16);
	} else {
		memcpy(key->from, p->base[REGION_IP4] + 12, 4);
		memcpy(key->to, p->base[REGION_IP4] + 16, 4);
	}
	memcpy(&key->vni, p->base[REGION_VXLAN] + 4, 4);
}

// False: its headers contradict themselves or go beyond a datagram's size.
static bool read_extent(const struct packet *p, struct frag_key *key, struct extent *extent)
{
	unsigned int layer = layer_of(p);

	memset(key, 0, sizeof(*key));
	key->in_port = p->in_port;
	memcpy(&key->vlan, p->base[REGION_VLAN0], 2);
	key->vlan &= htons(0xfff);
	if (!p->meta.layer[0].l3_ok || !p->meta.layer[layer].l3_ok)
		return false;
	if (layer)
		read_tunnel(p, key);
	if (p->meta.layer[layer].l3_type == L3_META_IPV4)
		read_ip4(p, layer, key, extent);
	else
		read_ip6(p, layer, key, extent);
	return extent->end > extent->at && extent->end <= DATAGRAM && !(extent->more && (extent->end & 7));
}

// What the first fragment says of all. False: the header with the ports is not whole.
static bool learn(struct slot *s, const struct packet *p)
{
	const unsigned int layer = layer_of(p), base = layer * REGION_LAYER;
	const struct packet_layer *l = &p->layer[layer];

	switch (l->l4_proto) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_SCTP:
		if (!packet_has(p, base + REGION_L4))
			return false;
		memcpy(s->port, p->base[base + REGION_L4], 4);
		break;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		if (!packet_has(p, base + REGION_ICMP))
			return false;
		s->icmp_type = p->base[base + REGION_ICMP][0];
		memcpy(&s->port[0], p->base[base + REGION_ICMP] + 4, 2);
		s->port[1] = s->port[0];
		break;
	case 0: // IPv6: extension headers that do not end in it
		return false;
	default:
		break;
	}
	s->protocol = l->l4_proto;
	return true;
}

// --- Judging ----------------------------------------------------------------------------------------------------------

enum overlap { FRESH, TWICE, PARTLY };

// Marks the fragment's units as come, unless some of them have come before.
static enum overlap mark(struct slot *s, const struct extent *extent)
{
	unsigned int from = extent->at / 8, to = (extent->end + 7) / 8, before = 0;

	for (unsigned int pass = 0; pass < 2; pass++) {
		for (unsigned int unit = from; unit < to;) {
			unsigned int bit = unit & 63, n = 64 - bit < to - unit ? 64 - bit : to - unit;
			uint64_t bits = (n == 64 ? ~UINT64_C(0) : (UINT64_C(1) << n) - 1) << bit;

			if (pass)
				s->map[unit / 64] |= bits;
			else
				before += (unsigned int)__builtin_popcountll(s->map[unit / 64] & bits);
			unit += n;
		}
		if (before)
			return before == to - from ? TWICE : PARTLY;
	}
	s->units = (uint16_t)(s->units + to - from);
	return FRESH;
}

// Whether the fragment fits what is known of the datagram's length.
static bool fits(struct slot *s, const struct extent *extent)
{
	if (!extent->more) {
		if ((s->end && s->end != extent->end) || s->highest > extent->end)
			return false;
		s->end = extent->end;
	} else if (s->end && extent->end >= s->end) {
		return false;
	}
	if (extent->end > s->highest)
		s->highest = extent->end;
	return true;
}

static enum frag_verdict drop(struct packet *p, enum steer_drop reason)
{
	packet_drop(p, reason);
	return FRAG_DROPPED;
}

static enum frag_verdict hold(
	struct frag_table *t, struct slot *s, struct packet *p, void *held, uint32_t most)
{
	uint16_t index = t->free_node, port = s->key.in_port;

	if (index == NONE || s->nr_held >= FRAG_HELD_OF_DATAGRAM || t->nr_held >= most ||
		t->held_of_port[port] >= (most + 1) / 2)
		return drop(p, STEER_DROP_FRAGMENT_LOST);
	t->free_node = t->nodes[index].next;
	t->nodes[index] = (struct node){.back = {.held = held, .in_port = port}, .next = NONE};
	if (s->held_last != NONE && s->nr_held)
		t->nodes[s->held_last].next = index;
	else
		s->held_first = index;
	s->held_last = index;
	s->nr_held++;
	t->held_of_port[port]++;
	t->nr_held++;
	return FRAG_HELD;
}

static void begin(struct frag_table *t, struct slot *s, uint64_t tsc)
{
	list_remove(t, s);
	s->first = true;
	s->expires = tsc + t->life;
	list_add(t, s);
	give_back(t, s, STEER_DROP_NONE);
}

// The rest of the datagram is dropped for as long as the slot lives.
static enum frag_verdict spoil(struct frag_table *t, struct slot *s, struct packet *p)
{
	s->spoilt = true;
	give_back(t, s, STEER_DROP_FRAGMENT_OVERLAP);
	return drop(p, STEER_DROP_FRAGMENT_OVERLAP);
}

enum frag_verdict frag_judge(struct frag_table *t, struct packet *p, void *held, uint32_t most, uint64_t tsc)
{
	enum frag_verdict verdict = FRAG_GOES_ON;
	struct extent extent;
	struct frag_key key;
	unsigned int bucket;
	struct slot *s;

	if (!read_extent(p, &key, &extent))
		return drop(p, STEER_DROP_MALFORMED);
	bucket = bucket_of(t, &key);
	s = find(t, &key, bucket);
	if (!s)
		s = open_slot(t, &key, bucket, tsc);
	if (s->spoilt)
		return drop(p, STEER_DROP_FRAGMENT_OVERLAP);
	if (!extent.at && !s->first && !learn(s, p))
		return drop(p, STEER_DROP_MALFORMED);
	if (!fits(s, &extent))
		return spoil(t, s, p);
	switch (mark(s, &extent)) {
	case TWICE:
		return drop(p, STEER_DROP_FRAGMENT_OVERLAP);
	case PARTLY:
		return spoil(t, s, p);
	default:
		break;
	}
	if (!extent.at) {
		begin(t, s, tsc);
	} else if (s->first) {
		p->frag_protocol = s->protocol;
		p->frag_icmp_type = s->icmp_type;
		memcpy(p->frag_port, s->port, sizeof(p->frag_port));
	} else {
		verdict = hold(t, s, p, held, most);
	}
	if (s->first && s->end && s->units == (s->end + 7) / 8)
		release(t, s, STEER_DROP_NONE);
	return verdict;
}

// --- Time -------------------------------------------------------------------------------------------------------------

void frag_sweep(struct frag_table *t, uint64_t tsc)
{
	unsigned int done = 0;

	if (likely(!t->nr_slots) || tsc < t->next_sweep)
		return;
	for (unsigned int n = 0; n < STEER_PORT_MAX; n++) {
		struct list *lists[] = {&t->waiting[t->sweep_port], &t->known[t->sweep_port]};

		for (unsigned int i = 0; i < RTE_DIM(lists); i++)
			while (lists[i]->oldest != NONE && t->slots[lists[i]->oldest].expires <= tsc) {
				if (done++ == SWEEP_MAX)
					return;
				release(t, &t->slots[lists[i]->oldest], STEER_DROP_FRAGMENT_LOST);
			}
		t->sweep_port = (t->sweep_port + 1) % STEER_PORT_MAX;
	}
	t->next_sweep = tsc + t->sweep_every;
}

void frag_flush(struct frag_table *t)
{
	for (unsigned int i = 0; i < STEER_PORT_MAX; i++) {
		while (t->waiting[i].oldest != NONE)
			release(t, &t->slots[t->waiting[i].oldest], STEER_DROP_FRAGMENT_LOST);
		while (t->known[i].oldest != NONE)
			release(t, &t->slots[t->known[i].oldest], STEER_DROP_FRAGMENT_LOST);
	}
}

bool frag_back(struct frag_table *t, struct frag_back *back)
{
	uint16_t index = t->out_first;

	if (likely(index == NONE))
		return false;
	*back = t->nodes[index].back;
	t->out_first = t->nodes[index].next;
	if (t->out_first == NONE)
		t->out_last = NONE;
	t->nodes[index].next = t->free_node;
	t->free_node = index;
	t->nr_held--;
	return true;
}

uint32_t frag_held(const struct frag_table *t)
{
	return t->nr_held;
}

uint32_t frag_datagrams(const struct frag_table *t)
{
	return t->nr_slots;
}
