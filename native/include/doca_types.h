// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

// Types that several DOCA libraries share.

#ifndef DOCA_TYPES_H_
#define DOCA_TYPES_H_

#ifndef RINGFIELD_CDEF
#include <stdint.h>
#endif

#ifdef __cplusplus
extern "C" {
#endif

// Unsigned integers in network byte order, whatever the host's order is.
typedef uint16_t doca_be16_t;
typedef uint32_t doca_be32_t;
typedef uint64_t doca_be64_t;

// A value that the library stores for its caller and hands back untouched.
union doca_data {
	void *ptr;
	uint64_t u64;
};

// What a memory range may be used for.
enum doca_access_flag {
	DOCA_ACCESS_FLAG_LOCAL_READ_ONLY = 0,
	DOCA_ACCESS_FLAG_LOCAL_READ_WRITE = (1 << 0),
	DOCA_ACCESS_FLAG_RDMA_READ = (1 << 1),
	DOCA_ACCESS_FLAG_RDMA_WRITE = (1 << 2),
	DOCA_ACCESS_FLAG_RDMA_ATOMIC = (1 << 3),
	DOCA_ACCESS_FLAG_PCI_READ_ONLY = (1 << 4),
	DOCA_ACCESS_FLAG_PCI_READ_WRITE = (1 << 5),
	DOCA_ACCESS_FLAG_PCI_RELAXED_ORDERING = (1 << 6),
};

// Kind of PCI function behind a device or representor.
enum doca_pci_func_type {
	DOCA_PCI_FUNC_TYPE_PF = 0, // physical function
	DOCA_PCI_FUNC_TYPE_VF,     // virtual function
	DOCA_PCI_FUNC_TYPE_SF,     // sub-function
};

#ifdef __cplusplus
}
#endif

#endif // DOCA_TYPES_H_
