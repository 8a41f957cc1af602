// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// doca_log.h: backends of every kind, limits, sources in their hierarchy; and doca_dev.h: uplinks and representors in lists,
// what they tell of themselves, opened and closed.
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <doca_dev.h>
#include <doca_log.h>

#include "rig.h"

DOCA_LOG_REGISTER(BEHAVIOUR::LOG);

enum { LINE = 512, PIPE_BYTES = 4096 };

static char line[LINE];
static int flushed;

static void on_flush(char *buf)
{
	flushed += buf == line;
}

static void refused(const char *what, doca_error_t got, doca_error_t code)
{
	ok(got == code, "%s: %s: %s", what, doca_error_get_name(got), doca_flow_ringfield_last_error());
}

#define REFUSED(code, call) refused(#call, call, DOCA_ERROR_##code)

// What a pipe holds, ended with a NUL.
static const char *held(int fd)
{
	static char text[PIPE_BYTES];
	ssize_t n = read(fd, text, sizeof(text) - 1);

	text[n > 0 ? n : 0] = 0;
	return text;
}

static void backends(void)
{
	struct doca_log_backend *to_buf, *to_fd, *to_file, *sdk, *more = NULL;
	uint32_t made = 4;
	int ends[2];
	char *text = NULL;
	size_t bytes = 0;
	FILE *file = open_memstream(&text, &bytes);

	require(file && !pipe(ends), "a pipe and a stream");
	success(doca_log_backend_create_with_buf(line, sizeof(line), on_flush, &to_buf));
	success(doca_log_backend_create_with_fd(ends[1], &to_fd));
	success(doca_log_backend_create_with_file(file, &to_file));
	success(doca_log_backend_create_with_file_sdk(file, &sdk));
	ok(doca_log_level_get_global_lower_limit() == DOCA_LOG_LEVEL_INFO &&
			doca_log_level_get_global_upper_limit() == DOCA_LOG_LEVEL_CRIT,
		"limits to begin with");
	DOCA_LOG_INFO("number %d", 4711);
	ok(flushed == 1 && strstr(line, "number 4711") && strstr(line, "BEHAVIOUR::LOG") &&
			strstr(line, "[INF]"),
		"a buffer has the record, its source and level: %s", line);
	ok(strstr(held(ends[0]), "number 4711") != NULL, "and so has a file descriptor");
	fflush(file);
	ok(text && strstr(text, "number 4711"), "and a stream");
	DOCA_LOG_DBG("not told");
	ok(flushed == 1, "what is more verbose than the limit is not told");
	success(doca_log_backend_set_level_lower_limit(to_buf, DOCA_LOG_LEVEL_DEBUG));
	DOCA_LOG_DBG("told");
	ok(flushed == 2 && strstr(line, "told"), "until the backend's limit says so");
	success(doca_log_backend_set_level_upper_limit(to_buf, DOCA_LOG_LEVEL_WARNING));
	DOCA_LOG_ERR("too bad for it");
	ok(flushed == 2 && strstr(held(ends[0]), "too bad for it"),
		"an upper limit keeps the grave ones out");
	success(doca_log_backend_set_level_upper_limit(to_buf, DOCA_LOG_LEVEL_CRIT));
	success(doca_log_backend_set_level_lower_limit(to_buf, DOCA_LOG_LEVEL_INFO));
	success(doca_log_backend_set_level_lower_limit_strict(to_buf));
	REFUSED(NOT_PERMITTED, doca_log_backend_set_level_lower_limit(to_buf, DOCA_LOG_LEVEL_DEBUG));
	success(doca_log_backend_set_level_lower_limit(to_buf, DOCA_LOG_LEVEL_ERROR));
	success(doca_log_backend_set_level_upper_limit_strict(to_fd));
	REFUSED(NOT_PERMITTED, doca_log_backend_set_level_upper_limit(to_fd, DOCA_LOG_LEVEL_DISABLE));

	REFUSED(INVALID_VALUE, doca_log_backend_create_with_file(NULL, &more));
	REFUSED(INVALID_VALUE, doca_log_backend_create_with_fd(-1, &more));
	REFUSED(INVALID_VALUE, doca_log_backend_create_with_buf(line, 0, on_flush, &more));
	REFUSED(INVALID_VALUE, doca_log_backend_create_with_syslog(NULL, &more));
	REFUSED(INVALID_VALUE, doca_log_backend_set_level_lower_limit(NULL, DOCA_LOG_LEVEL_INFO));
	REFUSED(INVALID_VALUE, doca_log_backend_set_level_lower_limit(to_buf, 33));

	// What the library says goes to SDK backends, and its level is theirs.
	success(doca_log_level_set_global_sdk_limit(DOCA_LOG_LEVEL_ERROR));
	ok(doca_log_level_get_global_sdk_limit() == DOCA_LOG_LEVEL_ERROR, "the SDK's limit");
	REFUSED(INVALID_VALUE, doca_flow_port_pair(rig.port[0], NULL));
	fflush(file);
	ok(strstr(text, "doca_flow_port_pair") != NULL, "a refusal is logged");

	success(doca_log_backend_create_with_buf_sdk(line, sizeof(line), on_flush, &more));
	success(doca_log_backend_create_with_fd_sdk(ends[1], &more));
	for (made += 2; made < doca_log_get_max_num_backends(); made++)
		success(doca_log_backend_create_with_fd_sdk(ends[1], &more));
	REFUSED(NO_MEMORY, doca_log_backend_create_with_fd(ends[1], &more));
	// Backends live as long as the process; these write nothing any more.
	success(doca_log_level_set_global_sdk_limit(DOCA_LOG_LEVEL_CRIT));
}

