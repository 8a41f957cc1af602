// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// What ICMP errors quote, and which of them are believed.

#include <stdlib.h>
#include <string.h>

#include "ct.h"
#include "frames.h"
#include "parse.h"
#include "tap.h"

static uint8_t frame[2048];
static struct packet packet;
static struct ct_tuple quoted;

// An error of `type` from 10.0.0.9 to `to`, quoting `bytes` bytes behind the IP header at frame + 42.
static uint32_t error4(unsigned int type, uint32_t to, uint32_t bytes)
{
	put_eth(frame, 0x0800);
	put_ip4(frame + 14, 0x0a000009, to, 1, 8 + bytes);
	memset(frame + 34, 0, 8);
	frame[34] = (uint8_t)type;
	l4_fill(frame + 14, frame + 34, 1, 8 + bytes);
	return 42 + bytes;
}

static bool quotes(uint32_t bytes)
{
	uint8_t *copy = malloc(bytes); // exact, for the sanitizer
	bool is;

	memcpy(copy, frame, bytes);
	packet_init(&packet);
	packet_load(&packet, copy, bytes, bytes);
	is = !packet_parse(&packet) && icmp_error_quotes(&packet, 0, &quoted);
	free(copy);
	return is;
}

static uint32_t tcp4(unsigned int type, uint32_t to)
{
	put_ip4(frame + 42, 0x0a000001, 0x0a000002, 6, 40);
	put_tcp(frame + 42, frame + 62, 1234, 80, 20);
	return error4(type, to, 28);
}

static bool names(uint8_t protocol, unsigned int src, unsigned int dst)
{
	return quoted.protocol == protocol && get16((uint8_t *)&quoted.src_port) == src &&
	       get16((uint8_t *)&quoted.dst_port) == dst;
}

static void test_ip4(void)
{
	static const uint8_t errors[] = {3, 4, 5, 11, 12};
	uint32_t bytes;

	for (unsigned int i = 0; i < sizeof(errors); i++)
		ok(quotes(tcp4(errors[i], 0x0a000001)) && names(6, 1234, 80) && quoted.version == 4 &&
				!memcmp(quoted.src, "\x0a\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0", 16) &&
				!memcmp(quoted.dst, "\x0a\0\0\2\0\0\0\0\0\0\0\0\0\0\0\0", 16),
			"error %u", errors[i]);
	ok(!quotes(tcp4(8, 0x0a000001)), "a query is no error");
	ok(!quotes(tcp4(3, 0x0a000003)), "not to somebody else");
	bytes = tcp4(3, 0x0a000001);
	frame[36]++;
	ok(!quotes(bytes), "not with a wrong checksum");
	put_ip4(frame + 42, 0x0a000001, 0x0a000002, 6, 40);
	put16(frame + 48, 7);
	ok(!quotes(error4(3, 0x0a000001, 28)), "not about a later fragment");
	tcp4(3, 0x0a000001);
	for (unsigned int left = 0; left < 28; left++)
		if (quotes(error4(3, 0x0a000001, left)))
			ok(false, "%u bytes are enough", left);
	bytes = tcp4(3, 0x0a000001);
	put16(frame + 20, 0x2000);
	ip4_checksum(frame + 14);
	ok(!quotes(bytes), "not in fragments");
	put_ip4(frame + 42, 0x0a000001, 0x0a000002, 17, 30);
	put_udp(frame + 42, frame + 62, 5353, 53, 22);
	ok(quotes(error4(3, 0x0a000001, 28)) && names(17, 5353, 53), "UDP");
	put_ip4(frame + 42, 0x0a000001, 0x0a000002, 1, 8);
	memcpy(frame + 62, "\x08\0\0\0\x12\x34\0\1", 8);
	ok(quotes(error4(3, 0x0a000001, 28)) && names(1, 0x1234, 0x1234) && quoted.icmp_type == 8, "an echo");
	put_ip4(frame + 42, 0x0a000001, 0x0a000002, 47, 8);
	ok(quotes(error4(3, 0x0a000001, 20)) && names(47, 0, 0), "GRE needs no ports");
	frame[42] = 0x4f; // options
	memset(frame + 62, 0, 40);
	frame[51] = 17;
	put_udp(frame + 42, frame + 102, 1, 2, 0);
	ok(quotes(error4(3, 0x0a000001, 68)) && names(17, 1, 2), "behind options");
	ok(!quotes(error4(3, 0x0a000001, 62)), "options that are cut off");
}

static uint32_t error6(unsigned int type, uint8_t to, uint32_t bytes)
{
	put_eth(frame, 0x86dd);
	put_ip6(frame + 14, 9, to, 58, 8 + bytes);
	memset(frame + 54, 0, 8);
	frame[54] = (uint8_t)type;
	l4_fill(frame + 14, frame + 54, 58, 8 + bytes);
	return 62 + bytes;
}

static void test_ip6(void)
{
	put_ip6(frame + 62, 1, 2, 6, 40);
	put_tcp(frame + 62, frame + 102, 1234, 80, 20);
	for (unsigned int type = 1; type <= 4; type++)
		ok(quotes(error6(type, 1, 60)) && names(6, 1234, 80) && quoted.version == 6 &&
				quoted.src[15] == 1 && quoted.dst[15] == 2,
			"ICMPv6 error %u", type);
	ok(!quotes(error6(129, 1, 60)), "a reply is none");
	ok(!quotes(error6(1, 3, 60)), "not to somebody else");
	for (unsigned int left = 0; left < 48; left++)
		if (quotes(error6(1, 1, left)))
			ok(false, "%u bytes are enough", left);
	// Hop-by-hop options, then a first fragment.
	put_ip6(frame + 62, 1, 2, 0, 24);
	memset(frame + 102, 0, 16);
	frame[102] = 44;
	frame[110] = 17;
	put_udp(frame + 62, frame + 118, 7, 9, 0);
	ok(quotes(error6(1, 1, 64)) && names(17, 7, 9), "behind extension headers");
	frame[113] = 8;
	ok(!quotes(error6(1, 1, 64)), "not about a later fragment");
	frame[113] = 0;
	ok(!quotes(error6(1, 1, 50)), "extension headers that are cut off");
	memset(frame + 102, 0, 600);
	ok(!quotes(error6(1, 1, 300)), "no end of extension headers");
}

int main(void)
{
	test_ip4();
	test_ip6();
	return tap_done();
}
