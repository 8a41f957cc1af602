# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Where the log of what runs in the tests' own process goes."""

import sys

import structlog


def log_to_stderr() -> None:
    """To the process's standard error, whatever has been put in its place: an appliance logs at any moment, and must
    not mix with what a command prints.
    """
    structlog.reset_defaults()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.__stderr__))
