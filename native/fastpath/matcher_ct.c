// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// CT pipes on the control side: the configuration checked, memory made, the last records after the end.

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>

#include "ct_control.h"
#include "ct_timers.h"
#include "rcu.h"

enum { CAPACITY_MOST = 1 << 24, TIMEOUT_MOST = 7 * 24 * 3600 * 1000, INTERVAL_MOST = 3600 * 1000 };

static const uint32_t default_ms[STEER_CT_TIMER_MAX] = {
#define DEFAULT_MS(timer, seconds) [STEER_CT_TIMER_##timer] = 1000 * (seconds),
	CT_TIMER_DEFAULTS(DEFAULT_MS)
#undef DEFAULT_MS
};

static bool meta_good(uint8_t u32)
{
	return u32 == STEER_CT_META_NONE || u32 < RTE_DIM(((struct packet_meta *)0)->u32);
}

static const char *check_cfg(const struct steer_ct_cfg *cfg)
{
	if (cfg->flags & ~(uint32_t)(STEER_CT_AUTONOMOUS | STEER_CT_PASS_INVALID) || cfg->pad[0] ||
		cfg->pad[1] || cfg->pad[2])
		return "unknown flags";
	if (!cfg->capacity || cfg->capacity > CAPACITY_MOST || cfg->denied_capacity > CAPACITY_MOST)
		return "an impossible number of connections or denials";
	if (!meta_good(cfg->zone_u32) || !meta_good(cfg->src_u32) || !meta_good(cfg->dst_u32) ||
		!meta_good(cfg->router_u32))
		return "a word of metadata that does not exist";
	if (cfg->full > STEER_CT_FULL_UNTRACKED)
		return "an unknown rule for a full table";
	for (unsigned int i = 0; i < STEER_CT_TIMER_MAX; i++)
		if (cfg->timeout_ms[i] > TIMEOUT_MOST)
			return "a time-out above a week";
	if (cfg->record_interval_ms > INTERVAL_MOST)
		return "more than an hour between records";
	if (cfg->adopt_window_ms > TIMEOUT_MOST)
		return "a window of adoption above a week";
	return NULL;
}

static const char *check_spec(const struct pipe *pipe)
{
	const struct steer_pipe_spec *spec = pipe->spec;

	if (spec->nr_match || spec->nr_templates || spec->monitor.flags)
		return "a CT pipe has no match, actions or monitor";
	if (spec->flags & (STEER_PIPE_ROOT | STEER_PIPE_RESIZABLE) || spec->domain != STEER_DOMAIN_DEFAULT)
		return "a CT pipe is not root, not resizable and not in egress";
	if (spec->fwd.type != STEER_FWD_PIPE || spec->fwd_miss.type != STEER_FWD_PIPE)
		return "a CT pipe forwards to a pipe for what is allowed, and its misses to the policy's "
		       "first pipe";
	if (spec->data_bytes != sizeof(struct steer_ct_cfg))
		return "the configuration of connection tracking has the wrong length";
	return NULL;
}

static void worker_fini_ct(struct ct_worker *cw)
{
	ct_table_fini(&cw->table);
	free(cw->scratch);
	free(cw->adopting);
	free(cw->records);
}

void ct_free(struct ct *ct)
{
	for (unsigned int i = 0; i < ct->nr_workers; i++)
		worker_fini_ct(&ct->worker[i]);
	free(ct->adopt);
	free(ct->ids);
	free(ct);
}

static int worker_init_ct(struct ct *ct, unsigned int index)
{
	struct ct_worker *cw = &ct->worker[index];
	uint32_t n = ct->nr_workers;

	cw->ct = ct;
	cw->index = index;
	cw->stats = &fp.workers[index].stats->ct;
	cw->now_ms = ct_ms(ct, rte_rdtsc());
	cw->scratch = table_alloc(FP_LOOKUP * sizeof(*cw->scratch));
	cw->adopting = table_alloc(2 * sizeof(*cw->adopting));
	cw->records = table_alloc(CT_RECORDS * sizeof(*cw->records));
	if (!cw->scratch || !cw->adopting || !cw->records)
		return -ENOMEM;
	return ct_table_init(&cw->table, (ct->cfg.capacity + n - 1) / n,
		(ct->cfg.denied_capacity + n - 1) / n, (uint32_t)(cw->now_ms >> CT_TICK_SHIFT));
}

static int first_window(struct ct *ct)
{
	if (!ct->cfg.adopt_window_ms)
		return 0;
	ct->adopt = calloc(1, sizeof(*ct->adopt) + sizeof(ct->adopt->window[0]));
	if (!ct->adopt)
		return -ENOMEM;
	ct->adopt->nr = 1;
	ct->adopt->window[0].until_ms = ct_ms(ct, rte_rdtsc()) + ct->cfg.adopt_window_ms;
	return 0;
}

