// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// The socket that clients come to, and who is let in.

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "notice.h"
#include "session.h"

static struct source listen_source;
static int listen_fd = -1, spare_fd = -1;
static struct sockaddr_un address;
static unsigned int max_clients;

// Without a free descriptor the waiting connection would keep us awake for ever: take it with the spare one, drop it.
static void turn_away(void)
{
	int fd;

	close(spare_fd);
	fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd >= 0)
		close(fd);
	spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	notice("no descriptor is free for another client");
}

static void refuse_client(int fd, int status, const char *why)
{
	struct {
		struct steer_msg head;
		char text[CONFIG_WHY_MAX];
	} reply = {
		.head = {.op = STEER_OP_HELLO, .seq = 1, .status = status, .length = (uint32_t)strlen(why)}};

	memcpy(reply.text, why, reply.head.length);
	send(fd, &reply, sizeof(reply.head) + reply.head.length, MSG_DONTWAIT | MSG_NOSIGNAL);
	close(fd);
}

static void listen_ready(struct source *source, uint32_t events)
{
	int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct ucred peer;
	socklen_t bytes = sizeof(peer);

	if (fd < 0) {
		if (errno == EMFILE || errno == ENFILE)
			turn_away();
		return;
	}
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) || (peer.uid != geteuid() && peer.uid)) {
		refuse_client(fd, -EACCES, "the fast path serves its own user and root only");
		return;
	}
	if (sessions_connected() >= max_clients) {
		refuse_client(
			fd, -EMFILE, "the fast path has as many clients as it serves at once (max_clients)");
		return;
	}
	session_add(fd, peer.pid);
}

const char *sessions_path(void)
{
	return address.sun_path;
}

int sessions_open(const char *runtime_dir, unsigned int most, char why[CONFIG_WHY_MAX])
{
	mode_t mask;
	int status = 0;

	max_clients = most;
	address.sun_family = AF_UNIX;
	snprintf(address.sun_path, sizeof(address.sun_path), "%.90s/steering.sock", runtime_dir);
	listen_source.ready = listen_ready;
	spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	// We hold the directory's lock: a socket that is there is left over from a fast path that was killed.
	unlink(address.sun_path);
	mask = umask(0177);
	if (listen_fd < 0 || bind(listen_fd, (struct sockaddr *)&address, sizeof(address)) ||
		listen(listen_fd, 64))
		status = -errno;
	umask(mask);
	if (!status)
		status = control_watch(&listen_source, listen_fd, EPOLLIN);
	if (status)
		snprintf(why, CONFIG_WHY_MAX, "cannot listen at %s: %s", address.sun_path, strerror(-status));
	return status;
}

void sessions_close(void)
{
	sessions_end();
	if (listen_fd >= 0) {
		close(listen_fd);
		unlink(address.sun_path);
	}
	if (spare_fd >= 0)
		close(spare_fd);
	listen_fd = spare_fd = -1;
}
