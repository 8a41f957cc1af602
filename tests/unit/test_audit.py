# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""The audit log: what is written can be read, and whatever is done to it shows."""

import json
import resource
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from appliance.errors import FlowError, InvalidValue
from appliance.policy.audit import (
    HEAD,
    LOCAL,
    LOG,
    MAX_REFUSED,
    SIGN_SECONDS,
    Actor,
    AuditLog,
    Fault,
    Finding,
    Outcome,
    verify,
)
from appliance.policy.keys import KEY

ENTRIES = 6


def filled(directory: Path) -> list[bytes]:
    """A signed log; its lines."""
    log = AuditLog(directory)
    for number in range(ENTRIES):
        log.append(LOCAL, "policy.publish", f"revision {number}", reason="a test", after={"digest": "ab"})
    log.close()
    return (directory / LOG).read_bytes().splitlines(keepends=True)


def found(directory: Path, lines: list[bytes]) -> Finding:
    (directory / LOG).write_bytes(b"".join(lines))
    return verify(directory)


def test_an_untouched_log_is_good(tmp_path: Path) -> None:
    filled(tmp_path)
    assert verify(tmp_path) == Finding(ENTRIES, ENTRIES)


def test_what_is_written_can_be_read(tmp_path: Path) -> None:
    log = AuditLog(tmp_path)
    actor = Actor("alice", "mtls:ab12")
    log.append(
        actor, "containment.quarantine", "agent-1", reason="scan", before={"state": "normal"}, revision=7
    )
    with pytest.raises(InvalidValue), log.refusals(actor, "policy.publish", "revision 3"):
        raise InvalidValue("older than the running one")
    done, refused = log.entries()
    assert (done.actor, done.credential, done.before, done.revision) == (
        "alice",
        "mtls:ab12",
        {"state": "normal"},
        7,
    )
    assert (refused.outcome, refused.refusal) == (Outcome.REFUSED, "older than the running one")
    assert log.entries(last=1) == [refused]
    log.close()


def test_three_deeds_give_three_answers(tmp_path: Path) -> None:
    lines = filled(tmp_path)
    flipped = [*lines]
    at = len(flipped[2]) // 2
    flipped[2] = flipped[2][:at] + bytes([flipped[2][at] ^ 1]) + flipped[2][at + 1 :]
    finding = found(tmp_path, flipped)
    assert (finding.fault, finding.entry, finding.good) == (Fault.CHANGED, 3, 2)
    finding = found(tmp_path, lines[:-1])
    assert (finding.fault, finding.entry, finding.good) == (Fault.CUT, ENTRIES, ENTRIES - 1)
    finding = found(tmp_path, lines[:2] + lines[3:])
    assert (finding.fault, finding.entry) == (Fault.MISSING, 3)
    assert "entry 2 is followed by entry 4" in finding.text
    assert found(tmp_path, lines).ok


def test_who_writes_the_log_misses_what_was_not_signed_yet(tmp_path: Path) -> None:
    log = AuditLog(tmp_path)
    for number in range(3):
        log.append(LOCAL, "test", reason=str(number))
        if number == 1:
            assert log.sign()
    assert log.verify().ok
    lines = (tmp_path / LOG).read_bytes().splitlines(keepends=True)
    (tmp_path / LOG).write_bytes(b"".join(lines[:2]))
    assert verify(tmp_path).ok, "the files do not tell"
    finding = log.verify()
    assert (finding.fault, finding.entry) == (Fault.CUT, 3)
    (tmp_path / LOG).unlink()
    (tmp_path / "audit.head").unlink()
    assert (verify(tmp_path).fault, verify(tmp_path).text) == (
        Fault.CUT,
        f"there is no audit.log in {tmp_path}",
    )
    log.append(LOCAL, "test", reason="later")
    (tmp_path / LOG).touch()
    finding = log.verify()
    assert (finding.fault, finding.entry) == (Fault.CUT, 1)
    assert "this appliance has written 4" in finding.text
    log.close()


