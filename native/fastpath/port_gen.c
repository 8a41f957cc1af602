// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// gen: a port that makes its packets itself (gen.h) and counts and discards what is sent on it, for measurements. A net_null
// device whose receive queues are filled by a callback: workers take from it as from any device, and nothing ever leaves the
// process. It is quiet until there is a pipeline to judge its packets.

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_malloc.h>

#include "gen.h"
#include "port.h"
#include "table.h"

struct gen_port {
	struct gen *gen;
	uint16_t index;
	uint16_t nr;
	const struct rte_eth_rxtx_callback *callback[STEER_WORKER_MAX];
};

static struct port_backend gen_backend;

// Worker: whether a packet of the port would meet a root pipe.
static bool judged(uint16_t index)
{
	const struct fp_port *port = &fp.ports[index];

	return fp_read(&port->started) &&
	       root_visible(fp_read(&port->root_port), STEER_DOMAIN_DEFAULT, fp_read_acquire(&fp.revision));
}

static uint16_t fill(
	uint16_t dev, uint16_t queue, struct rte_mbuf **packets, uint16_t nr, uint16_t max, void *arg)
{
	struct gen_port *state = arg;

	(void)dev;
	if (unlikely(!judged(state->index)))
		return nr;
	return (uint16_t)(nr + gen_fill(state->gen, queue, fp.pool, rte_rdtsc(), packets + nr,
				       (uint16_t)(max - nr)));
}

static int make(struct port *port, struct gen **gen, char why[CONFIG_WHY_MAX])
{
	char detail[CONFIG_WHY_MAX];
	struct gen *forward = NULL;
	struct gen_spec spec;
	int status = gen_parse(port->spec.args, &spec, detail);

	if (!status && spec.reply[0]) {
		const struct port *other = port_find(spec.reply);

		if (!other || other->backend != &gen_backend || other->phase != PORT_OPEN) {
			snprintf(why, CONFIG_WHY_MAX, "port %s: there is no gen port \"%s\" yet to reply to",
				port->spec.name, spec.reply);
			return -EINVAL;
		}
		forward = ((struct gen_port *)other->state)->gen;
	}
	if (!status)
		status = gen_create(&spec, forward, fp.nr_workers, fp.tsc_hz, gen, detail);
	if (status)
		snprintf(why, CONFIG_WHY_MAX, "port %s: gen: %.300s", port->spec.name, detail);
	return status;
}

static int gen_probe(struct port *port, char why[CONFIG_WHY_MAX])
{
	struct gen_port *state = calloc(1, sizeof(*state));
	int status;

	if (!state) {
		snprintf(why, CONFIG_WHY_MAX, "port %s: no memory", port->spec.name);
		return -ENOMEM;
	}
	state->index = port->index;
	// The bus finds the driver by the device's name.
	snprintf(port->device, sizeof(port->device), "net_null_gen_%s", port->spec.name);
	status = make(port, &state->gen, why);
	if (!status) {
		status = port_probe_vdev(port, "no-rx=1", why);
		if (status)
			gen_release(state->gen);
	}
	if (status)
		free(state);
	else
		port->state = state;
	return status;
}

static void gen_remove(struct port *port)
{
	struct gen_port *state = port->state;

	for (uint16_t i = 0; i < state->nr; i++) {
		rte_eth_remove_rx_callback(port->dev, i, state->callback[i]);
		// No worker has the queue any more.
		rte_free((void *)(uintptr_t)state->callback[i]);
	}
	port_remove_vdev(port);
	gen_release(state->gen);
	free(state);
	port->state = NULL;
}

static int gen_started(struct port *port, char why[CONFIG_WHY_MAX])
{
	struct gen_port *state = port->state;

	for (; state->nr < port->nr_rx; state->nr++) {
		state->callback[state->nr] = rte_eth_add_rx_callback(port->dev, state->nr, fill, state);
		if (!state->callback[state->nr]) {
			snprintf(why, CONFIG_WHY_MAX, "port %s: no memory", port->spec.name);
			return -ENOMEM;
		}
	}
	return 0;
}

static struct port_backend gen_backend = {
	.name = "gen",
	.probe = gen_probe,
	.remove = gen_remove,
	.started = gen_started,
	.same_queues = true,
};
PORT_BACKEND_REGISTER(gen_backend)
