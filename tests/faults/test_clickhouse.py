"""ClickHouse is down, slow, full, refuses, or has other tables than the worker."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.embedded.clickhouse import EmbeddedClickHouse
from schemas.topics import DEAD_LETTERS
from tests.faults.answers import Answers
from tests.faults.checker import Outcome, committed_now, facts_passed
from tests.faults.conftest import Begin
from tests.faults.disk import fill, small_disk
from tests.faults.kafka import ProxiedKafka
from tests.faults.load import POISON, Load
from tests.faults.proxy import Proxy
from tests.faults.signs import retries, total
from tests.faults.trial import Trial, told, trial
from tests.integration.process import wait_for
from tests.support.services import clickhouse_server

pytestmark = [pytest.mark.kafka, pytest.mark.clickhouse]

ANSWERED = {
    # Code: its name, and whether the rows had been taken when it was told.
    159: ("TIMEOUT_EXCEEDED", False),
    164: ("READONLY", False),
    201: ("QUOTA_EXCEEDED", False),
    202: ("TOO_MANY_SIMULTANEOUS_QUERIES", False),
    209: ("SOCKET_TIMEOUT", True),
    210: ("NETWORK_ERROR", True),
    241: ("MEMORY_LIMIT_EXCEEDED", False),
    242: ("TABLE_IS_READ_ONLY", False),
    243: ("NOT_ENOUGH_SPACE", False),
    319: ("UNKNOWN_STATUS_OF_INSERT", True),
    999: ("KEEPER_EXCEPTION", False),
}


TABLES = ("interaction_events", "facts_interaction", "facts_queue_segment", "kpi_values")


def assert_nobody_left(faulty: Trial, ready: int) -> None:
    """No partition was lost or restored meanwhile: the worker stayed in its groups."""
    (worker,) = faulty.running
    assert len(told(worker, "partition_ready")) == ready
    assert total([worker], "cx_checkpoints_failed_total") == 0


def test_errors_that_pass_by_themselves_are_retried_by_their_code(
    begin: Begin, clickhouse: EmbeddedClickHouse, reference: Outcome
) -> None:
    with (
        Answers(clickhouse.http_port) as front,
        begin(
            "ClickHouse answers errors", environment={"CXSTREAM_CLICKHOUSE_PORT": str(front.port)}
        ) as faulty,
    ):
        worker = faulty.start()
        faulty.wait_for_progress("sink")
        ready = len(told(worker, "partition_ready"))
        for code, (name, applied) in ANSWERED.items():
            front.refuse(code, name, 2, applied=applied)
            faulty.feed(1)
            wait_for(lambda: front.given[code] == 2, f"two inserts to be answered {code}", 60)  # noqa: B023
        faulty.wait_for_progress("sink")
        told_of = retries([worker])
        for code in ANSWERED:
            assert told_of[str(code)] >= 2, told_of
            faulty.evidence[f"code {code}"] = front.given[code]
        assert_nobody_left(faulty, ready)
        faulty.finish(reference, *(f"code {code}" for code in ANSWERED))


def test_too_many_parts_are_waited_for(begin: Begin, reference: Outcome) -> None:
    with begin("ClickHouse has too many parts") as faulty:
        worker = faulty.start()
        faulty.wait_for_progress("sink")
        ready = len(told(worker, "partition_ready"))
        for table in TABLES:
            faulty.client.command(f"SYSTEM STOP MERGES {table}")
            faulty.client.command(
                f"ALTER TABLE {table} MODIFY SETTING parts_to_throw_insert = 1,"
                " parts_to_delay_insert = 0"
            )
        clock = faulty.clock()
        faulty.feed(1)
        wait_for(lambda: retries([worker])["252"] > 0, "an insert to be refused", 60)
        faulty.feed(2)
        wait_for(lambda: faulty.clock() > clock, "gauges to move on", 60)
        for table in TABLES:
            faulty.client.command(
                f"ALTER TABLE {table} RESET SETTING parts_to_throw_insert, parts_to_delay_insert"
            )
            faulty.client.command(f"SYSTEM START MERGES {table}")
        faulty.wait_for_progress("sink")
        faulty.evidence["code 252"] = retries([worker])["252"]
        assert_nobody_left(faulty, ready)
        faulty.finish(reference, "code 252")


def test_clickhouse_is_down_and_comes_back(
    begin: Begin, clickhouse: EmbeddedClickHouse, reference: Outcome
) -> None:
    with begin("ClickHouse killed") as faulty:
        worker = faulty.start()
        for _ in range(2):
            faulty.wait_for_progress("sink")
            ready = len(told(worker, "partition_ready"))
            clickhouse.kill()
            before, clock = sum(retries([worker]).values()), faulty.clock()
            faulty.feed(2)
            wait_for(lambda: sum(retries([worker]).values()) > before, "the sink to retry", 60)  # noqa: B023
            wait_for(lambda: faulty.clock() > clock, "gauges to move on", 60)  # noqa: B023
            clickhouse.start()
            faulty.evidence["outages"] += 1
        assert_nobody_left(faulty, ready)
        faulty.finish(reference, "outages")


@pytest.mark.parametrize("how", ["slow", "narrow", "half-open", "reset"])
def test_the_network_to_clickhouse_fails(
    how: str, begin: Begin, clickhouse: EmbeddedClickHouse, reference: Outcome
) -> None:
    with (
        Proxy(clickhouse.http_port) as proxy,
        begin(
            f"ClickHouse {how}",
            environment={"CXSTREAM_CLICKHOUSE_PORT": str(proxy.port)},
        ) as faulty,
    ):  # fmt: skip
        worker = faulty.start()
        faulty.wait_for_progress("sink")
        ready, clock = len(told(worker, "partition_ready")), faulty.clock()
        hit = {"reset": "cut"}.get(how, "held")
        if how == "slow":
            proxy.delay(1.0)  # ten times the tenth of a second that an insert takes
        elif how == "narrow":
            proxy.limit(20_000)
        elif how == "half-open":
            proxy.freeze()
        else:
            _reset_until_it_hits(faulty, proxy)
        faulty.feed(4)
        wait_for(lambda: proxy.hits[hit] > 0, "the fault to hit", 60)
        # What does not write to ClickHouse goes on meanwhile.
        wait_for(lambda: faulty.clock() > clock, "gauges to move on", 60)
        if how == "half-open":
            proxy.heal()
        faulty.wait_for_progress("sink", 120)
        proxy.heal()
        assert_nobody_left(faulty, ready)
        faulty.evidence[hit] = proxy.hits[hit]
        faulty.finish(reference, hit)


def _reset_until_it_hits(faulty: Trial, proxy: Proxy) -> None:
    """Connections come and go with inserts: one of them is reset under way."""

    def cut() -> bool:
        proxy.reset()
        return proxy.hits["cut"] > 4

    faulty.feed_until(cut, "connections to be reset", 60)


def test_the_disk_of_clickhouse_is_full(
    kafka: ProxiedKafka, brief: Load, reference: Outcome, tmp_path: Path
) -> None:
    """By a small mount. Where none can be made, 243 is still among the errors answered above."""
    with small_disk(tmp_path / "disk", 160) as mounted:
        if not mounted:
            pytest.skip("no small file system can be mounted here: that needs root")
        with (
            clickhouse_server(tmp_path / "disk") as small,
            trial("disk of ClickHouse full", kafka.bootstrap, small, tmp_path, brief) as faulty,
        ):
            ballast = tmp_path / "disk" / "ballast"
            worker = faulty.start()
            faulty.wait_for_progress("sink")
            ready = len(told(worker, "partition_ready"))
            fill(ballast)
            faulty.feed(2)
            wait_for(lambda: retries([worker])["243"] > 0, "an insert to be refused", 60)
            committed = committed_now(faulty.place, "sink")
            faulty.feed(2)
            wait_for(lambda: retries([worker])["243"] > 1, "another try", 60)
            assert facts_passed(faulty.place, committed) == 0
            ballast.unlink()
            faulty.wait_for_progress("sink")
            faulty.evidence["full by mount"] = retries([worker])["243"]
            assert_nobody_left(faulty, ready)
            faulty.finish(reference, "full by mount")


CHANGES = {
    "missing": (
        "ALTER TABLE facts_queue_segment DROP COLUMN outcome",
        "ALTER TABLE facts_queue_segment ADD COLUMN outcome LowCardinality(String)",
    ),
    "of another type": (
        "ALTER TABLE facts_queue_segment MODIFY COLUMN outcome UInt8",
        "ALTER TABLE facts_queue_segment MODIFY COLUMN outcome LowCardinality(String)",
    ),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_table_that_does_not_fit_stops_the_worker(
    what: str, begin: Begin, reference: Outcome
) -> None:
    breaks, mends = CHANGES[what]
    with begin(f"ClickHouse: a column {what}") as faulty:
        faulty.client.command(breaks)
        worker = faulty.start()
        faulty.feed(5)
        assert worker.wait(120) == 1
        assert "outcome" in worker.tail()
        # Nothing of what was refused is passed, and nothing of it becomes a dead letter.
        begin_at = dict.fromkeys(faulty.place.ends("sink"), 0)
        assert facts_passed(faulty.place, begin_at, "queue_segment") == 0
        letters = {record.headers["reason"] for record in faulty.place.read(DEAD_LETTERS)}
        assert letters <= {reason.encode() for reason, _ in POISON}
        faulty.evidence["stopped"] += 1
        faulty.client.command(mends)
        faulty.start()
        faulty.finish(reference, "stopped")


def test_a_column_more_disturbs_nobody(begin: Begin, reference: Outcome) -> None:
    with begin("ClickHouse: a column more") as faulty:
        faulty.start()
        faulty.wait_for_progress("sink")
        faulty.client.command("ALTER TABLE facts_queue_segment ADD COLUMN note String DEFAULT 'x'")
        rows = "SELECT count() FROM facts_queue_segment WHERE note = 'x'"
        before = faulty.client.query(rows).result_rows[0][0]
        faulty.feed_until(
            lambda: faulty.client.query(rows).result_rows[0][0] > before, "rows with it", 60
        )
        faulty.evidence["rows of the new table"] += 1
        faulty.finish(reference, "rows of the new table")
