# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""The appliance's part of enrolment, and what it keeps of it.

The appliance authenticates the centre first. It looks at the certificate that is shown, without believing it, asks
whoever showed it for the authority's certificate, and goes on only if that one has the fingerprint that the token
carries. The token is sent over a second connection, which trusts that authority alone. The key never leaves the
directory.
"""

from __future__ import annotations

import json
import os
import socket
import ssl
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from appliance.errors import Code, FlowError, NotConnected
from appliance.intelligence.authority import (
    SERVER_NAME,
    Certificate,
    fingerprint,
    new_key,
    parse_token,
    read_certificate,
    signing_request,
)
from appliance.intelligence.v1 import enrolment_service_pb2, enrolment_service_pb2_grpc
from appliance.policy.keys import replace_file

LINK: Final = "link.json"
KEY: Final = "key.pem"
CERTIFICATE: Final = "certificate.pem"
AUTHORITY: Final = "authority.pem"
HELD: Final = "held"
TIMEOUT: Final = 10.0
OPTIONS: Final[list[tuple[str, Any]]] = [
    ("grpc.ssl_target_name_override", SERVER_NAME),
    ("grpc.max_receive_message_length", 64 << 20),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
]


@dataclass(frozen=True, slots=True)
class Membership:
    """Whom an appliance obeys."""

    centre: str
    name: str
    address: str
    """HOST:PORT of the listener that requires certificates."""
    statement_key: str
    """Hex, as it was when the appliance enrolled."""


def enrolled(directory: Path) -> Membership | None:
    """Whom the appliance obeys; None: nobody."""
    try:
        return Membership(**json.loads((directory / LINK).read_bytes()))
    except FileNotFoundError:
        return None


def certificate_of(directory: Path) -> Certificate:
    """The appliance's own certificate."""
    return read_certificate((directory / CERTIFICATE).read_bytes())


def credentials(directory: Path) -> grpc.ChannelCredentials:
    """For the link."""
    return grpc.ssl_channel_credentials(
        (directory / AUTHORITY).read_bytes(),
        (directory / KEY).read_bytes(),
        (directory / CERTIFICATE).read_bytes(),
    )


def shown_certificate(address: str) -> bytes:
    """The certificate (PEM) that a server shows. Nothing is believed of it. ``NotConnected``."""
    host, _, port = address.rpartition(":")
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    try:
        with (
            socket.create_connection((host.strip("[]"), int(port)), timeout=TIMEOUT) as plain,
            context.wrap_socket(plain, server_hostname=SERVER_NAME) as made,
        ):
            shown = made.getpeercert(binary_form=True)
    except (OSError, ValueError) as error:
        raise NotConnected(f"no centre answers at {address}: {error}") from None
    if not shown:
        raise NotConnected(f"{address} shows no certificate")
    return ssl.DER_cert_to_PEM_cert(shown).encode()


def trusted_authority(address: str, wanted: str) -> bytes:
    """The authority's certificate (PEM) of the centre at an address, which has the wanted fingerprint."""
    shown = shown_certificate(address)
    with grpc.secure_channel(address, grpc.ssl_channel_credentials(shown), OPTIONS) as channel:
        stub = enrolment_service_pb2_grpc.EnrolmentServiceStub(channel)
        try:
            authority = stub.GetAuthority(
                enrolment_service_pb2.GetAuthorityRequest(), timeout=TIMEOUT
            ).certificate
        except grpc.RpcError as error:
            raise _failure(address, error) from None
    try:
        found = fingerprint(authority)
    except ValueError:
        found = "none"
    if found != wanted:
        raise FlowError(
            f"{address} is not the centre that gave the token: its authority is {found[:16]}, not {wanted[:16]}",
            Code.AUTHENTICATION,
        )
    return authority


