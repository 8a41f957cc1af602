// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Sessions against a real fast path: hello, ownership, durable sessions, ports added and removed, and clients that lie.

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "client_private.h"
#include "run_fastpath.h"

static const char config[] =
	"max_clients = 20\n[port p0]\nbackend = net_ring\n[port p1]\nbackend = net_ring\n";

static struct fastpath *fastpath;

// -- without the client library ---------------------------------------------------------------------------------

static int raw_connect(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct timeval timeout = {.tv_sec = 5};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", fastpath->socket);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	require(!connect(fd, (struct sockaddr *)&address, sizeof(address)), "connected");
	return fd;
}

// One message and its reply's status; -ECONNRESET when the session was ended.
static int raw_call(int fd, uint32_t op, const void *payload, uint32_t bytes, char *text, size_t text_bytes)
{
	static uint8_t buffer[STEER_MSG_MAX + sizeof(struct steer_msg)];
	struct steer_msg head = {.op = op, .seq = 9, .length = bytes};
	ssize_t got;

	memcpy(buffer, &head, sizeof(head));
	if (bytes)
		memcpy(buffer + sizeof(head), payload, bytes);
	if (send(fd, buffer, sizeof(head) + bytes, MSG_NOSIGNAL) < 0)
		return -ECONNRESET;
	got = recv(fd, buffer, sizeof(buffer), 0);
	if (got < (ssize_t)sizeof(head))
		return -ECONNRESET;
	memcpy(&head, buffer, sizeof(head));
	if (text)
		snprintf(text, text_bytes, "%.*s", (int)head.length, (char *)buffer + sizeof(head));
	return head.status;
}

static struct steer_hello good_hello(void)
{
	return (struct steer_hello){.magic = STEERING_MAGIC,
		.abi = STEERING_ABI,
		.name = "raw",
		.nr_queues = 1,
		.queue_depth = 64};
}

static void refused_hello(const struct steer_hello *hello, int status, const char *word)
{
	char text[512] = "";
	int fd = raw_connect(), got = raw_call(fd, STEER_OP_HELLO, hello, sizeof(*hello), text, sizeof(text));

	ok(got == status && strstr(text, word), "hello refused with %d: %s", got, text);
	close(fd);
}

static void hellos(void)
{
	struct steer_hello hello = good_hello();

	hello.abi = 99;
	refused_hello(&hello, -EPROTO, "ABI 99");
	hello = good_hello();
	hello.magic = 1;
	refused_hello(&hello, -EPROTO, "steering client");
	hello = good_hello();
	hello.layout_hash = 5;
	refused_hello(&hello, -EPROTO, "wire headers");
	hello = good_hello();
	hello.nr_queues = 33;
	refused_hello(&hello, -EINVAL, "queues");
	hello = good_hello();
	hello.nr_queues = 0;
	refused_hello(&hello, -EINVAL, "queues");
	hello = good_hello();
	hello.flags = STEER_SESSION_DURABLE | STEER_SESSION_READER;
	refused_hello(&hello, -EINVAL, "flags");
	hello = good_hello();
	memset(hello.name, 'x', sizeof(hello.name));
	refused_hello(&hello, -EINVAL, "name");
	hello = good_hello();
	hello.flags = STEER_SESSION_DURABLE;
	hello.name[0] = '\0';
	refused_hello(&hello, -EINVAL, "name");
	hello = good_hello();
	hello.queue_depth = 1 << 20;
	refused_hello(&hello, -EINVAL, "depth");
	hello = good_hello();
	hello.nr_counters = 0x7fffffff;
	refused_hello(&hello, -ENOSPC, "counters");
}

// Of 262,144 counters two sessions cannot have 200,000 each at a time.
static void reserves(void)
{
	struct steer_hello hello = good_hello();
	int fd = raw_connect(), again, status = -ENOSPC;

	hello.nr_counters = 200000;
	ok(!raw_call(fd, STEER_OP_HELLO, &hello, sizeof(hello), NULL, 0), "one session has its reserve");
	refused_hello(&hello, -ENOSPC, "62144 are left");
	close(fd);
	for (unsigned int i = 0; i < 1000 && status == -ENOSPC; i++) {
		again = raw_connect();
		status = raw_call(again, STEER_OP_HELLO, &hello, sizeof(hello), NULL, 0);
		close(again);
		usleep(1000);
	}
	ok(!status, "another one, when the first has ended");
}

