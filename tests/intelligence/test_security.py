# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Who must not get in, or must not stay: each is refused with the right status, and written into the audit log."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from appliance.errors import Code, FlowError
from appliance.intelligence import enrol
from appliance.intelligence.authority import SERVER_NAME, Authority, new_key, parse_token, signing_request
from appliance.intelligence.v1 import (
    containment_service_pb2,
    containment_service_pb2_grpc,
    enrolment_service_pb2,
    enrolment_service_pb2_grpc,
    fleet_service_pb2,
    fleet_service_pb2_grpc,
    inventory_service_pb2,
    inventory_service_pb2_grpc,
    link_pb2,
    link_service_pb2,
    link_service_pb2_grpc,
)
from appliance.v1 import audit_service_pb2, workload_pb2
from tests.support.central import DB, POLICY, TIMEOUT, WEB, WORKLOADS, Centre, centre, obeying
from tests.support.fastpath import wait_for
from tests.support.rig import directory

NAME = [("grpc.ssl_target_name_override", SERVER_NAME)]


@pytest.fixture(scope="module")
def lab() -> Iterator[tuple[Centre, Path]]:
    with directory() as where, centre(where / "c") as made:
        made.apply(WORKLOADS)
        made.publish(POLICY)
        yield made, where


def refusals(made: Centre) -> list[str]:
    found = made.audit.ListAuditEntries(audit_service_pb2.ListAuditEntriesRequest(limit=100), timeout=TIMEOUT)
    return [f"{one.actor} {one.action}: {one.refusal}" for one in found.entries if one.refusal]


class Link:
    """A stream that a test drives by hand."""

    def __init__(self, address: str, credentials: grpc.ChannelCredentials) -> None:
        self.channel = grpc.secure_channel(address, credentials, NAME)
        self._out: queue.Queue[link_service_pb2.ConnectRequest | None] = queue.Queue()
        self.call: Any = link_service_pb2_grpc.LinkServiceStub(self.channel).Connect(
            iter(self._out.get, None)
        )
        self.ended = threading.Event()
        self.heard: list[link_pb2.LinkDown] = []
        self.error: Any = None
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        try:
            for response in self.call:
                self.heard.append(response.down)
        except grpc.RpcError as error:
            self.error = error
        self.ended.set()

    def say(self, **what: Any) -> None:
        self._out.put(link_service_pb2.ConnectRequest(up=link_pb2.LinkUp(**what)))

    def status(self, seconds: float = 20.0) -> tuple[grpc.StatusCode, str]:
        """How it was ended by the centre."""
        assert self.ended.wait(seconds), "the stream is still open"
        return self.error.code(), self.error.details()

    def close(self) -> None:
        self._out.put(None)
        self.call.cancel()
        self._thread.join(10)
        self.channel.close()


@contextmanager
def link(made: Centre, where: Path) -> Iterator[Link]:
    one = Link(f"127.0.0.1:{made.ports[0]}", enrol.credentials(where))
    try:
        yield one
    finally:
        one.close()


def enrolled(made: Centre, where: Path, name: str) -> Path:
    enrol.enrol(made.token(name), made.enrolment, where / name)
    return where / name


def operator_channel(made: Centre, token: str) -> grpc.Channel:
    authority = enrol.trusted_authority(made.enrolment, parse_token(token).fingerprint)
    credentials = grpc.composite_channel_credentials(
        grpc.ssl_channel_credentials(authority), grpc.access_token_call_credentials(token)
    )
    return grpc.secure_channel(made.enrolment, credentials, NAME)


def test_no_certificate(lab: tuple[Centre, Path]) -> None:
    made, where = lab
    home = enrolled(made, where, "bare")
    credentials = grpc.ssl_channel_credentials((home / enrol.AUTHORITY).read_bytes())
    with grpc.secure_channel(f"127.0.0.1:{made.ports[0]}", credentials, NAME) as channel:
        stub = fleet_service_pb2_grpc.FleetServiceStub(channel)
        with pytest.raises(grpc.RpcError) as caught:
            stub.ListAppliances(fleet_service_pb2.ListAppliancesRequest(), timeout=TIMEOUT)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE  # the handshake fails
    with grpc.secure_channel(made.enrolment, credentials, NAME) as channel:
        stub = fleet_service_pb2_grpc.FleetServiceStub(channel)
        with pytest.raises(grpc.RpcError) as caught:
            stub.ListAppliances(fleet_service_pb2.ListAppliancesRequest(), timeout=TIMEOUT)
        assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert any("bearer token" in one for one in refusals(made))


