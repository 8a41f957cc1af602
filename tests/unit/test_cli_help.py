# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""Every command of the command line loads and explains itself."""

import re
import subprocess
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from appliance.cli.main import COMMANDS, main
from tests.support.tree import ROOT


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


def test_the_list_has_every_command_with_a_whole_sentence() -> None:
    told = CliRunner().invoke(main, ["--help"], env={"COLUMNS": "80"}).output
    for name in main.list_commands(click.Context(main)):
        assert len(re.findall(rf"^  {name}  ", told, re.M)) == 1, name
    assert "..." not in told.split("Begin:")[1]
    assert max(map(len, told.splitlines())) <= 80


def test_commands_that_are_recommended_have_their_options() -> None:
    """In what the commands say, and in the documentation."""
    seen = set()
    for file in (*(ROOT / "appliance").rglob("*.py"), *(ROOT / "docs").glob("*.md"), ROOT / "README.md"):
        for text, option in re.findall(
            r"ringfield ((?:[a-z-]+ )+)(?:[A-Z]+ )*(--?[a-z-]+)", file.read_text()
        ):
            words = text.split()
            if words[0] not in COMMANDS or option == "--help":
                continue  # a sentence about it
            found = click.Context(main).command
            for word in words:
                below = (
                    found.get_command(click.Context(found), word) if isinstance(found, click.Group) else None
                )
                found = below or found
            options = {one for parameter in found.params for one in parameter.opts + parameter.secondary_opts}
            assert option in options, f"{file.relative_to(ROOT)}: ringfield {text}{option}"
            seen.add((*words, option))
    assert len(seen) > 20


def command(words: tuple[str, ...]) -> click.Command:
    """The command that words lead to."""
    found: click.Command = main
    for word in words:
        assert isinstance(found, click.Group)
        below = found.get_command(click.Context(found), word)
        assert below is not None
        found = below
    return found


FRAME = "020000000002020000000001" + "0800" + "00" * 46
# Commands that ask an appliance, with arguments that are good in themselves.
ASKING = {
    "status": "",
    "port list": "",
    "port add": "p7 --backend net_ring",
    "port miss": "p0 drop",
    "port remove": "p0",
    "pipe list": "",
    "pipe show": "",
    "pipe destroy": "a",
    "pipe miss": "a drop",
    "pipe resize": "a 10",
    "entry add": "a {fwd:\u00a0drop}",
    "entry list": "a",
    "entry remove": "1",
    "entry show": "1",
    "stats": "",
    "stats cache": "",
    "top": "--count 1",
    "trace": f"p0 {FRAME}",
    "inject": f"p0 {FRAME}",
    "transmit": f"p0 {FRAME}",
    "receive": "",
    "capture": "",
    "observe": "",
    "observe map": "",
    "policy show": "",
    "policy rollback": "-m why",
    "policy confirm": "1",
    "policy recommend": "",
    "workload list": "",
    "workload show": "web",
    "workload remove": "web",
    "workload label": "web app=web",
    "quarantine": "web -m why",
    "restrict": "web -m why",
    "release": "web -m why",
    "contained": "",
    "audit show": "",
    "audit verify": "",
    "can": "a b tcp/80",
    "why": "a b tcp/80",
}


@pytest.mark.parametrize("words", ASKING)
def test_without_an_appliance_one_sentence_says_so(words: str) -> None:
    arguments = [word.replace("\u00a0", " ") for word in ASKING[words].split(" ") if word]
    result = CliRunner().invoke(main, ["--target", "/nowhere/x.sock", *words.split(), *arguments])
    assert result.exit_code == (2 if words == "can" else 1), result.output  # 1 is `can`'s "no"
    assert isinstance(result.exception, SystemExit)
    assert result.output.startswith("Error: no appliance answers at unix:/nowhere/x.sock"), result.output
    assert len(result.output.strip().splitlines()) == 1, result.output


@pytest.mark.parametrize("words", list(commands(main)), ids=" ".join)
def test_what_is_not_an_option_or_missing_is_told(words: tuple[str, ...]) -> None:
    found = command(words)
    result = CliRunner().invoke(main, [*words, "--no-such-option"], prog_name="ringfield")
    assert result.exit_code == 2, result.output
    assert "No such option" in result.output
    if any(one.required for one in found.params):
        result = CliRunner().invoke(main, [*words], prog_name="ringfield")
        assert result.exit_code == 2, result.output
        assert "Missing " in result.output
    if isinstance(found, click.Group):
        result = CliRunner().invoke(main, [*words, "no-such-command"], prog_name="ringfield")
        assert result.exit_code == 2, result.output
        assert "No such command" in result.output or "unexpected extra argument" in result.output


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("ringfield sta", {"status", "stats"}),
        ("ringfield po", {"port"}),
        ("ringfield port ", {"add", "list", "miss", "remove"}),
        ("ringfield capture --at ", {"rx", "tx", "drop"}),
        ("ringfield completion ", {"bash", "zsh", "fish"}),
        ("ringfield pipe show --format ", {"text", "json", "mermaid"}),
    ],
)
def test_the_shell_completes(line: str, offered: set[str]) -> None:
    words = line.split(" ")
    result = CliRunner().invoke(
        main,
        prog_name="ringfield",
        env={"_RINGFIELD_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)},
    )
    assert {row.partition(",")[2] for row in result.output.split()} >= offered


def test_completion_is_a_script_that_bash_takes() -> None:
    script = CliRunner().invoke(main, ["completion", "bash"]).output
    done = subprocess.run(
        ["bash", "-c", f"{script}\ncomplete -p ringfield"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "-F" in done.stdout