static void malformed_messages(void)
{
	struct steer_hello hello = good_hello();
	char text[512] = "";
	int fd = raw_connect();

	ok(raw_call(fd, STEER_OP_PORT_LIST, NULL, 0, text, sizeof(text)) == -EPROTO && strstr(text, "hello"),
		"another message before hello: %s", text);
	close(fd);
	fd = raw_connect();
	ok(!raw_call(fd, STEER_OP_HELLO, &hello, sizeof(hello), NULL, 0), "hello");
	ok(raw_call(fd, STEER_OP_HELLO, &hello, sizeof(hello), text, sizeof(text)) == -EALREADY,
		"hello twice: %s", text);
	ok(raw_call(fd, 4711, NULL, 0, text, sizeof(text)) == -EOPNOTSUPP, "unknown message: %s", text);
	ok(raw_call(fd, STEER_OP_PORT_START, &hello, 3, text, sizeof(text)) == -EINVAL, "wrong length: %s",
		text);
	ok(raw_call(fd, STEER_OP_PIPE_CREATE, &hello, sizeof(hello), text, sizeof(text)) == -EINVAL,
		"short pipe: %s", text);
	ok(send(fd, "abc", 3, MSG_NOSIGNAL) == 3 && recv(fd, text, sizeof(text), 0) == 0,
		"a runt ends the session");
	close(fd);
	fd = raw_connect();
	raw_call(fd, STEER_OP_HELLO, &hello, sizeof(hello), NULL, 0);
	ok(send(fd, (struct steer_msg[]){{.op = 2, .length = 8}}, 16, MSG_NOSIGNAL) == 16 &&
			recv(fd, text, sizeof(text), 0) == 0,
		"a message that lies about its length ends the session");
	close(fd);
}

// -- ownership --------------------------------------------------------------------------------------------------

static int start_port(struct steering_client *client, uint16_t port)
{
	struct steer_port_start start = {.port = port, .doca_port_id = port, .root_port = port};
	struct steer_port_info info;

	return steering_call_exact(client, STEER_OP_PORT_START, &start, sizeof(start), &info, sizeof(info));
}

static int stop_port(struct steering_client *client, uint16_t port)
{
	struct steer_port_ref ref = {.port = port};

	return steering_call(client, STEER_OP_PORT_STOP, &ref, sizeof(ref), NULL, 0, NULL);
}

static void ownership(void)
{
	struct steering_client *one = fastpath_connect(fastpath, "one", 0, 1);
	struct steering_client *two = fastpath_connect(fastpath, "two", 0, 1);
	struct steering_client *reader = fastpath_connect(fastpath, "reader", STEER_SESSION_READER, 0);

	ok(!start_port(one, 0), "session one starts p0");
	ok(start_port(one, 0) == -EALREADY, "twice is refused");
	ok(start_port(two, 0) == -EBUSY && strstr(steering_why(), "one (pid "), "two may not: %s",
		steering_why());
	ok(stop_port(two, 0) == -EBUSY, "nor stop it");
	ok(start_port(two, 7) == -ENOENT, "a port that is not there: %s", steering_why());
	ok(start_port(reader, 1) == -EPERM, "a reader starts nothing: %s", steering_why());
	ok(stop_port(two, 1) == -ENOTCONN, "a port that is not started: %s", steering_why());
	steering_close(one);
	ok(WAIT_FOR(!start_port(two, 0)), "p0 is free once session one is gone");
	ok(!stop_port(two, 0) && !start_port(two, 0), "stop and start again");
	steering_close(two);
	steering_close(reader);
}

