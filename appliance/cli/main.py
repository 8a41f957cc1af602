# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""The `ringfield` command and its groups."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import Any, Final

import click
from click.shell_completion import get_completion_class

from appliance.cli.common import DEADLINE_SECONDS, failures, make_context

# Commands and the module that has them: loaded when they are called, so that each starts fast.
COMMANDS = {
    "run": "run",
    "status": "status",
    "port": "port",
    "pipe": "pipe",
    "entry": "entry",
    "stats": "stats",
    "top": "top",
    "trace": "trace",
    "inject": "packets",
    "transmit": "packets",
    "receive": "packets",
    "capture": "packets",
    "observe": "observe",
    "policy": "policy",
    "workload": "workload",
    "quarantine": "containment",
    "restrict": "containment",
    "release": "containment",
    "contained": "containment",
    "audit": "audit",
    "central": "central",
    "enrol": "enrol",
    "detach": "enrol",
    "demo": "demo",
    "bench": "bench",
    "adopt": "adopt",
    "can": "explain",
    "why": "explain",
    "doctor": "doctor",
    "support-bundle": "support_bundle",
}


SECTIONS: Final = {
    "Begin": ("run", "demo", "doctor", "support-bundle", "bench"),
    "Ask": ("status", "can", "why", "observe", "audit"),
    "Decide": ("policy", "workload", "adopt", "quarantine", "restrict", "release", "contained"),
    "Fleets": ("central", "enrol", "detach"),
    "Pipelines and packets": (
        "port", "pipe", "entry", "stats", "top", "trace", "inject", "transmit", "receive", "capture",
    ),
    "Shell": ("completion",),
}  # fmt: skip
"""How the list of commands is divided."""
WHOLE: Final = 1000
"""Letters of a first sentence: none is cut."""


class Commands(click.Group):
    """Loads a command's module when it is called; turns refusals into one sentence."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of the table."""
        return [*COMMANDS, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """A command by name."""
        if cmd_name in COMMANDS:
            module = import_module(f"appliance.cli.{COMMANDS[cmd_name]}")
            command: click.Command = getattr(module, cmd_name.replace("-", "_"))
            return command
        return super().get_command(ctx, cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """In sections, with whole sentences."""
        for title, names in SECTIONS.items():
            found = [(name, self.get_command(ctx, name)) for name in names]
            with formatter.section(title):
                formatter.write_dl(
                    [(name, one.get_short_help_str(WHOLE)) for name, one in found if one is not None]
                )

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        with failures():
            return super().invoke(ctx)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("ringfield"), prog_name="ringfield")
@click.option(
    "-t",
    "--target",
    metavar="WHERE",
    help="The appliance: a unix socket's path, or HOST:PORT. [env: RINGFIELD_TARGET]",
)
@click.option("--tls-ca", type=click.Path(exists=True, dir_okay=False), help="TCP: authority to trust.")
@click.option("--tls-cert", type=click.Path(exists=True, dir_okay=False), help="TCP: own certificate (mTLS).")
@click.option("--tls-key", type=click.Path(exists=True, dir_okay=False), help="TCP: own key (mTLS).")
@click.option("--insecure", is_flag=True, help="TCP without TLS.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.option(
    "--timeout",
    type=click.FloatRange(0.01),
    default=DEADLINE_SECONDS,
    show_default=True,
    help="Deadline of a call, s.",
)
@click.pass_context
def main(
    context: click.Context,
    target: str | None,
    tls_ca: str | None,
    tls_cert: str | None,
    tls_key: str | None,
    insecure: bool,
    as_json: bool,
    timeout: float,
) -> None:
    """A BlueField DPU in software. All tests: ./ringfield test."""
    context.obj = make_context(target, tls_ca, tls_cert, tls_key, insecure, as_json, timeout)


@main.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script of a shell: eval "$(ringfield completion bash)"."""
    maker = get_completion_class(shell)
    if maker is None:
        raise click.ClickException(f"no completion for {shell}")
    click.echo(maker(main, {}, "ringfield", "_RINGFIELD_COMPLETE").source())
