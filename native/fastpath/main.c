// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// The fast path's process: options, start-up and orderly end.
//
// Exit status: 0 after an orderly end (SIGTERM, SIGINT, SIGHUP, STEER_OP_SHUTDOWN), 1 when it could not start (one
// sentence on stderr says why, nothing is left behind), 2 for wrong options. "READY <socket>" on stdout means it serves.

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>

#include "control.h"
#include "eal.h"
#include "events.h"
#include "fastpath.h"
#include "notice.h"
#include "packet_ring.h"
#include "port.h"
#include "rcu.h"
#include "session.h"
#include "stats.h"

enum { POOL_CACHE = 256 };

static int lock_fd = -1;
static bool made_directory, eal_runs, no_memory;
static unsigned int nr_workers_ready;

// -- the runtime directory --------------------------------------------------------------------------------------

static int lock_directory(const char *path, char why[CONFIG_WHY_MAX])
{
	int status = 0;

	if (!mkdir(path, 0700))
		made_directory = true;
	else if (errno != EEXIST)
		status = -errno;
	if (!status)
		lock_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (status || lock_fd < 0) {
		status = status ? status : -errno;
		snprintf(why, CONFIG_WHY_MAX, "cannot use the runtime directory %s: %s", path,
			strerror(-status));
		return status;
	}
	// The lock goes with the process, however it ends.
	if (flock(lock_fd, LOCK_EX | LOCK_NB)) {
		close(lock_fd);
		lock_fd = -1;
		snprintf(why, CONFIG_WHY_MAX, "another fast path serves %s already", path);
		return -EBUSY;
	}
	eal_remove_files(path);
	return 0;
}

static void unlock_directory(const char *path)
{
	if (lock_fd < 0)
		return;
	if (made_directory)
		rmdir(path);
	close(lock_fd);
	lock_fd = -1;
}

// -- workers ----------------------------------------------------------------------------------------------------

static int make_pool(const struct config *config, char why[CONFIG_WHY_MAX])
{
	fp.pool = rte_pktmbuf_pool_create("packets", config->mbufs, POOL_CACHE, FP_NOTE_BYTES,
		(uint16_t)(FP_HEADROOM + config->mbuf_bytes), SOCKET_ID_ANY);
	if (fp.pool)
		return 0;
	no_memory = true;
	snprintf(why, CONFIG_WHY_MAX, "no memory for %u packet buffers of %u bytes", config->mbufs,
		config->mbuf_bytes);
	return -ENOMEM;
}

static int make_workers(const struct config *config, char why[CONFIG_WHY_MAX])
{
	unsigned int lcore = rte_get_main_lcore();
	int status = 0;

	for (uint16_t i = 0; i < fp.nr_workers && !status; i++) {
		struct fp_worker *worker = &fp.workers[i];

		if (!config->one_core)
			lcore = rte_get_next_lcore(i ? lcore : -1u, 1, 0);
		worker->index = i;
		worker->lcore = (uint16_t)lcore;
		worker->idle = config->idle == CONFIG_IDLE_SPIN ? FP_IDLE_SPIN : FP_IDLE_ADAPTIVE;
		worker->nested = config->one_core;
		status = worker_init(worker);
		nr_workers_ready += !status;
	}
	if (status)
		snprintf(why, CONFIG_WHY_MAX, "cannot make worker %u: %s", nr_workers_ready,
			strerror(-status));
	return status;
}

static void launch_workers(void)
{
	if (fp.workers[0].nested) {
		rcu_online(0);
		return;
	}
	for (uint16_t i = 0; i < fp.nr_workers; i++)
		rte_eal_remote_launch(worker_main, &fp.workers[i], fp.workers[i].lcore);
}

static void end_workers(void)
{
	if (nr_workers_ready && fp.workers[0].nested)
		rcu_offline(0);
	for (unsigned int i = 0; i < nr_workers_ready; i++) {
		fp_publish(&fp.workers[i].quit, 1);
		worker_wake(&fp.workers[i]);
	}
	for (unsigned int i = 0; i < nr_workers_ready; i++)
		if (!fp.workers[i].nested)
			rte_eal_wait_lcore(fp.workers[i].lcore);
}

// -- start and end ----------------------------------------------------------------------------------------------

static void on_congestion(uint32_t session, uint32_t pipe)
{
	events_send_to(session, STEER_EV_PIPE_CONGESTED, STEER_PORT_NONE, pipe, NULL);
}

