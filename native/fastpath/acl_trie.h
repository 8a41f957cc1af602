// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Builds rte_acl tries beside the control thread: one low-priority builder thread, a queue of jobs to it, a queue of
// finished ones back. A job owns copies of everything it needs; the builder never looks at tables.
#pragma once

#include <stdint.h>

#include "steering_wire.h"

struct rte_acl_ctx;

enum {
	ACL_RANGES = 4, // port fields of one pipe
	ACL_LEAD = 4,   // bytes before the key that a trie reads: zero
};

// What one entry asks for: a masked compare of the whole key, and ranges of 16 bit fields in it.
struct acl_rule {
	uint8_t value[STEER_KEY_MAX];
	uint8_t mask[STEER_KEY_MAX]; // zero where a range says it
	uint16_t low[ACL_RANGES];
	uint16_t high[ACL_RANGES];
};

// The shape of a pipe's key, equal for all its rules.
struct acl_shape {
	uint16_t bytes; // in use, rounded up to 4; the key itself is padded to 16
	uint8_t nr_ranges;
	uint8_t range_at[ACL_RANGES]; // even
};

struct acl_job {
	struct acl_job *next;
	void *owner; // NULL: nobody wants it any more
	struct acl_shape shape;
	uint32_t nr;
	struct acl_rule *rules;   // best first
	struct rte_acl_ctx *trie; // result, NULL on failure
	void **entries;           // the owner's, by rule
};

// Takes a job over. 0, or -errno: then the caller keeps it.
int acl_trie_submit(struct acl_job *job);
struct acl_job *acl_trie_finished(void); // next one that is done, or NULL
void acl_job_free(struct acl_job *job);  // not the trie
void acl_trie_stop(void);                // ends the thread; unfinished jobs are freed
// Highest rule (by order in the job) for each of n keys, as index + 1; 0 = none. keys[i] points ACL_LEAD before the key.
void acl_trie_lookup(const struct rte_acl_ctx *trie, const uint8_t **keys, unsigned int n, uint32_t *found);