def test_every_flipped_byte_shows(tmp_path: Path) -> None:
    data = b"".join(filled(tmp_path))
    for at in range(0, len(data), 7):
        (tmp_path / LOG).write_bytes(data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :])
        finding = verify(tmp_path)
        assert not finding.ok
        assert finding.entry == data[:at].count(b"\n") + 1


def replaced(lines: list[bytes]) -> list[bytes]:
    """An entry with other content and a hash that fits it."""
    from appliance.policy import audit

    row = json.loads(lines[3]) | {"actor": "nobody"}
    row["hash"] = audit._hash(row)
    return [*lines[:3], audit._canonical(row) + b"\n", *lines[4:]]


@pytest.mark.parametrize(
    ("deed", "fault"),
    [
        (replaced, Fault.CHANGED),
        (lambda lines: [*lines, lines[-1]], Fault.CHANGED),
        (lambda lines: [lines[1], lines[0], *lines[2:]], Fault.MISSING),
        (lambda lines: [*lines[:-1], lines[-1][:20]], Fault.CHANGED),
        (lambda lines: [*lines, b'{"numb'], Fault.TORN),
        (lambda lines: [], Fault.CUT),
    ],
)
def test_other_deeds(tmp_path: Path, deed: Callable[[list[bytes]], list[bytes]], fault: Fault) -> None:
    assert found(tmp_path, deed(filled(tmp_path))).fault is fault


def test_a_log_written_anew_is_not_the_one_that_was_signed(tmp_path: Path) -> None:
    filled(tmp_path / "one")
    other = filled(tmp_path / "two")
    finding = found(tmp_path / "one", other)
    assert finding.fault is Fault.FORGED
    (tmp_path / "one" / HEAD).write_bytes((tmp_path / "two" / HEAD).read_bytes())
    assert "signature" in verify(tmp_path / "one").text


def test_a_log_without_head_is_told(tmp_path: Path) -> None:
    filled(tmp_path)
    (tmp_path / HEAD).unlink()
    assert verify(tmp_path).fault is Fault.UNSIGNED


def test_the_log_goes_on_after_a_restart_and_a_torn_write(tmp_path: Path) -> None:
    filled(tmp_path)
    with (tmp_path / LOG).open("ab") as file:
        file.write(b'{"number":7,"ti')
    assert verify(tmp_path).fault is Fault.TORN
    log = AuditLog(tmp_path)
    assert log.append(LOCAL, "policy.rollback").number == ENTRIES + 2
    log.close()
    assert verify(tmp_path) == Finding(ENTRIES + 2, ENTRIES + 2)
    told = log.entries()[ENTRIES]
    assert (told.action, told.after) == ("audit.torn", {"text": '{"number":7,"ti'})


def test_an_entry_that_was_signed_cannot_be_torn(tmp_path: Path) -> None:
    """Signing flushes it first: one that is cut short was cut by somebody, and stays missing."""
    lines = filled(tmp_path)
    assert found(tmp_path, [*lines[:-1], lines[-1][:20]]).fault is Fault.CHANGED
    log = AuditLog(tmp_path)
    log.append(LOCAL, "policy.rollback")
    log.close()
    after = verify(tmp_path)
    assert (after.fault, after.entry) == (Fault.MISSING, ENTRIES)


@contextmanager
def room(size: int, capsys: pytest.CaptureFixture[str]) -> Iterator[None]:
    """No file of this process grows beyond so many bytes: what a full disk does, half a write included. Output does not
    go to a file meanwhile.
    """
    capsys.readouterr()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_write_that_fails_half_way_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    filled(tmp_path)
    size = (tmp_path / LOG).stat().st_size
    log = AuditLog(tmp_path)
    entered = False
    with room(size + 50, capsys):
        with pytest.raises(FlowError, match=r"the audit log cannot be written .* make room in"):
            log.append(LOCAL, "policy.rollback")
        assert (tmp_path / LOG).stat().st_size == size
        # Nothing is changed while it cannot be told.
        with pytest.raises(FlowError, match="cannot be written"), log.refusals(LOCAL, "policy.publish"):
            entered = True
    assert not entered
    assert log.append(LOCAL, "policy.publish").number == ENTRIES + 2
    log.close()
    assert verify(tmp_path) == Finding(ENTRIES + 2, ENTRIES + 2)
    told = log.entries()[ENTRIES]
    assert (told.action, told.after) == ("audit.lost", {"entries": 1})


