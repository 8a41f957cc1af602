# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""The parts of the build are where the package says they are."""

import signal
import subprocess
import sys
from importlib import metadata, resources

from appliance._ringfield import ffi, lib
from appliance.v1 import system_service_pb2, system_service_pb2_grpc


def test_cffi_module_has_the_version_of_the_package() -> None:
    assert ffi.string(lib.ringfield_version()).decode() == metadata.version("ringfield")


def test_fast_path_is_in_the_package() -> None:
    with resources.as_file(resources.files("appliance") / "bin" / "fastpath") as path:
        out = subprocess.run([path, "--version"], check=True, capture_output=True, text=True).stdout
    assert out.startswith("fastpath " + metadata.version("ringfield"))


def test_protobuf_modules_import_each_other() -> None:
    assert system_service_pb2.DESCRIPTOR.package == "appliance.v1"
    assert issubclass(system_service_pb2_grpc.SystemServiceServicer, object)


INTERRUPTED = """
import os, signal, sys
from appliance.__main__ import main

class Interrupts:
    def find_spec(self, name, path=None, target=None):
        if name == "appliance.cli.main":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupts())
main()
"""


def test_an_interrupt_while_it_starts_prints_nothing() -> None:
    done = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, timeout=150)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")
