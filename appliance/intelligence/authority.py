# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""The centre's certificate authority, and enrolment tokens.

A token is `rf1.NAME.ID.SECRET.FINGERPRINT`: bound to one name, of the authority whose certificate has that SHA-256.
The centre keeps SHA-256 of the secret, never the secret. Certificates name who they are for in a URI:
`spiffe://CENTRE/appliance/NAME` or `spiffe://CENTRE/operator/NAME`. Keys of clients never come here: only requests.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from appliance.errors import InvalidValue
from appliance.policy.keys import replace_file

SERVER_NAME: Final = "ringfield-centre"
"""What the centre's certificate is for, wherever it listens."""
CA_DAYS: Final = 3650
SERVER_DAYS: Final = 365
CERTIFICATE_SECONDS: Final = 7 * 86400.0
SKEW: Final = timedelta(minutes=5)
_PREFIX: Final = "rf1"
_NAME: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")


def check_name(name: str, what: str = "name") -> None:
    """``InvalidValue``: it cannot be the name of an appliance or an operator."""
    if not 0 < len(name) <= 63 or set(name) - _NAME or name[0] in "-_":
        raise InvalidValue(f"{what}: {name!r} cannot be a name: up to 63 letters, digits, - and _")


def fingerprint(pem: bytes) -> str:
    """SHA-256 of a certificate, in hex."""
    return x509.load_pem_x509_certificate(pem).fingerprint(hashes.SHA256()).hex()


def new_key() -> tuple[bytes, ec.EllipticCurvePrivateKey]:
    """A P-256 key, as PEM too."""
    key = ec.generate_private_key(ec.SECP256R1())
    return key_pem(key), key


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """PKCS #8, not encrypted: the file's mode is what keeps it."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def signing_request(key: ec.EllipticCurvePrivateKey, name: str) -> bytes:
    """A PKCS #10 request, PEM. The name is a courtesy: the centre takes the token's."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(_subject(name))
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a client's certificate says."""

    centre: str
    role: str
    """``appliance`` or ``operator``."""
    name: str
    serial: str
    """Hex."""
    not_after: float
    """Seconds since the epoch."""
    fingerprint: str

    @property
    def who(self) -> str:
        """``appliance/NAME``."""
        return f"{self.role}/{self.name}"


def read_certificate(pem: bytes) -> Certificate:
    """Who a certificate is for. Whether it is signed by the authority is the handshake's business. ``ValueError``."""
    made = x509.load_pem_x509_certificate(pem)
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    for uri in uris:
        parts = uri.removeprefix("spiffe://").split("/")
        if uri.startswith("spiffe://") and len(parts) == 3 and all(parts):
            return Certificate(
                parts[0], parts[1], parts[2], f"{made.serial_number:x}", made.not_valid_after_utc.timestamp(),
                made.fingerprint(hashes.SHA256()).hex(),
            )  # fmt: skip
    raise ValueError("the certificate names nobody: no spiffe:// URI")


