// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_log.h>

#include "eal.h"
#include "fastpath.h"
#include "notice.h"
#include "port.h"

enum { ARGUMENT_MAX = 32 + 2 * STEER_PORT_MAX, TEXT_MAX = 512, TABLE_MB = 64, ORDINARY_MB = 2048 };

struct arguments {
	int count;
	char *word[ARGUMENT_MAX + 1];
	char text[ARGUMENT_MAX][TEXT_MAX];
};

static bool huge_in_use;

static void add(struct arguments *arguments, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(struct arguments *arguments, const char *format, ...)
{
	char *text = arguments->text[arguments->count];
	va_list args;

	va_start(args, format);
	vsnprintf(text, TEXT_MAX, format, args);
	va_end(args);
	arguments->word[arguments->count++] = text;
	arguments->word[arguments->count] = NULL;
}

static uint64_t read_number(const char *path)
{
	FILE *file = fopen(path, "re");
	unsigned long long number = 0;

	if (!file)
		return 0;
	if (fscanf(file, "%llu", &number) != 1)
		number = 0;
	fclose(file);
	return number;
}

static uint64_t free_huge_mb(void)
{
	static const char *const root = "/sys/kernel/mm/hugepages";
	DIR *dir = opendir(root);
	struct dirent *entry;
	uint64_t kb = 0;

	while (dir && (entry = readdir(dir))) {
		char path[512];
		unsigned long long page_kb;
		uint64_t have, promised;

		if (sscanf(entry->d_name, "hugepages-%llukB", &page_kb) != 1)
			continue;
		snprintf(path, sizeof(path), "%s/%s/free_hugepages", root, entry->d_name);
		have = read_number(path);
		// Free still, but promised to a process that has mapped them and not touched them yet.
		snprintf(path, sizeof(path), "%s/%s/resv_hugepages", root, entry->d_name);
		promised = read_number(path);
		kb += page_kb * (have > promised ? have - promised : 0);
	}
	if (dir)
		closedir(dir);
	return kb / 1024;
}

unsigned int eal_memory_mb(const struct config *config)
{
	uint64_t buffer = config->mbuf_bytes + FP_HEADROOM + FP_NOTE_BYTES + 256;

	if (config->memory_mb)
		return config->memory_mb;
	return (unsigned int)(config->mbufs * buffer >> 20) + TABLE_MB;
}

// 1: hugepages, 0: ordinary pages, negative: refused.
static int choose_memory(const struct config *config, char why[CONFIG_WHY_MAX])
{
	uint64_t have = free_huge_mb();
	unsigned int want = eal_memory_mb(config);

	if (config->huge == CONFIG_HUGE_NO)
		return 0;
	if (have >= want)
		return 1;
	if (config->huge == CONFIG_HUGE_YES) {
		snprintf(why, CONFIG_WHY_MAX, "%u MiB of hugepages are wanted and %llu MiB are free", want,
			(unsigned long long)have);
		return -ENOMEM;
	}
	notice("no hugepages (%u MiB wanted, %llu MiB free): packets are in ordinary memory, which costs "
	       "speed",
		want, (unsigned long long)have);
	return 0;
}

// The CPUs that we may use, as EAL writes sets: (0-3,8). A set too long for the room is cut behind a whole range.
static void allowed_cpus(char *text, size_t bytes)
{
	size_t used = 1;
	cpu_set_t set;

	CPU_ZERO(&set);
	sched_getaffinity(0, sizeof(set), &set);
	text[0] = '(';
	for (int cpu = 0; cpu < CPU_SETSIZE && used + 16 < bytes; cpu++) {
		int last = cpu;

		if (!CPU_ISSET(cpu, &set))
			continue;
		while (last + 1 < CPU_SETSIZE && CPU_ISSET(last + 1, &set))
			last++;
		used += (size_t)snprintf(
			text + used, bytes - used, "%s%d-%d", used > 1 ? "," : "", cpu, last);
		cpu = last;
	}
	snprintf(text + used, bytes - used, ")");
}

static void add_lcores(struct arguments *arguments, const struct config *config)
{
	unsigned int workers = config->one_core ? 0 : config->workers ? config->workers : 1;
	char cpus[TEXT_MAX - 16];

	add(arguments, "--lcores");
	if (config->lcores[0]) {
		add(arguments, "%s", config->lcores);
		return;
	}
	allowed_cpus(cpus, sizeof(cpus));
	if (workers)
		add(arguments, "(0-%u)@%s", workers, cpus);
	else
		add(arguments, "0@%s", cpus);
}

static bool add_pci(struct arguments *arguments, const struct config *config)
{
	bool any = false;

	for (unsigned int i = 0; i < config->nr_ports; i++) {
		const struct steer_port_add *port = &config->ports[i].add;

		// What is no address would end EAL's start without saying whose it is; the port's own start says.
		if (strcmp(port->backend, "pci") || !port_pci_address(port->args))
			continue;
		add(arguments, "-a");
		add(arguments, "%s", port->args);
		any = true;
	}
	return any;
}

static ssize_t drop_line(void *cookie, const char *text, size_t bytes)
{
	return (ssize_t)bytes;
}

// DPDK's drivers speak at length about what is normal here (net_tap without qdiscs). Unless asked for, only EAL's own
// errors are shown; what matters of the rest is told in our own words.
static void quieten(const struct config *config)
{
	static FILE *nowhere;

	if (config->verbose) {
		rte_openlog_stream(stderr);
		return;
	}
	if (!nowhere)
		nowhere = fopencookie(NULL, "w", (cookie_io_functions_t){.write = drop_line});
	rte_openlog_stream(nowhere ? nowhere : stderr);
}

int eal_start(const struct config *config, char why[CONFIG_WHY_MAX])
{
	static struct arguments arguments;
	int huge = choose_memory(config, why), status;

	if (huge < 0)
		return huge;
	huge_in_use = huge;
	memset(&arguments, 0, sizeof(arguments));
	add(&arguments, "fastpath");
	add_lcores(&arguments, config);
	add(&arguments, "--no-telemetry");
	if (huge) {
		add(&arguments, "--in-memory");
	} else {
		// Not populated before it is used: a generous size costs nothing.
		add(&arguments, "--no-huge");
		add(&arguments, "--no-shconf");
		add(&arguments, "-m");
		add(&arguments, "%u",
			config->memory_mb ? config->memory_mb : eal_memory_mb(config) + ORDINARY_MB);
	}
	add(&arguments, "--file-prefix");
	add(&arguments, "ringfield-%d", (int)getpid());
	if (!add_pci(&arguments, config))
		add(&arguments, "--no-pci");
	// Where EAL puts its own directory; else it would be left in /var/run after every start.
	setenv("RUNTIME_DIRECTORY", config->runtime_dir, 1);
	quieten(config);
	status = rte_eal_init(arguments.count, arguments.word);
	// Nothing is shared with other processes: the directory is empty and not needed any more.
	eal_remove_files(config->runtime_dir);
	if (status < 0) {
		snprintf(why, CONFIG_WHY_MAX, "DPDK does not start: %s; --verbose shows its own words",
			rte_strerror(rte_errno));
		return -rte_errno ? -rte_errno : -EIO;
	}
	return (int)rte_lcore_count() - 1;
}

static int remove_one(const char *path, const struct stat *stat, int kind, struct FTW *where)
{
	return remove(path);
}

void eal_remove_files(const char *runtime_dir)
{
	char path[CONFIG_PATH_MAX + 16];

	snprintf(path, sizeof(path), "%s/dpdk", runtime_dir);
	nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

bool eal_huge_by_chance(const struct config *config)
{
	return huge_in_use && config->huge == CONFIG_HUGE_AUTO;
}

void eal_stop(void)
{
	rte_eal_cleanup();
}
