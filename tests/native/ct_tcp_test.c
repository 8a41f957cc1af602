// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// TCP as connection tracking sees it: orders of opening and closing, windows, resets, tuples used again, adoption.

#include "ct_bed.h"

static struct steer_flow_record told[256];
static unsigned int port = 20000; // of the client; each connection has its own

// Segments of the connection under test, both ways. Numbers are relative to 1000 (client) and 5000 (server).
static bool from_client(unsigned int flags, uint32_t seq, uint32_t ack, unsigned int bytes)
{
	return lab_tcp((struct tcp){CLIENT, SERVER, port, 80, flags, 1000 + seq, 5000 + ack, 0, bytes, 0});
}

static bool from_server(unsigned int flags, uint32_t seq, uint32_t ack, unsigned int bytes)
{
	return lab_tcp((struct tcp){SERVER, CLIENT, 80, port, flags, 5000 + seq, 1000 + ack, 0, bytes, 0});
}

static void next(void)
{
	port++;
	while (lab_records(told, 256))
		;
}

static bool open_one(void)
{
	next();
	return from_client(SYN, 0, 0, 0) && from_server(SYN | ACK, 0, 1, 0) && from_client(ACK, 1, 1, 0);
}

static uint8_t state(void)
{
	struct steer_ct_list list = {0};
	struct steer_ct_list_reply reply;

	ct_list(&list, &reply, told, 256, NULL);
	for (uint32_t i = 0; i < reply.nr; i++)
		if (told[i].src_port == port || told[i].dst_port == port)
			return told[i].tcp_state;
	return STEER_CT_TCP_STATE_MAX;
}

static void test_opening(void)
{
	uint64_t invalid = lab_stats()->invalid;

	next();
	ok(!from_client(ACK, 1, 1, 0), "ACK of nothing");
	ok(!from_server(SYN | ACK, 0, 1, 0), "SYN ACK of nothing");
	ok(!from_client(RST, 1, 1, 0), "RST of nothing");
	ok(!from_client(FIN | ACK, 1, 1, 0), "FIN of nothing");
	ok(!from_client(SYN | FIN, 1, 1, 0) && !from_client(0, 1, 1, 0) && !from_client(SYN | RST, 0, 0, 0),
		"flags that do not go together");
	ok(lab_stats()->invalid == invalid + 7, "all counted as invalid");
	ok(from_client(SYN, 0, 0, 0) && from_client(SYN, 0, 0, 0), "SYN twice");
	ok(!from_client(ACK, 1, 1, 0), "an ACK before the answer");
	ok(!from_server(SYN | ACK, 0, 2, 0), "an answer that acknowledges too much");
	ok(!from_server(SYN | ACK, 0, 0, 0), "or too little");
	ok(from_server(SYN | ACK, 0, 1, 0) && from_server(SYN | ACK, 0, 1, 0), "SYN ACK twice");
	ok(state() == STEER_CT_TCP_SYN_RECV, "half-open");
	ok(from_client(SYN, 0, 0, 0), "the SYN once more");
	ok(from_client(ACK, 1, 1, 0) && state() == STEER_CT_TCP_ESTABLISHED, "ACK");
	ok(from_server(SYN | ACK, 0, 1, 0) && state() == STEER_CT_TCP_ESTABLISHED, "SYN ACK once more");

	next();
	ok(from_client(SYN, 0, 0, 0) && from_client(SYN, 7000, 0, 0), "a SYN with another number");
	ok(!from_server(SYN | ACK, 0, 1, 0) && from_server(SYN | ACK, 0, 7001, 0),
		"is what must be answered");

	next();
	ok(from_client(SYN, 0, 0, 0) && from_server(SYN, 0, 0, 0), "both open");
	ok(state() == STEER_CT_TCP_SYN_SENT2, "at once");
	ok(from_client(SYN | ACK, 0, 1, 0) && state() == STEER_CT_TCP_SYN_SENT2, "one acknowledges");
	ok(from_server(SYN | ACK, 0, 1, 0) && state() == STEER_CT_TCP_ESTABLISHED, "then the other one");
	ok(from_client(ACK, 1, 1, 100) && from_server(ACK, 1, 101, 0), "data");

	next();
	ok(from_client(SYN, 0, 0, 0) && from_server(SYN | ACK, 0, 1, 0) && from_server(ACK, 1, 1, 50),
		"data of the server before the last ACK");
	ok(from_client(ACK, 1, 51, 0) && state() == STEER_CT_TCP_ESTABLISHED, "which acknowledges both");
}