static int build(struct ct *ct)
{
	const struct steer_ct_cfg *cfg = &ct->cfg;
	bool ids = cfg->id_max_connections || cfg->id_max_half_open || cfg->id_max_new_per_second;
	int err = 0;

	ct->limited = ids || cfg->max_half_open || cfg->max_new_per_second;
	for (unsigned int i = 0; i < STEER_CT_TIMER_MAX; i++)
		ct->timeout_ms[i] = cfg->timeout_ms[i] ? cfg->timeout_ms[i] : default_ms[i];
	ct->tsc_base = rte_rdtsc();
	ct->tsc_scale = (uint64_t)(((unsigned __int128)1000 << 64) / rte_get_tsc_hz());
	if (ids)
		ct->ids = table_alloc(CT_ID_SLOTS * sizeof(*ct->ids));
	if (ids && !ct->ids)
		return -ENOMEM;
	for (unsigned int i = 0; i < ct->nr_workers && !err; i++)
		err = worker_init_ct(ct, i);
	return err ? err : first_window(ct);
}

static int ct_create(struct pipe *pipe, struct why *why)
{
	const char *wrong = check_spec(pipe);
	static uint32_t serial;
	struct steer_ct_cfg cfg;
	struct ct *ct;

	if (wrong)
		return why_set(why, STEER_WHY_MALFORMED, -EINVAL, "pipe '%s': %s", pipe->spec->name, wrong);
	memcpy(&cfg, (const uint8_t *)pipe->spec + pipe->spec->bytes - RTE_ALIGN_CEIL(sizeof(cfg), 8u),
		sizeof(cfg));
	wrong = check_cfg(&cfg);
	if (wrong)
		return why_set(why, STEER_WHY_MALFORMED, -EINVAL, "pipe '%s': %s", pipe->spec->name, wrong);
	if (!(cfg.flags & STEER_CT_AUTONOMOUS))
		return why_set(why, STEER_WHY_UNSUPPORTED, -ENOTSUP,
			"pipe '%s': only autonomous connection tracking", pipe->spec->name);
	if (ct_present)
		return why_set(why, STEER_WHY_UNSUPPORTED, -ENOTSUP,
			"pipe '%s': there is an autonomous CT pipe already, '%s'", pipe->spec->name,
			ct_present->pipe->spec->name);
	ct = table_alloc(sizeof(*ct));
	if (!ct)
		return why_set(why, STEER_WHY_NO_MEMORY, -ENOMEM, "no memory for the pipe");
	ct->cfg = cfg;
	ct->pipe = pipe;
	ct->session = pipe->space->session;
	ct->serial = ++serial ? serial : ++serial;
	ct->nr_workers = fp.nr_workers;
	if (build(ct)) {
		ct_free(ct);
		return why_set(why, STEER_WHY_NO_MEMORY, -ENOMEM, "pipe '%s': no memory for %u connections",
			pipe->spec->name, cfg.capacity);
	}
	pipe->table = ct;
	fp_publish(&ct_in_force.revision, cfg.revision);
	fp_publish(&ct_present, ct);
	return 0;
}

static void ct_retire(struct pipe *pipe)
{
	if (ct_present != pipe->table)
		return;
	fp_publish(&ct_present, NULL);
	// They say so in their statistics.
	for (unsigned int i = 0; i < fp.nr_workers; i++)
		worker_wake(&fp.workers[i]);
}

static void ct_destroy(struct pipe *pipe)
{
	ct_retire(pipe); // it was never reached
	ct_bury(pipe->table);
}

static int ct_link(struct pipe *pipe, struct entry *e, struct why *why)
{
	return why_set(why, STEER_WHY_UNSUPPORTED, -ENOTSUP,
		"pipe '%s': connections come by themselves, there are no entries to add", pipe->spec->name);
}

static int ct_replace(struct pipe *pipe, struct entry *old, struct entry *e, struct why *why)
{
	return ct_link(pipe, e, why);
}

static void ct_unlink(struct pipe *pipe, struct entry *e)
{
	// Nothing was linked.
}

static const struct matcher ct = {
	.type = STEER_PIPE_CT,
	.name = "ct",
	.layout = KEY_IN_ORDER,
	.create = ct_create,
	.retire = ct_retire,
	.destroy = ct_destroy,
	.link = ct_link,
	.replace = ct_replace,
	.unlink = ct_unlink,
};
MATCHER_REGISTER(ct)
