// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include <doca_log.h>

#include "error.h"
#include "flow.h"
#include "log.h"
#include "steering_client.h"

static const struct {
	const char *name;
	const char *description;
} codes[] = {
	[DOCA_SUCCESS] = {"DOCA_SUCCESS", "Success"},
	[DOCA_ERROR_UNKNOWN] = {"DOCA_ERROR_UNKNOWN", "Unknown error"},
	[DOCA_ERROR_NOT_PERMITTED] = {"DOCA_ERROR_NOT_PERMITTED", "Operation not permitted"},
	[DOCA_ERROR_IN_USE] = {"DOCA_ERROR_IN_USE", "Resource already in use"},
	[DOCA_ERROR_NOT_SUPPORTED] = {"DOCA_ERROR_NOT_SUPPORTED", "Operation not supported"},
	[DOCA_ERROR_AGAIN] = {"DOCA_ERROR_AGAIN", "Resource temporarily unavailable, try again"},
	[DOCA_ERROR_INVALID_VALUE] = {"DOCA_ERROR_INVALID_VALUE", "Invalid input"},
	[DOCA_ERROR_NO_MEMORY] = {"DOCA_ERROR_NO_MEMORY", "Memory or a reserved resource is used up"},
	[DOCA_ERROR_INITIALIZATION] = {"DOCA_ERROR_INITIALIZATION", "Resource initialization failure"},
	[DOCA_ERROR_TIME_OUT] = {"DOCA_ERROR_TIME_OUT", "Timer expired waiting for resource"},
	[DOCA_ERROR_SHUTDOWN] = {"DOCA_ERROR_SHUTDOWN", "Shut down in process or completed"},
	[DOCA_ERROR_CONNECTION_RESET] = {"DOCA_ERROR_CONNECTION_RESET", "Connection reset by peer"},
	[DOCA_ERROR_CONNECTION_ABORTED] = {"DOCA_ERROR_CONNECTION_ABORTED", "Connection aborted"},
	[DOCA_ERROR_CONNECTION_INPROGRESS] = {"DOCA_ERROR_CONNECTION_INPROGRESS", "Connection in progress"},
	[DOCA_ERROR_NOT_CONNECTED] = {"DOCA_ERROR_NOT_CONNECTED", "Not connected"},
	[DOCA_ERROR_NO_LOCK] = {"DOCA_ERROR_NO_LOCK", "Unable to acquire required lock"},
	[DOCA_ERROR_NOT_FOUND] = {"DOCA_ERROR_NOT_FOUND", "Resource not found"},
	[DOCA_ERROR_IO_FAILED] = {"DOCA_ERROR_IO_FAILED", "Input/output operation failed"},
	[DOCA_ERROR_BAD_STATE] = {"DOCA_ERROR_BAD_STATE", "Bad state"},
	[DOCA_ERROR_UNSUPPORTED_VERSION] = {"DOCA_ERROR_UNSUPPORTED_VERSION", "Unsupported version"},
	[DOCA_ERROR_OPERATING_SYSTEM] = {"DOCA_ERROR_OPERATING_SYSTEM", "Operating system call failure"},
	[DOCA_ERROR_DRIVER] = {"DOCA_ERROR_DRIVER", "Driver call failure"},
	[DOCA_ERROR_UNEXPECTED] = {"DOCA_ERROR_UNEXPECTED", "An unexpected scenario was detected"},
	[DOCA_ERROR_ALREADY_EXIST] = {"DOCA_ERROR_ALREADY_EXIST", "Resource already exists"},
	[DOCA_ERROR_FULL] = {"DOCA_ERROR_FULL", "No more space in resource"},
	[DOCA_ERROR_EMPTY] = {"DOCA_ERROR_EMPTY", "No entry is available in resource"},
	[DOCA_ERROR_IN_PROGRESS] = {"DOCA_ERROR_IN_PROGRESS", "Operation is in progress"},
	[DOCA_ERROR_TOO_BIG] = {"DOCA_ERROR_TOO_BIG", "Requested operation too big to be contained"},
	[DOCA_ERROR_AUTHENTICATION] = {"DOCA_ERROR_AUTHENTICATION", "Authentication failure"},
	[DOCA_ERROR_BAD_CONFIG] = {"DOCA_ERROR_BAD_CONFIG", "Configuration is not valid"},
	[DOCA_ERROR_SKIPPED] = {"DOCA_ERROR_SKIPPED", "Result is valid, but some earlier data was dropped"},
	[DOCA_ERROR_DEVICE_FATAL_ERROR] = {"DOCA_ERROR_DEVICE_FATAL_ERROR",
		"Device experienced a fatal error"},
};

