"""``cxstream plan``: what an installation takes, from what the benchmark has measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.filesize import decimal
from rich.table import Table

from pipeline.capacity import Load, Measured, Plan, plan
from pipeline.cli.output import Exit, fail

_FILE = Path("var/bench/capacity.json")


def command(
    interactions_per_day: Annotated[
        float, typer.Option(help="Contacts a day, over all channels.", min=1)
    ],
    bench: Annotated[Path, typer.Option(help="Result file of `make bench`.")] = _FILE,
    peak: Annotated[
        float, typer.Option(help="The busiest second over the mean of the day.", min=1)
    ] = 4.0,
    utilisation: Annotated[
        float, typer.Option(help="How busy a core may be in that second.", min=0.05, max=1)
    ] = 0.5,
    horizon_days: Annotated[
        float, typer.Option(help="How long a contact may still be corrected.", min=1)
    ] = 35.0,
    stored_days: Annotated[
        float, typer.Option(help="How long ClickHouse keeps rows.", min=1)
    ] = 400,
    replication: Annotated[int, typer.Option(help="Copies of each Kafka record.", min=1)] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Plan an installation for so many contacts a day: workers, partitions, memory, disk, rows."""
    load = Load(interactions_per_day, peak, utilisation, horizon_days, stored_days, replication)
    found = plan(load, _read(bench))
    if as_json:
        typer.echo(json.dumps({**found._asdict(), "roles": [r._asdict() for r in found.roles]}))
    else:
        _show(found)


def _read(file: Path) -> Measured:
    try:
        return msgspec.json.decode(file.read_bytes(), type=Measured)
    except FileNotFoundError:
        fail(f"{file}: no such file; `make bench PARTS=product` writes it", Exit.BAD_INPUT)
    except (OSError, msgspec.DecodeError) as error:
        fail(f"{file}: {error}", Exit.BAD_INPUT)


def _show(found: Plan) -> None:
    console = Console()
    roles = Table("role", title="Workers at the peak")
    for heading in ("cores busy", "workers of one core"):
        roles.add_column(heading, justify="right")
    for role in found.roles:
        roles.add_row(role.role, f"{role.cores:.2f}", str(role.workers))
    console.print(roles)
    whole = Table("what", title="The installation", show_header=False)
    whole.add_column("how much", justify="right")
    for what, how_much in (
        ("events a second, mean", f"{found.events_per_second:,.0f}"),
        ("events a second, peak", f"{found.peak_events_per_second:,.0f}"),
        ("partitions of each topic", f"{found.partitions:,}"),
        ("interactions in state", f"{found.state_keys:,.0f}"),
        ("memory of all workers", decimal(round(found.state_bytes))),
        ("restore of one worker", f"{found.restore_seconds:,.0f} s"),
        ("disk of Kafka, all copies", decimal(round(found.kafka_bytes))),
        ("rows a day in ClickHouse", f"{found.rows_per_day:,.0f}"),
        ("disk of ClickHouse, one copy", decimal(round(found.clickhouse_bytes))),
        ("cores of ClickHouse busy at the peak", f"{found.clickhouse_cores:.2f}"),
    ):
        whole.add_row(what, how_much)
    console.print(whole)
    console.print(f"first limit: {found.limit}")
