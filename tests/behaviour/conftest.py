# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""The rigs, as a fixture."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.behaviour.rig import MakeRig, ReferenceRig, Rig
from tests.behaviour.stack import StackRig
from tests.support.fastpath import Fastpath


@pytest.fixture
def stack_rig(fastpath: Callable[..., Fastpath]) -> Iterator[Callable[..., StackRig]]:
    """Makes a rig of the stack."""
    with ExitStack() as open_rigs:

        def make(**options: Any) -> StackRig:
            rig = StackRig(fastpath, **options)
            open_rigs.callback(rig.close)
            rig.start()
            return rig

        yield make


@pytest.fixture(params=["reference", "stack"])
def rig(request: pytest.FixtureRequest) -> MakeRig:
    """Makes a rig: `rig(ports=2, mode="vnf", queues=1)`. Each test runs on both."""
    if request.param == "stack":
        make: MakeRig = request.getfixturevalue("stack_rig")
        return make

    def make_reference(**options: Any) -> Rig:
        return ReferenceRig(**options)

    return make_reference
