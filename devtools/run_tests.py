# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""`./ringfield test`: every test, or a part of them.

./ringfield test                    C tests, then pytest
./ringfield test ARGUMENT...        pytest alone, with these arguments (a file, -k NAME, -m soak ...)
./ringfield test --soak [ARGUMENT.] what takes too long for every day: 30 s of links up, a full table ...
./ringfield test --random [ARG...]  random programs, policies and packets: others than every day's
./ringfield test --sanitize [ARG..] C tests, tests/smoke, tests/behaviour with ASan and UBSan (build/asan)
./ringfield test --rootless [ARG..] what needs no root, without root (root becomes nobody), and a demonstration
./ringfield test --aarch64 [ARG...] cross build; C tests and the differential tests of it in qemu (build/aarch64)
./ringfield test --tsan [TEST...]   C tests with several threads, with ThreadSanitizer (build/tsan)
./ringfield test --instructions     instructions per packet by path, counted by callgrind, and what has moved since
                                    they were recorded; --record: records them; a path's name: by function
./ringfield test --fuzz [SECONDS]   every libFuzzer target for so long (default 30; build/fuzz, needs clang-14)
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from devtools.instructions import CountError, instructions, profile
from devtools.sysroot import SysrootError, sysroot

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "cp311"
ASAN = ROOT / "build" / "asan"
FUZZ = ROOT / "build" / "fuzz"
TSAN = ROOT / "build" / "tsan"
AARCH64 = ROOT / "build" / "aarch64"
SANITIZED = ["tests/smoke", "tests/behaviour"]
# What threads share, then what is built on it. Without our vector instructions: these tests are the plain code's, too.
RACING = ["races", "ring", "tags", "exact", "ct", "ct_limits", "doca_threads", "stress"]
EMULATED = ["tests/differential"]
RANDOM = ["tests/oracle", "tests/differential", "tests/intelligence/test_slices.py"]
ROOTLESS = [
    "tests/flow/test_dpu.py",
    "tests/rpc/test_cli.py",
    "tests/smoke/test_backends.py",
    "tests/smoke/test_hugepages.py",
    "tests/smoke/test_process.py",
    "tests/unit/test_package.py",
]
# Nobody, who may read this tree wherever it lies, and no more.
_READ = "+dac_read_search"
NOBODY = [
    *("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"),
    *(f"--{kind}=-all,{_READ}" for kind in ("inh-caps", "ambient-caps", "bounding-set")),
]
CORPUS = ROOT / "tests" / "fuzz" / "corpus"


def say(text: str) -> None:
    """Tell what comes, in order with what the runners print."""
    print(f"ringfield: {text}", flush=True)


def run(command: Sequence[str | Path], **variables: str) -> int:
    """Run in the root of the tree; the exit status, signals as 128 + number.

    Who is interrupted meanwhile waits for the runner, which cleans up, and ends with 130.
    """
    interrupted = False
    process = subprocess.Popen([*map(str, command)], cwd=ROOT, env=os.environ | variables)
    before = signal.signal(signal.SIGTERM, lambda *_: process.send_signal(signal.SIGINT))
    try:
        while True:
            try:
                status = process.wait()
                break
            except KeyboardInterrupt:  # a terminal's goes to the runner, too
                interrupted = True
    finally:
        signal.signal(signal.SIGTERM, before)
    if interrupted:
        sys.exit(130)
    return status if status >= 0 else 128 - status


def c_tests(build: Path, *options: str, **variables: str) -> int:
    """The C tests of a build."""
    return run(["meson", "test", "-C", build, "--no-rebuild", "--print-errorlogs", *options], **variables)


def pytest(arguments: Sequence[str], **variables: str) -> int:
    """pytest with some arguments."""
    return run([sys.executable, "-m", "pytest", *arguments], **variables)


def installed(programs: Mapping[str, str]) -> bool:
    """Whether programs are there; says which Debian packages are missing."""
    missing = [package for program, package in programs.items() if not shutil.which(program)]
    if missing:
        print(f"ringfield: missing Debian packages: {' '.join(missing)}", file=sys.stderr)
    return not missing