def test_a_head_that_cannot_be_written_is_written_later(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = AuditLog(tmp_path)
    log.append(LOCAL, "policy.publish")
    with room(10, capsys):
        assert not log.sign()
    assert log.sign()
    log.close()
    assert verify(tmp_path).ok


@pytest.mark.parametrize("gone", [True, False])
def test_a_head_that_was_taken_away_or_replaced_leaves_a_trace(tmp_path: Path, gone: bool) -> None:
    lines = filled(tmp_path)
    (tmp_path / LOG).write_bytes(b"".join(lines[:-2]))
    if gone:
        (tmp_path / HEAD).unlink()
    else:
        head = json.loads((tmp_path / HEAD).read_bytes())
        (tmp_path / HEAD).write_text(json.dumps(head | {"count": ENTRIES - 2}))
    log = AuditLog(tmp_path)
    log.close()
    told = log.entries()[-1]
    assert (told.number, told.action, told.after) == (ENTRIES - 1, "audit.unsigned", {"entries": ENTRIES - 2})


@pytest.mark.parametrize("line", [b"{}\n", b"[]\n", b'{"number":"7","outcome":"done"}\n', b"\xff\n"])
def test_what_is_no_entry_is_named_and_stops_nothing(tmp_path: Path, line: bytes) -> None:
    lines = filled(tmp_path)
    (tmp_path / LOG).write_bytes(b"".join([*lines, line]))
    log = AuditLog(tmp_path)
    log.append(LOCAL, "policy.rollback")
    assert len(log.entries()) == ENTRIES + 1
    log.close()
    assert (verify(tmp_path).fault, verify(tmp_path).entry) == (Fault.CHANGED, ENTRIES + 1)


def test_the_key_is_its_owners_alone(tmp_path: Path) -> None:
    filled(tmp_path)
    assert stat.S_IMODE((tmp_path / KEY).stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / LOG).stat().st_mode) == 0o600


def test_the_head_follows_within_a_minute(tmp_path: Path) -> None:
    now = [1000.0]
    log = AuditLog(tmp_path, clock=lambda: now[0])
    log.append(LOCAL, "one")
    log.tick()
    assert verify(tmp_path).signed == 1
    log.append(LOCAL, "two")
    log.tick()
    assert verify(tmp_path).signed == 1
    now[0] += SIGN_SECONDS
    log.tick()
    assert verify(tmp_path).signed == 2
    log.close()


@pytest.mark.parametrize("cut", [1, 3])
def test_a_cut_tail_shows_after_the_log_has_gone_on_too(tmp_path: Path, cut: int) -> None:
    lines = filled(tmp_path)
    assert found(tmp_path, lines[:-cut]).fault is Fault.CUT
    AuditLog(tmp_path).close()
    assert (verify(tmp_path).fault, verify(tmp_path).entry) == (Fault.CUT, ENTRIES - cut + 1)
    log = AuditLog(tmp_path)
    log.append(LOCAL, "policy.publish", "revision 9")
    log.close()
    after = verify(tmp_path)
    assert (after.fault, after.entry, after.good) == (Fault.MISSING, ENTRIES - cut + 1, ENTRIES - cut)


def test_who_is_refused_fills_no_log(tmp_path: Path) -> None:
    log, long = AuditLog(tmp_path), "x" * 100_000
    with pytest.raises(InvalidValue), log.refusals(LOCAL, "policy.publish", long, long):
        raise InvalidValue(long)
    (one,) = log.entries()
    assert {len(text) for text in (one.target, one.reason, one.refusal)} == {MAX_REFUSED}
    log.close()
