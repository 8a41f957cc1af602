# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Who is who in examples/demo.yaml, and what its meter lets through."""

from __future__ import annotations

from typing import Final

from appliance.run.frames import Host

PREP: Final = Host("02:00:00:00:00:01", "10.77.0.1")
DATA: Final = Host("02:00:00:00:00:02", "10.77.0.2")
TRAIN: Final = Host("02:00:00:00:00:03", "10.77.0.3")
SPINE: Final = Host("02:00:00:00:00:fe", "192.0.2.254")
VTEP: Final = Host("02:00:00:00:01:02", "192.0.2.2")
VNI: Final = 100

METER_RATE: Final = 50
METER_BURST: Final = 25
DATAGRAMS: Final = 200
SEND_SECONDS: Final = 0.5
BLOCKED_SECONDS: Final = 0.8
