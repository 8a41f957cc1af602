// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "rig.h"

struct rig rig;
uint32_t rig_mark;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void nap(void)
{
	nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
}

// -- set-up ---------------------------------------------------------------------------------------------------------

doca_error_t rig_init(const struct rig_options *options)
{
	struct doca_flow_cfg *cfg;
	doca_error_t result;

	success(doca_flow_cfg_create(&cfg));
	success(doca_flow_cfg_set_pipe_queues(cfg, options->queues ? options->queues : 1));
	if (options->queue_depth)
		success(doca_flow_cfg_set_queue_depth(cfg, options->queue_depth));
	success(doca_flow_cfg_set_mode_args(cfg, options->mode));
	if (options->port_counters)
		success(doca_flow_cfg_set_resource_mode(cfg, DOCA_FLOW_RESOURCE_MODE_PORT));
	else
		success(doca_flow_cfg_set_nr_counters(cfg, options->nr_counters ? options->nr_counters : 64));
	if (options->nr_meters)
		success(doca_flow_cfg_set_nr_meters(cfg, options->nr_meters));
	for (int type = 0; type <= DOCA_FLOW_SHARED_RESOURCE_IPSEC_SA; type++)
		if (options->nr_shared[type])
			success(doca_flow_cfg_set_nr_shared_resource(cfg, options->nr_shared[type], type));
	success(doca_flow_cfg_set_cb_entry_process(
		cfg, options->entry_cb ? options->entry_cb : rig_count_entry));
	if (options->acl_collisions)
		success(doca_flow_cfg_set_nr_acl_collisions(cfg, options->acl_collisions));
	if (options->rss_key)
		success(doca_flow_cfg_set_rss_key(cfg, options->rss_key, 40));
	if (options->pipe_cb)
		success(doca_flow_cfg_set_cb_pipe_process(cfg, options->pipe_cb));
	result = doca_flow_init(cfg);
	success(doca_flow_cfg_destroy(cfg));
	return result;
}

doca_error_t rig_port_start(uint16_t port, const struct rig_options *options, struct doca_flow_port **result)
{
	struct doca_flow_port_cfg *cfg;
	doca_error_t code;
	bool representor;
	char name[16];

	if (options->names)
		snprintf(name, sizeof(name), "%s", options->names[port]);
	else if (strstr(options->mode, "switch") && port)
		snprintf(name, sizeof(name), "pf0vf%u", port - 1u);
	else
		snprintf(name, sizeof(name), "p%u", port);
	representor = strstr(name, "vf") != NULL;
	success(doca_flow_port_cfg_create(&cfg));
	success(doca_flow_port_cfg_set_port_id(cfg, port));
	if (representor) {
		success(doca_flow_ringfield_dev_rep_open(name, &rig.rep[port]));
		success(doca_flow_port_cfg_set_dev_rep(cfg, rig.rep[port]));
	} else {
		success(doca_flow_ringfield_dev_open(name, &rig.dev[port]));
		success(doca_flow_port_cfg_set_dev(cfg, rig.dev[port]));
	}
	success(doca_flow_port_cfg_set_actions_mem_size(
		cfg, options->actions_mem_size ? options->actions_mem_size : 65536));
	if (options->service_cycle_ms)
		success(doca_flow_port_cfg_set_service_threads_cycle(cfg, options->service_cycle_ms));
	if (options->port_counters)
		success(doca_flow_port_cfg_set_nr_resources(
			cfg, DOCA_FLOW_RESOURCE_COUNTER, options->port_counters));
	if (options->priv_data_size)
		success(doca_flow_port_cfg_set_priv_data_size(cfg, options->priv_data_size));
	code = doca_flow_port_start(cfg, result);
	success(doca_flow_port_cfg_destroy(cfg));
	return code;
}

void rig_start(const struct rig_options *options)
{
	success(rig_init(options));
	rig_start_ports(options);
}

void rig_start_ports(const struct rig_options *options)
{
	for (uint16_t i = 0; i < options->nr_ports; i++) {
		success(rig_port_start(i, options, &rig.port[i]));
		success(doca_flow_ringfield_port_index(rig.port[i], &rig.index[i]));
	}
	rig.nr_ports = options->nr_ports;
	if (!strstr(options->mode, "switch") && !options->no_pair)
		for (uint16_t i = 0; i + 1 < options->nr_ports; i += 2)
			success(doca_flow_port_pair(rig.port[i], rig.port[i + 1]));
	success(doca_flow_ringfield_receive_set(
		DOCA_FLOW_RINGFIELD_RECEIVE_SOFTWARE | DOCA_FLOW_RINGFIELD_RECEIVE_WIRE,
		DOCA_FLOW_RINGFIELD_PORT_ANY));
}