static void test_resets(void)
{
	next();
	ok(from_client(SYN, 0, 0, 0), "SYN");
	ok(!from_server(RST, 0, 0, 0), "a reset without an acknowledgement");
	ok(!from_server(RST | ACK, 0, 9, 0), "one that acknowledges something else");
	ok(from_server(RST | ACK, 0, 1, 0) && state() == STEER_CT_TCP_CLOSE, "refused");
	ok(from_client(SYN, 9000, 0, 0) && state() == STEER_CT_TCP_SYN_SENT, "tried again at once");
	ok(lab_records(told, 8) == 3 && told[1].event == STEER_FLOW_CLOSE &&
			told[1].close == STEER_FLOW_CLOSE_REUSED && told[2].event == STEER_FLOW_OPEN &&
			told[1].id != told[2].id,
		"which is another connection");

	open_one();
	ok(from_client(ACK, 1, 1, 100) && from_server(ACK, 1, 101, 100), "data");
	ok(!from_server(RST, 200000, 0, 0) && !from_server(RST, (uint32_t)-200000, 0, 0),
		"resets out of window");
	ok(state() == STEER_CT_TCP_ESTABLISHED, "do nothing");
	ok(from_server(RST, 101, 0, 0) && state() == STEER_CT_TCP_CLOSE, "one in the window closes");
	lab_wait(1100);
	ok(state() == STEER_CT_TCP_STATE_MAX, "and it ends");
	ok(lab_records(told, 8) && told[0].event == STEER_FLOW_OPEN, "records");
}

static void test_windows(void)
{
	uint64_t invalid;

	open_one();
	invalid = lab_stats()->invalid;
	ok(from_client(ACK, 1, 1, 1000) && from_client(ACK, 1001, 1, 1000), "data in the window of 8192");
	ok(!from_client(ACK, 20000, 1, 100), "data behind it");
	ok(from_client(ACK, 1, 1, 1000), "a retransmission");
	ok(!from_client(ACK, (uint32_t)-20000, 1, 100), "data of long ago");
	ok(!from_server(ACK, 1, 50000, 10), "an acknowledgement of what was not sent");
	ok(lab_stats()->invalid == invalid + 3, "invalid ones are counted");
	ok(from_server(ACK, 1, 2001, 0), "acknowledged");
	ok(from_client(ACK, 2000, 1, 0) && from_client(ACK, 2000, 1, 1), "keep-alives");
	ok(from_server(ACK, 1, 2001, 0), "and their answer");

	// A window of 100 << 7.
	next();
	lab_tcp((struct tcp){CLIENT, SERVER, port, 80, SYN, 1000, 0, 100, 0, 8});
	lab_tcp((struct tcp){SERVER, CLIENT, 80, port, SYN | ACK, 5000, 1001, 100, 0, 8});
	ok(lab_tcp((struct tcp){CLIENT, SERVER, port, 80, ACK, 1001, 5001, 100, 0, 0}), "windows are scaled");
	ok(lab_tcp((struct tcp){SERVER, CLIENT, 80, port, ACK, 5001, 1001, 100, 1000, 0}), "more than 100");
	ok(lab_tcp((struct tcp){SERVER, CLIENT, 80, port, ACK, 5001 + 12000, 1001, 100, 500, 0}),
		"up to 12800");
	ok(!lab_tcp((struct tcp){SERVER, CLIENT, 80, port, ACK, 5001 + 14000, 1001, 100, 500, 0}),
		"not beyond");

	// The server does not scale, so the client's offer counts for nothing.
	next();
	lab_tcp((struct tcp){CLIENT, SERVER, port, 80, SYN, 1000, 0, 100, 0, 8});
	lab_tcp((struct tcp){SERVER, CLIENT, 80, port, SYN | ACK, 5000, 1001, 100, 0, 0});
	lab_tcp((struct tcp){CLIENT, SERVER, port, 80, ACK, 1001, 5001, 100, 0, 0});
	ok(!lab_tcp((struct tcp){SERVER, CLIENT, 80, port, ACK, 5001 + 5000, 1001, 100, 500, 0}),
		"no scaling unless both want it");

	// Numbers that pass zero.
	next();
	lab_tcp((struct tcp){CLIENT, SERVER, port, 80, SYN, UINT32_MAX - 10, 0, 0, 0, 0});
	lab_tcp((struct tcp){SERVER, CLIENT, 80, port, SYN | ACK, UINT32_MAX, UINT32_MAX - 9, 0, 0, 0});
	ok(lab_tcp((struct tcp){CLIENT, SERVER, port, 80, ACK, UINT32_MAX - 9, 0, 0, 1000, 0}) &&
			lab_tcp((struct tcp){SERVER, CLIENT, 80, port, ACK, 0, 990, 0, 500, 0}) &&
			lab_tcp((struct tcp){CLIENT, SERVER, port, 80, ACK, 990, 500, 0, 0, 0}),
		"numbers go round");
}