def enrol(text: str, address: str, directory: Path) -> Membership:
    """Enrol with a token at a centre's enrolment listener; keeps key, certificate and whom it obeys. ``FlowError``."""
    token = parse_token(text)
    authority = trusted_authority(address, token.fingerprint)
    pem, key = new_key()
    with grpc.secure_channel(address, grpc.ssl_channel_credentials(authority), OPTIONS) as channel:
        stub = enrolment_service_pb2_grpc.EnrolmentServiceStub(channel)
        request = enrolment_service_pb2.EnrolRequest(
            token=text, signing_request=signing_request(key, token.name)
        )
        try:
            answer = stub.Enrol(request, timeout=TIMEOUT)
        except grpc.RpcError as error:
            raise _failure(address, error) from None
    host, port = address.rpartition(":")[0], answer.address.rpartition(":")[2]
    told = answer.address if answer.address and not answer.address.startswith(":") else f"{host}:{port}"
    made = Membership(answer.centre, answer.name, told, answer.statement_key.hex())
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Until the last file is there nobody is obeyed.
    (directory / LINK).unlink(missing_ok=True)
    (directory / HELD).unlink(missing_ok=True)
    replace_file(directory / KEY, pem, 0o600)
    replace_file(directory / CERTIFICATE, answer.certificate, 0o644)
    replace_file(directory / AUTHORITY, authority, 0o644)
    replace_file(directory / LINK, json.dumps(asdict(made), indent=1).encode(), 0o600)
    return made


def token_channel(text: str, address: str) -> grpc.Channel:
    """To a centre's enrolment listener as the operator whose token it is. ``FlowError``."""
    authority = trusted_authority(address, parse_token(text).fingerprint)
    credentials = grpc.composite_channel_credentials(
        grpc.ssl_channel_credentials(authority), grpc.access_token_call_credentials(text)
    )
    return grpc.secure_channel(address, credentials, OPTIONS)


def certify(text: str, address: str, directory: Path) -> Certificate:
    """A certificate for the operator whose token it is; key, certificate and authority are kept. ``FlowError``."""
    token = parse_token(text)
    pem, key = new_key()
    with token_channel(text, address) as channel:
        stub = enrolment_service_pb2_grpc.EnrolmentServiceStub(channel)
        request = enrolment_service_pb2.RenewCertificateRequest(
            signing_request=signing_request(key, token.name)
        )
        try:
            made = stub.RenewCertificate(request, timeout=TIMEOUT).certificate
            authority = stub.GetAuthority(
                enrolment_service_pb2.GetAuthorityRequest(), timeout=TIMEOUT
            ).certificate
        except grpc.RpcError as error:
            raise _failure(address, error) from None
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    replace_file(directory / KEY, pem, 0o600)
    replace_file(directory / CERTIFICATE, made, 0o644)
    replace_file(directory / AUTHORITY, authority, 0o644)
    return certificate_of(directory)


def renew(directory: Path, channel: grpc.Channel) -> None:
    """Another key and certificate, over a channel that still uses the one before."""
    pem, key = new_key()
    stub = enrolment_service_pb2_grpc.EnrolmentServiceStub(channel)
    name = certificate_of(directory).name
    answer = stub.RenewCertificate(
        enrolment_service_pb2.RenewCertificateRequest(signing_request=signing_request(key, name)),
        timeout=TIMEOUT,
    )
    # Both or none: a pair that does not match could not dial any more.
    replace_file(directory / "next.pem", pem, 0o600)
    replace_file(directory / CERTIFICATE, answer.certificate, 0o644)
    os.replace(directory / "next.pem", directory / KEY)


def mend(directory: Path) -> None:
    """Finish a renewal that a crash cut short."""
    fresh = directory / "next.pem"
    if not fresh.exists():
        return
    key = serialization.load_pem_private_key(fresh.read_bytes(), None).public_key()
    certificate = x509.load_pem_x509_certificate((directory / CERTIFICATE).read_bytes())
    if key == certificate.public_key():
        os.replace(fresh, directory / KEY)
    else:
        fresh.unlink()


def _failure(address: str, error: grpc.RpcError) -> FlowError:
    status = error.code()
    text = f"the centre at {address}: {error.details() or status.name}"
    if status is grpc.StatusCode.UNAUTHENTICATED:
        return FlowError(text, Code.AUTHENTICATION)
    return NotConnected(text) if status is grpc.StatusCode.UNAVAILABLE else FlowError(text)
