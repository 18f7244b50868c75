"""The wallboard's server as a browser meets it, and the rows it reads from ClickHouse."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from msgspec.structs import replace

from pipeline.kpi import catalogue
from schemas.exhibit_file import load_exhibit
from schemas.values import WindowRef
from sinks.wallboard import server as serving
from sinks.wallboard.rows import RowSource
from sinks.wallboard.server import WallboardServer
from tests.support.wallboard import Shown, value


@asynccontextmanager
async def served(shown: Shown, **given) -> AsyncIterator[aiohttp.ClientSession]:
    async with (
        WallboardServer(shown.board, catalogue.load(), **given) as server,
        aiohttp.ClientSession(server.address) as session,
    ):
        yield session


async def event(stream: aiohttp.ClientResponse, name: str) -> dict:
    """Body of the next event of this name."""
    while True:
        line = await asyncio.wait_for(stream.content.readline(), 10)
        assert line, "the stream ended"
        if line == b"event: " + name.encode() + b"\n":
            return json.loads((await stream.content.readline()).removeprefix(b"data: "))


async def test_the_page_and_its_files_come_with_strict_headers():
    async with served(Shown()) as session:
        for path in ("/", "/page/main.js", "/page/wallboard.css", "/definition/desk/asa", "/nope"):
            async with session.get(path) as answer:
                policy = answer.headers["Content-Security-Policy"]
                assert "default-src 'none'" in policy
                assert "unsafe" not in policy
                assert "http" not in policy
                assert answer.headers["X-Content-Type-Options"] == "nosniff"
                assert answer.headers["Referrer-Policy"] == "no-referrer"


async def test_a_file_that_is_known_is_not_sent_again():
    async with served(Shown()) as session:
        async with session.get("/page/main.js") as first:
            tag = first.headers["ETag"]
            assert first.content_type == "text/javascript"
        async with session.get("/page/main.js", headers={"If-None-Match": tag}) as second:
            assert second.status == 304


@pytest.mark.parametrize(
    "path",
    ["/page/..%2fserver.py", "/page/server.py", "/definition/desk/aht", "/rows/other/asa"],
)
async def test_nothing_else_is_there(path):
    async with served(Shown()) as session, session.get(path) as answer:
        assert answer.status == 404


async def test_the_stream_fills_a_page_and_follows():
    shown = Shown()
    shown.put(value("offered", 7))
    shown.tick()
    async with served(shown) as session, session.get("/events") as stream:
        assert stream.content_type == "text/event-stream"
        assert stream.headers["Cache-Control"] == "no-store"
        told = await event(stream, "board")
        assert told["exhibits"] == ["desk"]
        assert told["sections"][0]["tiles"][0]["value"] == 7
        shown.put(value("offered", 8))
        told = await event(stream, "board")
        assert told["sections"][0]["tiles"][0]["value"] == 8


async def test_a_quiet_server_says_that_it_lives():
    async with served(Shown()) as session, session.get("/events") as stream:
        assert await event(stream, "alive") == {}


async def test_other_names_for_this_machine_are_refused():
    async with served(Shown()) as session:
        async with session.get("/", headers={"Host": "rebound.example"}) as answer:
            assert answer.status == 403
        async with session.get("/", headers={"Host": "localhost"}) as answer:
            assert answer.status == 200


async def test_more_pages_than_are_served_are_told_to_wait():
    async with (
        served(Shown(), max_clients=1) as session,
        session.get("/events"),
        session.get("/events") as second,
    ):
        assert (second.status, second.headers["Retry-After"]) == (503, "10")


@pytest.mark.parametrize("query", ["queue=" + "x" * 201, "&".join(f"a{i}=b" for i in range(21))])
async def test_a_choice_out_of_measure_is_refused(query):
    async with served(Shown()) as session, session.get(f"/events?{query}") as answer:
        assert answer.status == 400


async def test_a_page_that_does_not_read_is_dropped(monkeypatch):
    monkeypatch.setattr(serving, "WRITE_SECONDS", 0.3)
    shown = Shown()
    # Frames large enough to fill what lies between server and page, whatever the system buffers.
    shown.put(*(value("offered", 1, queue=f"{number:0500}") for number in range(500)))
    shown.tick()
    async with WallboardServer(shown.board, catalogue.load()) as server:
        host, port = server.address.removeprefix("http://").rstrip("/").split(":")
        reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
        writer.write(b"GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        await writer.drain()
        async with asyncio.timeout(30):
            assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
            number = 0
            while server.stream.clients:
                number += 1
                shown.put(value("offered", number))
                await asyncio.sleep(0.02)
        writer.close()


async def test_without_a_clickhouse_no_rows_are_offered():
    async with served(Shown()) as session, session.get("/rows/desk/asa") as answer:
        assert await answer.json() == {"offered": False}


@pytest.mark.clickhouse
async def test_rows_behind_a_value(migrated, settings):
    shown = Shown()
    at = 1_772_452_000_000  # 11:46:40, within the last hour
    columns = ("fact_id", "version", "deleted", "interaction_id", "queue", "channel", "direction",
               "entered_ms", "left_ms", "outcome", "wait_ms")  # fmt: skip
    rows = [
        ("a", 1, 0, "i1", "sales", "voice", "inbound", at, at + 9_000, "answered", 9_000),
        ("b", 1, 0, "i2", "sales", "voice", "inbound", at + 1, at + 60_001, "abandoned", 60_000),
        ("c", 1, 0, "i3", "other", "voice", "inbound", at, at + 5_000, "abandoned", 5_000),
        ("d", 1, 0, "i4", "sales", "voice", "outbound", at, at + 5_000, "abandoned", 5_000),
        ("e", 1, 0, "i5", "sales", "voice", "inbound", at - 3_600_000, at, "abandoned", 9_000),
    ]
    await migrated.insert("facts_queue_segment", rows, column_names=columns)
    shown.put(value("abandon_rate", 0.5, queue="sales"))
    shown.tick()
    source = RowSource(settings, catalogue.load())
    try:
        async with (
            served(shown, rows=source) as session,
            session.get("/rows/desk/abandon_rate?queue=sales") as answer,
        ):
            told = (await answer.json())["found"]
    finally:
        await source.close()
    # Of another queue, outbound, or too early: not counted. The abandoned one comes first.
    assert told["total"] == 2
    assert [(row["interaction_id"], row["numerator"], row["denominator"]) for row in told["rows"]] \
        == [("i2", 1, 1), ("i1", 0, 1)]  # fmt: skip
    assert told["as_of"] == "2026-03-02T12:00:00Z"


@pytest.mark.clickhouse
async def test_rows_of_every_kpi_can_be_asked_for(migrated, settings):
    loaded = catalogue.load()
    ids = list(loaded.definitions)
    exhibit = load_exhibit(
        "exhibit: all\nby: [queue]\nkpis: [" + ", ".join(f"{{kpi: {name}}}" for name in ids) + "]\n"
    )
    window = WindowRef("sliding", "1h", "2026-03-02T11:00:00Z", "2026-03-02T12:00:00Z")
    source = RowSource(settings, loaded)
    try:
        for name in ids:
            one = replace(value("offered", 1, window=window, queue="sales"), kpi=name, name=name)
            assert (await source.read(exhibit, one)).total == 0
    finally:
        await source.close()


async def test_a_clickhouse_that_is_away_is_said_so(settings):
    away = settings.model_copy(update={"port": 1})
    shown = Shown()
    shown.put(value("asa", 9.0))
    shown.tick()
    source = RowSource(away, catalogue.load())
    async with served(shown, rows=source) as session, session.get("/rows/desk/asa") as answer:
        assert await answer.json() == {"offered": True, "error": "ClickHouse did not answer"}
