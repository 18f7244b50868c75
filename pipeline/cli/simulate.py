"""``cxstream simulate``: events of a simulated contact center."""

from __future__ import annotations

import asyncio
import sys
import time
from datetime import datetime
from typing import Annotated

import msgspec
import typer

from pipeline.cli.output import Exit, fail
from pipeline.cli.settings import read_settings
from pipeline.demo.feed import Feeder
from pipeline.runtime import broker_of
from pipeline.simulator import Disorder, DisorderConfig, Simulator, SimulatorConfig


def command(
    rate: Annotated[float, typer.Option(help="Events a second of event time.", min=0.01)] = 25.0,
    hours: Annotated[
        float | None,
        typer.Option(help="Write this much event time as fast as possible, to stdout."),
    ] = None,
    start: Annotated[
        str | None, typer.Option(help="First moment, RFC 3339; else so that it ends now.")
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same events.")] = 1,
    duplicates: Annotated[float, typer.Option(help="Share of events twice.", min=0, max=1)] = 0.0,
    shuffle_seconds: Annotated[
        float, typer.Option(help="Every event comes late by up to this.", min=0)
    ] = 0.0,
    plans: Annotated[
        bool, typer.Option("--plans", help="Forecasts, staff, rates and verifications, too.")
    ] = False,
    bootstrap: Annotated[
        str | None, typer.Option(help="Write to this Kafka on the wall clock, until Ctrl-C.")
    ] = None,
) -> None:
    """Simulate a contact center: to standard output as JSON lines, or to a Kafka on the wall clock.

    Its output is good for `cxstream replay --platform interactions`.
    """
    config = SimulatorConfig(
        events_per_second=rate, daily_curve=(1.0,) * 24, plans=plans, keep_truth=False
    )
    disorder = DisorderConfig(
        duplicate_ratio=duplicates, shuffle_within_ms=round(shuffle_seconds * 1000), delayed_ratio=0
    )
    if hours is None:
        if bootstrap is None:
            fail("say --hours for a file, or --bootstrap for a Kafka", Exit.BAD_INPUT)
        asyncio.run(_live(bootstrap, config, disorder))
        return
    length_ms = round(hours * 3_600_000)
    start_ms = _start_ms(start, length_ms)
    center = Simulator(config, seed, start_ms, f"s{seed}")
    events = Disorder(disorder, seed).stream(center.generate(start_ms + length_ms))
    write = sys.stdout.buffer.write
    for event in events:
        write(msgspec.json.encode(event) + b"\n")


def _start_ms(start: str | None, length_ms: int) -> int:
    if start is None:
        return time.time_ns() // 1_000_000 - length_ms
    try:
        moment = datetime.fromisoformat(start)
    except ValueError:
        fail(f"--start {start}: expected an RFC 3339 time", Exit.BAD_INPUT)
    if moment.tzinfo is None:
        fail(f"--start {start}: the time needs an offset, such as Z", Exit.BAD_INPUT)
    return round(moment.timestamp() * 1000)


async def _live(bootstrap: str, config: SimulatorConfig, disorder: DisorderConfig) -> None:
    feeder = Feeder(broker_of(read_settings(bootstrap=bootstrap), bootstrap))
    await feeder.start()
    try:
        await feeder.simulate(config, disorder)
    finally:
        await feeder.close()