static void sources(void)
{
	struct doca_logger **list, *mine, *child;
	char name[DOCA_LOGGER_NAME_SIZE];
	uint32_t nr;
	int a, b, level;

	success(doca_log_register_source("BEHAVIOUR::DEEP", &a));
	success(doca_log_register_source("BEHAVIOUR::DEEP::DOWN", &b));
	REFUSED(INVALID_VALUE, doca_log_register_source(NULL, &a));
	success(doca_logger_create_list(NULL, 0, &list, &nr));
	mine = doca_logger_find_by_name(list, "BEHAVIOUR::DEEP");
	child = doca_logger_find_by_name(list, "BEHAVIOUR::DEEP::DOWN");
	require(nr >= 3 && mine && child, "the sources are in the list");
	ok(!doca_logger_find_by_name(list, "BEHAVIOUR::NONE"), "others are not");
	success(doca_logger_destroy_list(list));
	success(doca_logger_get_name(mine, name));
	ok(!strcmp(name, "BEHAVIOUR::DEEP"), "a name: %s", name);
	success(doca_logger_create_list(mine, 0, &list, &nr));
	ok(nr == 1 && list[0] == child, "below a source is its child");
	success(doca_logger_destroy_list(list));
	success(doca_logger_set_level(mine, DOCA_LOG_LEVEL_CRIT, 1));
	success(doca_logger_get_level(child, &level));
	ok(level == DOCA_LOG_LEVEL_CRIT, "a level goes down to it");
	success(doca_logger_set_level(mine, DOCA_LOG_LEVEL_INFO, 0));
	success(doca_logger_get_level(child, &level));
	ok(level == DOCA_LOG_LEVEL_CRIT, "or does not");
	REFUSED(INVALID_VALUE, doca_logger_set_level(mine, 33, 0));
	REFUSED(INVALID_VALUE, doca_logger_set_level(NULL, DOCA_LOG_LEVEL_INFO, 0));
	REFUSED(NOT_FOUND, doca_logger_set_level((struct doca_logger *)&level, DOCA_LOG_LEVEL_INFO, 0));
	success(doca_log_unregister_source(b));
}

