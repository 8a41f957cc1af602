# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""A centre that cannot write: no half revision, enforcement as it was, the operator told; and on as soon as it can."""

from __future__ import annotations

import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from appliance.intelligence.v1 import fleet_service_pb2, policy_service_pb2
from appliance.v1 import audit_service_pb2
from tests.support.central import DB, POLICY, TIMEOUT, WEB, WORKLOADS, Centre, centre, obeying
from tests.support.fastpath import wait_for
from tests.support.rig import directory

SERVING = health_pb2.HealthCheckResponse.SERVING


@contextmanager
def no_larger_files(made: Centre, size: int) -> Iterator[None]:
    """No file of the centre's grows beyond a size: what a full disk is to it, and nobody else has to suffer."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = resource.prlimit(made.process.pid, resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.prlimit(made.process.pid, resource.RLIMIT_FSIZE, before)


@contextmanager
def small_disk(where: Path, size: str) -> Iterator[None]:
    """A file system of its own, in memory."""
    where.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "none", str(where)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(where)], check=True)


def fill(file: Path) -> None:
    """Take all the room that there is."""
    with file.open("wb", buffering=0) as out, suppress(OSError):
        while out.write(b"x" * 4096):
            pass


def publish_on_and_on(made: Centre) -> None:
    """Until what was reserved is used up, too."""
    for number in range(2000):
        made.publish(POLICY.replace("5432", str(3000 + number)))


def serving(made: Centre, service: str = "") -> bool:
    health: Any = health_pb2_grpc.HealthStub(made.channel)
    answer = health.Check(health_pb2.HealthCheckRequest(service=service), timeout=TIMEOUT)
    return bool(answer.status == SERVING)


def revisions(made: Centre) -> list[int]:
    found = made.policy.ListRevisions(policy_service_pb2.ListRevisionsRequest(), timeout=TIMEOUT)
    return [one.number for one in found.revisions]


def disk_alarms(made: Centre) -> list[str]:
    found = made.fleet.ListAlarms(fleet_service_pb2.ListAlarmsRequest(), timeout=TIMEOUT)
    return [one.text for one in found.alarms if one.kind == "disk"]


def test_a_full_disk_at_the_centre() -> None:
    with directory() as where, centre(where / "c") as made:
        made.apply(WORKLOADS)
        made.publish(POLICY)
        with obeying(where / "a", made.token("dpu1"), made.enrolment) as one:
            made.current("dpu1")
            # Room for a line of the audit log, not for a large revision.
            store = where / "c" / "state"
            size = max(file.stat().st_size for file in store.glob("central.db*"))
            long = POLICY.replace("5432", "22") + "".join(f"# {n} {'x' * 100}\n" for n in range(5000))
            with no_larger_files(made, size + 8192):
                with pytest.raises(grpc.RpcError, match="nothing was changed") as caught:
                    made.publish(long)
                assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
                wait_for("the alarm", lambda: disk_alarms(made))
                assert revisions(made) == [1]
            wait_for("its health", lambda: serving(made))
            # No room for anything: neither store nor audit log, nor what the centre logs.
            with no_larger_files(made, 64):
                for _ in range(2):
                    with pytest.raises(grpc.RpcError):
                        made.publish(POLICY.replace("5432", "22"))
                wait_for("its health", lambda: not serving(made))
                assert not serving(made, "appliance.intelligence.v1.PolicyService")
                assert serving(made, "appliance.intelligence.v1.LinkService")
                assert "no change is taken" in disk_alarms(made)[0]
                with pytest.raises(grpc.RpcError):
                    made.quarantine("web")
                # Who is refused is refused still, and a link that breaks is taken up again.
                one.process.kill()
                one.process.wait()
                with obeying(where / "a") as again:
                    made.current("dpu1")
                    assert again.passes(WEB, DB, 5432)
                    assert not again.passes(WEB, DB, 22)
                    assert made.of("dpu1").state == "connected"
            wait_for("changes to be taken", lambda: serving(made))
            assert "changes are taken again" in disk_alarms(made)[0]
            assert revisions(made) == [1]
            assert made.publish(POLICY.replace("5432", "3306")) == 2
            log = audit_service_pb2.ListAuditEntriesRequest(limit=50)
            actions = [entry.action for entry in made.audit.ListAuditEntries(log, timeout=TIMEOUT).entries]
            assert "audit.lost" in actions
            assert made.audit.VerifyAuditLog(audit_service_pb2.VerifyAuditLogRequest(), timeout=TIMEOUT).good


@pytest.mark.root
def test_a_disk_that_is_full() -> None:
    """A real one: nothing is half done, nothing is forgotten, alarms that found no room are there after all."""
    with directory() as where, small_disk(where / "c" / "state", "4m"):
        with centre(where / "c") as made:
            made.apply(WORKLOADS)
            made.publish(POLICY)
            other = where / "c" / "state" / "other"
            fill(other)
            with pytest.raises(grpc.RpcError):
                publish_on_and_on(made)
            wait_for("the alarm", lambda: disk_alarms(made))
            wait_for("its health", lambda: not serving(made))
            last = max(revisions(made))
            other.unlink()
            wait_for("changes to be taken", lambda: serving(made))
            assert made.publish(POLICY.replace("5432", "3306")) == last + 1
            wait_for("the other alarm", lambda: len(disk_alarms(made)) == 2)
            told = disk_alarms(made)
        with centre(where / "c") as again:
            assert revisions(again)[:2] == [last + 1, last]
            assert disk_alarms(again)[-2:] == told
