# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""PolicyService."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Final

import grpc

from appliance.errors import NotFound
from appliance.policy.blast import services_of
from appliance.policy.control import Segmentation
from appliance.policy.difference import Change, changes
from appliance.policy.evaluate import ask, one_service, truth_table
from appliance.policy.model import PolicySet
from appliance.policy.operation import InForce, Publish
from appliance.policy.program import base_of
from appliance.policy.refusal import Problem, Refused
from appliance.policy.store import Revision
from appliance.rpc.actor import actor_of, address_of
from appliance.rpc.audited import audited
from appliance.rpc.convert import policy as convert
from appliance.rpc.convert.base import BadField
from appliance.rpc.policy_flows import Advice
from appliance.v1 import policy_pb2, policy_service_pb2, policy_service_pb2_grpc

DEFAULT_LIMIT: Final = 100
MAX_ANSWERS: Final = 20_000


class PolicyServicer(policy_service_pb2_grpc.PolicyServiceServicer):
    """Draft, look, publish, go back."""

    service = policy_service_pb2.DESCRIPTOR.services_by_name["PolicyService"].full_name

    def __init__(self, control: Segmentation, advice: Advice) -> None:
        self._control, self._advice = control, advice

    def add_to(self, server: grpc.Server) -> None:
        """Register with a server."""
        policy_service_pb2_grpc.add_PolicyServiceServicer_to_server(self, server)

    # -- policies in requests

    def _text(self, source: policy_pb2.PolicySource) -> tuple[str, str]:
        """Text and file name of a policy that was given."""
        form = source.WhichOneof("form")
        if form is None:
            raise BadField("source.form", "yaml or policy is required")
        file = source.file or ("policy.yaml" if form == "yaml" else "request")
        if form == "yaml":
            return source.yaml, file
        return self._control.write(convert.policy_from(source.policy)), file

    def _given(self, has: bool, source: policy_pb2.PolicySource) -> tuple[str, str]:
        """The policy of a request: given, else the draft, else the running one."""
        if has:
            return self._text(source)
        draft = self._control.draft()
        if draft is not None:
            return draft.source, draft.file
        return self._running_text()

    def _running_text(self) -> tuple[str, str]:
        running = self._control.store.running if not self._control.master else None
        if running is not None:
            return running.source, running.file
        return self._control.write(self._control.in_force.policy), "default"

    def _candidate(self, has: bool, source: policy_pb2.PolicySource) -> InForce:
        """The policy of a request as it would be in force; what is, when it names none and there is no draft."""
        if not has and self._control.draft() is None:
            return self._control.in_force
        return self._control.candidate(*self._given(has, source))

    def _simulated(self, request: policy_service_pb2.SimulatePolicyRequest) -> InForce:
        if not request.in_force:
            if request.more_rules:
                raise BadField("more_rules", "are added to what is in force: set in_force")
            return self._candidate(request.HasField("source"), request.source)
        return self._control.in_force_with(
            [convert.rule_from(rule, f"more_rules[{n}]") for n, rule in enumerate(request.more_rules)]
        )

    def _revision(self, revision: Revision) -> policy_pb2.PolicyRevision:
        status = self._control.status(revision)
        waiting = self._control.confirm
        mine = waiting if waiting is not None and waiting.number == revision.number else None
        appliance = policy_pb2.ApplianceStatus(
            appliance=self._control.settings.appliance, state=convert.STATES[status.state], reason=status.reason,
            seconds=status.seconds,
        )  # fmt: skip
        return convert.revision_to(
            revision,
            [appliance],
            confirm=max(0.001, mine.left) if mine else 0.0,
            canary=mine.canary if mine else "",
            distrust=self._control.store.distrust(revision),
        )

    # -- the draft

    def GetDraft(  # noqa: N802
        self, request: policy_service_pb2.GetDraftRequest, context: grpc.ServicerContext
    ) -> policy_service_pb2.GetDraftResponse:
        """The draft, or the running policy to begin with."""
        draft = self._control.draft()
        if draft is None:
            text, file = self._running_text()
            return policy_service_pb2.GetDraftResponse(
                source=policy_pb2.PolicySource(file=file, yaml=text), is_running=True
            )
        return policy_service_pb2.GetDraftResponse(
            source=policy_pb2.PolicySource(file=draft.file, yaml=draft.source), digest=draft.digest,
            actor=draft.actor,
        )  # fmt: skip

    def UpdateDraft(  # noqa: N802
        self, request: policy_service_pb2.UpdateDraftRequest, context: grpc.ServicerContext
    ) -> policy_service_pb2.UpdateDraftResponse:
        """Keep a draft, and say what a publish would refuse."""
        text, file = self._text(request.source)
        expected = request.expected_digest if request.HasField("expected_digest") else None
        draft = self._control.set_draft(text, file, actor_of(context), expected)
        problems: Iterable[Problem] = ()
        try:
            self._control.candidate(text, file)
        except Refused as refused:
            problems = refused.problems
        return policy_service_pb2.UpdateDraftResponse(
            digest=draft.digest, problems=[convert.problem_to(one) for one in problems]
        )

    # -- looking

    def ValidatePolicy(  # noqa: N802
        self, request: policy_service_pb2.ValidatePolicyRequest, context: grpc.ServicerContext
    ) -> policy_service_pb2.ValidatePolicyResponse:
        """Check and measure."""
        made = self._candidate(request.HasField("source"), request.source)
        return policy_service_pb2.ValidatePolicyResponse(
            sizes=convert.sizes_to(made.program.sizes),
            capacity={table.name: table.spec.nr_entries for table in made.program.tables},
            rows=made.program.sizes.total_rows,
            room=self._control.settings.max_rows,
            in_use=sum(self._control.force.reconciler.tables.values()),
        )

    def DiffPolicy(  # noqa: N802
        self, request: policy_service_pb2.DiffPolicyRequest, context: grpc.ServicerContext
    ) -> policy_service_pb2.DiffPolicyResponse:
        """Texts, rules and verdicts that would change."""
        text, file = self._given(request.HasField("source"), request.source)
        if request.revision:
            older = self._control.store.revision(request.revision)
            old_text, old_file = older.source, f"revision {older.number}"
            before = self._control.candidate(older.source, older.file, check=False)
        else:
            old_text, old_file = self._running_text()[0], f"revision {self._control.revision}"
            before = self._control.in_force
        after = self._candidate(request.HasField("source"), request.source)
        old, new = _by_name(before.policy), _by_name(after.policy)
        lines = difflib.unified_diff(
            old_text.splitlines(keepends=True), text.splitlines(keepends=True), old_file, file
        )
        services = list(dict.fromkeys([*services_of(before.policy), *services_of(after.policy)]))
        found, count = changes(before.program, after.program, services, request.limit or DEFAULT_LIMIT)
        return policy_service_pb2.DiffPolicyResponse(
            text="".join(lines), added=[name for name in new if name not in old],
            removed=[name for name in old if name not in new],
            changed=[name for name in new if name in old and new[name] != old[name]],
            verdicts=[self._change(one, before) for one in found], verdicts_changed=count,
        )  # fmt: skip

    def _change(self, change: Change, before: InForce) -> policy_service_pb2.VerdictChange:
        return policy_service_pb2.VerdictChange(
            source=convert.labels_text(change.source), target=convert.labels_text(change.target),
            service=str(change.service), before=convert.verdict_to(change.before, before.revision),
            after=convert.verdict_to(change.after),
        )  # fmt: skip

    def SimulatePolicy(  # noqa: N802
        self, request: policy_service_pb2.SimulatePolicyRequest, context: grpc.ServicerContext
    ) -> policy_service_pb2.SimulatePolicyResponse:
        """Answers to questions, a truth table, or what-if over the flows that were seen."""
        made = self._simulated(request)
        if request.flows_seconds:
            return self._advice.what_if(made, request.flows_seconds)
        if not request.questions:
            return self._truth_table(made, request.services)
        answers = []
        for index, question in enumerate(request.questions):
            try:
                answer = ask(
                    made.program, made.inventory, question.source, question.target, question.service,
                    named=made.policy.services,
                )  # fmt: skip
            except ValueError as error:
                raise BadField(f"questions[{index}]", str(error)) from None
            verdict = convert.verdict_to(
                answer.verdict, made.revision, answer.source.about, answer.target.about
            )
            answers.append(policy_service_pb2.PolicyAnswer(question=question, verdict=verdict, count=1))
        return policy_service_pb2.SimulatePolicyResponse(answers=answers)

    def _truth_table(
        self, made: InForce, services: Iterable[str]
    ) -> policy_service_pb2.SimulatePolicyResponse:
        given = list(services)
        try:
            asked = [one_service(text, made.policy.services) for text in given]
        except ValueError as error:
            raise BadField("services", str(error)) from None
        try:
            table = truth_table(made.program, asked or services_of(made.policy), most=MAX_ANSWERS)
        except ValueError as error:
            raise BadField("services", str(error)) from None
        identities = made.program.identities
        answers: list[policy_service_pb2.PolicyAnswer] = []
        for s, source in enumerate(table.identities.tolist()):
            for t, target in enumerate(table.identities.tolist()):
                for n, service in enumerate(table.services):
                    verdict = made.program.verdicts[int(table.tags[s, t, n])]
                    ends = identities[base_of(source)], identities[base_of(target)]
                    question = policy_service_pb2.PolicyQuestion(
                        source=convert.labels_text(ends[0]), target=convert.labels_text(ends[1]),
                        service=str(service),
                    )  # fmt: skip
                    answers.append(
                        policy_service_pb2.PolicyAnswer(
                            question=question,
                            verdict=convert.verdict_to(verdict, made.revision, *ends),
                            count=1,
                        )
                    )
        return policy_service_pb2.SimulatePolicyResponse(answers=answers)

    def RecommendPolicy(  # noqa: N802
        self, request: policy_service_pb2.RecommendPolicyRequest, context: grpc.ServicerContext
    ) -> policy_service_pb2.RecommendPolicyResponse:
        """Rules that cover the flows that were seen."""
        return self._advice.recommend(self._control.in_force, request.flows_seconds, tuple(request.labels))

    def AnalyzePolicy(  # noqa: N802
        self, request: policy_service_pb2.AnalyzePolicyRequest, context: grpc.ServicerContext
    ) -> policy_service_pb2.AnalyzePolicyResponse:
        """Rules that are worth a look."""
        return self._advice.analyze(self._candidate(request.HasField("source"), request.source))

    # -- changing

    @audited("policy.publish")
    def PublishPolicy(  # noqa: N802
        self, request: policy_service_pb2.PublishPolicyRequest, context: grpc.ServicerContext
    ) -> policy_service_pb2.PublishPolicyResponse:
        """Bring a policy into force."""
        if request.HasField("source"):
            text, file = self._text(request.source)
        else:
            draft = self._control.draft()
            if draft is None:
                raise NotFound("there is no draft to publish; give a policy, or write a draft first")
            text, file = draft.source, draft.file
        if not 0 <= request.confirm_seconds <= 86400:
            raise BadField("confirm_seconds", "is between 0 and 86400")
        revision = self._control.publish(
            Publish(
                source=text, file=file, reason=request.reason, number=request.number,
                expected=request.expected_revision if request.HasField("expected_revision") else None,
                confirm_seconds=request.confirm_seconds, canary=request.canary, force=request.force,
                publisher=address_of(context),
            ),
            actor_of(context),
        )  # fmt: skip
        return policy_service_pb2.PublishPolicyResponse(revision=self._revision(revision))

    @audited("policy.confirm")
    def ConfirmPolicy(  # noqa: N802
        self, request: policy_service_pb2.ConfirmPolicyRequest, context: grpc.ServicerContext
    ) -> policy_service_pb2.ConfirmPolicyResponse:
        """Keep a revision."""
        revision = self._control.confirm_revision(request.number, actor_of(context))
        return policy_service_pb2.ConfirmPolicyResponse(revision=self._revision(revision))

    @audited("policy.rollback")
    def RollbackPolicy(  # noqa: N802
        self, request: policy_service_pb2.RollbackPolicyRequest, context: grpc.ServicerContext
    ) -> policy_service_pb2.RollbackPolicyResponse:
        """An older content under a new number."""
        expected = request.expected_revision if request.HasField("expected_revision") else None
        revision = self._control.rollback(request.to, actor_of(context), request.reason, expected)
        return policy_service_pb2.RollbackPolicyResponse(revision=self._revision(revision))

    # -- history

    def GetPolicy(  # noqa: N802
        self, request: policy_service_pb2.GetPolicyRequest, context: grpc.ServicerContext
    ) -> policy_service_pb2.GetPolicyResponse:
        """The running policy, or another."""
        now = self._control.in_force
        if request.revision:
            revision: Revision | None = self._control.store.revision(request.revision)
        else:
            revision = self._control.store.running if not self._control.master else None
        if revision is None:
            text, file = self._running_text()
            return policy_service_pb2.GetPolicyResponse(
                source=policy_pb2.PolicySource(file=file, yaml=text), policy=convert.policy_to(now.policy),
                sizes=convert.sizes_to(now.program.sizes),
            )  # fmt: skip
        policy = self._control.read(revision.source, revision.file)
        response = policy_service_pb2.GetPolicyResponse(
            revision=self._revision(revision), policy=convert.policy_to(policy),
            source=policy_pb2.PolicySource(file=revision.file, yaml=revision.source),
        )  # fmt: skip
        if revision.number == now.revision:
            response.sizes.CopyFrom(convert.sizes_to(now.program.sizes))
            response.fault = self._control.fault
        return response

    def ListRevisions(  # noqa: N802
        self, request: policy_service_pb2.ListRevisionsRequest, context: grpc.ServicerContext
    ) -> policy_service_pb2.ListRevisionsResponse:
        """The newest first."""
        revisions = self._control.store.revisions(last=request.limit)
        return policy_service_pb2.ListRevisionsResponse(revisions=[self._revision(one) for one in revisions])


def _by_name(policy: PolicySet) -> Mapping[str, object]:
    return {rule.name: rule for rule in (*policy.rules, *policy.keep)} | {
        side.name: side for side in policy.side_policies
    }
