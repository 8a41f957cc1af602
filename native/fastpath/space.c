// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Spaces: a session's id table of entries, its pipes and its shared resources.

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>

#include "pipe_private.h"
#include "rcu.h"

int space_create(uint32_t session, struct space **out)
{
	struct space *space = calloc(1, sizeof(*space));

	if (space)
		space->tables = calloc(1, sizeof(*space->tables));
	if (!space || !space->tables) {
		free(space);
		return -ENOMEM;
	}
	space->session = session;
	TAILQ_INIT(&space->aging);
	TAILQ_INIT(&space->tables->pipes);
	*out = space;
	return 0;
}

// --- Counters -----------------------------------------------------------------------------------------------------

static uint32_t unclaimed(const struct space *space, uint32_t reserve)
{
	return reserve > space->nr_counters ? reserve - space->nr_counters : 0;
}

int space_reserve(struct space *space, uint32_t nr_counters)
{
	uint32_t now = unclaimed(space, space->reserve), wanted = unclaimed(space, nr_counters);

	if (nr_counters > INT32_MAX || (wanted > now && wanted - now > counter_unreserved()))
		return -ENOSPC;
	counter_reserve((int32_t)wanted - (int32_t)now);
	space->reserve = nr_counters;
	return 0;
}

uint32_t space_counter(struct space *space)
{
	uint32_t slot = unclaimed(space, space->reserve) ? counter_claim() : counter_alloc();

	space->nr_counters += slot != STEER_COUNTER_NONE;
	return slot;
}

void space_counter_free(struct space *space, uint32_t slot)
{
	if (slot == STEER_COUNTER_NONE)
		return;
	counter_free(slot);
	space->nr_counters--;
	counter_reserve(unclaimed(space, space->reserve) ? 1 : 0);
}

static void shared_free(void *arg)
{
	struct shared *s = arg;

	if (s->set.type == STEER_SHARED_COUNTER)
		space_counter_free(s->space, s->counter);
	free(s->meter);
	free(s);
}

static void space_free(void *arg)
{
	struct space *space = arg;
	struct space_tables *t = space->tables;

	for (unsigned int type = 0; type < STEER_SHARED_MAX; type++)
		for (unsigned int i = 0; i < SHARED_IDS / SHARED_PAGE; i++) {
			for (unsigned int k = 0; t->shared[type][i] && k < SHARED_PAGE; k++)
				if (t->shared[type][i]->slot[k])
					shared_free(t->shared[type][i]->slot[k]);
			free(t->shared[type][i]);
		}
	for (unsigned int i = 0; i < RTE_DIM(t->entries); i++)
		free(t->entries[i]);
	free(t);
	free(space);
}

void space_destroy(struct space *space)
{
	struct pipe *pipe;

	if (!space)
		return;
	if (space->txn)
		txn_abort(space);
	while ((pipe = TAILQ_FIRST(&space->tables->pipes)))
		pipe_discard(pipe);
	space_reserve(space, 0);
	rcu_defer(space_free, space);
}

struct entry **space_slot(struct space *space, uint32_t id, bool make)
{
	struct entry ***page;

	if (id >= STEER_ENTRY_ID_MAX)
		return NULL;
	page = &space->tables->entries[id / ENTRY_PAGE];
	if (!*page && make)
		*page = calloc(ENTRY_PAGE, sizeof(**page));
	return *page ? &(*page)[id % ENTRY_PAGE] : NULL;
}

// --- Shared resources ---------------------------------------------------------------------------------------------

static int check(const struct steer_shared_set *set, struct why *why)
{
	if (set->type >= STEER_SHARED_MAX || set->id >= SHARED_IDS)
		return why_set(why, STEER_WHY_MALFORMED, -EINVAL,
			"shared resource of unknown type, or id %u out of range", set->id);
	if ((set->type == STEER_SHARED_ENCAP || set->type == STEER_SHARED_DECAP) &&
		set->data_length > STEER_ENCAP_MAX)
		return why_set(why, STEER_WHY_MALFORMED, -EINVAL, "shared encap %u: a header of %u bytes",
			set->id, set->data_length);
	if (set->type == STEER_SHARED_ENCAP && (set->data_length < 14 || set->tunnel >= STEER_TUN_MAX))
		return why_set(why, STEER_WHY_MALFORMED, -EINVAL, "shared encap %u: no header", set->id);
	if (set->type == STEER_SHARED_DECAP && !(set->flags & STEER_ACT_L2) && set->data_length < 14)
		return why_set(why, STEER_WHY_MALFORMED, -EINVAL,
			"shared decap %u: an L3 tunnel needs an Ethernet header to put in front", set->id);
	return 0;
}

