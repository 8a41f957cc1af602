// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

// doca_log.h. Backends and sources are few and live until the process ends, so both are small static arrays under one
// lock, which is also held while a record is written: lines of several threads never mix.

#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "error.h"
#include "log.h"

enum { BACKENDS_MAX = 32, SOURCES_MAX = 1024, LINE_MAX_BYTES = 2048 };

struct doca_log_backend {
	FILE *file; // one of file, fd (>= 0), buf, syslog
	int fd;
	char *buf;
	size_t capacity;
	log_flush_callback handler;
	bool to_syslog;
	bool sdk;
	uint32_t lower; // most verbose level admitted
	uint32_t upper; // least verbose one
	bool lower_strict;
	bool upper_strict;
};

struct doca_logger {
	char name[DOCA_LOGGER_NAME_SIZE];
	uint32_t level; // most verbose level that this source may log
};

static struct {
	pthread_mutex_t lock;
	struct doca_log_backend backends[BACKENDS_MAX];
	unsigned int nr_backends;
	struct doca_logger sources[SOURCES_MAX];
	unsigned int nr_sources;
	uint32_t lower;
	uint32_t upper;
	uint32_t sdk;
} state = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.lower = DOCA_LOG_LEVEL_INFO,
	.upper = DOCA_LOG_LEVEL_CRIT,
	.sdk = DOCA_LOG_LEVEL_INFO,
};

static const struct {
	const char *name;
	int priority;
} levels[] = {{"DIS", LOG_DEBUG}, {"CRT", LOG_CRIT}, {"ERR", LOG_ERR}, {"WRN", LOG_WARNING},
	{"INF", LOG_INFO}, {"DBG", LOG_DEBUG}, {"TRC", LOG_DEBUG}};

static bool level_known(uint32_t level)
{
	return level >= DOCA_LOG_LEVEL_DISABLE && level <= DOCA_LOG_LEVEL_TRACE && level % 10 == 0;
}

static doca_error_t level_check(const char *function, uint32_t level)
{
	if (!level_known(level))
		return refuse_argument(function, "level", "no such log level: %u", level);
	return DOCA_SUCCESS;
}

// Writes a finished line to one backend; the lock is held.
static void backend_write(struct doca_log_backend *backend, uint32_t level, const char *line, size_t length)
{
	if (backend->file) {
		fwrite(line, 1, length, backend->file);
		fflush(backend->file);
	} else if (backend->buf) {
		if (length < backend->capacity) {
			memcpy(backend->buf, line, length + 1);
			backend->handler(backend->buf);
		}
	} else if (backend->to_syslog) {
		syslog(levels[level / 10 - 1].priority, "%s", line);
	} else if (write(backend->fd, line, length) < 0) {
		return; // nobody left to tell
	}
}

static void write_all(bool sdk, uint32_t level, const char *source, const char *file, int line,
	const char *function, const char *format, va_list args)
{
	char text[LINE_MAX_BYTES];
	struct timespec now;
	struct tm parts;
	size_t length, room = sizeof(text) - 2;
	bool wanted = false;

	pthread_mutex_lock(&state.lock);
	for (unsigned int i = 0; i < state.nr_backends && !wanted; i++)
		wanted = state.backends[i].sdk == sdk && level <= state.backends[i].lower &&
			 level >= state.backends[i].upper;
	if (wanted) {
		clock_gettime(CLOCK_REALTIME, &now);
		localtime_r(&now.tv_sec, &parts);
		length = strftime(text, room, "[%Y-%m-%d %H:%M:%S", &parts);
		length += snprintf(text + length, room - length, ":%06ld][%ld][DOCA][%s][%s",
			now.tv_nsec / 1000, (long)syscall(SYS_gettid), levels[level / 10 - 1].name, source);
		if (file)
			length += snprintf(text + length, room - length, "][%s:%d", file, line);
		length += snprintf(text + length, room - length, function ? "][%s] " : "] ", function);
		if (length < room)
			length += vsnprintf(text + length, room - length, format, args);
		length = length < room ? length : room - 1;
		text[length++] = '\n';
		text[length] = 0;
		for (unsigned int i = 0; i < state.nr_backends; i++) {
			struct doca_log_backend *backend = &state.backends[i];

			if (backend->sdk == sdk && level <= backend->lower && level >= backend->upper)
				backend_write(backend, level, text, length);
		}
	}
	pthread_mutex_unlock(&state.lock);
}

void log_sdk(enum doca_log_level level, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	write_all(true, level, "FLOW", NULL, 0, NULL, format, args);
	va_end(args);
}

