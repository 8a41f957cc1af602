// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// net_tap: a port that is an interface of a network namespace.
//
// What DPDK 22.11 does, and what we make of it:
// - net_tap opens /dev/net/tun and its control sockets at probe, and more of them at queue set-up, always in the
//   namespace of the calling thread. So everything from probe to start, and the close, runs between tap_enter() and
//   tap_leave(), which move the control thread (only) into the port's namespace and back.
// - With "persist" the interface outlives the process, with addresses and routes; a second probe of the same name
//   attaches to it. mac= must then be fixed, since net_tap sets a new random one otherwise; it sets the same one anew,
//   at which Linux forgets the interface's neighbours, so that static ones are put back.
// - It asks for SIGRT signals on received packets to save system calls; main() ignores all of those signals before any
//   probe, on which net_tap gives up on them and reads at every poll: no EINTR, no signal per packet.
// - It offers as many tx as rx queues only.
// - Our descriptors keep a deleted namespace alive, invisibly. So its path is looked at from time to time: when it names
//   another namespace or nothing, or when the interface was deleted, the device is closed and looked for again.

#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/if_tun.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <rte_ethdev.h>

#include "control.h"
#include "neighbours.h"
#include "notice.h"
#include "port.h"

enum { NOTICES = 64 }; // read in one turn

struct tap_state {
	struct source source; // netlink: something about the links of the namespace
	char interface[IFNAMSIZ];
	char netns[128]; // path, empty: our own
	int netns_fd;    // -1: our own
	int home_fd;     // where tap_leave() goes back to
	struct stat netns_stat;
	int netlink;
	int query; // datagram socket in the namespace, for ioctl
};

static bool has_key(const char *arguments, const char *key)
{
	size_t length = strlen(key);

	for (const char *at = arguments; at && *at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
		if (!strncmp(at, key, length) && (at[length] == '=' || at[length] == ',' || !at[length]))
			return true;
	return false;
}

// The interface's name: from iface= of the arguments, else the port's.
static int choose_interface(struct port *port, struct tap_state *tap, char why[CONFIG_WHY_MAX])
{
	const char *given = strstr(port->spec.args, "iface=");
	const char *name = given ? given + strlen("iface=") : port->spec.name;
	size_t length = given ? strcspn(name, ",") : strlen(name);

	if (!length || length >= IFNAMSIZ || memchr(name, '/', length) || memchr(name, ':', length)) {
		snprintf(why, CONFIG_WHY_MAX,
			"port %s: \"%.64s\" cannot be the name of an interface (up to 15 characters); args = "
			"iface=NAME gives another",
			port->spec.name, name);
		return -EINVAL;
	}
	memcpy(tap->interface, name, length);
	tap->interface[length] = '\0';
	return 0;
}

// Locally administered, the same after every start: the port's and the namespace's name decide.
static void choose_mac(const struct port *port, const struct tap_state *tap, char text[18])
{
	uint64_t hash = 14695981039346656037ull;

	for (const char *part = port->spec.name; *part; part++)
		hash = (hash ^ (uint8_t)*part) * 1099511628211ull;
	for (const char *part = tap->netns; *part; part++)
		hash = (hash ^ (uint8_t)*part) * 1099511628211ull;
	snprintf(text, 18, "02:52:%02x:%02x:%02x:%02x", (unsigned int)(hash >> 56),
		(unsigned int)(hash >> 48 & 0xff), (unsigned int)(hash >> 40 & 0xff),
		(unsigned int)(hash >> 32 & 0xff));
}

static int open_netns(struct port *port, struct tap_state *tap, char why[CONFIG_WHY_MAX])
{
	if (!port->spec.netns[0])
		return 0;
	snprintf(tap->netns, sizeof(tap->netns), port->spec.netns[0] == '/' ? "%s" : "/run/netns/%s",
		port->spec.netns);
	tap->netns_fd = open(tap->netns, O_RDONLY | O_CLOEXEC);
	tap->home_fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (tap->netns_fd < 0 || tap->home_fd < 0 || fstat(tap->netns_fd, &tap->netns_stat)) {
		int status = -errno;

		snprintf(why, CONFIG_WHY_MAX, "port %s: there is no network namespace %s (%s: %s)",
			port->spec.name, port->spec.netns, tap->netns, strerror(-status));
		return status;
	}
	return 0;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void close_watch(struct tap_state *tap)
{
	if (tap->netlink >= 0)
		control_forget(&tap->source, tap->netlink);
	close_fd(&tap->netlink);
	close_fd(&tap->query);
}

static void free_state(struct port *port)
{
	struct tap_state *tap = port->state;

	if (!tap)
		return;
	close_watch(tap);
	close_fd(&tap->netns_fd);
	close_fd(&tap->home_fd);
	free(tap);
	port->state = NULL;
}

static int make_state(struct port *port, char why[CONFIG_WHY_MAX])
{
	struct tap_state *tap = calloc(1, sizeof(*tap));
	int status;

	if (!tap) {
		snprintf(why, CONFIG_WHY_MAX, "port %s: no memory", port->spec.name);
		return -ENOMEM;
	}
	tap->netns_fd = tap->home_fd = tap->netlink = tap->query = -1;
	port->state = tap;
	status = choose_interface(port, tap, why);
	if (!status)
		status = open_netns(port, tap, why);
	if (status)
		free_state(port);
	return status;
}

// Makes the state at its first call, which is the one before probe.
static int tap_enter(struct port *port, char why[CONFIG_WHY_MAX])
{
	bool made = !port->state;
	int status = made ? make_state(port, why) : 0;
	struct tap_state *tap = port->state;

	if (status)
		return status;
	if (tap->netns_fd >= 0 && setns(tap->netns_fd, CLONE_NEWNET)) {
		status = -errno;
		snprintf(why, CONFIG_WHY_MAX, "port %s: cannot enter the network namespace %s: %s%s",
			port->spec.name, port->spec.netns, strerror(-status),
			status == -EPERM ? " (needs root)" : "");
		// A device that is open is closed from where we are.
		if (made)
			free_state(port);
	}
	return status;
}

// Back home, after probe or close; the state is freed when the port has none of the device left.
static void go_home(int home_fd)
{
	if (home_fd >= 0 && setns(home_fd, CLONE_NEWNET)) {
		notice("cannot return to the network namespace of the start: %m");
		abort();
	}
}

static void tap_leave(struct port *port)
{
	struct tap_state *tap = port->state;

	if (tap)
		go_home(tap->home_fd);
}

// Makes or joins the interface by hand, for a moment, to learn why it does not go.
static int try_interface(struct port *port, const struct tap_state *tap, char why[CONFIG_WHY_MAX])
{
	struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_MULTI_QUEUE};
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC), error = 0;

	memcpy(request.ifr_name, tap->interface, sizeof(request.ifr_name));
	if (fd < 0) {
		error = errno;
		snprintf(why, CONFIG_WHY_MAX, "port %s: cannot open /dev/net/tun: %s%s", port->spec.name,
			strerror(error),
			error == EACCES || error == EPERM ? " (taps need root; net_ring ports do not)" : "");
	} else if (ioctl(fd, TUNSETIFF, &request)) {
		error = errno;
		if (error == EPERM)
			snprintf(why, CONFIG_WHY_MAX,
				"port %s: not permitted to make the interface %s (taps need root; net_ring "
				"ports do not)",
				port->spec.name, tap->interface);
		else
			snprintf(why, CONFIG_WHY_MAX, "port %s: cannot use the interface %s: %s",
				port->spec.name, tap->interface, strerror(error));
	}
	if (fd >= 0)
		close(fd);
	return -error;
}

