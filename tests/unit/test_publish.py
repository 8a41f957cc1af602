# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Publishing, while there is no fast path: what is on disk when the appliance dies in the middle."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NoReturn

import pytest

from appliance.errors import NotConnected
from appliance.policy.audit import LOCAL
from appliance.policy.control import Segmentation
from appliance.policy.model import Workload
from appliance.policy.operation import Publish, Settings

FIRST = "rules: []\n"
SECOND = "default: allow\n"
SOON = (datetime.now(UTC) + timedelta(hours=1)).isoformat()


def appliance(directory: Path) -> Segmentation:
    def use(seconds: float | None) -> NoReturn:
        raise NotConnected("none")

    return Segmentation(Settings(networks=(), ports={}), directory, use)


@pytest.mark.parametrize("last", ["publish", "set_meta"])
def test_a_revision_to_be_confirmed_is_never_there_without_its_confirmation(
    tmp_path: Path, last: str
) -> None:
    """The process dies behind its write to the disk, or right after the one before."""
    before = appliance(tmp_path)
    before.publish(Publish(source=FIRST, file="p.yaml"), LOCAL)
    before.close()
    child = os.fork()
    if not child:
        dying = appliance(tmp_path)
        write = getattr(dying.store, last)

        def die(*given: object, **more: object) -> NoReturn:
            write(*given, **more)
            os._exit(7)

        setattr(dying.store, last, die)
        dying.publish(Publish(source=SECOND, file="p.yaml", confirm_seconds=60.0), LOCAL)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    after = appliance(tmp_path)
    assert (after.revision, after.confirm) == (1, None)
    after.publish(Publish(source=SECOND, file="p.yaml", confirm_seconds=60.0), LOCAL)
    after.close()
    again = appliance(tmp_path)
    assert again.revision == 2
    assert again.confirm is not None
    assert again.confirm.back_to == 1
    again.close()


def test_a_draft_is_compiled_once_while_nothing_changes_under_it(tmp_path: Path) -> None:
    control = appliance(tmp_path)
    first = control.candidate(SECOND, "p.yaml")
    assert control.candidate(SECOND, "p.yaml") is first
    assert control.candidate(FIRST, "p.yaml") is not first
    again = control.candidate(SECOND, "p.yaml")
    control.declare_workloads((Workload(name="new"),), "digest")
    assert control.candidate(SECOND, "p.yaml") is not again
    expiring = f"rules: [{{name: x, band: allow, from: any, to: any, services: any, schedule: {{expires: '{SOON}'}}}}]"
    due = control.candidate(expiring, "p.yaml")
    assert due.next_change is not None
    assert control.candidate(expiring, "p.yaml") is due
    control.force._clock = due.next_change.timestamp
    assert control.candidate(expiring, "p.yaml") is not due
    control.close()