static void durable(void)
{
	struct steering_client *one = fastpath_connect(fastpath, "keeper", STEER_SESSION_DURABLE, 2);
	struct steering_options again = {
		.path = fastpath->socket, .name = "keeper", .flags = STEER_SESSION_DURABLE, .nr_queues = 1};
	struct steer_session_ref ref = {.name = "keeper"};
	struct steering_client *two, *other = fastpath_connect(fastpath, "other", 0, 1);
	uint32_t number = steering_session(one)->session;
	char why[STEERING_WHY_MAX] = "";

	ok(!steering_session(one)->resumed, "a durable session begins");
	ok(!start_port(one, 1), "it starts p1");
	ok(steering_connect(&again, &two, why, sizeof(why)) == -EBUSY && strstr(why, "attached"),
		"one client only: %s", why);
	ok(steering_call(other, STEER_OP_SESSION_DROP, &ref, sizeof(ref), NULL, 0, NULL) == -EBUSY,
		"cannot be dropped while attached: %s", steering_why());
	steering_close(one);
	ok(WAIT_FOR(start_port(other, 1) == -EBUSY && strstr(steering_why(), "nobody attached")),
		"its port stays its own: %s", steering_why());
	ok(WAIT_FOR(!steering_connect(&again, &two, NULL, 0)), "it is attached again");
	ok(steering_session(two)->resumed && steering_session(two)->session == number, "and is the same");
	ok(start_port(two, 1) == -EALREADY, "with its port started");
	steering_close(two);
	ok(WAIT_FOR(!steering_call(other, STEER_OP_SESSION_DROP, &ref, sizeof(ref), NULL, 0, NULL)),
		"it is dropped");
	ok(!start_port(other, 1), "and its port is free");
	steering_close(other);
}

static void ports_come_and_go(void)
{
	struct steering_client *client = fastpath_connect(fastpath, "ports", 0, 1);
	struct steer_port_add add = {.name = "pf0vf0", .backend = "net_ring", .pci = "0000:03:00.2"};
	struct steer_port_info info;
	struct steer_port_ref ref;
	struct steer_event event = {.kind = 0};

	for (unsigned int i = 0; i < 20; i++) {
		if (steering_call_exact(client, STEER_OP_PORT_ADD, &add, sizeof(add), &info, sizeof(info)))
			break;
		ref = (struct steer_port_ref){.port = info.index};
		if (start_port(client, info.index) ||
			steering_call(client, STEER_OP_PORT_REMOVE, &ref, sizeof(ref), NULL, 0, NULL) !=
				-EBUSY ||
			stop_port(client, info.index) ||
			steering_call(client, STEER_OP_PORT_REMOVE, &ref, sizeof(ref), NULL, 0, NULL))
			break;
		ok(i || (info.index == 2 && info.state == STEER_PORT_UP && !strcmp(info.pci, add.pci)),
			"port %u is added", info.index);
	}
	ok(steering_call(client, STEER_OP_PORT_REMOVE, &ref, sizeof(ref), NULL, 0, NULL) == -ENOENT,
		"it is gone: %s", steering_why());
	ok(steering_wait(client, STEERING_WAIT_EVENTS, 0, 1000000) == 1 &&
			steering_event_receive(client, &event) == 1 && event.port == 2 &&
			!strcmp(event.text, "pf0vf0"),
		"an event tells of it");
	memcpy(add.name, "p0", 3);
	ok(steering_call(client, STEER_OP_PORT_ADD, &add, sizeof(add), &info, sizeof(info), NULL) == -EEXIST,
		"a name that is taken: %s", steering_why());
	memcpy(add.name, "a b", 4);
	ok(steering_call(client, STEER_OP_PORT_ADD, &add, sizeof(add), &info, sizeof(info), NULL) == -EINVAL,
		"an impossible name: %s", steering_why());
	memcpy(add.name, "px", 3);
	memcpy(add.backend, "net_foo", 8);
	ok(steering_call(client, STEER_OP_PORT_ADD, &add, sizeof(add), &info, sizeof(info), NULL) == -ENOTSUP,
		"an unknown backend: %s", steering_why());
	memcpy(add.backend, "net_pcap", 9);
	memcpy(add.args, "rx_pcap=/nonexistent", 21);
	ok(steering_call(client, STEER_OP_PORT_ADD, &add, sizeof(add), &info, sizeof(info), NULL) < 0,
		"a device that cannot be opened: %s", steering_why());
	steering_close(client);
}

// -- clients that lie -------------------------------------------------------------------------------------------

