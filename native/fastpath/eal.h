// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// DPDK's environment layer: starting it with or without hugepages, its files and its talk.
#pragma once

#include "config.h"

// Starts EAL as a primary process that shares nothing with others: own file prefix, runtime files below runtime_dir, only
// the PCI devices that ports name. The calling thread becomes the control lcore, on the CPUs it had. Gives the number of
// worker lcores, or a negative errno and the sentence.
int eal_start(const struct config *config, char why[CONFIG_WHY_MAX]);

// True when hugepages were taken because enough were free, not because they were asked for: then a start that fails for
// want of memory may be tried again without. Others can have taken them since.
bool eal_huge_by_chance(const struct config *config);

// Ends EAL. No DPDK call after this.
void eal_stop(void);

// Removes EAL's directory below the runtime directory.
void eal_remove_files(const char *runtime_dir);

// Megabytes of DPDK memory that the options ask for.
unsigned int eal_memory_mb(const struct config *config);
