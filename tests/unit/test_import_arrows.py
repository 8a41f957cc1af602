# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Who may import whom inside `appliance`."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.tree import ROOT, tracked

# Package -> what it may import from `appliance`, beside itself. A prefix covers what lies below it; the
# longest matching key of this table judges a module. Packages in FREE only compose.
ARROWS: dict[str, set[str]] = {
    "_ringfield": set(),
    "errors": set(),
    "steering": {"_ringfield"},
    "flow": {"steering"},
    "telemetry": {"steering", "flow.types"},
    "policy": {"flow.types", "flow.fields"},
    "policy.reconciler": {"flow"},
    "policy.reading": {"run.document"},
    "policy.readback": {"flow"},
    "intelligence": {"policy", "flow.types", "rpc.convert", "rpc.errors", "v1"},
    "intelligence.directory": {"run.document"},
    "run": {"rpc", "flow", "policy", "telemetry", "intelligence", "v1"},
    "bench": {"flow", "policy", "telemetry", "rpc", "run", "intelligence", "v1"},
    "rpc": {"flow", "policy", "telemetry", "intelligence", "v1"},
}
FREE = {"cli", "demo", "__main__"}
COMMON = {"errors"}  # leaves that any package may import


def below(module: str, prefix: str) -> bool:
    return module == prefix or module.startswith(prefix + ".")


def imports(path: Path, module: str) -> Iterator[str]:
    """Modules of `appliance` that a file imports anywhere in it, without the leading `appliance.`."""
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parents = ["appliance", *package][: 1 + len(package) - (node.level - 1)] if node.level else []
            base = ".".join([*parents, *([node.module] if node.module else [])])
            names = [f"{base}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from (name.removeprefix("appliance.") for name in names if name.startswith("appliance."))


def modules() -> list[tuple[str, Path]]:
    found = []
    for path in tracked("appliance/*.py"):
        parts = path.relative_to(ROOT / "appliance").with_suffix("").parts
        found.append((".".join(parts[:-1] if parts[-1] == "__init__" else parts), path))
    return [(module, path) for module, path in found if module]


@pytest.mark.parametrize(("module", "path"), [pytest.param(m, p, id=m) for m, p in modules()])
def test_imports_follow_the_arrows(module: str, path: Path) -> None:
    top = module.split(".")[0]
    if top in FREE:
        return
    rule = max((key for key in ARROWS if below(module, key)), key=len, default=None)
    assert rule is not None, f"appliance.{top} has no line in ARROWS"
    allowed = ARROWS[rule] | ARROWS[top] | {top} | COMMON
    wrong = [name for name in imports(path, module) if not any(below(name, prefix) for prefix in allowed)]
    assert not wrong, (
        f"appliance.{module} must not import {', '.join(wrong)} (allowed: {', '.join(sorted(allowed))})"
    )


def test_only_steering_touches_cffi() -> None:
    for module, path in modules():
        if below(module, "steering"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            names = (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else []
            )
            assert not any(below(name, "cffi") for name in names), f"appliance.{module} imports cffi"
