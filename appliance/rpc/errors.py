# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""The one place that turns exceptions into gRPC statuses, and back at the client.

A refusal travels as ``google.rpc.Status`` with a ``FlowErrorDetail``: DOCA's code, the library's sentence, and the
request field at fault when one can be named. Anything else that a servicer raises is an error of ours: INTERNAL, logged
with its trace, and nothing of it shown to the client.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, NoReturn

import grpc
import structlog
from google.protobuf import any_pb2
from google.rpc import status_pb2
from grpc_status import rpc_status

from appliance.errors import Code, FlowError
from appliance.policy.refusal import Refused
from appliance.rpc.convert.base import BadField
from appliance.v1 import flow_pb2, policy_pb2

log = structlog.get_logger(__name__)

STATUS: Final = {
    Code.NOT_PERMITTED: grpc.StatusCode.PERMISSION_DENIED,
    Code.IN_USE: grpc.StatusCode.FAILED_PRECONDITION,
    Code.NOT_SUPPORTED: grpc.StatusCode.UNIMPLEMENTED,
    Code.AGAIN: grpc.StatusCode.UNAVAILABLE,
    Code.INVALID_VALUE: grpc.StatusCode.INVALID_ARGUMENT,
    Code.BAD_CONFIG: grpc.StatusCode.INVALID_ARGUMENT,
    Code.NO_MEMORY: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Code.FULL: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Code.TOO_BIG: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Code.TIME_OUT: grpc.StatusCode.DEADLINE_EXCEEDED,
    Code.SHUTDOWN: grpc.StatusCode.UNAVAILABLE,
    Code.CONNECTION_RESET: grpc.StatusCode.UNAVAILABLE,
    Code.CONNECTION_ABORTED: grpc.StatusCode.UNAVAILABLE,
    Code.NOT_CONNECTED: grpc.StatusCode.UNAVAILABLE,
    Code.NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    Code.BAD_STATE: grpc.StatusCode.FAILED_PRECONDITION,
    Code.UNSUPPORTED_VERSION: grpc.StatusCode.FAILED_PRECONDITION,
    Code.ALREADY_EXIST: grpc.StatusCode.ALREADY_EXISTS,
    Code.AUTHENTICATION: grpc.StatusCode.UNAUTHENTICATED,
    Code.UNKNOWN: grpc.StatusCode.UNKNOWN,
}
"""DOCA's codes; those that are not listed are INTERNAL."""


MAX_PROBLEMS: Final = 20
MAX_REASON: Final = 2000


def status_of(error: FlowError) -> grpc.StatusCode:
    """The gRPC status of a refusal."""
    return STATUS.get(error.code, grpc.StatusCode.INTERNAL)


def _short(reason: str) -> str:
    """What a status line can hold: it travels in a header."""
    return reason if len(reason) <= MAX_REASON else reason[:MAX_REASON] + " ..."


def _abort(context: grpc.ServicerContext, error: FlowError) -> NoReturn:
    field = error.field if isinstance(error, BadField) else ""
    detail = any_pb2.Any()
    detail.Pack(
        flow_pb2.FlowErrorDetail(
            doca_code=int(error.code),
            doca_name=f"DOCA_ERROR_{error.code.name}",
            reason=error.reason,
            field=field,
        )
    )
    details = [detail]
    if isinstance(error, Refused):
        problems = any_pb2.Any()
        problems.Pack(
            policy_pb2.PolicyRefusal(
                problems=[
                    policy_pb2.PolicyProblem(place=one.place, item=one.item, field=one.field, reason=one.why)
                    for one in error.problems[:MAX_PROBLEMS]
                ]
            )
        )
        details.append(problems)
    number = int(status_of(error).value[0])
    context.abort_with_status(
        rpc_status.to_status(status_pb2.Status(code=number, message=_short(error.reason), details=details))
    )


def _guarded(context: grpc.ServicerContext, method: str, call: Callable[[], Any]) -> Any:
    try:
        return call()
    except FlowError as error:
        log.debug("refused", method=method, code=error.code.name, reason=error.reason)
        _abort(context, error)
    except Exception as error:
        if type(error) is Exception and not error.args:  # how grpcio unwinds after context.abort()
            raise
        log.exception("servicer failed", method=method)
        context.abort(grpc.StatusCode.INTERNAL, f"internal error ({type(error).__name__}); the log has more")


class ErrorInterceptor(grpc.ServerInterceptor):
    """Wraps every servicer method."""

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], grpc.RpcMethodHandler[Any, Any] | None],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """The handler, with its exceptions turned into statuses."""
        handler = continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or not method.startswith("/appliance."):
            return handler
        inner: Any = handler
        if inner.response_streaming:
            behaviour = inner.stream_stream if inner.request_streaming else inner.unary_stream
            make = (
                grpc.stream_stream_rpc_method_handler
                if inner.request_streaming
                else grpc.unary_stream_rpc_method_handler
            )

            def stream(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
                responses = iter(_guarded(context, method, lambda: behaviour(request, context)))
                end = object()
                while (response := _guarded(context, method, lambda: next(responses, end))) is not end:
                    yield response

            return make(stream, inner.request_deserializer, inner.response_serializer)
        behaviour = inner.stream_unary if inner.request_streaming else inner.unary_unary
        make_unary: Any = (
            grpc.stream_unary_rpc_method_handler
            if inner.request_streaming
            else grpc.unary_unary_rpc_method_handler
        )

        def unary(request: Any, context: grpc.ServicerContext) -> Any:
            return _guarded(context, method, lambda: behaviour(request, context))

        wrapped: grpc.RpcMethodHandler[Any, Any] = make_unary(
            unary, inner.request_deserializer, inner.response_serializer
        )
        return wrapped


# --- at the client ----------------------------------------------------------------------------------------------


class CallError(Exception):
    """A call that failed: the gRPC status and, when the service refused, DOCA's code and sentence."""

    def __init__(
        self,
        status: grpc.StatusCode,
        reason: str,
        detail: flow_pb2.FlowErrorDetail | None = None,
        refusal: policy_pb2.PolicyRefusal | None = None,
    ) -> None:
        self.status, self.reason, self.detail = status, reason, detail
        self.refusal = refusal
        """Of a policy or an inventory: every problem with its place."""
        super().__init__(f"{reason} [{detail.doca_name if detail else status.name}]")


def call_error(error: grpc.RpcError) -> CallError:
    """What a failed call says."""
    call: Any = error  # what the stubs raise is a grpc.Call as well
    detail = refusal = None
    status = rpc_status.from_call(call)
    for item in status.details if status is not None else ():
        if item.Is(flow_pb2.FlowErrorDetail.DESCRIPTOR):
            detail = flow_pb2.FlowErrorDetail()
            item.Unpack(detail)
        elif item.Is(policy_pb2.PolicyRefusal.DESCRIPTOR):
            refusal = policy_pb2.PolicyRefusal()
            item.Unpack(refusal)
    return CallError(call.code(), call.details() or call.code().name, detail, refusal)
