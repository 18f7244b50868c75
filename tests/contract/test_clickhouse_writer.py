from __future__ import annotations

import asyncio
import math
from datetime import UTC, datetime

import pytest
from clickhouse_connect.driver import AsyncClient
from clickhouse_connect.driver.exceptions import ProgrammingError

from pipeline.settings import ClickHouseSettings
from schemas import facts
from sinks.base import SinkObserver, SinkRejected, SinkUnavailable
from sinks.clickhouse import ddl
from sinks.clickhouse.client import connect
from sinks.clickhouse.errors import RETRYABLE
from sinks.clickhouse.writer import MAX_ROWS_PER_INSERT, ClickHouseWriter
from tests.support.services import clickhouse_server, clickhouse_settings

pytestmark = pytest.mark.clickhouse


class Recorder(SinkObserver):
    def __init__(self) -> None:
        self.seen: list[tuple[object, ...]] = []
        self.first_retry = asyncio.Event()

    def inserted(self, table, rows, seconds):
        assert 0 <= seconds < math.inf
        self.seen.append(("inserted", table, rows))

    def retried(self, table, code, delay_seconds):
        assert delay_seconds > 0
        self.seen.append(("retried", table, code))
        self.first_retry.set()

    def rejected(self, table, rows, code):
        self.seen.append(("rejected", table, rows, code))


def writer_of(settings: ClickHouseSettings, recorder: Recorder) -> ClickHouseWriter:
    return ClickHouseWriter(settings, recorder, first_delay_seconds=0.02, longest_delay_seconds=0.1)


def segment(version: int, deleted: int = 0, **own: object) -> list[object]:
    """Row of a queue segment in the order of its table's columns."""
    header = facts.Header(interaction_id="i1", channel="voice", queue="sales")
    fact = facts.QueueSegment(
        header=header,
        leg_id="i1",
        entered_ms=1_767_225_600_000,
        **{
            "left_ms": None, "outcome": "waiting", "reason": "", "wait_ms": None,
            "after_bot": False, **own,
        },
    )  # fmt: skip
    return ["i1/queue/1", version, deleted, *facts.values(fact)]


SEGMENT_COLUMNS = [column.name for column in ddl.fact_columns("queue_segment")]
DEAD_LETTER = ["topic", "partition", "offset", "sha256"]


async def test_the_same_rows_twice_are_one_row(settings, migrated):
    recorder = Recorder()
    async with writer_of(settings, recorder) as writer:
        for _ in range(2):
            await writer.insert("facts_queue_segment", SEGMENT_COLUMNS, [segment(1)])
    seen = await migrated.query(
        "SELECT fact_id, channel, queue, entered_at, left_at, wait_ms, after_bot, outcome "
        "FROM queue_segments"
    )
    assert seen.result_rows == [
        ("i1/queue/1", "voice", "sales", datetime(2026, 1, 1, tzinfo=UTC), None, None, False,
         "waiting"),
    ]  # fmt: skip
    assert recorder.seen == [("inserted", "facts_queue_segment", 1)] * 2


async def test_the_highest_version_wins_in_any_order_and_a_deletion_hides(settings, migrated):
    answered = segment(3, left_ms=1_767_225_607_250, outcome="answered", wait_ms=7_250)

    async def current() -> list[tuple[object, ...]]:
        answer = await migrated.query("SELECT version, outcome, wait_ms FROM queue_segments")
        return list(answer.result_rows)

    async with writer_of(settings, Recorder()) as writer:

        async def insert(row: list[object]) -> None:
            await writer.insert("facts_queue_segment", SEGMENT_COLUMNS, [row])

        await insert(answered)
        await insert(segment(2))
        assert await current() == [(3, "answered", 7_250)]
        await insert(segment(4, deleted=1))
        assert await current() == []
        await insert(answered)
        assert await current() == []
        await migrated.command("OPTIMIZE TABLE facts_queue_segment FINAL")
        assert await current() == []
        await insert(segment(5, outcome="ended"))
        assert await current() == [(5, "ended", None)]


async def test_events_keep_the_highest_record_version_then_the_greater_hash(settings, migrated):
    columns = [
        "event_id", "kind", "source", "occurred_at", "interaction_id", "channel", "record_version",
        "ingested_at", "event", "content_hash", "kafka_topic", "kafka_offset", "accepted_at",
    ]  # fmt: skip
    at = datetime(2026, 1, 1, 12, 0, 0, 250_000, tzinfo=UTC)
    at_ms = 1_767_268_800_250

    def row(record_version: int, content_hash: int, text: str) -> list[object]:
        return [
            "e1", "queued", "test", at, "i1", "voice", record_version, at_ms, text, content_hash,
            "cx.interactions", 7, at,
        ]  # fmt: skip

    largest = 2**64 - 1
    text = '{"event_id": "e1",  "näme": "\\u00e9 \\" \\\\"}'
    async with writer_of(settings, Recorder()) as writer:
        for candidate in (
            row(1, largest, "old"), row(2, 5, text), row(2, 4, "lesser"), row(0, 9, "older"),
        ):  # fmt: skip
            await writer.insert("interaction_events", columns, [candidate])
    answer = await migrated.query(
        "SELECT record_version, event, occurred_at, ingested_at, queue, resolved FROM events"
    )
    assert answer.result_rows == [(2, text, at, at, None, None)]


