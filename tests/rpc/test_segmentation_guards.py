# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""What a publish must not cut by accident, schedules over a restart, and `why` of a record: on real appliances."""

from __future__ import annotations

import json
import socket
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
from click.testing import CliRunner

from appliance.cli.main import main
from appliance.rpc.client import Client
from appliance.run import frames
from appliance.run.frames import Host
from appliance.v1 import (
    observer_pb2,
    observer_service_pb2,
    policy_pb2,
    policy_service_pb2,
    trace_service_pb2,
    workload_service_pb2,
)
from tests.support.fastpath import wait_for
from tests.support.rig import TIMEOUT, Running, directory
from tests.support.segmentation import (
    CONFIG,
    DB,
    OPS,
    POLICY,
    WEB,
    passes,
    publish,
    quarantine,
    refused,
    release,
    running,
)

OTHER = POLICY.replace("tcp/5432", "tcp/3306")


def test_what_the_configuration_protects_is_not_cut_unless_forced() -> None:
    """So the centre is named there."""
    protect = "  protect: [{from: app=web, to: app=db, service: tcp/5432}]\n"
    with running(settings=CONFIG.replace("  policy:", f"{protect}  policy:")) as rig:
        error = refused(
            lambda: publish(rig, OTHER), "would cut tcp/5432 to app=db", "web to db", "refused unless forced"
        )
        assert error.status is grpc.StatusCode.FAILED_PRECONDITION
        assert passes(rig, WEB, DB, 5432)
        publish(rig, POLICY.replace("tcp/22", "tcp/2222"))  # what is not protected may be cut
        assert not passes(rig, OPS, DB, 22)
        quarantine(rig, "web")
        publish(rig, OTHER)  # somebody who is contained has nothing to lose
        release(rig, "web")
        publish(rig, POLICY)
        assert publish(rig, OTHER, force=True).number == 5
        assert not passes(rig, WEB, DB, 5432)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_who_publishes_does_not_cut_himself_off_unless_forced() -> None:
    """He is a workload here, and calls the appliance at its gateway."""
    port = _free_port()
    settings = CONFIG.replace("10.0.0.0/24", "127.0.0.0/24").replace("10.0.0.254", "127.0.0.9")
    settings = settings.replace("10.0.0.", "127.0.0.")
    settings += f"grpc: {{tcp: {{address: '127.0.0.9:{port}', insecure: true}}}}\n"
    reach = f"  - {{name: manage, band: allow, from: any, to: entity=appliance, services: tcp/{port}}}\n"
    with running(POLICY + reach, settings=settings) as rig, Client(f"127.0.0.9:{port}", insecure=True) as web:
        source = policy_pb2.PolicySource(file="new.yaml", yaml=POLICY)
        request = policy_service_pb2.PublishPolicyRequest(source=source)
        refused(
            lambda: web.policy.PublishPolicy(request, timeout=TIMEOUT),
            f"would cut off the publisher: web to 127.0.0.9:{port}",
            "unless forced",
        )
        narrower = POLICY + reach.replace("from: any", "from: app=web")
        source.yaml = narrower
        keeps = policy_service_pb2.PublishPolicyRequest(source=source)
        assert web.policy.PublishPolicy(keeps, timeout=TIMEOUT).revision.number == 2
        request.force = True
        assert web.policy.PublishPolicy(request, timeout=TIMEOUT).revision.number == 3
        publish(rig, POLICY)  # over the unix socket nobody is cut off


def test_schedules_go_on_over_a_restart() -> None:
    """What ends while nobody watches has ended at the next start; what begins later begins then."""
    with directory() as where:
        with running(at=where) as rig:
            ends = datetime.now(UTC) + timedelta(seconds=1.0)
            begins = ends + timedelta(seconds=3.0)
            text = POLICY.replace(
                "name: ops-to-all,", f"name: ops-to-all, schedule: {{expires: '{ends.isoformat()}'}},"
            )
            text += (
                "  - {name: later, band: allow, from: app=web, to: app=ops, services: tcp/80, "
                f"schedule: {{begins: '{begins.isoformat()}'}}}}\n"
            )
            publish(rig, text)
        wait_for("the end", lambda: datetime.now(UTC) > ends)
        with running(at=where) as rig:
            assert not passes(rig, OPS, DB, 22)
            assert passes(rig, WEB, DB, 5432)
            early = not passes(rig, WEB, OPS, 80)
            assert early or datetime.now(UTC) >= begins
            wait_for("the beginning", lambda: passes(rig, WEB, OPS, 80))
            assert datetime.now(UTC) >= begins
            now = rig.client.policy.GetPolicy(policy_service_pb2.GetPolicyRequest(), timeout=TIMEOUT)
            assert now.revision.number == 2, "a schedule is no publish"


def _flows(rig: Running, text: str) -> list[observer_pb2.Flow]:
    request = observer_service_pb2.ListFlowsRequest(filter=text, page_size=100)
    return list(rig.client.observer.ListFlows(request, timeout=TIMEOUT).flows)


