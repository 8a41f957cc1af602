// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors

// doca_flow_ringfield.h: transactions.

#include <errno.h>

#include "complete.h"
#include "flow.h"

// Everything posted must have been taken by the fast path before the transaction ends.
static doca_error_t drain_queues(void)
{
	struct doca_flow_port *port;
	doca_error_t result = DOCA_SUCCESS;

	TAILQ_FOREACH (port, &flow.ports, link) {
		for (uint16_t queue = 0; queue < flow_nr_queues() && result == DOCA_SUCCESS; queue++) {
			if (!port->queues[queue].in_flight)
				continue;
			result = complete_process(port, queue, 10000000, 0);
			if (result == DOCA_SUCCESS && port->queues[queue].in_flight)
				result = refuse(DOCA_ERROR_TIME_OUT, AT(.rule = "transaction"),
					"queue %u still has %u operations after 10 seconds", queue,
					port->queues[queue].in_flight);
		}
	}
	return result;
}

doca_error_t doca_flow_ringfield_txn_begin(void)
{
	doca_error_t result = flow_check_state(__func__);
	int status;

	if (result != DOCA_SUCCESS)
		return result;
	flow_lock();
	result = drain_queues();
	if (result == DOCA_SUCCESS) {
		status = steering_call_exact(flow.client, STEER_OP_TXN_BEGIN, NULL, 0, NULL, 0);
		if (status == -EALREADY)
			result = refuse(DOCA_ERROR_BAD_STATE, AT(.rule = "transaction"),
				"a transaction is open already");
		else if (status < 0)
			result =
				refuse_steering(status, AT(.rule = "transaction"), "beginning a transaction");
	}
	flow_unlock();
	return result;
}

doca_error_t doca_flow_ringfield_txn_commit(uint64_t *revision)
{
	struct steer_txn_reply reply;
	doca_error_t result = flow_check_state(__func__);
	int status;

	if (result != DOCA_SUCCESS)
		return result;
	flow_lock();
	result = drain_queues();
	if (result == DOCA_SUCCESS) {
		status =
			steering_call_exact(flow.client, STEER_OP_TXN_COMMIT, NULL, 0, &reply, sizeof(reply));
		if (status == -ECANCELED)
			result = refuse(DOCA_ERROR_BAD_STATE, AT(.rule = "transaction"),
				"nothing was changed: %s", steering_why());
		else if (status < 0)
			result = refuse_steering(
				status, AT(.rule = "transaction"), "committing a transaction");
		else if (revision)
			*revision = reply.revision;
	}
	flow_unlock();
	return result;
}

doca_error_t doca_flow_ringfield_txn_abort(void)
{
	doca_error_t result = flow_check_state(__func__);
	int status;

	if (result != DOCA_SUCCESS)
		return result;
	flow_lock();
	result = drain_queues();
	if (result == DOCA_SUCCESS) {
		status = steering_call_exact(flow.client, STEER_OP_TXN_ABORT, NULL, 0, NULL, 0);
		if (status < 0)
			result = refuse_steering(status, AT(.rule = "transaction"), "aborting a transaction");
	}
	flow_unlock();
	return result;
}