class Authority:
    """Signs certificates. Files: ``ca.pem``, ``ca.key``, ``server.pem``, ``server.key``."""

    def __init__(self, directory: Path, centre: str) -> None:
        """Makes the authority at first use."""
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._directory, self.centre = directory, centre
        if not (directory / "ca.key").exists():
            self._make()
        self.pem = (directory / "ca.pem").read_bytes()
        self._certificate = x509.load_pem_x509_certificate(self.pem)
        key = serialization.load_pem_private_key((directory / "ca.key").read_bytes(), None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ValueError(f"{directory / 'ca.key'} is no key of ours")
        self._key = key

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate, in hex."""
        return self._certificate.fingerprint(hashes.SHA256()).hex()

    def _make(self) -> None:
        pem, key = new_key()
        now = datetime.now(UTC)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Ringfield centre {self.centre}"[:64])])
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - SKEW)
            .not_valid_after(now + timedelta(days=CA_DAYS))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(authority=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        replace_file(self._directory / "ca.pem", made.public_bytes(serialization.Encoding.PEM), 0o644)
        replace_file(self._directory / "ca.key", pem, 0o600)

    def server(self, hosts: tuple[str, ...]) -> tuple[bytes, bytes]:
        """Key and certificate of the centre's listeners: made anew at each start, so never old."""
        pem, key = new_key()
        names: list[x509.GeneralName] = [
            x509.DNSName(SERVER_NAME),
            x509.UniformResourceIdentifier(f"spiffe://{self.centre}/centre"),
        ]
        for host in hosts:
            try:
                names.append(x509.IPAddress(ip_address(host)))
            except ValueError:
                names.append(x509.DNSName(host))
        made = self._sign(
            key.public_key(), SERVER_NAME, names, SERVER_DAYS * 86400.0, ExtendedKeyUsageOID.SERVER_AUTH
        )
        return pem, made

    def issue(self, request: bytes, role: str, name: str, seconds: float = CERTIFICATE_SECONDS) -> bytes:
        """A certificate (PEM) for who asks; what the request says of names is not looked at. ``InvalidValue``."""
        try:
            asked = x509.load_pem_x509_csr(request)
            good = asked.is_signature_valid
        except ValueError as error:
            raise InvalidValue(f"signing_request: cannot be read: {error}") from None
        key = asked.public_key()
        if not good:
            raise InvalidValue("signing_request: it is not signed with its own key")
        if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != "secp256r1":
            raise InvalidValue("signing_request: only P-256 keys are taken")
        uri = x509.UniformResourceIdentifier(f"spiffe://{self.centre}/{role}/{name}")
        return self._sign(key, name, [uri], seconds, ExtendedKeyUsageOID.CLIENT_AUTH)

    def _sign(
        self,
        key: ec.EllipticCurvePublicKey,
        name: str,
        names: list[x509.GeneralName],
        seconds: float,
        use: x509.ObjectIdentifier,
    ) -> bytes:
        now = datetime.now(UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(_subject(name))
            .issuer_name(self._certificate.subject)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - SKEW)
            .not_valid_after(now + timedelta(seconds=seconds))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(authority=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([use]), critical=False)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
            )
            .sign(self._key, hashes.SHA256())
        )
        return made.public_bytes(serialization.Encoding.PEM)


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True, key_cert_sign=authority, crl_sign=authority, content_commitment=False,
        key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip


# --- tokens -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Token:
    """A token in its parts."""

    name: str
    id: str
    secret: str
    fingerprint: str
    """Of the authority, hex."""

    @property
    def text(self) -> str:
        """As a person carries it."""
        return ".".join((_PREFIX, self.name, self.id, self.secret, self.fingerprint))

    @property
    def hash(self) -> str:
        """What the centre keeps."""
        return hash_of(self.secret)


def hash_of(secret: str) -> str:
    """SHA-256 in hex. The secrets have 160 random bits, so that a slow hash would add nothing."""
    return hashlib.sha256(secret.encode()).hexdigest()


def same(secret: str, known: str) -> bool:
    """Whether a secret is the one that was hashed; takes the same time for any."""
    return hmac.compare_digest(hash_of(secret), known)


def new_token(name: str, authority: str) -> Token:
    """A fresh one."""
    secret = base64.b32encode(secrets.token_bytes(20)).decode().lower()
    return Token(name, secrets.token_hex(6), secret, authority)


def parse_token(text: str) -> Token:
    """``InvalidValue``: it is none. What is wrong is told without telling the token."""
    parts = text.strip().split(".")
    if len(parts) != 5 or parts[0] != _PREFIX or not all(parts) or len(parts[4]) != 64:
        raise InvalidValue("token: it is none, or not whole: rf1.NAME.ID.SECRET.FINGERPRINT is expected")
    return Token(*parts[1:])
