"""``cxstream rebuild``: a lost log, written anew from the events that ClickHouse has."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Annotated, NamedTuple

import typer
from aiokafka.errors import KafkaError
from clickhouse_connect.driver.exceptions import ClickHouseError

from pipeline.cli.output import Exit, fail
from pipeline.cli.settings import kafka_settings
from pipeline.demo.feed import Feeder
from pipeline.microbatch import Broker
from pipeline.runtime import broker_of
from pipeline.settings import ClickHouseSettings
from pipeline.stages.wire import GENERATION_MAX
from sinks.clickhouse.accepted import accepted_events, next_generation, platform_restarts
from sinks.clickhouse.client import connect


def command(
    since: Annotated[str, typer.Option(help="Events from then on, RFC 3339.")],
    bootstrap: Annotated[str | None, typer.Option(help="Kafka brokers, host:port.")] = None,
) -> None:
    """Write the accepted events of ClickHouse to `cx.interactions` of a new cluster.

    Run it after `cxstream topics apply` and before any worker: the first values are then whole.
    What the new log says replaces the facts in ClickHouse. Written twice, an event changes nothing.
    """
    settings, brokers = kafka_settings(bootstrap=bootstrap)
    try:
        moment = datetime.fromisoformat(since)
    except ValueError:
        fail(f"--since {since}: expected an RFC 3339 time", Exit.BAD_INPUT)
    if moment.tzinfo is None:
        fail(f"--since {since}: the time needs an offset, such as Z", Exit.BAD_INPUT)
    try:
        written = asyncio.run(_rebuild(broker_of(settings, brokers), settings.clickhouse, moment))
    except (ClickHouseError, KafkaError, OSError, TooOftenError) as error:
        fail(str(error))
    typer.echo(f"{written.events:,} events written, generation {written.generation} of the log")


class Written(NamedTuple):
    """How many events were written, and in which generation of the log."""

    events: int
    generation: int


class TooOftenError(Exception):
    """The log was made anew more often than versions of facts can tell."""


async def _rebuild(broker: Broker, database: ClickHouseSettings, since: datetime) -> Written:
    client = await connect(database)
    feeder = Feeder(broker)
    try:
        generation = await next_generation(client)
        if generation > GENERATION_MAX:
            raise TooOftenError(
                f"the log was made anew {GENERATION_MAX} times: empty the tables facts_* of"
                " ClickHouse, whose facts are written anew, and run this again"
            )
        await feeder.start()
        await feeder.begin(generation)
        await feeder.restarts(await platform_restarts(client))
        return Written(await feeder.again(accepted_events(client, since)), generation)
    finally:
        await feeder.close()
        await client.close()
