// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Transactions and what dies: revisions as packets see them, references, numbers, sessions that end.

#include "fp_support.h"

// --- Transactions ---------------------------------------------------------------------------------------------------

// Two sets of entries over three pipes: before commit nothing of the new, after it nothing of the old.
static void test_transactions(void)
{
	uint32_t pipes[3], ids[2][3];
	uint8_t key[4] = {9, 9, 9, 9};
	struct steer_txn_reply reply;
	struct entry_result result;
	struct why why;
	unsigned int wrong = 0;
	uint64_t before = fp.revision;

	for (int i = 2; i >= 0; i--) {
		struct spec *s = spec_new("chain", 0, STEER_PIPE_BASIC, 16);

		s->head.flags = i ? 0 : STEER_PIPE_ROOT;
		s->head.fwd_miss = fwd_drop;
		spec_match(s, STEER_F_OUTER_IP4_DST, STEER_MATCH_CHANGEABLE, 0, UINT64_MAX);
		pipes[i] = spec_create(s, NULL);
	}
	for (unsigned int set = 0; set < 2; set++)
		for (unsigned int i = 0; i < 3; i++)
			ids[set][i] = bed.next_entry + set * 3 + i;
	for (unsigned int round = 0; round < 200; round++) {
		unsigned int set = round & 1;

		wrong += txn_begin(bed.space) != 0;
		for (unsigned int i = 0; i < 3; i++) {
			struct work w = work_new(pipes[i], key, 4, NULL, 0);

			w.head.entry = ids[set][i];
			work_fwd(&w, i < 2 ? fwd_pipe(pipes[i + 1]) : fwd_port((uint16_t)(1 + set)));
			if (round)
				wrong += entry_remove(bed.space, ids[!set][i], &result) != 0;
			wrong += work_add(&w, &result) != 0;
		}
		send_udp(0, 0x09090909, 1);
		poll_all();
		wrong +=
			count_out((uint16_t)(1 + set)) != 0 || count_out((uint16_t)(1 + !set)) != (round > 0);
		wrong += txn_commit(bed.space, &reply, &why) != 0;
		send_udp(0, 0x09090909, 1);
		poll_all();
		wrong += count_out((uint16_t)(1 + set)) != 1 || count_out((uint16_t)(1 + !set)) != 0;
		if (round % 3 == 0)
			rcu_poll();
	}
	ok(wrong == 0, "200 transactions: every packet sees one set (%u wrong)", wrong);
	ok(fp.revision == before + 200, "revisions are numbered");
	// A failure leaves nothing.
	ok(!txn_begin(bed.space) && !entry_remove(bed.space, ids[1][2], &result), "begin");
	ok(entry_remove(bed.space, 99999, &result) == -ENOENT, "a failing call");
	ok(!pipe_set_miss(bed.space, pipes[0], &(struct steer_fwd){.type = STEER_FWD_PORT, .port = 3}, NULL),
		"a miss");
	ok(txn_commit(bed.space, &reply, &why) == -ECANCELED, "commit fails: %s", why.text);
	send_udp(0, 0x09090909, 1);
	send_udp(0, 0x08080808, 1);
	poll_all();
	ok(count_out(2) == 1 && count_out(3) == 0, "and nothing was changed");
	// The whole chain goes and another comes in one step.
	txn_begin(bed.space);
	for (unsigned int i = 0; i < 3; i++)
		entry_remove(bed.space, ids[1][i], &result);
	for (unsigned int i = 0; i < 3; i++)
		ok(!pipe_destroy(bed.space, pipes[i], &why), "destroy in a transaction");
	uint32_t root = pass("next", 0, 0, fwd_port(3), true);

	send_udp(0, 0x09090909, 1);
	poll_all();
	ok(count_out(2) == 1 && count_out(3) == 0, "before commit the old chain");
	ok(!txn_commit(bed.space, &reply, &why), "commit");
	send_udp(0, 0x09090909, 1);
	poll_all();
	ok(count_out(2) == 0 && count_out(3) == 1, "after it the new root");
	bed_settle();
	ok(!pipe_find(pipes[0]) && !pipe_find(pipes[2]), "the old pipes are gone");
	// Abort brings a destroyed pipe back.
	txn_begin(bed.space);
	pipe_destroy(bed.space, root, NULL);
	ok(pipe_resize(bed.space, root, 9, NULL) != 0, "gone inside the transaction");
	txn_abort(bed.space);
	send_udp(0, 0x09090909, 1);
	poll_all();
	ok(count_out(3) == 1, "abort undoes");
	destroy(root);
}

