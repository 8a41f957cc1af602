# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""What policies are told from flows that were seen: what-if, recommendations, baselines."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

import numpy as np

from appliance.policy.analysis import analyze
from appliance.policy.control import Segmentation
from appliance.policy.model import Band, PolicySet, Rule, Workload
from appliance.policy.operation import InForce
from appliance.policy.program import base_of
from appliance.policy.reading import write_policy
from appliance.policy.recommend import recommend, seen_in
from appliance.policy.simulate import Flows, what_if
from appliance.rpc.convert import policy as convert
from appliance.telemetry import Telemetry, schema
from appliance.telemetry.store import Mask, Rows, gather
from appliance.v1 import policy_service_pb2

MAX_CHANGES: Final = 1000


class Advice:
    """Brings policies and flow records together."""

    def __init__(
        self, telemetry: Telemetry, control: Segmentation, *, clock: Callable[[], int] = time.time_ns
    ) -> None:
        self._telemetry, self._control, self._clock = telemetry, control, clock

    def _flows(self, seconds: float, *events: int) -> Flows:
        """Connections as they were opened (or denied) since so many seconds ago; 0: all that are kept."""
        store = self._telemetry.store
        start = store.first_since(self._clock() - int(seconds * 1e9)) if seconds else 0

        def select(rows: Rows) -> Mask:
            return np.isin(rows["event"], events)

        found = gather(list(store.scan(select, start=start)) or [store.read(start, start)[0]])
        icmp = np.isin(found["protocol"], (1, 58))
        port = np.where(icmp, found["icmp_type"].astype(np.uint16), found["dst_port"])
        return Flows(
            found["zone"], found["ip_version"], found["src_ip"], found["dst_ip"], found["protocol"], port
        )

    def what_if(self, made: InForce, seconds: float) -> policy_service_pb2.SimulatePolicyResponse:
        """Flows whose verdict would change under a policy, grouped."""
        flows = self._flows(seconds, schema.OPEN, schema.DENY)
        now = self._control.in_force
        found, _ = what_if(now.program, made.program, flows) if len(flows) else ([], None)
        answers = []
        for one in found[:MAX_CHANGES]:
            ends = [made.program.identities[base_of(number)] for number in (one.source, one.target)]
            question = policy_service_pb2.PolicyQuestion(
                source=convert.labels_text(ends[0]),
                target=convert.labels_text(ends[1]),
                service=str(one.service),
            )
            answers.append(
                policy_service_pb2.PolicyAnswer(
                    question=question, verdict=convert.verdict_to(one.after, made.revision, *ends),
                    before=convert.verdict_to(one.before, now.revision, *ends), count=one.count,
                )
            )  # fmt: skip
        return policy_service_pb2.SimulatePolicyResponse(answers=answers, flows=len(flows))

    def recommend(
        self, now: InForce, seconds: float, labels: tuple[str, ...]
    ) -> policy_service_pb2.RecommendPolicyResponse:
        """Rules that cover the connections that were seen to pass."""
        flows = self._flows(seconds, schema.OPEN)
        found = recommend(now.program, seen_in(now.program, flows), labels=labels)
        policy = PolicySet(name="recommended", rules=tuple(one.rule for one in found))
        return policy_service_pb2.RecommendPolicyResponse(
            yaml=write_policy(policy), flows=len(flows),
            rules=[
                policy_service_pb2.RecommendedRule(
                    rule=convert.rule_to(one.rule), flows=one.flows, pairs_seen=one.pairs_seen,
                    pairs_extra=one.pairs_extra,
                )
                for one in found
            ],
        )  # fmt: skip

    def baseline(self, workloads: Sequence[Workload]) -> list[Rule]:
        """What some workloads are known to do, as rules for ``restrict``."""
        names = {workload.name for workload in workloads}
        program = self._control.in_force.program
        bases = {base_of(one.identity) for one in program.bindings if one.workload in names}
        seen = [
            one
            for one in seen_in(program, self._flows(0, schema.OPEN))
            if one.source in bases or one.target in bases
        ]
        return [
            replace(one.rule, name=f"baseline-{one.rule.name}"[:63], band=Band.SYSTEM)
            for one in recommend(program, seen, share=1.0)
        ]

    def analyze(self, made: InForce) -> policy_service_pb2.AnalyzePolicyResponse:
        """Rules that are worth a look."""
        found = analyze(made.policy, made.program, datetime.fromtimestamp(self._clock() / 1e9, UTC))
        return policy_service_pb2.AnalyzePolicyResponse(
            findings=[
                policy_service_pb2.PolicyFinding(kind=one.kind, rule=one.rule, other=one.other, text=one.text)
                for one in found
            ],
            sizes=convert.sizes_to(made.program.sizes),
        )
