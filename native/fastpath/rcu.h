// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Deferred frees. Control unlinks an object, then defers its free; the callback runs on the control thread once every
// worker has been quiescent since. Nobody ever waits: rcu_poll() looks and returns.
#pragma once

#include <stdint.h>

int rcu_init(unsigned int nr_workers);
void rcu_fini(void); // runs what is left: workers are gone

// fn(arg) after a grace period, in order of the calls. Control thread. Never fails (aborts without memory).
void rcu_defer(void (*fn)(void *), void *arg);
// Runs what is due; call once per turn of the control loop. Returns what is still waiting.
unsigned int rcu_poll(void);

// Worker side.
void rcu_online(unsigned int worker);
void rcu_offline(unsigned int worker); // before it sleeps
void rcu_quiescent(unsigned int worker);
