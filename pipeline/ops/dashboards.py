"""Grafana dashboards of an exhibit and of the pipeline."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from pipeline.ops import queries
from pipeline.ops.breakdowns import breakdowns
from pipeline.ops.exhibit_panels import (
    INTERACTIONS_UID,
    Entry,
    also,
    breakdown_panel,
    by_dimension,
    by_group,
    definition_panel,
    entries,
    over_time,
    rows_panel,
    value_panel,
    variables,
)
from pipeline.ops.panels import (
    Ask,
    Json,
    Panel,
    in_unit,
    link,
    numbers,
    placed,
    row,
    series,
    table,
    yes_or_no,
)
from schemas.exhibit import Exhibit

SCHEMA_VERSION: Final = 41
_FLOOR: Final = (
    "queue_depth", "longest_wait", "service_level_live", "asa", "abandon_rate", "offered",
    "answered", "abandoned",
)  # fmt: skip
_HALF, _WHOLE = 12, 24


def dashboards(exhibit: Exhibit) -> dict[str, Json]:
    """All dashboards by file name."""
    listed = entries(exhibit)
    # What only breakdowns show has its definition and its rows, too.
    described = [*listed, *also(exhibit, listed)]
    split = _split(exhibit, described)
    return {
        "exhibit-overview.json": _dashboard(
            "cxstream-exhibit", f"KPIs of {exhibit.exhibit}", _overview(exhibit, listed), exhibit
        ),
        "queue-floor.json": _dashboard(
            "cxstream-floor", "Queue floor", _floor(exhibit, listed), exhibit
        ),
        "bots.json": _dashboard(
            "cxstream-bots", "Bots and AI governance", _bots(exhibit, listed, split), exhibit
        ),
        "journeys.json": _dashboard(
            "cxstream-journeys", "Journeys", _journeys(exhibit, listed), exhibit
        ),
        "workforce.json": _dashboard(
            "cxstream-workforce", "Workforce", _workforce(exhibit, listed, split), exhibit
        ),
        "interactions.json": _dashboard(
            INTERACTIONS_UID,
            "Interactions behind each KPI",
            _interactions(exhibit, described),
            exhibit,
        ),
        "pipeline-health.json": _dashboard("cxstream-pipeline", "Pipeline health", _pipeline()),
    }


def written(dashboard: Json) -> str:
    """The dashboard as its file has it."""
    return json.dumps(dashboard, indent=1, ensure_ascii=False) + "\n"


def _dashboard(
    uid: str, title: str, panels: Iterable[Panel], exhibit: Exhibit | None = None
) -> Json:
    return {
        "uid": uid,
        "title": title,
        "tags": ["cxstream"],
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "5s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": exhibit.time_zone if exhibit else "browser",
        "annotations": {"list": []},
        "templating": {"list": variables(exhibit) if exhibit else []},
        "links": [
            link(
                "cxstream", type="dashboards", tags=["cxstream"], asDropdown=True,
                includeVars=True, keepTime=True,
            )
        ],
        "panels": placed(panels),
    }  # fmt: skip


def _overview(exhibit: Exhibit, listed: Sequence[Entry]) -> Iterable[Panel]:
    yield row("Can these numbers be trusted?")
    yield from _trust(exhibit)
    for title, members in by_group(listed):
        yield row(title)
        for entry in members:
            yield value_panel(exhibit, entry, _definition_number(listed, entry))


def _trust(exhibit: Exhibit) -> Iterable[Panel]:
    clock = f'exhibit:cx_clock_age_seconds{{exhibit="{exhibit.exhibit}"}}'
    yield numbers(
        "Age of the values", Ask(clock, "behind now", instant=True), unit="s", height=4,
        steps=(("green", None), ("red", 30)), links={"Pipeline": "/d/cxstream-pipeline"},
        description="How far the clock of the values is behind now.",
    )  # fmt: skip
    yield numbers(
        "Partitions owned", Ask("min(stage:cx_owned_partitions:ratio)", "least", instant=True),
        unit="percentunit", height=4, steps=(("red", None), ("green", 1)),
        description="Below 100 % a part of the events is not counted yet.",
    )  # fmt: skip
    yield numbers(
        "Time to catch up", Ask("max(stage:cx_drain_seconds)", "slowest stage", instant=True),
        unit="s", height=4, steps=(("green", None), ("red", 60)),
    )  # fmt: skip


def _definition_number(listed: Sequence[Entry], entry: Entry) -> int:
    """Number of the panel with the definition of ``entry``; what it counted comes next."""
    number = 1
    for other in listed:
        if other is entry:
            return number
        number += 1 + len(other.kpi.parts)
    raise ValueError(f"{entry.chosen.name} is not of this exhibit")


def _interactions(exhibit: Exhibit, listed: Sequence[Entry]) -> Iterable[Panel]:
    for entry in listed:
        yield definition_panel(entry)
        for _name, sql in queries.interactions_behind(exhibit, entry.kpi):
            yield rows_panel(entry, sql)


def _floor(exhibit: Exhibit, listed: Sequence[Entry]) -> Iterable[Panel]:
    yield table("Waiting now", Ask(queries.WAITING, sql=True), width=_HALF)
    yield _stacked("How contacts leave queues", queries.LEAVING_QUEUES)
    shown = [entry for entry in listed if entry.kpi.id in _FLOOR]
    for entry in shown:
        yield by_dimension(exhibit, entry, width=_HALF)


def _split(exhibit: Exhibit, described: Sequence[Entry]) -> dict[str, Panel]:
    """Panels of KPIs side by side, by what they are split by."""
    kpis = {entry.kpi.id: entry.kpi for entry in reversed(described)}
    places = {entry.kpi.id: _definition_number(described, entry) for entry in reversed(described)}
    return {
        name: breakdown_panel(exhibit, shown, places) for name, shown in breakdowns(kpis).items()
    }


def _bots(exhibit: Exhibit, listed: Sequence[Entry], split: Mapping[str, Panel]) -> Iterable[Panel]:
    yield _stacked("How sessions end", queries.BOT_OUTCOMES)
    yield table(
        "By bot and model", Ask(queries.BOT_VERSIONS, sql=True), width=_HALF,
        overrides={"^handoff_share$": in_unit("percentunit")},
    )  # fmt: skip
    yield table("By intent", Ask(queries.BOT_INTENTS, sql=True), width=_WHOLE)
    yield from _group(exhibit, listed, "automation")
    yield row("AI governance")
    yield split["model"]
    yield from _group(exhibit, listed, "governance")
    yield table(
        "AI performers: verification and ethics checks", Ask(queries.AI_PERFORMERS, sql=True),
        width=_WHOLE, overrides={"^ethics_check_passed$": yes_or_no()},
        description="As `cxstream inventory` lists them. A dash: there was none.",
    )  # fmt: skip


def _journeys(exhibit: Exhibit, listed: Sequence[Entry]) -> Iterable[Panel]:
    yield table("By number of contacts", Ask(queries.JOURNEYS_BY_LENGTH, sql=True), width=_HALF)
    yield from _group(exhibit, listed, "journey")
    yield from _group(exhibit, listed, "resolution")
    yield table(
        "Hardest journeys", Ask(queries.HARDEST_JOURNEYS, sql=True), width=_WHOLE, height=10
    )


def _workforce(
    exhibit: Exhibit, listed: Sequence[Entry], split: Mapping[str, Panel]
) -> Iterable[Panel]:
    yield table("States now", Ask(queries.STATES_NOW, sql=True), width=_HALF)
    yield _stacked("Hours in states, by their beginning", queries.TIME_IN_STATES, unit="h")
    yield split["site"]
    yield split["vendor"]
    yield from _group(exhibit, listed, "workforce")
    yield from _group(exhibit, listed, "planning")
    yield from _group(exhibit, listed, "people")
    yield from _group(exhibit, listed, "handling")
    yield table("By performer", Ask(queries.PERFORMERS, sql=True), width=_WHOLE, height=10)


def _group(exhibit: Exhibit, listed: Sequence[Entry], group: str) -> Iterable[Panel]:
    return (over_time(exhibit, e, width=_HALF) for e in listed if e.kpi.group == group)


def _stacked(title: str, sql: str, unit: str = "short") -> Panel:
    return series(title, Ask(sql, sql=True, series=True), width=_HALF, stacked=True, unit=unit)


def _pipeline() -> Iterable[Panel]:
    def rate(counter: str, by: str) -> str:
        return f"sum by ({by}) (rate({counter}[$__rate_interval]))"

    def errors(counter: str) -> str:
        # A counter with labels has no series before its first count: that is 0, not unknown.
        return f"sum(increase({counter}[$__rate_interval])) or vector(0)"

    yield row("Freshness and coverage")
    yield series("Age of values", Ask("exhibit:cx_clock_age_seconds", "{{exhibit}}"), unit="s")
    yield series(
        "Age of heartbeats",
        Ask("stage:cx_heartbeat_age_seconds", "{{stage}}"), unit="s",
        description="It grows from the first stage that is behind.",
    )  # fmt: skip
    yield series(
        "Partitions owned and restored", Ask("stage:cx_owned_partitions:ratio", "{{stage}}"),
        unit="percentunit",
    )  # fmt: skip
    yield series(
        "Partitions that wait",
        Ask("sum by (stage) (cx_restoring_partitions)", "{{stage}}, restoring"),
        Ask("sum(cx_exhibit_stale_partitions)", "values hidden"),
    )
    yield series(
        "Cells too many to show",
        Ask("max by (exhibit) (cx_exhibit_hidden_cells)", "{{exhibit}}"),
        description="Beyond CXSTREAM_METRICS_CELLS: they are counted and stored, and no labels.",
    )
    yield row("Progress")
    yield series("Records to do", Ask("stage:cx_lag_records:sum", "{{stage}}"))
    yield series("Time to catch up", Ask("stage:cx_drain_seconds", "{{stage}}"), unit="s")
    yield series("Records done", Ask(rate("cx_batch_records_total", "stage"), "{{stage}}"),
                 unit="cps")  # fmt: skip
    yield series("Checkpoints", Ask(rate("cx_batches_total", "stage"), "{{stage}}"), unit="cps")
    yield series(
        "Since the last checkpoint",
        Ask("time() - max by (stage) (cx_last_commit_timestamp_seconds)", "{{stage}}"), unit="s",
    )  # fmt: skip
    yield series("Keys of state", Ask("sum by (stage) (cx_restored_keys)", "{{stage}}"))
    yield row("What comes in")
    yield series("Records", Ask(rate("cx_records_total", "platform"), "{{platform}}"), unit="cps")
    yield series("Events", Ask(rate("cx_events_total", "platform"), "{{platform}}"), unit="cps")
    yield series(
        "Since the last event",
        Ask("time() - max by (source, queue) (cx_last_event_timestamp_seconds)",
            "{{source}} {{queue}}"),
        Ask("source:cx_silence_seconds", "{{source}}"),
        unit="s",
    )  # fmt: skip
    yield series(
        "Not counted",
        Ask(errors("cx_duplicates_total"), "duplicates"),
        Ask(errors("cx_ignored_total"), "no KPI needs them"),
        Ask(errors("cx_events_skewed_total"), "ahead of their record"),
        Ask(errors("cx_dead_letters_total"), "refused"),
        Ask(errors("cx_late_records_total"), "later than the horizon"),
    )
    yield row("ClickHouse")
    yield series("Rows", Ask(rate("cx_sink_rows_total", "table"), "{{table}}"), unit="cps")
    inserts = rate("cx_sink_insert_duration_seconds_bucket", "le, table")
    yield series(
        "Insert, 95th percentile", Ask(f"histogram_quantile(0.95, {inserts})", "{{table}}"),
        unit="s",
    )  # fmt: skip
    yield row("Failures")
    yield series(
        "Thrown away or tried again",
        Ask(errors("cx_checkpoints_failed_total"), "checkpoints thrown away"),
        Ask(errors("cx_restores_failed_total"), "restores failed"),
        Ask(errors("cx_gone_records_total"), "records gone unread"),
        Ask(errors("cx_sink_retries_total"), "inserts tried again"),
        Ask(errors("cx_sink_rejected_rows_total"), "rows refused by ClickHouse"),
    )
    yield table("Versions", Ask("count by (version) (cx_build_info)", instant=True))
