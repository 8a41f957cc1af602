# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The Ringfield authors
"""`ringfield observe`: flow records as they come, those of the past, and the map."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar

import click
from rich.table import Table
from rich.text import Text

from appliance.cli.common import Context, as_dict, err, number, out, pass_context, print_json, table
from appliance.rpc.client import calls
from appliance.rpc.convert.observer import edge_from, filters_to, flow_from, losses_from
from appliance.telemetry import text
from appliance.telemetry.filters import BadFilter, Filter, Term, moment, parse, parse_term, split_values
from appliance.v1 import observer_service_pb2

F = TypeVar("F", bound=Callable[..., Any])
LAST: Final = 20
COLOURS: Final[Mapping[str, str]] = {"allow": "green", "alert": "yellow", "drop": "red", "reject": "red"}
FLAGS: Final[Mapping[str, str]] = {
    "verdict": "allow, alert, drop, reject; denied, forwarded.",
    "reason": "Drop reason.",
    "band": "Band of the rule that decided.",
    "rule": "Rule by name (with *) or id.",
    "event": "open, update, close, deny, deny_update.",
    "protocol": "tcp, udp, icmp ...",
    "port": "Port or range, either side.",
    "ip": "Address or prefix, either side.",
    "workload": "Workload by name (with *), either side.",
    "label": "KEY=VALUE, either side.",
    "kind": "Kind of workload, either side.",
}
SIDES: Final[Mapping[str, str]] = {
    "from": "The opener: label=KEY=VALUE, kind=..., ip=..., or a workload's name.",
    "to": "The target, as --from; port=... too.",
}


def filter_options(command: F) -> F:
    """Options that choose records."""
    options = [
        *(
            click.option(f"--{name}", f"side_{name}", multiple=True, metavar="TERM", help=SIDES[name])
            for name in SIDES
        ),
        *(click.option(f"--{name}", f"with_{name}", multiple=True, help=FLAGS[name]) for name in FLAGS),
        click.option(
            "--not", "not_", multiple=True, metavar="TERM", help="None of these: port=443, from.kind=agent."
        ),
        click.option(
            "--filter", "filter_", multiple=True, help="Filter as text (docs/records.md); one must match."
        ),
        click.option("--since", metavar="TIME", help="From then on: 30s, 5m, 2h ago, or a date and time."),
        click.option("--until", metavar="TIME", help="Until then."),
    ]
    made: Any = command
    for option in reversed(options):
        made = option(made)
    found: F = made
    return found


def wanted(options: Mapping[str, Any]) -> tuple[Filter, ...]:
    """Filters from options: the same option again adds a value, another one a condition."""
    values: dict[tuple[str, bool], list[str]] = {}
    try:
        for side in SIDES:
            for given in options[f"side_{side}"]:
                term = parse_term(f"{side}.{given}" if "=" in given else f"{side}.workload={given}")
                values.setdefault((term.field, term.negate), []).extend(term.values)
        for name in FLAGS:
            for given in options[f"with_{name}"]:
                values.setdefault((name, False), []).extend(split_values(given))
        for given in options["not_"]:
            term = parse_term(given)
            values.setdefault((term.field, not term.negate), []).extend(term.values)
        terms = tuple(Term(field, tuple(some), negate) for (field, negate), some in values.items())
        for term in terms:
            parse(str(term))
        others = [one for given in options["filter_"] for one in parse(given)]
    except BadFilter as error:
        raise click.UsageError(error.reason) from None
    if not others:
        return (Filter(terms),) if terms else ()
    return tuple(Filter((*terms, *one.terms)) for one in others)


def _time(option: str, given: str | None) -> int:
    if given is None:
        return 0
    try:
        return moment(given)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint=option) from None


def _ask(options: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "filters": filters_to(wanted(options)),
        "since_ns": _time("--since", options["since"]),
        "until_ns": _time("--until", options["until"]),
    }


def styled(record: Mapping[str, Any]) -> Text:
    """A record's line with colours."""
    ends, event, verdict, rest = text.parts(record)
    colour = COLOURS.get(record["verdict"], "")
    made = Text(ends + " ").append(event, style="cyan").append(" ").append(verdict, style=colour)
    return made.append(f"  {rest}", style="dim") if rest else made


def flows_table(records: Iterable[Mapping[str, Any]]) -> Table:
    """Records side by side, in 80 columns; labels are in the other forms."""
    made = table("time", "from", "to", "service", "event", "verdict", "packets", "rule", right=["packets"])
    for column in made.columns[:1]:
        column.no_wrap = True
    for one in records:
        verdict = " ".join(filter(None, (one["verdict"], one["reason"])))
        made.add_row(
            text.clock(one["time_ns"]),
            *(
                Text(one[f"{side}_workload"] or one[f"{side}_ip"] or one[f"{side}_mac"])
                for side in ("src", "dst")
            ),
            _service(one),
            one["event"],
            Text(verdict, style=COLOURS.get(one["verdict"], "")),
            number(one["initiator_packets"] + one["responder_packets"]),
            Text(one["rule"] or one["band"]),
        )
    return made