// Three blocks are missing one; acknowledged selectively, the edge is far ahead.
static void test_sack(void)
{
	static uint8_t frame[256];
	struct tcp t = {SERVER, CLIENT, 80, 0, ACK, 5001, 1001, 0, 12, 0};
	uint32_t bytes;

	open_one();
	from_client(ACK, 1, 1, 1000);
	from_client(ACK, 1001, 1, 1000);
	t.dport = port;
	bytes = lab_tcp_frame(frame, &t);
	frame[46] = 0x80; // 12 bytes of options
	memcpy(frame + 54, (uint8_t[]){1, 1, 5, 10}, 4);
	put32(frame + 58, 2001);
	put32(frame + 62, 3001);
	l4_fill(frame + 14, frame + 34, 6, 32);
	bed_send(1, frame, bytes);
	lab_poll();
	ok(lab_out(0) == 1, "a selective acknowledgement passes");
	put32(frame + 62, 900000);
	l4_fill(frame + 14, frame + 34, 6, 32);
	bed_send(1, frame, bytes);
	lab_poll();
	ok(!lab_out(0), "not one of what was never sent");
	ok(from_client(ACK, 1, 1, 1000), "the missing one comes again");
}

static void test_closing(void)
{
	open_one();
	ok(from_client(FIN | ACK, 1, 1, 0) && state() == STEER_CT_TCP_FIN_WAIT, "FIN");
	ok(from_server(ACK, 1, 2, 0) && state() == STEER_CT_TCP_CLOSE_WAIT, "acknowledged");
	lab_wait(100000);
	ok(from_server(ACK, 1, 2, 100) && state() == STEER_CT_TCP_CLOSE_WAIT, "half-closed for a while");
	ok(from_client(ACK, 2, 101, 0), "data one way");
	ok(from_server(FIN | ACK, 101, 2, 0) && state() == STEER_CT_TCP_LAST_ACK, "FIN back");
	ok(from_client(SYN, 90000, 0, 0) && state() == STEER_CT_TCP_LAST_ACK, "not open to a new one yet");
	ok(from_client(ACK, 2, 102, 0) && state() == STEER_CT_TCP_TIME_WAIT, "closed");
	ok(from_server(FIN | ACK, 101, 2, 0) && from_client(ACK, 2, 102, 0), "the last two again");
	ok(lab_tcp((struct tcp){CLIENT, SERVER, port, 80, SYN, 700000, 0, 0, 0, 0}) &&
			state() == STEER_CT_TCP_SYN_SENT,
		"the tuple is used again");
	lab_wait(31000);
	ok(state() == STEER_CT_TCP_STATE_MAX, "set-up takes 30 s at most");

	open_one();
	ok(from_client(FIN | ACK, 1, 1, 0) && from_server(FIN | ACK, 1, 1, 0) &&
			state() == STEER_CT_TCP_LAST_ACK,
		"both close at once");
	ok(from_client(ACK, 2, 2, 0) && from_server(ACK, 2, 2, 0) && state() == STEER_CT_TCP_TIME_WAIT,
		"and acknowledge");

	open_one();
	lab_wait(3500 * 1000);
	ok(from_client(ACK, 1, 1, 10), "an hour of silence, almost");
	for (unsigned int i = 0; i < 400; i++)
		lab_wait(10000);
	ok(state() == STEER_CT_TCP_STATE_MAX, "is the end when it is over");
	ok(!from_client(ACK, 11, 1, 10), "then it is invalid");
}

static void test_running_syn(void)
{
	open_one();
	ok(from_client(SYN, 500000, 0, 0) && state() == STEER_CT_TCP_ESTABLISHED,
		"a SYN on a live connection");
	ok(from_server(ACK, 1, 1, 0), "is answered with the true numbers");
	ok(from_client(RST, 1, 0, 0) && state() == STEER_CT_TCP_CLOSE, "reset");
	ok(from_client(SYN, 500000, 0, 0) && state() == STEER_CT_TCP_SYN_SENT, "opened anew");
	ok(lab_balance(), "balance");
}

