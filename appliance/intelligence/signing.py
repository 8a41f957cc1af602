# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Statements: what a centre says, to whom, about which state, signed with Ed25519.

The signature covers centre, generation, appliance, kind, number, both digests and the payload, under a context of its
own. An appliance pins the key when it enrols; another key counts only if a statement signed with the one before names
it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from google.protobuf.message import DecodeError

from appliance.errors import FlowError
from appliance.intelligence.v1 import link_pb2, statement_pb2
from appliance.policy.keys import replace_file

CONTEXT: Final = b"ringfield statement v1\n"


class RefusedStatement(FlowError):  # noqa: N818 - errors are named after what is wrong
    """A statement that is not taken: ``kind`` for programs, ``reason`` for people."""

    def __init__(self, kind: link_pb2.RefusalKind, reason: str) -> None:
        self.kind = kind
        super().__init__(reason)


class Signer:
    """A centre's signing keys: the newest signs, older ones only tell of it. Files that only their owner reads."""

    def __init__(self, directory: Path) -> None:
        """Makes a key at first use."""
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._directory = directory
        self._keys: list[Ed25519PrivateKey] = []
        self.public = b""
        """The raw public key, 32 bytes."""
        while (path := self._path(len(self._keys))).exists():
            key = serialization.load_pem_private_key(path.read_bytes(), None)
            if not isinstance(key, Ed25519PrivateKey):
                raise ValueError(f"{path} is no Ed25519 key")
            self._take(key)
        if not self._keys:
            self.rotate()

    def _take(self, key: Ed25519PrivateKey) -> None:
        self._keys.append(key)
        self.public = raw_public(key)

    def _path(self, number: int) -> Path:
        return self._directory / f"statement-{number}.key"

    def rotate(self) -> None:
        """A new key from here on."""
        key = Ed25519PrivateKey.generate()
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        replace_file(self._path(len(self._keys)), pem, 0o600)
        self._take(key)

    def sign(self, statement: statement_pb2.Statement) -> statement_pb2.SignedStatement:
        """A statement that can be sent."""
        return signed(self._keys[-1], statement)

    def sign_with(
        self, public: bytes, statement: statement_pb2.Statement
    ) -> statement_pb2.SignedStatement | None:
        """Signed with an older key; None: it is none of ours."""
        for key in self._keys:
            if raw_public(key) == public:
                return signed(key, statement)
        return None


def raw_public(key: Ed25519PrivateKey) -> bytes:
    """32 bytes."""
    return key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)


def signed(key: Ed25519PrivateKey, statement: statement_pb2.Statement) -> statement_pb2.SignedStatement:
    """Signed with a key."""
    data = statement.SerializeToString(deterministic=True)
    return statement_pb2.SignedStatement(statement=data, signature=key.sign(CONTEXT + data))


def verified(message: statement_pb2.SignedStatement, public: bytes) -> statement_pb2.Statement:
    """What a signed statement says; ``RefusedStatement``: the signature is not that of the key, or it is none."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(message.signature, CONTEXT + message.statement)
    except (InvalidSignature, ValueError):
        raise RefusedStatement(
            link_pb2.REFUSAL_KIND_FORGED, "the signature is not that of the key that was pinned"
        ) from None
    try:
        return statement_pb2.Statement.FromString(message.statement)
    except (ValueError, DecodeError):
        raise RefusedStatement(link_pb2.REFUSAL_KIND_MALFORMED, "it is no statement") from None
