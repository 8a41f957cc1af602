// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// What an open transaction took away comes back if it is aborted or fails: handles are kept until it has ended.
#pragma once

#include "flow.h"

// Number of the open transaction, 0 when none is. Any thread.
uint32_t txn_number(void);

// An entry whose removal has succeeded: keeps its handle until the transaction ends. False: none is open, or there is no
// memory, and the handle goes at once.
bool txn_keep_entry(struct doca_flow_pipe_entry *entry);

// The same for a pipe; flow.lock is held.
bool txn_keep_pipe(struct doca_flow_pipe *pipe);

// The session ends: forgets an open transaction.
void txn_fini(void);
