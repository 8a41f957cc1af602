// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Where each packet field lives, and reading and writing it.
//
// What the names leave open: eth.type is the type behind the last VLAN tag (as the hardware has it); ipv6.next_proto is
// the byte of the fixed header; tcp.data_offset is the whole byte 12, the offset in its upper four bits; NVGRE's fields
// are read from any GRE key; parser_meta.meter_color is green before a meter has spoken.
#pragma once

#include "packet.h"
#include "parse.h"

struct field_place {
	uint8_t region;
	uint8_t offset;
	uint8_t bytes;      // of its value
	uint8_t shift;      // bits that the value stands left of a byte boundary: only ipv6.traffic_class, 4
	uint8_t first_mask; // valid bits of the value's first byte
	uint8_t needs;      // enum field_needs
};

enum field_needs {
	FIELD_NEEDS_JUDGE = 1 << 0,  // packet_judge() before it is read
	FIELD_NEEDS_RANDOM = 1 << 1, // a fresh random number
	FIELD_READ_ONLY = 1 << 2,
	FIELD_SHAPES =
		1 << 3, // says what other headers there are: a packet is parsed again after it was written
};

extern const struct field_place field_places[STEER_F_MAX];

static inline bool field_valid(unsigned int field)
{
	return field > STEER_F_NONE && field < STEER_F_MAX;
}

const char *field_name(unsigned int field); // DOCA's string, "?" when invalid

// Copies the value, returns its bytes. The caller has done what the field needs.
unsigned int field_read(const struct packet *p, unsigned int field, uint8_t value[STEER_FIELD_BYTES_MAX]);

// Whether the packet has the header the field is in (metadata: always).
static inline bool field_present(const struct packet *p, unsigned int field)
{
	return packet_has(p, field_places[field].region);
}

// field = (field & ~mask) | (value & mask), in place; keeps IPv4, TCP, UDP, ICMP and ICMPv6 checksums right, those of an
// outer UDP header with a checksum too. Skipped where the header is absent.
void field_write(struct packet *p, unsigned int field, const uint8_t *value, const uint8_t *mask);

// Bits of a value read as one big-endian number, bit 0 the least significant; width 1 .. 64, within the value.
uint64_t bits_get(const uint8_t *value, unsigned int bytes, unsigned int bit, unsigned int width);
void bits_put(uint8_t *value, unsigned int bytes, unsigned int bit, unsigned int width, uint64_t number);