static struct shared **slot_of(struct space *space, unsigned int type, uint32_t id)
{
	struct shared_page **page = &space->tables->shared[type][id / SHARED_PAGE];

	if (!*page) {
		struct shared_page *fresh = calloc(1, sizeof(*fresh));

		if (!fresh)
			return NULL;
		fp_publish(page, fresh);
	}
	return &(*page)->slot[id % SHARED_PAGE];
}

static int meter_new(struct shared *s, struct why *why)
{
	s->meter = table_alloc(sizeof(*s->meter));
	if (!s->meter)
		return why_set(why, STEER_WHY_NO_MEMORY, -ENOMEM, "no memory");
	if (meter_init(s->meter, &s->set.meter, fp.tsc_hz, rte_rdtsc()))
		return why_set(
			why, STEER_WHY_NO_METER, -EINVAL, "shared meter %u: impossible parameters", s->id);
	return 0;
}

int shared_set(struct space *space, const struct steer_shared_set *set, struct why *why)
{
	struct shared **slot, *s, *old;
	int err = check(set, why);

	if (err)
		return err;
	slot = slot_of(space, set->type, set->id);
	s = calloc(1, sizeof(*s));
	if (!slot || !s) {
		free(s);
		return why_set(why, STEER_WHY_NO_MEMORY, -ENOMEM, "no memory");
	}
	old = *slot;
	s->space = space;
	s->id = set->id;
	s->set = *set;
	s->counter = STEER_COUNTER_NONE;
	if (set->type == STEER_SHARED_METER) {
		// Entries point at the meter itself: with any there it is not changed under them.
		if (old && old->references)
			err = why_set(why, STEER_WHY_NO_SHARED, -EBUSY,
				"shared meter %u is in use by %u entries", set->id, old->references);
		else
			err = meter_new(s, why);
	} else if (set->type == STEER_SHARED_COUNTER) {
		s->counter = old ? old->counter : space_counter(space);
		if (s->counter == STEER_COUNTER_NONE)
			err = why_set(why, STEER_WHY_NO_COUNTER, -ENOSPC, "no counter left");
	}
	if (err) {
		free(s->meter);
		free(s);
		return err;
	}
	if (old) {
		s->references = old->references;
		if (set->type == STEER_SHARED_COUNTER)
			old->counter = STEER_COUNTER_NONE; // handed over
	}
	fp_publish(slot, s);
	if (old)
		rcu_defer(shared_free, old);
	return 0;
}

int shared_get(struct space *space, uint32_t type, uint32_t id, struct steer_shared_info *info)
{
	struct shared *s = type < STEER_SHARED_MAX ? shared_find(space, type, id) : NULL;

	if (!s)
		return -ENOENT;
	*info = (struct steer_shared_info){
		.type = type, .id = id, .counter = s->counter, .references = s->references};
	return 0;
}

int shared_remove(struct space *space, uint32_t type, uint32_t id, struct why *why)
{
	struct shared *s = type < STEER_SHARED_MAX ? shared_find(space, type, id) : NULL;

	if (!s)
		return why_set(why, STEER_WHY_NO_SHARED, -ENOENT, "there is no such shared resource %u", id);
	if (s->references)
		return why_set(why, STEER_WHY_NO_SHARED, -EBUSY, "shared resource %u is used by %u entries",
			id, s->references);
	fp_publish(&space->tables->shared[type][id / SHARED_PAGE]->slot[id % SHARED_PAGE], NULL);
	rcu_defer(shared_free, s);
	return 0;
}
