"""Every expression of every rule and dashboard, asked of real services behind a real worker.

The simulated center has two busy hours and three days behind it, so windows are full. No query may
fail or come back empty; of an alert each measure is asked, without the bound that makes it bad.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pipeline.embedded.clickhouse import EmbeddedClickHouse
from pipeline.embedded.kafka import KafkaServer
from pipeline.embedded.prometheus import PrometheusServer
from pipeline.ops import pipeline_alerts
from pipeline.ops.alerts import Scale
from pipeline.ops.files import shipped_exhibit
from pipeline.ops.rules import every_alert
from pipeline.simulator import Simulator, SimulatorConfig
from tests.integration.process import Process, wait_for
from tests.integration.site import site
from tests.integration.warehouse import client_of
from tests.support.services import prometheus_server

pytestmark = [pytest.mark.kafka, pytest.mark.clickhouse, pytest.mark.prometheus]

ROOT = Path(__file__).parents[2]
RULES = sorted((ROOT / "docker" / "prometheus" / "rules").glob("*.yml"))
DASHBOARDS = sorted((ROOT / "docker" / "grafana" / "dashboards").glob("*.json"))
DATABASE = "monitoring"
HOUR_MS = 3_600_000
IN_VIEW_MS = 72 * HOUR_MS
HIDDEN_WITHOUT_DATA_SECONDS = 90


class Live(NamedTuple):
    worker: Process
    prometheus: PrometheusServer
    clickhouse: EmbeddedClickHouse


@pytest.fixture(scope="module")
def live(
    kafka: KafkaServer, clickhouse: EmbeddedClickHouse, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Live]:
    now_ms = time.time_ns() // 1_000_000
    # Two busy hours; and three quiet days, since judges and reviewers come the day after.
    centers = [
        Simulator(
            SimulatorConfig(
                events_per_second=rate, daily_curve=(1.0,) * 24, plans=True, keep_truth=False
            ),
            seed, now_ms - past_ms, f"monitoring-{seed}",
        )
        for seed, rate, past_ms in ((3, 4, 2 * HOUR_MS), (4, 0.05, IN_VIEW_MS))
    ]  # fmt: skip
    with site(
        kafka.bootstrap, tmp_path_factory.mktemp("monitoring"), clickhouse=clickhouse,
        database=DATABASE,
    ) as place:  # fmt: skip
        worker = place.worker(CXSTREAM_TICKS="wall", CXSTREAM_HEARTBEAT_SECONDS="1")
        with prometheus_server([worker.target], rule_files=RULES) as prometheus:
            for event in (event for center in centers for event in center.generate(now_ms)):
                place.produce(json.dumps(event).encode(), event["interaction_id"].encode())
            place.flush()
            wait_for(
                lambda: prometheus.query('cx_exhibit_value{as="offered", window="1h", queue="*"}'),
                "the first values", 240,
            )  # fmt: skip
            # The short windows stay full, however long the tests take.
            command = str(Path(sys.executable).with_name("cxstream"))
            goes_on = Process(
                [command, "simulate", "--rate", "4", "--bootstrap", place.bootstrap],
                place.environment, place.folder / "center.log",
            )  # fmt: skip
            try:
                yield Live(worker, prometheus, clickhouse)
            finally:
                goes_on.kill()


def panels(file: Path) -> Iterator[dict[str, Any]]:
    yield from json.loads(file.read_text("utf-8"))["panels"]


def queries(key: str) -> list[tuple[str, str]]:
    """Panel and query of all targets that have a ``key``."""
    return [
        (f"{file.stem}: {panel['title']}", target[key])
        for file in DASHBOARDS
        for panel in panels(file)
        for target in panel.get("targets", ())
        if key in target
    ]


def filled(expression: str) -> str:
    """PromQL with Grafana's variables as a first look at a dashboard has them."""
    for variable, value in {"$window": "1h", "$queue": "*", "$__rate_interval": "1m"}.items():
        expression = expression.replace(variable, value)
    assert "$" not in expression
    return expression


def expanded(sql: str) -> str:
    """SQL with the macros of the data source expanded, as its documentation says."""
    to_ms = time.time_ns() // 1_000_000
    from_ms = to_ms - IN_VIEW_MS

    def time_filter(found: re.Match[str]) -> str:
        column = found[1]
        return (
            f"{column} >= toDateTime({from_ms // 1000}) AND {column} <= toDateTime({to_ms // 1000})"
        )

    sql = re.sub(r"\$__timeFilter\((\w+)\)", time_filter, sql)
    sql = re.sub(
        r"\$__timeInterval\((\w+)\)", r"toStartOfInterval(toDateTime(\1), INTERVAL 60 second)", sql
    )
    sql = sql.replace("$__fromTime_ms", f"fromUnixTimestamp64Milli({from_ms})")
    sql = sql.replace("$__toTime_ms", f"fromUnixTimestamp64Milli({to_ms})")
    sql = sql.replace("${queue:singlequote}", "'*'")
    assert "$" not in sql, sql
    return sql


