// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

// Crypto objects of DOCA Flow: IPsec security associations and PSP keys. Ringfield has the types, so that programs
// compile; the calls return NOT_SUPPORTED.

#ifndef DOCA_FLOW_CRYPTO_H_
#define DOCA_FLOW_CRYPTO_H_

#ifndef RINGFIELD_CDEF
#include <stdint.h>
#endif

#include <doca_compat.h>
#include <doca_error.h>

#ifdef __cplusplus
extern "C" {
#endif

struct doca_flow_port;
struct doca_flow_crypto_psp_spi_key_bulk; // an array of (SPI, key)

enum doca_flow_crypto_resource_type {
	DOCA_FLOW_CRYPTO_RESOURCE_NONE = 0,
	DOCA_FLOW_CRYPTO_RESOURCE_IPSEC_SA,
	DOCA_FLOW_CRYPTO_RESOURCE_PSP,
};

enum doca_flow_crypto_action_type {
	DOCA_FLOW_CRYPTO_ACTION_NONE = 0,
	DOCA_FLOW_CRYPTO_ACTION_ENCRYPT,
	DOCA_FLOW_CRYPTO_ACTION_DECRYPT,
};

enum doca_flow_crypto_encap_action_type {
	DOCA_FLOW_CRYPTO_REFORMAT_NONE = 0,
	DOCA_FLOW_CRYPTO_REFORMAT_ENCAP,
	DOCA_FLOW_CRYPTO_REFORMAT_DECAP,
};

// What is put in front of, or taken from, the protected packet.
enum doca_flow_crypto_encap_net_type {
	DOCA_FLOW_CRYPTO_HEADER_NONE = 0,
	DOCA_FLOW_CRYPTO_HEADER_ESP_TUNNEL,
	DOCA_FLOW_CRYPTO_HEADER_ESP_OVER_IPV4,
	DOCA_FLOW_CRYPTO_HEADER_ESP_OVER_IPV6,
	DOCA_FLOW_CRYPTO_HEADER_UDP_ESP_OVER_IPV4,
	DOCA_FLOW_CRYPTO_HEADER_UDP_ESP_OVER_IPV6,
	DOCA_FLOW_CRYPTO_HEADER_ESP_OVER_LAN,
	DOCA_FLOW_CRYPTO_HEADER_PSP_TUNNEL,
	DOCA_FLOW_CRYPTO_HEADER_PSP_OVER_IPV4,
	DOCA_FLOW_CRYPTO_HEADER_PSP_OVER_IPV6,
	DOCA_FLOW_CRYPTO_HEADER_NON_ESP_MARKER,
};

enum doca_flow_crypto_key_type {
	DOCA_FLOW_CRYPTO_KEY_128,
	DOCA_FLOW_CRYPTO_KEY_256,
};

// Integrity check value, in bytes.
enum doca_flow_crypto_icv_len {
	DOCA_FLOW_CRYPTO_ICV_LENGTH_8,
	DOCA_FLOW_CRYPTO_ICV_LENGTH_12,
	DOCA_FLOW_CRYPTO_ICV_LENGTH_16,
};

// Anti-replay window, in packets.
enum doca_flow_crypto_replay_win_size {
	DOCA_FLOW_CRYPTO_REPLAY_WIN_SIZE_32,
	DOCA_FLOW_CRYPTO_REPLAY_WIN_SIZE_64,
	DOCA_FLOW_CRYPTO_REPLAY_WIN_SIZE_128,
	DOCA_FLOW_CRYPTO_REPLAY_WIN_SIZE_256,
};

enum doca_flow_crypto_sn_offload_type {
	DOCA_FLOW_CRYPTO_SN_OFFLOAD_INC, // encryption: count the sequence number
	DOCA_FLOW_CRYPTO_SN_OFFLOAD_AR,  // decryption: anti-replay
};

struct doca_flow_crypto_key_cfg {
	enum doca_flow_crypto_key_type key_type;
	uint32_t *key; // 16 or 32 bytes, network order
};

// --- PSP keys. Errors: INVALID_VALUE, NO_MEMORY, NOT_SUPPORTED.
DOCA_EXPERIMENTAL
doca_error_t doca_flow_crypto_psp_master_key_rotate(struct doca_flow_port *port);
DOCA_EXPERIMENTAL
doca_error_t doca_flow_crypto_psp_spi_key_bulk_alloc(struct doca_flow_port *port,
	enum doca_flow_crypto_key_type key_type, uint32_t nr_spi_keys,
	struct doca_flow_crypto_psp_spi_key_bulk **spi_key_bulk);
DOCA_EXPERIMENTAL
doca_error_t doca_flow_crypto_psp_spi_key_bulk_generate(
	struct doca_flow_crypto_psp_spi_key_bulk *spi_key_bulk);
DOCA_EXPERIMENTAL
doca_error_t doca_flow_crypto_psp_spi_key_bulk_get(struct doca_flow_crypto_psp_spi_key_bulk *spi_key_bulk,
	uint32_t spi_key_idx, uint32_t *spi, uint32_t *key);
DOCA_EXPERIMENTAL
doca_error_t doca_flow_crypto_psp_spi_key_wipe(
	struct doca_flow_crypto_psp_spi_key_bulk *spi_key_bulk, uint32_t spi_key_idx);
DOCA_EXPERIMENTAL
doca_error_t doca_flow_crypto_psp_spi_key_bulk_clear(struct doca_flow_crypto_psp_spi_key_bulk *spi_key_bulk);
DOCA_EXPERIMENTAL
doca_error_t doca_flow_crypto_psp_spi_key_bulk_free(struct doca_flow_crypto_psp_spi_key_bulk *spi_key_bulk);

// --- IPsec. The handle call returns the number of associations served, 0 for none, -1 when the round is complete;
// quota is in microseconds, 0 meaning no limit.
DOCA_EXPERIMENTAL
int doca_flow_crypto_ipsec_resource_handle(
	struct doca_flow_port *port, uint64_t quota, uint32_t max_processed_resources);
DOCA_EXPERIMENTAL
doca_error_t doca_flow_crypto_ipsec_update_sn(uint32_t shared_res_id, uint64_t sequence_number);
DOCA_EXPERIMENTAL
doca_error_t doca_flow_port_crypto_ipsec_update_sn(
	struct doca_flow_port *port, uint32_t shared_res_id, uint64_t sequence_number);

#ifdef __cplusplus
}
#endif

#endif // DOCA_FLOW_CRYPTO_H_
