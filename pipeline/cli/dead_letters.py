"""``cxstream dead-letters``: what was refused, why, and how to take it in after all."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Coroutine, Iterable
from pathlib import Path
from typing import Annotated, Any

import typer
from aiokafka.errors import KafkaError
from rich.console import Console
from rich.table import Table

from pipeline.app import sources
from pipeline.cli.output import Exit, fail
from pipeline.cli.settings import kafka_settings
from pipeline.dead_letters import DeadLetter, explain, read_letters, send_back
from pipeline.microbatch import Broker
from pipeline.runtime import broker_of
from pipeline.settings import Settings
from pipeline.stages.intake import Source
from schemas.platforms import UnknownPlatformError
from schemas.platforms.base import OptionError

app = typer.Typer(help="See refused records, and send them back.", no_args_is_help=True)
Bootstrap = Annotated[str | None, typer.Option(help="Kafka brokers, host:port.")]
Position = Annotated[str, typer.Argument(help="TOPIC/PARTITION/OFFSET as listed.")]
_COLUMNS = ("topic", "partition", "offset", "reason", "detail", "size", "sha256", "replayed")


@app.command("list")
def list_letters(
    *,
    bootstrap: Bootstrap = None,
    reason: Annotated[str | None, typer.Option(help="Only of this reason.")] = None,
    topic: Annotated[str | None, typer.Option(help="Only from this topic.")] = None,
    limit: Annotated[int, typer.Option(help="At most this many, the newest.", min=1)] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="One object a line.")] = False,
) -> None:
    """List refused records: position, reason, size, hash. Their bytes are personal data."""
    letters = [
        letter
        for letter in _letters(_settings(bootstrap))
        if reason in (None, letter.reason) and topic in (None, letter.topic)
    ]
    shown = [{name: getattr(letter, name) for name in _COLUMNS} for letter in letters[-limit:]]
    if as_json:
        for told in shown:
            typer.echo(json.dumps(told))
        return
    table = Table(*_COLUMNS)
    for told in shown:
        table.add_row(*(str(told[name]) for name in _COLUMNS))
    Console().print(table)
    for name, count in sorted(Counter(letter.reason for letter in letters).items()):
        typer.echo(f"{name}: {count}")


@app.command()
def show(
    position: Position,
    bootstrap: Bootstrap = None,
    out: Annotated[Path | None, typer.Option(help="Write the bytes here; else print.")] = None,
) -> None:
    """Give the original bytes of one refused record."""
    letter = _one(_letters(_settings(bootstrap)), position)
    if out is not None:
        out.write_bytes(letter.value)
    else:
        typer.echo(letter.value, nl=False)


@app.command("explain")
def explain_letter(position: Position, bootstrap: Bootstrap = None) -> None:
    """Say why a record was refused, what would become of it now, and what to do."""
    settings = _settings(bootstrap)
    letter = _one(_letters(settings), position)
    for line in explain(letter, _sources(settings, [letter])[letter.platform]):
        typer.echo(line)


@app.command()
def replay(
    *,
    positions: Annotated[
        list[str] | None, typer.Argument(help="TOPIC/PARTITION/OFFSET as listed; none: all.")
    ] = None,
    bootstrap: Bootstrap = None,
    reason: Annotated[str | None, typer.Option(help="Only of this reason.")] = None,
    topic: Annotated[str | None, typer.Option(help="Only from this topic.")] = None,
    repaired: Annotated[
        Path | None, typer.Option("--with", help="Send this file's bytes instead; one position.")
    ] = None,
    again: Annotated[bool, typer.Option(help="Also those sent back before.")] = False,
    dry_run: Annotated[bool, typer.Option(help="Only say what would be sent.")] = False,
) -> None:
    """Send refused records back to where they came from.

    To repair one: `show` it into a file, edit the file, and replay its position `--with` the file.
    """
    if repaired is not None and len(positions or ()) != 1:
        fail("--with takes exactly one position", Exit.BAD_INPUT)
    settings = _settings(bootstrap)
    letters = _letters(settings)
    if positions:
        letters = [_one(letters, position) for position in positions]
    chosen = [
        letter
        for letter in letters
        if reason in (None, letter.reason)
        and topic in (None, letter.topic)
        and (again or not letter.replayed)
    ]
    if repaired is not None:
        content = repaired.read_bytes()
        chosen = [letter._replace(value=content, size=len(content)) for letter in chosen]
    cut = [letter.position for letter in chosen if not letter.whole]
    chosen = [letter for letter in chosen if letter.whole]
    if chosen and not dry_run:
        sent_by = _sources(settings, chosen)
        _run(settings, send_back(_broker(settings), chosen, sent_by))
    for position in cut:
        typer.echo(f"{position}: only its beginning is kept, it cannot be sent back")
    typer.echo(f"{len(chosen)} {'would be sent' if dry_run else 'sent'} back")


def _settings(bootstrap: str | None) -> Settings:
    return kafka_settings(bootstrap=bootstrap)[0]


def _broker(settings: Settings) -> Broker:
    return broker_of(settings, settings.bootstrap or "")


def _letters(settings: Settings) -> list[DeadLetter]:
    try:
        return asyncio.run(read_letters(_broker(settings)))
    except KafkaError as error:
        fail(f"{settings.bootstrap}: {error}")


def _run(settings: Settings, work: Coroutine[Any, Any, None]) -> None:
    try:
        asyncio.run(work)
    except KafkaError as error:
        fail(f"{settings.bootstrap}: {error}")


def _one(letters: Iterable[DeadLetter], position: str) -> DeadLetter:
    found = next((letter for letter in letters if letter.position == position), None)
    if found is None:
        fail(f"no dead letter {position}", Exit.NOTHING_READ)
    return found


def _sources(settings: Settings, letters: Iterable[DeadLetter]) -> dict[str, Source]:
    """Platforms of letters, with the options this environment gives them."""
    names = {letter.platform for letter in letters}
    given = [o for o in settings.platform_options if o.partition(".")[0] in names]
    try:
        return sources(sorted(names), given)
    except (UnknownPlatformError, OptionError) as error:
        fail(str(error), Exit.BAD_INPUT)
