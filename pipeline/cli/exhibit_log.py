"""Commands that see and change the exhibits of a running installation, through its log."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from aiokafka.errors import KafkaError
from rich.console import Console
from rich.table import Table

from pipeline.cli.exhibits import read_exhibits
from pipeline.cli.output import Exit, fail
from pipeline.cli.settings import kafka_settings
from pipeline.exhibits_admin import announce, in_force
from pipeline.microbatch import Broker
from pipeline.runtime import broker_of
from pipeline.stages.configuration import Configuration, ConfigurationError, ExhibitChange, text_of

Bootstrap = Annotated[str | None, typer.Option(help="Kafka brokers, host:port.")]
AnyT = TypeVar("AnyT")


def apply(
    files: Annotated[list[Path], typer.Argument(help="Exhibit files to bring into force.")],
    bootstrap: Bootstrap = None,
) -> None:
    """Bring exhibits into force on a running installation, without a restart and without a gap.

    A changed exhibit needs a higher version. The one before is shown until everything is counted
    for the new one.
    """
    exhibits = read_exhibits(files)
    broker = _broker(bootstrap)
    standing = _run(broker, in_force(broker))
    changes = []
    for exhibit in exhibits:
        change = ExhibitChange(exhibit.exhibit, exhibit.version, text_of(exhibit))
        newest = max((c.newest.get(change.name, 0) for c in standing.values()), default=0)
        if change.version < newest:
            fail(
                f"exhibit {change.name} version {newest} is in force, this is {change.version}",
                Exit.BAD_INPUT,
            )
        changes.append(change)
    _run(broker, announce(broker, changes))
    for change in changes:
        typer.echo(f"{change.name} version {change.version} comes into force")


def end(
    name: Annotated[str, typer.Argument(help="Name of the exhibit.")], bootstrap: Bootstrap = None
) -> None:
    """End an exhibit: nothing is counted for it any more, and its values are withdrawn."""
    broker = _broker(bootstrap)
    standing = _run(broker, in_force(broker))
    if not any(name in configuration.texts for configuration in standing.values()):
        fail(f"no exhibit {name} is in force", Exit.BAD_INPUT)
    _run(broker, announce(broker, [ExhibitChange(name, 0)]))
    typer.echo(f"{name} ends")


def list_exhibits(bootstrap: Bootstrap = None) -> None:
    """List the exhibits that are counted for, and in how many partitions."""
    broker = _broker(bootstrap)
    standing = _run(broker, in_force(broker))
    table = Table("exhibit", "version", "partitions")
    for name, version, partitions in _counted(standing):
        table.add_row(name, str(version), f"{partitions} of {len(standing)}")
    Console().print(table)


def _counted(standing: dict[str, Configuration]) -> list[tuple[str, int, int]]:
    found: dict[tuple[str, int], int] = {}
    for configuration in standing.values():
        for name, versions in configuration.texts.items():
            for version in versions:
                found[name, version] = found.get((name, version), 0) + 1
    return [(name, version, count) for (name, version), count in sorted(found.items())]


def _broker(bootstrap: str | None) -> Broker:
    return broker_of(*kafka_settings(bootstrap=bootstrap))


def _run(broker: Broker, work: Coroutine[Any, Any, AnyT]) -> AnyT:
    try:
        return asyncio.run(work)
    except ConfigurationError as error:
        fail(str(error), Exit.BAD_INPUT)
    except KafkaError as error:
        fail(f"{broker.bootstrap}: {error}")
