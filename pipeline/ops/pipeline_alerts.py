"""Rules on the pipeline itself: is it up, is it quick enough, does it lose or refuse anything?"""

from __future__ import annotations

from collections.abc import Iterable

from pipeline.ops.alerts import Alert, Condition, Recording, Scale
from schemas.exhibit import Exhibit

_JOB = 'job="cxstream"'
# Without traffic a rate is 0. The floor keeps a share of nothing at 0 instead of undefined.
_FLOOR = "0.001"


def recordings(scale: Scale) -> list[Recording]:
    """Measures that alerts and dashboards share."""
    short, long = scale.of(300), scale.of(3_600)
    return [
        Recording("stage:cx_lag_records:sum", "sum by (stage) (cx_lag_records)"),
        Recording(
            "stage:cx_batch_records:rate",
            f"sum by (stage) (rate(cx_batch_records_total[{short}]))",
        ),
        # How long it would take to catch up at the speed of the last minutes.
        Recording(
            "stage:cx_drain_seconds",
            "stage:cx_lag_records:sum"
            f" / on (stage) clamp_min(stage:cx_batch_records:rate, {_FLOOR})",
        ),
        Recording(
            "stage:cx_owned_partitions:ratio",
            "sum by (stage) (cx_owned_partitions) / max by (stage) (cx_stage_partitions)",
        ),
        Recording("cx_dead_letters:ratio_short", _share("cx_dead_letters_total", short)),
        Recording("cx_dead_letters:ratio_long", _share("cx_dead_letters_total", long)),
        Recording("cx_events_skewed:ratio_long", _share("cx_events_skewed_total", long)),
        # A worker that starts again has heard nothing yet; what it heard before counts for a day.
        Recording(
            "source:cx_silence_seconds",
            "time() - max by (source) (last_over_time(cx_last_event_timestamp_seconds[1d]))",
        ),
        Recording(
            "stage:cx_heartbeat_age_seconds",
            "time() - min by (stage) (cx_heartbeat_timestamp_seconds)",
        ),
        Recording(
            "exhibit:cx_clock_age_seconds",
            "time() - max by (exhibit) (cx_exhibit_clock_timestamp_seconds)",
        ),
    ]


def _share(counter: str, window: str) -> str:
    """Share of records taken in that ``counter`` counted; 0 where it has no series yet."""
    return (
        f"(sum(rate({counter}[{window}])) or vector(0))"
        f" / clamp_min(sum(rate(cx_records_total[{window}])), {_FLOOR})"
    )


def _none_yet(counter: str, by: str, window: str, known: str) -> str:
    """Increase of a counter whose series are born with their first count; 0 until then."""
    return f"(sum by ({by}) (increase({counter}[{window}])) or 0 * count by ({by}) ({known}))"


def alerts(scale: Scale, exhibits: Iterable[Exhibit]) -> list[Alert]:
    """Every alert on the pipeline, freshness of ``exhibits`` included."""
    return [
        *_workers(scale),
        *_freshness(scale, exhibits),
        *_progress(scale),
        *_refusals(scale),
        *_sink(scale),
    ]


def _workers(scale: Scale) -> Iterable[Alert]:
    yield Alert(
        "CxWorkerDown", (Condition(f"up{{{_JOB}}}", "== 0"),), 120, "critical",
        "Worker {{ $labels.instance }} does not answer.",
    )  # fmt: skip
    yield Alert(
        "CxNoWorker", (Condition(f"(count(up{{{_JOB}}}) or vector(0))", "== 0"),), 120,
        "critical", "Prometheus knows no worker at all.",
    )  # fmt: skip
    yield Alert(
        "CxPartitionsUnowned", (Condition("stage:cx_owned_partitions:ratio", "< 1"),), 300,
        "critical",
        "Stage {{ $labels.stage }} has only {{ $value | humanizePercentage }} of its partitions"
        " restored and owned: what they hold is not counted.",
    )  # fmt: skip
    yield Alert(
        "CxVersionsDiffer",
        (Condition("count(count by (version) (cx_build_info))", "> 1"),), 3_600, "warning",
        "Workers run {{ $value }} different versions.",
    )  # fmt: skip
    yield Alert(
        "CxRestoreSlow",
        (Condition("sum by (stage) (cx_restoring_partitions)", "> 0"),), 900, "warning",
        "Stage {{ $labels.stage }} still restores {{ $value }} partitions.",
    )  # fmt: skip
    failed = _none_yet("cx_restores_failed_total", "stage", scale.of(900), "cx_owned_partitions")
    yield Alert(
        "CxRestoreFailing", (Condition(failed, "> 3"),), 60, "critical",
        "Stage {{ $labels.stage }} cannot restore its state.",
    )  # fmt: skip


