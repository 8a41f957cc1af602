// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// DOCA Flow against a fast path with ring ports, for C tests: attach, start ports, add entries and wait, send a frame and
// see where it comes out.
#pragma once

#include <arpa/inet.h>
#include <string.h>

#include <doca_bitfield.h>
#include <doca_flow.h>
#include <doca_flow_ringfield.h>

#include "run_fastpath.h"

#define IP(a, b, c, d) DOCA_HTOBE32((uint32_t)(a) << 24 | (b) << 16 | (c) << 8 | (d))

// The call succeeds; else the test ends with the library's own sentence.
#define must(call)                                                                                     \
	do {                                                                                           \
		doca_error_t result_ = (call);                                                         \
		require(result_ == DOCA_SUCCESS, "%s%s%s", #call, result_ == DOCA_SUCCESS ? "" : ": ", \
			result_ == DOCA_SUCCESS ? "" : doca_flow_ringfield_last_error());              \
	} while (0)

// The call is refused with this code, by this rule.
#define refused(call, code, rule_name)                                                   \
	do {                                                                             \
		doca_error_t result_ = (call);                                           \
		struct doca_flow_ringfield_error error_ = {0};                           \
		doca_flow_ringfield_last_error_get(&error_);                             \
		ok(result_ == (code) && !strcmp(error_.rule, rule_name),                 \
			"%s is refused: %s by %s (%s, %s: %s)", #call, #code, rule_name, \
			doca_error_get_name(result_), error_.rule, error_.reason);       \
	} while (0)

struct results {
	unsigned int done;
	unsigned int failed;
	enum doca_flow_entry_op op;
};

static struct doca_flow_port *ports[8];
static unsigned int called_back;

__attribute__((unused)) static void entry_done(struct doca_flow_pipe_entry *entry, uint16_t queue,
	enum doca_flow_entry_status status, enum doca_flow_entry_op op, void *user_ctx)
{
	struct results *results = user_ctx;

	(void)entry, (void)queue;
	__atomic_fetch_add(&called_back, 1, __ATOMIC_RELAXED); // by the threads of all queues
	if (!results)
		return;
	results->done++;
	results->failed += status != DOCA_FLOW_ENTRY_STATUS_SUCCESS;
	results->op = op;
}

__attribute__((unused)) static void flow_attach(
	const struct fastpath *fastpath, const char *session, uint32_t flags)
{
	must(doca_flow_ringfield_set_attach(&(struct doca_flow_ringfield_attach){
		.runtime_dir = fastpath->directory, .session = session, .flags = flags}));
}

// mode: "vnf,hws" or "switch,hws". pipe_cb may be NULL.
__attribute__((unused)) static void flow_start(
	const char *mode, uint32_t nr_counters, doca_flow_pipe_process_cb pipe_cb)
{
	struct doca_flow_cfg *cfg;

	must(doca_flow_cfg_create(&cfg));
	must(doca_flow_cfg_set_pipe_queues(cfg, 2));
	must(doca_flow_cfg_set_mode_args(cfg, mode));
	must(doca_flow_cfg_set_nr_counters(cfg, nr_counters));
	must(doca_flow_cfg_set_nr_meters(cfg, 8));
	must(doca_flow_cfg_set_nr_shared_resource(cfg, 8, DOCA_FLOW_SHARED_RESOURCE_COUNTER));
	must(doca_flow_cfg_set_nr_shared_resource(cfg, 8, DOCA_FLOW_SHARED_RESOURCE_METER));
	must(doca_flow_cfg_set_nr_shared_resource(cfg, 8, DOCA_FLOW_SHARED_RESOURCE_ENCAP));
	must(doca_flow_cfg_set_nr_shared_resource(cfg, 8, DOCA_FLOW_SHARED_RESOURCE_RSS));
	must(doca_flow_cfg_set_cb_entry_process(cfg, entry_done));
	must(doca_flow_cfg_set_queue_depth(cfg, 512));
	must(doca_flow_cfg_set_cb_pipe_process(cfg, pipe_cb));
	must(doca_flow_init(cfg));
	must(doca_flow_cfg_destroy(cfg));
}

// Opened by flow_ports(), closed by flow_close().
static struct doca_dev_rep *flow_reps[8];

// The end of what flow_start() and flow_ports() began, once the ports are stopped.
__attribute__((unused)) static void flow_close(void)
{
	doca_flow_destroy();
	for (unsigned int i = 0; i < sizeof(flow_reps) / sizeof(*flow_reps); i++)
		if (flow_reps[i])
			must(doca_dev_rep_close(flow_reps[i]));
}