static void test_flush(void)
{
	uint32_t last = pass("last", 1, 0, fwd_port(2), false);
	uint32_t root = pass("root", 0, 0, fwd_pipe(last), true);

	ok(pipe_destroy(bed.space, last, NULL) == -EBUSY, "a pipe that is forwarded to stays");
	pipe_flush_port(NULL, 1);
	bed_settle();
	send_udp(0, 1, 1);
	poll_all();
	ok(bed_drops(0, STEER_DROP_BAD_FWD) >= 1 && !pipe_find(last),
		"flushed all the same: forwards to it drop");
	destroy(root);
}

// What a session leaves behind, with a transaction of its own just committed or one of another session open.
static void test_session_ends(void)
{
	struct space *mine = bed.space, *other;
	struct entry_result result;
	struct steer_txn_reply reply;
	const struct steer_fwd miss = fwd_port(3);
	uint8_t key[4] = {7, 7, 7, 7};
	struct why why;
	struct work w;

	require(!space_create(2, &other), "another space");
	bed.space = other;
	struct spec *s = spec_new("keyed", 1, STEER_PIPE_BASIC, 16);

	s->head.fwd = fwd_port(2);
	spec_match(s, STEER_F_OUTER_IP4_DST, STEER_MATCH_CHANGEABLE, 0, UINT64_MAX);
	w = work_new(spec_create(s, NULL), key, 4, NULL, 0);
	ok(!work_add(&w, NULL) && !txn_begin(other) && !entry_remove(other, w.head.entry, &result) &&
			!txn_commit(other, &reply, &why),
		"a removal is committed");
	uint32_t last = pass("last", 1, 0, fwd_port(2), false);

	bed.space = mine;
	uint32_t root = pass("root", 0, 0, fwd_pipe(last), true);

	ok(!txn_begin(mine) && !pipe_destroy(mine, root, &why), "what leads to the other session is to go");
	space_destroy(other); // before any grace period
	bed_settle();
	unsigned int drops = (unsigned int)bed_drops(0, STEER_DROP_BAD_FWD);

	send_udp(0, 1, 1);
	poll_all();
	ok(bed_drops(0, STEER_DROP_BAD_FWD) == drops + 1, "until then packets go to what is left of it");
	txn_abort(mine);
	bed_settle();
	send_udp(0, 1, 1);
	poll_all();
	ok(bed_drops(0, STEER_DROP_BAD_FWD) == drops + 2, "and after an abort");
	destroy(root);
	// A miss in a transaction frees what it led to, for the same transaction.
	last = pass("last", 0, 0, fwd_port(2), false);
	s = spec_new("root", 0, STEER_PIPE_BASIC, 16);
	s->head.flags = STEER_PIPE_ROOT;
	s->head.fwd_miss = fwd_pipe(last);
	spec_match(s, STEER_F_OUTER_IP4_DST, STEER_MATCH_CHANGEABLE, 0, UINT64_MAX);
	root = spec_create(s, NULL);
	ok(!txn_begin(mine) && !pipe_set_miss(mine, root, &miss, NULL) && !pipe_destroy(mine, last, &why) &&
			!txn_abort(mine) && pipe_destroy(mine, last, &why) == -EBUSY,
		"undone");
	ok(!txn_begin(mine) && !pipe_set_miss(mine, root, &miss, NULL) && !txn_commit(mine, &reply, &why) &&
			!pipe_destroy(mine, last, &why),
		"free to go once committed");
	send_udp(0, 1, 1);
	poll_all();
	ok(count_out(3) == 1, "the new miss");
	destroy(root);
}

// --- What plain calls right after a commit, or beside an open transaction, may not do ---------------------------------

// A burst that runs since before the last commit.
static void poll_before(void)
{
	uint64_t now = fp.revision;

	fp.revision = now - 1;
	poll_all();
	fp.revision = now;
}

