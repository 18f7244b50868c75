"""``cxstream replay``: files through the real agents, values out."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from pipeline.cli.exhibits import read_exhibits
from pipeline.cli.output import Exit, fail, say
from pipeline.replay.run import AsOf, Job, Result, replay
from pipeline.stages.intake import Source
from schemas.platforms import UnknownPlatformError, find_platform
from schemas.platforms.base import OptionError
from schemas.values import ExhibitValue, encode_value


class Emit(StrEnum):
    """What a replay prints."""

    VALUES = "values"
    FACTS = "facts"
    EVENTS = "events"


def command(
    files: Annotated[list[Path], typer.Argument(help="Files to replay; gzip is recognised.")],
    platform: Annotated[str, typer.Option(help="Platform that wrote the files.")] = "interactions",
    option: Annotated[
        list[str] | None, typer.Option(help="KEY=VALUE, such as time_zone=Europe/Berlin.")
    ] = None,
    exhibit: Annotated[
        list[Path] | None, typer.Option(help="Exhibit file; the default exhibit without one.")
    ] = None,
    as_of: Annotated[
        str,
        typer.Option(
            help="final: every cohort mature. last: the clock at the last event. Or an RFC 3339 "
            "time: only events up to it, the clock at it."
        ),
    ] = "final",
    emit: Annotated[Emit, typer.Option(help="What to print.")] = Emit.VALUES,
    json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Run files through the real pipeline on embedded parts and print what came out.

    The clock is event time: the same files give the same values on any day. Nothing is kept.
    """
    job = Job(
        files=existing(files),
        source=source_of(platform, option or []),
        exhibits=read_exhibits(exhibit or []),
        as_of=_as_of(as_of),
        keep_events=emit is Emit.EVENTS,
        keep_facts=emit is Emit.FACTS,
        progress=_progress(),
    )
    try:
        result = asyncio.run(replay(job))
    except (OSError, RuntimeError) as error:
        fail(str(error))
    summary = result.summary
    if not summary["records"]:
        say("cxstream: nothing was read")
    elif summary["records"] == sum(summary["dead_letters"].values()):
        say(f"cxstream: all records were refused: were these files written by {platform}?")
    (_print_json if json else _print_text)(result, emit)
    sys.exit(Exit.DONE if result.summary["records"] else Exit.NOTHING_READ)


def existing(files: list[Path]) -> list[Path]:
    """The files; ends the command where one cannot be read."""
    for file in files:
        if file.is_dir():
            fail(f"{file}: a directory, expected a file", Exit.BAD_INPUT)
        if not file.is_file():
            fail(f"{file}: no such file", Exit.BAD_INPUT)
    return files


def source_of(platform: str, options: list[str]) -> Source:
    """The platform under its options; ends the command where there is no such thing."""
    try:
        found = find_platform(platform)
        return Source(found, found.options(options))
    except (UnknownPlatformError, OptionError) as error:
        fail(str(error), Exit.BAD_INPUT)


def _as_of(text: str) -> AsOf:
    if text == "final":
        return "final"
    if text == "last":
        return "last"
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        fail(f"--as-of {text}: expected final, last or an RFC 3339 time", Exit.BAD_INPUT)
    if moment.tzinfo is None:
        fail(f"--as-of {text}: the time needs an offset, such as Z", Exit.BAD_INPUT)
    return round(moment.timestamp() * 1000)


def _progress() -> Callable[[int, int], None]:
    """A line that is written over, only for a person who watches."""
    if not sys.stderr.isatty():
        return lambda _done, _bytes: None

    def show(done: int, done_bytes: int) -> None:
        sys.stderr.write(f"\r{done:,} records, {done_bytes / 1e6:,.1f} MB")
        sys.stderr.flush()

    return show


def _print_json(result: Result, emit: Emit) -> None:
    lines: list[bytes] = []
    match emit:
        case Emit.VALUES:
            lines = [encode_value(value) for value in result.values]
        case Emit.FACTS:
            lines = [msgspec.json.encode(fact) for fact in result.facts]
        case Emit.EVENTS:
            lines = [msgspec.json.encode(event) for event in result.events]
    lines.append(msgspec.json.encode({"summary": result.summary}))
    sys.stdout.write("".join(line.decode() + "\n" for line in lines))


def _print_text(result: Result, emit: Emit) -> None:
    console = Console()
    match emit:
        case Emit.VALUES:
            console.print(_table(result.values))
        case Emit.FACTS:
            console.print(*result.facts, sep="\n")
        case Emit.EVENTS:
            console.print(*result.events, sep="\n")
    for name, count in result.summary.items():
        console.print(f"{name}: {count}")


def _table(values: list[ExhibitValue]) -> Table:
    table = Table("KPI", "window", "for", "value", "n", "95 %", "target", "status", "state")
    for value in values:
        window = value.window
        place = " ".join(filter(None, (window.kind, window.size, window.start)))
        between = "" if value.low is None else f"{value.low:.3f}-{value.high:.3f}"
        table.add_row(
            value.name,
            place,
            ", ".join(f"{k}={v or '(none)'}" for k, v in value.dimensions.items()),
            "-" if value.value is None else f"{value.value:,.3f}".rstrip("0").rstrip("."),
            "" if value.n is None else str(value.n),
            between,
            value.target or "",
            value.status,
            value.state,
        )
    return table
