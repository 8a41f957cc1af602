# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Entry point of the `ringfield` command."""

import signal


def main() -> None:
    """Run it. Until the command line is there, an interrupt ends the process without a word, as it does any other."""
    interrupt = signal.getsignal(signal.SIGINT)
    if interrupt is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from appliance.cli.main import main as command

    signal.signal(signal.SIGINT, interrupt)
    command(prog_name="ringfield")


if __name__ == "__main__":
    main()
