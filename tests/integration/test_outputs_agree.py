"""One input, three outputs: what a replay prints, what ClickHouse stores, what Prometheus answers.

All three say the same numbers under the same keys, and none of them says more than the others.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pipeline.embedded.clickhouse import EmbeddedClickHouse
from pipeline.embedded.kafka import KafkaServer
from pipeline.embedded.prometheus import PrometheusServer
from pipeline.simulator import Disorder, DisorderConfig, Simulator, SimulatorConfig
from pipeline.simulator.disorder import occurred_at_ms
from tests.integration.process import Process, wait_for
from tests.integration.site import Site, site
from tests.integration.warehouse import client_of
from tests.support.services import prometheus_server

pytestmark = [pytest.mark.kafka, pytest.mark.clickhouse, pytest.mark.prometheus]

DATABASE = "outputs_agree"
EVENTS = 4_000
START_MS = 1_740_996_000_000
HOUR_MS = 3_600_000
CURRENT = ("sliding", "today", "all")
EXHIBITS = (
    Path(__file__).parents[2] / "schemas" / "exhibits" / "default.yaml",
    Path(__file__).parent / "by_channel.yaml",
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Row = dict[str, Any]
Key = tuple[Any, ...]


class Fed(NamedTuple):
    """A worker that has been given the file, with its clock at the last event."""

    site: Site
    worker: Process
    file: Path
    clock_ms: int


@pytest.fixture(scope="module")
def fed(
    kafka: KafkaServer, clickhouse: EmbeddedClickHouse, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Fed]:
    folder = tmp_path_factory.mktemp("outputs_agree")
    center = Simulator(
        SimulatorConfig(events_per_second=0.3, daily_curve=(1.0,) * 24), 11, START_MS, "agree"
    )
    disorder = Disorder(DisorderConfig(shuffle_within_ms=60_000, delayed_ratio=0.0), 11)
    events = list(islice(center.generate(START_MS + 48 * HOUR_MS), EVENTS))
    arrived = list(disorder.stream(events))
    file = folder / "events.jsonl"
    file.write_text("".join(json.dumps(event) + "\n" for event in arrived), "utf-8")
    clock_ms = -(-max(occurred_at_ms(event) for event in events) // 1000) * 1000
    with site(
        kafka.bootstrap, folder, clickhouse=clickhouse, database=DATABASE, exhibits=EXHIBITS
    ) as place:
        # Values stay on show for three ticks, and here ticks come when the test sends them.
        worker = place.worker(CXSTREAM_TICK_SECONDS="60")
        for event in arrived:
            place.produce(json.dumps(event).encode(), event["interaction_id"].encode())
        place.flush()
        place.drain(90, alive=[worker])
        place.tick(clock_ms, complete=False)
        place.drain(60, alive=[worker])
        yield Fed(place, worker, file, clock_ms)


def replayed(fed: Fed, as_of: str) -> dict[Key, Row]:
    """Rows of ``cxstream replay --json`` by key."""
    chosen = [argument for path in EXHIBITS for argument in ("--exhibit", str(path))]
    text = fed.site.command("replay", "--json", "--as-of", as_of, *chosen, str(fed.file))
    *lines, last = text.splitlines()
    summary = json.loads(last)["summary"]
    assert (summary["events"], summary["dead_letters"]) == (summary["records"], {})
    return by_key(json.loads(line) for line in lines)


def by_key(rows: Iterator[Row]) -> dict[Key, Row]:
    found: dict[Key, Row] = {}
    for row in rows:
        window = row["window"]
        key = (
            row["exhibit"], row["as"], window["kind"], window["size"], window["start"],
            tuple(row["dimensions"].items()), row["state"],
        )  # fmt: skip
        assert key not in found
        found[key] = row
    return found


def stored(server: EmbeddedClickHouse) -> dict[Key, Row]:
    """Rows of the view ``kpis``, in the form of a replay's rows."""
    with client_of(server, DATABASE) as client:
        result = client.query("SELECT * FROM kpis")
        return by_key(_row(dict(zip(result.column_names, r, strict=True)))
                      for r in result.result_rows)  # fmt: skip


def _row(told: dict[str, Any]) -> Row:
    told["window"] = {
        "kind": told.pop("window_kind"),
        "size": told.pop("window_size") or None,
        "start": _instant(told.pop("window_start")),
        "end": _instant(told.pop("window_end")),
    }
    told["parameters"] = json.loads(told["parameters"])
    told["as_of"] = _instant(told["as_of"])
    return told


