# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Debian's arm64 libraries and headers, unpacked to build/sysroot-arm64 for the cross compiler and the emulator.

apt runs with lists, caches and a status file of its own, so that this machine's architectures, packages and lists
stay as they are, and no root is needed. What is unpacked is kept until this file changes.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SYSROOT = ROOT / "build" / "sysroot-arm64"
PACKAGES = ("libdpdk-dev", "libc6-dev")
# Of all that these depend on; maintainer scripts, and the programs that they need, never run.
WANTED = re.compile(r"lib(?!perl)|linux-libc-dev|zlib1g|ibverbs")
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
DEFAULT = [
    f"http://deb.debian.org/{rest}"
    for rest in (
        "debian bookworm main",
        "debian bookworm-updates main",
        "debian-security bookworm-security main",
    )
]


class SysrootError(Exception):
    """What could not be fetched or unpacked, and what apt said about it."""


def command(arguments: list[str], cwd: Path, **variables: str) -> str:
    """What a command prints; SysrootError when it fails."""
    done = subprocess.run(
        arguments,
        cwd=cwd,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SysrootError(
            f"{' '.join(arguments[:3])} ... failed:\n{done.stdout[-1000:]}{done.stderr[-2000:]}"
        )
    return done.stdout


def mirrors() -> list[str]:
    """Debian's own suites as this machine reaches them, one line of sources.list each, without options."""
    form = "$(ORIGIN)|$(REPO_URI) $(RELEASE) $(COMPONENT)"
    listed = command(["apt-get", "indextargets", "--format", form, "Created-By: Packages"], ROOT)
    found = [line.removeprefix("Debian|") for line in listed.splitlines() if line.startswith("Debian|")]
    return list(dict.fromkeys(found)) or DEFAULT


def private_apt(home: Path) -> Path:
    """A configuration that keeps all of apt in `home`; this machine's proxies stay."""
    for folder in ("state/lists/partial", "cache/archives/partial", "parts"):
        (home / folder).mkdir(parents=True)
    (home / "status").touch()
    lines = [f"deb [signed-by={KEYRING}] {mirror}\n" for mirror in mirrors()]
    (home / "sources.list").write_text("".join(lines))
    settings = {
        "APT::Architecture": "arm64",
        "APT::Sandbox::User": "",
        "APT::Install-Recommends": "false",
        "APT::Update::Error-Mode": "any",
        "Acquire::Languages": "none",
        "Acquire::Retries": "2",
        "Acquire::http::Timeout": "20",
        "Debug::NoLocking": "true",
        "Dir::State": f"{home}/state",
        "Dir::State::status": f"{home}/status",
        "Dir::Cache": f"{home}/cache",
        "Dir::Etc::sourcelist": f"{home}/sources.list",
        "Dir::Etc::sourceparts": f"{home}/parts",
        "Dir::Etc::parts": f"{home}/parts",
    }
    text = [f'{name} "{value}";\n' for name, value in settings.items()]
    text.append('APT::Architectures { "arm64"; };\n')
    for line in command(["apt-config", "dump", "Acquire"], ROOT).splitlines():
        if re.match(r"Acquire::https?::.*Proxy", line, re.IGNORECASE):
            text.append(f"{line}\n")
    configuration = home / "apt.conf"
    configuration.write_text("".join(text))
    return configuration


def fetch(home: Path) -> list[Path]:
    """The packages' files, checked by apt against the mirror's signed lists."""
    apt = {"APT_CONFIG": str(private_apt(home)), "LC_ALL": "C"}
    command(["apt-get", "-q", "update"], home, **apt)
    uris = command(["apt-get", "-qq", "--print-uris", "install", *PACKAGES], home, **apt)
    names = [line.split()[1].partition("_")[0] for line in uris.splitlines()]
    debs = home / "debs"
    debs.mkdir()
    command(["apt-get", "-q", "download", *filter(WANTED.match, names)], debs, **apt)
    return sorted(debs.iterdir())


def sysroot() -> Path:
    """The unpacked tree, made when it is not there. SysrootError says what failed."""
    stamp = SYSROOT / "made-by"
    key = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == key:
        return SYSROOT
    print("ringfield: fetching Debian's arm64 packages into build/sysroot-arm64 (about 60 MB)", flush=True)
    SYSROOT.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="sysroot-", dir=SYSROOT.parent) as home:
        new = Path(home) / "root"
        new.mkdir()
        for deb in fetch(Path(home)):
            command(["dpkg-deb", "--extract", str(deb), str(new)], ROOT)
        (new / "made-by").write_text(key)
        new.chmod(0o755)
        shutil.rmtree(SYSROOT, ignore_errors=True)
        new.rename(SYSROOT)
    return SYSROOT


if __name__ == "__main__":
    try:
        print(sysroot())
    except SysrootError as error:
        sys.exit(f"ringfield: {error}")
