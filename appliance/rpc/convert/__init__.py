# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Protobuf to dataclasses and back: the only modules that know both.

A message that cannot be converted raises ``BadField``, which names the field by its path in the message. Ports go by
name on the wire and by logical id in the dataclasses: ``PortNames`` translates.
"""
