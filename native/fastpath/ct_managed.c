// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Managed CT pipes: connections that the client adds, each direction an ordinary entry with its own actions, counter and
// forward. An exact table for each IP version; a packet is looked up by zone, addresses, ports and protocol of its outer or
// inner headers. Where the two directions differ in what they look at, a packet is looked up as origin first, then as reply.

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "exact.h"
#include "walk.h"

enum {
	KEY4_BYTES = 32, // of struct steer_ct_key
	KEY6_BYTES = 48,
	IP4_ADDRESSES = 12, // where they are in the header
	IP6_ADDRESSES = 8,
	PROTOCOL_TCP = 6,
	PROTOCOL_UDP = 17,
};

_Static_assert(sizeof(struct steer_ct_key) == KEY6_BYTES, "a key of whole 16 byte words");

struct managed {
	struct exact *exact[2]; // IPv4, IPv6
	struct steer_ct_direction direction[2];
	unsigned int nr_directions; // 1: both look at the same
};

static unsigned int key_bytes(unsigned int six)
{
	return six ? KEY6_BYTES : KEY4_BYTES;
}

// --- Control side -------------------------------------------------------------------------------------------------

static bool direction_valid(const struct steer_ct_direction *d)
{
	if (d->inner > 1)
		return false;
	if (d->zone_field == STEER_F_NONE)
		return !d->zone_mask;
	return d->zone_field >= STEER_F_META_PKT && d->zone_field <= STEER_F_META_U32_9;
}

static int managed_create(struct pipe *pipe, struct why *why)
{
	const struct steer_pipe_spec *spec = pipe->spec;
	struct steer_ct_managed cfg;
	struct managed *m;

	if (spec->nr_match || spec->data_bytes < sizeof(struct steer_ct_cfg) + sizeof(cfg))
		return why_set(why, STEER_WHY_MALFORMED, -EINVAL,
			"pipe '%s': a managed CT pipe is told by its data area, not by match fields",
			spec->name);
	memcpy(&cfg,
		(const uint8_t *)spec + spec->bytes - RTE_ALIGN_CEIL(spec->data_bytes, 8u) +
			sizeof(struct steer_ct_cfg),
		sizeof(cfg));
	if (!direction_valid(&cfg.direction[0]) || !direction_valid(&cfg.direction[1]))
		return why_set(why, STEER_WHY_MALFORMED, -EINVAL,
			"pipe '%s': impossible zone or headers of a direction", spec->name);
	m = calloc(1, sizeof(*m));
	if (!m)
		return why_set(why, STEER_WHY_NO_MEMORY, -ENOMEM, "no memory for the pipe");
	pipe->table = m;
	memcpy(m->direction, cfg.direction, sizeof(m->direction));
	m->nr_directions = memcmp(&m->direction[0], &m->direction[1], sizeof(m->direction[0])) ? 2 : 1;
	for (unsigned int six = 0; six < 2; six++) {
		uint32_t capacity = RTE_MIN(cfg.capacity[six], spec->nr_entries);
		int err = exact_create(&m->exact[six], RTE_MAX(capacity, 16u), key_bytes(six));

		if (err)
			return why_set(why, STEER_WHY_NO_MEMORY, err,
				"no memory for a table of %u connections", capacity);
	}
	return 0;
}

static void managed_destroy(struct pipe *pipe)
{
	struct managed *m = pipe->table;

	exact_destroy(m->exact[0]);
	exact_destroy(m->exact[1]);
	free(m);
}

// The key as packets have it; false when no packet could.
static bool key_of(const struct managed *m, const struct entry *e, struct steer_ct_key *key)
{
	unsigned int address;

	memcpy(key, entry_key(e), sizeof(*key));
	if ((key->version != 4 && key->version != 6) || key->direction >= m->nr_directions)
		return false;
	address = key->version == 6 ? 32 : 8;
	key->zone &= m->direction[key->direction].zone_mask;
	memset(key->pad, 0, sizeof(key->pad));
	memset(key->address + address, 0, sizeof(key->address) - address);
	return true;
}

static int managed_link(struct pipe *pipe, struct entry *e, struct why *why)
{
	struct managed *m = pipe->table;
	struct steer_ct_key key __attribute__((aligned(16)));
	int err;

	if (!key_of(m, e, &key))
		return why_set(why, STEER_WHY_MALFORMED, -EINVAL, "a malformed connection");
	err = exact_link(m->exact[key.version == 6], &key, e);
	if (err == -EEXIST)
		return why_set(why, STEER_WHY_DUPLICATE_KEY, err, "this connection is there already");
	return err ? why_set(why, STEER_WHY_NO_MEMORY, err, "no memory for the connection") : 0;
}

