// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// POP_VLAN, PUSH_VLAN: the outermost tag.

#include <string.h>

#include "walk.h"

enum { MACS = 12, TAG = 4 };

static enum steer_drop pop_run(
	struct walker *w, struct packet *p, const struct action *a, const uint8_t *value)
{
	packet_refresh(p);
	if (!packet_has(p, REGION_VLAN0))
		return STEER_DROP_NONE;
	memmove(p->data + TAG, p->data, MACS);
	packet_pull(p, TAG);
	return STEER_DROP_NONE;
}

static enum steer_drop push_run(
	struct walker *w, struct packet *p, const struct action *a, const uint8_t *value)
{
	if (p->seg_len < MACS + 2 || !packet_push(p, TAG))
		return STEER_DROP_ACTION_FAILED;
	memmove(p->data, p->data + TAG, MACS);
	memcpy(p->data + MACS, value, TAG);
	return STEER_DROP_NONE;
}

static const struct action_kind pop = {
	.kind = STEER_ACT_POP_VLAN, .name = "pop vlan", .run = pop_run, .arg_bytes = 1};
static const struct action_kind push = {
	.kind = STEER_ACT_PUSH_VLAN, .name = "push vlan", .run = push_run, .arg_bytes = TAG};
ACTION_REGISTER(pop)
ACTION_REGISTER(push)
