// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

#include "decode.h"

int work_take(struct ring_consumer *ring, struct work_entry *entry)
{
	struct steer_record header;
	const void *place;
	int status = ring_front(ring, &header, &place);

	if (status <= 0)
		return status;
	if (header.length > STEER_RECORD_MAX)
		return -EBADMSG;
	memcpy(entry->bytes, place, header.length);
	// The client may have changed the header since we looked at it.
	entry->rec = header;
	ring_pop(ring, &header);
	return 1;
}

static uint32_t padded(uint32_t bytes)
{
	return (bytes + 7) & ~7u;
}

static enum steer_reason check_body(const struct work_entry *entry, uint32_t at)
{
	struct steer_entry_body body;
	uint32_t bytes = (uint32_t)sizeof(body);

	if (entry->rec.length < at + sizeof(body))
		return STEER_WHY_MALFORMED;
	memcpy(&body, entry->bytes + at, sizeof(body));
	if (body.nr_match > STEER_MATCH_FIELD_MAX || body.nr_conditions > STEER_CONDITION_MAX ||
		body.nr_actions > STEER_ACTION_MAX || body.data_bytes > STEER_RECORD_MAX)
		return STEER_WHY_MALFORMED;
	bytes += body.nr_match * (uint32_t)sizeof(struct steer_match_field);
	bytes += body.nr_conditions * (uint32_t)sizeof(struct steer_condition);
	bytes += body.nr_actions * (uint32_t)sizeof(struct steer_action);
	bytes += padded(body.data_bytes);
	return entry->rec.length == at + bytes ? STEER_WHY_NONE : STEER_WHY_MALFORMED;
}

static enum steer_reason check_add(const struct work_entry *entry)
{
	const struct steer_entry_add *add = &entry->add;
	uint32_t at = (uint32_t)sizeof(*add);

	if (add->rec.length < at)
		return STEER_WHY_MALFORMED;
	if (add->flags & ~(STEER_ENTRY_MONITOR | STEER_ENTRY_FWD | STEER_ENTRY_BODY))
		return STEER_WHY_MALFORMED;
	if (add->entry >= STEER_ENTRY_ID_MAX)
		return STEER_WHY_ID_UNKNOWN;
	// Twice: keys of LPM and ACL carry values and masks.
	if (add->key_bytes > 2 * STEER_KEY_MAX)
		return STEER_WHY_KEY_SIZE;
	if (add->args_bytes > STEER_ARGS_MAX)
		return STEER_WHY_ARGS_SIZE;
	at += padded(add->key_bytes) + padded(add->args_bytes);
	if (add->flags & STEER_ENTRY_MONITOR)
		at += (uint32_t)sizeof(struct steer_monitor);
	if (add->flags & STEER_ENTRY_FWD)
		at += (uint32_t)sizeof(struct steer_fwd);
	if (add->flags & STEER_ENTRY_BODY)
		return check_body(entry, at);
	return add->rec.length == at ? STEER_WHY_NONE : STEER_WHY_MALFORMED;
}

enum steer_reason work_check(const struct work_entry *entry)
{
	switch (entry->rec.kind) {
	case STEER_REC_ENTRY_ADD:
	case STEER_REC_ENTRY_UPDATE:
		return check_add(entry);
	case STEER_REC_ENTRY_REMOVE:
		return entry->rec.length == sizeof(entry->remove) ? STEER_WHY_NONE : STEER_WHY_MALFORMED;
	default:
		return STEER_WHY_MALFORMED;
	}
}

uint64_t work_user_data(const struct work_entry *entry)
{
	if (entry->rec.kind == STEER_REC_ENTRY_REMOVE)
		return entry->rec.length >= sizeof(entry->remove) ? entry->remove.user_data : 0;
	return entry->rec.length >= sizeof(entry->add) ? entry->add.user_data : 0;
}

uint32_t work_entry_id(const struct work_entry *entry)
{
	if (entry->rec.kind == STEER_REC_ENTRY_REMOVE)
		return entry->rec.length >= sizeof(entry->remove) ? entry->remove.entry : STEER_ENTRY_NONE;
	return entry->rec.length >= sizeof(entry->add) ? entry->add.entry : STEER_ENTRY_NONE;
}
