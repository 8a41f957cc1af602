// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

// doca_flow_ringfield.h: packets in and out, captures, events.

#include <errno.h>
#include <string.h>

#include "flow.h"

static doca_error_t post_frames(const char *function, enum steer_packet_kind kind, uint16_t port,
	uint32_t pkt_meta, const uint8_t *frames, const uint32_t *lengths, uint32_t nr, uint32_t *done)
{
	doca_error_t result = flow_check_state(function);
	uint32_t posted = 0;
	int status = 0;

	if (done)
		*done = 0;
	if (result != DOCA_SUCCESS)
		return result;
	result = flow_check_connected();
	if (result != DOCA_SUCCESS)
		return result;
	if (nr && (!frames || !lengths))
		return refuse_argument(function, "frames", "an argument is NULL");
	for (; posted < nr; posted++) {
		if (!lengths[posted] || lengths[posted] > STEER_FRAME_MAX) {
			status = -EMSGSIZE;
			break;
		}
		status = steering_packet_post(flow.client, kind, port, pkt_meta, frames, lengths[posted]);
		if (status < 0)
			break;
		frames += lengths[posted];
	}
	if (posted)
		steering_packet_push(flow.client);
	if (done)
		*done = posted;
	if (status == -EMSGSIZE)
		return refuse_argument(function, "lengths", "frame %u has %u bytes, 1 .. %d are possible",
			posted, lengths[posted], STEER_FRAME_MAX);
	return status < 0 ? refuse_steering(status, AT(.rule = "packet-ring"), "posting a frame")
			  : DOCA_SUCCESS;
}

doca_error_t doca_flow_ringfield_inject(uint16_t port, doca_be32_t pkt_meta, const uint8_t *frames,
	const uint32_t *lengths, uint32_t nr, uint32_t *done)
{
	return post_frames(__func__, STEER_PKT_INJECT, port, pkt_meta, frames, lengths, nr, done);
}

doca_error_t doca_flow_ringfield_transmit(
	uint16_t port, const uint8_t *frames, const uint32_t *lengths, uint32_t nr, uint32_t *done)
{
	return post_frames(__func__, STEER_PKT_TRANSMIT, port, 0, frames, lengths, nr, done);
}

doca_error_t doca_flow_ringfield_receive_set(uint32_t flags, uint16_t port)
{
	struct steer_receive receive = {.flags = flags, .port = port};
	doca_error_t result = flow_check_state(__func__);
	int status;

	_Static_assert((int)DOCA_FLOW_RINGFIELD_RECEIVE_SOFTWARE == (int)STEER_RECV_SOFTWARE &&
			       (int)DOCA_FLOW_RINGFIELD_RECEIVE_WIRE == (int)STEER_RECV_WIRE,
		"flags are passed on as they are");
	if (result != DOCA_SUCCESS)
		return result;
	if (flags & ~(uint32_t)(DOCA_FLOW_RINGFIELD_RECEIVE_SOFTWARE | DOCA_FLOW_RINGFIELD_RECEIVE_WIRE))
		return refuse_argument(__func__, "flags", "unknown flags in 0x%x", flags);
	status = steering_call_exact(flow.client, STEER_OP_RECEIVE, &receive, sizeof(receive), NULL, 0);
	return status < 0 ? refuse_steering(status, NULL, "subscribing to packets") : DOCA_SUCCESS;
}

// A frame that did not fit the caller's buffer last time. One thread receives at a time.
static struct {
	bool full;
	struct steer_packet packet;
	uint8_t frame[STEER_FRAME_MAX];
} kept;

void packets_fini(void)
{
	kept.full = false;
}

static int next_packet(struct steer_packet *packet, uint8_t *buffer, uint32_t room)
{
	int status;

	if (!kept.full) {
		status = steering_packet_receive(flow.client, &kept.packet, kept.frame, sizeof(kept.frame));
		if (status <= 0)
			return status;
		kept.full = true;
	}
	if (kept.packet.length > room)
		return -ENOBUFS;
	*packet = kept.packet;
	memcpy(buffer, kept.frame, kept.packet.length);
	kept.full = false;
	return 1;
}

