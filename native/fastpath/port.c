// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_bus_vdev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>

#include "control.h"
#include "events.h"
#include "notice.h"
#include "pipe.h"
#include "port.h"
#include "rcu.h"
#include "session.h"

enum { RX_DESCRIPTORS = 512, TX_DESCRIPTORS = 512, MTU_DEFAULT = 1500 };

static const uint64_t RETRY_NS = 1000000000; // between looks for a device that has vanished

static struct port ports[STEER_PORT_MAX];
static struct port_backend *backends;

static int refuse(int status, char why[CONFIG_WHY_MAX], const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static int refuse(int status, char why[CONFIG_WHY_MAX], const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why, CONFIG_WHY_MAX, format, args);
	va_end(args);
	return status;
}

void port_backend_add(struct port_backend *backend)
{
	backend->next = backends;
	backends = backend;
}

static const struct port_backend *find_backend(const char *name)
{
	for (const struct port_backend *backend = backends; backend; backend = backend->next)
		if (!strcmp(backend->name, name))
			return backend;
	return NULL;
}

struct port *port_get(uint16_t index)
{
	struct port *port = index < STEER_PORT_MAX ? &ports[index] : NULL;

	return port && port->phase != PORT_FREE && port->phase != PORT_CLOSING ? port : NULL;
}

struct port *port_find(const char *name)
{
	for (unsigned int i = 0; i < STEER_PORT_MAX; i++)
		if (ports[i].phase != PORT_FREE && !strcmp(ports[i].spec.name, name))
			return &ports[i];
	return NULL;
}

// -- the device -------------------------------------------------------------------------------------------------

int port_probe_vdev(struct port *port, const char *arguments, char why[CONFIG_WHY_MAX])
{
	int status = rte_vdev_init(port->device, arguments);

	if (!status)
		status = rte_eth_dev_get_port_by_name(port->device, &port->dev);
	if (!status)
		return 0;
	if (status == -1)
		status = -EIO;
	return refuse(status, why, "port %s: %s does not take \"%s\": %s", port->spec.name,
		port->spec.backend, arguments, rte_strerror(-status));
}

void port_remove_vdev(struct port *port)
{
	rte_eth_dev_close(port->dev);
	rte_vdev_uninit(port->device);
}

static int enter(struct port *port, char why[CONFIG_WHY_MAX])
{
	return port->backend->enter ? port->backend->enter(port, why) : 0;
}

static void leave(struct port *port)
{
	if (port->backend->leave)
		port->backend->leave(port);
}

static int device_refused(struct port *port, const char *what, int status, char why[CONFIG_WHY_MAX])
{
	status = status == -1 ? -EIO : status;
	return refuse(status, why, "port %s: the device refuses %s: %s", port->spec.name, what,
		rte_strerror(-status));
}

static int choose_queues(struct port *port, const struct rte_eth_dev_info *info, char why[CONFIG_WHY_MAX])
{
	if (info->max_tx_queues < fp.nr_workers)
		return refuse(-ENOTSUP, why,
			"port %s: the device has %u queues to send on, and there are %u workers",
			port->spec.name, info->max_tx_queues, fp.nr_workers);
	port->nr_tx = fp.nr_workers;
	port->nr_rx = RTE_MIN(fp.nr_workers, info->max_rx_queues);
	if (port->backend->same_queues)
		port->nr_rx = port->nr_tx;
	return 0;
}