static uint32_t keyed_root(void)
{
	struct spec *s = spec_new("root", 0, STEER_PIPE_BASIC, 16);

	s->head.flags = STEER_PIPE_ROOT;
	s->head.fwd_miss = fwd_drop;
	spec_match(s, STEER_F_OUTER_IP4_DST, STEER_MATCH_CHANGEABLE, 0, UINT64_MAX);
	return spec_create(s, NULL);
}

static struct work to_port(uint32_t pipe, uint32_t entry, uint16_t port, bool update)
{
	const uint8_t key[4] = {9, 9, 9, 9};
	struct work w = work_new(pipe, key, update ? 0 : 4, NULL, 0);

	w.head.entry = entry;
	work_fwd(&w, fwd_port(port));
	return w;
}

static void seen(bool before, unsigned int port, const char *what)
{
	send_udp(0, 0x09090909, 1);
	(before ? poll_before : poll_all)();
	ok(count_out(1) == (port == 1) && count_out(2) == (port == 2) && count_out(3) == (port == 3), "%s",
		what);
}

static void test_plain_after_commit(void)
{
	uint32_t root = keyed_root(), other, id = bed.next_entry++;
	struct work add = to_port(root, id, 1, false), update = to_port(root, id, 2, true);
	const struct steer_fwd to_3 = fwd_port(3);
	struct entry_result result;
	struct steer_txn_reply reply;
	struct why why;

	txn_begin(bed.space);
	ok(!work_add(&add, NULL) && !txn_commit(bed.space, &reply, &why), "an entry by transaction");
	ok(!entry_update(bed.space, &update.head, sizeof(update.head) + update.used, &result), "updated");
	seen(true, 0, "a burst of before sees neither version");
	seen(false, 2, "the next one the update");
	txn_begin(bed.space);
	ok(!entry_remove(bed.space, id, &result) && !txn_commit(bed.space, &reply, &why), "removed");
	add = to_port(root, id, 3, false);
	ok(!work_add(&add, NULL), "its key is added again");
	seen(true, 2, "a burst of before sees the old one");
	seen(false, 3, "the next one the new one");
	bed_settle();
	ok(!entry_remove(bed.space, id, &result), "removed");
	txn_begin(bed.space);
	ok(!pipe_set_miss(bed.space, root, &(struct steer_fwd){.type = STEER_FWD_PORT, .port = 2}, &why) &&
			!txn_commit(bed.space, &reply, &why) && !pipe_set_miss(bed.space, root, &to_3, &why),
		"two misses");
	seen(true, 0, "a burst of before sees neither");
	seen(false, 3, "the next one the later");
	txn_begin(bed.space);
	ok(!pipe_destroy(bed.space, root, &why) && !txn_commit(bed.space, &reply, &why), "the root goes");
	other = pass("next", 0, 0, fwd_port(1), true);
	seen(true, 3, "a burst of before sees the old root");
	seen(false, 1, "the next one the new one");
	destroy(other);
}

// Of a pipe that is to go with a transaction the numbers are free at once; an abort takes them back.
static void test_numbers_of_doomed(void)
{
	uint32_t root = keyed_root(), second, id = bed.next_entry++;
	struct work add = to_port(root, id, 1, false), again;
	struct entry_result result;
	struct steer_txn_reply reply;
	struct why why;

	ok(!work_add(&add, NULL), "an entry");
	for (unsigned int commit = 0; commit < 2; commit++) {
		txn_begin(bed.space);
		ok(!pipe_destroy(bed.space, root, &why), "its pipe is to go");
		second = keyed_root();
		again = to_port(second, id, 2, false);
		ok(second && !work_add(&again, NULL), "its number in another pipe, in the same transaction");
		if (commit)
			break;
		txn_abort(bed.space);
		seen(false, 1, "all is as it was");
		ok(entry_find(bed.space, id) && entry_pipe(entry_find(bed.space, id)) == root,
			"the number too");
		ok(entry_remove(bed.space, id, &result) == 0 && !work_add(&add, NULL),
			"it can be removed and added");
	}
	ok(!txn_commit(bed.space, &reply, &why), "commit");
	seen(false, 2, "the second");
	ok(!entry_remove(bed.space, id, &result) && entry_remove(bed.space, id, &result) == -ENOENT,
		"one entry has the number, before any grace period");
	bed_settle();
	destroy(second);
	// The number of an entry whose pipe went by itself.
	root = keyed_root();
	add = to_port(root, id, 1, false);
	txn_begin(bed.space);
	ok(!work_add(&add, NULL) && !txn_commit(bed.space, &reply, &why), "an entry");
	txn_begin(bed.space);
	ok(!pipe_destroy(bed.space, root, &why) && !txn_commit(bed.space, &reply, &why), "its pipe went");
	ok(entry_remove(bed.space, id, &result) == -ENOENT, "it is not there any more");
	bed_settle();
}

