// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Shared meters of the three algorithms, colour blind and colour aware, and the match on parser_meta.meter_color behind
// them. The rates are one frame in a hundred seconds, so that it is the bursts that count, whatever the machine does meanwhile.
#include "rig.h"

#define METER DOCA_FLOW_SHARED_RESOURCE_METER

enum { SENT = 12, COLOURS = 3 };

static const struct doca_flow_monitor counted = {.counter_type = DOCA_FLOW_RESOURCE_TYPE_NON_SHARED};
static struct rig_frame f;

// A control pipe that counts each colour; red is dropped.
static void colours(struct doca_flow_pipe **pipe, struct doca_flow_pipe_entry *entries[COLOURS])
{
	struct rig_pipe p = {.name = "COLOURS", .type = DOCA_FLOW_PIPE_CONTROL};
	struct doca_flow_match match = {0}, mask = {0};
	struct doca_flow_fwd out = rig_fwd_port(1), drop = rig_fwd_drop();

	*pipe = rig_pipe(rig.port[0], &p);
	memset(&mask.parser_meta.meter_color, 0xff, sizeof(mask.parser_meta.meter_color));
	for (int colour = 0; colour < COLOURS; colour++) {
		match.parser_meta.meter_color = colour;
		success(doca_flow_pipe_control_add_entry(0, *pipe, &match, &mask, NULL, NULL, NULL, NULL,
			&counted, 0, colour == DOCA_FLOW_METER_COLOR_RED ? &drop : &out, NULL,
			&entries[colour]));
	}
}

static struct doca_flow_pipe *metered(const char *name, uint32_t id, enum doca_flow_meter_color start,
	bool is_root, struct doca_flow_pipe *next)
{
	struct doca_flow_monitor monitor = {.meter_type = DOCA_FLOW_RESOURCE_TYPE_SHARED};
	struct rig_pipe p = {.name = name, .is_root = is_root, .monitor = &monitor};
	struct doca_flow_pipe *pipe;

	monitor.shared_meter.shared_meter_id = id;
	monitor.shared_meter.meter_init_color = start;
	p.fwd = rig_fwd_pipe(next);
	pipe = rig_pipe(rig.port[0], &p);
	rig_add(rig.port[0], pipe, NULL, NULL, NULL, NULL);
	return pipe;
}

static void configure(uint32_t id, const struct doca_flow_resource_meter_cfg *meter)
{
	const struct doca_flow_shared_resource_cfg cfg = {.meter_cfg = *meter};

	success(doca_flow_shared_resource_set_cfg(METER, id, (struct doca_flow_shared_resource_cfg *)&cfg));
	success(doca_flow_shared_resources_bind(METER, &id, 1, rig.port[0]));
}

// Sends the packets and compares what of each colour was counted.
static void expect(const char *what, struct doca_flow_pipe_entry *const entries[COLOURS], uint64_t green,
	uint64_t yellow, uint64_t red)
{
	uint64_t dropped = rig_drops("pipe"), hits[COLOURS];

	for (int i = 0; i < SENT; i++)
		rig_send(0, &f);
	rig_settle();
	for (int colour = 0; colour < COLOURS; colour++)
		hits[colour] = rig_hits(entries[colour]);
	ok(hits[DOCA_FLOW_METER_COLOR_GREEN] == green && hits[DOCA_FLOW_METER_COLOR_YELLOW] == yellow &&
			hits[DOCA_FLOW_METER_COLOR_RED] == red,
		"%s: %llu green, %llu yellow, %llu red", what,
		(unsigned long long)hits[DOCA_FLOW_METER_COLOR_GREEN],
		(unsigned long long)hits[DOCA_FLOW_METER_COLOR_YELLOW],
		(unsigned long long)hits[DOCA_FLOW_METER_COLOR_RED]);
	ok((uint64_t)rig_seen(DOCA_FLOW_RINGFIELD_PACKET_WIRE, 1) == green + yellow &&
			rig_drops("pipe") - dropped == red,
		"green and yellow leave, red is dropped by the pipe");
	rig_forget();
	doca_flow_port_pipes_flush(rig.port[0]);
}

