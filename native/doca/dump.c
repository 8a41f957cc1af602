// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

// doca_flow_pipe_dump(): a pipe's template as text.

#include <stdio.h>
#include <string.h>

#include "fwd.h"

static const char *const types[] = {"BASIC", "CONTROL", "LPM", "CT", "ACL", "ORDERED_LIST", "HASH"};
static const char *const domains[] = {"DEFAULT", "SECURE_INGRESS", "EGRESS", "SECURE_EGRESS"};
static const char *const kinds[] = {"constant", "changeable", "prefix", "acl"};
static const char *const actions[STEER_ACT_MAX] = {"none", "set", "add", "add field", "copy", "pop vlan",
	"push vlan", "decap", "encap", "shared encap", "shared decap", "nat64", "count", "meter"};

static void put_bytes(FILE *f, const uint8_t *bytes, unsigned int nr)
{
	fputs("0x", f);
	while (nr--)
		fprintf(f, "%02x", *bytes++);
}

static void dump_match(const struct match_template *match, FILE *f)
{
	for (unsigned int i = 0; i < match->nr_fields; i++) {
		const struct match_field *field = &match->fields[i];

		fprintf(f, "  match %s %s", field_name(field->field), kinds[field->kind]);
		if (field->kind == STEER_MATCH_CONSTANT) {
			fputs(" value ", f);
			put_bytes(f, field->value, field->bytes);
		}
		fputs(" mask ", f);
		put_bytes(f, field->mask, field->bytes);
		fputc('\n', f);
	}
}

static void dump_template(const struct action_template *template, unsigned int index, FILE *f)
{
	for (unsigned int i = 0; i < template->nr_actions; i++) {
		const struct steer_action *action = &template->actions[i];

		fprintf(f, "  actions[%u] %s", index, actions[action->kind]);
		if (action->field)
			fprintf(f, " %s", field_name(action->field));
		if (action->src_field)
			fprintf(f, " from %s bit %u to bit %u width %u", field_name(action->src_field),
				action->src_bit, action->dst_bit, action->width);
		if (action->flags & STEER_ACT_CHANGEABLE) {
			fputs(" changeable", f);
		} else if (action->field && !action->src_field) {
			fputs(" value ", f);
			put_bytes(f, action->value, field_bytes(action->field));
		}
		fputc('\n', f);
	}
}

static void dump_monitor(const struct steer_monitor *monitor, FILE *f)
{
	static const struct {
		uint32_t flag;
		const char *name;
	} names[] = {{STEER_MON_COUNTER, "counter"}, {STEER_MON_SHARED_COUNTER, "shared-counter"},
		{STEER_MON_METER, "meter"}, {STEER_MON_SHARED_METER, "shared-meter"},
		{STEER_MON_AGING, "aging"}};

	if (!monitor->flags)
		return;
	fputs("  monitor", f);
	for (unsigned int i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (monitor->flags & names[i].flag)
			fprintf(f, " %s", names[i].name);
	fputc('\n', f);
}

void doca_flow_pipe_dump(struct doca_flow_pipe *pipe, FILE *f)
{
	char text[64];

	if (!pipe || !f) {
		(void)refuse_argument(__func__, "pipe", "an argument is NULL");
		return;
	}
	flow_lock();
	fprintf(f, "pipe %s number %u type %s domain %s%s%s port %u entries %u of %u\n",
		pipe->name[0] ? pipe->name : "-", pipe->number, types[pipe->type], domains[pipe->domain],
		pipe->is_root ? " root" : "", pipe->is_resizable ? " resizable" : "", pipe->port->id,
		__atomic_load_n(&pipe->used, __ATOMIC_RELAXED), pipe->nr_entries);
	dump_match(&pipe->match, f);
	for (unsigned int i = 0; i < pipe->nr_templates; i++)
		dump_template(&pipe->templates[i], i, f);
	dump_monitor(&pipe->wire_monitor, f);
	fprintf(f, "  fwd %s\n",
		pipe->fwd_open == FWD_FIXED ? fwd_text(&pipe->fwd, text, sizeof(text)) : "changeable");
	fprintf(f, "  fwd_miss %s\n",
		pipe->fwd_miss.type ? fwd_text(&pipe->fwd_miss, text, sizeof(text))
				    : "default miss of the port");
	flow_unlock();
}
