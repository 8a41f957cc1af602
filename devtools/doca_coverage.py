#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Write the table of functions in docs/doca-coverage.md from the sources; with --check only say whether it is right.

A function of doca_flow.h is implemented when a file of native/doca defines it, and NOT_SUPPORTED when the file that
does is unsupported.c or when the function ends in a refusal with that code, whatever it is given (or with any argument
but the one that asks for nothing).
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "docs" / "doca-coverage.md"
HEADER = ROOT / "native" / "include" / "doca_flow.h"
SOURCES = ROOT / "native" / "doca"
BEGIN, END = "<!-- functions: begin -->", "<!-- functions: end -->"


def declared(text: str) -> list[str]:
    """Functions that the header declares, in its order: what follows DOCA_STABLE or DOCA_EXPERIMENTAL."""
    return re.findall(r"^DOCA_(?:STABLE|EXPERIMENTAL)\n[^;(]*?\b(doca_flow_\w+)\(", text, re.MULTILINE)


def defined(path: Path) -> set[str]:
    """Functions that a C file defines: a name at the start of a line, whose parameters end before an opening brace."""
    text = path.read_text()
    return set(re.findall(r"^(?!static)[a-z][^;{}=]*?\b(doca_flow_\w+)\([^;{}]*\)\n\{", text, re.MULTILINE))


def refusing(path: Path) -> set[str]:
    """Functions of a C file whose last statement returns NOT_SUPPORTED."""
    body = r"^(?!static)[a-z][^;{}=]*?\b(doca_flow_\w+)\([^;{}]*\)\n\{\n(.*?)\n\}$"
    return {
        name
        for name, text in re.findall(body, path.read_text(), re.MULTILINE | re.DOTALL)
        if re.search(r"^\treturn refuse\(\s*DOCA_ERROR_NOT_SUPPORTED,[^;]*;\Z", text, re.MULTILINE)
    }


def states() -> dict[str, str]:
    """Each function of the header with its state."""
    unsupported = defined(SOURCES / "unsupported.c")
    others: set[str] = set()
    for path in sorted(SOURCES.glob("*.c")):
        if path.name != "unsupported.c":
            refused = refusing(path)
            others |= defined(path) - refused
            unsupported |= refused
    result = {}
    for name in declared(HEADER.read_text()):
        if name in others:
            result[name] = "implemented"
        else:
            result[name] = "NOT_SUPPORTED" if name in unsupported else "missing"
    return result


def table() -> str:
    """The table as it should stand in the document."""
    rows = states()
    done = sum(state == "implemented" for state in rows.values())
    lines = [
        BEGIN,
        f"{done} of {len(rows)} functions of `doca_flow.h` are implemented.",
        "",
        "| function | state |",
        "| --- | --- |",
        *(f"| `{name}` | {state} |" for name, state in rows.items()),
        END,
    ]
    return "\n".join(lines)


def main() -> int:
    """Update or check the document."""
    text = DOCUMENT.read_text()
    begin, end = text.index(BEGIN), text.index(END) + len(END)
    new = text[:begin] + table() + text[end:]
    if "--check" in sys.argv[1:]:
        return int(new != text)
    DOCUMENT.write_text(new)
    return 0


if __name__ == "__main__":
    sys.exit(main())
