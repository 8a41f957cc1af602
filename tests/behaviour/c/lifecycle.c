// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// From init to destroy, twice in one process: private data, pairs, devices, dump, flush, and helpers that need no packet.
#include <stdio.h>
#include <stdlib.h>

#include "rig.h"

enum { PRIVATE = 48 };

static void devices(void)
{
	struct doca_devinfo **list;
	struct doca_devinfo *info;
	char pci[DOCA_DEVINFO_PCI_ADDR_SIZE];
	uint32_t nr = 0;
	uint8_t equal = 0;

	success(doca_devinfo_create_list(&list, &nr));
	ok(nr == 2, "two devices are listed: %u", nr);
	success(doca_devinfo_get_pci_addr_str(list[1], pci));
	ok(!strcmp(pci, "0000:03:00.1"), "with the PCI address of the configuration: %s", pci);
	success(doca_devinfo_is_equal_pci_addr(list[1], "03:00.1", &equal));
	ok(equal, "the short form of it is equal");
	success(doca_devinfo_destroy_list(list));
	info = doca_dev_as_devinfo(rig.dev[0]);
	success(doca_devinfo_get_pci_addr_str(info, pci));
	ok(!strcmp(pci, "0000:03:00.0"), "an open device knows its own: %s", pci);
}

static void private_data(void)
{
	uint8_t *data = doca_flow_port_priv_data(rig.port[0]);
	bool zero = true;

	require(data != NULL, "private data");
	for (int i = 0; i < PRIVATE; i++)
		zero &= data[i] == 0;
	ok(zero, "zeroed at start");
	memset(data, 0x5a, PRIVATE);
	ok(doca_flow_port_priv_data(rig.port[0]) == data && data[PRIVATE - 1] == 0x5a,
		"and the program's from then on");
	ok(doca_flow_port_priv_data(rig.port[1]) != data, "each port has its own");
}

static void labels(void)
{
	struct doca_flow_header_mpls mpls;
	uint32_t label = 0;
	uint8_t class = 0, ttl = 0;
	bool bottom = false;

	success(doca_flow_mpls_label_encode(0xabcde, 5, 64, true, &mpls));
	ok(mpls.label == DOCA_HTOBE32(0xabcdeu << 12 | 5u << 9 | 1u << 8 | 64),
		"an MPLS label is encoded: 0x%08x", DOCA_BETOH32(mpls.label));
	success(doca_flow_mpls_label_decode(&mpls, &label, &class, &ttl, &bottom));
	ok(label == 0xabcde && class == 5 && ttl == 64 && bottom, "and decoded");
	ok(doca_flow_mpls_label_encode(0x100000, 0, 0, false, &mpls) == DOCA_ERROR_INVALID_VALUE,
		"21 bits are refused");
}

static void dump(void)
{
	struct doca_flow_match match = rig_tuple_match(true),
			       key = rig_tuple(true, IP(1, 2, 3, 4), IP(8, 8, 8, 8), 1, 80);
	struct rig_pipe p = {.name = "DUMPED_PIPE", .is_root = true, .match = &match};
	struct doca_flow_pipe *pipe;
	size_t length = 0;
	char *text = NULL;
	FILE *file;

	p.fwd = rig_fwd_port(1);
	p.fwd_miss = rig_fwd_drop();
	pipe = rig_pipe(rig.port[0], &p);
	rig_add(rig.port[0], pipe, &key, NULL, NULL, NULL);
	file = open_memstream(&text, &length);
	require(file != NULL, "memory");
	doca_flow_pipe_dump(pipe, file);
	fclose(file);
	ok(strstr(text, "DUMPED_PIPE") != NULL, "a dump names the pipe");
	ok(strstr(text, "src_ip") && strstr(text, "dst_port"), "and the fields that it matches");
	ok(strstr(text, "drop") || strstr(text, "DROP"), "and where its misses go");
	printf("# %zu bytes of text\n", length);
	free(text);
}

static void once(void)
{
	const struct rig_options options = {.mode = "vnf,hws", .nr_ports = 2, .priv_data_size = PRIVATE};
	struct rig_frame f = rig_frame4(true, IP(1, 2, 3, 4), IP(8, 8, 8, 8), 1, 80, 20);

	rig_start(&options);
	devices();
	private_data();
	labels();
	success(doca_flow_port_pair(
		rig.port[1], rig.port[0])); // the pair has no order, repeating it is harmless
	ok(doca_flow_port_switch_get(rig.port[0]) == NULL, "no switch port in vnf mode");
	dump();
	rig_send(0, &f);
	rig_settle();
	rig_wire(1, &f);
	rig_done();
	doca_flow_port_pipes_flush(rig.port[0]);
	rig_send(0, &f);
	rig_settle();
	rig_done();
	ok(rig_drops("no_pipeline") >= 1,
		"after the flush the port has no pipeline, and drops by that reason");
	dump(); // the root may be created again
	rig_stop();
}

int main(void)
{
	once();
	memset(&rig, 0, sizeof(rig));
	once();
	return tap_done();
}
