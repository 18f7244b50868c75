"""``cxstream doctor``: is this installation as it must be, and if not, what is to be done?"""

from __future__ import annotations

import asyncio
import json as json_lines
from collections.abc import Iterable
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pipeline.cli.exhibits import read_exhibits
from pipeline.cli.output import Exit
from pipeline.cli.settings import kafka_settings
from pipeline.doctor import kafka
from pipeline.doctor.findings import Finding, Level
from pipeline.doctor.machine import machine
from pipeline.runtime import broker_of
from pipeline.settings import Settings
from schemas.exhibit import Exhibit
from schemas.topics import TOPICS, raw_topic
from sinks.clickhouse.doctor import warehouse

_STYLES: Final[dict[Level, str]] = {"good": "green", "warning": "yellow", "bad": "bold red"}


def command(
    bootstrap: Annotated[str | None, typer.Option(help="Kafka brokers, host:port.")] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object a finding.")] = False,
) -> None:
    """Look at brokers, topics, clocks, groups, exhibits and ClickHouse; say what to do.

    Ends with 1 if something is bad: nothing works, or numbers are missing or old. One record is
    written, to `cx.probes`, to see the broker's clock.
    """
    settings, brokers = kafka_settings(bootstrap=bootstrap)
    exhibits = read_exhibits(list(settings.exhibits))
    findings = list(_findings(settings, brokers, exhibits))
    if json:
        for finding in findings:
            typer.echo(json_lines.dumps(finding._asdict()))
    else:
        Console().print(_table(findings))
    if any(finding.level == "bad" for finding in findings):
        raise typer.Exit(Exit.FAILED)


def _findings(settings: Settings, bootstrap: str, exhibits: list[Exhibit]) -> Iterable[Finding]:
    yield from machine(settings, exhibits)
    told = list(kafka.brokers(settings, bootstrap))
    yield from told
    if all(finding.level != "bad" for finding in told):
        yield kafka.broker_clock(settings, bootstrap)
        broker = broker_of(settings, bootstrap)
        yield from asyncio.run(kafka.values(broker, settings, exhibits))
        yield from kafka.groups(settings, bootstrap, _read_by(settings))
    yield from asyncio.run(warehouse(settings.clickhouse))


def _read_by(settings: Settings) -> dict[str, tuple[str, ...]]:
    """Topics that each role reads."""
    raw = tuple(raw_topic(name) for name in settings.platforms)
    roles = ("lifecycle", "journeys", "performers", "exhibits", "sink")
    return {"intake": raw} | {
        role: tuple(
            name
            for name, topic in TOPICS.items()
            if role in topic.consumers and not name.endswith(".changelog")
        )
        for role in roles
    }


def _table(findings: Iterable[Finding]) -> Table:
    table = Table("what", "is", "found", "what to do")
    for check, level, found, todo in findings:
        table.add_row(check, f"[{_STYLES[level]}]{level}[/]", escape(found), escape(todo))
    return table
