// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

#include "neighbours.h"

#include <linux/neighbour.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	ANSWER_BYTES = 32768,     // more than the kernel puts into one datagram of a dump
	KEPT_BYTES = 1024 * 1024, // some ten thousand neighbours
	WAIT_S = 1,               // for an answer of the kernel's, which comes at once
};

struct neighbours {
	int netlink; // in the interface's namespace
	size_t used, room;
	uint8_t *messages; // RTM_NEWNEIGH, as the kernel tells them, one behind the other
};

static bool ask(int netlink)
{
	struct {
		struct nlmsghdr head;
		struct ndmsg body;
	} request = {
		.head = {.nlmsg_len = sizeof(request),
			.nlmsg_type = RTM_GETNEIGH,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
	};

	return send(netlink, &request, sizeof(request), 0) == sizeof(request);
}

static void keep(struct neighbours *kept, const struct nlmsghdr *message)
{
	size_t bytes = NLMSG_ALIGN(message->nlmsg_len);

	if (kept->used + bytes > kept->room) {
		size_t room = kept->room ? 2 * kept->room : 4096;
		uint8_t *more =
			room <= KEPT_BYTES && bytes <= room / 2 ? realloc(kept->messages, room) : NULL;

		if (!more)
			return;
		kept->messages = more;
		kept->room = room;
	}
	memset(kept->messages + kept->used, 0, bytes);
	memcpy(kept->messages + kept->used, message, message->nlmsg_len);
	kept->used += bytes;
}

// Reads the answer to its end, keeps what is static at the interface.
static void learn(struct neighbours *kept, int interface)
{
	_Alignas(struct nlmsghdr) static uint8_t answer[ANSWER_BYTES]; // of the control thread alone
	ssize_t got;

	while ((got = recv(kept->netlink, answer, sizeof(answer), 0)) > 0) {
		unsigned int left = (unsigned int)got;

		for (struct nlmsghdr *one = (struct nlmsghdr *)answer; NLMSG_OK(one, left);
			one = NLMSG_NEXT(one, left)) {
			const struct ndmsg *neighbour = NLMSG_DATA(one);

			if (one->nlmsg_type == NLMSG_DONE || one->nlmsg_type == NLMSG_ERROR)
				return;
			if (one->nlmsg_type == RTM_NEWNEIGH &&
				one->nlmsg_len >= NLMSG_LENGTH(sizeof(*neighbour)) &&
				neighbour->ndm_ifindex == interface && neighbour->ndm_state & NUD_PERMANENT)
				keep(kept, one);
		}
	}
}

static void drop(struct neighbours *kept)
{
	close(kept->netlink);
	free(kept->messages);
	free(kept);
}

struct neighbours *neighbours_keep(const char *interface)
{
	struct neighbours *kept = calloc(1, sizeof(*kept));
	struct timeval wait = {.tv_sec = WAIT_S};
	unsigned int index = if_nametoindex(interface);

	if (!kept || !index) {
		free(kept);
		return NULL;
	}
	kept->netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (kept->netlink < 0) {
		free(kept);
		return NULL;
	}
	setsockopt(kept->netlink, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	if (ask(kept->netlink))
		learn(kept, (int)index);
	if (!kept->used) {
		drop(kept);
		return NULL;
	}
	return kept;
}

void neighbours_restore(struct neighbours *kept)
{
	if (!kept)
		return;
	for (size_t at = 0; at < kept->used;) {
		struct nlmsghdr *message = (struct nlmsghdr *)(kept->messages + at);

		at += NLMSG_ALIGN(message->nlmsg_len);
		// A packet that was sent meanwhile has left one that waits for an answer: it gives way.
		message->nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE | NLM_F_REPLACE;
		message->nlmsg_seq = message->nlmsg_pid = 0;
		send(kept->netlink, message, message->nlmsg_len, 0);
	}
	drop(kept);
}
