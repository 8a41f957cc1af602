// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// One packet at one pipe, once it is known what it hits: counters, meter, actions and forward of an entry, or a miss. Part
// of the walk (walk_core.h), and compiled twice as that is.
#pragma once

#include "answer.h"
#include "rss.h"
#include "walk.h"

static __rte_always_inline void core_count(
	struct walker *w, const struct packet *p, uint32_t slot, const bool live)
{
	if (live && slot != STEER_COUNTER_NONE)
		walker_count(w, p, slot);
}

static inline void core_to_software(struct packet *p, enum steer_packet_kind kind, uint16_t queue)
{
	p->verdict = PACKET_SOFTWARE;
	p->kind = (uint8_t)kind;
	p->queue = queue;
}

// The default miss of the port that the packet came in on.
static inline void core_default_miss(struct walker *w, struct packet *p, const bool live)
{
	const struct fp_port *port = &fp.ports[p->in_port];

	core_count(w, p, fp_read(&port->miss_counter), live);
	switch (fp_read(&port->default_miss)) {
	case STEER_MISS_RSS:
		core_to_software(p, STEER_PKT_RSS, rss_default_queue(p, fp_read(&port->nr_rss_queues)));
		break;
	case STEER_MISS_KERNEL:
		core_to_software(p, STEER_PKT_KERNEL, 0);
		break;
	default:
		packet_drop(p, STEER_DROP_DEFAULT_MISS);
		break;
	}
}

static inline void core_to_port(struct walker *w, struct packet *p, uint16_t port)
{
	struct pipe *root;

	if (unlikely(port >= STEER_PORT_MAX || !fp_read(&fp.ports[port].present))) {
		packet_drop(p, STEER_DROP_BAD_FWD);
		return;
	}
	if (p->domain == STEER_DOMAIN_EGRESS) {
		// From here a packet leaves by the port it is on, or by another one of the same switch.
		if (port != p->out_port &&
			fp_read(&fp.ports[port].root_port) != fp_read(&fp.ports[p->out_port].root_port)) {
			packet_drop(p, STEER_DROP_BAD_FWD);
			return;
		}
		p->out_port = port;
		p->verdict = PACKET_SEND;
		return;
	}
	p->out_port = port;
	root = root_visible(fp_read(&fp.ports[port].root_port), STEER_DOMAIN_EGRESS, w->revision);
	if (!root) {
		p->verdict = PACKET_SEND;
		return;
	}
	p->domain = STEER_DOMAIN_EGRESS;
	p->pipe = root;
}

// All forwards but the two that most packets take.
static __rte_noinline void core_forward_rare(
	struct walker *w, struct packet *p, const struct fwd *fwd, const bool live)
{
	switch (fwd->type) {
	case STEER_FWD_DROP:
		packet_drop(p, fwd->index ? fwd->index : STEER_DROP_PIPE);
		break;
	case STEER_FWD_REJECT:
		packet_drop(p, fwd->index ? fwd->index : STEER_DROP_POLICY);
		p->reject = 1;
		break;
	case STEER_FWD_ANSWER:
		if (answer_neighbour(p))
			packet_drop(p, STEER_DROP_LINK_CONTROL);
		break;
	case STEER_FWD_RSS:
		packet_refresh(p);
		core_to_software(p, STEER_PKT_RSS, rss_queue(p, fwd->rss));
		break;
	case STEER_FWD_KERNEL:
		core_to_software(p, STEER_PKT_KERNEL, 0);
		break;
	case STEER_FWD_ORDERED_LIST:
		p->pipe = fwd->pipe;
		p->index = fwd->index;
		break;
	case STEER_FWD_HASH:
		p->pipe = fwd->pipe;
		p->algorithm = fwd->algorithm;
		break;
	case STEER_FWD_NONE:
		core_default_miss(w, p, live);
		break;
	default:
		packet_drop(p, STEER_DROP_BAD_FWD);
		break;
	}
	if (!live)
		record_after(w, p, fwd);
}

static __rte_always_inline void core_forward(
	struct walker *w, struct packet *p, const struct fwd *fwd, const bool live)
{
	if (likely(fwd->type == STEER_FWD_PIPE)) {
		p->pipe = fwd->pipe;
		p->algorithm = STEER_HASH_DEFAULT;
	} else if (likely(fwd->type == STEER_FWD_PORT)) {
		core_to_port(w, p, fwd->port);
	} else {
		core_forward_rare(w, p, fwd, live);
		return;
	}
	if (!live)
		record_after(w, p, fwd);
}

static inline bool core_meter(struct walker *w, struct packet *p, const struct entry *e, const bool live)
{
	uint8_t in = e->bits & ENTRY_METER_SHARED ? e->init_color : METER_GREEN;

	p->meta.meter_color = meter_color(e->meter, w->tsc, p->frame_len, in, live);
	return p->meta.meter_color != METER_RED || (e->bits & ENTRY_METER_SHARED);
}

static inline enum steer_drop core_actions(
	struct walker *w, struct packet *p, const struct entry *e, const bool live)
{
	const struct program *program = e->program;

	for (unsigned int i = 0; i < program->nr; i++) {
		const struct action *a = &program->actions[i];
		enum steer_drop why =
			a->run(w, p, a, a->flags & STEER_ACT_CHANGEABLE ? e->args + a->arg_offset : a->value);

		if (!live)
			record_action(w, p, a);
		if (unlikely(why))
			return why;
	}
	return STEER_DROP_NONE;
}

// match -> monitor -> actions -> forward
static __rte_always_inline void core_entry(
	struct walker *w, struct packet *p, const struct entry *e, const bool live)
{
	enum steer_drop why = STEER_DROP_NONE;

	core_count(w, p, e->counter, live);
	core_count(w, p, e->shared_counter, live);
	if (unlikely(e->bits & (ENTRY_TAGGED | ENTRY_METERED))) {
		if (e->bits & ENTRY_TAGGED)
			p->tag = e->rec->tag;
		if (e->bits & ENTRY_METERED && !core_meter(w, p, e, live))
			why = STEER_DROP_METER_RED;
	}
	if (likely(!why) && e->program)
		why = core_actions(w, p, e, live);
	if (unlikely(why)) {
		packet_drop(p, why);
		if (!live)
			record_after(w, p, &e->fwd);
		return;
	}
	core_forward(w, p, &e->fwd, live);
}

static inline void core_miss(struct walker *w, struct packet *p, struct pipe *pipe, const bool live)
{
	const struct fwd *fwd;

	core_count(w, p, fp_read(&pipe->miss_counter), live);
	if (pipe->type == STEER_PIPE_HASH || pipe->type == STEER_PIPE_ORDERED_LIST) {
		packet_drop(p, STEER_DROP_HASH_EMPTY);
		return;
	}
	fwd = walk_miss_of(w, pipe);
	if (fwd)
		core_forward(w, p, fwd, live);
	else
		core_default_miss(w, p, live);
}

// A forward into the egress domain: the packet is on its way out of that pipe's port. It stays on its way out, also when
// egress hands it to a pipe of ingress.
static inline void core_enter(struct packet *p, const struct pipe *pipe)
{
	if (unlikely(p->domain != pipe->domain && p->domain == STEER_DOMAIN_DEFAULT)) {
		p->domain = pipe->domain;
		p->out_port = pipe->port;
	}
}