def _freshness(scale: Scale, exhibits: Iterable[Exhibit]) -> Iterable[Alert]:
    yield Alert(
        "CxExhibitClockBehind",
        (Condition("exhibit:cx_clock_age_seconds", f"> {scale.bound(30)}"),), 60, "critical",
        "Values of {{ $labels.exhibit }} are {{ $value | humanizeDuration }} old.",
    )  # fmt: skip
    yield Alert(
        "CxPartitionsStale",
        (Condition("sum(cx_exhibit_stale_partitions)", "> 0"),), 60, "critical",
        "{{ $value }} partitions of exhibits hide their values: their clock stands still.",
    )  # fmt: skip
    for exhibit in exhibits:
        clock = f'cx_exhibit_clock_timestamp_seconds{{exhibit="{exhibit.exhibit}"}}'
        yield Alert(
            "CxExhibitMissing", (Condition(f"(count({clock}) or vector(0))", "== 0"),), 300,
            "critical", f"Nobody shows values of {exhibit.exhibit}.",
            labels={"exhibit": exhibit.exhibit},
        )  # fmt: skip


def _progress(scale: Scale) -> Iterable[Alert]:
    yield Alert(
        "CxStageBehind",
        (Condition('stage:cx_drain_seconds{stage!~"sink.*"}', f"> {scale.bound(60)}"),),
        300, "critical",
        "Stage {{ $labels.stage }} needs {{ $value | humanizeDuration }} to catch up.",
    )  # fmt: skip
    yield Alert(
        "CxStageStalled",
        (
            Condition("stage:cx_lag_records:sum", "> 0"),
            Condition("stage:cx_batch_records:rate", "== 0"),
        ),
        300, "critical",
        "Stage {{ $labels.stage }} has {{ $value }} records to do and does none.",
        matching="on (stage)",
    )  # fmt: skip
    # A heartbeat each ten seconds is up to ten seconds old while all is well.
    yield Alert(
        "CxHeartbeatOld",
        (Condition("stage:cx_heartbeat_age_seconds", f"> {scale.bound(120, least=20)}"),),
        60, "critical",
        "What stage {{ $labels.stage }} tells is up to {{ $value | humanizeDuration }} old:"
        " a heartbeat does not come through.",
    )  # fmt: skip
    failed = _none_yet("cx_checkpoints_failed_total", "stage", scale.of(900), "cx_owned_partitions")
    yield Alert(
        "CxCheckpointsFailing", (Condition(failed, "> 5"),), 300, "warning",
        "Stage {{ $labels.stage }} threw {{ $value }} checkpoints away.",
    )  # fmt: skip
    yield Alert(
        "CxNothingTakenIn",
        (Condition(f"sum(rate(cx_records_total[{scale.of(900)}]))", "== 0"),), 900, "info",
        "No record came in for a quarter of an hour.",
    )  # fmt: skip

    yield Alert(
        "CxSourceSilent",
        (Condition("source:cx_silence_seconds", f"> {scale.bound(900)}"),), 60, "warning",
        "{{ $labels.source }} has told nothing for {{ $value | humanizeDuration }}.",
    )  # fmt: skip


def _refusals(scale: Scale) -> Iterable[Alert]:
    # Both windows: it is still going on, and it is not one bad minute.
    yield Alert(
        "CxDeadLetters",
        (
            Condition("cx_dead_letters:ratio_short", "> 0.01"),
            Condition("cx_dead_letters:ratio_long", "> 0.01"),
        ),
        60, "critical", "{{ $value | humanizePercentage }} of what comes in is refused.",
    )  # fmt: skip
    letters = f"(sum(increase(cx_dead_letters_total[{scale.of(3_600)}])) or vector(0))"
    yield Alert(
        "CxDeadLettersAny", (Condition(letters, "> 0"),), 60, "info",
        "{{ $value | humanize }} records were refused in the last hour.",
    )  # fmt: skip
    yield Alert(
        "CxEventsSkewed", (Condition("cx_events_skewed:ratio_long", "> 0.01"),), 900, "warning",
        "{{ $value | humanizePercentage }} of events are ahead of their records: a source's"
        " clock is wrong.",
    )  # fmt: skip


def _sink(scale: Scale) -> Iterable[Alert]:
    yield Alert(
        "CxSinkBehind",
        (Condition('stage:cx_drain_seconds{stage=~"sink.*"}', f"> {scale.bound(300)}"),),
        600, "warning",
        "ClickHouse is behind: {{ $labels.stage }} needs {{ $value | humanizeDuration }}.",
    )  # fmt: skip
    retries = _none_yet("cx_sink_retries_total", "table", scale.of(300), "cx_sink_rows_total")
    yield Alert(
        "CxSinkRetrying", (Condition(retries, "> 0"),), 300, "warning",
        "Inserts into {{ $labels.table }} are tried again and again.",
    )  # fmt: skip
    rejected = _none_yet(
        "cx_sink_rejected_rows_total", "table", scale.of(900), "cx_sink_rows_total"
    )
    yield Alert(
        "CxSinkRejects", (Condition(rejected, "> 0"),), 0, "critical",
        "ClickHouse refuses rows of {{ $labels.table }} for good; the worker has ended.",
    )  # fmt: skip
