// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// TCP as somebody in the middle sees it: RFC 9293's states, and the window tracking of G. van Rooij, "Real Stateful TCP
// Packet Filtering in IP Filter" (2000): four bounds for each segment, learned from both directions.
//
// Of each direction we know the end of what was sent, the limit up to which the other side has room, and the largest
// window that it has offered itself. A segment is in the window when
//   its first byte is not behind the limit of its sender,
//   its last byte is not before what its sender has sent less the receiver's largest window (retransmissions),
//   it acknowledges nothing that the other side has not sent, and nothing that is older than a window ago.

#include <netinet/in.h>

#include "bytes.h"
#include "ct_private.h"

enum {
	ACK_LAG = 66000, // acknowledgements may be so old at least: the largest window without scaling
	SCALE_MAX = 14,
	OPTION_END = 0,
	OPTION_NOP = 1,
	OPTION_SCALE = 3,
	OPTION_SACK_OK = 4,
	OPTION_SACK = 5,
};

static inline bool before(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

// --- Segments -------------------------------------------------------------------------------------------------------

static void read_options(const uint8_t *at, const uint8_t *end, struct ct_segment *s)
{
	while (at < end && *at != OPTION_END) {
		unsigned int length;

		if (*at == OPTION_NOP) {
			at++;
			continue;
		}
		if (end - at < 2)
			return;
		length = at[1];
		if (length < 2 || length > (size_t)(end - at))
			return;
		if (at[0] == OPTION_SCALE && length == 3) {
			s->scales = true;
			s->scale = at[2] < SCALE_MAX ? at[2] : SCALE_MAX;
		} else if (at[0] == OPTION_SACK_OK && length == 2) {
			s->sacks = true;
		} else if (at[0] == OPTION_SACK) {
			for (unsigned int i = 2; i + 8 <= length; i += 8)
				if (before(s->sack, be32(at + i + 4)))
					s->sack = be32(at + i + 4);
		}
		at += length;
	}
}

void ct_segment_read(const struct packet *p, struct ct_segment *s)
{
	const uint8_t *h = p->base[REGION_TCP];
	uint32_t header = (h[12] >> 4) * 4u, length = p->layer[0].l4_len;
	uint32_t room = p->seg_len - (uint32_t)(h - p->data);

	*s = (struct ct_segment){
		.seq = be32(h + 4),
		.ack = be32(h + 8),
		.window = (uint32_t)h[14] << 8 | h[15],
		.flags = h[13] & 0x3f,
		.part = p->meta.layer[0].ip_fragmented,
	};
	s->sack = s->ack;
	if (header < 20 || header > length)
		header = length < 20 ? length : 20;
	s->end = s->seq + (length - header) + !!(s->flags & CT_TCP_SYN) + !!(s->flags & CT_TCP_FIN);
	if (header > 20)
		read_options(h + 20, h + (header < room ? header : room), s);
}

// --- Windows --------------------------------------------------------------------------------------------------------

// A SYN: all of its sender is new.
static void start(struct ct_flow *f, const struct ct_segment *s)
{
	*f = (struct ct_flow){
		.end = s->end,
		.limit = s->end,
		.window = s->window ? s->window : 1,
		.scale = s->scales ? s->scale : 0,
		.bits = (s->scales ? CT_FLOW_SCALES : 0) | (s->sacks ? CT_FLOW_SACK : 0),
	};
}

void ct_tcp_open(struct ct_conn *c, const struct ct_segment *s)
{
	start(&c->flow[0], s);
	c->state = STEER_CT_TCP_SYN_SENT;
	c->mark[0] = s->end;
	if (s->part)
		c->flow[0].bits |= CT_FLOW_LOOSE;
}

// The first segment of a direction whose SYN was not seen.
static void learn(struct ct_flow *f, const struct ct_segment *s)
{
	f->end = s->end;
	f->window = s->window ? s->window : 1;
	f->limit = s->end + f->window;
	f->bits = CT_FLOW_LOOSE;
}

void ct_tcp_adopt(struct ct_conn *c, unsigned int direction, const struct ct_segment *s)
{
	learn(&c->flow[direction], s);
	c->flow[!direction].bits |= CT_FLOW_LOOSE;
	c->state = STEER_CT_TCP_ESTABLISHED;
	c->mark[direction] = s->seq;
	c->mark[!direction] = s->ack;
}

// Scaling is on only when both have offered it.
static void agree(struct ct_conn *c)
{
	if (c->flow[0].bits & c->flow[1].bits & CT_FLOW_SCALES)
		return;
	c->flow[0].scale = c->flow[1].scale = 0;
}

// What a segment in the window tells about both directions.
static void advance(struct ct_flow *mine, struct ct_flow *other, const struct ct_segment *s, uint32_t end,
	uint32_t ack, uint32_t sack)
{
	uint32_t window = s->flags & CT_TCP_SYN ? s->window : s->window << mine->scale;
	uint32_t offered = window + (sack - ack);

	if (mine->window < offered)
		mine->window = offered;
	if (before(mine->end, end))
		mine->end = end;
	// It goes beyond the limit a little: the other side must have offered more than we saw.
	if (other->window && before(mine->limit, end))
		other->window += end - mine->limit;
	if (!before(sack + window, other->limit))
		other->limit = sack + window + !window;
}

static bool in_window(struct ct_conn *c, unsigned int direction, const struct ct_segment *s)
{
	struct ct_flow *mine = &c->flow[direction], *other = &c->flow[!direction];
	uint32_t seq = s->seq, end = s->end, ack = s->ack, sack = s->sack, lag;
	bool good;

	if (!mine->window) {
		if (s->flags & CT_TCP_SYN) {
			start(mine, s);
			agree(c);
			c->mark[direction] = s->end;
		} else {
			learn(mine, s);
		}
	}
	if (s->part)
		mine->bits |= CT_FLOW_LOOSE;
	// Without an acknowledgement, or with none worth the name (some answer with RST and 0), nothing is said about it.
	if (!(s->flags & CT_TCP_ACK) || ((s->flags & CT_TCP_RST) && !ack))
		ack = sack = other->end;
	// Nothing but an acknowledgement: keep-alives and the like may have any number.
	if (seq == end && (!(s->flags & CT_TCP_RST) || (!seq && c->state == STEER_CT_TCP_SYN_SENT)))
		seq = end = mine->end;
	lag = mine->window > ACK_LAG ? mine->window : ACK_LAG;
	good = !before(mine->limit, seq) && !before(end, mine->end - other->window) &&
	       !before(other->end, sack) && !before(ack, other->end - lag);
	if ((mine->bits | other->bits) & CT_FLOW_LOOSE) {
		// What the others acknowledge has been sent.
		if (s->flags & CT_TCP_ACK && before(other->end, sack))
			other->end = sack;
		good = true;
	}
	if (good)
		advance(mine, other, s, end, ack, sack);
	return good;
}

// --- States ---------------------------------------------------------------------------------------------------------

static inline uint16_t side(unsigned int bit, unsigned int direction)
{
	return (uint16_t)(bit << direction);
}

static bool acknowledges(const struct ct_conn *c, unsigned int direction, const struct ct_segment *s)
{
	return s->flags & CT_TCP_ACK && !before(s->ack, c->mark[!direction]);
}

// From ESTABLISHED on the state follows from who has sent a FIN, and whose was acknowledged.
static void closing(struct ct_conn *c, unsigned int direction, const struct ct_segment *s)
{
	unsigned int fins, acked;

	if (s->flags & CT_TCP_FIN && !(c->bits & side(CT_FIN_0, direction))) {
		c->bits |= side(CT_FIN_0, direction);
		c->mark[direction] = s->end;
	}
	if (c->bits & side(CT_FIN_0, !direction) && acknowledges(c, direction, s))
		c->bits |= side(CT_FIN_ACKED_0, !direction);
	fins = c->bits / CT_FIN_0 & 3;
	acked = c->bits / CT_FIN_ACKED_0 & 3;
	if (!fins)
		c->state = STEER_CT_TCP_ESTABLISHED;
	else if (fins != 3)
		c->state = acked ? STEER_CT_TCP_CLOSE_WAIT : STEER_CT_TCP_FIN_WAIT;
	else
		c->state = acked == 3 ? STEER_CT_TCP_TIME_WAIT : STEER_CT_TCP_LAST_ACK;
}

static enum ct_tcp_result syn_sent(struct ct_conn *c, unsigned int direction, const struct ct_segment *s)
{
	uint8_t flags = s->flags & (CT_TCP_SYN | CT_TCP_ACK | CT_TCP_RST | CT_TCP_FIN);

	if (!direction) {
		if (flags == CT_TCP_SYN) {
			// Again, or anew with another number.
			if (s->end != c->mark[0])
				ct_tcp_open(c, s);
			return CT_TCP_PASS;
		}
		// It gives up, or an old half of the connection has answered and gets its reset.
		if (flags & CT_TCP_RST) {
			c->state = STEER_CT_TCP_CLOSE;
			return CT_TCP_PASS;
		}
		return CT_TCP_INVALID;
	}
	if (flags & CT_TCP_RST) {
		if (!(flags & CT_TCP_ACK) || s->ack != c->mark[0])
			return CT_TCP_INVALID;
		c->state = STEER_CT_TCP_CLOSE;
		return CT_TCP_PASS;
	}
	if (flags == CT_TCP_ACK)
		return CT_TCP_PASS; // of an old half of the connection; the opener will reset it
	if (!(flags & CT_TCP_SYN) || flags & CT_TCP_FIN)
		return CT_TCP_INVALID;
	if (flags & CT_TCP_ACK && before(s->ack, c->mark[0] - 1))
		return CT_TCP_INVALID;
	if (flags & CT_TCP_ACK && s->ack == c->mark[0] - 1)
		return CT_TCP_INVALID;
	if (!in_window(c, 1, s))
		return CT_TCP_INVALID;
	c->state = flags & CT_TCP_ACK ? STEER_CT_TCP_SYN_RECV : STEER_CT_TCP_SYN_SENT2;
	return CT_TCP_PASS;
}

// Both have sent a SYN and wait for its acknowledgement; *_RECV: only the opener's is missing.
static enum ct_tcp_result syn_both(struct ct_conn *c, unsigned int direction, const struct ct_segment *s)
{
	if (s->flags & CT_TCP_SYN) {
		// A SYN again, also with an acknowledgement now.
		if (s->end != c->mark[direction] && !(s->flags & CT_TCP_ACK) && !direction &&
			c->state == STEER_CT_TCP_SYN_RECV)
			return CT_TCP_PASS;
		if (s->end != c->mark[direction])
			return CT_TCP_INVALID;
	}
	if (!in_window(c, direction, s))
		return CT_TCP_INVALID;
	if (s->flags & CT_TCP_RST) {
		c->state = STEER_CT_TCP_CLOSE;
		return CT_TCP_PASS;
	}
	if (acknowledges(c, direction, s))
		c->bits |= side(CT_SYN_ACKED_0, direction);
	if (c->state == STEER_CT_TCP_SYN_RECV ? !(c->bits & CT_SYN_ACKED_0)
					      : (c->bits / CT_SYN_ACKED_0 & 3) != 3)
		return CT_TCP_PASS;
	closing(c, direction, s);
	return CT_TCP_PASS;
}

static enum ct_tcp_result running(struct ct_conn *c, unsigned int direction, const struct ct_segment *s)
{
	bool closed = c->state == STEER_CT_TCP_TIME_WAIT || c->state == STEER_CT_TCP_CLOSE;

	if (ct_tcp_opens(s))
		// On a live connection the other side answers it with its numbers, and a reset follows if need be.
		return closed ? CT_TCP_REOPEN : CT_TCP_PASS;
	if (!in_window(c, direction, s))
		return CT_TCP_INVALID;
	if (s->flags & CT_TCP_RST)
		c->state = STEER_CT_TCP_CLOSE;
	else if (c->state != STEER_CT_TCP_CLOSE)
		closing(c, direction, s);
	return CT_TCP_PASS;
}

// Flags that no segment has together.
static bool impossible(uint8_t flags)
{
	if (flags & CT_TCP_SYN)
		return flags & (CT_TCP_FIN | CT_TCP_RST);
	if (flags & CT_TCP_RST)
		return flags & CT_TCP_FIN;
	return !(flags & CT_TCP_ACK);
}

enum ct_tcp_result ct_tcp_track(struct ct_conn *c, unsigned int direction, const struct ct_segment *s)
{
	if (unlikely(impossible(s->flags)))
		return CT_TCP_INVALID;
	switch (c->state) {
	case STEER_CT_TCP_SYN_SENT:
		return syn_sent(c, direction, s);
	case STEER_CT_TCP_SYN_RECV:
	case STEER_CT_TCP_SYN_SENT2:
		return syn_both(c, direction, s);
	default:
		return running(c, direction, s);
	}
}

bool ct_tcp_half_open(const struct ct_conn *c)
{
	return c->state == STEER_CT_TCP_SYN_SENT || c->state == STEER_CT_TCP_SYN_RECV ||
	       c->state == STEER_CT_TCP_SYN_SENT2;
}

enum steer_ct_timer ct_tcp_timer(uint8_t state)
{
	switch (state) {
	case STEER_CT_TCP_ESTABLISHED:
		return STEER_CT_TIMER_TCP_ESTABLISHED;
	case STEER_CT_TCP_FIN_WAIT:
	case STEER_CT_TCP_CLOSE_WAIT:
	case STEER_CT_TCP_LAST_ACK:
		return STEER_CT_TIMER_TCP_HALF_CLOSED;
	case STEER_CT_TCP_TIME_WAIT:
	case STEER_CT_TCP_CLOSE:
		return STEER_CT_TIMER_TCP_CLOSE;
	default:
		return STEER_CT_TIMER_TCP_SETUP;
	}
}
