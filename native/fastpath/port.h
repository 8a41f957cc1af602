// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Ports: opening and closing them with one of the backends, link state, ownership. Control thread only. What workers see
// of a port is struct fp_port, slot i of fp.ports; struct port here is control's side of the same slot.
//
// A backend is a file of its own that registers itself with PORT_BACKEND_REGISTER().
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <rte_common.h>

#include "config.h"
#include "fastpath.h"

enum port_phase {
	PORT_FREE = 0,
	PORT_OPEN,
	PORT_LOSING,  // the device has vanished; closed after a grace period, then
	PORT_LOST,    // without a device, which is looked for again from time to time
	PORT_CLOSING, // being removed: workers may still hold it
};

struct port {
	enum port_phase phase;
	uint16_t index;
	struct steer_port_add spec;
	bool persist;
	const struct port_backend *backend;
	char device[2 * STEER_NAME_MAX]; // name of the DPDK device
	char detail[STEER_NAME_MAX];     // shown to people
	uint16_t dev;
	uint16_t nr_rx, nr_tx;
	bool link;
	bool has_device;
	uint64_t tried_ns;                     // LOST: when the device was last looked for
	uint32_t owner;                        // session that started it, 0 none
	void *state;                           // the backend's
	void (*closed)(void *arg, int status); // whoever asked for the removal wants to know
	void *closed_arg;
};

struct port_backend {
	const char *name;
	// Makes port->device (an ethdev that is not configured yet) and fills port->dev in. On failure everything is as
	// before and why says it.
	int (*probe)(struct port *port, char why[CONFIG_WHY_MAX]);
	// Undoes probe; the ethdev is stopped.
	void (*remove)(struct port *port);
	// May be NULL. Around everything that touches the device: net_tap enters its namespace.
	int (*enter)(struct port *port, char why[CONFIG_WHY_MAX]);
	void (*leave)(struct port *port);
	// May be NULL. Called once the device runs: link notices and the like.
	int (*started)(struct port *port, char why[CONFIG_WHY_MAX]);
	// May be NULL: then the ethdev says it. True when packets can be sent.
	bool (*link)(struct port *port);
	// May be NULL. True when the device has vanished for good, so that only opening it again can help.
	bool (*lost)(struct port *port);
	// Descriptor for the worker to sleep on, or -1. May be NULL.
	int (*rx_fd)(struct port *port, uint16_t queue);
	bool silent;      // fp_port.silent
	bool same_queues; // as many rx as tx queues
	bool promiscuous; // there is a filter in front of it
	struct port_backend *next;
};

void port_backend_add(struct port_backend *backend);

#define PORT_BACKEND_REGISTER(backend)        \
	RTE_INIT(register_##backend)          \
	{                                     \
		port_backend_add(&(backend)); \
	}

// Opens a port in the lowest free slot; everything or nothing. -EEXIST name taken, -ENOSPC no slot, -ENOTSUP no such
// backend, -EINVAL, or what the device said.
int port_add(const struct steer_port_add *spec, bool persist, uint16_t *index, char why[CONFIG_WHY_MAX]);

// Takes a port away: at once for new packets, closed after a grace period. Then closed(arg, 0) is called (closed may be
// NULL). -ENOENT, -EBUSY when somebody started it.
int port_remove(uint16_t index, void (*closed)(void *arg, int status), void *arg, char why[CONFIG_WHY_MAX]);

// All ports, at the end: workers have stopped.
void port_close_all(void);

// NULL when there is no such port.
struct port *port_get(uint16_t index);
struct port *port_find(const char *name);
void port_info(const struct port *port, struct steer_port_info *info);

// Ownership, and what PORT_START and PORT_SET say. session: its number. -EBUSY names the owner.
int port_start(uint32_t session, const struct steer_port_start *start, char why[CONFIG_WHY_MAX]);
int port_stop(uint32_t session, uint16_t index, char why[CONFIG_WHY_MAX]);
int port_set(uint32_t session, const struct steer_port_set *set, char why[CONFIG_WHY_MAX]);
void port_stop_all(uint32_t session);
int port_check_owner(uint32_t session, uint16_t index, char why[CONFIG_WHY_MAX]);

// Looks at the link of every port; lets go of devices that have vanished, and takes them up again when they are back:
// the port keeps its number, owner and pipes. Called when a backend heard something, and from time to time.
void port_poll_links(void);
void port_poll_link(struct port *port);

// For backends: a vdev by its name and arguments. 0 and *dev, or -errno with a sentence.
int port_probe_vdev(struct port *port, const char *arguments, char why[CONFIG_WHY_MAX]);
void port_remove_vdev(struct port *port);

// Whether the arguments of a `pci` port begin with an address with domain (0000:03:00.0).
bool port_pci_address(const char *args);

// Ring ports. Puts a frame on the wire side; takes m over, -ENOBUFS when the ring is full (then m is still the caller's).
bool port_is_ring(const struct port *port);
int port_ring_feed(struct port *port, struct rte_mbuf *m);
// Takes up to max packets that the port sent.
unsigned int port_ring_drain(struct port *port, struct rte_mbuf **packets, unsigned int max);
bool port_ring_pending(const struct port *port);
