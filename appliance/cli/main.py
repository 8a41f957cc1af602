# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""The `ringfield` command and its groups."""

from importlib.metadata import version

import click


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("ringfield"), prog_name="ringfield")
def main() -> None:
    """A BlueField DPU in software. All tests: ./ringfield test."""