void rig_stop(void)
{
	// Representors before the ports that they hang on.
	for (uint16_t i = rig.nr_ports; i > 0; i--)
		if (rig.port[i - 1])
			success(doca_flow_port_stop(rig.port[i - 1]));
	doca_flow_destroy();
	for (uint16_t i = 0; i < RIG_PORTS_MAX; i++) {
		if (rig.rep[i])
			success(doca_dev_rep_close(rig.rep[i]));
		if (rig.dev[i])
			success(doca_dev_close(rig.dev[i]));
		rig.rep[i] = NULL;
		rig.dev[i] = NULL;
		rig.port[i] = NULL;
	}
}

// -- entries --------------------------------------------------------------------------------------------------------

void rig_count_entry(struct doca_flow_pipe_entry *entry, uint16_t pipe_queue,
	enum doca_flow_entry_status status, enum doca_flow_entry_op op, void *user_ctx)
{
	struct rig_status *s = user_ctx;

	if (!s)
		return;
	s->queue = pipe_queue;
	s->failed += status != DOCA_FLOW_ENTRY_STATUS_SUCCESS;
	s->added += op == DOCA_FLOW_ENTRY_OP_ADD;
	s->deleted += op == DOCA_FLOW_ENTRY_OP_DEL;
	s->updated += op == DOCA_FLOW_ENTRY_OP_UPD;
	s->aged += op == DOCA_FLOW_ENTRY_OP_AGED;
}

bool rig_process(struct doca_flow_port *port, const int *count, int n)
{
	double end = now() + 5;

	while (*count < n && now() < end)
		if (doca_flow_entries_process(port, 0, 10000, 0) != DOCA_SUCCESS)
			return false;
	return *count >= n;
}

static struct doca_flow_resource_query query(struct doca_flow_pipe_entry *entry)
{
	struct doca_flow_resource_query q;

	success(doca_flow_resource_query_entry(entry, &q));
	return q;
}

uint64_t rig_hits(struct doca_flow_pipe_entry *entry)
{
	return query(entry).counter.total_pkts;
}

uint64_t rig_bytes(struct doca_flow_pipe_entry *entry)
{
	return query(entry).counter.total_bytes;
}

// -- pipes ----------------------------------------------------------------------------------------------------------

doca_error_t rig_pipe_try(struct doca_flow_port *port, const struct rig_pipe *p, struct doca_flow_pipe **pipe)
{
	struct doca_flow_pipe_cfg *cfg;
	doca_error_t result;

	success(doca_flow_pipe_cfg_create(&cfg, port));
	success(doca_flow_pipe_cfg_set_name(cfg, p->name));
	success(doca_flow_pipe_cfg_set_type(cfg, p->type));
	success(doca_flow_pipe_cfg_set_is_root(cfg, p->is_root));
	if (p->domain)
		success(doca_flow_pipe_cfg_set_domain(cfg, p->domain));
	if (p->nr_entries)
		success(doca_flow_pipe_cfg_set_nr_entries(cfg, p->nr_entries));
	if (p->match || p->match_mask) {
		struct doca_flow_match nothing = {0};

		success(doca_flow_pipe_cfg_set_match(cfg, p->match ? p->match : &nothing, p->match_mask));
	}
	if (p->actions)
		success(doca_flow_pipe_cfg_set_actions(cfg, &p->actions,
			p->actions_mask ? &p->actions_mask : NULL, p->descs ? &p->descs : NULL, 1));
	if (p->actions_list)
		success(doca_flow_pipe_cfg_set_actions(
			cfg, p->actions_list, p->masks_list, NULL, p->nr_actions));
	if (p->monitor)
		success(doca_flow_pipe_cfg_set_monitor(cfg, p->monitor));
	if (p->miss_counter)
		success(doca_flow_pipe_cfg_set_miss_counter(cfg, true));
	if (p->is_resizable)
		success(doca_flow_pipe_cfg_set_is_resizable(cfg, true));
	if (p->congestion)
		success(doca_flow_pipe_cfg_set_congestion_level_threshold(cfg, p->congestion));
	if (p->user_ctx)
		success(doca_flow_pipe_cfg_set_user_ctx(cfg, p->user_ctx));
	if (p->algorithm)
		success(doca_flow_pipe_cfg_set_hash_map_algorithm(cfg, p->algorithm));
	for (int i = 0; i < p->nr_excluded; i++)
		success(doca_flow_pipe_cfg_set_excluded_queue(cfg, p->excluded_queues[i]));
	result = doca_flow_pipe_create(
		cfg, p->fwd.type ? &p->fwd : NULL, p->fwd_miss.type ? &p->fwd_miss : NULL, pipe);
	success(doca_flow_pipe_cfg_destroy(cfg));
	return result;
}