// From probed to running.
static int start_device(struct port *port, char why[CONFIG_WHY_MAX])
{
	struct rte_eth_conf conf = {.intr_conf = {.rxq = port->backend->rx_fd != NULL}};
	uint16_t mtu = (uint16_t)port->spec.mtu;
	struct rte_eth_dev_info info;
	int status = rte_eth_dev_info_get(port->dev, &info);

	if (status)
		return device_refused(port, "to tell what it can", status, why);
	status = choose_queues(port, &info, why);
	if (status)
		return status;
	status = rte_eth_dev_configure(port->dev, port->nr_rx, port->nr_tx, &conf);
	if (status)
		return device_refused(port, "its configuration", status, why);
	for (uint16_t i = 0; i < port->nr_rx && !status; i++)
		status = rte_eth_rx_queue_setup(port->dev, i, RX_DESCRIPTORS, SOCKET_ID_ANY, NULL, fp.pool);
	if (status)
		return device_refused(port, "a receive queue", status, why);
	for (uint16_t i = 0; i < port->nr_tx && !status; i++)
		status = rte_eth_tx_queue_setup(port->dev, i, TX_DESCRIPTORS, SOCKET_ID_ANY, NULL);
	if (status)
		return device_refused(port, "a send queue", status, why);
	// Not unless asked for: some devices would change the interface that they stand on.
	status = mtu ? rte_eth_dev_set_mtu(port->dev, mtu) : 0;
	if (status && status != -ENOTSUP)
		return refuse(status, why,
			"port %s: mtu %u does not fit %s, which carries frames of at most %u bytes",
			port->spec.name, mtu, port->spec.backend, info.max_rx_pktlen);
	status = rte_eth_dev_start(port->dev);
	if (status)
		return device_refused(port, "to start", status, why);
	if (port->backend->promiscuous)
		rte_eth_promiscuous_enable(port->dev);
	status = port->backend->started ? port->backend->started(port, why) : 0;
	if (status)
		rte_eth_dev_stop(port->dev);
	return status;
}

static void close_device(struct port *port)
{
	char why[CONFIG_WHY_MAX];
	bool entered;

	if (!port->has_device)
		return;
	port->has_device = false;
	entered = !enter(port, why);
	if (port->backend->promiscuous)
		rte_eth_promiscuous_disable(port->dev);
	rte_eth_dev_stop(port->dev);
	port->backend->remove(port);
	if (entered)
		leave(port);
}

static int open_device(struct port *port, char why[CONFIG_WHY_MAX])
{
	int status = enter(port, why);

	if (status)
		return status;
	status = port->backend->probe(port, why);
	if (!status) {
		status = start_device(port, why);
		if (status)
			port->backend->remove(port);
	}
	leave(port);
	port->has_device = !status;
	return status;
}

// -- what workers see -------------------------------------------------------------------------------------------

// Which worker polls queue q of the port.
static unsigned int worker_of(const struct port *port, uint16_t queue)
{
	return port->nr_rx == fp.nr_workers ? queue : (port->index + queue) % fp.nr_workers;
}

// Tells every worker the queues that are its own now.
static int hand_out_queues(void)
{
	struct fp_rx list[FP_RX_MAX];
	int status = 0;

	for (uint16_t w = 0; w < fp.nr_workers && !status; w++) {
		uint16_t count = 0;

		for (unsigned int i = 0; i < STEER_PORT_MAX; i++) {
			struct port *port = ports[i].phase == PORT_OPEN ? &ports[i] : NULL;

			for (uint16_t q = 0; port && q < port->nr_rx; q++) {
				if (worker_of(port, q) != w || count == FP_RX_MAX)
					continue;
				list[count++] = (struct fp_rx){
					.port = port->index,
					.dev = port->dev,
					.queue = q,
					.fd = port->backend->rx_fd ? port->backend->rx_fd(port, q) : -1,
				};
			}
		}
		status = worker_set_rx(&fp.workers[w], list, count);
	}
	if (!status)
		control_watch_rx();
	return status;
}

static void show_port(struct port *port)
{
	struct fp_port *shown = &fp.ports[port->index];

	memset(shown, 0, sizeof(*shown));
	shown->mtu = port->spec.mtu ? (uint16_t)port->spec.mtu : MTU_DEFAULT;
	shown->doca_port_id = STEER_PORT_NONE;
	shown->root_port = port->index;
	shown->nr_tx = port->nr_tx;
	shown->silent = port->backend->silent;
	shown->miss_counter = STEER_COUNTER_NONE;
	// net_ring and others take no address; then it is the one that the port was given.
	if (!port->spec.mac[0] || !config_parse_mac(port->spec.mac, shown->mac))
		rte_eth_macaddr_get(port->dev, (struct rte_ether_addr *)shown->mac);
	fp_write(&shown->dev, port->dev);
	fp_publish(&shown->present, 1);
	port->link = false;
	port_poll_link(port);
}

