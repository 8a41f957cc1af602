// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Static neighbours of an interface over the moment in which net_tap attaches to it: it sets the interface's address
// anew, at which Linux forgets all neighbours, those that an administrator put there included.
#pragma once

struct neighbours;

// What the interface of that name has in the network namespace of the calling thread. NULL: none, or not to be learned.
struct neighbours *neighbours_keep(const char *interface);

// Puts them back and frees them. NULL is fine.
void neighbours_restore(struct neighbours *kept);
