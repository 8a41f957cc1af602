# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""The rigs, as a fixture."""

from typing import Any

import pytest

from tests.behaviour.rig import MakeRig, ReferenceRig, Rig


@pytest.fixture(params=["reference"])
def rig(request: pytest.FixtureRequest) -> MakeRig:
    """Makes a rig: `rig(ports=2, mode="vnf", queues=1)`."""

    def make(**options: Any) -> Rig:
        return ReferenceRig(**options)

    return make
