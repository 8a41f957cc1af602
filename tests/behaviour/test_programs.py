# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""C programs against libdoca_flow and a real fast path, where the point of a sample is the C API itself.

Each program prints TAP and checks packets, counters and callbacks; the fast path's fixture checks that packets are
conserved and buffers back.
"""

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.behaviour.stack import port_table
from tests.support.fastpath import Fastpath
from tests.support.tree import ROOT

SECONDS = 90.0
# Program: ports, mode, uplinks.
PROGRAMS = {
    "aging": (2, "vnf", 2),
    "control_entries": (2, "vnf", 2),
    "ct_aging": (2, "switch", 1),
    "ct_many": (4, "switch", 2),
    "ct_random": (2, "switch", 1),
    "ct_refusals": (2, "switch", 1),
    "ct_tcp": (2, "switch", 1),
    "ct_udp": (2, "switch", 1),
    "entries": (2, "vnf", 2),
    "fwd_miss": (2, "vnf", 2),
    "hashing": (2, "vnf", 2),
    "lifecycle": (2, "vnf", 2),
    "log_and_devices": (2, "switch", 1),
    "meters": (2, "vnf", 2),
    "refusals": (4, "vnf", 4),
    "refusals_rules": (3, "vnf", 3),
    "refusals_switch": (2, "switch", 1),
    "resize": (3, "switch", 1),
    "settings": (2, "vnf", 2),
    "shared": (2, "vnf", 2),
    "switching": (3, "switch", 1),
    "table_updates": (2, "vnf", 2),
    "transactions": (2, "vnf", 2),
    "two_switches": (6, "switch", 2),
}

# Rules of the library that no program here breaks: those of Ringfield's own calls (doca_flow_ringfield.h), not of DOCA
# Flow, and what a program can hardly bring about.
OF_EXTENSIONS = {
    "adopt", "attach", "bulk", "ct-adopt", "ct-capacity", "ct-epoch", "ct-flags", "ct-full", "ct-list",
    "ct-meta", "ct-plain", "ct-type", "flow-ring", "packet-ring", "port-resumed", "reader", "rows", "trace",
    "transaction",
}  # fmt: skip
OUT_OF_REACH = {
    "ct-pipes",  # the ninth CT pipe of a process
    "device",  # a port that goes between listing and opening
    "entry-numbers",  # four million entries
    "entry-size",  # 48 actions, the most that a template has, fit
    "queue",  # a fast path that is gone: tests/native/doca_gone_test.c
}
seen: dict[str, set[str]] = {}
"""By program that ran: the rules that calls were refused by, as their sentences name them."""


@pytest.mark.parametrize("program", PROGRAMS)
def test_program(program: str, fastpath: Callable[..., Fastpath], build_dir: Path) -> None:
    """All test points of the program are ok."""
    ports, mode, uplinks = PROGRAMS[program]
    running = fastpath(port_table(ports, mode, uplinks), {"huge": "no", "counters": "24000"})
    result = subprocess.run(
        [str(build_dir / "tests" / "behaviour" / "c" / program)],
        env=os.environ | {"RINGFIELD_RUNTIME_DIR": str(running.directory)},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    lines = result.stdout.splitlines()
    seen[program] = set(re.findall(r"\[([a-z0-9-]+)\]", result.stdout))
    failed = [line for line in lines if not line.startswith(("ok ", "1.."))]
    assert result.returncode == 0, "\n".join([*failed, result.stderr[-3000:]])
    assert not [line for line in lines if line.startswith("not ok ")]
    assert lines[-1].startswith("1.."), "the program did not come to its end"


def test_every_rule_refuses_something() -> None:
    """Each rule that native/doca names when it refuses a call was broken by a program, or is listed elsewhere."""
    if set(seen) != set(PROGRAMS):
        pytest.skip("not all programs ran")
    text = "".join(path.read_text() for path in sorted((ROOT / "native" / "doca").glob("*.c")))
    rules = set(re.findall(r"\.rule = \"([a-z0-9-]+)\"", text))
    rules |= set(re.findall(r"\bbad\(\s*at,\s*DOCA_ERROR_\w+,\s*\"([a-z0-9-]+)\"", text))
    rules |= set(re.findall(r"\bbroken\(\s*cfg,\s*\"[\w.]+\",\s*\"([a-z0-9-]+)\"", text))
    broken = set().union(*seen.values())
    listed = OF_EXTENSIONS | OUT_OF_REACH
    assert not rules - broken - listed, "rules that nothing breaks"
    assert not listed - rules, "rules that there are no more"


def test_a_program_builds_by_pkg_config(tmp_path: Path, build_dir: Path) -> None:
    """doca-flow.pc of the build tree tells where headers and library are."""
    if build_dir.name == "asan":
        pytest.skip("a plain program cannot load a sanitized library")
    flags = subprocess.run(
        ["pkg-config", "--cflags", "--libs", "doca-flow-uninstalled"],
        env=os.environ | {"PKG_CONFIG_PATH": str(build_dir / "meson-uninstalled")},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    source = tmp_path / "first.c"
    source.write_text(
        "#include <doca_flow.h>\nint main(void) { return doca_flow_pipe_entry_get_status(0) != 2; }\n"
    )
    subprocess.run(["cc", str(source), "-o", str(tmp_path / "first"), *flags], check=True, timeout=SECONDS)
    library = build_dir / "native" / "doca"
    subprocess.run(
        [str(tmp_path / "first")],
        env=os.environ | {"LD_LIBRARY_PATH": str(library)},
        check=True,
        timeout=SECONDS,
    )
