"""``cxstream dead-letters``: what was refused, and why."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated

import typer
from aiokafka.errors import KafkaError
from rich.console import Console
from rich.table import Table

from pipeline.cli.output import Exit, fail
from pipeline.cli.settings import read_settings
from pipeline.microbatch import Broker, Record
from pipeline.microbatch.restore import partition_count, read_log
from pipeline.runtime import broker_of
from schemas.topics import DEAD_LETTERS

app = typer.Typer(help="See refused records.", no_args_is_help=True)
Bootstrap = Annotated[str | None, typer.Option(help="Kafka brokers, host:port.")]


@app.command("list")
def list_letters(
    bootstrap: Bootstrap = None,
    reason: Annotated[str | None, typer.Option(help="Only of this reason.")] = None,
    limit: Annotated[int, typer.Option(help="At most this many, the newest.", min=1)] = 50,
) -> None:
    """List refused records: position, reason, size, hash. Their bytes are personal data."""
    letters = _read(bootstrap)
    counts = Counter(told["reason"] for told, _ in letters)
    table = Table("topic", "partition", "offset", "reason", "detail", "bytes", "sha256")
    chosen = [told for told, _ in letters if reason is None or told["reason"] == reason]
    for told in chosen[-limit:]:
        table.add_row(*(told[name] for name in (
            "topic", "partition", "offset", "reason", "detail", "bytes", "sha256")))  # fmt: skip
    Console().print(table)
    for name, count in sorted(counts.items()):
        typer.echo(f"{name}: {count}")


@app.command()
def show(
    position: Annotated[str, typer.Argument(help="TOPIC/PARTITION/OFFSET as listed.")],
    bootstrap: Bootstrap = None,
    out: Annotated[Path | None, typer.Option(help="Write the bytes here; else print.")] = None,
) -> None:
    """Give the original bytes of one refused record."""
    for told, value in _read(bootstrap):
        if position == f"{told['topic']}/{told['partition']}/{told['offset']}":
            if out is not None:
                out.write_bytes(value)
            else:
                typer.echo(value, nl=False)
            return
    fail(f"no dead letter {position}", Exit.NOTHING_READ)


def _read(bootstrap: str | None) -> list[tuple[dict[str, str], bytes]]:
    settings = read_settings(bootstrap=bootstrap)
    if settings.bootstrap is None:
        fail("name a Kafka by --bootstrap or CXSTREAM_BOOTSTRAP", Exit.BAD_INPUT)
    broker = broker_of(settings, settings.bootstrap)

    async def gather() -> list[Record]:
        return [record async for record in _letters(broker)]

    try:
        records = asyncio.run(gather())
    except KafkaError as error:
        fail(f"{settings.bootstrap}: {error}")
    return [
        ({name: value.decode("utf-8", "replace") for name, value in r.headers}, r.value or b"")
        for r in sorted(records, key=lambda r: (r.timestamp, r.partition, r.offset))
    ]


async def _letters(broker: Broker) -> AsyncIterator[Record]:
    for number in range(await partition_count(broker, DEAD_LETTERS)):
        async for records in read_log(broker, DEAD_LETTERS, number):
            for record in records:
                yield record
