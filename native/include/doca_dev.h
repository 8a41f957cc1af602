// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

// Devices and representors. In Ringfield a device is an uplink of the running fast path (p0, p1, ...), with the PCI
// address and ibdev name its configuration gives it, and the representors are the other ports of the same
// emulated card. Lists are read from the fast path when they are created.
//
// Lists and their elements belong to the caller until destroyed. An open device outlives the list it came from.
// Not thread safe per object; distinct objects may be used from distinct threads.

#ifndef DOCA_DEV_H_
#define DOCA_DEV_H_

#ifndef RINGFIELD_CDEF
#include <stdint.h>
#endif

#include <doca_compat.h>
#include <doca_error.h>
#include <doca_types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct doca_devinfo;     // facts about a device
struct doca_devinfo_rep; // facts about a representor
struct doca_dev;         // an open device
struct doca_dev_rep;     // an open representor

// Which representors to list; values may be or-ed.
enum doca_devinfo_rep_filter {
	DOCA_DEVINFO_REP_FILTER_ALL = 0,
	DOCA_DEVINFO_REP_FILTER_NET = 1 << 1,
	DOCA_DEVINFO_REP_FILTER_EMULATED = 1 << 2,
};

// Sizes of buffers in bytes, final NUL included for strings.
#define DOCA_DEVINFO_VUID_SIZE         128
#define DOCA_DEVINFO_IPV4_ADDR_SIZE    4
#define DOCA_DEVINFO_IPV6_ADDR_SIZE    16
#define DOCA_DEVINFO_MAC_ADDR_SIZE     6
#define DOCA_DEVINFO_IFACE_NAME_SIZE   256
#define DOCA_DEVINFO_IBDEV_NAME_SIZE   64
#define DOCA_DEVINFO_PCI_ADDR_SIZE     13 // "0000:03:00.0"
#define DOCA_DEVINFO_PCI_BDF_SIZE      8  // "03:00.0"
#define DOCA_DEVINFO_REP_VUID_SIZE     128
#define DOCA_DEVINFO_REP_PCI_ADDR_SIZE 13
#define DOCA_DEVINFO_REP_PCI_BDF_SIZE  8

// --- lists. Errors: INVALID_VALUE, NO_MEMORY, NOT_FOUND (no fast path is running), NOT_SUPPORTED.
DOCA_STABLE
doca_error_t doca_devinfo_create_list(struct doca_devinfo ***dev_list, uint32_t *nb_devs);
DOCA_STABLE
doca_error_t doca_devinfo_destroy_list(struct doca_devinfo **dev_list);
DOCA_STABLE
doca_error_t doca_devinfo_rep_create_list(
	struct doca_dev *dev, int filter, struct doca_devinfo_rep ***dev_list_rep, uint32_t *nb_devs_rep);
DOCA_STABLE
doca_error_t doca_devinfo_rep_destroy_list(struct doca_devinfo_rep **dev_list_rep);

// --- opening. Opening the same device again counts references; each open needs its close. Closing what a started
// port uses is refused with IN_USE.
DOCA_STABLE
doca_error_t doca_dev_open(struct doca_devinfo *devinfo, struct doca_dev **dev);
DOCA_STABLE
doca_error_t doca_dev_close(struct doca_dev *dev);
DOCA_EXPERIMENTAL
doca_error_t doca_dev_accelerate_resource_reclaim(struct doca_dev *dev);
DOCA_STABLE
doca_error_t doca_dev_rep_open(struct doca_devinfo_rep *devinfo, struct doca_dev_rep **dev_rep);
DOCA_STABLE
doca_error_t doca_dev_rep_close(struct doca_dev_rep *dev);
// The facts of an open device; valid until it is closed. NULL for NULL.
DOCA_STABLE
struct doca_devinfo *doca_dev_as_devinfo(const struct doca_dev *dev);
DOCA_STABLE
struct doca_devinfo_rep *doca_dev_rep_as_devinfo(struct doca_dev_rep *dev_rep);

// --- facts about devices. size is the buffer's size in bytes; too small a buffer is INVALID_VALUE; a fact that the
// emulated device does not have is NOT_SUPPORTED or NOT_FOUND.
DOCA_STABLE
doca_error_t doca_devinfo_get_pci_addr_str(const struct doca_devinfo *devinfo, char *pci_addr_str);
DOCA_STABLE
doca_error_t doca_devinfo_is_equal_pci_addr(
	const struct doca_devinfo *devinfo, const char *pci_addr_str, uint8_t *is_equal);
DOCA_EXPERIMENTAL
doca_error_t doca_devinfo_get_pci_func_type(
	const struct doca_devinfo *devinfo, enum doca_pci_func_type *pci_func_type);