static void devices(void)
{
	struct doca_devinfo **list;
	struct doca_devinfo_rep **reps;
	char pci[DOCA_DEVINFO_PCI_ADDR_SIZE], name[DOCA_DEVINFO_IFACE_NAME_SIZE];
	uint8_t mac[DOCA_DEVINFO_MAC_ADDR_SIZE], equal = 0, small[2], address[16];
	enum doca_pci_func_type type;
	struct doca_dev *dev, *again;
	struct doca_dev_rep *rep;
	uint16_t number;
	uint32_t nr, nr_reps, index;
	uint64_t rate;

	REFUSED(INVALID_VALUE, doca_devinfo_create_list(NULL, &nr));
	success(doca_devinfo_create_list(&list, &nr));
	require(nr == 1, "one uplink: %u", nr);
	success(doca_devinfo_get_iface_name(list[0], name, sizeof(name)));
	ok(!strcmp(name, "p0"), "by name: %s", name);
	success(doca_devinfo_get_pci_addr_str(list[0], pci));
	success(doca_devinfo_is_equal_pci_addr(list[0], pci, &equal));
	ok(equal == 1, "its PCI address is its own: %s", pci);
	success(doca_devinfo_is_equal_pci_addr(list[0], "0000:ff:1f.7", &equal));
	ok(equal == 0, "and no other");
	success(doca_devinfo_get_pci_func_type(list[0], &type));
	ok(type == DOCA_PCI_FUNC_TYPE_PF, "a physical function");
	success(doca_devinfo_get_mac_addr(list[0], mac, sizeof(mac)));
	REFUSED(INVALID_VALUE, doca_devinfo_get_mac_addr(list[0], small, sizeof(small)));
	REFUSED(INVALID_VALUE, doca_devinfo_get_iface_name(list[0], name, 2));
	REFUSED(NOT_FOUND, doca_devinfo_get_sf_index(list[0], &index));
	REFUSED(NOT_FOUND, doca_devinfo_get_ipv4_addr(list[0], address, 4));
	REFUSED(NOT_FOUND, doca_devinfo_get_ipv6_addr(list[0], address, 16));
	REFUSED(NOT_SUPPORTED, doca_devinfo_get_lid(list[0], &number));
	REFUSED(NOT_SUPPORTED, doca_devinfo_get_active_rate(list[0], &rate));
	success(doca_dev_open(list[0], &dev));
	success(doca_dev_open(list[0], &again));
	ok(dev == again, "a device is opened once");
	success(doca_devinfo_destroy_list(list));
	success(doca_devinfo_get_iface_name(doca_dev_as_devinfo(dev), name, sizeof(name)));
	ok(!strcmp(name, "p0"), "an open device outlives the list");

	success(doca_devinfo_rep_create_list(dev, DOCA_DEVINFO_REP_FILTER_ALL, &reps, &nr_reps));
	require(nr_reps == 1, "one representor: %u", nr_reps);
	success(doca_devinfo_rep_get_iface_name(reps[0], name, sizeof(name)));
	ok(!strcmp(name, "pf0vf0"), "by name: %s", name);
	success(doca_devinfo_rep_get_pci_func_type(reps[0], &type));
	ok(type == DOCA_PCI_FUNC_TYPE_VF, "of a virtual function");
	success(doca_devinfo_rep_get_vf_index(reps[0], &index));
	ok(index == 0, "of number 0");
	REFUSED(NOT_FOUND, doca_devinfo_rep_get_sf_index(reps[0], &index));
	success(doca_dev_rep_open(reps[0], &rep));
	success(doca_devinfo_rep_destroy_list(reps));
	success(doca_dev_rep_close(rep));
	success(doca_dev_close(again));
	success(doca_dev_close(dev));
	REFUSED(INVALID_VALUE, doca_dev_close(NULL));
	REFUSED(NOT_FOUND, doca_flow_ringfield_dev_open("p9", &dev));
}

int main(void)
{
	const struct rig_options options = {.mode = "switch,hws", .nr_ports = 2};

	devices();
	rig_start(&options);
	sources();
	backends();
	rig_stop();
	return tap_done();
}