def _service(record: Mapping[str, Any]) -> str:
    named = text.service(record)
    return f"{named}/{record['dst_port']}" if named in text.WITH_PORTS else named


def _tell(lost: Mapping[str, int], output: str) -> None:
    if not lost:
        return
    if output == "json":
        sys.stdout.write(json.dumps({"lost": lost}) + "\n")
        sys.stdout.flush()
    else:
        err.print(text.losses(lost), style="yellow", soft_wrap=True)


def _print(records: Sequence[Mapping[str, Any]], output: str) -> None:
    if output == "json":
        sys.stdout.write("".join(json.dumps(one) + "\n" for one in records))
        sys.stdout.flush()
        return
    for one in records:
        if out.is_terminal:
            out.print(styled(one), soft_wrap=True)
        else:
            click.echo(text.line(one))


@click.group(invoke_without_command=True)
@filter_options
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes, until interrupted.")
@click.option("--last", "-n", type=click.IntRange(1), help=f"The newest ones of the past.  [default: {LAST}]")
@click.option("--all", "everything", is_flag=True, help="All that are stored.")
@click.option(
    "-o", "--output", type=click.Choice(["compact", "json", "table"]), default="compact", show_default=True
)
@pass_context
@click.pass_context
def observe(click_context: click.Context, context: Context, /, **options: Any) -> None:
    """Flow records: who spoke with whom, what became of it and by which rule.

    The same option again adds a value (either matches), different options must all match. Times are those at which the
    appliance took the record.
    """
    if click_context.invoked_subcommand is not None:
        return
    output = "json" if context.json else options["output"]
    follow, last = options["follow"], options["last"]
    if output == "table" and follow:
        raise click.UsageError("a table has an end: use -o compact to follow")
    if options["everything"] and last:
        raise click.UsageError("either --all or --last")
    asked = _ask(options)
    if asked["until_ns"] and follow:
        raise click.UsageError("there is no --until when following")
    if not last and not follow and not options["everything"] and options["since"] is None:
        last = LAST
    request = observer_service_pb2.GetFlowsRequest(**asked, last=last or 0, follow=follow)
    shown: list[dict[str, Any]] = []
    came = 0
    with context.client() as client:
        stream = client.observer.GetFlows(request, timeout=None if follow else max(context.timeout, 60.0))
        try:
            with calls(context.target):
                for answer in stream:
                    _tell(losses_from(answer.losses), output)
                    records = [flow_from(flow) for flow in answer.flows]
                    came += len(records)
                    if output == "table":
                        shown += records
                    else:
                        _print(records, output)
        except KeyboardInterrupt:
            stream.cancel()
    if output == "table":
        out.print(flows_table(shown))
    if not came and not follow and output != "json":
        err.print("no record is like that", style="dim")


def map_table(message: observer_service_pb2.GetFlowStatsResponse) -> Table:
    """The map's edges."""
    made = table("from", "to", "service", "verdict", "connections", "packets", "bytes",
        right=["connections", "packets", "bytes"])  # fmt: skip
    for one in map(edge_from, message.edges):
        made.add_row(
            Text(one.source, style="bold"),
            Text(one.destination),
            text.edge_service(one),
            Text(one.verdict, style=COLOURS.get(one.verdict, "")),
            number(one.connections),
            f"{number(one.initiator_packets)} / {number(one.responder_packets)}",
            f"{text.octets(one.initiator_bytes)} / {text.octets(one.responder_bytes)}",
        )
    return made


@observe.command("map")
@filter_options
@click.option("--by", default="workload", show_default=True, help="workload, kind, identity, label:KEY.")
@click.option("--services/--no-services", default=True, help="Tell services apart.  [default: yes]")
@click.option("--limit", type=click.IntRange(1, 10_000), default=1000, show_default=True, help="Edges.")
@click.option(
    "--format", "form", type=click.Choice(["text", "mermaid", "json"]), default="text", show_default=True
)
@pass_context
def show_map(context: Context, /, **options: Any) -> None:
    """Who talks to whom: records summed up, each connection counted once."""
    request = observer_service_pb2.GetFlowStatsRequest(
        **_ask(options),
        group_by=options["by"],
        without_services=not options["services"],
        limit=options["limit"],
    )
    with context.client() as client:
        answer = client.observer.GetFlowStats(request, timeout=context.timeout)
    form = "json" if context.json else options["form"]
    if form == "json":
        print_json(as_dict(answer))
        return
    _tell(losses_from(answer.losses), form)
    if form == "mermaid":
        click.echo(text.mermaid(map(edge_from, answer.edges)), nl=False)
        return
    out.print(map_table(answer))
    if answer.total_edges > len(answer.edges):
        out.print(f"... and {answer.total_edges - len(answer.edges):,} more", style="dim")
    out.print(f"{answer.connections:,} connections and denials", style="dim")
