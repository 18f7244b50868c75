from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from typer.testing import CliRunner

from pipeline.cli.main import app
from sinks.clickhouse.accepted import accepted_events, next_generation, platform_restarts
from tests.contract.test_clickhouse_writer import SEGMENT_COLUMNS, Recorder, segment, writer_of

pytestmark = pytest.mark.clickhouse

SINCE = datetime(2026, 3, 2, tzinfo=UTC)
COLUMNS = [
    "event_id", "kind", "interaction_id", "performer_id", "occurred_at", "event", "accepted_at",
]  # fmt: skip


async def test_of_an_interaction_all_events_come_or_none(settings, migrated):
    def row(event_id: str, kind: str, name: str, hours: float) -> list[object]:
        at = SINCE + timedelta(hours=hours)
        performer = "ann" if kind == "performer_state" else None
        return [event_id, kind, name, performer, at, f'"{event_id}"', at]

    rows = [
        row("across-1", "queued", "across", -1),
        row("across-2", "completed", "across", 1),
        row("before-1", "queued", "before", -2),
        row("before-2", "completed", "before", -1),
        row("plan", "plan", "entry", -500),
        # What a performer was long ago is another interval of time.
        row("state-1", "performer_state", "performer:ann", -1),
        row("state-2", "performer_state", "performer:ann", 1),
    ]
    await migrated.insert("interaction_events", rows, column_names=COLUMNS)
    found = [event async for event in accepted_events(migrated, SINCE)]
    hour_ms = 3_600_000
    since_ms = int(SINCE.timestamp()) * 1000
    assert found == [
        ("entry", '"plan"', since_ms - 500 * hour_ms),
        ("across", '"across-1"', since_ms - hour_ms),
        ("across", '"across-2"', since_ms + hour_ms),
        ("ann", '"state-2"', since_ms + hour_ms),
    ]


async def test_restarts_of_platforms_come_once_each_in_their_order(settings, migrated):
    # Each partition of a log tells of it.
    rows = [["pbx", SINCE], ["chat", SINCE - timedelta(days=500)], ["pbx", SINCE]]
    columns = ["source", "restarted_at"]
    for row in rows:
        await migrated.insert("platform_restarts", [row], column_names=columns)
    since_ms = int(SINCE.timestamp()) * 1000
    assert await platform_restarts(migrated) == [
        ("chat", since_ms - 500 * 86_400_000), ("pbx", since_ms),
    ]  # fmt: skip


async def test_a_log_made_anew_is_one_generation_above_what_is_stored(settings, migrated):
    assert await next_generation(migrated) == 0
    async with writer_of(settings, Recorder()) as writer:
        # Rules 3, and something known: nothing was made anew yet.
        await writer.insert("facts_queue_segment", SEGMENT_COLUMNS, [segment(3 << 56 | 1 << 38)])
        assert await next_generation(migrated) == 1
        await writer.insert("facts_queue_segment", SEGMENT_COLUMNS, [segment(2 << 60 | 3 << 56)])
    assert await next_generation(migrated) == 3


async def test_more_generations_than_versions_can_tell_are_refused(settings, migrated):
    async with writer_of(settings, Recorder()) as writer:
        await writer.insert("facts_queue_segment", SEGMENT_COLUMNS, [segment(15 << 60)])
    told = {
        "HOST": settings.host, "PORT": str(settings.port), "USER": settings.user,
        "PASSWORD": settings.password.get_secret_value(), "DATABASE": settings.database,
    }  # fmt: skip
    environment = {f"CXSTREAM_CLICKHOUSE_{name}": value for name, value in told.items()}
    arguments = ["rebuild", "--since", "2026-03-02T00:00:00Z", "--bootstrap", "127.0.0.1:1"]
    result = await asyncio.to_thread(CliRunner().invoke, app, arguments, env=environment)
    assert result.exit_code == 1
    assert "the log was made anew 15 times: empty the tables facts_*" in result.output