doca_error_t doca_log(
	uint32_t level, int source, const char *fname, int line, const char *func, const char *format, ...)
{
	const char *base = fname ? strrchr(fname, '/') : NULL;
	va_list args;

	if (!level_known(level) || level == DOCA_LOG_LEVEL_DISABLE)
		return DOCA_ERROR_INVALID_VALUE;
	if (source < 0 || (unsigned int)source >= __atomic_load_n(&state.nr_sources, __ATOMIC_ACQUIRE))
		return DOCA_ERROR_INVALID_VALUE;
	if (level > __atomic_load_n(&state.sources[source].level, __ATOMIC_RELAXED))
		return DOCA_SUCCESS;
	va_start(args, format);
	write_all(
		false, level, state.sources[source].name, base ? base + 1 : fname, line, func, format, args);
	va_end(args);
	return DOCA_SUCCESS;
}

// --- backends

static doca_error_t backend_add(const struct doca_log_backend *init, struct doca_log_backend **backend)
{
	struct doca_log_backend *made = NULL;

	pthread_mutex_lock(&state.lock);
	if (state.nr_backends < BACKENDS_MAX) {
		made = &state.backends[state.nr_backends++];
		*made = *init;
		if (!made->lower)
			made->lower = init->sdk ? state.sdk : state.lower;
		if (!made->upper)
			made->upper = init->sdk ? (uint32_t)DOCA_LOG_LEVEL_CRIT : state.upper;
	}
	pthread_mutex_unlock(&state.lock);
	if (!made)
		return refuse(DOCA_ERROR_NO_MEMORY, AT(.rule = "log-backends"),
			"no more than %d log backends", BACKENDS_MAX);
	if (backend)
		*backend = made;
	return DOCA_SUCCESS;
}

static doca_error_t add_file(bool sdk, FILE *file, struct doca_log_backend **backend)
{
	if (!file || !backend)
		return refuse_argument(
			"doca_log_backend_create_with_file", file ? "backend" : "fptr", "is NULL");
	return backend_add(&(struct doca_log_backend){.file = file, .fd = -1, .sdk = sdk}, backend);
}

static doca_error_t add_fd(bool sdk, int fd, struct doca_log_backend **backend)
{
	if (fd < 0 || !backend)
		return refuse_argument(
			"doca_log_backend_create_with_fd", "fd", "is negative, or backend is NULL");
	return backend_add(&(struct doca_log_backend){.fd = fd, .sdk = sdk}, backend);
}

static doca_error_t add_buf(
	bool sdk, char *buf, size_t capacity, log_flush_callback handler, struct doca_log_backend **backend)
{
	if (!buf || !capacity || !handler || !backend)
		return refuse_argument(
			"doca_log_backend_create_with_buf", "buf", "an argument is NULL or zero");
	return backend_add(
		&(struct doca_log_backend){
			.fd = -1, .buf = buf, .capacity = capacity, .handler = handler, .sdk = sdk},
		backend);
}

static doca_error_t add_syslog(bool sdk, const char *name, struct doca_log_backend **backend)
{
	static char ident[64];

	if (!name || !backend)
		return refuse_argument("doca_log_backend_create_with_syslog", "name", "an argument is NULL");
	snprintf(ident, sizeof(ident), "%s", name); // openlog() keeps the pointer
	openlog(ident, LOG_PID, LOG_DAEMON);
	return backend_add(&(struct doca_log_backend){.fd = -1, .to_syslog = true, .sdk = sdk}, backend);
}

doca_error_t doca_log_backend_create_standard(void)
{
	doca_error_t result = backend_add(
		&(struct doca_log_backend){.file = stdout, .fd = -1, .upper = DOCA_LOG_LEVEL_INFO}, NULL);

	if (result != DOCA_SUCCESS)
		return result;
	return backend_add(
		&(struct doca_log_backend){.file = stderr, .fd = -1, .lower = DOCA_LOG_LEVEL_WARNING}, NULL);
}

doca_error_t doca_log_backend_create_with_file(FILE *fptr, struct doca_log_backend **backend)
{
	return add_file(false, fptr, backend);
}

doca_error_t doca_log_backend_create_with_file_sdk(FILE *fptr, struct doca_log_backend **backend)
{
	return add_file(true, fptr, backend);
}

doca_error_t doca_log_backend_create_with_fd(int fd, struct doca_log_backend **backend)
{
	return add_fd(false, fd, backend);
}

doca_error_t doca_log_backend_create_with_fd_sdk(int fd, struct doca_log_backend **backend)
{
	return add_fd(true, fd, backend);
}

