# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Instructions per packet on each path of the worker, counted by callgrind, beside what is recorded.

The counts come from tests/native/instructions.c; its paths have the same counts in every run of the same program, and
other compilers and processors move them a little. The record is tests/native/instructions.json. Nothing fails
when a count has moved: it is shown, and `--record` makes it the new record, for the commit that moved it.
"""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RECORD = ROOT / "tests" / "native" / "instructions.json"
OUTPUT = ROOT / "build" / "instructions"
TOLERANCE = 0.05
# The C library's variants for newer processors than the oldest that callgrind knows would move counts.
TUNABLES = "glibc.cpu.hwcaps=-AVX2_Usable,-AVX2,-AVX_Fast_Unaligned_Load,-ERMS,-FSRM,-AVX512F,-AVX512VL"


class CountError(Exception):
    """The program that is counted, or callgrind, failed."""


def callgrind(program: Path, *arguments: str) -> str:
    """What the program printed; its counts are in OUTPUT/callgrind.N, N = 1 ... in the order of its paths."""
    shutil.rmtree(OUTPUT, ignore_errors=True)
    OUTPUT.mkdir(parents=True)
    each = [] if arguments else ["--dump-after=path_done"]
    done = subprocess.run(
        [
            *("valgrind", "--quiet", "--tool=callgrind", "--toggle-collect=measured", *each),
            *(f"--callgrind-out-file={OUTPUT}/callgrind", str(program), *arguments),
        ],
        env=os.environ | {"GLIBC_TUNABLES": TUNABLES, "FLOW_CACHE": "1024"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise CountError(
            f"{program.name} ended with {done.returncode}:\n{done.stdout[-1000:]}{done.stderr[-1000:]}"
        )
    return done.stdout


def count(program: Path) -> dict[str, float]:
    """Instructions per packet by path."""
    counts = {}
    paths = re.findall(r"^(\w[^#\n]*): (\d+)$", callgrind(program).partition("# paths\n")[2], re.MULTILINE)
    for number, (path, packets) in enumerate(paths, 1):
        totals = re.search(r"^totals: (\d+)$", (OUTPUT / f"callgrind.{number}").read_text(), re.MULTILINE)
        if not totals:
            raise CountError(f"callgrind wrote no total for {path}")
        counts[path] = round(int(totals[1]) / int(packets), 1)
    if not counts:
        raise CountError(f"{program.name} told of no path")
    return counts


def compiler() -> str:
    """What decides about the counts beside the sources."""
    return subprocess.run(
        ["cc", "-dumpfullversion"], check=True, capture_output=True, text=True
    ).stdout.strip()


def compare(recorded: Mapping[str, float], counts: Mapping[str, float]) -> list[str]:
    """Print the table; the paths that moved by more than 5 %, came or went, with what they did."""
    moved = []
    print(f"{'instructions per packet':<42}{'recorded':>10}{'now':>10}{'change':>10}")
    for path in {**recorded, **counts}:
        old, new = recorded.get(path), counts.get(path)
        if old and new:
            change = new / old - 1
            shown = f"{change:+.1%}"
            if abs(change) > TOLERANCE:
                moved.append(f"{path} {shown}")
        else:
            shown = "new" if new else "gone"
            moved.append(f"{path} ({shown})")
        columns = (f"{value:.1f}" if value else "-" for value in (old, new))
        print(f"{path:<42}{next(columns):>10}{next(columns):>10}{shown:>10}")
    return moved


def instructions(program: Path, record: bool) -> None:
    """Count, show, and record if wanted. CountError."""
    counts = count(program)
    before = json.loads(RECORD.read_text())
    moved = compare(before["per_packet"], counts)
    if record:
        text = json.dumps(
            {"gcc": compiler(), "per_packet": {path: round(n) for path, n in counts.items()}}, indent=2
        )
        RECORD.write_text(f"{text}\n")
        print(f"recorded in {RECORD.relative_to(ROOT)}")
    elif moved:
        print(f"MOVED by more than {TOLERANCE:.0%}: {'; '.join(moved)}")
        print("  if it is meant: ./ringfield test --instructions --record, and commit the record")
        if before["gcc"] != compiler():
            print(f"  recorded with gcc {before['gcc']}, this is {compiler()}")
    else:
        print(f"none moved by more than {TOLERANCE:.0%}")


def profile(program: Path, path: str) -> None:
    """Print which functions a path's instructions are spent in. CountError."""
    callgrind(program, path)
    subprocess.run(["callgrind_annotate", "--auto=no", "--threshold=95", OUTPUT / "callgrind"], check=True)
