# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""When an appliance looks for cycles of garbage. In a process of its own: it is a matter of the whole process."""

import subprocess
import sys

CODE = """
import gc, weakref
from dataclasses import replace
from appliance.bench.factory import Factory, inventory, policy
from appliance.policy.compiler import compile
from appliance.policy.operation import InForce
from appliance.run.collector import SLOW_SECONDS, AfterCompiles, settle

factory = Factory(workloads=10, label_sets=2, rules=4, ports=2)
things, rules = inventory(factory), policy(factory)

def made(seconds):
    program = compile(rules, things)
    program = replace(program, sizes=replace(program.sizes, seconds=seconds))
    return InForce(revision=1, policy=rules, inventory=things, program=program, states={}, places={}, workloads={})

class Cycle:
    def __init__(self):
        self.me = self

def garbage():
    return weakref.ref(Cycle())

gc.disable()
first = made(0.0)
old = garbage()
settle()
assert old() is None and gc.get_freeze_count()
watch, after, kept = AfterCompiles(first), garbage(), Cycle()
slow = made(SLOW_SECONDS)
for now in (first, made(0.0), made(SLOW_SECONDS / 2)):
    watch.changed(now)
    assert after() is not None
watch.changed(slow)
assert after() is None
frozen = weakref.ref(kept)
del kept
gc.collect()
assert frozen() is not None  # not looked at before the next slow compile
again = garbage()
watch.changed(replace(slow, program=replace(slow.program, bindings=())))  # states or labels alone
assert again() is not None
watch.changed(made(SLOW_SECONDS))
assert again() is None and frozen() is None
"""


def test_slow_compiles_are_settled_and_nothing_is_kept_for_good() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
