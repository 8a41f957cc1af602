# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Where the log of what runs in the tests' own process goes."""

import contextlib
import os

import structlog


class _Log:
    """Descriptor 2, whatever stands for standard error. A file that may not grow, as in some tests, loses lines."""

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):
            return os.write(2, text.encode())
        return 0

    def flush(self) -> None:
        """Nothing is kept back."""


def log_to_stderr() -> None:
    """An appliance logs at any moment, and must not mix with what a command prints."""
    structlog.reset_defaults()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(_Log()))  # type: ignore[arg-type]