struct doca_flow_pipe *rig_pipe(struct doca_flow_port *port, const struct rig_pipe *p)
{
	struct doca_flow_pipe *pipe;

	success(rig_pipe_try(port, p, &pipe));
	return pipe;
}

struct doca_flow_match rig_tuple_match(bool tcp)
{
	struct doca_flow_match match = rig_tuple(tcp, UINT32_MAX, UINT32_MAX, UINT16_MAX, UINT16_MAX);

	match.parser_meta.outer_l3_type = DOCA_FLOW_L3_META_IPV4;
	match.parser_meta.outer_l4_type = tcp ? DOCA_FLOW_L4_META_TCP : DOCA_FLOW_L4_META_UDP;
	return match;
}

struct doca_flow_match rig_tuple(bool tcp, doca_be32_t src, doca_be32_t dst, uint16_t sport, uint16_t dport)
{
	struct doca_flow_match match = {0};
	struct doca_flow_header_l4_port *ports = tcp ? &match.outer.tcp.l4_port : &match.outer.udp.l4_port;

	match.outer.l3_type = DOCA_FLOW_L3_TYPE_IP4;
	match.outer.ip4.src_ip = src;
	match.outer.ip4.dst_ip = dst;
	match.outer.l4_type_ext = tcp ? DOCA_FLOW_L4_TYPE_EXT_TCP : DOCA_FLOW_L4_TYPE_EXT_UDP;
	ports->src_port = DOCA_HTOBE16(sport);
	ports->dst_port = DOCA_HTOBE16(dport);
	return match;
}

struct doca_flow_fwd rig_fwd_port(uint16_t port)
{
	return (struct doca_flow_fwd){.type = DOCA_FLOW_FWD_PORT, .port_id = port};
}

struct doca_flow_fwd rig_fwd_pipe(struct doca_flow_pipe *pipe)
{
	return (struct doca_flow_fwd){.type = DOCA_FLOW_FWD_PIPE, .next_pipe = pipe};
}

struct doca_flow_fwd rig_fwd_drop(void)
{
	return (struct doca_flow_fwd){.type = DOCA_FLOW_FWD_DROP};
}

// Entries that a test adds one by one keep their status here: it must live as long as the entry.
static struct rig_status *status_new(void)
{
	static struct rig_status pool[4096];
	static int used;

	require(used < 4096, "room for the status of an entry");
	return &pool[used++];
}

static void added(struct doca_flow_port *port, struct rig_status *status)
{
	require(rig_process(port, &status->added, 1) && !status->failed, "entry added");
}

struct doca_flow_pipe_entry *rig_add(struct doca_flow_port *port, struct doca_flow_pipe *pipe,
	const struct doca_flow_match *match, const struct doca_flow_actions *actions,
	const struct doca_flow_monitor *monitor, const struct doca_flow_fwd *fwd)
{
	struct rig_status *status = status_new();
	struct doca_flow_pipe_entry *entry;

	success(doca_flow_pipe_basic_add_entry(
		0, pipe, match, 0, actions, monitor, fwd, DOCA_FLOW_ENTRY_FLAGS_NO_WAIT, status, &entry));
	added(port, status);
	return entry;
}

struct doca_flow_pipe_entry *rig_add_control(struct doca_flow_port *port, struct doca_flow_pipe *pipe,
	uint32_t priority, const struct doca_flow_match *match, const struct doca_flow_monitor *monitor,
	const struct doca_flow_fwd *fwd)
{
	struct rig_status *status = status_new();
	struct doca_flow_pipe_entry *entry;

	success(doca_flow_pipe_control_add_entry(
		0, pipe, match, NULL, NULL, NULL, NULL, NULL, monitor, priority, fwd, status, &entry));
	added(port, status);
	return entry;
}