def test_a_certificate_of_another_authority(lab: tuple[Centre, Path], tmp_path: Path) -> None:
    made, where = lab
    home = enrolled(made, where, "real")
    other = Authority(tmp_path / "other", "lab")
    pem, key = new_key()
    forged = other.issue(signing_request(key, "real"), "appliance", "real")
    credentials = grpc.ssl_channel_credentials((home / enrol.AUTHORITY).read_bytes(), pem, forged)
    one = Link(f"127.0.0.1:{made.ports[0]}", credentials)
    one.say(hello=link_pb2.Hello())
    assert one.status()[0] is grpc.StatusCode.UNAVAILABLE
    one.close()


def test_a_centre_that_is_not_the_one_of_the_token(lab: tuple[Centre, Path], tmp_path: Path) -> None:
    made, _ = lab
    token = made.token("careful")
    with centre(tmp_path / "impostor") as impostor:
        with pytest.raises(FlowError, match="not the centre that gave the token") as caught:
            enrol.enrol(token, impostor.enrolment, tmp_path / "a")
        assert caught.value.code is Code.AUTHENTICATION
    assert not (tmp_path / "a").exists()


def test_tokens_expire_and_are_for_one_name(lab: tuple[Centre, Path], tmp_path: Path) -> None:
    made, _ = lab
    token = made.token("brief", ttl=0.05)
    time.sleep(0.1)
    with pytest.raises(FlowError, match="expired") as caught:
        enrol.enrol(token, made.enrolment, tmp_path / "a")
    assert caught.value.code is Code.AUTHENTICATION
    other = made.token("one").replace(".one.", ".two.")
    with pytest.raises(FlowError, match="for another name"):
        enrol.enrol(other, made.enrolment, tmp_path / "a")
    assert any("unknown call.EnrolmentService/Enrol: token" in one for one in refusals(made))


def test_roles(lab: tuple[Centre, Path]) -> None:
    made, _ = lab
    with operator_channel(made, made.operator("eve", "viewer")) as channel:
        stub = fleet_service_pb2_grpc.FleetServiceStub(channel)
        assert stub.ListAppliances(fleet_service_pb2.ListAppliancesRequest(), timeout=TIMEOUT).revision >= 1
        with pytest.raises(grpc.RpcError, match="eve is a viewer") as caught:
            stub.Revoke(fleet_service_pb2.RevokeRequest(name="appliance/x", reason="no"), timeout=TIMEOUT)
        assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
        contain = containment_service_pb2_grpc.ContainmentServiceStub(channel)
        with pytest.raises(grpc.RpcError, match="is for: admin, responder"):
            contain.Contain(containment_service_pb2.ContainRequest(workloads=["web"]), timeout=TIMEOUT)
    assert any("operator/eve call.FleetService/Revoke" in one for one in refusals(made))
    with operator_channel(made, made.operator("probe", "sensor")) as channel:
        stub = fleet_service_pb2_grpc.FleetServiceStub(channel)
        with pytest.raises(grpc.RpcError, match="probe is a sensor"):
            stub.ListAppliances(fleet_service_pb2.ListAppliancesRequest(), timeout=TIMEOUT)


def test_an_orchestrator_writes_in_its_networks_and_keys_only(lab: tuple[Centre, Path]) -> None:
    made, _ = lab
    token = made.operator("k8s", "orchestrator", networks=["lab"], label_keys=["pod"])
    with operator_channel(made, token) as channel:
        stub = inventory_service_pb2_grpc.InventoryServiceStub(channel)

        def apply(name: str, network: str, **labels: str) -> None:
            place = workload_pb2.WorkloadInterface(
                network=network, port="p1", mac="02:00:00:00:00:77", addresses=["10.0.0.77"], appliance="dpu9"
            )
            spec = workload_pb2.WorkloadSpec(labels=labels, interfaces=[place])
            one = workload_pb2.Workload(name=name, spec=spec)
            stub.ApplyWorkloads(inventory_service_pb2.ApplyWorkloadsRequest(workloads=[one]), timeout=TIMEOUT)

        apply("pod-1", "lab", pod="yes")
        for name, network, labels, words in (
            ("pod-2", "other", {"pod": "yes"}, "network other is none of"),
            ("pod-2", "lab", {"app": "web"}, "label key 'app' is none of"),
            ("web", "lab", {"pod": "yes"}, "local declared it"),
            ("pod-1", "lab", {"kind": "agent"}, "'kind' is reserved"),
        ):
            with pytest.raises(grpc.RpcError, match=words):
                apply(name, network, **labels)
        stub.ApplyWorkloads(inventory_service_pb2.ApplyWorkloadsRequest(remove=["pod-1"]), timeout=TIMEOUT)


