// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Backends that are a DPDK device made from arguments as DPDK documents them, without any care of ours: net_pcap,
// net_af_packet, net_memif, net_null, and PCI devices (net_mlx5 on a card), whose argument is the address with its
// device arguments.

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>

#include "port.h"

static int vdev_probe(struct port *port, char why[CONFIG_WHY_MAX])
{
	return port_probe_vdev(port, port->spec.args, why);
}

static int af_packet_probe(struct port *port, char why[CONFIG_WHY_MAX])
{
	char arguments[sizeof(port->spec.args) + 32];

	// As many socket pairs as workers, unless told otherwise.
	if (strstr(port->spec.args, "qpairs="))
		return vdev_probe(port, why);
	snprintf(arguments, sizeof(arguments), "%s,qpairs=%u", port->spec.args, fp.nr_workers);
	return port_probe_vdev(port, arguments, why);
}

#define VDEV_BACKEND(id)                                                                                \
	static struct port_backend id = {.name = #id, .probe = vdev_probe, .remove = port_remove_vdev}; \
	PORT_BACKEND_REGISTER(id)

VDEV_BACKEND(net_pcap)
VDEV_BACKEND(net_memif)
VDEV_BACKEND(net_null)

static struct port_backend net_af_packet = {
	.name = "net_af_packet",
	.probe = af_packet_probe,
	.remove = port_remove_vdev,
	.same_queues = true,
	.promiscuous = true,
};
PORT_BACKEND_REGISTER(net_af_packet)

bool port_pci_address(const char *args)
{
	unsigned int domain, bus, device, function;
	int used = 0;

	return sscanf(args, "%4x:%2x:%2x.%1x%n", &domain, &bus, &device, &function, &used) == 4 &&
	       (size_t)used == strcspn(args, ",");
}

static int pci_probe(struct port *port, char why[CONFIG_WHY_MAX])
{
	int status;

	if (!port_pci_address(port->spec.args)) {
		snprintf(why, CONFIG_WHY_MAX,
			"port %s: args \"%s\" do not begin with a PCI address, such as 0000:03:00.0",
			port->spec.name, port->spec.args);
		return -EINVAL;
	}
	snprintf(port->device, sizeof(port->device), "%.*s", (int)strcspn(port->spec.args, ","),
		port->spec.args);
	status = rte_eth_dev_get_port_by_name(port->device, &port->dev);
	if (status) {
		// Not one of those that were there at start.
		status = rte_dev_probe(port->spec.args);
		if (!status)
			status = rte_eth_dev_get_port_by_name(port->device, &port->dev);
	}
	if (!status)
		return 0;
	status = status == -1 ? -ENODEV : status;
	snprintf(why, CONFIG_WHY_MAX,
		"port %s: no DPDK driver takes the PCI device \"%s\" (%s); is it there, and bound to "
		"vfio-pci or to its mlx5 driver?",
		port->spec.name, port->spec.args, rte_strerror(-status));
	return status;
}

static void pci_remove(struct port *port)
{
	struct rte_eth_dev_info info;

	if (rte_eth_dev_info_get(port->dev, &info))
		return;
	rte_eth_dev_close(port->dev);
	rte_dev_remove(info.device);
}

static struct port_backend pci = {
	.name = "pci",
	.probe = pci_probe,
	.remove = pci_remove,
	.promiscuous = true,
};
PORT_BACKEND_REGISTER(pci)
