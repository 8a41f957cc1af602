// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// The config file's parser: what it takes, and each refusal's sentence.

#include <errno.h>
#include <string.h>

#include "config.h"
#include "tap.h"

static struct config config;
static char why[CONFIG_WHY_MAX];

static int parse(const char *text)
{
	config_init(&config);
	why[0] = '\0';
	return config_parse_text(&config, "x.conf", text, strlen(text), why);
}

static void refused(const char *text, const char *sentence)
{
	ok(parse(text) == -EINVAL && !strcmp(why, sentence), "%s", why);
}

static void taken(void)
{
	ok(!parse(""), "an empty file");
	ok(!parse("# a comment\n\n  ; another\n\t\n"), "comments and blank lines");
	ok(!parse("idle=spin\n one_core = yes \nmbufs=0x1000\nlcores = 0@0,1@1\nhuge = no"),
		"general options");
	ok(config.idle == CONFIG_IDLE_SPIN && config.one_core && config.mbufs == 4096 &&
			config.huge == CONFIG_HUGE_NO && !strcmp(config.lcores, "0@0,1@1"),
		"have their values");
	ok(!parse("[port p0]\nbackend = net_tap\nnetns = web\nmac = 02:00:00:00:00:01\nmtu = 9000\npersist = "
		  "on\n"
		  "args = iface=x0,remote=eth0\n[port   pf0vf0 ]\nbackend=net_ring\r\n"),
		"two ports");
	ok(config.nr_ports == 2 && !strcmp(config.ports[0].add.args, "iface=x0,remote=eth0") &&
			config.ports[0].persist && config.ports[0].add.mtu == 9000 &&
			!strcmp(config.ports[1].add.name, "pf0vf0") &&
			!strcmp(config.ports[1].add.backend, "net_ring"),
		"have their values");
}

static void refusals(void)
{
	char text[4096] = "";

	refused("idle", "x.conf:1: \"idle\" is neither key = value nor [port NAME]");
	refused("\nfoo = 1", "x.conf:2: there is no option \"foo\"");
	refused("idle = x", "x.conf:1: idle must be adaptive or spin, not \"x\"");
	refused("one_core = maybe", "x.conf:1: one_core must be yes or no, not \"maybe\"");
	refused("mbufs = 10", "x.conf:1: mbufs must be a number from 1024 to 16777216, not \"10\"");
	refused("mbufs = 1024x", "x.conf:1: mbufs must be a number from 1024 to 16777216, not \"1024x\"");
	refused("mbufs = -1", "x.conf:1: mbufs must be a number from 1024 to 16777216, not \"-1\"");
	refused("mbufs = 99999999999999999999",
		"x.conf:1: mbufs must be a number from 1024 to 16777216, not \"99999999999999999999\"");
	refused("mbufs =", "x.conf:1: mbufs must be a number from 1024 to 16777216, not \"\"");
	refused("[port]", "x.conf:1: a section is written [port NAME], not \"[port]\"");
	refused("[port p0", "x.conf:1: a section is written [port NAME], not \"[port p0\"");
	refused("[", "x.conf:1: a section is written [port NAME], not \"[\"");
	refused("[port a/b]", "x.conf:1: \"a/b\" cannot be the name of a port: up to 63 letters, digits, "
			      "'-', '_', '.', ':'");
	refused("[port a]\nbackend=net_ring\n[port a]", "x.conf:3: port a is there already, in line 1");
	refused("[port a]", "x.conf: port a has no backend");
	refused("[port a]\nfoo = 1", "x.conf:2: port a: there is no port option \"foo\"");
	refused("[port a]\nmac = 02:00:00:00:00",
		"x.conf:2: port a: mac must be written aa:bb:cc:dd:ee:ff, not \"02:00:00:00:00\"");
	refused("[port a]\nmtu = 10000", "x.conf:2: mtu must be a number from 68 to 9600, not \"10000\"");
	memset(text, 'a', 2000);
	refused(text, "x.conf:1: the line is longer than 1023 characters");
	snprintf(text, sizeof(text), "[port a]\nnetns = %0100d", 1);
	refused(text, "x.conf:2: netns must be shorter than 64 characters");
	config_init(&config);
	ok(config_parse_text(&config, "x", "a\0b", 3, why) == -EINVAL &&
			!strcmp(why, "x:1: the line holds a NUL character"),
		"%s", why);
}

static void many_ports(void)
{
	static char text[8192];
	size_t used = 0;

	for (unsigned int i = 0; i < STEER_PORT_MAX; i++)
		used += (size_t)snprintf(
			text + used, sizeof(text) - used, "[port p%u]\nbackend = net_null\n", i);
	ok(!parse(text) && config.nr_ports == STEER_PORT_MAX, "%u ports", config.nr_ports);
	snprintf(text + used, sizeof(text) - used, "[port one_more]\n");
	refused(text, "x.conf:129: there are more than 64 ports");
}

static int parse_words(int count, const char *const *words)
{
	config_init(&config);
	return config_parse_arguments(&config, count, (char **)(uintptr_t)words, why);
}

static void arguments(void)
{
	static const char *const good[] = {
		"fastpath", "--runtime-dir", "/tmp/x", "--one-core", "--idle=spin", "--mbufs", "2048"};
	static const char *const bad[] = {"fastpath", "--idle", "spin"};
	static const char *const loose[] = {"fastpath", "--runtime-dir", "/tmp/x", "spin"};
	static const char *const short_of[] = {"fastpath", "--runtime-dir", "/tmp/x", "--mbufs"};

	ok(!parse_words(7, good) && config.one_core && config.idle == CONFIG_IDLE_SPIN &&
			config.mbufs == 2048 && !strcmp(config.runtime_dir, "/tmp/x"),
		"options on the command line");
	ok(parse_words(3, bad) == -EINVAL, "%s", why);
	ok(parse_words(4, loose) == -EINVAL, "%s", why);
	ok(parse_words(4, short_of) == -EINVAL, "%s", why);
}

int main(void)
{
	taken();
	refusals();
	many_ports();
	arguments();
	return tap_done();
}