static void log_line(const char *line)
{
	notice("%s", line);
}

static int open_ports(const struct config *config, char why[CONFIG_WHY_MAX])
{
	for (unsigned int i = 0; i < config->nr_ports; i++) {
		uint16_t index;
		int status = port_add(&config->ports[i].add, config->ports[i].persist, &index, why);

		if (status)
			return status;
	}
	return 0;
}

// The stages, each undone by the one of the same name in stop().
static int start(struct config *config, char why[CONFIG_WHY_MAX])
{
	int status = lock_directory(config->runtime_dir, why), lcores;

	if (!status)
		status = control_open(why);
	if (status)
		return status;
	lcores = eal_start(config, why);
	if (lcores < 0) {
		no_memory = true;
		return lcores;
	}
	eal_runs = true;
	if (!config->one_core && (lcores < 1 || lcores > STEER_WORKER_MAX)) {
		snprintf(why, CONFIG_WHY_MAX,
			"lcores must name the control lcore and 1 to %u workers, not %d",
			(unsigned int)STEER_WORKER_MAX, lcores);
		return -EINVAL;
	}
	fp.nr_workers = config->one_core ? 1 : (uint16_t)lcores;
	fp.tsc_hz = rte_get_tsc_hz();
	fp.cache = config->cache;
	status = stats_open(fp.nr_workers, config->counters, control.boot_id, why);
	if (!status && fp_init(fp.nr_workers, config->counters)) {
		snprintf(why, CONFIG_WHY_MAX, "no memory for %u counters", config->counters);
		status = -ENOMEM;
	}
	fp.on_congestion = on_congestion;
	fp.log = log_line;
	if (!status)
		status = make_pool(config, why);
	if (!status)
		status = make_workers(config, why);
	if (status)
		return status;
	launch_workers();
	status = open_ports(config, why);
	if (!status)
		status = sessions_open(config->runtime_dir, config->max_clients, why);
	return status;
}

static void stop(const struct config *config)
{
	sessions_close();
	if (eal_runs) {
		end_workers();
		port_close_all();
		for (unsigned int i = 0; i < nr_workers_ready; i++)
			worker_fini(&fp.workers[i]);
		if (fp.nr_counters)
			fp_fini();
		rte_mempool_free(fp.pool);
		stats_close();
		eal_stop();
	}
	control_close();
	unlock_directory(config->runtime_dir);
}

// Packets raise these signals when net_tap is let (port_tap.c).
static void ignore_signals(void)
{
	for (int number = SIGRTMIN; number <= SIGRTMAX; number++)
		signal(number, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
}

static void raise_limits(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files))
		return;
	files.rlim_cur = files.rlim_max < 8192 ? files.rlim_max : 8192;
	setrlimit(RLIMIT_NOFILE, &files);
}

// EAL cannot be started twice in one process.
static void start_again(int argc, char **argv)
{
	char **words = calloc((size_t)argc + 2, sizeof(*words));
	char option[] = "--no-huge";

	if (!words)
		return;
	memcpy(words, argv, (size_t)argc * sizeof(*words));
	words[argc] = option;
	execv("/proc/self/exe", words);
	notice("cannot start again: %m");
}

int main(int argc, char **argv)
{
	static char why[CONFIG_WHY_MAX];
	struct config *config = &control.config;
	bool again;
	int status;

	config_init(config);
	status = config_parse_arguments(config, argc, argv, why);
	if (status > 0)
		return 0;
	if (status < 0) {
		notice("%s", why);
		return 2;
	}
	ignore_signals();
	raise_limits();
	while (!control.boot_id)
		if (getrandom(&control.boot_id, sizeof(control.boot_id), 0) < 0)
			control.boot_id = (uint32_t)getpid() ^ (uint32_t)time(NULL);
	status = start(config, why);
	// Whatever needs the last page is what fails when another process takes them meanwhile.
	again = status && (no_memory || status == -ENOMEM) && eal_huge_by_chance(config);
	if (again) {
		notice("%s; trying without hugepages", why);
	} else if (status) {
		notice("%s", why);
	} else {
		printf("READY %s\n", sessions_path());
		fflush(stdout);
		control_loop();
	}
	stop(config);
	if (again)
		start_again(argc, argv);
	return status ? 1 : 0;
}