def test_why_tells_of_a_record() -> None:
    with running() as rig:
        target = str(rig.appliance.config.grpc.unix)

        def why(*words: str) -> str:
            done = CliRunner().invoke(main, ["-t", target, "why", *words], env={"COLUMNS": "200"})
            assert done.exit_code == 0, done.output
            return done.output

        rig.inject("p1", frames.tcp(WEB, DB, 40000, 22), frames.tcp(WEB, DB, 40001, 5432))
        wait_for("the records", lambda: len(_flows(rig, "port=22")) == len(_flows(rig, "port=5432")) == 1)
        denied = why(str(_flows(rig, "port=22")[0].record))
        assert "web (app=web) was refused tcp/22 to db" in denied
        assert "default" in denied
        assert 'from: "app=web"' in denied or "name=web" in denied, "the smallest rule that would allow it"
        assert "tried" in denied
        allowed = why(str(_flows(rig, "port=5432")[0].record))
        assert "web-to-db" in allowed
        assert "22" in why("web", "db", "tcp/22")
        assert "web-to-db" in why(f"flow={_flows(rig, 'port=5432')[0].flow}")


def test_can_answers_by_what_is_in_force() -> None:
    """Not by a file: also under a canary, under network policies, and when nobody is left whom a rule speaks of."""
    with running() as rig:
        target = str(rig.appliance.config.grpc.unix)

        def can(*words: str) -> dict[str, Any]:
            done = CliRunner().invoke(main, ["-t", target, "--json", "can", *words])
            assert done.exit_code in (0, 1), done.output
            told: dict[str, Any] = json.loads(done.output)
            assert told["allowed"] is (done.exit_code == 0)
            return told

        revision = publish(rig, POLICY.replace("tcp/22", "tcp/2222"), confirm_seconds=60, canary="app=db")
        assert can("ops", "db", "tcp/2222")["allowed"]
        assert not can("ops", "web", "tcp/2222")["allowed"], "no canary is concerned"
        rig.client.policy.ConfirmPolicy(
            policy_service_pb2.ConfirmPolicyRequest(number=revision.number), timeout=TIMEOUT
        )
        isolated = "network_policies:\n  - {name: shut, subjects: app=db, sides: [ingress], allows: []}\n"
        publish(rig, POLICY + isolated)
        told = can("web", "db", "tcp/5432")
        assert told["verdict"]["rule"] == "shut"
        assert "band: override-allow" in told["change"]["rule"], "a plain one would not do"
        assert told["change"]["tried"]
        publish(rig, POLICY)
        rig.client.workloads.DeleteWorkload(
            workload_service_pb2.DeleteWorkloadRequest(name="ops"), timeout=TIMEOUT
        )
        assert can("web", "db", "tcp/5432")["verdict"]["rule"] == "web-to-db"
        assert can("web", "db", "tcp/1")["change"]["tried"]
        question = policy_service_pb2.PolicyQuestion(source="web", target="db", service="tcp/1")
        rule = policy_pb2.PolicyRule(name="r", band=policy_pb2.POLICY_BAND_ALLOW, source="any", target="any")
        request = policy_service_pb2.SimulatePolicyRequest(questions=[question], more_rules=[rule])
        refused(lambda: rig.client.policy.SimulatePolicy(request, timeout=TIMEOUT), "set in_force")


def test_nothing_is_forwarded_from_one_network_to_another() -> None:
    """Whatever the policy says: tenants may have the same addresses."""
    more = "lab: {prefixes: [10.0.0.0/24, 10.0.1.0/24], gateways: [10.0.0.254, 10.0.1.254]}"
    other = (
        "tenant: {vlan: 7, prefixes: [10.0.0.0/16], gateways: [10.0.0.254], gateway_mac: '02:00:00:00:77:00'}"
    )
    settings = CONFIG.replace("lab: {prefixes: [10.0.0.0/24], gateways: [10.0.0.254]}", f"{more}, {other}")
    settings = settings.replace(
        'db: {port: p2, mac: "02:00:00:00:00:02", addresses: 10.0.0.2,',
        'db: {network: tenant, port: p2, mac: "02:00:00:00:00:02", addresses: 10.0.0.3,',
    ).replace('"02:00:00:00:00:03", addresses: 10.0.0.3', '"02:00:00:00:00:03", addresses: 10.0.1.3')
    with running("default: allow\n", settings=settings) as rig:

        def goes(mac: str, address: str) -> str:
            frame = frames.tcp(WEB, Host(mac, address), 40000, 22)
            request = trace_service_pb2.TracePacketRequest(port="p1", frame=frame)
            outcome = rig.client.trace.TracePacket(request, timeout=TIMEOUT).trace.outcomes[0]
            return outcome.port or outcome.drop_reason

        assert goes("02:52:46:00:00:01", "10.0.1.3") == "p3", "between subnets it is routed"
        assert goes(DB.mac, "10.0.0.3") == "no_route"
        assert goes("02:52:46:00:00:01", "10.0.0.3") == "no_route", "that address is the other network's"
        assert goes("02:00:00:00:77:00", "10.0.0.3") == "no_route"
