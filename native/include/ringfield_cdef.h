// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Everything that Python sees of the native side. Preprocessed with -DRINGFIELD_CDEF this file is the cdef of
// the cffi module appliance._ringfield; compiled as it stands it is the module's prelude. Macros do not
// survive the way through the preprocessor: constants that Python needs are enums.
#pragma once

#include "ringfield_version.h"
