# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""The centre's PolicyService: policy sets, what a publish would change, revisions and what became of them."""

from __future__ import annotations

import difflib
from typing import Any

from appliance.errors import InvalidValue
from appliance.intelligence.centre import digest
from appliance.intelligence.context import CALLER
from appliance.intelligence.services import Service
from appliance.intelligence.v1 import policy_service_pb2 as policy_pb
from appliance.policy.blast import services_of
from appliance.policy.difference import changes
from appliance.policy.evaluate import ask
from appliance.rpc.convert.policy import labels_text


class PolicyService(Service):
    """Policy sets."""

    async def ListPolicySets(  # noqa: N802
        self, request: policy_pb.ListPolicySetsRequest, context: Any
    ) -> policy_pb.ListPolicySetsResponse:
        """By name."""
        centre = self._centre
        return policy_pb.ListPolicySetsResponse(
            sets=[
                policy_pb.PolicySetInfo(
                    name=one.name, scope=one.scope, source=one.source, draft=one.draft, draft_actor=one.draft_actor,
                    draft_digest=digest(one.draft) if one.draft else "",
                )
                for _, one in sorted(centre.sets.items())
            ],
            revision=centre.revision.number if centre.revision is not None else 0,
        )  # fmt: skip

    async def UpdateDraft(  # noqa: N802
        self, request: policy_pb.UpdateDraftRequest, context: Any
    ) -> policy_pb.UpdateDraftResponse:
        """Keep a draft."""
        caller = CALLER.get()
        made, problems = await self._link.core(
            lambda: self._centre.update_draft(
                request.name, request.source, request.scope if request.HasField("scope") else None, caller,
                request.expected_digest if request.HasField("expected_digest") else None,
            )
        )  # fmt: skip
        return policy_pb.UpdateDraftResponse(digest=digest(made.draft), problems=problems)

    async def DiffPolicySet(  # noqa: N802
        self, request: policy_pb.DiffPolicySetRequest, context: Any
    ) -> policy_pb.DiffPolicySetResponse:
        """What would change."""
        centre = self._centre

        def compare() -> policy_pb.DiffPolicySetResponse:
            rules, after = centre.candidate(request.name, request.source)
            before = centre.program()
            known = centre.sets.get(request.name)
            text = centre.text_of(request.name, request.source)
            lines = difflib.unified_diff(
                (known.source if known is not None else "").splitlines(keepends=True),
                text.splitlines(keepends=True), "published", "draft",
            )  # fmt: skip
            asked = list(dict.fromkeys([*services_of(centre.rules), *services_of(rules)]))
            found, count = changes(before, after, asked, request.limit or 100)
            return policy_pb.DiffPolicySetResponse(
                text="".join(lines), verdicts_changed=count,
                verdicts=[
                    policy_pb.FleetVerdictChange(
                        source=labels_text(one.source), target=labels_text(one.target), service=str(one.service),
                        before=f"{one.before.action.name.lower()} ({one.before.rule})",
                        after=f"{one.after.action.name.lower()} ({one.after.rule})",
                    )
                    for one in found
                ],
            )  # fmt: skip

        return await self._link.core(compare)

    async def SimulatePolicySet(  # noqa: N802
        self, request: policy_pb.SimulatePolicySetRequest, context: Any
    ) -> policy_pb.SimulatePolicySetResponse:
        """One verdict."""
        centre = self._centre
        source, target = getattr(request, "from"), request.to

        def simulate() -> policy_pb.SimulatePolicySetResponse:
            rules, program = centre.candidate(request.name, request.source)
            try:
                answer = ask(
                    program, centre.inventory(), source, target, request.service, named=rules.services
                )
            except ValueError as error:
                raise InvalidValue(str(error)) from None
            return policy_pb.SimulatePolicySetResponse(
                action=answer.verdict.action.name.lower(),
                rule=answer.verdict.rule,
                band=answer.verdict.band.text,
            )

        return await self._link.core(simulate)

    async def PublishPolicySet(  # noqa: N802
        self, request: policy_pb.PublishPolicySetRequest, context: Any
    ) -> policy_pb.PublishPolicySetResponse:
        """A new revision."""
        caller = CALLER.get()
        expected = request.expected_revision if request.HasField("expected_revision") else None
        made = await self._link.core(
            lambda: self._centre.publish(request.name, request.source, caller, request.reason, expected)
        )
        return policy_pb.PublishPolicySetResponse(revision=made.number)

    async def RollbackRevision(  # noqa: N802
        self, request: policy_pb.RollbackRevisionRequest, context: Any
    ) -> policy_pb.RollbackRevisionResponse:
        """An older content, a new number."""
        caller = CALLER.get()
        made = await self._link.core(lambda: self._centre.rollback(request.revision, caller, request.reason))
        return policy_pb.RollbackRevisionResponse(revision=made.number)

    async def ListRevisions(  # noqa: N802
        self, request: policy_pb.ListRevisionsRequest, context: Any
    ) -> policy_pb.ListRevisionsResponse:
        """The newest first."""
        centre, records = self._centre, self._link.book.records

        def find() -> policy_pb.ListRevisionsResponse:
            made: list[policy_pb.FleetRevision] = []
            for one in centre.revisions(request.limit or 20):
                row = policy_pb.FleetRevision(
                    number=one.number,
                    time=one.time,
                    actor=one.actor,
                    reason=one.reason,
                    origin=one.origin,
                    of=one.of,
                )
                row.set = one.set
                if not made:
                    for member in centre.trust.appliances():
                        name = member.who.removeprefix("appliance/")
                        record = records.get(name)
                        _, wanted = centre.wanted(name)
                        if record is not None and record.refusal:
                            row.refused.append(f"{name}: {record.refusal}")
                        elif record is not None and wanted is not None and record.digest == wanted.digest:
                            row.applied += 1
                        else:
                            row.pending += 1
                made.append(row)
            return policy_pb.ListRevisionsResponse(revisions=made)

        return await self._link.core(find)