// -- frames ---------------------------------------------------------------------------------------------------------

static uint32_t sum16(const uint8_t *p, uint32_t length)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < length; i++)
		sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
	return sum;
}

static uint16_t fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static void put16(uint8_t *p, uint16_t value)
{
	p[0] = (uint8_t)(value >> 8);
	p[1] = (uint8_t)value;
}

void rig_frame_checksums(struct rig_frame *frame)
{
	uint8_t *ip = frame->bytes + 14;
	uint32_t length;
	uint8_t *at;

	while (ip[-2] == 0x81 && ip[-1] == 0)
		ip += 4;
	put16(ip + 10, 0);
	put16(ip + 10, fold(sum16(ip, 20)));
	length = frame->length - (uint32_t)(ip + 20 - frame->bytes);
	at = ip + 20 + (ip[9] == DOCA_FLOW_PROTO_TCP ? 16 : 6);
	put16(at, 0);
	put16(at, fold(sum16(ip + 12, 8) + ip[9] + length + sum16(ip + 20, length)));
}

struct rig_frame rig_frame4(
	bool tcp, doca_be32_t src, doca_be32_t dst, uint16_t sport, uint16_t dport, uint32_t payload)
{
	static const uint8_t ethernet[] = {2, 0, 0, 0, 0xb, 2, 2, 0, 0, 0, 0xa, 1, 8, 0};
	struct rig_frame frame = {0};
	uint8_t *ip = frame.bytes + sizeof(ethernet), *l4 = ip + 20;
	uint32_t header = tcp ? 20 : 8;

	frame.length = sizeof(ethernet) + 20 + header + payload;
	require(frame.length <= sizeof(frame.bytes), "a frame that fits");
	memcpy(frame.bytes, ethernet, sizeof(ethernet));
	ip[0] = 0x45;
	put16(ip + 2, (uint16_t)(20 + header + payload));
	put16(ip + 4, 1);
	ip[8] = 64;
	ip[9] = tcp ? DOCA_FLOW_PROTO_TCP : DOCA_FLOW_PROTO_UDP;
	memcpy(ip + 12, &src, 4);
	memcpy(ip + 16, &dst, 4);
	put16(l4, sport);
	put16(l4 + 2, dport);
	if (tcp) {
		l4[12] = 0x50;
		l4[13] = DOCA_FLOW_MATCH_TCP_FLAG_SYN;
		l4[14] = 0x20;
	} else {
		put16(l4 + 4, (uint16_t)(header + payload));
	}
	memset(l4 + header, 'r', payload);
	rig_frame_checksums(&frame);
	return frame;
}

void rig_frame_tag(struct rig_frame *frame, uint16_t tci)
{
	memmove(frame->bytes + 16, frame->bytes + 12, frame->length - 12);
	put16(frame->bytes + 12, 0x8100);
	put16(frame->bytes + 14, tci);
	frame->length += 4;
}

// -- packets --------------------------------------------------------------------------------------------------------

enum { OUT_MAX = 8192 };

struct out {
	int kind; // 0: taken
	uint16_t port, queue;
	uint32_t meta, mark, length;
	uint8_t *bytes;
};

static struct out out[OUT_MAX];
static int nr_out;
static uint64_t nr_sent, nr_transmitted; // by this process, which is all that the fast path ever gets

static uint16_t port_of(uint16_t index)
{
	for (uint16_t i = 0; i < rig.nr_ports; i++)
		if (rig.index[i] == index)
			return i;
	return UINT16_MAX;
}

void rig_send(uint16_t port, const struct rig_frame *frame)
{
	double end = now() + 5;

	while (true) {
		doca_error_t code =
			doca_flow_ringfield_inject(rig.index[port], 0, frame->bytes, &frame->length, 1, NULL);

		if (code == DOCA_SUCCESS) {
			nr_sent++;
			return;
		}
		require(code == DOCA_ERROR_AGAIN && now() < end, "inject: %s",
			doca_flow_ringfield_last_error());
		nap();
	}
}

