# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""What policies are told from flows that were seen: what-if, recommendations, analysis."""

from __future__ import annotations

from appliance.errors import NotSupported
from appliance.policy.control import InForce
from appliance.telemetry import Telemetry
from appliance.v1 import policy_service_pb2


class Advice:
    """Brings policies and flow records together."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry

    def what_if(self, made: InForce, seconds: float) -> policy_service_pb2.SimulatePolicyResponse:
        """Flows whose verdict would change."""
        raise NotSupported("what-if over recorded flows is not part of this version")

    def recommend(
        self, now: InForce, seconds: float, labels: tuple[str, ...]
    ) -> policy_service_pb2.RecommendPolicyResponse:
        """Rules that cover the flows that were seen."""
        raise NotSupported("recommendations are not part of this version")

    def analyze(self, made: InForce) -> policy_service_pb2.AnalyzePolicyResponse:
        """Rules that are worth a look."""
        raise NotSupported("analysis is not part of this version")
