// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Frames for tests, with right checksums; computed here from the RFCs, sharing nothing with the code under test.
#pragma once

#include <stdint.h>
#include <string.h>

static inline void put16(uint8_t *at, unsigned int value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static inline void put32(uint8_t *at, uint32_t value)
{
	put16(at, value >> 16);
	put16(at + 2, value & 0xffff);
}

static inline unsigned int get16(const uint8_t *at)
{
	return (unsigned int)(at[0] << 8 | at[1]);
}

static inline uint32_t get32(const uint8_t *at)
{
	return (uint32_t)get16(at) << 16 | get16(at + 2);
}

static inline uint32_t plain_sum(uint32_t sum, const uint8_t *data, uint32_t bytes)
{
	for (uint32_t i = 0; i < bytes; i++)
		sum += i & 1 ? data[i] : (uint32_t)data[i] << 8;
	return sum;
}

static inline unsigned int plain_fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static inline uint32_t put_eth(uint8_t *f, unsigned int type)
{
	static const uint8_t macs[12] = {0x02, 0, 0, 0, 0, 1, 0x02, 0, 0, 0, 0, 2};

	memcpy(f, macs, 12);
	put16(f + 12, type);
	return 14;
}

static inline void ip4_checksum(uint8_t *ip)
{
	put16(ip + 10, 0);
	put16(ip + 10, 0xffff & ~plain_fold(plain_sum(0, ip, (ip[0] & 15u) * 4)));
}

static inline uint32_t put_ip4(uint8_t *ip, uint32_t src, uint32_t dst, unsigned int proto, uint32_t payload)
{
	memset(ip, 0, 20);
	ip[0] = 0x45;
	put16(ip + 2, 20 + payload);
	put16(ip + 4, 0x1234);
	ip[8] = 64;
	ip[9] = (uint8_t)proto;
	put32(ip + 12, src);
	put32(ip + 16, dst);
	ip4_checksum(ip);
	return 20;
}

static inline uint32_t put_ip6(uint8_t *ip, uint8_t src, uint8_t dst, unsigned int proto, uint32_t payload)
{
	memset(ip, 0, 40);
	ip[0] = 0x60;
	put16(ip + 4, payload);
	ip[6] = (uint8_t)proto;
	ip[7] = 64;
	ip[8] = 0x20;
	ip[9] = 0x01;
	ip[23] = src;
	ip[24] = 0x20;
	ip[25] = 0x01;
	ip[39] = dst;
	return 40;
}

// Fills in (or verifies, when the field is left as it is) an L4 checksum. Returns the folded sum: 0xffff = right.
static inline unsigned int l4_sum(const uint8_t *ip, const uint8_t *l4, unsigned int proto, uint32_t bytes)
{
	uint32_t sum = 0;

	if (proto != 1) {
		if (ip[0] >> 4 == 4)
			sum = plain_sum(sum, ip + 12, 8);
		else
			sum = plain_sum(sum, ip + 8, 32);
		sum += proto + bytes;
	}
	return plain_fold(plain_sum(sum, l4, bytes));
}

static inline void l4_fill(const uint8_t *ip, uint8_t *l4, unsigned int proto, uint32_t bytes)
{
	unsigned int at = proto == 6 ? 16 : proto == 17 ? 6 : 2, sum;

	put16(l4 + at, 0);
	sum = 0xffff & ~l4_sum(ip, l4, proto, bytes);
	put16(l4 + at, proto == 17 && !sum ? 0xffff : sum);
}

static inline void put_payload(uint8_t *at, uint32_t bytes)
{
	for (uint32_t i = 0; i < bytes; i++)
		at[i] = (uint8_t)(i * 7 + 3);
}

static inline uint32_t put_tcp(
	const uint8_t *ip, uint8_t *l4, unsigned int sport, unsigned int dport, uint32_t payload)
{
	memset(l4, 0, 20);
	put16(l4, sport);
	put16(l4 + 2, dport);
	put32(l4 + 4, 1000);
	l4[12] = 0x50;
	l4[13] = 0x10;
	put16(l4 + 14, 8192);
	put_payload(l4 + 20, payload);
	l4_fill(ip, l4, 6, 20 + payload);
	return 20 + payload;
}

static inline uint32_t put_udp(
	const uint8_t *ip, uint8_t *l4, unsigned int sport, unsigned int dport, uint32_t payload)
{
	put16(l4, sport);
	put16(l4 + 2, dport);
	put16(l4 + 4, 8 + payload);
	put_payload(l4 + 8, payload);
	l4_fill(ip, l4, 17, 8 + payload);
	return 8 + payload;
}

static inline uint32_t frame_tcp(
	uint8_t *f, uint32_t src, uint32_t dst, unsigned int sport, unsigned int dport, uint32_t payload)
{
	put_eth(f, 0x0800);
	put_ip4(f + 14, src, dst, 6, 20 + payload);
	return 34 + put_tcp(f + 14, f + 34, sport, dport, payload);
}

static inline uint32_t frame_udp(
	uint8_t *f, uint32_t src, uint32_t dst, unsigned int sport, unsigned int dport, uint32_t payload)
{
	put_eth(f, 0x0800);
	put_ip4(f + 14, src, dst, 17, 8 + payload);
	return 34 + put_udp(f + 14, f + 34, sport, dport, payload);
}

static inline uint32_t frame_tcp6(
	uint8_t *f, uint8_t src, uint8_t dst, unsigned int sport, unsigned int dport, uint32_t payload)
{
	put_eth(f, 0x86dd);
	put_ip6(f + 14, src, dst, 6, 20 + payload);
	return 54 + put_tcp(f + 14, f + 54, sport, dport, payload);
}