void rig_transmit(uint16_t port, const struct rig_frame *frame)
{
	success(doca_flow_ringfield_transmit(rig.index[port], frame->bytes, &frame->length, 1, NULL));
	nr_transmitted++;
}

// Collects what there is at this moment.
static uint32_t drain(void)
{
	static uint8_t buffer[1 << 18];
	static struct doca_flow_ringfield_packet packets[256];
	uint32_t nr = 0;

	success(doca_flow_ringfield_receive(packets, 256, buffer, sizeof(buffer), 0, &nr));
	for (uint32_t i = 0; i < nr; i++) {
		struct out *o = &out[nr_out++];

		require(nr_out < OUT_MAX, "room for what comes out");
		o->kind = packets[i].kind;
		o->port = port_of(packets[i].port);
		o->queue = packets[i].queue;
		o->meta = DOCA_BETOH32(packets[i].pkt_meta);
		o->mark = DOCA_BETOH32(packets[i].mark);
		o->length = packets[i].length;
		o->bytes = malloc(o->length + 1);
		require(o->bytes != NULL, "memory");
		memcpy(o->bytes, buffer + packets[i].offset, o->length);
	}
	return nr;
}

// Packets that have not come to an end yet, those on the way to the fast path included.
static int64_t unaccounted(uint64_t *delivered)
{
	struct doca_flow_ringfield_stats s;
	uint64_t taken;

	success(doca_flow_ringfield_stats_get(&s));
	*delivered = s.ports.sent.pkts + s.ports.software.pkts;
	taken = s.ports.received.pkts + s.ports.injected.pkts;
	if (taken < nr_sent || s.ports.transmitted.pkts < nr_transmitted)
		return (int64_t)(nr_sent - taken + nr_transmitted - s.ports.transmitted.pkts);
	return (int64_t)(s.ports.received.pkts + s.ports.injected.pkts + s.generated + s.copies) -
	       (int64_t)(s.ports.sent.pkts - s.ports.transmitted.pkts + s.ports.software.pkts +
			 s.ports.dropped.pkts);
}

// The law of conservation says when everything has landed; what was sent to us must then arrive.
void rig_settle(void)
{
	static uint64_t collected;
	uint64_t delivered;
	double end = now() + 10;

	do {
		collected += drain();
		if (unaccounted(&delivered) == 0 && collected == delivered)
			return;
		nap();
	} while (now() < end);
	require(false, "all packets accounted for: %lld missing, %llu delivered, %llu collected",
		(long long)unaccounted(&delivered), (unsigned long long)delivered,
		(unsigned long long)collected);
}

int rig_seen(int kind, uint16_t port)
{
	int n = 0;

	for (int i = 0; i < nr_out; i++)
		n += out[i].kind == kind && out[i].port == port;
	return n;
}

bool rig_take(int kind, uint16_t port, const struct rig_frame *frame, uint32_t *meta, uint16_t *queue)
{
	for (int i = 0; i < nr_out; i++) {
		struct out *o = &out[i];

		if (o->kind != kind || o->port != port || o->length != frame->length ||
			memcmp(o->bytes, frame->bytes, o->length))
			continue;
		if (meta)
			*meta = o->meta;
		rig_mark = o->mark;
		if (queue)
			*queue = o->queue;
		o->kind = 0;
		return true;
	}
	return false;
}

void rig_forget(void)
{
	while (nr_out)
		free(out[--nr_out].bytes);
}

bool rig_nothing_else(void)
{
	int left = 0;

	for (int i = 0; i < nr_out; i++) {
		if (out[i].kind && left++ < 8) {
			printf("# left: kind %d port %u queue %u, %u bytes:", out[i].kind, out[i].port,
				out[i].queue, out[i].length);
			for (uint32_t j = 0; j < out[i].length && j < 80; j++)
				printf(" %02x", out[i].bytes[j]);
			printf("\n");
		}
	}
	rig_forget();
	return left == 0;
}

uint64_t rig_drops(const char *reason)
{
	struct doca_flow_ringfield_stats s;

	success(doca_flow_ringfield_stats_get(&s));
	for (uint32_t i = 0; i < DOCA_FLOW_RINGFIELD_DROPS_MAX; i++) {
		const char *name = doca_flow_ringfield_drop_name(i);

		if (name && !strcmp(name, reason))
			return s.ports.drops[i];
	}
	require(false, "a drop reason named %s", reason);
	return 0;
}
