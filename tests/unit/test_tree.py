# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Rules that every source file keeps."""

import re
from pathlib import Path

import pytest

from tests.support.tree import ROOT, tracked

HEADER = ("SPDX-License-Identifier: BSD-3-Clause", "Copyright (c) 2026 The Ringfield authors")
SOURCES = (
    "*.c",
    "*.h",
    "*.py",
    "*.pyi",
    "*.proto",
    "*meson.build",
    "meson_options.txt",
    "ringfield",
    ".ci/run",
    "*.sh",
)
MAX_LINES = 1000
MAX_TEST_LINES = 1200  # tables of cases
# Their length follows from the number of functions that the API has.
AS_LONG_AS_NVIDIAS = {"native/include/doca_flow.h", "native/doca/unsupported.c"}


def sources() -> list[object]:
    return [
        pytest.param(path, id=str(path.relative_to(ROOT)))
        for path in tracked(*SOURCES)
        if path.stat().st_size
    ]


@pytest.mark.parametrize("path", sources())
def test_source_file(path: Path) -> None:
    lines = path.read_text().splitlines()
    first = lines[1:3] if lines[0].startswith("#!") else lines[:2]
    assert tuple(re.sub(r"^(//|#|/\*) ", "", line) for line in first) == HEADER
    fixed = str(path.relative_to(ROOT)) in AS_LONG_AS_NVIDIAS
    most = MAX_TEST_LINES if path.is_relative_to(ROOT / "tests") else MAX_LINES
    assert len(lines) <= most or fixed, "too long to be read: split it"


def test_no_marks_of_unfinished_work() -> None:
    marks = re.compile(
        "|".join([r"\bTO" + r"DO\b", r"\bFIX" + r"ME\b", r"\bX" + r"XX\b", "not implemented" + " yet"])
    )
    wrong = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in tracked(*SOURCES, "*.md", "*.toml")
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if marks.search(line)
    ]
    assert not wrong


def test_no_package_that_reads_elf_files() -> None:
    name = "".join(["pyelf", "tools"])
    wrong = [
        path
        for path in tracked("*.py", "*.toml", "*.build", "ringfield", ".ci/run")
        if name in path.read_text()
    ]
    assert not wrong
