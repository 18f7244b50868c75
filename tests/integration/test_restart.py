"""Three starts of the demonstration in one data folder: told to end twice, killed once.

What was produced is known from outside the pipeline: the feeder of each start keeps a journal, a
line of event ids before they are written and one once the log has acknowledged them.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import clickhouse_connect
import psutil
import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from pipeline.embedded.clickhouse import EmbeddedClickHouse
from tests.integration.process import wait_for
from tests.integration.warehouse import client_of
from tests.support.services import clickhouse_server

pytestmark = pytest.mark.clickhouse

RATE = 60
MORE = 200
"""Events that a start must bring into ClickHouse before it is ended."""
END_SECONDS = 10.0
TABLES = (
    "interaction_events",
    "facts_interaction",
    "facts_queue_segment",
    "facts_handling_segment",
)

KEEPS_JOURNAL = """
import os
from pipeline.demo.feed import Feeder

send = Feeder.send

async def journaled(self, events):
    chosen = list(events)
    ids = " ".join(event["event_id"] for event in chosen)
    with open({journal!r}, "a", encoding="utf-8") as journal:
        if chosen:
            journal.write("tried " + ids + chr(10))
            journal.flush()
        await send(self, chosen)
        if chosen:
            journal.write("acknowledged " + ids + chr(10))

Feeder.send = journaled
from pipeline.cli.main import main
main()
"""


class Demo:
    """One start."""

    def __init__(self, data: Path, folder: Path, number: int) -> None:
        self.journal = folder / f"journal-{number}"
        self.journal.touch()
        self._data = data
        self._log = folder / f"demo-{number}.log"
        (data / "run.json").unlink(missing_ok=True)
        code = KEEPS_JOURNAL.format(journal=str(self.journal))
        with self._log.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-c", code, "demo", "--data", str(data), "--rate", str(RATE)],
                stdout=out,
                stderr=subprocess.STDOUT,
                cwd=folder,
            )

    @property
    def said(self) -> str:
        return self._log.read_text("utf-8", "replace")

    def live(self) -> bool:
        """Whether it shows values."""
        assert self.process.poll() is None, self.said
        return "first KPI values" in self.said

    @contextmanager
    def client(self) -> Iterator[Client]:
        """A client of its ClickHouse while it runs, as run.json tells anybody who asks."""
        where = json.loads((self._data / "run.json").read_text("utf-8"))["clickhouse"]
        client = clickhouse_connect.get_client(
            host=where["host"], port=where["port"], username=where["user"],
            password=Path(where["password_file"]).read_text("ascii"),
            database=where["database"], autogenerate_session_id=False,
        )  # fmt: skip
        try:
            yield client
        finally:
            client.close()

    def has_more_than(self, before: Kept) -> bool:
        """Whether ``MORE`` new events, and new rows of every table, are in ClickHouse."""
        assert self.process.poll() is None, self.said
        try:
            with self.client() as client:
                now = rows_of(client)
        except ClickHouseError:
            return False
        wanted = {**before.rows, "interaction_events": len(before.ids) + MORE}
        return all(now[table] > wanted[table] for table in TABLES)

    def wait_for_more_than(self, before: Kept) -> None:
        wait_for(lambda: self.has_more_than(before), "rows in ClickHouse", 60, 0.3)

    def family(self) -> list[psutil.Process]:
        """Itself and everything it started."""
        own = psutil.Process(self.process.pid)
        return [own, *own.children(recursive=True)]

    def written(self) -> tuple[set[str], set[str]]:
        """Ids that it tried to write, and ids that the log acknowledged."""
        found: dict[str, set[str]] = {"tried": set(), "acknowledged": set()}
        for line in self.journal.read_text("utf-8").splitlines():
            word, *ids = line.split()
            found[word].update(ids)
        return found["tried"], found["acknowledged"]


class Kept(NamedTuple):
    """What the data folder holds while nothing runs."""

    ids: set[str]
    rows: dict[str, int]


def kept(server: EmbeddedClickHouse) -> Kept:
    with client_of(server, "cxstream") as client:
        ids = [row[0] for row in client.query("SELECT event_id FROM events").result_rows]
        # Once: what a view shows of one id is one row, and there is no second one below it either
        # that says something else.
        assert len(ids) == len(set(ids))
        ((versions,),) = client.query(
            "SELECT uniqExact(event_id, version) FROM interaction_events"
        ).result_rows
        assert versions == len(ids)
        return Kept(set(ids), rows_of(client))


def rows_of(client: Client) -> dict[str, int]:
    """Distinct ids of each table."""
    return {
        table: client.query(
            f"SELECT uniqExact({key}) FROM {table}"  # noqa: S608 - names of this file
        ).result_rows[0][0]
        for table, key in zip(TABLES, ("event_id", *["fact_id"] * 3), strict=True)
    }


def in_folder(data: Path) -> Kept:
    with clickhouse_server(data / "clickhouse") as server:
        return kept(server)


def test_nothing_is_lost_or_counted_twice_over_three_starts(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    before = Kept(set(), dict.fromkeys(TABLES, 0))
    tried: set[str] = set()
    owed: set[str] = set()
    for number, how in enumerate((signal.SIGINT, signal.SIGKILL, signal.SIGTERM)):
        demo = Demo(data, tmp_path, number)
        try:
            wait_for(demo.live, "the demonstration to show values", 60)
            demo.wait_for_more_than(before)
            family = demo.family()
            assert len(family) > 1
            demo.process.send_signal(how)
            code = demo.process.wait(END_SECONDS)
        finally:
            demo.process.kill()
        assert code == (-signal.SIGKILL if how is signal.SIGKILL else 0), demo.said
        _, alive = psutil.wait_procs(family, END_SECONDS)
        assert alive == []
        fed = re.search(r"fed ([\d,]+) earlier events again", demo.said)
        assert (int(fed[1].replace(",", "")) if fed else 0) == len(before.ids)
        now_tried, acknowledged = demo.written()
        tried |= now_tried
        if how is not signal.SIGKILL:
            # The log is in memory: what ClickHouse has not taken ends with a killed process.
            owed |= acknowledged
        after = in_folder(data)
        assert sorted(after.ids - tried) == [], demo.said
        assert sorted(before.ids - after.ids) == [], demo.said
        assert sorted(owed - after.ids) == [], demo.said
        assert all(after.rows[table] > before.rows[table] for table in TABLES)
        before = after
    assert len(owed) > MORE