doca_error_t doca_log_backend_create_with_buf(
	char *buf, size_t capacity, log_flush_callback handler, struct doca_log_backend **backend)
{
	return add_buf(false, buf, capacity, handler, backend);
}

doca_error_t doca_log_backend_create_with_buf_sdk(
	char *buf, size_t capacity, log_flush_callback handler, struct doca_log_backend **backend)
{
	return add_buf(true, buf, capacity, handler, backend);
}

doca_error_t doca_log_backend_create_with_syslog(const char *name, struct doca_log_backend **backend)
{
	return add_syslog(false, name, backend);
}

doca_error_t doca_log_backend_create_with_syslog_sdk(const char *name, struct doca_log_backend **backend)
{
	return add_syslog(true, name, backend);
}

uint32_t doca_log_get_max_num_backends(void)
{
	return BACKENDS_MAX;
}

uint32_t doca_log_get_max_num_backends_sdk(void)
{
	return BACKENDS_MAX;
}

// --- limits

// A strict lower limit keeps a backend from becoming more verbose, a strict upper one from becoming less selective.
static doca_error_t set_lower(struct doca_log_backend *backend, uint32_t level)
{
	if (backend->lower_strict && level > backend->lower)
		return DOCA_ERROR_NOT_PERMITTED;
	backend->lower = level;
	return DOCA_SUCCESS;
}

static doca_error_t set_upper(struct doca_log_backend *backend, uint32_t level)
{
	if (backend->upper_strict && level < backend->upper)
		return DOCA_ERROR_NOT_PERMITTED;
	backend->upper = level;
	return DOCA_SUCCESS;
}

static doca_error_t set_limit(const char *function, struct doca_log_backend *backend, uint32_t level,
	doca_error_t (*set)(struct doca_log_backend *, uint32_t))
{
	doca_error_t result = level_check(function, level);

	if (!backend)
		return refuse_argument(function, "backend", "is NULL");
	if (result == DOCA_SUCCESS) {
		pthread_mutex_lock(&state.lock);
		result = set(backend, level);
		pthread_mutex_unlock(&state.lock);
	}
	return result;
}

static doca_error_t set_limits(const char *function, bool sdk, uint32_t *initial, uint32_t level,
	doca_error_t (*set)(struct doca_log_backend *, uint32_t))
{
	doca_error_t result = level_check(function, level);

	if (result != DOCA_SUCCESS)
		return result;
	pthread_mutex_lock(&state.lock);
	*initial = level;
	for (unsigned int i = 0; i < state.nr_backends; i++)
		if (state.backends[i].sdk == sdk)
			(void)set(&state.backends[i], level);
	pthread_mutex_unlock(&state.lock);
	return DOCA_SUCCESS;
}

doca_error_t doca_log_backend_set_level_lower_limit(struct doca_log_backend *backend, uint32_t level)
{
	return set_limit(__func__, backend, level, set_lower);
}

doca_error_t doca_log_backend_set_level_upper_limit(struct doca_log_backend *backend, uint32_t upper_limit)
{
	return set_limit(__func__, backend, upper_limit, set_upper);
}

doca_error_t doca_log_backend_set_sdk_level(struct doca_log_backend *backend, uint32_t level)
{
	return set_limit(__func__, backend, level, set_lower);
}

doca_error_t doca_log_backend_set_level_lower_limit_strict(struct doca_log_backend *backend)
{
	if (backend)
		backend->lower_strict = true;
	return DOCA_SUCCESS;
}

doca_error_t doca_log_backend_set_level_upper_limit_strict(struct doca_log_backend *backend)
{
	if (backend)
		backend->upper_strict = true;
	return DOCA_SUCCESS;
}

doca_error_t doca_log_level_set_global_lower_limit(uint32_t level)
{
	return set_limits(__func__, false, &state.lower, level, set_lower);
}

doca_error_t doca_log_level_set_global_upper_limit(uint32_t upper_limit)
{
	return set_limits(__func__, false, &state.upper, upper_limit, set_upper);
}

doca_error_t doca_log_level_set_global_sdk_limit(uint32_t level)
{
	return set_limits(__func__, true, &state.sdk, level, set_lower);
}

uint32_t doca_log_level_get_global_lower_limit(void)
{
	return state.lower;
}

uint32_t doca_log_level_get_global_upper_limit(void)
{
	return state.upper;
}

uint32_t doca_log_level_get_global_sdk_limit(void)
{
	return state.sdk;
}

// --- sources

