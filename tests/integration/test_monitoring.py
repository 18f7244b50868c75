"""Every expression of every rule and dashboard, asked of real services behind a real worker.

The simulated center has two hours behind it, so windows are full. No query may fail and no PromQL
may come back empty; of an alert each measure is asked, without the bound that makes it bad.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
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
from tests.integration.site import Process, site, wait_for
from tests.integration.warehouse import client_of
from tests.support.services import prometheus_server

pytestmark = [pytest.mark.kafka, pytest.mark.clickhouse, pytest.mark.prometheus]

ROOT = Path(__file__).parents[2]
RULES = sorted((ROOT / "docker" / "prometheus" / "rules").glob("*.yml"))
DASHBOARDS = sorted((ROOT / "docker" / "grafana" / "dashboards").glob("*.json"))
DATABASE = "monitoring"
HOUR_MS = 3_600_000
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
    center = Simulator(
        SimulatorConfig(events_per_second=4, daily_curve=(1.0,) * 24, keep_truth=False),
        3, now_ms - 2 * HOUR_MS, "monitoring",
    )  # fmt: skip
    with site(
        kafka.bootstrap, tmp_path_factory.mktemp("monitoring"), clickhouse=clickhouse,
        database=DATABASE,
    ) as place:  # fmt: skip
        worker = place.worker(CXSTREAM_TICKS="wall")
        with prometheus_server([worker.target], rule_files=RULES) as prometheus:
            for event in center.generate(now_ms):
                place.produce(json.dumps(event).encode(), event["interaction_id"].encode())
            place.flush()
            wait_for(
                lambda: prometheus.query('cx_exhibit_value{as="offered", window="1h", queue="*"}'),
                "the first values", 90,
            )  # fmt: skip
            yield Live(worker, prometheus, clickhouse)


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
    from_ms = to_ms - 2 * HOUR_MS

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


def test_every_sql_of_a_dashboard_runs(live: Live) -> None:
    found = queries("rawSql")
    assert len(found) > 40
    with client_of(live.clickhouse, DATABASE) as client:
        wait_for(
            lambda: client.query("SELECT count() FROM queue_segments").first_row[0] > 1_000,
            "facts in ClickHouse", 60,
        )  # fmt: skip
        rows = {name: len(client.query(expanded(sql)).result_rows) for name, sql in found}
    for name in (
        "queue-floor: How contacts leave queues", "bots: By bot and model",
        "journeys: Hardest journeys", "workforce: By performer",
        "interactions: What asa counted", "interactions: What containment_naive counted",
    ):  # fmt: skip
        assert rows[name] > 0, name


def test_the_numbers_on_a_panel_are_those_of_its_interactions(live: Live) -> None:
    """The rows a panel links to add up to its value: abandoned contacts of the last hour."""
    sql = dict(queries("rawSql"))["interactions: What abandoned counted"]
    shown = 'cx_exhibit_value{exhibit="default", as="abandoned", window="1h", queue="*"}'
    with client_of(live.clickhouse, DATABASE) as client:

        def agree() -> bool:
            (sample,) = live.prometheus.query(shown)
            # A sliding window is as of the scrape; the range in view ends there, too.
            at = float(
                live.prometheus.query('cx_exhibit_clock_timestamp_seconds{exhibit="default"}')[0][
                    "value"
                ][1]
            )
            text = sql.replace("$__toTime_ms", f"fromUnixTimestamp64Milli({round(at * 1000)})")
            text = (
                text.replace(
                    "$__fromTime_ms", f"fromUnixTimestamp64Milli({round(at * 1000) - HOUR_MS})"
                )
                .replace("${queue:singlequote}", "'*'")
                .replace("LIMIT 200", "")
            )
            rows = client.query(text).result_rows
            return len(rows) > 20 and len(rows) == int(sample["value"][1])

        wait_for(agree, "the panel and its rows to agree", 60, pause_seconds=0.5)