async def test_a_kpi_value_is_replaced_by_a_later_one_and_can_be_withdrawn(settings, migrated):
    columns = [
        "key", "exhibit", "as", "window_kind", "window_start", "dimensions", "as_of", "numerator",
        "denominator", "value", "version", "deleted",
    ]  # fmt: skip

    def row(key: bytes, version: int, numerator: int, deleted: int = 0) -> list[object]:
        start = "2026-01-01T10:00:00Z" if key == b"k1" else None
        return [
            key, "sales", "sl", "tumbling" if start else "all", start, {"queue": "a"},
            "2026-01-01T10:00:01.999Z", numerator, 4, numerator / 4, version, deleted,
        ]  # fmt: skip

    query = "SELECT window_start, as_of, numerator, value, dimensions, n FROM kpis ORDER BY 3"
    recorder = Recorder()
    async with writer_of(settings, recorder) as writer:

        async def insert(*rows: list[object]) -> None:
            await writer.insert("kpi_values", columns, rows)

        await insert(row(b"k1", 12, 3), row(b"k2", 12, 1))
        await insert(row(b"k1", 11, 2))
        await insert(row(b"k2", 12, 2))
        before = (await migrated.query(query)).result_rows
        await insert(row(b"k2", 13, 2, deleted=1))
        after = (await migrated.query(query)).result_rows
        with pytest.raises(SinkRejected, match="key_is_given"):
            await insert(row(b"", 14, 1))
    ten = datetime(2026, 1, 1, 10, tzinfo=UTC)
    as_of = datetime(2026, 1, 1, 10, 0, 1, 999_000, tzinfo=UTC)
    kept = (ten, as_of, 3, 0.75, {"queue": "a"}, None)
    assert before == [(None, as_of, 2, 0.5, {"queue": "a"}, None), kept]
    assert after == [kept]


async def test_too_many_parts_is_retried_until_the_server_takes_the_rows(settings, migrated):
    await migrated.command(
        "ALTER TABLE dead_letters "
        "MODIFY SETTING parts_to_throw_insert = 1, parts_to_delay_insert = 0"
    )
    await migrated.command("SYSTEM STOP MERGES dead_letters")
    recorder = Recorder()
    async with writer_of(settings, recorder) as writer:
        await writer.insert("dead_letters", DEAD_LETTER, [["t", 0, 1, "a"]])
        blocked = asyncio.create_task(
            writer.insert("dead_letters", DEAD_LETTER, [["t", 0, 2, "b"]])
        )
        await asyncio.wait_for(recorder.first_retry.wait(), 10)
        await migrated.command("ALTER TABLE dead_letters MODIFY SETTING parts_to_throw_insert = 9")
        await asyncio.wait_for(blocked, 10)
    assert recorder.seen[0] == ("inserted", "dead_letters", 1)
    assert recorder.seen[-1] == ("inserted", "dead_letters", 1)
    assert set(recorder.seen[1:-1]) == {("retried", "dead_letters", 252)}
    answer = await migrated.query("SELECT offset FROM dead_letters ORDER BY offset")
    assert answer.result_rows == [(1,), (2,)]


async def test_a_dead_server_is_waited_for_and_waiting_can_be_cancelled(tmp_path):
    with clickhouse_server(tmp_path) as server:
        settings = clickhouse_settings(server, "kept")
        async with await connect(settings, create_database=True) as client:
            await client.command("CREATE TABLE t (a Int64) ENGINE = MergeTree ORDER BY a")
        recorder = Recorder()
        async with writer_of(settings, recorder) as writer:
            await writer.insert("t", ["a"], [[1]])
            server.kill()
            waiting = asyncio.create_task(writer.insert("t", ["a"], [[2]]))
            cancelled = asyncio.create_task(writer.insert("t", ["a"], [[3]]))
            await asyncio.wait_for(recorder.first_retry.wait(), 10)
            cancelled.cancel()
            with pytest.raises(asyncio.CancelledError):
                await cancelled
            with pytest.raises(SinkUnavailable) as unavailable:
                await writer.insert_once("t", ["a"], [[4]])
            assert unavailable.value.code is None
            assert unavailable.value.delay_seconds > 0
            await asyncio.to_thread(server.start)
            await asyncio.wait_for(waiting, 20)
        async with await connect(settings) as client:
            answer = await client.query("SELECT a FROM t ORDER BY a")
            assert answer.result_rows == [(1,), (2,)]