static __thread struct doca_flow_ringfield_error last;
static __thread char last_text[DOCA_FLOW_RINGFIELD_REASON_MAX + 3 * DOCA_FLOW_RINGFIELD_NAME_MAX + 64];

static struct {
	pthread_mutex_t lock;
	enum doca_flow_ringfield_lint_level level;
	doca_flow_ringfield_lint_cb cb;
	void *user_ctx;
} linter = {.lock = PTHREAD_MUTEX_INITIALIZER, .level = DOCA_FLOW_RINGFIELD_LINT_WARN};

const char *doca_error_get_name(doca_error_t error)
{
	return (unsigned int)error < sizeof(codes) / sizeof(codes[0]) ? codes[error].name
								      : "unrecognized error code";
}

const char *doca_error_get_descr(doca_error_t error)
{
	return (unsigned int)error < sizeof(codes) / sizeof(codes[0]) ? codes[error].description
								      : "unrecognized error code";
}

static void copy(char *to, size_t bytes, const char *from)
{
	snprintf(to, bytes, "%s", from ? from : "");
}

void error_compose(struct doca_flow_ringfield_error *error, doca_error_t code, const struct error_at *at,
	const char *format, va_list args)
{
	error->code = code;
	copy(error->pipe, sizeof(error->pipe), at ? at->pipe : NULL);
	copy(error->field, sizeof(error->field), at ? at->field : NULL);
	copy(error->rule, sizeof(error->rule), at ? at->rule : NULL);
	vsnprintf(error->reason, sizeof(error->reason), format, args);
}

const char *error_text(const struct doca_flow_ringfield_error *error, char *text, size_t bytes)
{
	int used = 0;

	if (error->pipe[0])
		used += snprintf(text + used, bytes - used, "pipe %s", error->pipe);
	if (error->field[0])
		used += snprintf(text + used, bytes - used, "%s%s", used ? ", " : "", error->field);
	if (error->rule[0])
		used += snprintf(text + used, bytes - used, "%s[%s]", used ? " " : "", error->rule);
	snprintf(text + used, bytes - used, "%s%s", used ? ": " : "", error->reason);
	return text;
}

static doca_error_t record(doca_error_t code, const struct error_at *at, const char *format, va_list args)
{
	error_compose(&last, code, at, format, args);
	error_text(&last, last_text, sizeof(last_text));
	log_sdk(code == DOCA_ERROR_AGAIN ? DOCA_LOG_LEVEL_DEBUG : DOCA_LOG_LEVEL_ERROR, "%s (%s)", last_text,
		doca_error_get_name(code));
	return code;
}

doca_error_t refuse(doca_error_t code, const struct error_at *at, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	record(code, at, format, args);
	va_end(args);
	return code;
}

