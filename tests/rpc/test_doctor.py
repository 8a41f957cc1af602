# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""`ringfield doctor` and `ringfield support-bundle`: what they find, and what they must never carry away."""

import datetime
import fcntl
import json
import os
import tarfile
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from appliance.cli.doctor_checks import Finding, Mark, certificate, configuration, runtime
from appliance.cli.main import main
from appliance.cli.support_bundle import redact
from tests.support.rig import ROUTER, running

SECRETS = ("hunter2", "s3cr3t-t0ken", "MIIEvQIBADANBgkq", "dXNlcjpwYXNzd29yZA==")
KEY = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkq\n-----END PRIVATE KEY-----\n"


def certified(where: Path, begins: int, ends: int) -> tuple[Path, Path]:
    """A certificate that is valid from ``begins`` to ``ends`` days from now, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now + datetime.timedelta(days=begins))
        .not_valid_after(now + datetime.timedelta(days=ends))
        .sign(key, hashes.SHA256())
    )
    (where / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (where / "key.pem").write_bytes(private)
    (where / "key.pem").chmod(0o600)
    return where / "cert.pem", where / "key.pem"


@pytest.mark.parametrize(
    ("begins", "ends", "mark", "words"),
    [
        (-1, 365, Mark.GOOD, "days left"),
        (-1, 10, Mark.WARNING, "expires in"),
        (-20, -2, Mark.FAILURE, "expired on"),
        (2, 20, Mark.FAILURE, "not valid before"),
    ],
)
def test_certificates(tmp_path: Path, begins: int, ends: int, mark: Mark, words: str) -> None:
    found = certificate(certified(tmp_path, begins, ends)[0])
    assert found.mark is mark
    assert words in found.found
    assert bool(found.advice) == (mark is not Mark.GOOD)


def by_check(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.check: finding for finding in findings}


def test_a_runtime_directory_that_others_can_reach(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (found,) = [finding for finding in runtime(tmp_path) if finding.mark is Mark.WARNING]
    assert f"chmod 700 {tmp_path}" in found.advice


def test_a_runtime_directory_in_use_and_after_a_kill(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    lock = tmp_path / "appliance.lock"
    lock.write_text("4711\n")
    with lock.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert "an appliance runs (pid 4711)" in by_check([*runtime(tmp_path)])["runtime directory"].found
    (tmp_path / "fastpath.pid").write_text("4194304\n")
    after = by_check([*runtime(tmp_path)])["runtime directory"]
    assert after.mark is Mark.WARNING
    assert "killed" in after.found
    assert "--fresh" in after.advice


def test_a_bad_configuration_is_told_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text("ports:\n  p0: {backend: net_wire}\n")
    (found,) = configuration(file)
    assert found.mark is Mark.FAILURE
    assert f"{file}:2" in found.found


def test_doctor_says_and_exits(tmp_path: Path) -> None:
    certificate_file, _ = certified(tmp_path, -20, -2)
    file = tmp_path / "expired.yaml"
    file.write_text(
        "ports:\n  p0: {backend: net_ring}\n"
        f"grpc: {{tcp: {{address: '127.0.0.1:7443', certificate: {certificate_file.name}, "
        "key: key.pem, any_client: true}}\n"
    )
    runner = CliRunner()
    where = ["-t", str(tmp_path / "none.sock")]
    healthy = runner.invoke(main, [*where, "doctor", "--runtime-dir", str(tmp_path / "none")])
    assert healthy.exit_code == 0, healthy.output
    assert "DPDK" in healthy.output
    sick = runner.invoke(
        main, [*where, "--json", "doctor", "--runtime-dir", str(tmp_path / "none"), "-c", str(file)]
    )
    assert sick.exit_code == 1
    said = json.loads(sick.output)
    assert not said["good"]
    assert any("expired on" in row["found"] and row["advice"] for row in said["findings"])


def test_doctor_and_bundle_of_a_running_appliance(tmp_path: Path) -> None:
    with running(ROUTER) as rig:
        directory = rig.appliance.config.runtime_dir
        target = ["-t", str(rig.appliance.config.grpc.unix)]
        done = CliRunner().invoke(main, [*target, "doctor", "--runtime-dir", str(directory)])
        assert done.exit_code == 0, done.output
        assert "an appliance runs" in " ".join(done.output.split())
        (directory / "audit.key").write_text(KEY)
        with (directory / "fastpath.log").open("a") as log:
            log.write(f"a line\npassword: hunter2\n{KEY}authorization: Basic dXNlcjpwYXNzd29yZA==\n")
        config = tmp_path / "ours.yaml"
        config.write_text("ports: {p0: {backend: net_ring}}\nsensor: {api_token: 's3cr3t-t0ken'}\n")
        file = tmp_path / "bundle.tar.gz"
        words = ["support-bundle", "-o", str(file), "-c", str(config), "--runtime-dir", str(directory)]
        done = CliRunner().invoke(main, [*target, *words])
        assert done.exit_code == 0, done.output
        assert os.stat(file).st_mode & 0o077 == 0, "only its owner reads it"
        with tarfile.open(file) as archive:
            contents = {
                member.name.split("/", 1)[1]: (archive.extractfile(member) or file.open("rb")).read()
                for member in archive.getmembers()
            }
    assert {"manifest.json", "status.json", "ports.json", "pipes.json", "stats.json", "doctor.json"} <= set(
        contents
    )
    assert {"runtime/fastpath.log", "runtime/listing.txt", "config/ours.yaml", "machine.json"} <= set(
        contents
    )
    assert b"a line" in contents["runtime/fastpath.log"]
    assert b"router" in contents["pipes.json"]
    assert "audit.key" not in {name.rsplit("/", 1)[-1] for name in contents}
    for name, content in contents.items():
        for secret in SECRETS:
            assert secret.encode() not in content, f"{secret} in {name}"
    assert not list(tmp_path.glob(".*.part"))


def test_a_bundle_without_an_appliance_says_what_is_missing(tmp_path: Path) -> None:
    words = ["-t", str(tmp_path / "none.sock"), "--timeout", "1", "--json", "support-bundle"]
    done = CliRunner().invoke(
        main, [*words, "-o", str(tmp_path / "b.tgz"), "--runtime-dir", str(tmp_path / "r")]
    )
    assert done.exit_code == 0, done.output
    said = json.loads(done.output)
    assert "manifest.json" in said["files"]
    assert "no appliance answers" in said["missing"]["what the appliance says"]


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("grpc_password = 'a b'", "grpc_password = <redacted>"),
        ('{"client_secret": "x", "port": 7}', '{"client_secret": <redacted>, "port": 7}'),
        ("https://me:pw@host/x", "https://<redacted>@host/x"),
        (KEY + "after", "<redacted>\nafter"),
        ("key: certs/server.key", "key: certs/server.key"),
        ("Authorization: Bearer abcdefgh12", "Authorization: Bearer <redacted>"),
    ],
)
def test_redaction(text: str, left: str) -> None:
    assert redact(text) == left
