// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

// Logging, for programs (application backends) and for the libraries themselves (SDK backends).
//
// A record is written to every backend of its kind whose limits admit its level: lower limit <= importance <=
// upper limit, where DOCA counts the *verbosity*, so that CRIT (20) is the upper end and TRACE (70) the lower.
// All functions may be called from any thread.

#ifndef DOCA_LOG_H_
#define DOCA_LOG_H_

#ifndef RINGFIELD_CDEF
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#endif

#include <doca_compat.h>
#include <doca_error.h>

#ifdef __cplusplus
extern "C" {
#endif

// Room for a source's name, final NUL included.
#define DOCA_LOGGER_NAME_SIZE 256

enum doca_log_level {
	DOCA_LOG_LEVEL_DISABLE = 10,
	DOCA_LOG_LEVEL_CRIT = 20,
	DOCA_LOG_LEVEL_ERROR = 30,
	DOCA_LOG_LEVEL_WARNING = 40,
	DOCA_LOG_LEVEL_INFO = 50,
	DOCA_LOG_LEVEL_DEBUG = 60,
	DOCA_LOG_LEVEL_TRACE = 70,
};

struct doca_log_backend; // one destination of records
struct doca_logger;      // one registered source

// Called with the caller's own buffer after one record was written to it.
typedef void (*log_flush_callback)(char *buf);

// --- application backends. Errors: INVALID_VALUE (NULL argument, unknown level), NO_MEMORY (out of memory or more
// than doca_log_get_max_num_backends()), NOT_PERMITTED (the limit was made strict).
DOCA_EXPERIMENTAL
uint32_t doca_log_get_max_num_backends(void);
DOCA_EXPERIMENTAL
doca_error_t doca_log_backend_create_standard(void); // up to INFO on stdout, warnings and worse on stderr
DOCA_EXPERIMENTAL
doca_error_t doca_log_backend_create_with_file(FILE *fptr, struct doca_log_backend **backend);
DOCA_EXPERIMENTAL
doca_error_t doca_log_backend_create_with_fd(int fd, struct doca_log_backend **backend);
DOCA_EXPERIMENTAL
doca_error_t doca_log_backend_create_with_buf(
	char *buf, size_t capacity, log_flush_callback handler, struct doca_log_backend **backend);
DOCA_EXPERIMENTAL
doca_error_t doca_log_backend_create_with_syslog(const char *name, struct doca_log_backend **backend);
DOCA_EXPERIMENTAL
doca_error_t doca_log_backend_set_level_lower_limit(struct doca_log_backend *backend, uint32_t level);
DOCA_EXPERIMENTAL
doca_error_t doca_log_backend_set_level_upper_limit(struct doca_log_backend *backend, uint32_t upper_limit);
DOCA_EXPERIMENTAL
doca_error_t doca_log_backend_set_level_lower_limit_strict(struct doca_log_backend *backend);
DOCA_EXPERIMENTAL
doca_error_t doca_log_backend_set_level_upper_limit_strict(struct doca_log_backend *backend);
// Limits of all application backends, present and future. Start values: lower INFO, upper CRIT.
DOCA_EXPERIMENTAL
doca_error_t doca_log_level_set_global_lower_limit(uint32_t level);
DOCA_EXPERIMENTAL
doca_error_t doca_log_level_set_global_upper_limit(uint32_t upper_limit);
DOCA_EXPERIMENTAL
uint32_t doca_log_level_get_global_lower_limit(void);
DOCA_EXPERIMENTAL
uint32_t doca_log_level_get_global_upper_limit(void);

// --- SDK backends: what the DOCA libraries themselves log. Same errors.
DOCA_EXPERIMENTAL
uint32_t doca_log_get_max_num_backends_sdk(void);
DOCA_EXPERIMENTAL
doca_error_t doca_log_backend_create_with_file_sdk(FILE *fptr, struct doca_log_backend **backend);
DOCA_EXPERIMENTAL
doca_error_t doca_log_backend_create_with_fd_sdk(int fd, struct doca_log_backend **backend);
DOCA_EXPERIMENTAL
doca_error_t doca_log_backend_create_with_buf_sdk(
	char *buf, size_t capacity, log_flush_callback handler, struct doca_log_backend **backend);
DOCA_EXPERIMENTAL
doca_error_t doca_log_backend_create_with_syslog_sdk(const char *name, struct doca_log_backend **backend);
DOCA_EXPERIMENTAL
doca_error_t doca_log_backend_set_sdk_level(struct doca_log_backend *backend, uint32_t level);
DOCA_EXPERIMENTAL
doca_error_t doca_log_level_set_global_sdk_limit(uint32_t level);
DOCA_EXPERIMENTAL
uint32_t doca_log_level_get_global_sdk_limit(void);

// --- sources. Names nest by "::". A list holds pointers into the registry; destroying it frees the list only.
DOCA_EXPERIMENTAL
doca_error_t doca_log_register_source(const char *source_name, int *source);
DOCA_EXPERIMENTAL
doca_error_t doca_log_unregister_source(int source);
DOCA_EXPERIMENTAL
doca_error_t doca_logger_create_list(const struct doca_logger *logger, uint8_t depth,
	struct doca_logger ***logger_list, uint32_t *nb_loggers);
DOCA_EXPERIMENTAL
doca_error_t doca_logger_destroy_list(struct doca_logger **logger_list);
DOCA_EXPERIMENTAL
doca_error_t doca_logger_set_level(struct doca_logger *logger, int level, uint8_t propagate);
DOCA_EXPERIMENTAL
doca_error_t doca_logger_get_level(const struct doca_logger *logger, int *level);
DOCA_EXPERIMENTAL
doca_error_t doca_logger_get_name(const struct doca_logger *logger, char name[DOCA_LOGGER_NAME_SIZE]);
DOCA_EXPERIMENTAL
struct doca_logger *doca_logger_find_by_name(struct doca_logger **logger_list, const char *name);

// Writes one record; use the macros below. INVALID_VALUE for an unknown source or level.
#ifdef RINGFIELD_CDEF
doca_error_t doca_log(
	uint32_t level, int source, const char *fname, int line, const char *func, const char *format, ...);
#else
DOCA_EXPERIMENTAL
doca_error_t doca_log(uint32_t level, int source, const char *fname, int line, const char *func,
	const char *format, ...) __attribute__((format(printf, 6, 7)));

#define DOCA_LOG(level, format, ...) \
	doca_log(level, log_source, __FILE__, __LINE__, __func__, format, ##__VA_ARGS__)
#define DOCA_LOG_CRIT(format, ...) DOCA_LOG(DOCA_LOG_LEVEL_CRIT, format, ##__VA_ARGS__)
#define DOCA_LOG_ERR(format, ...)  DOCA_LOG(DOCA_LOG_LEVEL_ERROR, format, ##__VA_ARGS__)
#define DOCA_LOG_WARN(format, ...) DOCA_LOG(DOCA_LOG_LEVEL_WARNING, format, ##__VA_ARGS__)
#define DOCA_LOG_INFO(format, ...) DOCA_LOG(DOCA_LOG_LEVEL_INFO, format, ##__VA_ARGS__)
#define DOCA_LOG_DBG(format, ...)  DOCA_LOG(DOCA_LOG_LEVEL_DEBUG, format, ##__VA_ARGS__)
#ifdef DOCA_LOGGING_ALLOW_TRACE
#define DOCA_LOG_TRC(format, ...) DOCA_LOG(DOCA_LOG_LEVEL_TRACE, format, ##__VA_ARGS__)
#else
#define DOCA_LOG_TRC(format, ...) \
	do {                      \
	} while (0)
#endif

// Gives the including file its log source. It is registered before main() and before other constructors.
#define DOCA_LOG_REGISTER(source)                                                             \
	static int log_source;                                                                \
	static void __attribute__((constructor(101), used)) doca_log_register_this_file(void) \
	{                                                                                     \
		(void)doca_log_register_source(#source, &log_source);                         \
	}
#endif // RINGFIELD_CDEF

#ifdef __cplusplus
}
#endif

#endif // DOCA_LOG_H_
