// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

// Byte order and bit field helpers. GENMASK(h, l) is the mask of bits l to h, both included; SET places a host
// order value into the bits of a mask; GET takes it out. BE variants take and give big-endian words. All macros
// are usable in constant expressions when their arguments are constant, except the ...P forms, which store
// through a pointer.

#ifndef DOCA_BITFIELD_H_
#define DOCA_BITFIELD_H_

#ifndef RINGFIELD_CDEF

#include <arpa/inet.h>

#include <doca_types.h>

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define DOCA_HTOBE16(_x) ((uint16_t)__builtin_bswap16((uint16_t)(_x)))
#define DOCA_HTOBE32(_x) ((uint32_t)__builtin_bswap32((uint32_t)(_x)))
#define DOCA_HTOBE64(_x) ((uint64_t)__builtin_bswap64((uint64_t)(_x)))
#else
#define DOCA_HTOBE16(_x) ((uint16_t)(_x))
#define DOCA_HTOBE32(_x) ((uint32_t)(_x))
#define DOCA_HTOBE64(_x) ((uint64_t)(_x))
#endif

#define DOCA_BETOH16(_x) DOCA_HTOBE16(_x)
#define DOCA_BETOH32(_x) DOCA_HTOBE32(_x)
#define DOCA_BETOH64(_x) DOCA_HTOBE64(_x)

// Position of the lowest set bit; 0 for an empty mask.
#define DOCA_SHIFT(_x) ((_x) ? __builtin_ctzll(_x) : 0)

#define DOCA_U8_GENMASK(_h, _l)   ((uint8_t)((0xffu << (_l)) & (0xffu >> (7 - (_h)))))
#define DOCA_BE16_GENMASK(_h, _l) DOCA_HTOBE16((0xffffu << (_l)) & (0xffffu >> (15 - (_h))))
#define DOCA_BE32_GENMASK(_h, _l) DOCA_HTOBE32((0xffffffffu << (_l)) & (0xffffffffu >> (31 - (_h))))

#define DOCA_U8P_GENMASK(_h, _l, _p)   (*(uint8_t *)(_p) = DOCA_U8_GENMASK((_h), (_l)))
#define DOCA_BE16P_GENMASK(_h, _l, _p) (*(doca_be16_t *)(_p) = DOCA_BE16_GENMASK((_h), (_l)))
#define DOCA_BE32P_GENMASK(_h, _l, _p) (*(doca_be32_t *)(_p) = DOCA_BE32_GENMASK((_h), (_l)))

#define DOCA_U8_SET(_m, _v)   (((_v) << DOCA_SHIFT(_m)) & (_m))
#define DOCA_BE16_SET(_m, _v) (DOCA_HTOBE16((_v) << DOCA_SHIFT(DOCA_BETOH16(_m))) & (_m))
#define DOCA_BE32_SET(_m, _v) (DOCA_HTOBE32((_v) << DOCA_SHIFT(DOCA_BETOH32(_m))) & (_m))

// These or the value into what is there already.
#define DOCA_U8P_SET(_m, _v, _p)   (*(uint8_t *)(_p) |= DOCA_U8_SET((_m), (_v)))
#define DOCA_BE16P_SET(_m, _v, _p) (*(doca_be16_t *)(_p) |= DOCA_BE16_SET((_m), (_v)))
#define DOCA_BE32P_SET(_m, _v, _p) (*(doca_be32_t *)(_p) |= DOCA_BE32_SET((_m), (_v)))

#define DOCA_U8_GET(_m, _f)   (((_m) & (_f)) >> DOCA_SHIFT(_m))
#define DOCA_BE16_GET(_m, _f) (DOCA_BETOH16((_m) & (_f)) >> DOCA_SHIFT(DOCA_BETOH16(_m)))
#define DOCA_BE32_GET(_m, _f) (DOCA_BETOH32((_m) & (_f)) >> DOCA_SHIFT(DOCA_BETOH32(_m)))

#endif // RINGFIELD_CDEF

#endif // DOCA_BITFIELD_H_