static void one(const char *what, const struct doca_flow_resource_meter_cfg *meter,
	enum doca_flow_meter_color start, uint64_t green, uint64_t yellow, uint64_t red)
{
	struct doca_flow_pipe_entry *entries[COLOURS];
	struct doca_flow_pipe *colour;
	static uint32_t id; // each has a meter of its own

	configure(id, meter);
	colours(&colour, entries);
	metered("METERED", id++, start, true, colour);
	expect(what, entries, green, yellow, red);
}

int main(void)
{
	struct rig_options options = {.mode = "vnf,hws", .nr_ports = 2};
	const uint32_t length = 14 + 20 + 20 + 46;
	struct doca_flow_resource_meter_cfg meter = {.limit_type = DOCA_FLOW_METER_LIMIT_TYPE_BYTES};

	options.nr_shared[METER] = 32;
	rig_start(&options);
	f = rig_frame4(true, IP(1, 2, 3, 4), IP(8, 8, 8, 8), 1234, 80, 46);
	require(f.length == length, "frames of %u bytes", length);

	meter.cir = 1;
	meter.cbs = 5 * length;
	meter.alg = DOCA_FLOW_METER_ALGORITHM_TYPE_RFC2697;
	meter.rfc2697.ebs = 3 * length;
	one("RFC 2697: committed, then excess burst", &meter, DOCA_FLOW_METER_COLOR_GREEN, 5, 3, 4);
	meter.alg = DOCA_FLOW_METER_ALGORITHM_TYPE_RFC2698;
	meter.rfc2698.pir = 1;
	meter.rfc2698.pbs = 8 * length;
	one("RFC 2698: the peak bucket pays for green, too", &meter, DOCA_FLOW_METER_COLOR_GREEN, 5, 3, 4);
	meter.rfc2698.pbs = 3 * length;
	one("RFC 2698: beyond the peak all is red", &meter, DOCA_FLOW_METER_COLOR_GREEN, 3, 0, 9);
	meter.alg = DOCA_FLOW_METER_ALGORITHM_TYPE_RFC4115;
	meter.rfc4115.eir = 1;
	meter.rfc4115.ebs = 4 * length;
	one("RFC 4115: two buckets of their own", &meter, DOCA_FLOW_METER_COLOR_GREEN, 5, 4, 3);

	// Colour aware: what comes in yellow is never green, what comes in red stays red.
	meter.color_mode = DOCA_FLOW_METER_COLOR_MODE_AWARE;
	one("RFC 4115, aware, of yellow", &meter, DOCA_FLOW_METER_COLOR_YELLOW, 0, 4, 8);
	one("RFC 4115, aware, of red", &meter, DOCA_FLOW_METER_COLOR_RED, 0, 0, 12);
	meter.alg = DOCA_FLOW_METER_ALGORITHM_TYPE_RFC2698;
	meter.rfc2698.pir = 1;
	meter.rfc2698.pbs = 8 * length;
	one("RFC 2698, aware, of yellow", &meter, DOCA_FLOW_METER_COLOR_YELLOW, 0, 8, 4);
	meter.alg = DOCA_FLOW_METER_ALGORITHM_TYPE_RFC2697;
	meter.rfc2697.ebs = 3 * length;
	one("RFC 2697, aware, of yellow", &meter, DOCA_FLOW_METER_COLOR_YELLOW, 0, 3, 9);
	meter.color_mode = DOCA_FLOW_METER_COLOR_MODE_BLIND;
	one("RFC 2697, blind: the colour before does not count", &meter, DOCA_FLOW_METER_COLOR_RED, 5, 3, 4);

	rig_stop();
	return tap_done();
}