def assert_none_empty(live: Live, asked: dict[str, str]) -> None:
    """Each expression has a value, at the latest once what it needs has happened."""
    left = dict(asked)

    def all_there() -> bool:
        assert live.worker.running, live.worker.tail()
        for name in [name for name, text in left.items() if live.prometheus.query(text)]:
            del left[name]
        return not left

    try:
        wait_for(all_there, "values", HIDDEN_WITHOUT_DATA_SECONDS, pause_seconds=2)
    except AssertionError:
        pytest.fail("empty:\n" + "\n".join(f"{name}: {text}" for name, text in left.items()))


def test_every_rule_is_evaluated(live: Live) -> None:
    def judged() -> list[dict[str, Any]] | None:
        groups = live.prometheus._api("rules", {})["groups"]
        rules = [rule for group in groups for rule in group["rules"]]
        return rules if all(rule["health"] != "unknown" for rule in rules) else None

    rules = wait_for(judged, "rules to be evaluated", 30)
    alerts = every_alert([shipped_exhibit()], Scale())
    assert len(rules) == len(alerts) + len(pipeline_alerts.recordings(Scale()))
    assert [rule for rule in rules if rule["health"] != "ok"] == []


def test_no_measure_of_an_alert_is_empty(live: Live) -> None:
    asked = {
        f"{alert.name} {alert.labels} {number}": condition.measure
        for alert in every_alert([shipped_exhibit()], Scale())
        for number, condition in enumerate(alert.conditions)
    }
    assert len(asked) > 40
    assert_none_empty(live, asked)


def test_no_query_of_a_dashboard_is_empty(live: Live) -> None:
    asked = {
        f"{name} {number}": filled(text) for number, (name, text) in enumerate(queries("expr"))
    }
    assert len(asked) > 100
    assert_none_empty(live, asked)


def test_no_sql_of_a_dashboard_is_empty(live: Live) -> None:
    found = {f"{name} {number}": sql for number, (name, sql) in enumerate(queries("rawSql"))}
    assert len(found) > 50
    left = dict(found)
    with client_of(live.clickhouse, DATABASE) as client:

        def all_there() -> bool:
            for name in [n for n, sql in left.items() if client.query(expanded(sql)).result_rows]:
                del left[name]
            return not left

        with suppress(AssertionError):
            wait_for(all_there, "rows", HIDDEN_WITHOUT_DATA_SECONDS, pause_seconds=2)
    assert sorted(left) == []


def test_every_kpi_side_by_side_is_counted_for_somebody(live: Live) -> None:
    found = {name: sql for name, sql in queries("rawSql") if "provisional" in name}
    assert len(found) == 3
    with client_of(live.clickhouse, DATABASE) as client:

        def rows(sql: str) -> list[dict[str, Any]]:
            return list(client.query(expanded(sql)).named_results())

        def uncounted() -> list[tuple[str, str]]:
            told = {name: rows(sql) for name, sql in found.items()}
            return [
                (name, column)
                for name, listed in told.items()
                for column in listed[0]
                if column.startswith("n, ") and not sum(row[column] for row in listed)
            ]

        with suppress(AssertionError):
            wait_for(lambda: not uncounted(), "counts", HIDDEN_WITHOUT_DATA_SECONDS)
        assert uncounted() == []


def test_the_numbers_on_a_panel_are_those_of_its_interactions(live: Live) -> None:
    """The rows a panel links to add up to its value: abandoned contacts of the last hour."""
    sql = dict(queries("rawSql"))["interactions: What abandoned counted"]
    shown = 'cx_exhibit_value{exhibit="default", as="abandoned", window="1h", queue="*"}'
    with client_of(live.clickhouse, DATABASE) as client:

        def agree() -> bool:
            samples = live.prometheus.query(shown)
            # A sliding window is as of the scrape; the range in view ends there, too.
            clocks = live.prometheus.query('cx_exhibit_clock_timestamp_seconds{exhibit="default"}')
            if not samples or not clocks:
                return False
            at = float(clocks[0]["value"][1])
            text = sql.replace("$__toTime_ms", f"fromUnixTimestamp64Milli({round(at * 1000)})")
            text = (
                text.replace(
                    "$__fromTime_ms", f"fromUnixTimestamp64Milli({round(at * 1000) - HOUR_MS})"
                )
                .replace("${queue:singlequote}", "'*'")
                .replace("LIMIT 200", "")
            )
            rows = client.query(text).result_rows
            return len(rows) > 20 and len(rows) == int(samples[0]["value"][1])

        wait_for(agree, "the panel and its rows to agree", 60, pause_seconds=0.5)