def test_a_second_stream_closes_the_first(lab: tuple[Centre, Path]) -> None:
    made, where = lab
    home = enrolled(made, where, "twice")
    with link(made, home) as first:
        first.say(hello=link_pb2.Hello(version="t"))
        wait_for("the first", lambda: made.of("twice").state == "connected")
        with link(made, home) as second:
            second.say(hello=link_pb2.Hello(version="t"))
            assert first.status()[0] is grpc.StatusCode.ABORTED
            assert "second-stream" in made.alarms()
            assert not second.ended.is_set()


def test_revoked(lab: tuple[Centre, Path]) -> None:
    made, where = lab
    home = enrolled(made, where, "bad")
    with link(made, home) as one:
        one.say(hello=link_pb2.Hello(version="t"))
        wait_for("the link", lambda: made.of("bad").state == "connected")
        made.fleet.Revoke(
            fleet_service_pb2.RevokeRequest(name="appliance/bad", reason="stolen"), timeout=TIMEOUT
        )
        status, why = one.status()
        assert status is grpc.StatusCode.UNAUTHENTICATED
        assert "revoked" in why
    with link(made, home) as again:
        again.say(hello=link_pb2.Hello(version="t"))
        assert again.status()[0] is grpc.StatusCode.UNAUTHENTICATED
    pem = (home / enrol.KEY).read_bytes()
    assert pem
    with grpc.secure_channel(f"127.0.0.1:{made.ports[0]}", enrol.credentials(home), NAME) as channel:
        _, key = new_key()
        request = enrolment_service_pb2.RenewCertificateRequest(signing_request=signing_request(key, "bad"))
        with pytest.raises(grpc.RpcError) as caught:
            enrolment_service_pb2_grpc.EnrolmentServiceStub(channel).RenewCertificate(
                request, timeout=TIMEOUT
            )
        assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert any("appliance/bad" in one and "revoked" in one for one in refusals(made))


def test_a_stream_that_says_no_hello(lab: tuple[Centre, Path]) -> None:
    made, where = lab
    with (
        link(made, enrolled(made, where, "loris")) as slow,
        link(made, enrolled(made, where, "rude")) as rude,
    ):
        rude.say(heartbeat=link_pb2.Heartbeat())
        assert rude.status()[0] is grpc.StatusCode.FAILED_PRECONDITION
        assert slow.status(120)[0] is grpc.StatusCode.DEADLINE_EXCEEDED


def test_a_message_that_is_too_large(lab: tuple[Centre, Path]) -> None:
    made, where = lab
    with link(made, enrolled(made, where, "fat")) as one:
        one.say(hello=link_pb2.Hello(version="t"))
        wait_for("the link", lambda: made.of("fat").state == "connected")
        one.say(heartbeat=link_pb2.Heartbeat(fault="x" * (5 << 20)))
        assert one.status()[0] in (grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.CANCELLED)
    assert made.of("fat").state == "lost"


def test_a_certificate_that_expires_ends_the_link_and_not_enforcement() -> None:
    with directory() as where, centre(where / "c", more="certificate_seconds: 10\n") as made:
        made.apply(WORKLOADS)
        made.publish(POLICY)
        token = made.token("dpu1")
        home = where / "a"
        with obeying(home, token, made.enrolment) as one:
            made.current("dpu1")
            # One that does not renew its certificate.
            began = time.monotonic()
            with link(made, enrolled(made, where, "dpu2")) as held:
                held.say(hello=link_pb2.Hello(version="t"))
                wait_for("the link", lambda: made.of("dpu2").state == "connected")
                keep = threading.Timer(6.0, lambda: held.say(heartbeat=link_pb2.Heartbeat()))
                keep.start()
                status, why = held.status(120)
                keep.join()
                assert status is grpc.StatusCode.UNAUTHENTICATED
                assert "expired" in why
                assert time.monotonic() - began > 9
            assert "expired" in made.alarms()
            # One that did, and then loses its centre for longer than any certificate lasts.
            made.current("dpu1")
            made.kill()
            over = enrol.certificate_of(home / "central").not_after
            wait_for("the certificate to expire", lambda: time.time() > over + 0.5)
            assert one.passes(WEB, DB, 5432)
            assert not one.passes(WEB, DB, 22)