void port_poll_link(struct port *port)
{
	struct rte_eth_link link = {0};
	bool up;

	if (port->phase != PORT_OPEN)
		return;
	if (port->backend->link)
		up = port->backend->link(port);
	else
		up = !rte_eth_link_get_nowait(port->dev, &link) && link.link_status;
	fp_publish(&fp.ports[port->index].up, up);
	if (up == port->link)
		return;
	port->link = up;
	events_send(up ? STEER_EV_PORT_UP : STEER_EV_PORT_DOWN, port->index, 0, port->spec.name);
}

static void finish_loss(void *arg)
{
	struct port *port = arg;

	close_device(port);
	if (port->phase == PORT_LOSING)
		port->phase = PORT_LOST;
}

static void lose(struct port *port)
{
	notice("port %s: its device is gone; it is looked for", port->spec.name);
	port_poll_link(port);
	port->phase = PORT_LOSING;
	hand_out_queues();
	rcu_defer(finish_loss, port);
}

static void look_for(struct port *port)
{
	struct fp_port *shown = &fp.ports[port->index];
	char why[CONFIG_WHY_MAX];

	if (control.now_ns - port->tried_ns < RETRY_NS)
		return;
	port->tried_ns = control.now_ns;
	if (open_device(port, why))
		return;
	port->phase = PORT_OPEN;
	if (!port->spec.mac[0])
		rte_eth_macaddr_get(port->dev, (struct rte_ether_addr *)shown->mac);
	fp_write(&shown->nr_tx, port->nr_tx);
	fp_write(&shown->dev, port->dev);
	if (hand_out_queues()) {
		port->phase = PORT_LOSING;
		rcu_defer(finish_loss, port);
		return;
	}
	notice("port %s: its device is back", port->spec.name);
	port_poll_link(port);
}

void port_poll_links(void)
{
	for (unsigned int i = 0; i < STEER_PORT_MAX; i++) {
		struct port *port = &ports[i];

		if (port->phase == PORT_LOST) {
			look_for(port);
		} else if (port->phase == PORT_OPEN) {
			port_poll_link(port);
			if (port->backend->lost && port->backend->lost(port))
				lose(port);
		}
	}
}

// -- adding and removing ----------------------------------------------------------------------------------------

static bool terminated(const char *text, size_t bytes)
{
	return memchr(text, '\0', bytes) != NULL;
}

static int check_spec(
	const struct steer_port_add *spec, const struct port_backend **backend, char why[CONFIG_WHY_MAX])
{
	uint8_t mac[6];

	if (!terminated(spec->name, sizeof(spec->name)) ||
		!terminated(spec->backend, sizeof(spec->backend)) ||
		!terminated(spec->args, sizeof(spec->args)) ||
		!terminated(spec->netns, sizeof(spec->netns)) || !terminated(spec->mac, sizeof(spec->mac)) ||
		!terminated(spec->pci, sizeof(spec->pci)) || !terminated(spec->ibdev, sizeof(spec->ibdev)) ||
		!terminated(spec->representor, sizeof(spec->representor)))
		return refuse(-EINVAL, why, "a text of the port does not end");
	if (!config_name_good(spec->name))
		return refuse(-EINVAL, why,
			"\"%.80s\" cannot be the name of a port: up to 63 letters, digits, '-', '_', '.', "
			"':'",
			spec->name);
	*backend = find_backend(spec->backend);
	if (!*backend) {
		char known[256] = "";

		for (const struct port_backend *b = backends; b; b = b->next)
			snprintf(known + strlen(known), sizeof(known) - strlen(known), "%s%s",
				known[0] ? ", " : "", b->name);
		return refuse(-ENOTSUP, why, "port %s: there is no backend \"%s\" (there are %s)", spec->name,
			spec->backend, known);
	}
	if (spec->mac[0] && !config_parse_mac(spec->mac, mac))
		return refuse(-EINVAL, why, "port %s: mac must be written aa:bb:cc:dd:ee:ff, not \"%s\"",
			spec->name, spec->mac);
	if (spec->mac[0] && (mac[0] & 1))
		return refuse(-EINVAL, why, "port %s: mac %s is a multicast address", spec->name, spec->mac);
	if (spec->mtu && (spec->mtu < 68 || spec->mtu > 9600))
		return refuse(
			-EINVAL, why, "port %s: mtu must be from 68 to 9600, not %u", spec->name, spec->mtu);
	if (spec->netns[0] && !(*backend)->enter)
		return refuse(-EINVAL, why, "port %s: %s knows no namespaces", spec->name, spec->backend);
	return 0;
}

