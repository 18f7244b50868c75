"""``cxstream demo``: everything on this machine, with live values in a terminal."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from clickhouse_connect.driver.exceptions import ClickHouseError

from pipeline.cli.exhibits import default_exhibit, floor_exhibit, read_exhibits
from pipeline.cli.output import Exit, fail
from pipeline.cli.settings import read_settings
from pipeline.demo.run import Options, demo
from pipeline.embedded.process import ServiceError
from pipeline.topics_admin import TopicsError


def command(
    rate: Annotated[
        float, typer.Option(help="Events a second that the simulator makes.", min=0.1, max=5_000)
    ] = 25.0,
    simulate: Annotated[bool, typer.Option(help="Run the simulator.")] = True,
    bootstrap: Annotated[
        str | None, typer.Option(help="A Kafka of your own, host:port; else one in this process.")
    ] = None,
    kafka: Annotated[
        bool, typer.Option("--kafka", help="Start an Apache Kafka that keeps its log (needs Java).")
    ] = False,
    exhibit: Annotated[
        list[Path] | None,
        typer.Option(help="Exhibit file; without one the default exhibit and the floor."),
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Folder for embedded parts.")] = None,
) -> None:
    """Run the whole pipeline with a simulated contact center until Ctrl-C.

    Without --bootstrap the broker lives in this process; ClickHouse is a child process and keeps
    its rows in the data folder for the next start.
    """
    settings = read_settings(bootstrap=bootstrap, data_dir=data)
    _make_folder(settings.data_dir)
    options = Options(
        exhibits=read_exhibits(
            exhibit or settings.exhibits or [default_exhibit(), floor_exhibit()]
        ),
        events_per_second=rate,
        simulate=simulate,
        own_kafka=kafka,
        say=typer.echo,
    )
    try:
        asyncio.run(demo(settings, options))
    except (ServiceError, TopicsError, RuntimeError, OSError) as error:
        fail(str(error))
    except ClickHouseError as error:
        first, *_ = str(error).splitlines()
        fail(f"ClickHouse in {settings.data_dir / 'clickhouse'}: {first}")
    except ValueError as error:
        fail(str(error), Exit.BAD_INPUT)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        fail(
            f"{folder} cannot be the data folder: {error.strerror}; name another with --data",
            Exit.BAD_INPUT,
        )
