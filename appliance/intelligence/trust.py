# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Who may reach the centre: enrolment tokens, certificates, operators, revocation. Kept in the store."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Final

from appliance.errors import Code, FlowError, InvalidValue, NotFound
from appliance.intelligence.access import Caller, Role
from appliance.intelligence.authority import (
    CERTIFICATE_SECONDS,
    Authority,
    Certificate,
    Token,
    check_name,
    new_token,
    parse_token,
    read_certificate,
    same,
)
from appliance.intelligence.bucket import Bucket
from appliance.intelligence.store import Conflict, Store

TOKEN_SECONDS: Final = 600.0
OPERATOR_SECONDS: Final = 30 * 86400.0
MAX_TTL: Final = 366 * 86400.0
ENROLMENTS_PER_SECOND: Final = 50


class Unauthenticated(FlowError):  # noqa: N818 - errors are named after what is wrong
    """Nobody in particular, or nobody any more."""

    default_code = Code.AUTHENTICATION


@dataclass(frozen=True, slots=True)
class Member:
    """An appliance or an operator."""

    who: str
    """``appliance/NAME``, ``operator/NAME``."""
    serials: tuple[str, ...] = ()
    """Certificates that were issued, hex; the newest last."""
    role: str = ""
    token_id: str = ""
    token_hash: str = ""
    expires: float = 0.0
    networks: tuple[str, ...] = ()
    label_keys: tuple[str, ...] = ()
    revoked: str = ""
    """Why; empty: it is not."""

    def to_bytes(self) -> bytes:
        """For the store."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Member:
        """The inverse."""
        found = json.loads(data)
        tuples = {name: tuple(found[name]) for name in ("serials", "networks", "label_keys")}
        return cls(**found | tuples)


class Trust:
    """Any thread may call."""

    def __init__(
        self,
        store: Store,
        authority: Authority,
        *,
        clock: Callable[[], float] = time.time,
        certificate_seconds: float = CERTIFICATE_SECONDS,
    ) -> None:
        self._store, self._authority, self._clock = store, authority, clock
        self.certificate_seconds = certificate_seconds
        self._lock = threading.RLock()
        self._members = {
            item.key.removeprefix("member/"): Member.from_bytes(item.value) for item in store.range("member/")
        }
        self._revoked = {item.key.removeprefix("revoked/") for item in store.range("revoked/")}
        self._enrolments, self._renewals = (
            Bucket(ENROLMENTS_PER_SECOND, ENROLMENTS_PER_SECOND) for _ in range(2)
        )
        """Apart: who has no token keeps nobody who has a certificate from his next one."""
        self.on_revoke: list[Callable[[str], None]] = []
        """Told ``appliance/NAME`` or ``operator/NAME``."""

    def appliances(self) -> list[Member]:
        """All that ever enrolled, by name."""
        with self._lock:
            return [self._members[who] for who in sorted(self._members) if who.startswith("appliance/")]

    def is_revoked(self, who: str) -> bool:
        """Whether ``appliance/NAME`` or ``operator/NAME`` was revoked, and not enrolled since."""
        with self._lock:
            member = self._members.get(who)
            return member is not None and bool(member.revoked)

    def _keep(self, member: Member, deletes: Sequence[str] = (), **expect: int) -> None:
        item = self._store.get(f"member/{member.who}")
        self._store.commit(
            {f"member/{member.who}": member.to_bytes()}, deletes,
            expect={f"member/{member.who}": item.version if item is not None else 0, **expect},
        )  # fmt: skip
        self._members[member.who] = member

    # -- enrolment

    def enrolment_token(self, name: str, seconds: float) -> Token:
        """A one-time token for an appliance."""
        check_name(name)
        _check_ttl(seconds)
        token = new_token(name, self._authority.fingerprint)
        kept = {"name": name, "hash": token.hash, "expires": self._clock() + (seconds or TOKEN_SECONDS)}
        with self._lock:
            now = self._clock()
            old = [
                item.key
                for item in self._store.range("token/")
                if json.loads(item.value)["expires"] < now or json.loads(item.value)["name"] == name
            ]
            self._store.commit({f"token/{token.id}": json.dumps(kept).encode()}, old)
        return token

    def enrol(self, text: str, request: bytes) -> tuple[str, bytes]:
        """Name and certificate for a token and a request; the token is used up. ``Unauthenticated``."""
        self._bound(self._enrolments)
        token = parse_token(text)
        with self._lock:
            item = self._store.get(f"token/{token.id}")
            kept = json.loads(item.value) if item is not None else None
            if (
                item is None or kept is None or kept["name"] != token.name or not same(token.secret, kept["hash"])
                or kept["expires"] < self._clock()
            ):  # fmt: skip
                raise Unauthenticated("token: it is unknown, used up, expired or for another name")
            certificate = self._authority.issue(request, "appliance", token.name, self.certificate_seconds)
            who = f"appliance/{token.name}"
            # Who enrols anew replaces what had the name: its certificates are good no more.
            old = self._members.get(who)
            revoked = {f"revoked/{serial}": b"enrolled anew" for serial in (old.serials if old else ())}
            member = Member(who, (_serial(certificate),))
            known = self._store.get(f"member/{who}")
            try:
                self._store.commit(
                    {f"member/{who}": member.to_bytes(), **revoked}, [item.key],
                    expect={item.key: item.version, f"member/{who}": known.version if known else 0},
                )  # fmt: skip
            except Conflict:
                raise Unauthenticated("token: it was used up by somebody else") from None
            self._members[who] = member
            self._revoked |= {key.removeprefix("revoked/") for key in revoked}
        for told in self.on_revoke if revoked else ():
            told(who)
        return token.name, certificate

    def admit(self, requests: Mapping[str, bytes]) -> dict[str, bytes]:
        """Certificates for many appliances at once, without tokens: for whoever owns the state directory."""
        made = {
            name: self._authority.issue(request, "appliance", name, self.certificate_seconds)
            for name, request in requests.items()
        }
        members = [Member(f"appliance/{name}", (_serial(one),)) for name, one in made.items()]
        with self._lock:
            if known := [one.who for one in members if one.who in self._members]:
                raise InvalidValue(f"{known[0]}: it belongs to the fleet already")
            self._store.commit(
                {f"member/{one.who}": one.to_bytes() for one in members},
                expect={f"member/{one.who}": 0 for one in members},
            )
            self._members |= {one.who: one for one in members}
        return made

    def renew(self, caller: Caller, request: bytes) -> bytes:
        """Another certificate for an appliance that has one, or for an operator: not for longer than his token."""
        self._bound(self._renewals)
        role, _, name = caller.who.partition("/")
        with self._lock:
            member = self._members.get(caller.who)
            if member is None:
                raise Unauthenticated("only appliances and operators have certificates")
            seconds = self.certificate_seconds
            if member.expires:
                seconds = min(seconds, member.expires - self._clock())
            certificate = self._authority.issue(request, role, name, seconds)
            self._keep(replace(member, serials=(*member.serials[-7:], _serial(certificate))))
        return certificate

    def _bound(self, room: Bucket) -> None:
        """So many a second, whoever asks."""
        with self._lock:
            if not room.take():
                raise FlowError("too many enrolments at a time: try again", Code.AGAIN)

    # -- operators

    def operator_token(
        self, name: str, role: Role, seconds: float, networks: Sequence[str] = (), keys: Sequence[str] = ()
    ) -> Token:
        """A bearer token; one per name, the one before is good no more."""
        check_name(name)
        _check_ttl(seconds)
        if role is not Role.ORCHESTRATOR and (networks or keys):
            raise InvalidValue("networks, label_keys: only an orchestrator is bound to some")
        token = new_token(name, self._authority.fingerprint)
        with self._lock:
            self._keep(
                Member(
                    f"operator/{name}", role=role.value, token_id=token.id, token_hash=token.hash,
                    expires=self._clock() + (seconds or OPERATOR_SECONDS), networks=tuple(networks),
                    label_keys=tuple(keys),
                )
            )  # fmt: skip
        return token

    def by_token(self, text: str) -> Caller:
        """Who has a token. ``Unauthenticated``."""
        try:
            token = parse_token(text)
        except InvalidValue:
            raise Unauthenticated("authorization: it is no token") from None
        with self._lock:
            member = self._members.get(f"operator/{token.name}")
        if (
            member is None or member.token_id != token.id or not same(token.secret, member.token_hash)
            or member.expires < self._clock() or member.revoked
        ):  # fmt: skip
            raise Unauthenticated("authorization: the token is unknown, expired or revoked")
        return Caller(
            member.who, Role(member.role), f"token:{token.id}", None, frozenset(member.networks),
            frozenset(member.label_keys),
        )  # fmt: skip

    # -- certificates

    def by_certificate(self, certificate: Certificate) -> Caller:
        """Who has a certificate that the handshake found good. ``Unauthenticated``: not any more."""
        if why := self.distrust(certificate):
            raise Unauthenticated(why)
        with self._lock:
            member = self._members[certificate.who]
        role = Role.APPLIANCE if certificate.role == "appliance" else Role(member.role or "viewer")
        return Caller(
            certificate.who, role, f"mtls:{certificate.fingerprint[:16]}", certificate,
            frozenset(member.networks), frozenset(member.label_keys),
        )  # fmt: skip

    def distrust(self, certificate: Certificate) -> str:
        """Why a certificate is good no more; empty: it is good."""
        with self._lock:
            member = self._members.get(certificate.who)
            if certificate.centre != self._authority.centre:
                return f"the certificate is of centre {certificate.centre}"
            if member is None or certificate.serial not in member.serials:
                return f"the certificate of {certificate.who} is not one of those that count"
            if member.revoked or certificate.serial in self._revoked:
                return f"the certificate of {certificate.who} was revoked"
            if certificate.not_after <= self._clock():
                return f"the certificate of {certificate.who} has expired"
        return ""

    def revoke(self, who: str, reason: str) -> None:
        """Everything of a name is good no more."""
        if not reason.strip():
            raise InvalidValue("reason: say why; it goes into the audit log")
        with self._lock:
            member = self._members.get(who)
            if member is None:
                raise NotFound(f"there is no {who!r}: appliance/NAME or operator/NAME is expected")
            self._keep(replace(member, revoked=reason, token_hash="", token_id=""))
        for told in self.on_revoke:
            told(who)


def _serial(pem: bytes) -> str:
    return read_certificate(pem).serial


def _check_ttl(seconds: float) -> None:
    if not 0 <= seconds <= MAX_TTL:
        raise InvalidValue(f"ttl_seconds: {seconds:g} is not between 0 and {MAX_TTL:g}")
