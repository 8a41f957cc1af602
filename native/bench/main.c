// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

static const struct {
	const char *name;
	int (*run)(const struct options *options);
} measurements[] = {
	{"forward", forward_run},
	{"entries", entries_run},
	{"post", post_run},
	{"churn", churn_run},
	{"acl", acl_run},
	{"first", first_run},
};

static void usage(void)
{
	fputs("usage: bench-flow forward|entries|post|churn|acl|first [--runtime-dir DIR] [--session NAME] "
	      "[--ports A,B]\n"
	      "         [--shape mixed|same] [--churn none|hit|miss] [--pipes N] [--flows N] [--nr N] "
	      "[--batch N]\n"
	      "         [--rate N] [--windows N] [--window-ms N] [--gap-us N] [--depth N]\n"
	      "One measurement of a running fast path, as JSON; `ringfield bench` runs them all.\n",
		stderr);
	exit(2);
}

static uint32_t number(const char *text)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (!*text || *end || value > UINT32_MAX)
		die("not a number: %s", text);
	return (uint32_t)value;
}

static void parse(struct options *o, int argc, char **argv)
{
	static const struct option names[] = {{"runtime-dir", required_argument, NULL, 0},
		{"session", required_argument, NULL, 1}, {"ports", required_argument, NULL, 2},
		{"shape", required_argument, NULL, 3}, {"churn", required_argument, NULL, 4},
		{"pipes", required_argument, NULL, 5}, {"flows", required_argument, NULL, 6},
		{"nr", required_argument, NULL, 7}, {"batch", required_argument, NULL, 8},
		{"rate", required_argument, NULL, 9}, {"windows", required_argument, NULL, 10},
		{"window-ms", required_argument, NULL, 11}, {"gap-us", required_argument, NULL, 12},
		{"depth", required_argument, NULL, 13}, {0}};
	const char **texts[] = {&o->runtime_dir, &o->session, &o->ports, &o->shape, &o->churn};
	uint32_t *numbers[] = {&o->pipes, &o->flows, &o->nr, &o->batch, &o->rate, &o->windows, &o->window_ms,
		&o->gap_us, &o->depth};
	int which;

	while ((which = getopt_long(argc, argv, "", names, NULL)) >= 0) {
		if (which == '?')
			usage();
		if (which < 5)
			*texts[which] = optarg;
		else
			*numbers[which - 5] = number(optarg);
	}
	if (optind < argc || !o->batch || !o->flows || !o->nr || !o->pipes || o->pipes > BENCH_PIPES_MAX)
		usage();
}

int main(int argc, char **argv)
{
	struct options options = {
		.ports = "p0",
		.shape = "mixed",
		.churn = "none",
		.pipes = 1,
		.flows = 1024,
		.nr = 1 << 17,
		.batch = 32,
		.rate = 100000,
		.windows = 1,
		.window_ms = 1000,
		.gap_us = 200,
		.depth = BENCH_DEPTH,
	};

	if (argc < 2)
		usage();
	parse(&options, argc - 1, argv + 1);
	for (size_t i = 0; i < sizeof(measurements) / sizeof(*measurements); i++)
		if (!strcmp(argv[1], measurements[i].name))
			return measurements[i].run(&options);
	usage();
}
