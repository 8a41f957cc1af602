# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Entry point of the `ringfield` command."""

from appliance.cli.main import main

__all__ = ["main"]

if __name__ == "__main__":
    main(prog_name="ringfield")