// Whether somebody has the interface open. SIOCGIFFLAGS would tell of the past, up to a second ago.
static bool has_carrier(int query, const char *interface)
{
	struct ethtool_value value = {.cmd = ETHTOOL_GLINK};
	struct ifreq request = {.ifr_data = (void *)&value};

	memcpy(request.ifr_name, interface, sizeof(request.ifr_name));
	return !ioctl(query, SIOCETHTOOL, &request) && value.data;
}

// net_tap takes whatever interface has the name for its own, and fails late and at length: look first.
static int check_interface(struct port *port, const struct tap_state *tap, char why[CONFIG_WHY_MAX])
{
	struct ifreq request = {.ifr_flags = 0};
	int query = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), status = 0;
	bool there, used;

	memcpy(request.ifr_name, tap->interface, sizeof(request.ifr_name));
	there = query >= 0 && !ioctl(query, SIOCGIFFLAGS, &request);
	used = there && has_carrier(query, tap->interface);
	close(query);
	if (there && (!port->persist || used)) {
		snprintf(why, CONFIG_WHY_MAX, "port %s: the interface %s is there already%s", port->spec.name,
			tap->interface, used ? ", and in use" : "");
		status = port->persist ? -EBUSY : -EEXIST;
	} else if (there) {
		status = try_interface(port, tap, why);
	}
	return status;
}

