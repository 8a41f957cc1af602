// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

#include "ringfield_notices.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// The list: notices[head .. tail), moved to the front when it is empty. Guarded by the lock.
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct ringfield_notice *notices;
static size_t head, tail, room;
static uint64_t lost;

// A zeroed notice at the end of the list, or NULL. The caller holds the lock.
static struct ringfield_notice *append(void)
{
	struct ringfield_notice *grown;
	size_t more;

	if (tail == room) {
		more = room ? 2 * room : 64;
		grown = realloc(notices, more * sizeof(*notices));
		if (!grown) {
			lost++;
			return NULL;
		}
		notices = grown;
		room = more;
	}
	return memset(&notices[tail++], 0, sizeof(*notices));
}

void ringfield_on_entry(struct doca_flow_pipe_entry *entry, uint16_t pipe_queue,
	enum doca_flow_entry_status status, enum doca_flow_entry_op op, void *user_ctx)
{
	struct doca_flow_ringfield_error error;
	struct ringfield_notice *notice;
	bool known = status == DOCA_FLOW_ENTRY_STATUS_ERROR &&
		     doca_flow_ringfield_entry_error(entry, &error) == DOCA_SUCCESS;

	pthread_mutex_lock(&lock);
	notice = append();
	if (notice) {
		notice->kind = RINGFIELD_NOTICE_ENTRY;
		notice->object = (uintptr_t)entry;
		notice->queue = pipe_queue;
		notice->status = (uint8_t)status;
		notice->op = (uint8_t)op;
		if (status == DOCA_FLOW_ENTRY_STATUS_ERROR)
			notice->code = known ? error.code : DOCA_ERROR_UNKNOWN;
		if (known)
			snprintf(notice->reason, sizeof(notice->reason), "pipe %s [%s]: %.200s", error.pipe,
				error.rule, error.reason);
	}
	pthread_mutex_unlock(&lock);
}

void ringfield_on_pipe(struct doca_flow_pipe *pipe, enum doca_flow_pipe_status status,
	enum doca_flow_pipe_op op, void *user_ctx)
{
	struct ringfield_notice *notice;

	pthread_mutex_lock(&lock);
	notice = append();
	if (notice) {
		notice->kind = RINGFIELD_NOTICE_PIPE;
		notice->object = (uintptr_t)pipe;
		notice->status = (uint8_t)status;
		notice->op = (uint8_t)op;
	}
	pthread_mutex_unlock(&lock);
}

void ringfield_on_lint(const struct doca_flow_ringfield_error *warning, void *user_ctx)
{
	struct ringfield_notice *notice;

	pthread_mutex_lock(&lock);
	notice = append();
	if (notice) {
		notice->kind = RINGFIELD_NOTICE_LINT;
		snprintf(notice->reason, sizeof(notice->reason), "%s", warning->reason);
	}
	pthread_mutex_unlock(&lock);
}

doca_error_t ringfield_on_resize(void *pipe_user_ctx, uint32_t nr_entries)
{
	struct ringfield_notice *notice;

	pthread_mutex_lock(&lock);
	notice = append();
	if (notice) {
		notice->kind = RINGFIELD_NOTICE_RESIZE;
		notice->object = (uintptr_t)pipe_user_ctx;
		notice->value = nr_entries;
	}
	pthread_mutex_unlock(&lock);
	return DOCA_SUCCESS;
}

doca_error_t ringfield_on_relocate(
	void *pipe_user_ctx, uint16_t pipe_queue, void *entry_user_ctx, void **new_entry_user_ctx)
{
	if (new_entry_user_ctx)
		*new_entry_user_ctx = entry_user_ctx;
	return DOCA_SUCCESS;
}

uint32_t ringfield_notices_take(struct ringfield_notice *out, uint32_t max)
{
	size_t nr;

	pthread_mutex_lock(&lock);
	nr = tail - head < max ? tail - head : max;
	if (nr)
		memcpy(out, notices + head, nr * sizeof(*out));
	head += nr;
	if (head == tail)
		head = tail = 0;
	pthread_mutex_unlock(&lock);
	return (uint32_t)nr;
}

uint64_t ringfield_notices_lost(void)
{
	uint64_t count;

	pthread_mutex_lock(&lock);
	count = lost;
	pthread_mutex_unlock(&lock);
	return count;
}
