"""Rows that ClickHouse reads out of the log's bytes are those that are decoded here."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Sequence
from functools import cache
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings

from pipeline.settings import ClickHouseSettings
from pipeline.stages.intake import ACCEPTED
from pipeline.stages.wire import written_again
from schemas.compiled import decode_event, encode_event
from schemas.fact_records import encode_fact
from schemas.facts import FACT_KINDS
from schemas.topics import FACTS, INTERACTIONS, KPIS
from sinks.base import SinkRejected
from sinks.clickhouse import migrate
from sinks.clickhouse.agent import taken
from sinks.clickhouse.client import connect
from sinks.clickhouse.ddl import fact_table
from sinks.clickhouse.encoded import Rows, encode
from sinks.clickhouse.rows import COLUMNS, rows
from sinks.clickhouse.writer import MAX_ROWS_PER_INSERT, ClickHouseWriter
from tests.support.event_bodies import ENVELOPE, bodies
from tests.support.services import clickhouse_settings
from tests.support.streamed import random_facts

pytestmark = pytest.mark.clickhouse

AT_MS = 1_780_300_800_250
"""2026-06-01T08:00:00.250Z."""


class Stored(NamedTuple):
    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()


def events(values: Iterable[bytes]) -> list[Stored]:
    """Every other one is written again, a minute after it was written first."""
    headers = (ACCEPTED, [*ACCEPTED, *written_again(AT_MS - 60_000)])
    return [
        Stored(
            INTERACTIONS, 3, 2**33 + number, AT_MS + number, b"i1", value, headers[number % 2]
        )
        for number, value in enumerate(values)
    ]  # fmt: skip


async def stored(
    settings: ClickHouseSettings, table: str, records: Sequence[Stored], *, by_server: bool
) -> list[str]:
    """The rows of a table that keeps each, as text, in the order of the log."""
    kept = f"{table}_kept"
    async with await connect(settings) as client, ClickHouseWriter(settings) as writer:
        await client.command(f"DROP TABLE IF EXISTS {kept}")
        await client.command(f"CREATE TABLE {kept} AS {table} ENGINE = Memory")
        if by_server:
            _, statements = taken(records[0].topic, records)
            for statement, told in statements.items():
                text = statement.text.replace(f"INTO {table} ", f"INTO {kept} ", 1)
                await writer.insert_encoded(statement._replace(table=kept, text=text), told)
        else:
            told = [row.values for record in records for row in rows(record)]
            await writer.insert(kept, COLUMNS[table], told)
        answer = await client.query(
            f"SELECT formatRow('JSONEachRow', * EXCEPT(version), toString(version)) FROM {kept}"  # noqa: S608
        )
        return sorted(text for (text,) in answer.result_rows)


@pytest.fixture(scope="module")
def database(clickhouse):
    settings = clickhouse_settings(clickhouse, "encoded")

    async def make() -> None:
        async with await connect(settings, create_database=True) as client:
            await migrate.apply(client)

    asyncio.run(make())
    return settings


def same(settings: ClickHouseSettings, table: str, records: Sequence[Stored]) -> int:
    async def both() -> tuple[list[str], list[str]]:
        return (
            await stored(settings, table, records, by_server=True),
            await stored(settings, table, records, by_server=False),
        )

    by_server, here = asyncio.run(both())
    for one, other in zip(by_server, here, strict=True):
        assert json.loads(one) == json.loads(other)
    return len(here)


@cache
def chance_events() -> list[bytes]:
    """Bodies of events as intake sends them on, the same in every run."""
    found: list[bytes] = []

    @given(bodies())
    @hypothesis_settings(
        max_examples=2_500, derandomize=True, database=None, deadline=None,
        phases=[Phase.generate], suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    def collect(body: bytes) -> None:
        event = decode_event(body)
        if event is not None:
            found.append(encode_event(event))

    collect()
    return found


def fact_records(kind: str) -> list[Stored]:
    """Twenty facts of a kind, with every column that can be blank blank in some; one is gone."""
    named = random_facts(1, 20, AT_MS)[kind]
    values = [
        encode_fact(kind, name, 2**63 + number, fact) for number, (name, fact) in enumerate(named)
    ]
    values.append(encode_fact(kind, "gone", 7, None))
    values.append(encode_fact(kind, 'ünïcode "\\\n', 0, named[0][1]))
    return [
        Stored(FACTS, 0, number, AT_MS, value[:20] + b"%d" % number, value)
        for number, value in enumerate(values)
    ]


def test_events_are_stored_the_same(database: ClickHouseSettings) -> None:
    told = events(chance_events())
    assert encode(told[0].topic, told, {}) == []
    assert same(database, "interaction_events", told) == len(told) > 200


@pytest.mark.parametrize("kind", sorted(FACT_KINDS))
def test_facts_are_stored_the_same(database: ClickHouseSettings, kind: str) -> None:
    told = fact_records(kind)
    assert encode(told[0].topic, told, {}) == []
    assert same(database, fact_table(kind), told) == 22


@pytest.mark.parametrize(
    "record",
    [
        Stored(INTERACTIONS, 0, 0, 0, None, b"\xa1", [("cx-control", b"tick")]),
        Stored(INTERACTIONS, 0, 0, 0, b"i1", json.dumps(ENVELOPE | {"kind": "started"}).encode()),
        # A time that only the schema reads: seconds since 1970.
        *events([json.dumps(ENVELOPE | {"kind": "started", "occurred_at": 1780300800}).encode()]),
        Stored(FACTS, 0, 0, 0, b"k", b'{"fact_id":"f","kind":"contact"}'),
        Stored(FACTS, 0, 0, 0, b"k", b'{"kind":"unheard_of","fact_id":"f"}'),
        Stored(FACTS, 0, 0, 0, b"k", b'{"kind":"contact","fact_id":"f"'),
        Stored(FACTS, 0, 0, 0, b"k", None),
        Stored(FACTS, 0, 0, 0, b"k", b'{"kind":"contact"}', [("cx-control", b"late")]),
        Stored(KPIS, 0, 0, 0, b"k", b"{}"),
    ],
)
def test_what_is_not_in_the_form_of_our_encoders_is_decoded_here(record: Stored) -> None:
    found: Rows = {}
    assert encode(record.topic, [record], found) == [record]
    assert not found


async def test_what_a_newer_worker_adds_is_ignored_and_what_an_older_one_lacks_is_blank(
    settings, migrated
):
    (statement,) = taken(FACTS, fact_records("survey"))[1]
    row = b'{"kind":"survey","fact_id":"f","version":3,"deleted":false,"invented":{"a":[1]}}'
    async with ClickHouseWriter(settings) as writer:
        await writer.insert_encoded(statement, [row])
    answer = await migrated.query("SELECT fact_id, version, score, queue FROM surveys")
    assert answer.result_rows == [("f", 3, None, "")]


@pytest.mark.parametrize(
    ("row", "code"),
    [
        (b'{"fact_id":"f","version":1,"deleted":false,"survey_id":null}', 117),
        (b'{"fact_id":"f","version":"three","deleted":false}', 27),
        (b'{"fact_id":"f","version":1,"deleted":false,"score":[4]}', 27),
    ],
)
async def test_wrong_values_are_rejected_at_once(settings, migrated, row, code):
    (statement,) = taken(FACTS, fact_records("survey"))[1]
    async with ClickHouseWriter(settings) as writer:
        with pytest.raises(SinkRejected, match=r"CANNOT_PARSE_INPUT|INCORRECT_DATA") as rejected:
            await writer.insert_encoded(statement, [row])
    assert rejected.value.code == code
    assert await migrated.command("SELECT count() FROM facts_survey") == 0


@pytest.mark.parametrize("table", ["facts_survey", "interaction_events"])
async def test_a_table_that_lacks_a_column_refuses_the_rows(settings, migrated, table):
    records = fact_records("survey") if table == "facts_survey" else events(chance_events()[:1])
    await migrated.command(f"DROP VIEW {'surveys' if table == 'facts_survey' else 'events'}")
    await migrated.command(f"ALTER TABLE {table} DROP COLUMN language")
    _, statements = taken(records[0].topic, records)
    async with ClickHouseWriter(settings) as writer:
        for statement, told in statements.items():
            with pytest.raises(SinkRejected, match=r"NO_SUCH_COLUMN_IN_TABLE") as rejected:
                await writer.insert_encoded(statement, told)
    assert rejected.value.code == 16


async def test_a_batch_is_one_part_and_more_rows_than_a_block_are_several(settings, migrated):
    for table in ("facts_survey", "interaction_events"):
        await migrated.command(f"SYSTEM STOP MERGES {table}")
    event = chance_events()[0]
    one = json.loads(event)
    told = events(
        json.dumps(one | {"event_id": f"e{number}"}, separators=(",", ":")).encode()
        for number in range(MAX_ROWS_PER_INSERT + 1)
    )
    facts = [encode_fact("survey", f"f{n}", 1, None) for n in range(MAX_ROWS_PER_INSERT)]
    records = [Stored(FACTS, 0, n, AT_MS, b"%d" % n, fact) for n, fact in enumerate(facts)]
    async with ClickHouseWriter(settings) as writer:
        for found in (taken(INTERACTIONS, told)[1], taken(FACTS, records)[1]):
            for statement, encoded in found.items():
                await writer.insert_encoded(statement, encoded)
    parts = await migrated.query(
        "SELECT table, rows FROM system.parts WHERE database = currentDatabase() AND active "
        "AND table IN ('facts_survey', 'interaction_events') ORDER BY table, rows"
    )
    assert parts.result_rows == [
        ("facts_survey", MAX_ROWS_PER_INSERT),
        ("interaction_events", 1),
        ("interaction_events", MAX_ROWS_PER_INSERT),
    ]
