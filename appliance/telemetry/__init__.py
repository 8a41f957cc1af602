# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Flow records: kept, searched, summed up and handed out. Fed by ``Telemetry.append``; knows no gRPC."""

from appliance.telemetry.hub import CAPACITY, Telemetry
from appliance.telemetry.names import Binding, Identity, NameBook, Names, Network, Verdict, Workload, labels

__all__ = [
    "CAPACITY",
    "Binding",
    "Identity",
    "NameBook",
    "Names",
    "Network",
    "Telemetry",
    "Verdict",
    "Workload",
    "labels",
]
