// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// How libdoca_flow refuses: a DOCA code, and a sentence that names the pipe, the field and the rule. The sentence is kept
// per thread for doca_flow_ringfield_last_error() and goes to the SDK log.
#pragma once

#include <stdarg.h>
#include <stdint.h>

#include <doca_error.h>
#include <doca_flow_ringfield.h>

// What a refusal is about; any member may be NULL.
struct error_at {
	const char *pipe;
	const char *field;
	const char *rule;
};

#define AT(...) (&(const struct error_at){__VA_ARGS__})

// Records and logs the refusal and gives code back.
doca_error_t refuse(doca_error_t code, const struct error_at *at, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

// The same for an argument that is NULL or out of range.
doca_error_t refuse_argument(const char *function, const char *argument, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

// For whole functions that Ringfield does not have.
doca_error_t unsupported(const char *function);

// The DOCA code that a negative errno of the steering client stands for.
doca_error_t error_from_errno(int status);

// A failed call of the steering client: its errno as a code, its sentence as the reason.
doca_error_t refuse_steering(int status, const struct error_at *at, const char *doing);

// Fills in a record and composes the sentence of it ("pipe X, field Y (rule): reason") without recording anything.
void error_compose(struct doca_flow_ringfield_error *error, doca_error_t code, const struct error_at *at,
	const char *format, va_list args);
const char *error_text(const struct doca_flow_ringfield_error *error, char *text, size_t bytes);

// A legal but suspicious thing. SUCCESS, unless lint is set to refuse.
doca_error_t lint(const struct error_at *at, const char *format, ...) __attribute__((format(printf, 2, 3)));