def build(
    where: Path, options: Sequence[str], variables: Mapping[str, str], targets: Sequence[str] = ()
) -> int:
    """Configure a build when it is not there, and bring it, or some targets, up to date."""
    if not (where / "build.ninja").exists():
        shutil.rmtree(where, ignore_errors=True)
        say(f"configuring {where.relative_to(ROOT)}")
        done = subprocess.run(
            ["meson", "setup", *options, where],
            cwd=ROOT,
            env=os.environ | variables,
            check=False,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            print(done.stdout, done.stderr, file=sys.stderr)
            return done.returncode
    # Options may have changed since it was configured; meson itself sees when nothing has.
    run(["meson", "configure", where, *(option for option in options if option.startswith("-D"))])
    return run(["ninja", "--quiet", "-C", where, *targets])


def sanitize(arguments: Sequence[str]) -> int:
    """C tests and smoke tests against a sanitized fast path; Python stays as it is."""
    # The sanitizers make gcc see warnings that are none.
    options = ["-Db_sanitize=address,undefined", "-Doptimization=1", "-Dwerror=false"]
    if status := build(ASAN, options, {}):
        return status
    reports = ASAN / "reports"
    shutil.rmtree(reports, ignore_errors=True)
    reports.mkdir()
    variables = {
        "RINGFIELD_BUILD": str(ASAN),
        "RINGFIELD_FASTPATH": str(ASAN / "native/fastpath/fastpath"),
        "ASAN_OPTIONS": f"exitcode=99:log_path={reports}/report",
        "UBSAN_OPTIONS": f"print_stacktrace=1:halt_on_error=1:exitcode=99:log_path={reports}/report",
        "LSAN_OPTIONS": f"suppressions={ROOT}/tests/support/lsan.supp:print_suppressions=0",
    }
    statuses = []
    if not arguments:
        say("C tests, with ASan and UBSan")
        statuses.append(c_tests(ASAN, **variables))
    say("tests against the fast path, with ASan and UBSan")
    statuses.append(pytest(arguments or SANITIZED, **variables))
    # Also of processes whose exit status nobody looks at.
    found = sorted(reports.iterdir())
    for report in found:
        print(report.read_text(errors="replace")[:4000], file=sys.stderr)
    if found:
        say(f"{len(found)} reports of the sanitizers in {reports.relative_to(ROOT)}")
        statuses.append(1)
    return max(statuses)


def tsan(arguments: Sequence[str]) -> int:
    """Tests with threads, built with ThreadSanitizer, against the fast path of every day."""
    names = arguments or RACING
    options = [
        "-Db_sanitize=thread",
        "-Doptimization=1",
        "-Dsimd=false",
        "-Dwerror=false",
        "-Dpython=disabled",
    ]
    if status := build(TSAN, options, {}, [f"tests/native/test_{name}" for name in names]):
        return status
    # Its shadow memory has a fixed place, which random addresses may hit.
    fixed = ["setarch", "--addr-no-randomize"]
    if subprocess.run([*fixed, "true"], check=False, capture_output=True).returncode:
        fixed = []
    variables = {
        "TSAN_OPTIONS": f"suppressions={ROOT}/tests/support/tsan.supp:print_suppressions=0",
        "FASTPATH": str(BUILD / "native/fastpath/fastpath"),
    }
    failed = 0
    for name in names:
        done = subprocess.run(
            [*fixed, TSAN / "tests/native" / f"test_{name}"],
            env=os.environ | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        say(f"{name} with ThreadSanitizer: {'passed' if done.returncode == 0 else 'FAILED'}")
        if done.returncode:
            print(done.stdout[-8000:], flush=True)
        failed += done.returncode != 0
    print(f"tsan: {len(names) - failed} passed, {failed} failed", flush=True)
    return int(failed > 0)


def aarch64(arguments: Sequence[str]) -> int:
    """C tests, and tests against a fast path, of a cross build in qemu's user mode; Python stays as it is."""
    if not installed({"aarch64-linux-gnu-gcc": "gcc-aarch64-linux-gnu", "qemu-aarch64": "qemu-user"}):
        return 1
    try:
        sysroot()
    except SysrootError as error:
        print(f"ringfield: no arm64 sysroot: {error}", file=sys.stderr)
        return 1
    if status := build(AARCH64, [f"--cross-file={ROOT}/devtools/aarch64.ini", "-Dpython=disabled"], {}):
        return status
    statuses = []
    if not arguments:
        say("C tests on aarch64")
        statuses.append(c_tests(AARCH64, "--timeout-multiplier=4"))
    say("tests against the fast path on aarch64")
    variables = {
        "RINGFIELD_FASTPATH": str(AARCH64 / "native/fastpath/emulated"),
        "RINGFIELD_EXAMPLES": os.environ.get("RINGFIELD_EXAMPLES", "8"),
    }
    statuses.append(pytest(arguments or EMULATED, **variables))
    return max(statuses)


def count_instructions(arguments: Sequence[str]) -> int:
    """What packets cost in instructions; only a count that cannot be had is a failure."""
    if not installed({"valgrind": "valgrind"}):
        return 1
    program = BUILD / "tests" / "native" / "instructions"
    try:
        if arguments and arguments != ["--record"]:
            profile(program, arguments[0])
        else:
            instructions(program, record=bool(arguments))
    except CountError as error:
        print(f"ringfield: {error}", file=sys.stderr)
        return 1
    return 0


def rootless(arguments: Sequence[str]) -> int:
    """Tests without root, and the demonstration that needs none."""
    become = NOBODY if os.geteuid() == 0 else []
    with tempfile.TemporaryDirectory(prefix="rf-") as home:
        if become:
            shutil.chown(home, "nobody", "nogroup")
        variables = {
            "HOME": home,
            "TMPDIR": home,
            "HYPOTHESIS_STORAGE_DIRECTORY": f"{home}/hypothesis",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        say("tests without root")
        pytest_words = ["-p", "no:cacheprovider", *(arguments or ROOTLESS)]
        statuses = [run([*become, ROOT / "ringfield", "test", *pytest_words], **variables)]
        if not arguments:
            say("the demonstration without root")
            statuses.append(run([*become, ROOT / "ringfield", "demo", "--rootless", "--quiet"], **variables))
    return max(statuses)


def fuzz(seconds: int) -> int:
    """Every fuzz target, beginning with its kept corpus; a finding is left in build/fuzz."""
    if not installed({"clang-14": "clang-14 libclang-rt-14-dev"}):
        return 1
    options = ["-Dfuzz=true", "-Dpython=disabled", "-Db_sanitize=address,undefined", "-Dwerror=false"]
    if status := build(FUZZ, options, {"CC": "clang-14"}):
        return status
    passed = failed = 0
    for target in sorted((FUZZ / "tests" / "fuzz").glob("fuzz_*")):
        if not os.access(target, os.X_OK) or target.is_dir():
            continue
        name = target.name.removeprefix("fuzz_")
        say(f"fuzzing {name} for {seconds} s")
        with tempfile.TemporaryDirectory() as found:
            status = run(
                [
                    target,
                    f"-max_total_time={seconds}",
                    "-timeout=5",
                    "-verbosity=0",
                    "-print_final_stats=1",
                    f"-artifact_prefix={FUZZ}/{name}-",
                    found,
                    *([CORPUS / name] if (CORPUS / name).is_dir() else []),
                ],
                UBSAN_OPTIONS="print_stacktrace=1:halt_on_error=1",
            )
        passed, failed = passed + (status == 0), failed + (status != 0)
    print(f"fuzz: {passed} passed, {failed} failed", flush=True)
    return int(failed > 0 or passed == 0)


def main(arguments: list[str]) -> int:
    """Exit status of the part that was asked for."""
    match arguments:
        case ["--help" | "-h"]:
            print(__doc__)
            return 0
        case ["--sanitize", *rest]:
            return sanitize(rest)
        case ["--soak", *rest]:
            return pytest(["-m", "soak", *rest])
        case ["--random", *rest]:
            return pytest(rest or RANDOM, RINGFIELD_RANDOM="1")
        case ["--rootless", *rest]:
            return rootless(rest)
        case ["--tsan", *rest]:
            return tsan(rest)
        case ["--aarch64", *rest]:
            return aarch64(rest)
        case ["--instructions", *rest]:
            return count_instructions(rest)
        case ["--fuzz"]:
            return fuzz(30)
        case ["--fuzz", seconds] if seconds.isdigit():
            return fuzz(int(seconds))
        case [] | ["-v" | "-q" | "-x"]:
            return max(c_tests(BUILD), pytest(arguments))
    return pytest(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
