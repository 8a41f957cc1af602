# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Print every Python requirement of pyproject.toml (build, run time, development), one a line."""

import sys
import tomllib
from pathlib import Path

project = tomllib.loads(Path(sys.argv[1]).read_text())
requirements = (
    project["build-system"]["requires"]
    + project["project"]["dependencies"]
    + project["dependency-groups"]["dev"]
)
print("\n".join(requirements))