// Ports p0 .. with logical ids 0 ..; in switch mode p0 is the switch port and the others are representors.
__attribute__((unused)) static void flow_ports(unsigned int nr, bool representors)
{
	for (unsigned int i = 0; i < nr; i++) {
		struct doca_flow_port_cfg *cfg;
		struct doca_dev *dev;
		struct doca_dev_rep *rep;
		char name[16];

		snprintf(name, sizeof(name), "p%u", i);
		must(doca_flow_port_cfg_create(&cfg));
		must(doca_flow_port_cfg_set_port_id(cfg, (uint16_t)i));
		if (i && representors) {
			must(doca_flow_ringfield_dev_rep_open(name, &rep));
			flow_reps[i] = rep;
			must(doca_flow_port_cfg_set_dev_rep(cfg, rep));
		} else {
			must(doca_flow_ringfield_dev_open(name, &dev));
			must(doca_flow_port_cfg_set_dev(cfg, dev));
		}
		must(doca_flow_port_start(cfg, &ports[i]));
		must(doca_flow_port_cfg_destroy(cfg));
	}
	must(doca_flow_ringfield_receive_set(
		DOCA_FLOW_RINGFIELD_RECEIVE_SOFTWARE | DOCA_FLOW_RINGFIELD_RECEIVE_WIRE,
		DOCA_FLOW_RINGFIELD_PORT_ANY));
}

__attribute__((unused)) static struct doca_flow_pipe_cfg *pipe_cfg(
	struct doca_flow_port *port, const char *name, enum doca_flow_pipe_type type, bool root)
{
	struct doca_flow_pipe_cfg *cfg;

	must(doca_flow_pipe_cfg_create(&cfg, port));
	must(doca_flow_pipe_cfg_set_name(cfg, name));
	must(doca_flow_pipe_cfg_set_type(cfg, type));
	must(doca_flow_pipe_cfg_set_is_root(cfg, root));
	must(doca_flow_pipe_cfg_set_nr_entries(cfg, 64));
	return cfg;
}

__attribute__((unused)) static void process(
	struct doca_flow_port *port, struct results *results, unsigned int nr)
{
	must(doca_flow_entries_process(port, 0, 10000, nr));
	require(results->done == nr && !results->failed, "%u results, none failed (%u, %u: %s)", nr,
		results->done, results->failed, doca_flow_ringfield_last_error());
	results->done = 0;
}

// Ethernet, IPv4, UDP or TCP, 22 bytes of data. Returns the length.
__attribute__((unused)) static uint32_t make_frame(
	uint8_t *frame, uint32_t src, uint32_t dst, uint8_t protocol, uint16_t sport, uint16_t dport)
{
	static const uint8_t head[34] = {0x02, 0, 0, 0, 0, 2, 0x02, 0, 0, 0, 0, 1, 0x08, 0x00, 0x45, 0, 0, 62,
		0, 0, 0, 0, 64, 0, 0, 0};
	uint32_t sum = 0;

	memset(frame, 0, 76);
	memcpy(frame, head, sizeof(head));
	frame[23] = protocol;
	memcpy(frame + 26, &src, 4);
	memcpy(frame + 30, &dst, 4);
	for (unsigned int i = 14; i < 34; i += 2)
		sum += (uint32_t)frame[i] << 8 | frame[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = ~((sum & 0xffff) + (sum >> 16));
	frame[24] = (uint8_t)(sum >> 8);
	frame[25] = (uint8_t)sum;
	frame[34] = (uint8_t)(sport >> 8);
	frame[35] = (uint8_t)sport;
	frame[36] = (uint8_t)(dport >> 8);
	frame[37] = (uint8_t)dport;
	if (protocol == 17)
		frame[39] = 42;
	else
		frame[46] = 0x50;
	return 76;
}

// Sends a frame in on a port and gives the first packet that comes of it; false when none comes.
__attribute__((unused)) static bool send_frame(uint16_t port, const uint8_t *frame, uint32_t length,
	struct doca_flow_ringfield_packet *packet, uint8_t *buffer, uint32_t timeout_ms)
{
	uint32_t nr = 0;

	must(doca_flow_ringfield_inject(port, 0, frame, &length, 1, NULL));
	must(doca_flow_ringfield_receive(packet, 1, buffer, 65536, timeout_ms * 1000ull, &nr));
	return nr == 1;
}