doca_error_t doca_flow_ringfield_receive(struct doca_flow_ringfield_packet *packets, uint32_t max,
	uint8_t *buffer, uint32_t buffer_bytes, uint64_t timeout_us, uint32_t *nr)
{
	doca_error_t result = flow_check_state(__func__);
	uint32_t used = 0;
	int status;

	_Static_assert((int)DOCA_FLOW_RINGFIELD_PACKET_RSS == (int)STEER_PKT_RSS &&
			       (int)DOCA_FLOW_RINGFIELD_PACKET_CAPTURE_DROP == (int)STEER_PKT_CAPTURE_DROP,
		"kinds are passed on as they are");
	if (result != DOCA_SUCCESS)
		return result;
	if (!packets || !max || !buffer || !nr)
		return refuse_argument(__func__, "packets", "an argument is NULL or zero");
	*nr = 0;
	if (timeout_us && !kept.full) {
		status = steering_wait(flow.client, STEERING_WAIT_PACKETS, 0, (int64_t)timeout_us);
		if (status < 0 && status != -EINTR)
			return refuse_steering(status, NULL, "waiting for packets");
	}
	while (*nr < max) {
		struct doca_flow_ringfield_packet *to = &packets[*nr];
		struct steer_packet packet;

		status = next_packet(&packet, buffer + used, buffer_bytes - used);
		if (!status || (status == -ENOBUFS && *nr))
			return DOCA_SUCCESS;
		if (status == -ENOBUFS)
			return refuse(DOCA_ERROR_TOO_BIG, AT(.field = "buffer_bytes", .rule = "packet-ring"),
				"the next frame has %u bytes", kept.packet.length);
		if (status < 0)
			return refuse_steering(status, NULL, "receiving packets");
		memset(to, 0, sizeof(*to));
		to->timestamp_ns = packet.timestamp_ns;
		to->offset = used;
		to->length = packet.length;
		to->pkt_meta = packet.pkt_meta;
		to->port = packet.port;
		to->queue = packet.queue;
		to->kind = packet.kind;
		to->drop = packet.reason;
		to->mark = packet.mark;
		used += packet.length;
		(*nr)++;
	}
	return DOCA_SUCCESS;
}

doca_error_t doca_flow_ringfield_capture(uint32_t points, uint16_t port, uint16_t snap, uint64_t drops)
{
	struct steer_capture capture = {.points = points, .port = port, .snap = snap, .drop_reasons = drops};
	doca_error_t result = flow_check_state(__func__);
	int status;

	if (result != DOCA_SUCCESS)
		return result;
	if (points & ~7u)
		return refuse_argument(__func__, "points", "unknown points in 0x%x", points);
	status = steering_call_exact(flow.client, STEER_OP_CAPTURE, &capture, sizeof(capture), NULL, 0);
	return status < 0 ? refuse_steering(status, NULL, "setting a capture") : DOCA_SUCCESS;
}

doca_error_t doca_flow_ringfield_events(
	struct doca_flow_ringfield_event *events, uint32_t max, uint64_t timeout_us, uint32_t *nr)
{
	doca_error_t result = flow_check_state(__func__);
	int status;

	if (result != DOCA_SUCCESS)
		return result;
	if (!events || !max || !nr)
		return refuse_argument(__func__, "events", "an argument is NULL or zero");
	*nr = 0;
	if (timeout_us) {
		status = steering_wait(flow.client, STEERING_WAIT_EVENTS, 0, (int64_t)timeout_us);
		if (status < 0 && status != -EINTR)
			return refuse_steering(status, NULL, "waiting for events");
	}
	while (*nr < max) {
		struct steer_event event;

		status = steering_event_receive(flow.client, &event);
		if (!status)
			break;
		if (status < 0)
			return refuse_steering(status, NULL, "receiving events");
		memset(&events[*nr], 0, sizeof(*events));
		events[*nr].timestamp_ns = event.timestamp_ns;
		events[*nr].kind = event.kind;
		events[*nr].port = event.port;
		events[*nr].value = event.value;
		memcpy(events[*nr].text, event.text, sizeof(event.text));
		events[*nr].text[sizeof(event.text) - 1] = 0;
		(*nr)++;
	}
	return DOCA_SUCCESS;
}