def _instant(moment: datetime | None) -> str | None:
    if moment is None:
        return None
    assert (moment - _EPOCH) % timedelta(seconds=1) == timedelta(0)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def assert_same(found: Mapping[Key, Row], expected: Mapping[Key, Row]) -> None:
    """No row on one side only, and every field alike."""
    assert set(found) - set(expected) == set()
    assert set(expected) - set(found) == set()
    different = [(found[key], row) for key, row in expected.items() if found[key] != row]
    assert different == []


def test_clickhouse_holds_the_rows_of_a_replay(fed: Fed, clickhouse: EmbeddedClickHouse) -> None:
    expected = replayed(fed, "last")
    assert len(expected) > 2_000
    assert len([row for row in expected.values() if row["value"] is None]) > 100
    assert {row["state"] for row in expected.values()} == {"provisional", "final", "restated"}
    assert_same(stored(clickhouse), expected)


def test_prometheus_answers_with_the_rows_of_a_replay(fed: Fed, tmp_path: Path) -> None:
    current = [row for row in replayed(fed, "last").values() if row["window"]["kind"] in CURRENT]
    assert any(row["value"] is None for row in current)
    with prometheus_server([fed.worker.target], tmp_path) as server:
        for name, field in (("value", "value"), ("n", "n"), ("low", "low"), ("high", "high")):
            expected = {series(row): row[field] for row in current if row[field] is not None}
            assert len(expected) > 100
            assert answered(server, f"cx_exhibit_{name}") == expected
        targets = {
            tuple(sorted((*series(row), *end))): number
            for row in current
            for end, number in bounds(row["target"])
        }
        assert len(targets) > 50
        assert answered(server, "cx_exhibit_target") == targets
        clock = answered(server, "cx_exhibit_clock_timestamp_seconds")
        assert clock == {
            (("exhibit", name),): fed.clock_ms / 1000 for name in ("default", "by-channel")
        }


def series(row: Row) -> tuple[tuple[str, str], ...]:
    """Labels of a row, in the order of their names; Prometheus has no empty ones."""
    labels = {
        **row["dimensions"],
        "exhibit": row["exhibit"],
        "kpi": row["kpi"],
        "as": row["as"],
        "window": row["window"]["size"] or row["window"]["kind"],
        "state": row["state"],
    }
    return tuple(sorted((name, value) for name, value in labels.items() if value))


def bounds(target: str | None) -> list[tuple[tuple[tuple[str, str], ...], float]]:
    """Ends of a target with the label that tells those of a range apart."""
    if target is None:
        return []
    low, dots, high = target.partition("..")
    if dots:
        return [((("bound", "low"),), float(low)), ((("bound", "high"),), float(high))]
    return [((), float(target[2:]))]


def answered(server: PrometheusServer, metric: str) -> dict[tuple[tuple[str, str], ...], float]:
    """What the query API says, once the first scrape is in."""
    samples = wait_for(lambda: server.query(metric), f"samples of {metric}", 30)
    return {
        tuple(sorted((name, value) for name, value in sample["metric"].items()
                     if name not in ("__name__", "instance", "job"))): float(sample["value"][1])
        for sample in samples
    }  # fmt: skip


def test_final_rows_agree_once_every_cohort_is_mature(
    fed: Fed, clickhouse: EmbeddedClickHouse
) -> None:
    """Last in this file: it moves the clock by the longest allowance, as the replay does.

    The site has shown buckets before their cohorts were mature, the replay has not: how often a
    bucket was restated differs, its numbers must not.
    """
    expected = by_key(map(plainly_final, replayed(fed, "final").values()))
    fed.site.tick(fed.clock_ms, moving_only=True)
    fed.site.drain(60, alive=[fed.worker])
    live = {key: row for key, row in stored(clickhouse).items() if is_live(row)}
    fed.site.tick(fed.clock_ms + 168 * HOUR_MS)
    fed.site.drain(60, alive=[fed.worker])
    rest = [row for row in stored(clickhouse).values() if not is_live(row)]
    assert any(row["state"] == "restated" and row["revision"] >= 1 for row in rest)
    found = [plainly_final(row) for row in (*live.values(), *rest)]
    assert_same(by_key(iter(found)), expected)


def plainly_final(row: Row) -> Row:
    """The row without how often it was restated."""
    return {**row, "state": "final", "revision": 0} if row["state"] == "restated" else row


def is_live(row: Row) -> bool:
    """Whether a row belongs to the moment of the last event."""
    moves = row["window"]["kind"] in ("sliding", "today")
    return moves or (row["attribution"] == "gauge" and row["window"]["kind"] == "all")
