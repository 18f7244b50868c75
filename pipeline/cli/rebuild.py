"""``cxstream rebuild``: a lost log, written anew from the events that ClickHouse has."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Annotated

import typer
from aiokafka.errors import KafkaError
from clickhouse_connect.driver.exceptions import ClickHouseError

from pipeline.cli.output import Exit, fail
from pipeline.cli.settings import kafka_settings
from pipeline.demo.feed import Feeder
from pipeline.microbatch import Broker
from pipeline.runtime import broker_of
from pipeline.settings import ClickHouseSettings
from sinks.clickhouse.accepted import accepted_events
from sinks.clickhouse.client import connect


def command(
    since: Annotated[str, typer.Option(help="Events from then on, RFC 3339.")],
    bootstrap: Annotated[str | None, typer.Option(help="Kafka brokers, host:port.")] = None,
) -> None:
    """Write the accepted events of ClickHouse to `cx.interactions` of a new cluster.

    Run it after `cxstream topics apply` and before any worker: the first values are then whole.
    Written twice, an event changes nothing.
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
    except (ClickHouseError, KafkaError, OSError) as error:
        fail(str(error))
    typer.echo(f"{written:,} events written")


async def _rebuild(broker: Broker, database: ClickHouseSettings, since: datetime) -> int:
    client = await connect(database)
    feeder = Feeder(broker)
    try:
        await feeder.start()
        return await feeder.again(accepted_events(client, since))
    finally:
        await feeder.close()
        await client.close()