static int managed_replace(struct pipe *pipe, struct entry *old, struct entry *e, struct why *why)
{
	struct managed *m = pipe->table;
	struct steer_ct_key key __attribute__((aligned(16)));

	if (!key_of(m, old, &key))
		return why_set(why, STEER_WHY_MALFORMED, -EINVAL, "a malformed connection");
	return exact_replace(m->exact[key.version == 6], &key, old, e);
}

static void managed_unlink(struct pipe *pipe, struct entry *e)
{
	struct managed *m = pipe->table;
	struct steer_ct_key key __attribute__((aligned(16)));

	if (key_of(m, e, &key))
		exact_unlink(m->exact[key.version == 6], &key, e);
}

// --- Worker side --------------------------------------------------------------------------------------------------

// Whether the packet can be of a connection: TCP or UDP, and not a later fragment, which has no ports.
static inline bool eligible(const struct packet *p, unsigned int inner, unsigned int six)
{
	const struct packet_layer *layer = &p->layer[inner];

	return p->meta.layer[inner].l3_type == (six ? L3_META_IPV6 : L3_META_IPV4) && layer->first &&
	       layer->l4 && (layer->l4_proto == PROTOCOL_TCP || layer->l4_proto == PROTOCOL_UDP);
}

static inline void packet_key(const struct packet *p, const struct steer_ct_direction *d,
	unsigned int direction, unsigned int six, struct steer_ct_key *key)
{
	unsigned int layer = d->inner * REGION_LAYER;
	const uint8_t *l4 = p->base[REGION_L4 + layer];

	memset(key, 0, key_bytes(six));
	if (d->zone_mask) {
		memcpy(&key->zone,
			p->base[field_places[d->zone_field].region] + field_places[d->zone_field].offset,
			sizeof(key->zone));
		key->zone &= d->zone_mask;
	}
	memcpy(&key->src_port, l4, sizeof(key->src_port));
	memcpy(&key->dst_port, l4 + 2, sizeof(key->dst_port));
	key->protocol = p->layer[d->inner].l4_proto;
	key->version = six ? 6 : 4;
	key->direction = (uint8_t)direction;
	if (six)
		memcpy(key->address, p->base[REGION_IP6 + layer] + IP6_ADDRESSES, 32);
	else
		memcpy(key->address, p->base[REGION_IP4 + layer] + IP4_ADDRESSES, 8);
}

// The packets that have no entry yet, of one IP version, as one direction.
static void lookup_as(struct walker *w, const struct managed *m, unsigned int direction, unsigned int six,
	struct packet **packets, unsigned int n)
{
	const struct steer_ct_direction *d = &m->direction[direction];
	struct packet *mine[FP_LOOKUP];
	unsigned int nr = 0, bytes = key_bytes(six);

	for (unsigned int i = 0; i < n; i++) {
		if (packets[i]->hit || !eligible(packets[i], d->inner, six))
			continue;
		packet_key(packets[i], d, direction, six, (void *)(w->keys + nr * bytes));
		w->key_at[nr] = w->keys + nr * bytes;
		mine[nr++] = packets[i];
	}
	if (!nr)
		return;
	exact_lookup(m->exact[six], w->key_at, nr, w->found);
	for (unsigned int i = 0; i < nr; i++)
		mine[i]->hit = entry_visible(w->found[i], w->revision);
}

static void managed_lookup(struct walker *w, const struct pipe *pipe, struct packet **packets, unsigned int n)
{
	const struct managed *m = pipe->table;

	for (unsigned int i = 0; i < n; i++)
		packets[i]->hit = NULL;
	for (unsigned int direction = 0; direction < m->nr_directions; direction++) {
		lookup_as(w, m, direction, 0, packets, n);
		lookup_as(w, m, direction, 1, packets, n);
	}
}

static const struct matcher managed = {
	.type = MATCHER_CT_MANAGED,
	.name = "ct managed",
	.layout = KEY_MERGED,
	.create = managed_create,
	.destroy = managed_destroy,
	.link = managed_link,
	.replace = managed_replace,
	.unlink = managed_unlink,
	.lookup = managed_lookup,
};
MATCHER_REGISTER(managed)
