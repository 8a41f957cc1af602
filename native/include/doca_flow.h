// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

// DOCA Flow 3.3: match-action pipes in the packet path of a BlueField or ConnectX, here of Ringfield's fast path.
//
// Names, layouts, argument orders and values are NVIDIA's, so that a program compiles against either; what the calls
// do here is written down in this file, and where NVIDIA's texts leave something open, the choice is named. The
// comments cite the DOCA Flow programming guide's chapter, e.g. [Pipe Creation].
//
// Order of calls [Initialization Flow]: cfg -> doca_flow_init -> ports -> pipes -> entries; teardown in reverse. A
// call out of order returns BAD_STATE. Configuration objects may be destroyed as soon as the call that read them
// returned.
//
// Byte order: doca_beNN_t and byte arrays are in network order, everything else in host order.
//
// Errors: every call may return INVALID_VALUE (NULL or contradictory argument), NO_MEMORY, and NOT_CONNECTED once the
// fast path is gone. Other codes are listed at the call. doca_flow_ringfield_last_error() gives the sentence.
//
// Threads: setters, init, port and pipe creation and destruction take a process-wide lock and may be called from any
// thread. Entry calls and doca_flow_entries_process() are lock-free and belong to a queue: one thread per queue at a
// time, distinct queues in parallel. Callbacks run inside doca_flow_entries_process() or doca_flow_aging_handle() of
// the thread that called it, and may call entry functions of that same queue.

#ifndef DOCA_FLOW_H_
#define DOCA_FLOW_H_

#ifndef RINGFIELD_CDEF
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#endif

#include <doca_compat.h>
#include <doca_error.h>
#include <doca_flow_crypto.h>
#include <doca_flow_net.h>

