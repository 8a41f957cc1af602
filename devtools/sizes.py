# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Report lines of code, and the files and functions that are longer than a reader likes."""

import ast
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FILE_LINES = 600
FUNCTION_LINES = 60


def python_functions(text: str) -> Iterator[tuple[str, int]]:
    """Name and length of each function."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno:
            yield node.name, node.end_lineno - node.lineno + 1


def c_functions(text: str) -> Iterator[tuple[str, int]]:
    """Name and length of each function, relying on clang-format: braces of functions stand in column 0."""
    begin, name = 0, ""
    for number, line in enumerate(text.splitlines(), 1):
        if line == "{":
            begin = number
        elif line == "}" and begin:
            yield name, number - begin + 1
            begin = 0
        elif not begin and (found := re.match(r"\w[\w\s*]*?\b(\w+)\(", line)):
            name = found[1]


def main() -> None:
    """Print the report."""
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split()
    totals: Counter[str] = Counter()
    long: list[str] = []
    for name in listed:
        path = ROOT / name
        if path.suffix not in {".c", ".h", ".py", ".proto"}:
            continue
        text = path.read_text()
        lines = text.count("\n")
        totals["/".join(name.split("/")[:2])] += lines
        if lines > FILE_LINES:
            long.append(f"{lines:6} {name}")
        functions = python_functions(text) if path.suffix == ".py" else c_functions(text)
        long += [
            f"{length:6} {name}: {function}" for function, length in functions if length > FUNCTION_LINES
        ]
    for folder, lines in sorted(totals.items()):
        print(f"{lines:6} {folder}")
    print(f"{totals.total():6} in all")
    if long:
        print(f"longer than {FILE_LINES} (file) or {FUNCTION_LINES} (function) lines:", *long, sep="\n")


if __name__ == "__main__":
    main()