static void broken_rings(void)
{
	for (unsigned int what = 0; what < 6; what++) {
		struct steering_client *client = fastpath_connect(fastpath, "liar", 0, 1);
		struct steer_segment *segment = client->segment;

		switch (what) {
		case 0:
			segment->queue[0].sq.tail = 1ull << 40;
			break;
		case 1:
			segment->queue[0].sq.tail = 8;
			break;
		case 2:
			segment->packet_in.tail = ~0ull - 15;
			break;
		case 3: // a record without a length
			segment->packet_in.tail = 4096;
			break;
		case 4:
			segment->queue[0].cq.head = 1ull << 50;
			// Each work entry makes a completion, until the room has to be looked at.
			for (unsigned int i = 0; i < client->queue_depth; i++) {
				struct steer_entry_remove remove = {
					.rec = {.length = sizeof(remove), .kind = STEER_REC_ENTRY_REMOVE}};

				steering_post(client, 0, &remove.rec);
			}
			steering_push(client, 0);
			usleep(20000);
			client->queue[0].completed = client->queue[0].posted;
			for (unsigned int i = 0; i < client->queue_depth; i++) {
				struct steer_entry_remove remove = {
					.rec = {.length = sizeof(remove), .kind = STEER_REC_ENTRY_REMOVE}};

				steering_post(client, 0, &remove.rec);
			}
			steering_push(client, 0);
			usleep(20000);
			client->queue[0].completed = client->queue[0].posted;
			for (unsigned int i = 0; i < 16; i++) {
				struct steer_entry_remove remove = {
					.rec = {.length = sizeof(remove), .kind = STEER_REC_ENTRY_REMOVE}};

				steering_post(client, 0, &remove.rec);
			}
			steering_push(client, 0);
			break;
		case 5:
			// The fast path has its own idea of where the rings are.
			memset(segment, 0xff, sizeof(*segment));
			break;
		}
		client_ring_doorbell(client->doorbell);
		ok(WAIT_FOR(!steering_alive(client)), "ring lie %u ends the session", what);
		steering_close(client);
	}
}

static uint32_t random_state = 12345;

static uint32_t random_number(void)
{
	random_state = random_state * 1664525 + 1013904223;
	return random_state >> 8;
}

// Records of random content, with a true frame or without.
static void random_rings(void)
{
	unsigned int ended = 0;

	for (unsigned int round = 0; round < 200; round++) {
		struct steering_options options = {
			.path = fastpath->socket, .name = "noise", .nr_queues = 2, .queue_depth = 64};
		struct steering_client *client;
		uint8_t record[512];

		if (steering_connect(&options, &client, NULL, 0))
			break;
		for (unsigned int i = 0; i < 40; i++) {
			struct steer_record head = {
				.length = 8 + random_number() % 500, .kind = random_number() % 8};

			for (unsigned int k = 0; k < sizeof(record); k++)
				record[k] = random_number() % 3 ? 0 : (uint8_t)random_number();
			memcpy(record, &head, sizeof(head));
			steering_post(client, random_number() % 2, (struct steer_record *)(void *)record);
		}
		steering_push(client, 0);
		steering_push(client, 1);
		if (round % 2) {
			uint8_t *ring = (uint8_t *)client->segment + client->segment->packet_in.data_offset;

			for (unsigned int k = 0; k < 4096; k++)
				ring[k] = (uint8_t)random_number();
			*(volatile uint32_t *)(void *)ring = 64 + random_number() % 64;
			*(volatile uint32_t *)(void *)(ring + 4) = STEER_REC_PACKET;
			client->segment->packet_in.tail = 16 * (random_number() % 64);
			client_ring_doorbell(client->doorbell);
		}
		steering_wait(client, STEERING_WAIT_COMPLETIONS, 0, 2000);
		ended += !steering_alive(client);
		steering_close(client);
	}
	ok(fastpath_alive(fastpath), "random records hurt nobody (%u sessions ended)", ended);
}

static void random_messages(void)
{
	struct steer_hello hello = good_hello();
	static uint8_t payload[STEER_MSG_MAX];
	unsigned int ended = 0;

	for (unsigned int round = 0; round < 50; round++) {
		int fd = raw_connect();

		raw_call(fd, STEER_OP_HELLO, &hello, sizeof(hello), NULL, 0);
		for (unsigned int i = 0; i < 60; i++) {
			uint32_t op = 1 + random_number() % STEER_OP_MAX;
			uint32_t bytes = random_number() % (random_number() % 8 ? 700 : STEER_MSG_MAX);

			if (op == STEER_OP_SHUTDOWN || op == STEER_OP_PORT_REMOVE)
				continue;
			// Lengths that are right get further.
			if (op == STEER_OP_PORT_START || op == STEER_OP_PIPE_MISS ||
				op == STEER_OP_SHARED_SET)
				bytes = op == STEER_OP_PORT_START  ? sizeof(struct steer_port_start)
					: op == STEER_OP_PIPE_MISS ? sizeof(struct steer_pipe_miss)
								   : sizeof(struct steer_shared_set);
			for (unsigned int k = 0; k < bytes; k++)
				payload[k] = random_number() % 4 ? 0 : (uint8_t)random_number();
			if (op == STEER_OP_PIPE_CREATE && bytes >= 4)
				memcpy(payload, &bytes, 4);
			if (raw_call(fd, op, payload, bytes, NULL, 0) == -ECONNRESET) {
				ended++;
				break;
			}
		}
		close(fd);
	}
	ok(fastpath_alive(fastpath), "random messages hurt nobody (%u sessions ended)", ended);
}