// While one session's transaction takes a root away, another session makes none in its place.
static void test_root_of_two(void)
{
	struct space *mine = bed.space, *other;
	uint32_t root = pass("root", 0, 0, fwd_port(1), true), next;
	struct steer_txn_reply reply;
	struct why why;
	struct spec *s;
	int err;

	require(!space_create(2, &other), "another space");
	txn_begin(mine);
	ok(!pipe_destroy(mine, root, &why), "the root is to go");
	bed.space = other;
	s = spec_new("mine", 0, STEER_PIPE_BASIC, 4);
	s->head.flags = STEER_PIPE_ROOT;
	spec_create(s, &err);
	ok(err == -EEXIST, "not before that is committed");
	bed.space = mine;
	txn_abort(mine);
	seen(false, 1, "it might have come back");
	txn_begin(mine);
	ok(!pipe_destroy(mine, root, &why) && !txn_commit(mine, &reply, &why), "committed");
	bed.space = other;
	next = pass("next", 0, 0, fwd_port(2), true);
	ok(next, "then there may be another");
	seen(false, 2, "which packets see");
	bed.space = mine;
	space_destroy(other);
	bed_settle();
}

// What a session has reserved no other one takes, and what it gives back it may take again.
static void test_reserve(void)
{
	struct space *mine = bed.space, *other;
	uint32_t left = counter_unreserved(), mine_pipe, others, first;
	struct entry_result result;
	struct work w;

	require(!space_create(2, &other), "another space");
	// One goes to the pipe's hits.
	ok(space_reserve(other, left + 1) == -ENOSPC && !space_reserve(other, left - 2),
		"a reserve of all but two of %u", left);
	mine_pipe = keyed_root();
	for (uint8_t i = 0; i < 2; i++) {
		w = work_new(mine_pipe, (uint8_t[]){1, 1, 1, i}, 4, NULL, 0);
		work_counter(&w);
		work_fwd(&w, fwd_port(1));
		ok(work_add(&w, &result) == (i ? -ENOSPC : 0), "entry %u of another session", i);
	}
	bed.space = other;
	struct spec *s = spec_new("others", 1, STEER_PIPE_BASIC, 16);

	spec_match(s, STEER_F_OUTER_IP4_DST, STEER_MATCH_CHANGEABLE, 0, UINT64_MAX);
	others = spec_create(s, NULL);
	ok(!space_reserve(other, 2), "a smaller one");
	first = bed.next_entry;
	for (unsigned int turn = 0; turn < 3; turn++) {
		for (uint8_t i = 0; i < 2; i++) {
			w = work_new(others, (uint8_t[]){1, 1, 1, i}, 4, NULL, 0);
			w.head.entry = first + i;
			work_counter(&w);
			work_fwd(&w, fwd_port(1));
			ok(!work_add(&w, &result), "its entry %u", i);
		}
		ok(counter_unreserved() == left - 4, "two of mine and two of its own are gone");
		for (uint32_t i = 0; i < 2; i++)
			entry_remove(other, first + i, &result);
		ok(counter_unreserved() == left - 4, "removed, they are its reserve again");
		bed_settle();
	}
	space_destroy(other);
	ok(counter_unreserved() == left - 2, "until the session ends");
	bed.space = mine;
	destroy(mine_pipe);
	bed_settle();
	ok(counter_unreserved() == left, "none is lost");
}

int main(void)
{
	bed_start(4);
	test_transactions();
	test_flush();
	test_session_ends();
	test_plain_after_commit();
	test_numbers_of_doomed();
	test_root_of_two();
	test_reserve();
	bed_settle();
	bed_conserves(0);
	bed_stop();
	return tap_done();
}
