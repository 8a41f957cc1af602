# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Run protoc for meson: protoc.py ROOT OUTDIR PROTO...

protoc writes below the package's folder, meson wants its outputs flat in OUTDIR: so generate in a temporary
folder and copy. Files that define a service get the gRPC module and its stub as well.
"""

import shutil
import sys
import tempfile
from importlib import resources
from pathlib import Path

from grpc_tools import protoc


def main(root: str, outdir: str, *protos: str) -> int:
    paths = [str(Path(proto).resolve()) for proto in protos]
    services = [path for path in paths if path.endswith("_service.proto")]
    plugin = Path(sys.executable).with_name("protoc-gen-mypy_grpc")
    include = [f"-I{Path(root).resolve()}", f"-I{resources.files('grpc_tools') / '_proto'}"]
    with tempfile.TemporaryDirectory() as folder:
        runs = [["protoc", *include, f"--python_out={folder}", f"--pyi_out={folder}", *paths]]
        if services:
            runs.append(
                [
                    "protoc",
                    *include,
                    f"--plugin=protoc-gen-mypy_grpc={plugin}",
                    f"--grpc_python_out={folder}",
                    f"--mypy_grpc_out=quiet:{folder}",
                    *services,
                ]
            )
        for run in runs:
            if status := protoc.main(run):
                return int(status)
        for file in Path(folder).rglob("*.py*"):
            shutil.copyfile(file, Path(outdir) / file.name)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
