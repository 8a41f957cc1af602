// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// The one table that joins DOCA's structures to the fast path's fields: for every member of doca_flow_meta,
// doca_flow_parser_meta, doca_flow_header_format and doca_flow_tun, where it lies, which field it is on the wire, how its
// value converts, and which selector (l3_type, l4_type_ext, tun.type, l2_valid_headers) makes it count.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <doca_flow.h>

#include "steering_fields.h"

enum field_layer {
	FIELD_META = 0,
	FIELD_PARSER,
	FIELD_OUTER,
	FIELD_TUN,
	FIELD_INNER,
	FIELD_LAYERS,
};

enum field_conversion {
	CONVERT_BYTES = 0, // same bytes on the wire
	CONVERT_U16_HOST,  // host order to network order
	CONVERT_ENUM32,    // 32 bit enum to one byte
	CONVERT_BOOL,      // true to 1
	CONVERT_HIGH24,    // upper 24 bits of a big-endian word
	CONVERT_LOW24,     // lower 24 bits of a big-endian word
	CONVERT_LOW20,     // lower 20 bits of a big-endian word, in three bytes
	CONVERT_BYTE_LOW,  // one byte, right-aligned in a wider wire field
};

// Which member of a union or optional header a field belongs to.
enum field_selector {
	SELECT_ALWAYS = 0,
	SELECT_VLAN0,
	SELECT_VLAN1,
	SELECT_IP4,
	SELECT_IP6,
	SELECT_PORTS, // TCP, UDP, TRANSPORT, ROCE_V2
	SELECT_TCP,
	SELECT_ICMP,
	SELECT_BTH,
	SELECT_VXLAN,
	SELECT_VXLAN_GPE,
	SELECT_VXLAN_GBP,
	SELECT_GRE_STANDARD,
	SELECT_NVGRE,
	SELECT_GTPU,
	SELECT_ESP,
	SELECT_MPLS,
	SELECT_GENEVE,
	SELECT_PSP,
};

struct field_map {
	uint16_t field;  // enum steer_field, STEER_F_NONE: the fast path does not have it
	uint16_t inner;  // the same of the inner layer
	uint16_t offset; // in the layer's structure
	uint8_t size;    // there, bytes
	uint8_t conversion;
	uint8_t selector;
	uint8_t implicit_off : 1; // no meaning without an explicit mask (metadata)
	const char *name;         // for fields that the fast path does not have
};

// The selectors of one layer, taken from a structure.
struct field_gate {
	uint16_t l2_valid;
	uint8_t l3_type;
	uint8_t l4_type;
	uint8_t tun_type;
	uint8_t tun_ext; // vxlan_type or gre_type
};

// One structure's layers; NULL where it has none.
struct field_view {
	const uint8_t *base[FIELD_LAYERS];
};

void field_view_match(struct field_view *view, const struct doca_flow_match *match);
void field_view_actions(struct field_view *view, const struct doca_flow_actions *actions);
void field_gates(struct field_gate gates[FIELD_LAYERS], const struct field_view *view);

// Rows of a layer's table.
const struct field_map *field_table(enum field_layer layer, unsigned int *nr);
// The wire field of a row in a layer; STEER_F_NONE if there is none.
uint16_t field_id(const struct field_map *map, enum field_layer layer);
bool field_selected(const struct field_map *map, const struct field_gate *gate);
// The row's value in the structure: is it all zero?
bool field_is_zero(const struct field_map *map, const uint8_t *base);
// Value in wire form, STEER_FIELD_BYTES_MAX bytes, zero behind the field's own.
void field_read(const struct field_map *map, uint16_t field, const uint8_t *base, uint8_t *value);
// Writes a wire value back into the structure (adoption, columns).
const char *field_label(const struct field_map *map, enum field_layer layer);

// --- wire fields
const char *field_name(uint16_t field);
unsigned int field_bits(uint16_t field);
unsigned int field_bytes(uint16_t field);
// Mask of all the field's bits, in wire form.
void field_full_mask(uint16_t field, uint8_t *mask);

// A DOCA field string ("outer.ipv4.ttl", "meta.data" with a bit offset) to a wire field and the bit within it.
// STEER_F_NONE: unknown.
uint16_t field_by_string(const char *name, uint32_t bit_offset, uint32_t *bit);
