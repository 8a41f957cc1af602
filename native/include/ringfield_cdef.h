// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The Ringfield authors
//
// Everything that Python sees of the native side. Preprocessed with -DRINGFIELD_CDEF this file is the cdef of
// the cffi module appliance._ringfield; compiled as it stands it is the module's prelude. Macros do not
// survive the way through the preprocessor: constants that Python needs are enums.
#pragma once

#include "doca_dev.h"
#include "doca_error.h"
#include "doca_flow.h"
#include "doca_flow_ct.h"
#include "doca_flow_definitions.h"
#include "doca_flow_ringfield.h"
#include "doca_log.h"
#include "ringfield_notices.h"
#include "ringfield_version.h"