DOCA_EXPERIMENTAL
doca_error_t doca_devinfo_get_sf_index(const struct doca_devinfo *devinfo, uint32_t *sf_index);
DOCA_STABLE
doca_error_t doca_devinfo_get_ipv4_addr(
	const struct doca_devinfo *devinfo, uint8_t *ipv4_addr, uint32_t size);
DOCA_STABLE
doca_error_t doca_devinfo_get_ipv6_addr(
	const struct doca_devinfo *devinfo, uint8_t *ipv6_addr, uint32_t size);
DOCA_STABLE
doca_error_t doca_devinfo_get_mac_addr(const struct doca_devinfo *devinfo, uint8_t *mac_addr, uint32_t size);
DOCA_STABLE
doca_error_t doca_devinfo_get_iface_name(const struct doca_devinfo *devinfo, char *iface_name, uint32_t size);
DOCA_STABLE
doca_error_t doca_devinfo_get_ibdev_name(const struct doca_devinfo *devinfo, char *ibdev_name, uint32_t size);
DOCA_STABLE
doca_error_t doca_devinfo_get_lid(const struct doca_devinfo *devinfo, uint16_t *lid);
DOCA_EXPERIMENTAL
doca_error_t doca_devinfo_get_active_rate(const struct doca_devinfo *devinfo, uint64_t *active_rate); // bit/s
DOCA_EXPERIMENTAL
doca_error_t doca_devinfo_get_vhca_id(const struct doca_devinfo *devinfo, uint16_t *vhca_id);
DOCA_STABLE
doca_error_t doca_devinfo_cap_is_hotplug_manager_supported(
	const struct doca_devinfo *devinfo, uint8_t *is_hotplug_manager);
DOCA_EXPERIMENTAL
doca_error_t doca_devinfo_cap_is_notification_moderation_supported(
	const struct doca_devinfo *devinfo, uint8_t *is_notification_moderation_supported);
DOCA_EXPERIMENTAL
doca_error_t doca_devinfo_cap_is_accelerate_resource_reclaim_supported(
	const struct doca_devinfo *devinfo, uint8_t *is_accelerate_resource_reclaim);
DOCA_STABLE
doca_error_t doca_devinfo_rep_cap_is_filter_all_supported(
	const struct doca_devinfo *devinfo, uint8_t *filter_all_supported);
DOCA_STABLE
doca_error_t doca_devinfo_rep_cap_is_filter_net_supported(
	const struct doca_devinfo *devinfo, uint8_t *filter_net_supported);
DOCA_STABLE
doca_error_t doca_devinfo_rep_cap_is_filter_emulated_supported(
	const struct doca_devinfo *devinfo, uint8_t *filter_emulated_supported);

// --- facts about representors.
DOCA_STABLE
doca_error_t doca_devinfo_rep_get_vuid(
	const struct doca_devinfo_rep *devinfo_rep, char *rep_vuid, uint32_t size);
DOCA_STABLE
doca_error_t doca_devinfo_rep_get_pci_addr_str(
	const struct doca_devinfo_rep *devinfo_rep, char *pci_addr_str);
DOCA_STABLE
doca_error_t doca_devinfo_rep_get_pci_func_type(
	const struct doca_devinfo_rep *devinfo_rep, enum doca_pci_func_type *pci_func_type);
DOCA_STABLE
doca_error_t doca_devinfo_rep_get_is_hotplug(const struct doca_devinfo_rep *devinfo_rep, uint8_t *is_hotplug);
DOCA_EXPERIMENTAL
doca_error_t doca_devinfo_rep_get_iface_name(
	const struct doca_devinfo_rep *devinfo_rep, char *iface_name, uint32_t size);
DOCA_EXPERIMENTAL
doca_error_t doca_devinfo_rep_get_vhca_id(const struct doca_devinfo_rep *devinfo_rep, uint16_t *vhca_id);
DOCA_EXPERIMENTAL
doca_error_t doca_devinfo_rep_get_host_index(
	const struct doca_devinfo_rep *devinfo_rep, uint32_t *host_index);
DOCA_EXPERIMENTAL
doca_error_t doca_devinfo_rep_get_pf_index(const struct doca_devinfo_rep *devinfo_rep, uint32_t *pf_index);
DOCA_EXPERIMENTAL
doca_error_t doca_devinfo_rep_get_vf_index(const struct doca_devinfo_rep *devinfo_rep, uint32_t *vf_index);
DOCA_EXPERIMENTAL
doca_error_t doca_devinfo_rep_get_sf_index(const struct doca_devinfo_rep *devinfo_rep, uint32_t *sf_index);
DOCA_STABLE
doca_error_t doca_devinfo_rep_is_equal_pci_addr(
	const struct doca_devinfo_rep *devinfo_rep, const char *pci_addr_str, uint8_t *is_equal);

#ifdef __cplusplus
}
#endif

#endif // DOCA_DEV_H_
