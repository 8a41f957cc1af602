// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

// Stability marks of the DOCA interface, and what every DOCA header may assume.
//
// Every header of this folder can be read in two ways: by a C or C++ compiler, or preprocessed with
// RINGFIELD_CDEF defined, which leaves plain declarations (no system header, attribute or function body)
// that cffi's cdef() accepts.

#ifndef DOCA_COMPAT_H_
#define DOCA_COMPAT_H_

#ifdef RINGFIELD_CDEF

#define DOCA_STABLE
#define DOCA_EXPERIMENTAL
#define DOCA_DEPRECATED

#else

// Programs written for DOCA rely on these being drawn in by any DOCA header.
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

// Exported, and not going to change.
#define DOCA_STABLE       __attribute__((visibility("default")))

// Exported, but NVIDIA may still change it. NVIDIA's own header warns at each use unless
// DOCA_ALLOW_EXPERIMENTAL_API is defined; here it is silent, for nearly all of DOCA Flow is experimental.
#define DOCA_EXPERIMENTAL __attribute__((visibility("default")))

// Exported, and going away.
#ifdef DOCA_ALLOW_DEPRECATED_API
#define DOCA_DEPRECATED __attribute__((visibility("default")))
#else
#define DOCA_DEPRECATED __attribute__((visibility("default"), deprecated("this DOCA symbol is going away")))
#endif

#define doca_likely(x)   __builtin_expect(!!(x), 1)
#define doca_unlikely(x) __builtin_expect(!!(x), 0)

#endif // RINGFIELD_CDEF

#endif // DOCA_COMPAT_H_
