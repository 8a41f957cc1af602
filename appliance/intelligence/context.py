# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Around every call at the centre: who calls, whether he may, and how a refusal travels."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from contextvars import ContextVar
from enum import Enum
from typing import Any, Final

import grpc
import structlog

from appliance.errors import FlowError, NotPermitted
from appliance.intelligence import access
from appliance.intelligence.access import LOCAL, Caller
from appliance.intelligence.authority import read_certificate
from appliance.intelligence.bucket import Bucket
from appliance.intelligence.centre import Centre
from appliance.intelligence.store import no_room
from appliance.intelligence.trust import Unauthenticated
from appliance.policy.audit import Actor
from appliance.rpc.errors import status_of

log = structlog.get_logger(__name__)

CALLER: ContextVar[Caller] = ContextVar("caller")
MAX_REASON: Final = 2000
REFUSALS_PER_SECOND: Final = 20.0
REFUSALS_AT_ONCE: Final = 500.0
"""That are written into the audit log one by one, at each door."""


class Door(Enum):
    """How a call came in."""

    UNIX = "unix"
    """The socket that only its owner can open."""
    CERTIFICATE = "certificate"
    """mTLS."""
    TOKEN = "token"  # noqa: S105 - no password
    """The centre alone has a certificate: enrolment, and operators with tokens."""


class Doorkeeper(grpc.aio.ServerInterceptor):
    """Lets in who may."""

    def __init__(self, centre: Centre, door: Door) -> None:
        self._centre, self._door = centre, door
        self._room, self._unwritten = Bucket(REFUSALS_PER_SECOND, REFUSALS_AT_ONCE), 0

    def caller(self, context: Any, method: str) -> Caller | None:
        """Who calls; None: anybody, and the method is for anybody. ``Unauthenticated``."""
        if self._door is Door.UNIX:
            return LOCAL
        if self._door is Door.CERTIFICATE:
            found = context.auth_context().get("x509_pem_cert", [])
            if not found:
                raise Unauthenticated("a certificate is needed")
            try:
                certificate = read_certificate(found[0])
            except ValueError as error:
                raise Unauthenticated(str(error)) from None
            return self._centre.trust.by_certificate(certificate)
        given = dict(context.invocation_metadata() or ()).get("authorization", "")
        if not given and method in access.OPEN:
            return None
        kind, _, token = str(given).partition(" ")
        if kind.lower() != "bearer" or not token:
            raise Unauthenticated("authorization: a bearer token is needed here")
        return self._centre.trust.by_token(token)

    def _admit(self, context: Any, method: str) -> None:
        """Sets who calls, or raises."""
        caller = None
        try:
            caller = self.caller(context, method)
            if caller is not None:
                if method not in access.OPEN:
                    access.check(caller, method)
                CALLER.set(caller)
        except (NotPermitted, Unauthenticated) as error:
            actor = caller.actor if caller is not None else Actor("unknown", self._door.value)
            if not error.audited:
                error.audited = True
                self._write_down(actor, f"call.{method}", context.peer(), error.reason)
            raise

    def _write_down(self, actor: Actor, action: str, target: str, refusal: str) -> None:
        """A refusal, for the audit log. Nobody fills the disk by being refused: above a rate they are counted."""
        if not self._room.take():
            self._unwritten += 1
            return
        try:
            self._tell_unwritten()
            self._centre.audit.append(actor, action, target, refusal=refusal)
        except FlowError as full:  # counted as lost; it is refused all the same
            self._centre.failed = full.reason

    def _tell_unwritten(self) -> None:
        more = self._unwritten
        if more:
            why = f"{more} more calls were refused than are written down"
            self._centre.audit.append(Actor("centre", "centre"), "call.flood", self._door.value, refusal=why)
            self._unwritten -= more

    def settle(self) -> None:
        """Tell how many refusals were not written down one by one, though nobody else is refused."""
        if not self._unwritten or not self._room.take():
            return
        try:
            self._tell_unwritten()
        except FlowError as full:
            self._centre.failed = full.reason

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """The handler behind the door."""
        handler = await continuation(handler_call_details)
        method = access.method_of(handler_call_details.method)
        if handler is None or not method:
            return handler
        if handler.request_streaming and handler.response_streaming:

            async def stream(request: AsyncIterator[Any], context: Any) -> None:
                await self._guarded(context, method, lambda: handler.stream_stream(request, context))

            return grpc.stream_stream_rpc_method_handler(
                stream, handler.request_deserializer, handler.response_serializer
            )

        async def unary(request: Any, context: Any) -> Any:
            try:
                call = lambda: handler.unary_unary(request, context)  # noqa: E731, F821
                return await self._guarded(context, method, call)
            finally:
                del request  # gRPC keeps what aborts a call in a cycle, and this frame with it

        return grpc.unary_unary_rpc_method_handler(
            unary, handler.request_deserializer, handler.response_serializer
        )

    async def _guarded(self, context: Any, method: str, call: Callable[[], Any]) -> Any:
        status, reason = grpc.StatusCode.INTERNAL, ""
        try:
            self._admit(context, method)
            found = call()
            return await found if inspect.isawaitable(found) else found
        except FlowError as error:
            log.debug("refused", method=method, reason=error.reason)
            if method in access.OPEN and not error.audited:
                error.audited = True
                self._write_down(
                    Actor("unknown", self._door.value), f"call.{method}", context.peer(), error.reason
                )
            if no_room(error):
                self._centre.failed = error.reason
            status = status_of(error)
            reason = error.reason if len(error.reason) <= MAX_REASON else error.reason[:MAX_REASON] + " ..."
        except grpc.aio.AbortError:
            raise
        except Exception as error:
            log.exception("a call failed", method=method)
            reason = f"internal error ({type(error).__name__}); the log has more"
        # Not while an error is handled, which knows all that the caller has sent: it would be kept, too.
        return await context.abort(status, reason)
