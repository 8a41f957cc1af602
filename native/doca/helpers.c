// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

#include <arpa/inet.h>

#include "error.h"
#include "helpers.h"

struct doca_flow_target {
	enum doca_flow_target_type type;
};

static struct doca_flow_target kernel = {DOCA_FLOW_TARGET_KERNEL};

bool helpers_is_kernel(const struct doca_flow_target *target)
{
	return target == &kernel;
}

doca_error_t doca_flow_get_target(enum doca_flow_target_type type, struct doca_flow_target **target)
{
	if (!target)
		return refuse_argument(__func__, "target", "is NULL");
	if (type != DOCA_FLOW_TARGET_KERNEL)
		return refuse(DOCA_ERROR_NOT_SUPPORTED, AT(.field = "type", .rule = "fwd-target"),
			"%d is no target; the kernel is the only one", (int)type);
	*target = &kernel;
	return DOCA_SUCCESS;
}

doca_error_t doca_flow_mpls_label_encode(uint32_t label, uint8_t traffic_class, uint8_t ttl,
	bool bottom_of_stack, struct doca_flow_header_mpls *mpls)
{
	if (!mpls)
		return refuse_argument(__func__, "mpls", "is NULL");
	if (label > 0xfffff)
		return refuse_argument(__func__, "label", "0x%x has more than 20 bits", label);
	if (traffic_class > 7)
		return refuse_argument(__func__, "traffic_class", "%u has more than 3 bits", traffic_class);
	mpls->label =
		htonl(label << 12 | (uint32_t)traffic_class << 9 | (uint32_t)bottom_of_stack << 8 | ttl);
	return DOCA_SUCCESS;
}

doca_error_t doca_flow_mpls_label_decode(const struct doca_flow_header_mpls *mpls, uint32_t *label,
	uint8_t *traffic_class, uint8_t *ttl, bool *bottom_of_stack)
{
	uint32_t word;

	if (!mpls || !label || !traffic_class || !ttl || !bottom_of_stack)
		return refuse_argument(__func__, "mpls", "an argument is NULL");
	word = ntohl(mpls->label);
	*label = word >> 12;
	*traffic_class = word >> 9 & 7;
	*bottom_of_stack = word >> 8 & 1;
	*ttl = (uint8_t)word;
	return DOCA_SUCCESS;
}