doca_error_t refuse_argument(const char *function, const char *argument, const char *format, ...)
{
	char reason[DOCA_FLOW_RINGFIELD_REASON_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(reason, sizeof(reason), format, args);
	va_end(args);
	return refuse(DOCA_ERROR_INVALID_VALUE, AT(.field = argument, .rule = "argument"), "%s: %s", function,
		reason);
}

doca_error_t unsupported(const char *function)
{
	return refuse(
		DOCA_ERROR_NOT_SUPPORTED, AT(.rule = "coverage"), "%s() is not part of Ringfield", function);
}

doca_error_t error_from_errno(int status)
{
	switch (-status) {
	case 0:
		return DOCA_SUCCESS;
	case EINVAL:
	case EMSGSIZE:
	case ERANGE:
		return DOCA_ERROR_INVALID_VALUE;
	case ENOMEM:
		return DOCA_ERROR_NO_MEMORY;
	case ENOSPC:
		return DOCA_ERROR_FULL;
	case EEXIST:
	case EALREADY:
		return DOCA_ERROR_ALREADY_EXIST;
	case EBUSY:
		return DOCA_ERROR_IN_USE;
	case EAGAIN:
		return DOCA_ERROR_AGAIN;
	case ENOENT:
	case ENODEV:
		return DOCA_ERROR_NOT_FOUND;
	case EPERM:
	case EACCES:
		return DOCA_ERROR_NOT_PERMITTED;
	case EOPNOTSUPP:
	case ENOSYS:
		return DOCA_ERROR_NOT_SUPPORTED;
	case E2BIG:
		return DOCA_ERROR_TOO_BIG;
	case EPROTO:
		return DOCA_ERROR_UNSUPPORTED_VERSION;
	case ETIMEDOUT:
		return DOCA_ERROR_TIME_OUT;
	case ENOTCONN:
	case ECONNREFUSED:
	case ECONNRESET:
	case EPIPE:
		return DOCA_ERROR_NOT_CONNECTED;
	default:
		return DOCA_ERROR_DRIVER;
	}
}

doca_error_t refuse_steering(int status, const struct error_at *at, const char *doing)
{
	const char *why = steering_why();

	if (status == -ENOTCONN && flow.initialised)
		__atomic_store_n(&flow.lost, true, __ATOMIC_RELAXED);
	return refuse(error_from_errno(status), at, "%s: %s", doing, *why ? why : strerror(-status));
}

const char *doca_flow_ringfield_last_error(void)
{
	return last_text;
}

void doca_flow_ringfield_last_error_get(struct doca_flow_ringfield_error *error)
{
	if (error)
		*error = last;
}

doca_error_t doca_flow_ringfield_lint_set(
	enum doca_flow_ringfield_lint_level level, doca_flow_ringfield_lint_cb cb, void *user_ctx)
{
	if ((unsigned int)level > DOCA_FLOW_RINGFIELD_LINT_REFUSE)
		return refuse_argument(__func__, "level", "no such level: %u", (unsigned int)level);
	pthread_mutex_lock(&linter.lock);
	linter.level = level;
	linter.cb = cb;
	linter.user_ctx = user_ctx;
	pthread_mutex_unlock(&linter.lock);
	return DOCA_SUCCESS;
}

doca_error_t lint(const struct error_at *at, const char *format, ...)
{
	struct doca_flow_ringfield_error warning;
	char text[sizeof(last_text)];
	enum doca_flow_ringfield_lint_level level;
	doca_flow_ringfield_lint_cb cb;
	void *user_ctx;
	va_list args;

	pthread_mutex_lock(&linter.lock);
	level = linter.level;
	cb = linter.cb;
	user_ctx = linter.user_ctx;
	pthread_mutex_unlock(&linter.lock);
	if (level == DOCA_FLOW_RINGFIELD_LINT_OFF)
		return DOCA_SUCCESS;
	va_start(args, format);
	error_compose(&warning, DOCA_SUCCESS, at, format, args);
	va_end(args);
	log_sdk(DOCA_LOG_LEVEL_WARNING, "%s", error_text(&warning, text, sizeof(text)));
	if (cb)
		cb(&warning, user_ctx);
	if (level == DOCA_FLOW_RINGFIELD_LINT_REFUSE)
		return refuse(DOCA_ERROR_INVALID_VALUE, at, "%s", warning.reason);
	return DOCA_SUCCESS;
}
