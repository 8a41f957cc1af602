# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Every command of the command line loads and explains itself."""

from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from appliance.cli.main import main


def commands(group: click.Group, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every command with the words that lead to it."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield (*words, name)
        if isinstance(command, click.Group):
            yield from commands(command, (*words, name))


@pytest.mark.parametrize("words", [(), *commands(main)], ids=" ".join)
def test_help(words: tuple[str, ...]) -> None:
    result = CliRunner().invoke(main, [*words, "--help"], prog_name="ringfield")
    assert result.exit_code == 0, result.output
    assert result.output.startswith("Usage: ringfield")
    assert len(result.output.splitlines()[2].strip()) > 5, "a sentence about what it does"