static int tap_probe(struct port *port, char why[CONFIG_WHY_MAX])
{
	struct tap_state *tap = port->state;
	char arguments[512], mac[18];
	int status;

	port->persist |= has_key(port->spec.args, "persist");
	if (port->spec.mac[0])
		snprintf(mac, sizeof(mac), "%.17s", port->spec.mac);
	else
		choose_mac(port, tap, mac);
	snprintf(arguments, sizeof(arguments), "%s%s%s%s%s%s%s", port->spec.args,
		port->spec.args[0] ? "," : "", has_key(port->spec.args, "iface") ? "" : "iface=",
		has_key(port->spec.args, "iface") ? "" : tap->interface,
		has_key(port->spec.args, "mac") ? "" : (has_key(port->spec.args, "iface") ? "mac=" : ",mac="),
		has_key(port->spec.args, "mac") ? "" : mac,
		port->persist && !has_key(port->spec.args, "persist") ? ",persist" : "");
	status = check_interface(port, tap, why);
	if (!status) {
		struct neighbours *kept = neighbours_keep(tap->interface);

		status = port_probe_vdev(port, arguments, why);
		neighbours_restore(kept);
		if (status)
			try_interface(port, tap, why);
	}
	if (status) {
		int home_fd = tap->home_fd;

		tap->home_fd = -1;
		go_home(home_fd);
		close_fd(&home_fd);
		free_state(port);
		return status;
	}
	snprintf(port->detail, sizeof(port->detail), "%s%s%.40s", tap->interface,
		port->spec.netns[0] ? " in " : "",
		strrchr(port->spec.netns, '/') ? strrchr(port->spec.netns, '/') + 1 : port->spec.netns);
	return 0;
}

static void tap_remove(struct port *port)
{
	struct tap_state *tap = port->state;
	int home_fd = tap->home_fd;

	port_remove_vdev(port);
	tap->home_fd = -1;
	go_home(home_fd);
	close_fd(&home_fd);
	free_state(port);
}

// -- link -------------------------------------------------------------------------------------------------------

static bool netns_is_there(struct tap_state *tap)
{
	struct stat now;

	if (tap->netns_fd < 0)
		return true;
	return !stat(tap->netns, &now) && now.st_ino == tap->netns_stat.st_ino &&
	       now.st_dev == tap->netns_stat.st_dev;
}

static bool read_flags(struct tap_state *tap, struct ifreq *request)
{
	memset(request, 0, sizeof(*request));
	memcpy(request->ifr_name, tap->interface, sizeof(request->ifr_name));
	return tap->query >= 0 && !ioctl(tap->query, SIOCGIFFLAGS, request);
}

static bool tap_link(struct port *port)
{
	struct tap_state *tap = port->state;
	struct ifreq request;

	return netns_is_there(tap) && read_flags(tap, &request) && request.ifr_flags & IFF_UP &&
	       has_carrier(tap->query, tap->interface);
}

// The sockets that tell of the interface, in the namespace where we are.
static int open_watch(struct tap_state *tap)
{
	struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK};

	tap->query = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	tap->netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (tap->query < 0 || tap->netlink < 0 ||
		bind(tap->netlink, (struct sockaddr *)&address, sizeof(address)))
		return -errno;
	return control_watch(&tap->source, tap->netlink, EPOLLIN);
}

// An interface that is not where it was may have been renamed or moved to another namespace. False: it was deleted.
static bool follow(struct port *port, struct tap_state *tap)
{
	int fd = rte_eth_dev_rx_intr_ctl_q_get_fd(port->dev, 0), netns, home;
	struct ifreq request = {.ifr_flags = 0};

	if (fd < 0 || ioctl(fd, TUNGETIFF, &request))
		return false;
	memcpy(tap->interface, request.ifr_name, sizeof(tap->interface));
	netns = ioctl(fd, TUNGETDEVNETNS);
	home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (netns >= 0 && home >= 0 && !setns(netns, CLONE_NEWNET)) {
		close_watch(tap);
		open_watch(tap);
		go_home(home);
	}
	close_fd(&netns);
	close_fd(&home);
	return true;
}

static bool tap_lost(struct port *port)
{
	struct tap_state *tap = port->state;
	struct ifreq request;

	if (!netns_is_there(tap))
		return true;
	return !read_flags(tap, &request) && !follow(port, tap);
}

static void netlink_ready(struct source *source, uint32_t events)
{
	struct tap_state *tap = container_of(source, struct tap_state, source);
	char buffer[8192];

	// What it says does not matter, only that something changed; an overflow says so too. Who is root in the namespace can
	// make more as fast as it is read: the rest comes at the next turn.
	for (unsigned int i = 0; i < NOTICES && recv(tap->netlink, buffer, sizeof(buffer), MSG_DONTWAIT) > 0;
		i++)
		;
	port_poll_links();
}

static int tap_started(struct port *port, char why[CONFIG_WHY_MAX])
{
	struct tap_state *tap = port->state;
	int status;

	tap->source.ready = netlink_ready;
	status = open_watch(tap);
	if (status)
		snprintf(why, CONFIG_WHY_MAX, "port %s: cannot watch the interface: %s", port->spec.name,
			strerror(-status));
	return status;
}

static int tap_rx_fd(struct port *port, uint16_t queue)
{
	return rte_eth_dev_rx_intr_ctl_q_get_fd(port->dev, queue);
}

static struct port_backend net_tap = {
	.name = "net_tap",
	.probe = tap_probe,
	.remove = tap_remove,
	.enter = tap_enter,
	.leave = tap_leave,
	.started = tap_started,
	.link = tap_link,
	.lost = tap_lost,
	.rx_fd = tap_rx_fd,
	.same_queues = true,
};
PORT_BACKEND_REGISTER(net_tap)
