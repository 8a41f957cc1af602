# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""The source tree and the build under test."""

import fnmatch
import functools
import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# The build under test: that of ./ringfield, or the one that `./ringfield test --sanitize` names.
BUILD = Path(os.environ.get("RINGFIELD_BUILD", ROOT / "build" / "cp311"))


@functools.cache
def _files() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return sorted(name for name in listed.split("\0") if name and (ROOT / name).is_file())


def tracked(*patterns: str) -> list[Path]:
    """Files that git tracks or would add, whose path matches one of the patterns (`*` crosses `/`)."""
    return [ROOT / name for name in _files() if any(fnmatch.fnmatch(name, pattern) for pattern in patterns)]
