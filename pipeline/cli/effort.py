"""``cxstream effort``: what journey effort says, beside what customers say."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from clickhouse_connect.driver.exceptions import ClickHouseError

from pipeline.cli.exhibits import read_exhibits
from pipeline.cli.output import Exit, fail
from pipeline.cli.settings import demo_clickhouse, read_settings
from pipeline.cli.sql import ask
from pipeline.journey.effort import (
    PARTS,
    Agreement,
    Calibration,
    Weights,
    calibration,
    calibration_of,
    calibration_query,
    default_weights,
    weights_of,
)
from pipeline.journey.read import by_kind

app = typer.Typer(
    help="Journey effort beside what customers say of it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.callback()
def _group() -> None:
    """Keep ``calibrate`` a command of its own while it is the only one."""


@app.command()
def calibrate(
    exhibit: Annotated[
        Path | None, typer.Option(help="Exhibit whose weights are tried; else the defaults.")
    ] = None,
    scale: Annotated[int, typer.Option(help="Scale of the effort question.", min=2)] = 7,
    facts: Annotated[
        Path | None,
        typer.Option(help="What `cxstream replay --emit facts --json` printed; else ClickHouse."),
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Data folder of a running demo; else as the settings say.")
    ] = None,
) -> None:
    """Say how efforts of journeys agree with their customers' answers to the effort question.

    Answers say how easy it was, so weights are right when the correlation is near -1.
    """
    weights = _weights(exhibit)
    try:
        found = (
            _of_file(facts, weights, scale)
            if facts is not None
            else _of_clickhouse(data, weights, scale)
        )
    except (ClickHouseError, OSError) as error:
        fail(str(error))
    if not found.answers:
        fail(f"no effort question on a scale of {scale} was answered", Exit.NOTHING_READ)
    typer.echo(f"n {found.answers} answers of {found.journeys} journeys")
    typer.echo(f"{'part':26}{'weight':>8}{'rank':>8}{'linear':>8}")
    for name, (title, _) in PARTS.items():
        typer.echo(f"{title:26}{weights[name]:>8g}{_told(found.parts[name])}")
    typer.echo(f"{'effort':34}{_told(found.whole)}")


def _of_file(file: Path, weights: Weights, scale: int) -> Calibration:
    try:
        with file.open(encoding="utf-8") as lines:
            return calibration_of(by_kind(lines), weights, scale)
    except ValueError as error:
        fail(f"{file}: {error}", Exit.BAD_INPUT)


def _of_clickhouse(data: Path | None, weights: Weights, scale: int) -> Calibration:
    settings = read_settings().clickhouse if data is None else demo_clickhouse(data)
    names, rows = asyncio.run(ask(settings, *calibration_query(weights, scale)))
    return calibration(dict(zip(names, rows[0], strict=True)))


def _weights(exhibit: Path | None) -> Weights:
    if exhibit is None:
        return default_weights()
    weights = weights_of(read_exhibits([exhibit])[0])
    if weights is None:
        fail(f"{exhibit}: expected an entry of journey_effort", Exit.BAD_INPUT)
    return weights


def _told(agreement: Agreement) -> str:
    return "".join(f"{'-' if r is None else f'{r:.3f}':>8}" for r in agreement)