#ifdef __cplusplus
extern "C" {
#endif

struct doca_dev;
struct doca_dev_rep;
struct doca_flow_cfg;
struct doca_flow_definitions;
struct doca_flow_parser;
struct doca_flow_pipe;
struct doca_flow_pipe_cfg;
struct doca_flow_pipe_entry;
struct doca_flow_port;
struct doca_flow_port_cfg;
struct doca_flow_target;
struct doca_flow_tune_cfg;

// === Match [Match, Matching] =====================================================================================

// Words of scratch metadata, and bytes of metadata in all (pkt_meta included).
#define DOCA_FLOW_META_SCRATCH_PAD_MAX 10
#define DOCA_FLOW_META_MAX             ((DOCA_FLOW_META_SCRATCH_PAD_MAX + 1) * 4)
#define DOCA_FLOW_VLAN_MAX             2

// Most bytes that one entry may take of a port's actions memory.
#define DOCA_FLOW_MAX_ENTRY_ACTIONS_MEM_SIZE (128)

// Metadata travels with the packet from pipe to pipe. It has no initial value: match it only after some pipe set it,
// and always with an explicit mask. pkt_meta also reaches the program that receives the packet.
struct doca_flow_meta {
	doca_be32_t pkt_meta;
	doca_be32_t u32[DOCA_FLOW_META_SCRATCH_PAD_MAX];
};

// One byte wide, also inside structures.
#ifdef RINGFIELD_CDEF
enum doca_flow_meter_color {
#else
enum __attribute__((__packed__)) doca_flow_meter_color {
#endif
	DOCA_FLOW_METER_COLOR_RED = 0,
	DOCA_FLOW_METER_COLOR_YELLOW,
	DOCA_FLOW_METER_COLOR_GREEN,
};

// What the parser found. These check the packet, unlike l3_type and l4_type_ext.
enum doca_flow_l2_meta {
	DOCA_FLOW_L2_META_NO_VLAN = 0,
	DOCA_FLOW_L2_META_MULTI_VLAN,
	DOCA_FLOW_L2_META_SINGLE_VLAN,
	DOCA_FLOW_L2_META_CUSTOM_VLAN,
};

enum doca_flow_l3_meta {
	DOCA_FLOW_L3_META_NONE = 0,
	DOCA_FLOW_L3_META_IPV4,
	DOCA_FLOW_L3_META_IPV6,
};

enum doca_flow_l4_meta {
	DOCA_FLOW_L4_META_NONE = 0,
	DOCA_FLOW_L4_META_TCP,
	DOCA_FLOW_L4_META_UDP,
	DOCA_FLOW_L4_META_ICMP, // of either IP version
	DOCA_FLOW_L4_META_ESP,
};

enum doca_flow_crypto_syndrome {
	DOCA_FLOW_CRYPTO_SYNDROME_OK,
	DOCA_FLOW_CRYPTO_SYNDROME_ICV_FAIL,
	DOCA_FLOW_CRYPTO_SYNDROME_BAD_TRAILER,
};

// Read-only facts about a packet. The *_ok and *_fragmented bytes are 0 or 1 in the packet; a pipe declares them
// changeable with 0xff like any other byte.
struct doca_flow_parser_meta {
	uint16_t port_id;       // logical id of the port it came in on
	doca_be16_t random;     // drawn anew at every pipe
	uint8_t ipsec_syndrome; // enum doca_flow_crypto_syndrome
	uint8_t ipsec_ar_syndrome;
	uint8_t psp_syndrome; // enum doca_flow_crypto_syndrome
	enum doca_flow_meter_color meter_color;
	enum doca_flow_l2_meta outer_l2_type;
	enum doca_flow_l3_meta outer_l3_type;
	enum doca_flow_l4_meta outer_l4_type;
	enum doca_flow_l2_meta inner_l2_type;
	enum doca_flow_l3_meta inner_l3_type;
	enum doca_flow_l4_meta inner_l4_type;
	uint8_t outer_ip_fragmented;
	uint8_t inner_ip_fragmented;
	uint8_t outer_l3_ok;
	uint8_t outer_ip4_checksum_ok;
	uint8_t outer_l4_ok;
	uint8_t outer_l4_checksum_ok;
	uint8_t inner_l3_ok;
	uint8_t inner_ip4_checksum_ok;
	uint8_t inner_l4_ok;
	uint8_t inner_l4_checksum_ok;
};

enum doca_flow_match_tcp_flags {
	DOCA_FLOW_MATCH_TCP_FLAG_FIN = (1 << 0),
	DOCA_FLOW_MATCH_TCP_FLAG_SYN = (1 << 1),
	DOCA_FLOW_MATCH_TCP_FLAG_RST = (1 << 2),
	DOCA_FLOW_MATCH_TCP_FLAG_PSH = (1 << 3),
	DOCA_FLOW_MATCH_TCP_FLAG_ACK = (1 << 4),
	DOCA_FLOW_MATCH_TCP_FLAG_URG = (1 << 5),
	DOCA_FLOW_MATCH_TCP_FLAG_ECE = (1 << 6),
	DOCA_FLOW_MATCH_TCP_FLAG_CWR = (1 << 7),
};

enum doca_flow_l2_valid_header {
	DOCA_FLOW_L2_VALID_HEADER_VLAN_0 = (1 << 0),
	DOCA_FLOW_L2_VALID_HEADER_VLAN_1 = (1 << 1),
};

struct doca_flow_header_format {
	struct doca_flow_header_eth eth;
	uint16_t l2_valid_headers; // enum doca_flow_l2_valid_header: which of eth_vlan[] count
	struct doca_flow_header_eth_vlan eth_vlan[DOCA_FLOW_VLAN_MAX];
	enum doca_flow_l3_type l3_type;
	union {
		struct doca_flow_header_ip4 ip4;
		struct doca_flow_header_ip6 ip6;
	};
	enum doca_flow_l4_type_ext l4_type_ext;
	union {
		struct doca_flow_header_icmp icmp;
		struct doca_flow_header_udp udp;
		struct doca_flow_header_tcp tcp;
		struct doca_flow_header_l4_port transport;
		struct doca_flow_header_roce_v2 roce_v2;
	};
};

// What a pipe or entry matches. In a pipe, per field, without a mask: zero = not matched, all ones = taken from the
// entry, other = constant. With a mask: mask zero = not matched; otherwise the bits of the mask are compared, with
// the pipe's value, or with the entry's if the pipe's value is all ones. l3_type, l4_type_ext and tun.type select
// layouts and are never compared nor changeable.
struct doca_flow_match {
	struct doca_flow_meta meta;
	struct doca_flow_parser_meta parser_meta;
	struct doca_flow_header_format outer;
	struct doca_flow_tun tun;
	struct doca_flow_header_format inner;
};

// What the entropy of an encapsulation's source port is computed from.
struct doca_flow_entropy_format {
	enum doca_flow_l3_type l3_type;
	union {
		struct doca_flow_header_ip4 ip4;
		struct doca_flow_header_ip6 ip6;
	};
	bool is_transport; // the ports below count
	struct doca_flow_header_l4_port transport;
};

enum doca_flow_compare_op {
	DOCA_FLOW_COMPARE_EQ,
	DOCA_FLOW_COMPARE_NE,
	DOCA_FLOW_COMPARE_LT,
	DOCA_FLOW_COMPARE_LE,
	DOCA_FLOW_COMPARE_GT,
	DOCA_FLOW_COMPARE_GE,
};

// A field by name: "<outer|inner|tunnel|meta|parser_meta>.<protocol>.<field>", e.g. "outer.ipv4.ttl", "meta.data".
struct doca_flow_desc_field {
	const char *field_string;
	uint32_t bit_offset; // from the field's least significant bit
};

// a <op> b on width bits, of control pipe entries only. If b.field_string is NULL, b is the value that the entry's
// match gives for the field a.
struct doca_flow_match_condition {
	enum doca_flow_compare_op operation;
	union {
		struct {
			struct doca_flow_desc_field a;
			struct doca_flow_desc_field b;
			uint32_t width;
		} field_op;
	};
};

// === Actions [Actions] ===========================================================================================

// Whether a resource is absent, shared by id, or the entry's own.
enum doca_flow_resource_type {
	DOCA_FLOW_RESOURCE_TYPE_NONE,
	DOCA_FLOW_RESOURCE_TYPE_SHARED,
	DOCA_FLOW_RESOURCE_TYPE_NON_SHARED
};

struct doca_flow_encap_action {
	struct doca_flow_header_format outer;
	struct doca_flow_tun tun;
};

struct doca_flow_push_vlan_action {
	doca_be16_t eth_type;
	struct doca_flow_header_eth_vlan vlan_hdr;
};

enum doca_flow_push_action_type {
	DOCA_FLOW_PUSH_ACTION_VLAN,
};

struct doca_flow_push_action {
	enum doca_flow_push_action_type type;
	union {
		struct doca_flow_push_vlan_action vlan;
	};
};

struct doca_flow_nat64_action {
	enum doca_flow_l3_type original_l3_type;
};

// Crypto id that stands for "decrypt by the SPI in the packet" in PSP.
#define DOCA_FLOW_PSP_DECRYPTION_ID UINT32_MAX

struct doca_flow_crypto_action {
	enum doca_flow_crypto_action_type action_type;
	enum doca_flow_crypto_resource_type resource_type;
	union {
		struct {
			bool sn_en;
		} ipsec_sa;
	};
	uint32_t crypto_id;
};

struct doca_flow_crypto_encap_action {
	enum doca_flow_crypto_encap_action_type action_type;
	enum doca_flow_crypto_encap_net_type net_type;
	uint16_t icv_size;  // bytes
	uint16_t data_size; // bytes of encap_data
	uint8_t encap_data[DOCA_FLOW_CRYPTO_HEADER_LEN_MAX];
};

// is_l2: the payload keeps its Ethernet header. Otherwise it starts at layer 3, and decapsulation prepends eth/eth_vlan.
struct doca_flow_resource_encap_cfg {
	bool is_l2;
	struct doca_flow_encap_action encap;
};

struct doca_flow_resource_decap_cfg {
	bool is_l2;
	struct doca_flow_header_eth eth;
	uint16_t l2_valid_headers;
	struct doca_flow_header_eth_vlan eth_vlan[DOCA_FLOW_VLAN_MAX];
};

// What is done to a packet, in this order: decrypt, decapsulate, pop VLAN, write metadata, write outer, write tunnel,
// push VLAN, encapsulate, encrypt. In a pipe, per field: zero = left alone, all ones = taken from the entry, other =
// constant; with an actions mask, only the mask's bits are written. To write zero: value 0 with mask all ones.
// encap_cfg and decap_cfg count only if encap_type and decap_type say so.
struct doca_flow_actions {
	enum doca_flow_resource_type decap_type;
	union {
		struct doca_flow_resource_decap_cfg decap_cfg;
		uint32_t shared_decap_id;
	};
	bool pop_vlan;
	struct doca_flow_meta meta;
	struct doca_flow_parser_meta parser_meta;
	struct doca_flow_header_format outer;
	struct doca_flow_tun tun;
	enum doca_flow_resource_type encap_type;
	union {
		struct doca_flow_resource_encap_cfg encap_cfg;
		uint32_t shared_encap_id;
	};
	bool has_push;
	struct doca_flow_push_action push;
	struct doca_flow_nat64_action nat64;
	bool has_crypto_encap;
	struct doca_flow_crypto_encap_action crypto_encap;
	struct doca_flow_crypto_action crypto;
};

struct doca_flow_crypto {
	bool has_crypto_encap;
	struct doca_flow_crypto_encap_action crypto_encap;
	struct doca_flow_crypto_action crypto;
};

enum doca_flow_action_type {
	DOCA_FLOW_ACTION_AUTO = 0, // as the pipe's actions say
	DOCA_FLOW_ACTION_ADD,      // dst += value of the actions, or += src
	DOCA_FLOW_ACTION_COPY,     // dst = src
};

struct doca_flow_action_desc {
	enum doca_flow_action_type type;
	union {
		struct {
			struct doca_flow_desc_field src;
			struct doca_flow_desc_field dst;
			uint32_t width; // bits
		} field_op;
	};
};

struct doca_flow_action_descs {
	uint8_t nb_action_desc;
	struct doca_flow_action_desc *desc_array;
};

// === Forward [Forwarding] ========================================================================================

enum doca_flow_target_type {
	DOCA_FLOW_TARGET_KERNEL,
};

enum doca_flow_fwd_type {
	DOCA_FLOW_FWD_NONE = 0,
	DOCA_FLOW_FWD_RSS,
	DOCA_FLOW_FWD_PORT, // in a pipe, port_id 0xffff = taken from the entry
	DOCA_FLOW_FWD_PIPE, // in a pipe, next_pipe NULL = taken from the entry
	DOCA_FLOW_FWD_DROP,
	DOCA_FLOW_FWD_TARGET,
	DOCA_FLOW_FWD_ORDERED_LIST_PIPE, // in a pipe, idx 0xffffffff = taken from the entry
	DOCA_FLOW_FWD_HASH_PIPE,
	DOCA_FLOW_FWD_CHANGEABLE = 100, // of a pipe: type and all from the entry
};

enum doca_rss_type {
	DOCA_FLOW_RSS_IPV4 = (1 << 0),
	DOCA_FLOW_RSS_IPV6 = (1 << 1),
	DOCA_FLOW_RSS_UDP = (1 << 2),
	DOCA_FLOW_RSS_TCP = (1 << 3),
	DOCA_FLOW_RSS_ESP = (1 << 4),
	DOCA_FLOW_RSS_IPV4_SRC = (1 << 5),
	DOCA_FLOW_RSS_IPV4_DST = (1 << 6),
	DOCA_FLOW_RSS_IPV6_SRC = (1 << 7),
	DOCA_FLOW_RSS_IPV6_DST = (1 << 8),
	DOCA_FLOW_RSS_UDP_SRC = (1 << 9),
	DOCA_FLOW_RSS_UDP_DST = (1 << 10),
	DOCA_FLOW_RSS_TCP_SRC = (1 << 11),
	DOCA_FLOW_RSS_TCP_DST = (1 << 12),
	DOCA_FLOW_RSS_AUTO = (1 << 30), // the library's choice
};

enum doca_flow_rss_hash_function {
	DOCA_FLOW_RSS_HASH_FUNCTION_TOEPLITZ,
	DOCA_FLOW_RSS_HASH_FUNCTION_SYMMETRIC_TOEPLITZ, // both directions of a flow give one value
};

struct doca_flow_resource_rss_cfg {
	uint32_t outer_flags; // enum doca_rss_type
	uint32_t inner_flags; // enum doca_rss_type
	uint16_t *queues_array;
	int nr_queues;
	enum doca_flow_rss_hash_function rss_hash_func;
};

// How a hash pipe picks an entry.
enum doca_flow_pipe_hash_map_algorithm {
	DOCA_FLOW_PIPE_HASH_MAP_ALGORITHM_HASH = 1 << 0,
	DOCA_FLOW_PIPE_HASH_MAP_ALGORITHM_RANDOM = 1 << 1,
	DOCA_FLOW_PIPE_HASH_MAP_ALGORITHM_IDENTITY = 1 << 2,
	DOCA_FLOW_PIPE_HASH_MAP_ALGORITHM_ROUND_ROBIN = 1 << 3,
	DOCA_FLOW_PIPE_HASH_MAP_ALGORITHM_FLOODING = 1 << 4, // a copy to each
	DOCA_FLOW_PIPE_HASH_MAP_ALGORITHM_SELECT_ENABLED = 1 << 5,
};

struct doca_flow_fwd {
	enum doca_flow_fwd_type type;
	union {
		struct { // RSS
			enum doca_flow_resource_type rss_type;
			union {
				struct doca_flow_resource_rss_cfg rss;
				uint32_t shared_rss_id;
			};
		};
		struct { // PORT: logical id
			uint16_t port_id;
		};
		struct { // PIPE
			struct doca_flow_pipe *next_pipe;
		};
		struct { // ORDERED_LIST_PIPE: the entry added with this idx
			struct doca_flow_pipe *pipe;
			uint32_t idx;
		} ordered_list_pipe;
		struct { // TARGET
			struct doca_flow_target *target;
		};
		struct { // HASH_PIPE
			struct doca_flow_pipe *pipe;
			enum doca_flow_pipe_hash_map_algorithm algorithm;
		} hash_pipe;
	};
};

// === Monitor and shared resources [Monitor, Shared Counter Resource, Shared Meter Resource, ...] =====================

enum doca_flow_meter_algorithm_type {
	DOCA_FLOW_METER_ALGORITHM_TYPE_RFC2697,
	DOCA_FLOW_METER_ALGORITHM_TYPE_RFC2698,
	DOCA_FLOW_METER_ALGORITHM_TYPE_RFC4115,
};

// Unit of every rate (per second) and burst of a meter. Bytes are counted from the Ethernet header on, without FCS.
enum doca_flow_meter_limit_type {
	DOCA_FLOW_METER_LIMIT_TYPE_BYTES = 0,
	DOCA_FLOW_METER_LIMIT_TYPE_PACKETS,
};

enum doca_flow_meter_color_mode {
	DOCA_FLOW_METER_COLOR_MODE_BLIND = 0, // every packet starts green
	DOCA_FLOW_METER_COLOR_MODE_AWARE,
};

// A shared meter marks packets (parser_meta.meter_color), it does not drop them.
struct doca_flow_resource_meter_cfg {
	enum doca_flow_meter_limit_type limit_type;
	enum doca_flow_meter_color_mode color_mode;
	enum doca_flow_meter_algorithm_type alg;
	uint64_t cir; // committed rate
	uint64_t cbs; // committed burst
	union {
		struct {
			uint64_t ebs; // excess burst
		} rfc2697;
		struct {
			uint64_t pir; // peak rate
			uint64_t pbs; // peak burst
		} rfc2698;
		struct {
			uint64_t eir; // excess rate
			uint64_t ebs; // excess burst
		} rfc4115;
	};
};

struct doca_flow_resource_psp_cfg {
	struct doca_flow_crypto_key_cfg key_cfg;
};

struct doca_flow_resource_ipsec_sa_cfg {
	struct doca_flow_crypto_key_cfg key_cfg;
	uint32_t salt;
	uint64_t implicit_iv;
	enum doca_flow_crypto_icv_len icv_len;
	enum doca_flow_crypto_sn_offload_type sn_offload_type;
	enum doca_flow_crypto_replay_win_size win_size;
	bool esn_en;
	uint64_t sn_initial;
	uint32_t lifetime_threshold;
};

// What an entry has besides actions. In a pipe, id 0xffffffff, cir/cbs all ones and aging_sec 0xffffffff mean "taken
// from the entry". A non-shared meter drops its red packets itself.
struct doca_flow_monitor {
	enum doca_flow_resource_type meter_type;
	union {
		struct {
			enum doca_flow_meter_limit_type limit_type;
			uint64_t cir; // per second
			uint64_t cbs;
		} non_shared_meter;
		struct {
			uint32_t shared_meter_id;
			enum doca_flow_meter_color meter_init_color;
		} shared_meter;
	};
	enum doca_flow_resource_type counter_type;
	union {
		struct {
			uint32_t shared_counter_id;
		} shared_counter;
	};
	uint32_t aging_sec; // seconds without a packet; 0 = never
};

// Kinds of shared resource.
enum doca_flow_shared_resource_type {
	DOCA_FLOW_SHARED_RESOURCE_METER,
	DOCA_FLOW_SHARED_RESOURCE_COUNTER,
	DOCA_FLOW_SHARED_RESOURCE_RSS,
	DOCA_FLOW_SHARED_RESOURCE_PSP,
	DOCA_FLOW_SHARED_RESOURCE_ENCAP,
	DOCA_FLOW_SHARED_RESOURCE_DECAP,
	DOCA_FLOW_SHARED_RESOURCE_IPSEC_SA,
};

struct doca_flow_shared_resource_cfg {
	union {
		struct doca_flow_resource_meter_cfg meter_cfg;
		struct doca_flow_resource_rss_cfg rss_cfg;
		struct doca_flow_resource_psp_cfg psp_cfg;
		struct doca_flow_resource_encap_cfg encap_cfg;
		struct doca_flow_resource_decap_cfg decap_cfg;
		struct doca_flow_resource_ipsec_sa_cfg ipsec_sa_cfg;
	};
};

struct doca_flow_resource_query {
	union {
		struct {
			uint64_t total_bytes;
			uint64_t total_pkts;
		} counter;
		struct {
			uint64_t current_sn;
		} ipsec_sa;
	};
};

// Whether resources are reserved once for the process or per port, and what can be reserved per port.
enum doca_flow_resource_mode {
	DOCA_FLOW_RESOURCE_MODE_SYSTEM,
	DOCA_FLOW_RESOURCE_MODE_PORT,
};

enum doca_flow_resource {
	DOCA_FLOW_RESOURCE_METER,
	DOCA_FLOW_RESOURCE_COUNTER,
	DOCA_FLOW_RESOURCE_RSS,
	DOCA_FLOW_RESOURCE_PSP,
	DOCA_FLOW_RESOURCE_ENCAP,
	DOCA_FLOW_RESOURCE_DECAP,
	DOCA_FLOW_RESOURCE_IPSEC_SA,
};

// === Pipes, entries, ports ========================================================================================

// At most one of the two; 0 behaves like NO_WAIT.
enum doca_flow_entry_flags {
	DOCA_FLOW_ENTRY_FLAGS_NO_WAIT = (1u << 0),        // publish now, with what was buffered before
	DOCA_FLOW_ENTRY_FLAGS_WAIT_FOR_BATCH = (1u << 1), // buffer
};

#define DOCA_FLOW_FLAGS_SET(flags, flag)    ((flags) |= (flag))
#define DOCA_FLOW_FLAGS_UNSET(flags, flag)  ((flags) &= ~(flag))
#define DOCA_FLOW_FLAGS_IS_SET(flags, flag) (((flags) & (flag)) != 0)

enum doca_flow_pipe_op {
	DOCA_FLOW_PIPE_OP_CONGESTION_REACHED,
	DOCA_FLOW_PIPE_OP_RESIZED,
	DOCA_FLOW_PIPE_OP_DESTROYED,
};

enum doca_flow_pipe_status {
	DOCA_FLOW_PIPE_STATUS_SUCCESS = 1,
	DOCA_FLOW_PIPE_STATUS_ERROR,
};

enum doca_flow_entry_op {
	DOCA_FLOW_ENTRY_OP_ADD,
	DOCA_FLOW_ENTRY_OP_DEL,
	DOCA_FLOW_ENTRY_OP_UPD,
	DOCA_FLOW_ENTRY_OP_AGED, // still there; the program removes it
};

enum doca_flow_entry_status {
	DOCA_FLOW_ENTRY_STATUS_IN_PROCESS,
	DOCA_FLOW_ENTRY_STATUS_SUCCESS,
	DOCA_FLOW_ENTRY_STATUS_ERROR,
};

enum doca_flow_pipe_type {
	DOCA_FLOW_PIPE_BASIC,
	DOCA_FLOW_PIPE_CONTROL,
	DOCA_FLOW_PIPE_LPM,
	DOCA_FLOW_PIPE_CT,
	DOCA_FLOW_PIPE_ACL,
	DOCA_FLOW_PIPE_ORDERED_LIST,
	DOCA_FLOW_PIPE_HASH,
};

enum doca_flow_pipe_domain {
	DOCA_FLOW_PIPE_DOMAIN_DEFAULT = 0,
	DOCA_FLOW_PIPE_DOMAIN_SECURE_INGRESS,
	DOCA_FLOW_PIPE_DOMAIN_EGRESS,
	DOCA_FLOW_PIPE_DOMAIN_SECURE_EGRESS,
};

enum doca_flow_ordered_list_element_type {
	DOCA_FLOW_ORDERED_LIST_ELEMENT_ACTIONS,
	DOCA_FLOW_ORDERED_LIST_ELEMENT_MONITOR,
	DOCA_FLOW_ORDERED_LIST_ELEMENT_NAT64,
	DOCA_FLOW_ORDERED_LIST_ELEMENT_CRYPTO,
};

struct doca_flow_ordered_list_element {
	enum doca_flow_ordered_list_element_type type;
	union {
		struct { // ACTIONS; mask and descriptors may be NULL
			struct doca_flow_actions *actions;
			struct doca_flow_actions *actions_mask;
			struct doca_flow_action_descs *action_descs;
		};
		struct doca_flow_monitor *monitor;
		struct doca_flow_nat64_action *nat64;
		struct doca_flow_crypto *crypto;
	};
};

// Steps done one after the other. In a pipe, idx is the list's place among its lists; in an entry, it picks the list.
struct doca_flow_ordered_list {
	uint32_t idx;
	uint32_t size;
	struct doca_flow_ordered_list_element *elements;
};

enum doca_flow_parser_geneve_opt_mode {
	DOCA_FLOW_PARSER_GENEVE_OPT_MODE_IGNORE,
	DOCA_FLOW_PARSER_GENEVE_OPT_MODE_FIXED,
	DOCA_FLOW_PARSER_GENEVE_OPT_MODE_MATCHABLE,
};

// One GENEVE option that the parser is to find.
struct doca_flow_parser_geneve_opt_cfg {
	enum doca_flow_parser_geneve_opt_mode match_on_class_mode;
	doca_be16_t option_class;
	uint8_t option_type;
	uint8_t option_len; // words of 4 bytes, without the option's header
	doca_be32_t data_mask[DOCA_FLOW_GENEVE_DATA_OPTION_LEN_MAX]; // non-zero words are sampled
};

// Where a packet goes that misses in a pipe without fwd_miss.
enum doca_flow_port_default_miss_type {
	DOCA_FLOW_PORT_DEFAULT_MISS_KERNEL = 0,
	DOCA_FLOW_PORT_DEFAULT_MISS_RSS,
	DOCA_FLOW_PORT_DEFAULT_MISS_DROP,
};

// Traffic of a port goes to its ACTIVE instance, else ACTIVE_READY_TO_SWAP, else STANDBY.
enum doca_flow_port_operation_state {
	DOCA_FLOW_PORT_OPERATION_STATE_ACTIVE,
	DOCA_FLOW_PORT_OPERATION_STATE_ACTIVE_READY_TO_SWAP,
	DOCA_FLOW_PORT_OPERATION_STATE_STANDBY,
	DOCA_FLOW_PORT_OPERATION_STATE_UNCONNECTED,
};

enum doca_flow_tune_profile {
	DOCA_FLOW_TUNE_PROFILE_NONE = 0,
	DOCA_FLOW_TUNE_PROFILE_PIPELINE = 30,
	DOCA_FLOW_TUNE_PROFILE_FULL = 60,
};

typedef void (*doca_flow_pipe_process_cb)(struct doca_flow_pipe *pipe, enum doca_flow_pipe_status status,
	enum doca_flow_pipe_op op, void *user_ctx);
typedef void (*doca_flow_entry_process_cb)(struct doca_flow_pipe_entry *entry, uint16_t pipe_queue,
	enum doca_flow_entry_status status, enum doca_flow_entry_op op, void *user_ctx);
typedef void (*doca_flow_shared_resource_unbind_cb)(
	enum doca_flow_shared_resource_type, uint32_t shared_resource_id, void *bindable_obj);
// Of doca_flow_pipe_resize(): the pipe's new size; each entry's arrival, where its context may be exchanged.
typedef doca_error_t (*doca_flow_pipe_resize_nr_entries_changed_cb)(void *pipe_user_ctx, uint32_t nr_entries);
typedef doca_error_t (*doca_flow_pipe_resize_entry_relocate_cb)(
	void *pipe_user_ctx, uint16_t pipe_queue, void *entry_user_ctx, void **new_entry_user_ctx);

// === Library [Initialization Flow] ================================================================================

DOCA_STABLE
doca_error_t doca_flow_cfg_create(struct doca_flow_cfg **cfg);
DOCA_STABLE
doca_error_t doca_flow_cfg_destroy(struct doca_flow_cfg *cfg);
// Queues per port for entry operations; at least 1.
DOCA_STABLE
doca_error_t doca_flow_cfg_set_pipe_queues(struct doca_flow_cfg *cfg, uint16_t pipe_queues);
// Operations that a queue may hold before entries_process() takes their results; default 128.
DOCA_STABLE
doca_error_t doca_flow_cfg_set_queue_depth(struct doca_flow_cfg *cfg, uint32_t queue_depth);
// Comma list: "vnf" or "switch", and "hws", "isolated", "expert", "cpds", ...
DOCA_STABLE
doca_error_t doca_flow_cfg_set_mode_args(struct doca_flow_cfg *cfg, const char *mode_args);
// Reserves, in system resource mode. An entry or miss counter beyond the reserve fails with NO_MEMORY.
DOCA_STABLE
doca_error_t doca_flow_cfg_set_nr_counters(struct doca_flow_cfg *cfg, uint32_t nr_counters);
DOCA_STABLE
doca_error_t doca_flow_cfg_set_nr_meters(struct doca_flow_cfg *cfg, uint32_t nr_meters);
DOCA_STABLE
doca_error_t doca_flow_cfg_set_nr_shared_resource(
	struct doca_flow_cfg *cfg, uint32_t nr_shared_resource, enum doca_flow_shared_resource_type type);
// How many colliding entries ACL pipes shall hold: any number is, entries here do not collide.
DOCA_STABLE
doca_error_t doca_flow_cfg_set_nr_acl_collisions(struct doca_flow_cfg *cfg, uint8_t nr_acl_collisions);
DOCA_EXPERIMENTAL
doca_error_t doca_flow_cfg_set_resource_mode(
	struct doca_flow_cfg *cfg, const enum doca_flow_resource_mode mode);
DOCA_STABLE
doca_error_t doca_flow_cfg_set_cb_pipe_process(struct doca_flow_cfg *cfg, doca_flow_pipe_process_cb cb);
DOCA_STABLE
doca_error_t doca_flow_cfg_set_cb_entry_process(struct doca_flow_cfg *cfg, doca_flow_entry_process_cb cb);
DOCA_STABLE
doca_error_t doca_flow_cfg_set_cb_shared_resource_unbind(
	struct doca_flow_cfg *cfg, doca_flow_shared_resource_unbind_cb cb);
// Key of RSS forwards and of the default miss RSS, for the ports started from then on. Copied; 40 bytes.
DOCA_STABLE
doca_error_t doca_flow_cfg_set_rss_key(
	struct doca_flow_cfg *cfg, const uint8_t *rss_key, uint32_t rss_key_len);
// NOT_SUPPORTED.
DOCA_EXPERIMENTAL
doca_error_t doca_flow_cfg_set_definitions(
	struct doca_flow_cfg *cfg, const struct doca_flow_definitions *defs);
// NOT_SUPPORTED with a profile other than NONE: there is no Flow Tune server.
DOCA_EXPERIMENTAL
doca_error_t doca_flow_cfg_set_tune_cfg(struct doca_flow_cfg *cfg, struct doca_flow_tune_cfg *tune_cfg);

DOCA_EXPERIMENTAL
doca_error_t doca_flow_tune_cfg_create(struct doca_flow_tune_cfg **tune_cfg);
DOCA_EXPERIMENTAL
doca_error_t doca_flow_tune_cfg_destroy(struct doca_flow_tune_cfg *tune_cfg);
DOCA_EXPERIMENTAL
doca_error_t doca_flow_tune_cfg_set_profile(
	struct doca_flow_tune_cfg *tune_cfg, enum doca_flow_tune_profile profile);

// Attaches the process to the fast path and opens its session, once per process (BAD_STATE the second time).
// NOT_CONNECTED: no fast path answers. UNSUPPORTED_VERSION: it speaks another version of the wire contract.
// NOT_SUPPORTED: unknown mode.
DOCA_STABLE
doca_error_t doca_flow_init(struct doca_flow_cfg *cfg);
// Stops what is left and detaches. An ephemeral session's pipes vanish, a durable one's stay.
DOCA_STABLE
void doca_flow_destroy(void);

// === Ports [Start Port] ===========================================================================================

DOCA_STABLE
doca_error_t doca_flow_port_cfg_create(struct doca_flow_port_cfg **cfg);
DOCA_STABLE
doca_error_t doca_flow_port_cfg_destroy(struct doca_flow_port_cfg *cfg);
// Mandatory: the id by which matches and forwards name this port.
DOCA_EXPERIMENTAL
doca_error_t doca_flow_port_cfg_set_port_id(struct doca_flow_port_cfg *cfg, uint16_t port_id);
// One of the two is mandatory. A representor is refused in vnf mode.
DOCA_EXPERIMENTAL
doca_error_t doca_flow_port_cfg_set_dev(struct doca_flow_port_cfg *cfg, struct doca_dev *dev);
DOCA_EXPERIMENTAL
doca_error_t doca_flow_port_cfg_set_dev_rep(struct doca_flow_port_cfg *cfg, struct doca_dev_rep *dev);
// th_win_us=0 and dv_flow_en=2 are so; anything else is NOT_SUPPORTED.
DOCA_STABLE
doca_error_t doca_flow_port_cfg_set_devargs(struct doca_flow_port_cfg *cfg, const char *devargs);
// Bytes behind doca_flow_port_priv_data(), zeroed at start.
DOCA_STABLE
doca_error_t doca_flow_port_cfg_set_priv_data_size(struct doca_flow_port_cfg *cfg, uint16_t priv_data_size);
// Bytes for what the entries of the port's pipes bring for their actions; a power of two, at least 64. An entry takes the
// bytes of its changeable values in units of 64, at most DOCA_FLOW_MAX_ENTRY_ACTIONS_MEM_SIZE; entries of control pipes and
// connections take none. Beyond it NO_MEMORY. Default 0: no limit.
DOCA_EXPERIMENTAL
doca_error_t doca_flow_port_cfg_set_actions_mem_size(struct doca_flow_port_cfg *cfg, uint32_t size);
// The port's reserve, in port resource mode.
DOCA_EXPERIMENTAL
doca_error_t doca_flow_port_cfg_set_nr_resources(
	struct doca_flow_port_cfg *cfg, enum doca_flow_resource resource, uint32_t nr_resources);
// NOT_SUPPORTED.
DOCA_STABLE
doca_error_t doca_flow_port_cfg_set_ipsec_sn_offload_disable(struct doca_flow_port_cfg *cfg);
// NOT_SUPPORTED unless ACTIVE.
DOCA_EXPERIMENTAL
doca_error_t doca_flow_port_cfg_set_operation_state(
	struct doca_flow_port_cfg *cfg, enum doca_flow_port_operation_state state);
// NOT_SUPPORTED: there are no service threads.
DOCA_EXPERIMENTAL
doca_error_t doca_flow_port_cfg_set_service_threads_core(struct doca_flow_port_cfg *cfg, uint32_t core);
// Milliseconds, not 0. The age of a counter at a query, which is always exact here.
DOCA_EXPERIMENTAL
doca_error_t doca_flow_port_cfg_set_service_threads_cycle(struct doca_flow_port_cfg *cfg, uint32_t cycle_ms);

// IN_USE: another session has the port. ALREADY_EXIST: the id is taken, or the operation state is. NOT_FOUND: the
// device is gone. In switch mode a device's own port must start before its representors (BAD_STATE).
DOCA_EXPERIMENTAL
doca_error_t doca_flow_port_start(const struct doca_flow_port_cfg *cfg, struct doca_flow_port **port);
// Flushes its pipes. IN_USE: pipes of other ports forward to it, or it is a switch port with representors started.
DOCA_STABLE
doca_error_t doca_flow_port_stop(struct doca_flow_port *port);
// vnf mode: lets the two forward to each other. The pair has no order; repeating it is harmless.
DOCA_EXPERIMENTAL
doca_error_t doca_flow_port_pair(struct doca_flow_port *port, struct doca_flow_port *pair_port);
DOCA_STABLE
uint8_t *doca_flow_port_priv_data(struct doca_flow_port *port);
// The switch port that a port hangs on, where all pipes of switch mode are made; NULL gives the first one started.
// NULL if there is none.
DOCA_STABLE
struct doca_flow_port *doca_flow_port_switch_get(const struct doca_flow_port *port);
// A port is ACTIVE; that state is a success, others are NOT_SUPPORTED.
DOCA_EXPERIMENTAL
doca_error_t doca_flow_port_operation_state_modify(
	struct doca_flow_port *port, enum doca_flow_port_operation_state state);
// Where pipes without fwd_miss send what they miss. counter_en counts from the first call that asks for it.
DOCA_EXPERIMENTAL
doca_error_t doca_flow_port_update_default_miss(
	struct doca_flow_port *port, enum doca_flow_port_default_miss_type default_miss, bool counter_en);
DOCA_EXPERIMENTAL
doca_error_t doca_flow_port_query_default_miss(
	struct doca_flow_port *port, struct doca_flow_resource_query *data);
// Destroys all pipes of the port.
DOCA_STABLE
void doca_flow_port_pipes_flush(struct doca_flow_port *port);
// The source port that an encapsulation of this packet would use, in network order.
DOCA_EXPERIMENTAL
doca_error_t doca_flow_port_calc_entropy(
	struct doca_flow_port *port, struct doca_flow_entropy_format *header, uint16_t *entropy);

// === Shared resources =============================================================================================

// Reserved by count, configured by id, bound to a port, a pipe or (NULL) everything, then referred to by id.
// NOT_SUPPORTED: kind without support. NOT_FOUND, INVALID_VALUE: id beyond the reserve.
DOCA_EXPERIMENTAL
doca_error_t doca_flow_shared_resource_set_cfg(
	enum doca_flow_shared_resource_type type, uint32_t id, struct doca_flow_shared_resource_cfg *cfg);
DOCA_STABLE
doca_error_t doca_flow_shared_resources_bind(enum doca_flow_shared_resource_type type, uint32_t *res_array,
	uint32_t res_array_len, void *bindable_obj);
DOCA_EXPERIMENTAL
doca_error_t doca_flow_shared_resources_query(enum doca_flow_shared_resource_type type, uint32_t *res_array,
	struct doca_flow_resource_query *data_array, uint32_t array_len);

// The same per port, in port resource mode. get hands out a free id (EMPTY: none left), put takes it back.
DOCA_EXPERIMENTAL
doca_error_t doca_flow_port_shared_resource_get(
	struct doca_flow_port *port, enum doca_flow_shared_resource_type type, uint32_t *shared_resource_id);
DOCA_EXPERIMENTAL
doca_error_t doca_flow_port_shared_resource_put(
	struct doca_flow_port *port, enum doca_flow_shared_resource_type type, uint32_t shared_resource_id);
DOCA_EXPERIMENTAL
doca_error_t doca_flow_port_shared_resource_set_cfg(struct doca_flow_port *port,
	enum doca_flow_shared_resource_type type, uint32_t shared_resource_id,
	struct doca_flow_shared_resource_cfg *cfg);
DOCA_EXPERIMENTAL
doca_error_t doca_flow_port_shared_resources_query(struct doca_flow_port *port,
	enum doca_flow_shared_resource_type type, uint32_t *res_array,
	struct doca_flow_resource_query *data_array, uint32_t array_len);

// === Pipes [Pipe Creation] ========================================================================================

DOCA_STABLE
doca_error_t doca_flow_pipe_cfg_create(struct doca_flow_pipe_cfg **cfg, struct doca_flow_port *port);
DOCA_STABLE
doca_error_t doca_flow_pipe_cfg_destroy(struct doca_flow_pipe_cfg *cfg);
// Copied. match_mask NULL: the mask follows from the match (see doca_flow_match).
DOCA_STABLE
doca_error_t doca_flow_pipe_cfg_set_match(struct doca_flow_pipe_cfg *cfg, const struct doca_flow_match *match,
	const struct doca_flow_match *match_mask);
// Action templates, copied; entries pick one by index. At least one; masks and descriptors, or single elements of
// theirs, may be NULL.
DOCA_STABLE
doca_error_t doca_flow_pipe_cfg_set_actions(struct doca_flow_pipe_cfg *cfg,
	struct doca_flow_actions *const *actions, struct doca_flow_actions *const *actions_masks,
	struct doca_flow_action_descs *const *action_descs, size_t nr_actions);
DOCA_STABLE
doca_error_t doca_flow_pipe_cfg_set_monitor(
	struct doca_flow_pipe_cfg *cfg, const struct doca_flow_monitor *monitor);
DOCA_STABLE
doca_error_t doca_flow_pipe_cfg_set_ordered_lists(struct doca_flow_pipe_cfg *cfg,
	struct doca_flow_ordered_list *const *ordered_lists, size_t nr_ordered_lists);
DOCA_STABLE
doca_error_t doca_flow_pipe_cfg_set_name(struct doca_flow_pipe_cfg *cfg, const char *name);
DOCA_EXPERIMENTAL
doca_error_t doca_flow_pipe_cfg_set_label(struct doca_flow_pipe_cfg *cfg, const char *label);
DOCA_STABLE
doca_error_t doca_flow_pipe_cfg_set_type(struct doca_flow_pipe_cfg *cfg, enum doca_flow_pipe_type type);
// ALREADY_EXIST: it was set before.
DOCA_STABLE
doca_error_t doca_flow_pipe_cfg_set_domain(struct doca_flow_pipe_cfg *cfg, enum doca_flow_pipe_domain domain);
// Packets of the port start here; one per port and domain. For BASIC, CONTROL and HASH pipes.
DOCA_STABLE
doca_error_t doca_flow_pipe_cfg_set_is_root(struct doca_flow_pipe_cfg *cfg, bool is_root);
// Most entries; default 8192. FULL beyond.
DOCA_STABLE
doca_error_t doca_flow_pipe_cfg_set_nr_entries(struct doca_flow_pipe_cfg *cfg, uint32_t nr_entries);
DOCA_STABLE
doca_error_t doca_flow_pipe_cfg_set_is_resizable(struct doca_flow_pipe_cfg *cfg, bool is_resizable);
DOCA_EXPERIMENTAL
doca_error_t doca_flow_pipe_cfg_set_excluded_queue(struct doca_flow_pipe_cfg *cfg, uint16_t pipe_queue);
// Takes one counter of the reserve.
DOCA_EXPERIMENTAL
doca_error_t doca_flow_pipe_cfg_set_miss_counter(struct doca_flow_pipe_cfg *cfg, bool miss_counter);
// Per cent of nr_entries, 1 to 100, at which CONGESTION_REACHED is reported.
DOCA_STABLE
doca_error_t doca_flow_pipe_cfg_set_congestion_level_threshold(
	struct doca_flow_pipe_cfg *cfg, uint8_t congestion_level_threshold);
DOCA_STABLE
doca_error_t doca_flow_pipe_cfg_set_user_ctx(struct doca_flow_pipe_cfg *cfg, void *user_ctx);
// Or of enum doca_flow_pipe_hash_map_algorithm; hash pipes only.
DOCA_EXPERIMENTAL
doca_error_t doca_flow_pipe_cfg_set_hash_map_algorithm(
	struct doca_flow_pipe_cfg *cfg, uint32_t algorithm_flags);

// All checks of a pipe's template happen here. fwd_miss: PIPE, DROP or TARGET; NULL = the port's default miss.
// NOT_SUPPORTED: type or feature without support. TOO_BIG: more than a pipe can hold. NO_MEMORY: no counter left.
// ALREADY_EXIST: the port has a root pipe in this domain.
DOCA_STABLE
doca_error_t doca_flow_pipe_create(const struct doca_flow_pipe_cfg *cfg, const struct doca_flow_fwd *fwd,
	const struct doca_flow_fwd *fwd_miss, struct doca_flow_pipe **pipe);
// With its entries. Their callbacks are not called. A pipe that others forward to stays as it is: the refusal is logged,
// and doca_flow_ringfield_last_error() is it (IN_USE).
DOCA_STABLE
void doca_flow_pipe_destroy(struct doca_flow_pipe *pipe);
// Exchanges fwd_miss while packets pass; each packet sees the old or the new one.
DOCA_STABLE
doca_error_t doca_flow_pipe_update_miss(struct doca_flow_pipe *pipe, const struct doca_flow_fwd *fwd_miss);
// Next power of two, then doubling. Complete when RESIZED was called back, for which every queue must be processed.
DOCA_STABLE
doca_error_t doca_flow_pipe_resize(struct doca_flow_pipe *pipe, uint8_t new_congestion_level,
	doca_flow_pipe_resize_nr_entries_changed_cb nr_entries_changed_cb,
	doca_flow_pipe_resize_entry_relocate_cb entry_relocation_cb);
// The hash that the fast path would compute for a packet with these values.
DOCA_STABLE
doca_error_t doca_flow_pipe_calc_hash(
	struct doca_flow_pipe *pipe, const struct doca_flow_match *match, uint32_t *hash);
// The template as text, without entries.
DOCA_EXPERIMENTAL
void doca_flow_pipe_dump(struct doca_flow_pipe *pipe, FILE *f);

// === Entries [Adding Pipe Entries] ================================================================================

// Posting calls: on success the entry's status is IN_PROCESS until the result was taken by entries_process(). The
// values that the pipe declared changeable are read from the arguments, all others are ignored. usr_ctx is given to
// every callback of the entry. AGAIN: the queue is full, process it and repeat. FULL: the pipe has no room.
// NO_MEMORY: counters, meters or actions memory used up. Equal keys in one pipe are an ERROR status.
// monitor NULL: what the pipe's monitor has; if the pipe has none there is no counter, and queries give zero. fwd NULL: the
// pipe's.
DOCA_EXPERIMENTAL
doca_error_t doca_flow_pipe_basic_add_entry(uint16_t pipe_queue, struct doca_flow_pipe *pipe,
	const struct doca_flow_match *match, uint8_t action_idx, const struct doca_flow_actions *actions,
	const struct doca_flow_monitor *monitor, const struct doca_flow_fwd *fwd, uint32_t flags,
	void *usr_ctx, struct doca_flow_pipe_entry **entry);
// In place: a packet sees the old or the new entry. The match stays.
DOCA_EXPERIMENTAL
doca_error_t doca_flow_pipe_basic_update_entry(uint16_t pipe_queue, struct doca_flow_pipe *pipe,
	uint8_t action_idx, const struct doca_flow_actions *actions, const struct doca_flow_monitor *monitor,
	const struct doca_flow_fwd *fwd, uint32_t flags, struct doca_flow_pipe_entry *entry);
// Each entry brings everything with it. Priority 0 (first) to 7. Takes no flags and is immediate: it is in force when the
// call returns, its callback (ADD) comes inside the call, neither the queue's depth nor entries_process() counts it; what
// fails is the call's error, without a callback. Removing one is an operation like any other.
DOCA_EXPERIMENTAL
doca_error_t doca_flow_pipe_control_add_entry(uint16_t pipe_queue, struct doca_flow_pipe *pipe,
	const struct doca_flow_match *match, const struct doca_flow_match *match_mask,
	const struct doca_flow_match_condition *condition, const struct doca_flow_actions *actions,
	const struct doca_flow_actions *actions_mask, const struct doca_flow_action_descs *action_descs,
	const struct doca_flow_monitor *monitor, uint32_t priority, const struct doca_flow_fwd *fwd,
	void *usr_ctx, struct doca_flow_pipe_entry **entry);
// match_mask holds the prefix of the address; a mask of zero is the default route.
DOCA_EXPERIMENTAL
doca_error_t doca_flow_pipe_lpm_add_entry(uint16_t pipe_queue, struct doca_flow_pipe *pipe,
	const struct doca_flow_match *match, const struct doca_flow_match *match_mask, uint8_t action_idx,
	const struct doca_flow_actions *actions, const struct doca_flow_monitor *monitor,
	const struct doca_flow_fwd *fwd, uint32_t flags, void *usr_ctx, struct doca_flow_pipe_entry **entry);
DOCA_EXPERIMENTAL
doca_error_t doca_flow_pipe_lpm_update_entry(uint16_t pipe_queue, struct doca_flow_pipe *pipe,
	uint8_t action_idx, const struct doca_flow_actions *actions, const struct doca_flow_monitor *monitor,
	const struct doca_flow_fwd *fwd, uint32_t flags, struct doca_flow_pipe_entry *entry);
// Priority 0 (first) to 1024. In match_mask, addresses have bit masks; a port has its range's upper end: equal to
// the value = that port, 0 = any, above = value to mask.
DOCA_EXPERIMENTAL
doca_error_t doca_flow_pipe_acl_add_entry(uint16_t pipe_queue, struct doca_flow_pipe *pipe,
	const struct doca_flow_match *match, const struct doca_flow_match *match_mask, uint8_t action_idx,
	const struct doca_flow_actions *actions, const uint32_t priority, const struct doca_flow_fwd *fwd,
	uint32_t flags, void *usr_ctx, struct doca_flow_pipe_entry **entry);
DOCA_EXPERIMENTAL
doca_error_t doca_flow_pipe_acl_update_entry(uint16_t pipe_queue, struct doca_flow_pipe *pipe,
	uint8_t action_idx, const struct doca_flow_actions *actions, const struct doca_flow_fwd *fwd,
	uint32_t flags, struct doca_flow_pipe_entry *entry);
// idx is what FWD_ORDERED_LIST_PIPE names; unique in the pipe.
DOCA_EXPERIMENTAL
doca_error_t doca_flow_pipe_ordered_list_add_entry(uint16_t pipe_queue, struct doca_flow_pipe *pipe,
	uint32_t idx, const struct doca_flow_ordered_list *ordered_list, const struct doca_flow_fwd *fwd,
	uint32_t flags, void *user_ctx, struct doca_flow_pipe_entry **entry);
// entry_index is the hash value, modulo the number of entries, that selects the entry.
DOCA_EXPERIMENTAL
doca_error_t doca_flow_pipe_hash_add_entry(uint16_t pipe_queue, struct doca_flow_pipe *pipe,
	uint32_t entry_index, uint8_t action_idx, const struct doca_flow_actions *actions,
	const struct doca_flow_monitor *monitor, const struct doca_flow_fwd *fwd, uint32_t flags,
	void *usr_ctx, struct doca_flow_pipe_entry **entry);
// Of every type but CT. The entry is invalid once its DEL callback returned.
DOCA_STABLE
doca_error_t doca_flow_pipe_remove_entry(
	uint16_t pipe_queue, uint32_t flags, struct doca_flow_pipe_entry *entry);

// Publishes what is buffered, then takes results and calls back, up to max_processed_entries (0: no limit) or for
// timeout microseconds (0: looks once). NOT_CONNECTED: the fast path broke off; what is in flight stays IN_PROCESS.
DOCA_STABLE
doca_error_t doca_flow_entries_process(
	struct doca_flow_port *port, uint16_t pipe_queue, uint64_t timeout, uint32_t max_processed_entries);
DOCA_STABLE
enum doca_flow_entry_status doca_flow_pipe_entry_get_status(struct doca_flow_pipe_entry *entry);
// Calls back AGED for entries whose time is up: > 0 their number, 0 none this time, -1 the round is complete. quota
// in microseconds; 0 = no limit, for both.
DOCA_STABLE
int doca_flow_aging_handle(struct doca_flow_port *port, uint16_t queue, uint64_t quota, uint64_t max_entries);

// Exact at the time of the call. An entry without a counter: zero. A pipe that was created without miss counter:
// INVALID_VALUE, for that is not something an entry may bring later.
DOCA_STABLE
doca_error_t doca_flow_resource_query_entry(
	struct doca_flow_pipe_entry *entry, struct doca_flow_resource_query *data);
DOCA_STABLE
doca_error_t doca_flow_resource_query_pipe_miss(
	struct doca_flow_pipe *pipe, struct doca_flow_resource_query *data);

// === Helpers ======================================================================================================

DOCA_EXPERIMENTAL
doca_error_t doca_flow_get_target(enum doca_flow_target_type type, struct doca_flow_target **target);
// Arguments in host order, header in network order: label 20 bits, traffic class 3 bits.
DOCA_EXPERIMENTAL
doca_error_t doca_flow_mpls_label_encode(uint32_t label, uint8_t traffic_class, uint8_t ttl,
	bool bottom_of_stack, struct doca_flow_header_mpls *mpls);
DOCA_EXPERIMENTAL
doca_error_t doca_flow_mpls_label_decode(const struct doca_flow_header_mpls *mpls, uint32_t *label,
	uint8_t *traffic_class, uint8_t *ttl, bool *bottom_of_stack);
// GENEVE options must be announced before a pipe matches them; once per port. ALREADY_EXIST, IN_USE.
DOCA_EXPERIMENTAL
doca_error_t doca_flow_parser_geneve_opt_create(const struct doca_flow_port *port,
	const struct doca_flow_parser_geneve_opt_cfg tlv_list[], uint8_t nb_options,
	struct doca_flow_parser **parser);
DOCA_EXPERIMENTAL
doca_error_t doca_flow_parser_geneve_opt_destroy(struct doca_flow_parser *parser);

#ifdef __cplusplus
}
#endif

#endif // DOCA_FLOW_H_
