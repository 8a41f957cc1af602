# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""The `ringfield` script itself, in a copy of the tree that was never set up."""

import os
import resource
import shutil
import subprocess
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.tree import ROOT, tracked

SETTING_UP = "setting up"
ENVIRONMENT = {
    key: value for key, value in os.environ.items() if not key.startswith(("MESONPY_", "PYTHONPATH"))
}


# What is tested here is the script, not packages and not the code: those are there already, this is compiled quickly.
ENVIRONMENT["CFLAGS"] = "-O0 -g0"
SITE = Path(sysconfig.get_path("purelib"))
OWN = (
    "ringfield",
    "_ringfield",
    "pip",
    "setuptools",
    "_distutils_hack",
    "mypy_protobuf",
)  # the last one has programs
PATIENCE = 500


def start(copy: Path, *arguments: str, **variables: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [copy / "ringfield", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT | variables,
    )


def run(copy: Path, *arguments: str, **variables: str) -> tuple[int, str, str]:
    process = start(copy, *arguments, **variables)
    out, err = process.communicate(timeout=PATIENCE)
    return process.returncode, out, err


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tree as it is checked out, without .venv and build."""
    copy = tmp_path_factory.mktemp("ringfield")
    for path in tracked("*"):
        target = copy / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target)
    return copy


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Packages that pip finds there, so that it fetches none anew; all but ours and its own."""
    made = tmp_path_factory.mktemp("packages")
    for path in SITE.iterdir():
        if not path.name.startswith(OWN) and path.suffix != ".pth":
            (made / path.name).symlink_to(path)
    return made


@pytest.fixture(scope="module")
def copy(bare: Path, packages: Path) -> Iterator[Path]:
    """Set up by two first calls at the same time."""
    ENVIRONMENT["PYTHONPATH"] = str(packages)
    processes = [start(bare, "--version") for _ in range(2)]
    try:
        results = [process.communicate(timeout=PATIENCE) for process in processes]
    finally:
        for process in processes:
            if process.poll() is None:
                process.kill()
                process.communicate()
    assert [process.returncode for process in processes] == [0, 0], results
    assert {out for out, _ in results} == {results[0][0]}
    assert sum(SETTING_UP in err for _, err in results) == 1, "one of them sets up, the other waits"
    yield bare
    del ENVIRONMENT["PYTHONPATH"]
    shutil.rmtree(bare, ignore_errors=True)


def shims(folder: Path, **scripts: str) -> str:
    """A PATH with only what the script needs before set-up, some of it replaced."""
    for tool in ("sh", "readlink", "mkdir", "flock", "cat", "cksum", "sed", "rm", "mktemp", "tail", "env"):
        os.symlink(shutil.which(tool) or tool, folder / tool)
    for name, text in scripts.items():
        shim = folder / name.replace("_", "-")
        shim.write_text(f"#!/bin/sh\n{text}\n")
        shim.chmod(0o755)
    return str(folder)


def test_missing_packages_without_root_are_named(bare: Path, tmp_path: Path) -> None:
    path = shims(tmp_path, dpkg_query="exit 1", id="echo 1000")
    status, out, err = run(bare, "--version", PATH=path)
    assert (status, out) == (1, "")
    assert "as root run: apt-get install libdpdk-dev dpdk" in err


def test_failing_apt_is_told(bare: Path, tmp_path: Path) -> None:
    path = shims(tmp_path, dpkg_query="exit 1", id="echo 0", apt_get="echo E: no network; exit 100")
    status, out, err = run(bare, "--version", PATH=path)
    assert (status, out) == (1, "")
    assert "E: no network" in err
    assert "could not install" in err


def test_wrong_python_is_told(bare: Path, tmp_path: Path) -> None:
    path = shims(tmp_path, dpkg_query="echo installed", id="echo 1000")
    status, _, err = run(bare, "--version", PATH=path, RINGFIELD_PYTHON="/nonexistent/python")
    assert status == 1
    assert "no Python 3.11" in err


def spent() -> float:
    """Seconds of processor that children have had: what else goes on here does not count."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_later_calls_are_silent_and_fast(copy: Path) -> None:
    assert run(copy, "--version")[0] == 0  # byte code
    costs = []
    for _ in range(3):
        begin = spent()
        status, _, err = run(copy, "--version")
        costs.append(spent() - begin)
        assert (status, err) == (0, "")
    begin = spent()
    where = f"{copy}:{ENVIRONMENT['PYTHONPATH']}"
    subprocess.run(
        [copy / ".venv/bin/python", "-m", "appliance", "--version"],
        check=True,
        capture_output=True,
        env=ENVIRONMENT | {"MESONPY_EDITABLE_SKIP": str(copy / "build/cp311"), "PYTHONPATH": where},
    )
    assert min(costs) < spent() - begin + 0.25


def test_changed_sources_are_built(copy: Path) -> None:
    source = copy / "native/steering/version.c"
    text = source.read_text()
    try:
        source.write_text(text + "\n#error broken on purpose\n")
        status, _, err = run(copy, "--version")
        assert status == 1
        assert "broken on purpose" in err
        assert "the build failed" in err
        source.write_text(text + "\n// changed\n")
        status, _, err = run(copy, "--version")
        assert status == 0
        assert "building what changed" in err
    finally:
        source.write_text(text)


def test_it_runs_from_anywhere_and_through_a_link(copy: Path, tmp_path: Path) -> None:
    link = tmp_path / "rf"
    link.symlink_to(copy / "ringfield")
    done = subprocess.run(
        [link, "--version"], cwd="/", check=False, capture_output=True, text=True, env=ENVIRONMENT
    )
    assert done.returncode == 0
    assert "ringfield" in done.stdout


def test_unknown_command_is_a_usage_error(copy: Path) -> None:
    status, _, err = run(copy, "no-such-command")
    assert status == 2
    assert "no-such-command" in err