static void test_adoption(void)
{
	struct steer_ct_adopt adopt = {.window_ms = 60000, .zone = ZONE, .version = 4};
	struct why why;

	next();
	ok(!from_client(ACK, 1, 1, 10), "nothing is adopted");
	put32(adopt.address, SERVER);
	ok(ct_adopt(2, &adopt, &why) == -EPERM, "only the owner opens a window");
	ok(!ct_adopt(1, &adopt, &why), "a window for an address");
	ok(!lab_tcp((struct tcp){CLIENT, OTHER, port, 80, ACK, 1, 1, 0, 10, 0}), "not for others");
	ok(from_client(ACK, 1, 1, 10) && state() == STEER_CT_TCP_ESTABLISHED, "a client's segment");
	ok(from_server(ACK, 1, 11, 500) && from_client(ACK, 11, 501, 1000), "and what follows");
	ok(lab_records(told, 8) == 1 && told[0].create == STEER_FLOW_ADOPTED && told[0].src_port == port &&
			told[0].tag == TAG_ALLOW + 80 && told[0].in_port == 0 && told[0].out_port == 1,
		"told so");
	next();
	ok(from_server(ACK, 1, 1, 10) && state() == STEER_CT_TCP_ESTABLISHED, "a server's segment");
	ok(lab_records(told, 8) == 1 && told[0].src_port == port && told[0].packets[1] == 1 &&
			!told[0].packets[0] && told[0].in_port == 0 && told[0].out_port == 1 &&
			told[0].src_identity == lab_identity(CLIENT),
		"adopted the right way round");
	ok(!memcmp(told[0].src_mac, (uint8_t[]){0x02, 0, 0, 0, 0, 1}, 6), "with the opener's MAC");
	next();
	ok(!from_client(RST, 1, 1, 0) && !from_client(SYN | ACK, 1, 1, 0), "not by RST or SYN ACK");
	ok(!lab_tcp((struct tcp){CLIENT, SERVER, port, 81, ACK, 1, 1, 0, 10, 0}) &&
			lab_dropped(CLIENT, STEER_DROP_POLICY) == 1,
		"what neither way is allowed is denied");
	lab_wait(61000);
	next();
	ok(!from_client(ACK, 1, 1, 10), "the window is over");
	ok(lab_stats()->adopted == 2, "two were adopted");
}

// A connection that another appliance has followed for a while: it is older than the window, or not helped by it.
static void test_rejoining(void)
{
	struct steer_ct_adopt adopt = {.window_ms = 60000, .zone = ZONE, .version = 4};

	open_one();
	ok(!from_client(ACK, 900000, 1, 10), "out of window");
	put32(adopt.address, SERVER);
	lab_wait(1);
	ok(!ct_adopt(1, &adopt, NULL) && !ct_adopt(1, &adopt, NULL), "a window for an address, again");
	ok(!from_client(ACK | RST, 900000, 1, 0), "not by RST");
	ok(from_client(ACK, 900000, 700000, 10) && state() == STEER_CT_TCP_ESTABLISHED,
		"it goes on elsewhere");
	ok(from_server(ACK, 700000, 900010, 500), "and so does the other side");
	lab_wait(1);
	open_one();
	ok(!from_client(ACK, 900000, 1, 10), "a younger one does not");
	lab_wait(61000);
	open_one();
	ok(from_server(RST | ACK, 1, 1, 0) && state() == STEER_CT_TCP_CLOSE, "one that is closed");
	lab_wait(1);
	ok(!ct_adopt(1, &adopt, NULL) && !from_client(ACK, 900000, 1, 10) && state() == STEER_CT_TCP_CLOSE,
		"stays closed");
	lab_wait(61000);
}

// Half of what 32 bits count in milliseconds is less than 25 days.
static void test_rejoining_late(void)
{
	enum { DAY_MS = 24 * 3600 * 1000 };
	struct steer_ct_adopt adopt = {.window_ms = 60000};
	struct steer_ct_cfg cfg = lab_cfg();

	cfg.timeout_ms[STEER_CT_TIMER_TCP_ESTABLISHED] = 7 * DAY_MS;
	lab_build(&cfg);
	lab_allow(80);
	open_one();
	for (unsigned int days = 0; days < 30; days += 6) {
		lab_wait(6 * DAY_MS);
		ok(from_client(ACK, 1, 1, 0), "it is alive");
	}
	ok(!ct_adopt(1, &adopt, NULL), "30 days later");
	ok(from_client(ACK, 900000, 1, 10), "it goes on elsewhere");
	lab_tear_down();
}

static void test_pass_invalid(void)
{
	struct steer_ct_cfg cfg = lab_cfg();
	uint64_t invalid = lab_stats()->invalid;

	cfg.flags |= STEER_CT_PASS_INVALID;
	lab_build(&cfg);
	lab_allow(80);
	open_one();
	ok(from_client(ACK, 900000, 1, 10), "out of window passes");
	next();
	ok(from_client(ACK, 1, 1, 10), "so does out of state, if the policy allows it");
	ok(!lab_tcp((struct tcp){CLIENT, SERVER, port, 81, ACK, 1, 1, 0, 10, 0}), "only then");
	ok(lab_stats()->invalid == invalid + 3, "all are counted");
	lab_tear_down();
}

int main(void)
{
	struct steer_ct_cfg cfg = lab_cfg();

	bed_start(3);
	lab_build(&cfg);
	lab_allow(80);
	test_opening();
	test_resets();
	test_windows();
	test_sack();
	test_closing();
	test_running_syn();
	test_adoption();
	test_rejoining();
	lab_tear_down();
	test_rejoining_late();
	test_pass_invalid();
	bed_conserves(0);
	bed_stop();
	return tap_done();
}
