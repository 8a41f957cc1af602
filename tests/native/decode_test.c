// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// The decoder of work entries: parts that add up, and those that do not.

#include "decode.h"
#include "tap.h"

static struct work_entry work;

static void fresh(uint16_t kind, uint32_t length)
{
	memset(&work, 0, sizeof(work));
	work.rec = (struct steer_record){.length = length, .kind = kind};
}

static uint32_t add_bytes(uint16_t key, uint16_t args, uint16_t flags)
{
	uint32_t bytes = sizeof(struct steer_entry_add) + ((key + 7u) & ~7u) + ((args + 7u) & ~7u);

	bytes += flags & STEER_ENTRY_MONITOR ? (uint32_t)sizeof(struct steer_monitor) : 0;
	return bytes + (flags & STEER_ENTRY_FWD ? (uint32_t)sizeof(struct steer_fwd) : 0);
}

static enum steer_reason check(uint16_t key, uint16_t args, uint16_t flags, int32_t more)
{
	fresh(STEER_REC_ENTRY_ADD, add_bytes(key, args, flags) + (uint32_t)more);
	work.add.key_bytes = key;
	work.add.args_bytes = args;
	work.add.flags = flags;
	return work_check(&work);
}

static void parts(void)
{
	const uint16_t all = STEER_ENTRY_MONITOR | STEER_ENTRY_FWD;
	bool good = true, bad = true;

	for (uint16_t key = 0; key <= STEER_KEY_MAX; key++)
		for (uint16_t flags = 0; flags <= all; flags++) {
			good &= check(key, (uint16_t)(key * 3), flags, 0) == STEER_WHY_NONE;
			bad &= check(key, (uint16_t)(key * 3), flags, 8) == STEER_WHY_MALFORMED;
			bad &= check(key, (uint16_t)(key * 3), flags, -8) == STEER_WHY_MALFORMED;
			bad &= check(key, (uint16_t)(key * 3), flags, 1) == STEER_WHY_MALFORMED;
		}
	ok(good, "entries whose parts add up are taken");
	ok(bad, "others are malformed");
	ok(check(2 * STEER_KEY_MAX + 1, 0, 0, 0) == STEER_WHY_KEY_SIZE, "key too long");
	ok(check(0, STEER_ARGS_MAX + 1, 0, 0) == STEER_WHY_ARGS_SIZE, "args too long");
	ok(check(0, 0, 0x80, 0) == STEER_WHY_MALFORMED, "unknown flag");
	fresh(STEER_REC_ENTRY_ADD, sizeof(work.add));
	work.add.entry = STEER_ENTRY_ID_MAX;
	ok(work_check(&work) == STEER_WHY_ID_UNKNOWN, "id too high");
	for (uint32_t length = 8; length < sizeof(work.add); length++) {
		fresh(STEER_REC_ENTRY_ADD, length);
		bad &= work_check(&work) == STEER_WHY_MALFORMED && work_entry_id(&work) == STEER_ENTRY_NONE;
	}
	ok(bad, "shorter than its header");
}

static void bodies(void)
{
	struct steer_entry_body body = {.nr_match = 3, .nr_conditions = 1, .nr_actions = 2, .data_bytes = 5};
	uint32_t length = sizeof(struct steer_entry_add) + sizeof(body) +
			  3 * sizeof(struct steer_match_field) + sizeof(struct steer_condition) +
			  2 * sizeof(struct steer_action) + 8;

	fresh(STEER_REC_ENTRY_ADD, length);
	work.add.flags = STEER_ENTRY_BODY;
	memcpy(work.bytes + sizeof(work.add), &body, sizeof(body));
	ok(work_check(&work) == STEER_WHY_NONE, "a body that adds up");
	work.rec.length -= 8;
	ok(work_check(&work) == STEER_WHY_MALFORMED, "a body that is too short");
	work.rec.length = sizeof(work.add) + 4;
	ok(work_check(&work) == STEER_WHY_MALFORMED, "no whole body");
	for (unsigned int i = 0; i < 4; i++) {
		uint16_t counts[4] = {0};

		fresh(STEER_REC_ENTRY_ADD, sizeof(work.add) + sizeof(body));
		work.add.flags = STEER_ENTRY_BODY;
		counts[i] = 0xffff;
		memcpy(work.bytes + sizeof(work.add), counts, sizeof(counts));
		ok(work_check(&work) == STEER_WHY_MALFORMED, "count %u beyond its bound", i);
	}
}

static void kinds(void)
{
	bool bad = true;

	fresh(STEER_REC_ENTRY_REMOVE, sizeof(work.remove));
	work.remove.entry = 7;
	work.remove.user_data = 9;
	ok(work_check(&work) == STEER_WHY_NONE && work_entry_id(&work) == 7 && work_user_data(&work) == 9,
		"a removal");
	fresh(STEER_REC_ENTRY_REMOVE, sizeof(work.remove) - 8);
	ok(work_check(&work) == STEER_WHY_MALFORMED && work_entry_id(&work) == STEER_ENTRY_NONE,
		"a short one");
	for (uint16_t kind = STEER_REC_COMPLETION; kind < 100; kind++) {
		fresh(kind, 64);
		bad &= work_check(&work) == STEER_WHY_MALFORMED;
	}
	ok(bad, "other kinds are refused");
}

static void taking(void)
{
	static _Alignas(64) uint8_t data[65536];
	static struct steer_ring shared;
	struct steer_record record = {.length = STEER_RECORD_MAX + 16, .kind = STEER_REC_ENTRY_ADD};
	struct ring_consumer ring;

	ring_consumer_init(&ring, &shared, data, sizeof(data));
	ok(work_take(&ring, &work) == 0, "an empty ring");
	memcpy(data, &record, sizeof(record));
	shared.tail = 32768;
	ok(work_take(&ring, &work) == -EBADMSG, "a record above the bound");
	record.length = 100;
	memcpy(data, &record, sizeof(record));
	memset(data + 8, 0x5a, 92);
	ok(work_take(&ring, &work) == 1 && work.rec.length == 100 && work.bytes[99] == 0x5a,
		"a record is copied");
}

int main(void)
{
	parts();
	bodies();
	kinds();
	taking();
	return tap_done();
}
