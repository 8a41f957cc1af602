# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""`ringfield bench`: today's figures of this machine.

The fast path and its peers are started here, on cores of their own, in turns; C programs beside the fast path
(``bench-flow``, ``bench-rings``) do what must be timed in C. Nothing is asserted: a figure is printed with how
far its runs lie apart, and is not compared with another one when that is too far.
"""
