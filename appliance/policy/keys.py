# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""The appliance's key: it signs the head of the audit log and every policy revision. Ed25519, readable by its owner
alone; whoever has the file can sign as this appliance.
"""

from __future__ import annotations

import base64
import hashlib
import os
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

KEY: Final = "audit.key"
PUBLIC: Final = "audit.pub"


class Key:
    """The key of a state directory, made at first use. Any thread may call.

    Every message is signed under a context (``b"ringfield ... v1\\n"``), so that a signature of one thing is none of
    another.
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = directory / KEY
        if path.exists():
            key = serialization.load_pem_private_key(path.read_bytes(), None)
            if not isinstance(key, Ed25519PrivateKey):
                raise ValueError(f"{path} is no Ed25519 key")
        else:
            key = Ed25519PrivateKey.generate()
            pem = key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            replace_file(path, pem, 0o600)
        self._key = key
        self.fingerprint = fingerprint(key.public_key())
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        if not (directory / PUBLIC).exists():
            replace_file(directory / PUBLIC, public, 0o644)

    def sign(self, context: bytes, message: bytes) -> str:
        """The signature, in base 64."""
        return base64.b64encode(self._key.sign(context + message)).decode()

    def signed(self, context: bytes, message: bytes, signature: str) -> bool:
        """Whether this key made the signature."""
        return is_signed_by(self._key.public_key(), context, message, signature)


def is_signed_by(key: Ed25519PublicKey, context: bytes, message: bytes, signature: str) -> bool:
    """Whether a signature is that of a key."""
    try:
        key.verify(base64.b64decode(signature), context + message)
    except (InvalidSignature, ValueError):
        return False
    return True


def read_public(directory: Path) -> Ed25519PublicKey | None:
    """The public key beside a log; None when there is none that can be read."""
    try:
        key = serialization.load_pem_public_key((directory / PUBLIC).read_bytes())
    except (OSError, ValueError):
        return None
    return key if isinstance(key, Ed25519PublicKey) else None


def fingerprint(key: Ed25519PublicKey) -> str:
    """The first 16 bytes of a public key's SHA-256, in hex."""
    raw = key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return hashlib.sha256(raw).hexdigest()[:32]


def replace_file(path: Path, data: bytes, mode: int) -> None:
    """Write a file so that a crash leaves the old or the new one whole."""
    new = path.with_suffix(path.suffix + ".new")
    new.unlink(missing_ok=True)
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
