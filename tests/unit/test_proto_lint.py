# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""The protos keep the rules of buf's STANDARD category, read from descriptors (Debian has no buf)."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import descriptor_pb2
from grpc_tools import protoc

from tests.support.tree import ROOT, tracked

API = ROOT / "api"
SNAKE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
PASCAL = re.compile(r"([A-Z][a-z0-9]*)+")
UPPER = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*")


def upper_snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).upper()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[descriptor_pb2.FileDescriptorProto]:
    protos = tracked("api/*.proto")
    out = tmp_path_factory.mktemp("api") / "set"
    wellknown = Path(protoc.__file__).parent / "_proto"
    status = protoc.main(
        [
            "protoc",
            f"-I{API}",
            f"-I{wellknown}",
            f"--descriptor_set_out={out}",
            "--include_source_info",
            *map(str, protos),
        ]
    )
    assert status == 0
    return list(descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes()).file)


def lint_enum(enum: descriptor_pb2.EnumDescriptorProto) -> Iterator[str]:
    prefix = upper_snake(enum.name) + "_"
    if not PASCAL.fullmatch(enum.name):
        yield f"enum {enum.name} is not PascalCase"
    if enum.options.allow_alias:
        yield f"enum {enum.name} allows aliases"
    if enum.value[0].number != 0 or enum.value[0].name != prefix + "UNSPECIFIED":
        yield f"enum {enum.name} must begin with {prefix}UNSPECIFIED = 0"
    for value in enum.value:
        if not UPPER.fullmatch(value.name) or not value.name.startswith(prefix):
            yield f"enum value {value.name} must be UPPER_SNAKE_CASE with prefix {prefix}"


def lint_message(message: descriptor_pb2.DescriptorProto) -> Iterator[str]:
    if not PASCAL.fullmatch(message.name):
        yield f"message {message.name} is not PascalCase"
    for kind, members in (("field", message.field), ("oneof", message.oneof_decl)):
        for member in members:
            synthetic = kind == "oneof" and member.name.startswith("_")  # of a proto3 optional field
            if not SNAKE.fullmatch(member.name) and not synthetic:
                yield f"{kind} {message.name}.{member.name} is not lower_snake_case"
    for enum in message.enum_type:
        yield from lint_enum(enum)
    for nested in message.nested_type:
        if not nested.options.map_entry:
            yield from lint_message(nested)


def lint_service(service: descriptor_pb2.ServiceDescriptorProto, package: str) -> Iterator[str]:
    if not PASCAL.fullmatch(service.name) or not service.name.endswith("Service"):
        yield f"service {service.name} must be PascalCase and end in Service"
    for rpc in service.method:
        if not PASCAL.fullmatch(rpc.name):
            yield f"rpc {rpc.name} is not PascalCase"
        for what, given in (("Request", rpc.input_type), ("Response", rpc.output_type)):
            allowed = {f".{package}.{rpc.name}{what}", f".{package}.{service.name}{rpc.name}{what}"}
            if given not in allowed:
                yield f"rpc {service.name}.{rpc.name}: {given} should be {rpc.name}{what}"


def lint_comments(file: descriptor_pb2.FileDescriptorProto) -> Iterator[str]:
    """Beyond STANDARD: what is no request or response says what it is."""
    documented = {tuple(loc.path) for loc in file.source_code_info.location if loc.leading_comments.strip()}
    groups: list[tuple[int, Any]] = [(4, file.message_type), (5, file.enum_type), (6, file.service)]
    for number, items in groups:
        for index, item in enumerate(items):
            if not re.search("(Request|Response)$", item.name) and (number, index) not in documented:
                yield f"{item.name} has no comment"
    for index, service in enumerate(file.service):
        for at, rpc in enumerate(service.method):
            if (6, index, 2, at) not in documented:
                yield f"rpc {service.name}.{rpc.name} has no comment"


def lint(file: descriptor_pb2.FileDescriptorProto) -> Iterator[str]:
    path = Path(file.name)
    if file.syntax != "proto3":
        yield "the syntax must be proto3"
    if str(path.parent) != file.package.replace(".", "/"):
        yield f"package {file.package} does not match the folder"
    if not re.fullmatch(
        r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*\.v[1-9][0-9]*((alpha|beta)[1-9][0-9]*)?", file.package
    ):
        yield f"package {file.package} needs lower_snake_case parts and a version at the end"
    if not SNAKE.fullmatch(path.stem):
        yield "the file name is not lower_snake_case"
    if file.public_dependency:
        yield "import public"
    if bool(file.service) != path.stem.endswith("_service"):
        yield "a file with a service, and no other, is named *_service.proto"
    for enum in file.enum_type:
        yield from lint_enum(enum)
    for message in file.message_type:
        yield from lint_message(message)
    for service in file.service:
        yield from lint_service(service, file.package)
    yield from lint_comments(file)


def test_protos_are_clean(files: list[descriptor_pb2.FileDescriptorProto]) -> None:
    assert files
    assert not [f"{file.name}: {finding}" for file in files for finding in lint(file)]


def test_no_message_serves_two_rpcs(files: list[descriptor_pb2.FileDescriptorProto]) -> None:
    used = [
        name
        for file in files
        for service in file.service
        for rpc in service.method
        for name in (rpc.input_type, rpc.output_type)
    ]
    assert len(used) == len(set(used))


def test_all_protos_are_built(files: list[descriptor_pb2.FileDescriptorProto]) -> None:
    for file in files:
        path = API / file.name
        listed = re.findall(r"'(\w+)',", (path.parent / "meson.build").read_text())
        assert path.stem in listed


def test_the_lint_finds_faults() -> None:
    file = descriptor_pb2.FileDescriptorProto(
        name="appliance/v1/Bad_service.proto", package="appliance", syntax="proto3"
    )
    file.enum_type.add(name="Colour").value.add(name="RED", number=0)
    file.message_type.add(name="bad").field.add(name="BadField", number=1)
    service = file.service.add(name="Bad")
    service.method.add(name="Get", input_type=".appliance.Empty", output_type=".appliance.GetResponse")
    found = "\n".join(lint(file))
    for words in (
        "COLOUR_UNSPECIFIED",
        "bad is not Pascal",
        "bad.BadField",
        "end in Service",
        "GetRequest",
        "version",
    ):
        assert words in found