int port_add(const struct steer_port_add *spec, bool persist, uint16_t *index, char why[CONFIG_WHY_MAX])
{
	const struct port_backend *backend;
	struct port *port = port_find(spec->name);
	int status = check_spec(spec, &backend, why);

	if (status)
		return status;
	if (port)
		return refuse(port->phase == PORT_CLOSING ? -EBUSY : -EEXIST, why,
			port->phase == PORT_CLOSING ? "port %s is just being removed"
						    : "port %s is there already",
			spec->name);
	for (uint16_t i = 0; i < STEER_PORT_MAX && !port; i++)
		port = ports[i].phase == PORT_FREE ? &ports[i] : NULL;
	if (!port)
		return refuse(-ENOSPC, why, "port %s: there are %u ports already", spec->name,
			(unsigned int)STEER_PORT_MAX);
	memset(port, 0, sizeof(*port));
	port->index = (uint16_t)(port - ports);
	port->spec = *spec;
	port->persist = persist;
	port->backend = backend;
	// By number: drivers make names of it that must not be longer than 25 bytes (net_tap's buffers).
	snprintf(port->device, sizeof(port->device), "%s_%u", spec->backend, port->index);
	snprintf(port->detail, sizeof(port->detail), "%.63s", spec->args);
	status = open_device(port, why);
	if (status)
		return status;
	port->phase = PORT_OPEN;
	show_port(port);
	status = hand_out_queues();
	if (status) {
		port_remove(port->index, NULL, NULL, why);
		return refuse(status, why, "port %s: no memory", spec->name);
	}
	events_send(STEER_EV_PORT_ADDED, port->index, 0, port->spec.name);
	*index = port->index;
	return 0;
}

static void finish_removal(void *arg)
{
	struct port *port = arg;
	void (*closed)(void *, int) = port->closed;
	void *closed_arg = port->closed_arg;

	close_device(port);
	fp_write(&fp.ports[port->index].present, 0);
	port->phase = PORT_FREE;
	events_send(STEER_EV_PORT_REMOVED, port->index, 0, port->spec.name);
	if (closed)
		closed(closed_arg, 0);
}

int port_remove(uint16_t index, void (*closed)(void *arg, int status), void *arg, char why[CONFIG_WHY_MAX])
{
	struct port *port = port_get(index);

	if (!port)
		return refuse(-ENOENT, why, "there is no port %u", index);
	if (port->owner)
		return refuse(-EBUSY, why, "port %s is started by session %s: stop it first", port->spec.name,
			session_describe(port->owner));
	port->closed = closed;
	port->closed_arg = arg;
	port->phase = PORT_CLOSING;
	fp_publish(&fp.ports[index].up, 0);
	hand_out_queues();
	rcu_defer(finish_removal, port);
	return 0;
}

void port_close_all(void)
{
	for (unsigned int i = 0; i < STEER_PORT_MAX; i++) {
		close_device(&ports[i]);
		ports[i].phase = PORT_FREE;
	}
}

// -- ownership --------------------------------------------------------------------------------------------------

void port_info(const struct port *port, struct steer_port_info *info)
{
	const struct fp_port *shown = &fp.ports[port->index];

	memset(info, 0, sizeof(*info));
	memcpy(info->name, port->spec.name, sizeof(info->name));
	memcpy(info->backend, port->spec.backend, sizeof(info->backend));
	memcpy(info->detail, port->detail, sizeof(info->detail));
	memcpy(info->pci, port->spec.pci, sizeof(info->pci));
	memcpy(info->ibdev, port->spec.ibdev, sizeof(info->ibdev));
	memcpy(info->representor, port->spec.representor, sizeof(info->representor));
	if (port->owner)
		snprintf(info->owner, sizeof(info->owner), "%s", session_name(port->owner));
	info->index = port->index;
	info->doca_port_id = shown->doca_port_id;
	info->state = port->link ? STEER_PORT_UP : STEER_PORT_DOWN;
	info->started = shown->started;
	info->ring = port_is_ring(port);
	memcpy(info->mac, shown->mac, sizeof(info->mac));
	info->mtu = shown->mtu;
	info->owner_session = port->owner;
	info->miss_counter = shown->miss_counter;
}