async def test_a_writer_made_while_the_server_is_down_connects_later(settings, migrated):
    recorder = Recorder()
    nowhere = settings.model_copy(update={"port": 1})
    async with writer_of(nowhere, recorder) as writer:
        with pytest.raises(SinkUnavailable, match=r"Cannot connect to host 127\.0\.0\.1:1"):
            await writer.insert_once("dead_letters", DEAD_LETTER, [["t", 0, 1, "a"]])


@pytest.mark.parametrize(
    "case",
    [
        ("dead_letters", {"topic": "t", "colour": "red"}, None, "'colour' in table dead_letters"),
        ("nowhere", {"topic": "t"}, 60, "UNKNOWN_TABLE"),
        (
            "dead_letters",
            {"topic": "t", "partition": "one"},
            None,
            r"column partition \(U?Int\d+\): inv",
        ),
        ("dead_letters", {"topic": None, "partition": 1}, None, "None value in non-Nullable"),
    ],
)
async def test_wrong_rows_are_rejected_at_once_with_the_reason(settings, migrated, case):
    table, row, code, message = case
    recorder = Recorder()
    async with writer_of(settings, recorder) as writer:
        with pytest.raises(SinkRejected, match=message) as rejected:
            await writer.insert(table, list(row), [list(row.values())])
    assert rejected.value.code == code
    assert recorder.seen == [("rejected", table, 1, code)]
    assert await migrated.command("SELECT count() FROM dead_letters") == 0


async def test_a_table_that_is_described_in_part_is_asked_again(settings, migrated, monkeypatch):
    described = AsyncClient.create_insert_context
    answers = iter([ProgrammingError("Unrecognized column 'topic' in table dead_letters")])

    async def in_part(self, *args, **kwargs):
        if (error := next(answers, None)) is not None:
            raise error
        return await described(self, *args, **kwargs)

    monkeypatch.setattr(AsyncClient, "create_insert_context", in_part)
    recorder = Recorder()
    async with writer_of(settings, recorder) as writer:
        await writer.insert("dead_letters", DEAD_LETTER, [["t", 0, 1, "a"]])
    assert recorder.seen == [("retried", "dead_letters", None), ("inserted", "dead_letters", 1)]


async def test_a_column_dropped_under_a_running_writer_is_rejected_by_the_server(
    settings, migrated
):
    recorder = Recorder()
    async with writer_of(settings, recorder) as writer:
        columns, row = ["topic", "detail"], ["t", "d"]
        await writer.insert("dead_letters", columns, [row])
        await migrated.command("ALTER TABLE dead_letters DROP COLUMN detail")
        with pytest.raises(SinkRejected, match=r"NO_SUCH_COLUMN_IN_TABLE.*detail|detail.*NO_SUCH"):
            await writer.insert("dead_letters", columns, [row])
    assert recorder.seen[-1] == ("rejected", "dead_letters", 1, 16)


async def test_a_batch_is_one_part_and_no_token_drops_it(settings, migrated):
    await migrated.command("SYSTEM STOP MERGES dead_letters")
    rows = [["t", 0, number, "a"] for number in range(50_000)]
    async with writer_of(settings, Recorder()) as writer:
        await writer.insert("dead_letters", DEAD_LETTER, rows)
        await writer.insert("dead_letters", DEAD_LETTER, rows)
        await writer.insert("dead_letters", DEAD_LETTER, [])
    parts = await migrated.query(
        "SELECT rows FROM system.parts WHERE database = currentDatabase() "
        "AND table = 'dead_letters' AND active"
    )
    assert parts.result_rows == [(50_000,), (50_000,)]
    assert await migrated.command("SELECT count() FROM dead_letters FINAL") == 50_000


async def test_more_rows_than_a_block_are_inserted_in_blocks(settings, migrated):
    recorder = Recorder()
    rows = [["t", 0, number, ""] for number in range(MAX_ROWS_PER_INSERT + 1)]
    async with writer_of(settings, recorder) as writer:
        await writer.insert("dead_letters", DEAD_LETTER, rows)
    assert [rows for _, _, rows in recorder.seen] == [MAX_ROWS_PER_INSERT, 1]
    assert await migrated.command("SELECT count() FROM dead_letters") == MAX_ROWS_PER_INSERT + 1


async def test_retryable_codes_are_the_servers_names(empty):
    answer = await empty.query(
        "SELECT errorCodeToName(arrayJoin({codes:Array(UInt32)}))",
        parameters={"codes": list(RETRYABLE)},
    )
    assert [name for (name,) in answer.result_rows] == [e.name for e in RETRYABLE.values()]
