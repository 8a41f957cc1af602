# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Step 2: rules recommended from what was seen; the shipped policy, first as a what-if, then in force."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from appliance.cli.common import DEADLINE_SECONDS, table
from appliance.demo.factory_data import HABITS
from appliance.v1 import policy_pb2, policy_service_pb2, workload_service_pb2

if TYPE_CHECKING:
    from appliance.demo.factory import FactoryDemo

WHOLE_WALK: Final = 3600.0
PASSES: Final = (policy_pb2.POLICY_ACTION_ALLOW, policy_pb2.POLICY_ACTION_ALERT)
SHOWN: Final = 12


def recommend(demo: FactoryDemo) -> None:
    """Rules that cover what was seen."""
    answer = demo.client.policy.RecommendPolicy(
        policy_service_pb2.RecommendPolicyRequest(), timeout=DEADLINE_SECONDS
    )
    made = table(
        "recommended", "from", "to", "services", "flows", "also permits", right=["flows", "also permits"]
    )
    for one in answer.rules[:SHOWN]:
        made.add_row(
            f"[bold]{one.rule.name}[/]",
            one.rule.source or "any",
            one.rule.target or "any",
            ", ".join(one.rule.services),
            str(one.flows),
            f"{one.pairs_extra} pairs" if one.pairs_extra else "nothing else",
        )
    demo.console.print(made)
    covered = sum(one.flows for one in answer.rules)
    demo.check(
        "recommended rules cover what was seen",
        f"{answer.flows} flows",
        f"{covered} flows by {len(answer.rules)} rules",
        0 < answer.flows <= covered,
    )
    demo.note(
        "recommended", f"{len(answer.rules)} rules for {answer.flows} flows", "ringfield policy recommend"
    )


def what_if(demo: FactoryDemo, source: policy_pb2.PolicySource) -> None:
    """What the shipped policy would have done with the recorded flows."""
    request = policy_service_pb2.SimulatePolicyRequest(source=source, flows_seconds=WHOLE_WALK)
    answer = demo.client.policy.SimulatePolicy(request, timeout=DEADLINE_SECONDS)
    made = table("would be blocked", "service", "to", "connections", "by", right=["connections"])
    lost: set[tuple[str, str, str]] = set()
    for one in answer.answers:
        if one.before.action in PASSES and one.verdict.action not in PASSES:
            sources, targets = meant(demo, one.question.source), meant(demo, one.question.target)
            lost |= {(source_, target, one.question.service) for source_ in sources for target in targets}
            default = one.verdict.band == policy_pb2.POLICY_BAND_DEFAULT
            made.add_row(
                f"[bold]{', '.join(sources)}[/]",
                one.question.service,
                f"[bold]{', '.join(targets)}[/]",
                str(one.count),
                "the default" if default else f"{one.verdict.rule} ({band(one.verdict.band)})",
            )
    demo.console.print(made)
    wanted = {(source_, target, str(service)) for source_, target, service in HABITS}
    demo.check(
        f"what-if over {answer.flows} recorded flows",
        f"{len(wanted)} edges lost, those that should not be",
        f"{len(lost)} edges lost" + ("" if lost == wanted else f": {sorted(lost ^ wanted)} differ"),
        lost == wanted,
    )


def meant(demo: FactoryDemo, labels: str) -> list[str]:
    """Names of the workloads that labels mean."""
    request = workload_service_pb2.ListWorkloadsRequest(selector=labels)
    found = demo.client.workloads.ListWorkloads(request, timeout=DEADLINE_SECONDS).workloads
    return [workload.name for workload in found]


def band(number: policy_pb2.PolicyBand) -> str:
    """``override-block``."""
    return policy_pb2.PolicyBand.Name(number).removeprefix("POLICY_BAND_").lower().replace("_", "-")


def walk(demo: FactoryDemo, file: Path) -> None:
    """The step."""
    with demo.step("2  Policy", "ringfield policy recommend, simulate, publish"):
        recommend(demo)
        source = policy_pb2.PolicySource(file=file.name, yaml=file.read_text())
        what_if(demo, source)
        request = policy_service_pb2.PublishPolicyRequest(source=source, reason="demonstration: default deny")
        revision = demo.client.policy.PublishPolicy(request, timeout=DEADLINE_SECONDS).revision
        applied = revision.appliances[0] if revision.appliances else policy_pb2.ApplianceStatus()
        good = applied.state == policy_pb2.REVISION_STATE_APPLIED
        demo.check(
            f"{file.name} published",
            "in force",
            f"in force as revision {revision.number} after {1000 * applied.seconds:.0f} ms"
            if good
            else applied.reason or "not in force",
            good,
        )
        demo.note("policy in force", f"revision {revision.number}", "ringfield policy show --history")
