# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""`./ringfield test`: the C tests, then pytest. Arguments go to pytest, and then only pytest runs."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "cp311"


def main(arguments: list[str]) -> int:
    statuses = []
    if not arguments:
        statuses.append(
            subprocess.call(["meson", "test", "-C", str(BUILD), "--no-rebuild", "--print-errorlogs"])
        )
    statuses.append(subprocess.call([sys.executable, "-m", "pytest", *arguments], cwd=ROOT))
    return max(map(abs, statuses))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
