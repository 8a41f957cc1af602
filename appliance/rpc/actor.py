# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Who calls: told by how he came in, never by what he says."""

from __future__ import annotations

import hashlib
from typing import Final
from urllib.parse import unquote

import grpc

from appliance.policy.audit import LOCAL, Actor

INSECURE: Final = Actor("unknown", "insecure")


def actor_of(context: grpc.ServicerContext) -> Actor:
    """Over the unix socket ``local``; over mTLS the name in the client's certificate; else nobody in particular."""
    if context.peer().startswith("unix:"):
        return LOCAL
    auth: dict[str, list[bytes]] = {key: list(values) for key, values in context.auth_context().items()}  # type: ignore[arg-type]
    if auth.get("transport_security_type", [b"insecure"]) == [b"insecure"]:
        return INSECURE
    names, certificate = auth.get("x509_common_name", []), auth.get("x509_pem_cert", [])
    if not names or not certificate:
        return Actor("unknown", "tls")
    return Actor(names[0].decode(errors="replace"), f"mtls:{hashlib.sha256(certificate[0]).hexdigest()[:16]}")


def address_of(context: grpc.ServicerContext) -> str:
    """The caller's address; empty over the unix socket."""
    peer = unquote(context.peer())
    if not peer.startswith(("ipv4:", "ipv6:")):
        return ""
    return peer.partition(":")[2].rpartition(":")[0].strip("[]")
