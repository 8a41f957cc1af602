# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Exceptions by DOCA error code.

This module knows the numbers of ``doca_error_t`` and nothing else. ``appliance.steering`` raises,
everybody may catch. Every exception carries the sentence with which the library explains the refusal: it
names pipe, field and rule.
"""

# ruff: noqa: N818 - they are named after the DOCA codes

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar


class Code(IntEnum):
    """``doca_error_t``, value for value."""

    SUCCESS = 0
    UNKNOWN = 1
    NOT_PERMITTED = 2
    IN_USE = 3
    NOT_SUPPORTED = 4
    AGAIN = 5
    INVALID_VALUE = 6
    NO_MEMORY = 7
    INITIALIZATION = 8
    TIME_OUT = 9
    SHUTDOWN = 10
    CONNECTION_RESET = 11
    CONNECTION_ABORTED = 12
    CONNECTION_INPROGRESS = 13
    NOT_CONNECTED = 14
    NO_LOCK = 15
    NOT_FOUND = 16
    IO_FAILED = 17
    BAD_STATE = 18
    UNSUPPORTED_VERSION = 19
    OPERATING_SYSTEM = 20
    DRIVER = 21
    UNEXPECTED = 22
    ALREADY_EXIST = 23
    FULL = 24
    EMPTY = 25
    IN_PROGRESS = 26
    TOO_BIG = 27
    AUTHENTICATION = 28
    BAD_CONFIG = 29
    SKIPPED = 30


class FlowError(Exception):
    """A call that the library, the session or the fast path refused.

    ``code`` is the DOCA code, ``reason`` the library's sentence (never empty). Subclasses exist per code,
    so that ``except Full:`` reads well; a code without a subclass of its own is raised as ``FlowError``
    itself.
    """

    code: Code
    reason: str
    audited: bool = False
    """It has been written into the audit log."""
    default_code: ClassVar[Code] = Code.UNKNOWN

    def __init__(self, reason: str = "", code: Code | None = None) -> None:
        self.code = self.default_code if code is None else code
        self.reason = reason or self.code.name.replace("_", " ").lower()
        super().__init__(f"{self.reason} [DOCA_ERROR_{self.code.name}]")


class NotPermitted(FlowError):
    """The session may not do this (DOCA_ERROR_NOT_PERMITTED)."""

    default_code = Code.NOT_PERMITTED


class InUse(FlowError):
    """Somebody owns or still uses the object (DOCA_ERROR_IN_USE)."""

    default_code = Code.IN_USE


class NotSupported(FlowError):
    """The feature, or this combination, is absent (DOCA_ERROR_NOT_SUPPORTED)."""

    default_code = Code.NOT_SUPPORTED


class Again(FlowError):
    """Transient: process completions and call again (DOCA_ERROR_AGAIN)."""

    default_code = Code.AGAIN


class InvalidValue(FlowError):
    """The arguments contradict each other or the pipe (DOCA_ERROR_INVALID_VALUE)."""

    default_code = Code.INVALID_VALUE


class NoMemory(FlowError):
    """A reserved budget (counters, action memory, segment) is used up (DOCA_ERROR_NO_MEMORY)."""

    default_code = Code.NO_MEMORY


class InitializationFailed(FlowError):
    """Start-up failed (DOCA_ERROR_INITIALIZATION)."""

    default_code = Code.INITIALIZATION


class TimedOut(FlowError):
    """The fast path did not answer within the time given (DOCA_ERROR_TIME_OUT)."""

    default_code = Code.TIME_OUT


class NotConnected(FlowError):
    """There is no fast path at the other end, or it went away (DOCA_ERROR_NOT_CONNECTED)."""

    default_code = Code.NOT_CONNECTED


class ConnectionLost(FlowError):
    """The fast path closed the session (DOCA_ERROR_CONNECTION_RESET)."""

    default_code = Code.CONNECTION_RESET


class NotFound(FlowError):
    """No such port, pipe, entry or resource (DOCA_ERROR_NOT_FOUND)."""

    default_code = Code.NOT_FOUND


class BadState(FlowError):
    """Right call, wrong moment (DOCA_ERROR_BAD_STATE)."""

    default_code = Code.BAD_STATE


class UnsupportedVersion(FlowError):
    """Library and fast path speak different ABIs (DOCA_ERROR_UNSUPPORTED_VERSION)."""

    default_code = Code.UNSUPPORTED_VERSION


class OperatingSystemError(FlowError):
    """A system call failed (DOCA_ERROR_OPERATING_SYSTEM)."""

    default_code = Code.OPERATING_SYSTEM


class DriverError(FlowError):
    """The fast path or its device failed (DOCA_ERROR_DRIVER)."""

    default_code = Code.DRIVER


class AlreadyExists(FlowError):
    """Set or created a second time (DOCA_ERROR_ALREADY_EXIST)."""

    default_code = Code.ALREADY_EXIST


class Full(FlowError):
    """The pipe or the queue has no room (DOCA_ERROR_FULL)."""

    default_code = Code.FULL


class TooBig(FlowError):
    """The request exceeds what the fast path can hold (DOCA_ERROR_TOO_BIG)."""

    default_code = Code.TOO_BIG


class BadConfig(FlowError):
    """A configuration that cannot be used (DOCA_ERROR_BAD_CONFIG)."""

    default_code = Code.BAD_CONFIG


_BY_CODE: dict[Code, type[FlowError]] = {cls.default_code: cls for cls in FlowError.__subclasses__()}


def error_from_code(code: int, reason: str = "") -> FlowError:
    """The exception for a ``doca_error_t``; numbers outside the enum become ``UNKNOWN``."""
    try:
        known = Code(code)
    except ValueError:
        return FlowError(reason or f"unknown error number {code}", Code.UNKNOWN)
    return _BY_CODE.get(known, FlowError)(reason, known)
