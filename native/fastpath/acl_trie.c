// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <rte_acl.h>

#include "acl_trie.h"
#include "fastpath.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t work = PTHREAD_COND_INITIALIZER;
static struct acl_job *queued, *done;
static bool started, stopping;
static pthread_t thread;

enum { FIELDS_MAX = RTE_ACL_MAX_FIELDS, BUILDER_NICE = 10 };

static int is_range(const struct acl_shape *shape, unsigned int at)
{
	for (unsigned int i = 0; i < shape->nr_ranges; i++)
		if (shape->range_at[i] == at)
			return (int)i;
	return -1;
}

static void define(struct rte_acl_field_def *d, unsigned int n, unsigned int type, unsigned int size,
	unsigned int input, unsigned int at)
{
	d[n] = (struct rte_acl_field_def){.type = (uint8_t)type,
		.size = (uint8_t)size,
		.field_index = (uint8_t)n,
		.input_index = (uint8_t)input,
		.offset = ACL_LEAD + at};
}

// A trie wants one byte first and then groups of four bytes; a group with a port range in it is cut into halves.
static unsigned int define_fields(const struct acl_shape *shape, struct rte_acl_field_def *defs)
{
	unsigned int n = 1;

	defs[0] = (struct rte_acl_field_def){.type = RTE_ACL_FIELD_TYPE_BITMASK, .size = 1};
	for (unsigned int at = 0; at < shape->bytes; at += 4) {
		unsigned int input = at / 4 + 1;

		if (is_range(shape, at) < 0 && is_range(shape, at + 2) < 0) {
			define(defs, n++, RTE_ACL_FIELD_TYPE_BITMASK, 4, input, at);
			continue;
		}
		for (unsigned int half = at; half < at + 4; half += 2)
			define(defs, n++,
				is_range(shape, half) < 0 ? RTE_ACL_FIELD_TYPE_BITMASK
							  : RTE_ACL_FIELD_TYPE_RANGE,
				2, input, half);
	}
	return n;
}

static uint32_t number(const uint8_t *b, unsigned int size)
{
	uint32_t value = 0;

	while (size--)
		value = value << 8 | *b++;
	return value;
}

static int add_rules(struct rte_acl_ctx *trie, const struct acl_job *job,
	const struct rte_acl_field_def *defs, unsigned int nr_fields)
{
	size_t size = RTE_ACL_RULE_SZ(nr_fields);
	struct rte_acl_rule *rule = calloc(1, size);
	int err = rule ? 0 : -ENOMEM;

	for (uint32_t i = 0; i < job->nr && !err; i++) {
		const struct acl_rule *from = &job->rules[i];

		memset(rule, 0, size);
		rule->data.category_mask = 1;
		rule->data.priority = (int32_t)(job->nr - i);
		rule->data.userdata = i + 1;
		for (unsigned int f = 1; f < nr_fields; f++) {
			unsigned int at = defs[f].offset - ACL_LEAD, bytes = defs[f].size;
			struct rte_acl_field *field = &rule->field[f];

			if (defs[f].type == RTE_ACL_FIELD_TYPE_RANGE) {
				int range = is_range(&job->shape, at);

				field->value.u16 = from->low[range];
				field->mask_range.u16 = from->high[range];
			} else if (bytes == 4) {
				field->value.u32 = number(from->value + at, 4);
				field->mask_range.u32 = number(from->mask + at, 4);
			} else {
				field->value.u16 = (uint16_t)number(from->value + at, 2);
				field->mask_range.u16 = (uint16_t)number(from->mask + at, 2);
			}
		}
		err = rte_acl_add_rules(trie, rule, 1);
	}
	free(rule);
	return err;
}

static void build(struct acl_job *job)
{
	static unsigned int serial;
	struct rte_acl_config config = {.num_categories = 1};
	char name[RTE_ACL_NAMESIZE];
	struct rte_acl_param param = {.name = name, .socket_id = SOCKET_ID_ANY, .max_rule_num = job->nr};
	struct rte_acl_ctx *trie;

	snprintf(name, sizeof(name), "acl%u", serial++);
	config.num_fields = define_fields(&job->shape, config.defs);
	param.rule_size = RTE_ACL_RULE_SZ(config.num_fields);
	trie = rte_acl_create(&param);
	if (trie && (add_rules(trie, job, config.defs, config.num_fields) || rte_acl_build(trie, &config))) {
		rte_acl_free(trie);
		trie = NULL;
	}
	job->trie = trie;
}

static void *builder(void *arg)
{
	setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), BUILDER_NICE);
	pthread_mutex_lock(&lock);
	while (!stopping) {
		struct acl_job *job = queued;

		if (!job) {
			pthread_cond_wait(&work, &lock);
			continue;
		}
		queued = job->next;
		pthread_mutex_unlock(&lock);
		build(job);
		pthread_mutex_lock(&lock);
		job->next = done;
		fp_write(&done, job); // control looks without the lock
		control_wake();
	}
	pthread_mutex_unlock(&lock);
	return arg;
}

int acl_trie_submit(struct acl_job *job)
{
	struct acl_job **at;

	if (!started) {
		if (pthread_create(&thread, NULL, builder, NULL))
			return -EAGAIN;
		started = true;
	}
	job->next = NULL;
	pthread_mutex_lock(&lock);
	for (at = &queued; *at; at = &(*at)->next)
		;
	*at = job;
	pthread_cond_signal(&work);
	pthread_mutex_unlock(&lock);
	return 0;
}

struct acl_job *acl_trie_finished(void)
{
	struct acl_job *job;

	if (!started || !fp_read(&done))
		return NULL;
	pthread_mutex_lock(&lock);
	job = done;
	if (job)
		fp_write(&done, job->next);
	pthread_mutex_unlock(&lock);
	return job;
}

void acl_job_free(struct acl_job *job)
{
	if (!job)
		return;
	free(job->rules);
	free(job->entries);
	free(job);
}

void acl_trie_stop(void)
{
	struct acl_job *job;

	if (!started)
		return;
	pthread_mutex_lock(&lock);
	stopping = true;
	pthread_cond_signal(&work);
	pthread_mutex_unlock(&lock);
	pthread_join(thread, NULL);
	while ((job = queued)) {
		queued = job->next;
		acl_job_free(job);
	}
	while ((job = done)) {
		done = job->next;
		rte_acl_free(job->trie);
		acl_job_free(job);
	}
	started = stopping = false;
}

void acl_trie_lookup(const struct rte_acl_ctx *trie, const uint8_t **keys, unsigned int n, uint32_t *found)
{
	rte_acl_classify(trie, keys, found, n, 1);
}