doca_error_t doca_log_register_source(const char *source_name, int *source)
{
	doca_error_t result = DOCA_SUCCESS;

	if (!source_name || !source)
		return refuse_argument(__func__, "source_name", "an argument is NULL");
	pthread_mutex_lock(&state.lock);
	if (state.nr_sources < SOURCES_MAX) {
		struct doca_logger *logger = &state.sources[state.nr_sources];

		snprintf(logger->name, sizeof(logger->name), "%s", source_name);
		logger->level = DOCA_LOG_LEVEL_TRACE;
		*source = (int)state.nr_sources;
		__atomic_store_n(&state.nr_sources, state.nr_sources + 1, __ATOMIC_RELEASE);
	} else {
		result = DOCA_ERROR_NO_MEMORY;
	}
	pthread_mutex_unlock(&state.lock);
	return result;
}

doca_error_t doca_log_unregister_source(int source)
{
	(void)source; // names live as long as the process
	return DOCA_SUCCESS;
}

// Levels below root in the hierarchy of "::" names; 0 = not below it.
static unsigned int depth_below(const struct doca_logger *root, const struct doca_logger *logger)
{
	const char *rest = logger->name;
	unsigned int depth = 1;

	if (root) {
		size_t length = strlen(root->name);

		if (strncmp(rest, root->name, length) || strncmp(rest + length, "::", 2))
			return 0;
		rest += length + 2;
	}
	for (; (rest = strstr(rest, "::")); rest += 2)
		depth++;
	return depth;
}

static bool logger_known(const struct doca_logger *logger)
{
	return !logger || (logger >= state.sources && logger < state.sources + state.nr_sources);
}

doca_error_t doca_logger_create_list(const struct doca_logger *logger, uint8_t depth,
	struct doca_logger ***logger_list, uint32_t *nb_loggers)
{
	struct doca_logger **list;
	uint32_t nr = 0;

	if (!logger_list || !nb_loggers)
		return refuse_argument(__func__, "logger_list", "an argument is NULL");
	if (!logger_known(logger))
		return refuse(DOCA_ERROR_NOT_FOUND, NULL, "%s: not a logger", __func__);
	list = calloc(SOURCES_MAX + 1, sizeof(*list));
	if (!list)
		return refuse(DOCA_ERROR_NO_MEMORY, NULL, "%s: out of memory", __func__);
	pthread_mutex_lock(&state.lock);
	for (unsigned int i = 0; i < state.nr_sources; i++) {
		unsigned int below = depth_below(logger, &state.sources[i]);

		if (below && (!depth || below <= depth))
			list[nr++] = &state.sources[i];
	}
	pthread_mutex_unlock(&state.lock);
	*logger_list = list;
	*nb_loggers = nr;
	return DOCA_SUCCESS;
}

doca_error_t doca_logger_destroy_list(struct doca_logger **logger_list)
{
	if (!logger_list)
		return refuse_argument(__func__, "logger_list", "is NULL");
	free(logger_list);
	return DOCA_SUCCESS;
}

doca_error_t doca_logger_set_level(struct doca_logger *logger, int level, uint8_t propagate)
{
	if (!level_known((uint32_t)level) || (!logger && !propagate))
		return refuse_argument(__func__, "level", "no such log level, or NULL without propagate");
	if (!logger_known(logger))
		return refuse(DOCA_ERROR_NOT_FOUND, NULL, "%s: not a logger", __func__);
	pthread_mutex_lock(&state.lock);
	if (logger)
		logger->level = (uint32_t)level;
	for (unsigned int i = 0; propagate && i < state.nr_sources; i++)
		if (depth_below(logger, &state.sources[i]))
			state.sources[i].level = (uint32_t)level;
	pthread_mutex_unlock(&state.lock);
	return DOCA_SUCCESS;
}

doca_error_t doca_logger_get_level(const struct doca_logger *logger, int *level)
{
	if (!logger || !level)
		return refuse_argument(__func__, "logger", "an argument is NULL");
	*level = (int)logger->level;
	return DOCA_SUCCESS;
}

doca_error_t doca_logger_get_name(const struct doca_logger *logger, char name[DOCA_LOGGER_NAME_SIZE])
{
	if (!logger || !name)
		return refuse_argument(__func__, "logger", "an argument is NULL");
	memcpy(name, logger->name, DOCA_LOGGER_NAME_SIZE);
	return DOCA_SUCCESS;
}

struct doca_logger *doca_logger_find_by_name(struct doca_logger **logger_list, const char *name)
{
	for (; name && logger_list && *logger_list; logger_list++)
		if (!strcmp((*logger_list)->name, name))
			return *logger_list;
	return NULL;
}
