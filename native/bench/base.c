// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench.h"

void die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("bench-flow: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	exit(1);
}

void check(doca_error_t result, const char *what)
{
	if (result != DOCA_SUCCESS)
		die("%s: %s (%s)", what, doca_error_get_name(result), doca_flow_ringfield_last_error());
}

void *allocate(size_t count, size_t bytes)
{
	void *memory = calloc(count ? count : 1, bytes);

	if (!memory)
		die("no memory for %zu x %zu bytes", count, bytes);
	return memory;
}

uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

void sleep_until(uint64_t ns)
{
	struct timespec until = {.tv_sec = (time_t)(ns / 1000000000), .tv_nsec = (long)(ns % 1000000000)};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL))
		;
}

static int compare_numbers(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

void sort_numbers(uint64_t *numbers, uint32_t nr)
{
	qsort(numbers, nr, sizeof(*numbers), compare_numbers);
}

uint64_t quantile(const uint64_t *sorted, uint32_t nr, double fraction)
{
	uint32_t at = (uint32_t)((double)nr * fraction);

	return nr ? sorted[at < nr ? at : nr - 1] : 0;
}

static bool read_line(const char *path, char *text, int bytes)
{
	FILE *file = fopen(path, "re");
	bool good = file && fgets(text, bytes, file);

	if (file)
		fclose(file);
	return good;
}

uint64_t worker_run_ns(uint64_t pid)
{
	char path[320], text[128];
	uint64_t sum = 0;
	struct dirent *task;
	DIR *tasks;

	snprintf(path, sizeof(path), "/proc/%llu/task", (unsigned long long)pid);
	tasks = opendir(path);
	if (!tasks)
		return 0;
	while ((task = readdir(tasks))) {
		unsigned long long ran;

		snprintf(path, sizeof(path), "/proc/%llu/task/%.20s/comm", (unsigned long long)pid,
			task->d_name);
		if (task->d_name[0] == '.' || !read_line(path, text, sizeof(text)) || !strstr(text, "worker"))
			continue;
		snprintf(path, sizeof(path), "/proc/%llu/task/%.20s/schedstat", (unsigned long long)pid,
			task->d_name);
		if (read_line(path, text, sizeof(text)) && sscanf(text, "%llu", &ran) == 1)
			sum += ran;
	}
	closedir(tasks);
	return sum;
}