int port_check_owner(uint32_t session, uint16_t index, char why[CONFIG_WHY_MAX])
{
	struct port *port = port_get(index);

	if (!port)
		return refuse(-ENOENT, why, "there is no port %u", index);
	if (!port->owner)
		return refuse(-ENOTCONN, why, "port %s is not started", port->spec.name);
	if (port->owner != session)
		return refuse(-EBUSY, why, "port %s is in use by session %s", port->spec.name,
			session_describe(port->owner));
	return 0;
}

int port_start(uint32_t session, const struct steer_port_start *start, char why[CONFIG_WHY_MAX])
{
	struct port *port = port_get(start->port), *root = port_get(start->root_port);
	uint32_t key[STEER_RSS_KEY_BYTES / 4];
	struct fp_port *shown;

	if (!port)
		return refuse(-ENOENT, why, "there is no port %u", start->port);
	if (port->owner == session)
		return refuse(-EALREADY, why, "port %s is started already", port->spec.name);
	if (port->owner)
		return refuse(-EBUSY, why, "port %s is in use by session %s", port->spec.name,
			session_describe(port->owner));
	if (!root || (root != port && root->owner != session))
		return refuse(-EINVAL, why, "port %s: its root port %u is not a started port of this session",
			port->spec.name, start->root_port);
	if (start->default_miss > STEER_MISS_KERNEL || start->nr_rss_queues > STEER_PORT_MAX)
		return refuse(-EINVAL, why, "port %s: default miss %u over %u queues is none",
			port->spec.name, start->default_miss, start->nr_rss_queues);
	shown = &fp.ports[port->index];
	port->owner = session;
	memcpy(key, start->has_rss_key ? start->rss_key : fp.rss_key, sizeof(key));
	for (unsigned int i = 0; i < sizeof(key) / sizeof(key[0]); i++)
		fp_write(&shown->rss_key[i], key[i]);
	fp_write(&shown->doca_port_id, start->doca_port_id);
	fp_write(&shown->root_port, start->root_port);
	fp_write(&shown->nr_rss_queues, start->nr_rss_queues ? start->nr_rss_queues : 1);
	fp_write(&shown->default_miss, start->default_miss);
	fp_write(&shown->miss_counter, counter_alloc());
	fp_publish(&shown->started, 1);
	return 0;
}

static void stop(struct port *port)
{
	struct fp_port *shown = &fp.ports[port->index];
	uint32_t counter = shown->miss_counter;

	fp_publish(&shown->started, 0);
	pipe_flush_port(NULL, port->index);
	fp_write(&shown->miss_counter, STEER_COUNTER_NONE);
	counter_free(counter);
	fp_write(&shown->doca_port_id, STEER_PORT_NONE);
	fp_write(&shown->root_port, port->index);
	port->owner = 0;
}

int port_stop(uint32_t session, uint16_t index, char why[CONFIG_WHY_MAX])
{
	int status = port_check_owner(session, index, why);

	if (!status)
		stop(port_get(index));
	return status;
}

void port_stop_all(uint32_t session)
{
	for (unsigned int i = 0; i < STEER_PORT_MAX; i++)
		if (port_get((uint16_t)i) && ports[i].owner == session)
			stop(&ports[i]);
}

int port_set(uint32_t session, const struct steer_port_set *set, char why[CONFIG_WHY_MAX])
{
	int status = port_check_owner(session, set->port, why);

	if (status)
		return status;
	if (set->default_miss > STEER_MISS_KERNEL)
		return refuse(-EINVAL, why, "default miss %u is none", set->default_miss);
	fp_write(&fp.ports[set->port].default_miss, set->default_miss);
	return 0;
}