// A client that asks and never listens, and one that is full, while another one works.
static void deaf_clients(void)
{
	struct steering_client *good = fastpath_connect(fastpath, "good", 0, 1);
	struct steer_hello hello = good_hello();
	struct steer_msg ask = {.op = STEER_OP_PORT_LIST};
	struct steer_port_info info[STEER_PORT_MAX];
	int fd = raw_connect();
	unsigned int asked = 0;

	raw_call(fd, STEER_OP_HELLO, &hello, sizeof(hello), NULL, 0);
	while (asked < 100000 && send(fd, &ask, sizeof(ask), MSG_NOSIGNAL | MSG_DONTWAIT) > 0)
		asked++;
	ok(!steering_call(good, STEER_OP_PORT_LIST, NULL, 0, info, sizeof(info), NULL),
		"a client is served while another one does not read %u replies", asked);
	close(fd);
	steering_close(good);
}

static void too_many(void)
{
	struct steering_client *client[24] = {NULL};
	struct steering_options options = {.path = fastpath->socket, .name = "many", .nr_queues = 1};
	char why[STEERING_WHY_MAX] = "";
	unsigned int count = 0;

	usleep(50000);
	while (count < 24 && !steering_connect(&options, &client[count], why, sizeof(why)))
		count++;
	ok(count == 20 && strstr(why, "max_clients"), "%u clients, then: %s", count, why);
	for (unsigned int i = 0; i < count; i++)
		steering_close(client[i]);
}

static void second_start(void)
{
	struct fastpath second = *fastpath;

	snprintf(second.log, sizeof(second.log), "/dev/null");
	ok(!fastpath_launch(&second, NULL) && fastpath_wait(&second) == 1,
		"a second start on the directory ends with 1");
	ok(fastpath_alive(fastpath), "the first one serves on");
}

static void killed(void)
{
	struct steering_client *client = fastpath_connect(fastpath, "orphan", STEER_SESSION_DURABLE, 1);
	uint32_t boot = steering_session(client)->boot_id;

	kill(fastpath->pid, SIGKILL);
	fastpath_wait(fastpath);
	ok(steering_wait(client, STEERING_WAIT_COMPLETIONS, 0, 5000000) == -ENOTCONN,
		"a killed fast path is noticed: %s", steering_why());
	ok(steering_call(client, STEER_OP_PORT_LIST, NULL, 0, NULL, 0, NULL) == -ENOTCONN, "by calls too");
	ok(steering_reattach(client) == -ECONNREFUSED && strstr(steering_why(), "left over"),
		"nobody listens: %s", steering_why());
	ok(fastpath_launch(fastpath, NULL), "it is started again over what is left");
	ok(!steering_reattach(client) && steering_session(client)->boot_id != boot &&
			!steering_session(client)->resumed,
		"the client attaches to the new one");
	steering_close(client);
}

int main(void)
{
	const char *seed = getenv("SEED");
	struct stat stat_before;

	if (seed)
		random_state = (uint32_t)strtoul(seed, NULL, 0);
	fastpath = fastpath_start(config, NULL);
	ok(!stat(fastpath->socket, &stat_before) && (stat_before.st_mode & 0777) == 0600,
		"the socket has mode 0600");
	hellos();
	reserves();
	malformed_messages();
	ownership();
	durable();
	ports_come_and_go();
	broken_rings();
	random_rings();
	random_messages();
	deaf_clients();
	too_many();
	second_start();
	ownership();
	killed();
	ok(fastpath_stop(fastpath) == 0, "the fast path ends in order");
	ok(access(fastpath->socket, F_OK), "and leaves no socket");
	return tap_done();
}
