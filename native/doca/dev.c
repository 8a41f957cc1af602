// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

// doca_dev.h over the fast path's ports: a device is an uplink, a representor is a port with a representor string, and
// the two belong together by their PCI address.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flow.h"

static LIST_HEAD(, doca_dev) open_devices = LIST_HEAD_INITIALIZER(open_devices);

#define NEED(argument)                                                          \
	do {                                                                    \
		if (!(argument))                                                \
			return refuse_argument(__func__, #argument, "is NULL"); \
	} while (0)

static doca_error_t all_ports(struct steer_port_info **ports, unsigned int *nr)
{
	struct steering_client *client;
	doca_error_t result = flow_reader_get(&client);

	if (result != DOCA_SUCCESS)
		return result;
	result = flow_port_infos(client, ports, nr);
	flow_reader_put(client);
	return result;
}

// --- lists

doca_error_t doca_devinfo_create_list(struct doca_devinfo ***dev_list, uint32_t *nb_devs)
{
	struct steer_port_info *ports;
	struct doca_devinfo **list;
	unsigned int nr, found = 0;
	doca_error_t result;

	NEED(dev_list);
	NEED(nb_devs);
	result = all_ports(&ports, &nr);
	if (result != DOCA_SUCCESS)
		return result == DOCA_ERROR_NOT_CONNECTED ? DOCA_ERROR_NOT_FOUND : result;
	// The pointers and what they point at in one block, so that destroying needs no count.
	list = calloc(1, (nr + 1) * sizeof(*list) + nr * sizeof(**list));
	if (list) {
		struct doca_devinfo *infos = (struct doca_devinfo *)(list + nr + 1);

		for (unsigned int i = 0; i < nr; i++)
			if (!ports[i].representor[0]) {
				infos[found].port = ports[i];
				list[found] = &infos[found];
				found++;
			}
	}
	free(ports);
	if (!list)
		return refuse(DOCA_ERROR_NO_MEMORY, NULL, "%s: out of memory", __func__);
	*dev_list = list;
	*nb_devs = found;
	return DOCA_SUCCESS;
}

doca_error_t doca_devinfo_destroy_list(struct doca_devinfo **dev_list)
{
	NEED(dev_list);
	free(dev_list);
	return DOCA_SUCCESS;
}

doca_error_t doca_devinfo_rep_create_list(
	struct doca_dev *dev, int filter, struct doca_devinfo_rep ***dev_list_rep, uint32_t *nb_devs_rep)
{
	struct steer_port_info *ports;
	struct doca_devinfo_rep **list;
	unsigned int nr, found = 0;
	doca_error_t result;

	NEED(dev);
	NEED(dev_list_rep);
	NEED(nb_devs_rep);
	result = all_ports(&ports, &nr);
	if (result != DOCA_SUCCESS)
		return result;
	list = calloc(1, (nr + 1) * sizeof(*list) + nr * sizeof(**list));
	if (list) {
		struct doca_devinfo_rep *infos = (struct doca_devinfo_rep *)(list + nr + 1);

		for (unsigned int i = 0; i < nr; i++) {
			if (!ports[i].representor[0] || strcmp(ports[i].pci, dev->info.port.pci) ||
				(filter && !(filter & DOCA_DEVINFO_REP_FILTER_NET)))
				continue;
			infos[found].port = ports[i];
			infos[found].parent = dev->info.port;
			list[found] = &infos[found];
			found++;
		}
	}
	free(ports);
	if (!list)
		return refuse(DOCA_ERROR_NO_MEMORY, NULL, "%s: out of memory", __func__);
	*dev_list_rep = list;
	*nb_devs_rep = found;
	return DOCA_SUCCESS;
}

doca_error_t doca_devinfo_rep_destroy_list(struct doca_devinfo_rep **dev_list_rep)
{
	NEED(dev_list_rep);
	free(dev_list_rep);
	return DOCA_SUCCESS;
}

// --- opening

static doca_error_t open_port(const struct steer_port_info *port, struct doca_dev **dev)
{
	struct doca_dev *found;

	flow_lock();
	LIST_FOREACH (found, &open_devices, link) {
		if (!strcmp(found->info.port.name, port->name))
			break;
	}
	if (!found) {
		found = calloc(1, sizeof(*found));
		if (found) {
			found->info.port = *port;
			found->info.dev = found;
			LIST_INSERT_HEAD(&open_devices, found, link);
		}
	}
	if (found)
		found->references++;
	flow_unlock();
	if (!found)
		return refuse(DOCA_ERROR_NO_MEMORY, NULL, "out of memory");
	*dev = found;
	return DOCA_SUCCESS;
}

doca_error_t doca_dev_open(struct doca_devinfo *devinfo, struct doca_dev **dev)
{
	NEED(devinfo);
	NEED(dev);
	return open_port(&devinfo->port, dev);
}

doca_error_t doca_dev_close(struct doca_dev *dev)
{
	doca_error_t result = DOCA_SUCCESS;

	NEED(dev);
	flow_lock();
	if (dev->references == 1 && dev->ports) {
		result = refuse(DOCA_ERROR_IN_USE, AT(.rule = "device-in-use"),
			"port %s is started on this device", dev->info.port.name);
	} else if (!--dev->references) {
		LIST_REMOVE(dev, link);
		free(dev);
	}
	flow_unlock();
	return result;
}

doca_error_t doca_dev_accelerate_resource_reclaim(struct doca_dev *dev)
{
	NEED(dev);
	return DOCA_SUCCESS;
}

doca_error_t doca_dev_rep_open(struct doca_devinfo_rep *devinfo, struct doca_dev_rep **dev_rep)
{
	struct doca_dev_rep *made;

	NEED(devinfo);
	NEED(dev_rep);
	made = calloc(1, sizeof(*made));
	if (!made)
		return refuse(DOCA_ERROR_NO_MEMORY, NULL, "%s: out of memory", __func__);
	made->info = *devinfo;
	*dev_rep = made;
	return DOCA_SUCCESS;
}

doca_error_t doca_dev_rep_close(struct doca_dev_rep *dev)
{
	NEED(dev);
	if (dev->ports)
		return refuse(DOCA_ERROR_IN_USE, AT(.rule = "device-in-use"),
			"port %s is started on this representor", dev->info.port.name);
	free(dev);
	return DOCA_SUCCESS;
}

struct doca_devinfo *doca_dev_as_devinfo(const struct doca_dev *dev)
{
	return dev ? (struct doca_devinfo *)&dev->info : NULL;
}

struct doca_devinfo_rep *doca_dev_rep_as_devinfo(struct doca_dev_rep *dev_rep)
{
	return dev_rep ? &dev_rep->info : NULL;
}

static const struct steer_port_info *find_name(
	const struct steer_port_info *ports, unsigned int nr, const char *name)
{
	for (unsigned int i = 0; i < nr; i++)
		if (!strcmp(ports[i].name, name))
			return &ports[i];
	return NULL;
}

doca_error_t doca_flow_ringfield_dev_open(const char *port_name, struct doca_dev **dev)
{
	const struct steer_port_info *port;
	struct steer_port_info *ports;
	unsigned int nr;
	doca_error_t result;

	NEED(port_name);
	NEED(dev);
	result = all_ports(&ports, &nr);
	if (result != DOCA_SUCCESS)
		return result;
	port = find_name(ports, nr, port_name);
	result = port ? open_port(port, dev)
		      : refuse(DOCA_ERROR_NOT_FOUND, AT(.rule = "device"), "the fast path has no port %s",
				port_name);
	free(ports);
	return result;
}

doca_error_t doca_flow_ringfield_dev_rep_open(const char *port_name, struct doca_dev_rep **dev_rep)
{
	const struct steer_port_info *port, *parent = NULL;
	struct doca_devinfo_rep info = {0};
	struct steer_port_info *ports;
	unsigned int nr;
	doca_error_t result;

	NEED(port_name);
	NEED(dev_rep);
	result = all_ports(&ports, &nr);
	if (result != DOCA_SUCCESS)
		return result;
	port = find_name(ports, nr, port_name);
	// The uplink of the same card; without an emulated device tree, whatever switch port there is at start.
	for (unsigned int i = 0; port && !parent && i < nr; i++)
		if (&ports[i] != port && !ports[i].representor[0] && port->pci[0] &&
			!strcmp(ports[i].pci, port->pci))
			parent = &ports[i];
	if (port) {
		info.port = *port;
		if (parent)
			info.parent = *parent;
		result = doca_dev_rep_open(&info, dev_rep);
	} else {
		result = refuse(DOCA_ERROR_NOT_FOUND, AT(.rule = "device"), "the fast path has no port %s",
			port_name);
	}
	free(ports);
	return result;
}

// --- facts

static doca_error_t give_text(
	const char *function, const char *text, char *to, uint32_t size, const char *what)
{
	if (!text[0])
		return refuse(DOCA_ERROR_NOT_FOUND, AT(.field = what), "%s(): the emulated device has none",
			function);
	if (!to || strlen(text) >= size)
		return refuse_argument(
			function, what, "the buffer is NULL or smaller than %zu bytes", strlen(text) + 1);
	memcpy(to, text, strlen(text) + 1);
	return DOCA_SUCCESS;
}

static doca_error_t pci_equal(const char *ours, const char *theirs, uint8_t *is_equal)
{
	const char *colon = strchr(ours, ':');

	*is_equal = !strcmp(ours, theirs) || (colon && !strcmp(colon + 1, theirs));
	return DOCA_SUCCESS;
}

doca_error_t doca_devinfo_get_pci_addr_str(const struct doca_devinfo *devinfo, char *pci_addr_str)
{
	NEED(devinfo);
	return give_text(__func__, devinfo->port.pci, pci_addr_str, DOCA_DEVINFO_PCI_ADDR_SIZE, "pci_addr");
}

doca_error_t doca_devinfo_is_equal_pci_addr(
	const struct doca_devinfo *devinfo, const char *pci_addr_str, uint8_t *is_equal)
{
	NEED(devinfo);
	NEED(pci_addr_str);
	NEED(is_equal);
	return pci_equal(devinfo->port.pci, pci_addr_str, is_equal);
}

doca_error_t doca_devinfo_get_pci_func_type(
	const struct doca_devinfo *devinfo, enum doca_pci_func_type *pci_func_type)
{
	NEED(devinfo);
	NEED(pci_func_type);
	*pci_func_type = DOCA_PCI_FUNC_TYPE_PF;
	return DOCA_SUCCESS;
}

doca_error_t doca_devinfo_get_sf_index(const struct doca_devinfo *devinfo, uint32_t *sf_index)
{
	NEED(devinfo);
	NEED(sf_index);
	return refuse(DOCA_ERROR_NOT_FOUND, AT(.field = "sf_index"), "%s(): an uplink is no sub-function",
		__func__);
}

doca_error_t doca_devinfo_get_ipv4_addr(const struct doca_devinfo *devinfo, uint8_t *ipv4_addr, uint32_t size)
{
	NEED(devinfo);
	NEED(ipv4_addr);
	(void)size;
	return refuse(DOCA_ERROR_NOT_FOUND, AT(.field = "ipv4_addr"),
		"%s(): the fast path's ports have no address", __func__);
}

doca_error_t doca_devinfo_get_ipv6_addr(const struct doca_devinfo *devinfo, uint8_t *ipv6_addr, uint32_t size)
{
	NEED(devinfo);
	NEED(ipv6_addr);
	(void)size;
	return refuse(DOCA_ERROR_NOT_FOUND, AT(.field = "ipv6_addr"),
		"%s(): the fast path's ports have no address", __func__);
}

doca_error_t doca_devinfo_get_mac_addr(const struct doca_devinfo *devinfo, uint8_t *mac_addr, uint32_t size)
{
	NEED(devinfo);
	NEED(mac_addr);
	if (size < DOCA_DEVINFO_MAC_ADDR_SIZE)
		return refuse_argument(__func__, "size", "smaller than %d", DOCA_DEVINFO_MAC_ADDR_SIZE);
	memcpy(mac_addr, devinfo->port.mac, DOCA_DEVINFO_MAC_ADDR_SIZE);
	return DOCA_SUCCESS;
}

doca_error_t doca_devinfo_get_iface_name(const struct doca_devinfo *devinfo, char *iface_name, uint32_t size)
{
	NEED(devinfo);
	return give_text(__func__, devinfo->port.name, iface_name, size, "iface_name");
}

doca_error_t doca_devinfo_get_ibdev_name(const struct doca_devinfo *devinfo, char *ibdev_name, uint32_t size)
{
	NEED(devinfo);
	return give_text(__func__, devinfo->port.ibdev, ibdev_name, size, "ibdev_name");
}

doca_error_t doca_devinfo_get_lid(const struct doca_devinfo *devinfo, uint16_t *lid)
{
	NEED(devinfo);
	NEED(lid);
	return refuse(
		DOCA_ERROR_NOT_SUPPORTED, AT(.field = "lid"), "%s(): Ethernet ports have no LID", __func__);
}

doca_error_t doca_devinfo_get_active_rate(const struct doca_devinfo *devinfo, uint64_t *active_rate)
{
	NEED(devinfo);
	NEED(active_rate);
	return refuse(DOCA_ERROR_NOT_SUPPORTED, AT(.field = "active_rate"),
		"%s(): software ports have no rate", __func__);
}

doca_error_t doca_devinfo_get_vhca_id(const struct doca_devinfo *devinfo, uint16_t *vhca_id)
{
	NEED(devinfo);
	NEED(vhca_id);
	*vhca_id = devinfo->port.index;
	return DOCA_SUCCESS;
}

static doca_error_t capability(const void *devinfo, uint8_t *value, uint8_t answer, const char *function)
{
	if (!devinfo || !value)
		return refuse_argument(function, "devinfo", "an argument is NULL");
	*value = answer;
	return DOCA_SUCCESS;
}

doca_error_t doca_devinfo_cap_is_hotplug_manager_supported(
	const struct doca_devinfo *devinfo, uint8_t *is_hotplug_manager)
{
	return capability(devinfo, is_hotplug_manager, 0, __func__);
}

doca_error_t doca_devinfo_cap_is_notification_moderation_supported(
	const struct doca_devinfo *devinfo, uint8_t *is_notification_moderation_supported)
{
	return capability(devinfo, is_notification_moderation_supported, 0, __func__);
}

doca_error_t doca_devinfo_cap_is_accelerate_resource_reclaim_supported(
	const struct doca_devinfo *devinfo, uint8_t *is_accelerate_resource_reclaim)
{
	return capability(devinfo, is_accelerate_resource_reclaim, 0, __func__);
}

doca_error_t doca_devinfo_rep_cap_is_filter_all_supported(
	const struct doca_devinfo *devinfo, uint8_t *filter_all_supported)
{
	return capability(devinfo, filter_all_supported, 1, __func__);
}

doca_error_t doca_devinfo_rep_cap_is_filter_net_supported(
	const struct doca_devinfo *devinfo, uint8_t *filter_net_supported)
{
	return capability(devinfo, filter_net_supported, 1, __func__);
}

doca_error_t doca_devinfo_rep_cap_is_filter_emulated_supported(
	const struct doca_devinfo *devinfo, uint8_t *filter_emulated_supported)
{
	return capability(devinfo, filter_emulated_supported, 0, __func__);
}

// --- facts of representors. The representor string is devlink's: "pf0", "pf0vf3", "pf0sf5", "c1pf0vf1".

// The number behind the last occurrence of key in the representor string.
static bool rep_number(const struct doca_devinfo_rep *rep, const char *key, uint32_t *number)
{
	const char *at = strstr(rep->port.representor, key);

	if (!at || at[strlen(key)] < '0' || at[strlen(key)] > '9')
		return false;
	*number = (uint32_t)strtoul(at + strlen(key), NULL, 10);
	return true;
}

doca_error_t doca_devinfo_rep_get_vuid(
	const struct doca_devinfo_rep *devinfo_rep, char *rep_vuid, uint32_t size)
{
	char vuid[2 * STEER_NAME_MAX + 16];

	NEED(devinfo_rep);
	snprintf(vuid, sizeof(vuid), "RINGFIELD-%s-%s", devinfo_rep->port.pci, devinfo_rep->port.representor);
	return give_text(__func__, vuid, rep_vuid, size, "vuid");
}

doca_error_t doca_devinfo_rep_get_pci_addr_str(const struct doca_devinfo_rep *devinfo_rep, char *pci_addr_str)
{
	NEED(devinfo_rep);
	return give_text(
		__func__, devinfo_rep->port.pci, pci_addr_str, DOCA_DEVINFO_REP_PCI_ADDR_SIZE, "pci_addr");
}

doca_error_t doca_devinfo_rep_get_pci_func_type(
	const struct doca_devinfo_rep *devinfo_rep, enum doca_pci_func_type *pci_func_type)
{
	uint32_t number;

	NEED(devinfo_rep);
	NEED(pci_func_type);
	*pci_func_type = rep_number(devinfo_rep, "vf", &number)   ? DOCA_PCI_FUNC_TYPE_VF
			 : rep_number(devinfo_rep, "sf", &number) ? DOCA_PCI_FUNC_TYPE_SF
								  : DOCA_PCI_FUNC_TYPE_PF;
	return DOCA_SUCCESS;
}

doca_error_t doca_devinfo_rep_get_is_hotplug(const struct doca_devinfo_rep *devinfo_rep, uint8_t *is_hotplug)
{
	return capability(devinfo_rep, is_hotplug, 0, __func__);
}

doca_error_t doca_devinfo_rep_get_iface_name(
	const struct doca_devinfo_rep *devinfo_rep, char *iface_name, uint32_t size)
{
	NEED(devinfo_rep);
	return give_text(__func__, devinfo_rep->port.name, iface_name, size, "iface_name");
}

doca_error_t doca_devinfo_rep_get_vhca_id(const struct doca_devinfo_rep *devinfo_rep, uint16_t *vhca_id)
{
	NEED(devinfo_rep);
	NEED(vhca_id);
	*vhca_id = devinfo_rep->port.index;
	return DOCA_SUCCESS;
}

static doca_error_t give_number(
	const struct doca_devinfo_rep *rep, const char *key, uint32_t *number, const char *function)
{
	if (!rep || !number)
		return refuse_argument(function, "devinfo_rep", "an argument is NULL");
	if (!rep_number(rep, key, number))
		return refuse(DOCA_ERROR_NOT_FOUND, AT(.field = key), "%s(): representor \"%s\" has none",
			function, rep->port.representor);
	return DOCA_SUCCESS;
}

doca_error_t doca_devinfo_rep_get_host_index(const struct doca_devinfo_rep *devinfo_rep, uint32_t *host_index)
{
	NEED(devinfo_rep);
	NEED(host_index);
	*host_index = 0;
	return DOCA_SUCCESS;
}

doca_error_t doca_devinfo_rep_get_pf_index(const struct doca_devinfo_rep *devinfo_rep, uint32_t *pf_index)
{
	return give_number(devinfo_rep, "pf", pf_index, __func__);
}

doca_error_t doca_devinfo_rep_get_vf_index(const struct doca_devinfo_rep *devinfo_rep, uint32_t *vf_index)
{
	return give_number(devinfo_rep, "vf", vf_index, __func__);
}

doca_error_t doca_devinfo_rep_get_sf_index(const struct doca_devinfo_rep *devinfo_rep, uint32_t *sf_index)
{
	return give_number(devinfo_rep, "sf", sf_index, __func__);
}

doca_error_t doca_devinfo_rep_is_equal_pci_addr(
	const struct doca_devinfo_rep *devinfo_rep, const char *pci_addr_str, uint8_t *is_equal)
{
	NEED(devinfo_rep);
	NEED(pci_addr_str);
	NEED(is_equal);
	return pci_equal(devinfo_rep->port.pci, pci_addr_str, is_equal);
}
