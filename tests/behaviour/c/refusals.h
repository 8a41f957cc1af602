// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// What the programs of the negative table share: a call and the code and sentence that it must be refused with.
#pragma once

#include <stdio.h>

#include "rig.h"

enum { PIPE_ENTRIES = 4 };

// A call was refused as it should, and the sentence tells where. pipe, field and rule may be NULL.
static inline void refused(const char *what, doca_error_t got, doca_error_t code, const char *pipe,
	const char *field, const char *words)
{
	const char *text = doca_flow_ringfield_last_error();
	struct doca_flow_ringfield_error error;

	doca_flow_ringfield_last_error_get(&error);
	if (!ok(got == code, "%s: %s", what, doca_error_get_name(code))) {
		printf("# got %s: %s\n", doca_error_get_name(got), text);
		return;
	}
	ok(error.code == code && strlen(error.reason) > 10 &&
			(!pipe || (!strcmp(error.pipe, pipe) && strstr(text, pipe))) &&
			(!field || strstr(text, field)) && (!words || strstr(text, words)),
		"says so: %s", text);
}

// -- pipes ------------------------------------------------------------------------------------------------------------

// A pipe that is valid until a line changes it.
struct draft {
	struct rig_pipe p;
	struct doca_flow_match match, mask;
	struct doca_flow_actions actions, actions_mask;
	struct doca_flow_monitor monitor;
	struct doca_flow_action_desc desc;
	struct doca_flow_action_descs descs;
	struct doca_flow_port *port;
	uint16_t queues[2];
};

static inline void draft_valid(struct draft *d)
{
	*d = (struct draft){.port = rig.port[0], .match = rig_tuple_match(true)};
	d->p.name = "DRAFT";
	d->p.match = &d->match;
	d->p.nr_entries = PIPE_ENTRIES;
	d->p.fwd = rig_fwd_port(1);
	d->p.fwd_miss = rig_fwd_drop();
	d->descs.nb_action_desc = 1;
	d->descs.desc_array = &d->desc;
	d->desc.type = DOCA_FLOW_ACTION_COPY;
	d->desc.field_op.src.field_string = "outer.ipv4.src_ip";
	d->desc.field_op.dst.field_string = "outer.ipv4.dst_ip";
	d->desc.field_op.width = 32;
}

static inline doca_error_t draft_create(struct draft *d)
{
	struct doca_flow_pipe *pipe = NULL;
	doca_error_t code = rig_pipe_try(d->port, &d->p, &pipe);

	if (code == DOCA_SUCCESS)
		doca_flow_pipe_destroy(pipe);
	return code;
}

#define PIPE(code, field, words, ...)                                                               \
	do {                                                                                        \
		struct draft d;                                                                     \
		draft_valid(&d);                                                                    \
		__VA_ARGS__;                                                                        \
		refused(#__VA_ARGS__, draft_create(&d), DOCA_ERROR_##code, d.p.name, field, words); \
	} while (0)

#define CALL(code, field, call)        refused(#call, call, DOCA_ERROR_##code, NULL, field, NULL)
#define ENTRY(code, pipe, field, call) refused(#call, call, DOCA_ERROR_##code, pipe, field, NULL)
