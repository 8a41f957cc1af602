// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// net_ring: a port whose outside is the packet ring of clients. Made from rings of our own (the net_ring device alone
// loops its output back to its input): `in` is filled by the control thread and polled by one worker, out[w] is filled by
// worker w and drained by the control thread. Needs no root.

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_bus_vdev.h>
#include <rte_errno.h>
#include <rte_eth_ring.h>
#include <rte_ethdev.h>

#include "port.h"

enum { RING_SIZE = 4096 };

struct ring_state {
	struct rte_ring *in;
	struct rte_ring *out[STEER_WORKER_MAX];
};

static void free_state(struct port *port)
{
	struct ring_state *state = port->state;

	ring_drain(state->in);
	for (unsigned int i = 0; i < STEER_WORKER_MAX; i++)
		ring_drain(state->out[i]);
	free(state);
	port->state = NULL;
}

static struct rte_ring *make_ring(const struct port *port, const char *what, unsigned int number)
{
	char name[RTE_RING_NAMESIZE];

	snprintf(name, sizeof(name), "rp%u%s%u", port->index, what, number);
	return rte_ring_create(name, RING_SIZE, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
}

static int ring_probe(struct port *port, char why[CONFIG_WHY_MAX])
{
	struct ring_state *state = calloc(1, sizeof(*state));
	bool good = state && (state->in = make_ring(port, "in", 0));
	int dev = -1;

	port->state = state;
	if (port->spec.args[0]) {
		snprintf(why, CONFIG_WHY_MAX, "port %s: net_ring takes no args", port->spec.name);
		free_state(port);
		return -EINVAL;
	}
	for (unsigned int i = 0; good && i < fp.nr_workers; i++)
		good = (state->out[i] = make_ring(port, "out", i));
	if (good)
		dev = rte_eth_from_rings(
			port->spec.name, &state->in, 1, state->out, fp.nr_workers, SOCKET_ID_ANY);
	if (dev < 0) {
		int status = rte_errno ? -rte_errno : -ENOMEM;

		snprintf(why, CONFIG_WHY_MAX, "port %s: cannot make the rings: %s", port->spec.name,
			rte_strerror(-status));
		if (state)
			free_state(port);
		return status;
	}
	port->dev = (uint16_t)dev;
	snprintf(port->device, sizeof(port->device), "net_ring_%s", port->spec.name);
	return 0;
}

static void ring_remove(struct port *port)
{
	port_remove_vdev(port);
	free_state(port);
}

static bool ring_link(struct port *port)
{
	return true;
}

static struct port_backend net_ring = {
	.name = "net_ring",
	.probe = ring_probe,
	.remove = ring_remove,
	.link = ring_link,
	.silent = true,
};
PORT_BACKEND_REGISTER(net_ring)

bool port_is_ring(const struct port *port)
{
	return port->backend == &net_ring;
}

int port_ring_feed(struct port *port, struct rte_mbuf *m)
{
	struct ring_state *state = port->state;

	if (rte_ring_sp_enqueue(state->in, m))
		return -ENOBUFS;
	return 0;
}

unsigned int port_ring_drain(struct port *port, struct rte_mbuf **packets, unsigned int max)
{
	struct ring_state *state = port->state;
	unsigned int count = 0;

	for (unsigned int i = 0; i < fp.nr_workers && count < max; i++)
		count += rte_ring_sc_dequeue_burst(
			state->out[i], (void **)(packets + count), max - count, NULL);
	return count;
}

bool port_ring_pending(const struct port *port)
{
	const struct ring_state *state = port->state;

	for (unsigned int i = 0; i < fp.nr_workers; i++)
		if (!rte_ring_empty(state->out[i]))
			return true;
	return false;
}
