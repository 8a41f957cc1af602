# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Refused calls in the audit log, also those that are refused before anything is looked up."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Protocol, TypeVar

import grpc

from appliance.policy.control import Segmentation
from appliance.rpc.actor import actor_of


class _Servicer(Protocol):
    _control: Segmentation


S = TypeVar("S", bound=_Servicer)
Request = TypeVar("Request")
Response = TypeVar("Response")
Call = Callable[[S, Request, grpc.ServicerContext], Response]


def _target(request: Any) -> str:
    """What a request speaks of, in the words of the caller."""
    for name in ("name", "workload", "target", "source"):
        found = getattr(request, name, None)
        if isinstance(found, str):
            return found
        if name == "workload" and found is not None:
            return str(found.name)
        if name == "target" and found is not None:
            return ", ".join([*found.workloads[:20], found.selector]).strip(", ")
        if name == "source" and found is not None:
            return str(found.file)
    return ""


def audited(action: str) -> Callable[[Call[S, Request, Response]], Call[S, Request, Response]]:
    """For methods of servicers that change something: a refusal is written down as one of ``action``."""

    def wrap(call: Call[S, Request, Response]) -> Call[S, Request, Response]:
        @wraps(call)
        def checked(self: S, request: Request, context: grpc.ServicerContext) -> Response:
            control, reason = self._control, str(getattr(request, "reason", ""))
            with control.audit.refusals(
                actor_of(context), action, _target(request), reason, control.revision
            ):
                return call(self, request, context)

        return checked

    return wrap
