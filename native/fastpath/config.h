// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// The fast path's options: from the command line and from a line based file (docs/fastpath-config.md). No EAL in here.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "steering_wire.h"

enum config_idle { CONFIG_IDLE_ADAPTIVE = 0, CONFIG_IDLE_SPIN };
enum config_huge { CONFIG_HUGE_AUTO = 0, CONFIG_HUGE_NO, CONFIG_HUGE_YES };

enum { CONFIG_WHY_MAX = 512, CONFIG_PATH_MAX = 96 };

struct config_port {
	struct steer_port_add add;
	bool persist; // net_tap: the interface outlives the fast path
	unsigned int line;
};

struct config {
	char runtime_dir[CONFIG_PATH_MAX]; // short, since a socket's path has 108 bytes
	char file[4096];                   // empty: no ports at start
	char lcores[256];                  // as EAL's --lcores; empty: chosen by us
	enum config_idle idle;
	enum config_huge huge;
	bool one_core;
	bool verbose;
	unsigned int workers;    // 0: as many as lcores says, else 1
	unsigned int memory_mb;  // of DPDK, 0: from the sizes below
	unsigned int mbufs;      // packet buffers
	unsigned int mbuf_bytes; // room for packet data in one buffer
	unsigned int counters;   // slots in the stats segment
	unsigned int cache;      // recorded walks of a worker, 0 = none
	unsigned int max_clients;
	unsigned int nr_ports;
	struct config_port ports[STEER_PORT_MAX];
};

// Defaults.
void config_init(struct config *config);

// Reads options given on the command line, and the file that they name; the command line wins. 0, 1 when only --help or
// --version was asked for (and answered), or negative errno with a sentence in why.
int config_parse_arguments(struct config *config, int argc, char **argv, char why[CONFIG_WHY_MAX]);

// Reads one file's text (length bytes, need not end with NUL). name is for messages. The whole file is checked; the first
// fault is told as NAME:LINE: sentence.
int config_parse_text(
	struct config *config, const char *name, const char *text, size_t length, char why[CONFIG_WHY_MAX]);

// Sets one general option, as in the file. Used for the command line as well.
int config_set(struct config *config, const char *key, const char *value, char why[CONFIG_WHY_MAX]);

// A sentence that says why not; gives -EINVAL.
int config_refuse(char why[CONFIG_WHY_MAX], const char *format, ...) __attribute__((format(printf, 2, 3)));

// Six bytes from aa:bb:cc:dd:ee:ff; false when it is none.
bool config_parse_mac(const char *text, uint8_t mac[6]);

// True for a name that ports and sessions may have: 1 .. 63 of letters, digits, '-', '_', '.', ':'.
bool config_name_good(const char *name);
