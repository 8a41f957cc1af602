// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// A fast path process for C tests: started with a config text in a directory of its own, ended and cleaned up with the
// test, also when the test fails.
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "steering_client.h"
#include "tap.h"

struct fastpath {
	pid_t pid; // 0: not running
	char directory[32];
	char socket[96];
	char config[96];
	char log[96];
};

static struct fastpath fastpath_process;

static void fastpath_show_log(const struct fastpath *fastpath)
{
	char line[512];
	FILE *log = fopen(fastpath->log, "r");

	while (log && fgets(line, sizeof(line), log))
		printf("# %s", line);
	if (log)
		fclose(log);
}

// Waits up to 20 s for the end. The exit status, or -1 when a signal ended it or it had to be killed.
__attribute__((unused)) static int fastpath_wait(struct fastpath *fastpath)
{
	int status = 0;

	for (unsigned int i = 0; i < 2000 && fastpath->pid; i++) {
		if (waitpid(fastpath->pid, &status, WNOHANG) == fastpath->pid) {
			fastpath->pid = 0;
			return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
		}
		usleep(10000);
	}
	if (fastpath->pid) {
		kill(fastpath->pid, SIGKILL);
		waitpid(fastpath->pid, &status, 0);
		fastpath->pid = 0;
	}
	return -1;
}

__attribute__((unused)) static int fastpath_stop(struct fastpath *fastpath)
{
	if (fastpath->pid)
		kill(fastpath->pid, SIGTERM);
	return fastpath_wait(fastpath);
}

static void fastpath_clean_up(void)
{
	struct fastpath *fastpath = &fastpath_process;

	if (fastpath->pid) {
		fastpath_show_log(fastpath);
		kill(fastpath->pid, SIGKILL);
		waitpid(fastpath->pid, NULL, 0);
	}
	if (fastpath->directory[0]) {
		unlink(fastpath->config);
		unlink(fastpath->log);
		unlink(fastpath->socket);
		rmdir(fastpath->directory);
	}
}

__attribute__((unused)) static bool fastpath_alive(const struct fastpath *fastpath)
{
	return fastpath->pid && !kill(fastpath->pid, 0) && waitpid(fastpath->pid, NULL, WNOHANG) == 0;
}

// Starts it with the config in fastpath->config. Arguments after the fixed ones end with NULL. Gives true once it said
// READY.
static bool fastpath_launch(struct fastpath *fastpath, const char *const *arguments)
{
	const char *program = getenv("FASTPATH");
	const char *words[24] = {program, "--runtime-dir", fastpath->directory, "--config", fastpath->config};
	char text[256] = "";
	size_t used = 0;
	int out[2];

	require(program && !pipe2(out, O_CLOEXEC), "FASTPATH names the program");
	for (unsigned int i = 5; arguments && *arguments && i < 23; i++)
		words[i] = *arguments++;
	fastpath->pid = fork();
	if (!fastpath->pid) {
		int log = open(fastpath->log, O_WRONLY | O_CREAT | O_APPEND, 0600);

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(out[1], STDOUT_FILENO);
		dup2(log, STDERR_FILENO);
		execv(program, (char *const *)(uintptr_t)words);
		_exit(127);
	}
	close(out[1]);
	while (used < sizeof(text) - 1 && !strchr(text, '\n')) {
		ssize_t got = read(out[0], text + used, sizeof(text) - 1 - used);

		if (got <= 0)
			break;
		used += (size_t)got;
		text[used] = '\0';
	}
	close(out[0]);
	return !strncmp(text, "READY ", 6);
}

__attribute__((unused)) static struct fastpath *fastpath_start(
	const char *config, const char *const *arguments)
{
	struct fastpath *fastpath = &fastpath_process;
	FILE *file;

	if (!fastpath->directory[0]) {
		snprintf(fastpath->directory, sizeof(fastpath->directory), "/tmp/rft-XXXXXX");
		require(mkdtemp(fastpath->directory) != NULL, "a directory of our own");
		snprintf(fastpath->socket, sizeof(fastpath->socket), "%.31s/steering.sock",
			fastpath->directory);
		snprintf(fastpath->config, sizeof(fastpath->config), "%.31s/fastpath.conf",
			fastpath->directory);
		snprintf(fastpath->log, sizeof(fastpath->log), "%.31s/fastpath.log", fastpath->directory);
		atexit(fastpath_clean_up);
	}
	file = fopen(fastpath->config, "w");
	// Hugepages are shared with whatever else runs on this machine.
	require(file && fprintf(file, "huge=no\n%s", config) > 0 && !fclose(file), "a config file");
	if (!ok(fastpath_launch(fastpath, arguments), "the fast path starts")) {
		fastpath_show_log(fastpath);
		exit(1);
	}
	return fastpath;
}

// A session with this many queues; the test ends when there is none.
__attribute__((unused)) static struct steering_client *fastpath_connect(
	const struct fastpath *fastpath, const char *name, uint32_t flags, uint16_t nr_queues)
{
	struct steering_options options = {.path = fastpath->socket,
		.name = name,
		.flags = flags,
		.nr_queues = nr_queues,
		.queue_depth = 256};
	struct steering_client *client;
	char why[STEERING_WHY_MAX] = "";
	int status = steering_connect(&options, &client, why, sizeof(why));

	require(!status, "session %s is there%s%s", name, status ? ": " : "", why);
	return client;
}

// Waits up to 5 s for a condition.
#define WAIT_FOR(condition)                                                           \
	({                                                                            \
		bool there_ = false;                                                  \
		for (unsigned int i_ = 0; i_ < 5000 && !(there_ = (condition)); i_++) \
			usleep(1000);                                                 \
		there_;                                                               \
	})
