// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// The negative table of modes: what vnf mode refuses of a switch, and what switch mode refuses.
#include "rig.h"

static void refused(const char *what, doca_error_t got, doca_error_t code, const char *words)
{
	const char *text = doca_flow_ringfield_last_error();

	if (!ok(got == code, "%s: %s", what, doca_error_get_name(code)))
		printf("# got %s: %s\n", doca_error_get_name(got), text);
	else
		ok(strlen(text) > 10 && (!words || strstr(text, words)), "says so: %s", text);
}

// Starts a port by name and closes its device again if that failed.
static doca_error_t start(const char *name, uint16_t id, struct doca_flow_port **port)
{
	const char *names[RIG_PORTS_MAX] = {0};
	const struct rig_options options = {.mode = "switch", .names = names};
	doca_error_t code;

	names[id] = name;
	code = rig_port_start(id, &options, port);
	if (code != DOCA_SUCCESS) {
		if (rig.rep[id])
			success(doca_dev_rep_close(rig.rep[id]));
		if (rig.dev[id])
			success(doca_dev_close(rig.dev[id]));
		rig.rep[id] = NULL;
		rig.dev[id] = NULL;
	}
	return code;
}

int main(void)
{
	const struct rig_options vnf = {.mode = "vnf,hws"}, as_switch = {.mode = "switch,hws"};
	struct rig_pipe p = {.name = "ON_REP", .is_root = true};
	struct doca_flow_port *port = NULL, *manager = NULL, *rep = NULL;
	struct doca_flow_pipe *pipe;
	struct doca_flow_pipe_cfg *late;

	success(rig_init(&vnf));
	refused("a representor in vnf mode", start("pf0vf0", 1, &port), DOCA_ERROR_INVALID_VALUE,
		"port representor cannot be created in VNF mode");
	doca_flow_destroy();

	success(rig_init(&as_switch));
	refused("a representor before its switch port", start("pf0vf0", 1, &port), DOCA_ERROR_BAD_STATE,
		NULL);
	success(start("p0", 0, &manager));
	success(start("pf0vf0", 1, &rep));
	p.fwd = rig_fwd_port(1);
	refused("a pipe on a representor", rig_pipe_try(rep, &p, &pipe), DOCA_ERROR_INVALID_VALUE, "ON_REP");
	p.name = "ON_MANAGER";
	success(rig_pipe_try(manager, &p, &pipe));
	refused("pairing in switch mode", doca_flow_port_pair(manager, rep), DOCA_ERROR_NOT_SUPPORTED,
		"pair-vnf");
	refused("stopping the switch port under its representors", doca_flow_port_stop(manager),
		DOCA_ERROR_IN_USE, NULL);
	success(doca_flow_port_stop(rep));
	success(doca_flow_pipe_cfg_create(&late, manager));
	success(doca_flow_pipe_cfg_set_name(late, "LATE"));
	success(doca_flow_port_stop(manager));
	refused("a pipe of a port that was stopped", doca_flow_pipe_create(late, &p.fwd, NULL, &pipe),
		DOCA_ERROR_INVALID_VALUE, "port-started");
	success(doca_flow_pipe_cfg_destroy(late));
	doca_flow_destroy();
	success(doca_dev_rep_close(rig.rep[1]));
	success(doca_dev_close(rig.dev[0]));
	return tap_done();
}
