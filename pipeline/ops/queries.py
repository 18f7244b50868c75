"""SQL of dashboards, for ClickHouse through Grafana's data source and its macros."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from pipeline.kpi.catalogue import CompiledKpi, CompiledPart
from pipeline.kpi.expression import AS_OF_PARAMETER
from pipeline.kpi.stats import Z_95
from schemas.exhibit import Exhibit, glob_pattern

CLOCK: Final = "toUnixTimestamp64Milli($__toTime_ms)"
"""The end of the range in view, in epoch milliseconds."""
FROM: Final = "toUnixTimestamp64Milli($__fromTime_ms)"
"""The beginning of the range in view, in epoch milliseconds."""
_ROWS: Final = 200

AI_PERFORMERS: Final = """\
SELECT
  kcr_task,
  performer_id,
  model_version,
  owner,
  verified_at,
  verified_until,
  verified_version,
  ethics_checked_at,
  ethics_check_passed
FROM ai_performers
ORDER BY kcr_task, performer_id"""


def wilson_sql(numerator: str, denominator: str) -> tuple[str, str]:
    """Ends of the Wilson 95 % interval, as `pipeline.kpi.stats.wilson` has them."""
    k, n = f"({numerator})", f"({denominator})"
    z2 = f"({Z_95 * Z_95} / {n})"
    p = f"({k} / {n})"
    margin = f"{Z_95} * sqrt({p} * (1 - {p}) / {n} + {z2} / (4 * {n}))"
    low = f"if({k} = 0, 0, ({p} + {z2} / 2 - {margin}) / (1 + {z2}))"
    high = f"if({k} = {n}, 1, ({p} + {z2} / 2 + {margin}) / (1 + {z2}))"
    return low, high


def interval_sql(numerator: str, denominator: str) -> str:
    """The same in words, as ``12.1 to 15.3 %``; null of nothing."""
    low, high = (f"toString(round(100 * {end}, 1))" for end in wilson_sql(numerator, denominator))
    return f"if({denominator} = 0, NULL, concat({low}, ' to ', {high}, ' %'))"


WAITING: Final = """\
SELECT
  queue,
  channel,
  count() AS waiting,
  dateDiff('second', min(entered_at), now()) AS longest_seconds
FROM queue_segments
WHERE left_at IS NULL AND outcome = 'waiting'
GROUP BY queue, channel
ORDER BY longest_seconds DESC"""

LEAVING_QUEUES: Final = """\
SELECT
  $__timeInterval(entered_at) AS time,
  outcome,
  count() AS contacts
FROM queue_segments
WHERE $__timeFilter(entered_at)
GROUP BY time, outcome
ORDER BY time"""

BOT_OUTCOMES: Final = """\
SELECT
  $__timeInterval(accepted_at) AS time,
  if(bot_outcome = '', 'open', bot_outcome) AS outcome,
  count() AS sessions
FROM handling_segments
WHERE performer_kind = 'bot' AND $__timeFilter(accepted_at)
GROUP BY time, outcome
ORDER BY time"""

BOT_VERSIONS: Final = f"""\
SELECT
  performer_id AS bot,
  model_version,
  count() AS sessions,
  countIf(handoff_at IS NOT NULL) AS handoffs,
  if(sessions = 0, NULL, handoffs / sessions) AS handoff_share,
  {interval_sql("handoffs", "sessions")} AS `95 %, handoff_share`,
  countIf(handoff_context_ok = 0) AS without_context,
  avg(turns) AS turns
FROM handling_segments
WHERE performer_kind = 'bot' AND $__timeFilter(accepted_at)
GROUP BY bot, model_version
ORDER BY sessions DESC"""  # noqa: S608  made of texts of this module

BOT_INTENTS: Final = """\
SELECT
  intent,
  count() AS sessions,
  countIf(bot_outcome = 'resolved') AS resolved,
  countIf(handoff_at IS NOT NULL) AS handoffs,
  countIf(handoff_abandoned) AS abandoned_after_handoff
FROM handling_segments
WHERE performer_kind = 'bot' AND $__timeFilter(accepted_at)
GROUP BY intent
ORDER BY sessions DESC
LIMIT 50"""

JOURNEYS_BY_LENGTH: Final = """\
SELECT
  least(interactions, 6) AS contacts,
  count() AS journeys,
  avg(channel_switches) AS channel_switches,
  avg(transfers) AS transfers,
  avg(wait_ms) / 1000 AS wait_seconds
FROM journeys
WHERE $__timeFilter(started_at)
GROUP BY contacts
ORDER BY contacts"""

HARDEST_JOURNEYS: Final = """\
SELECT
  started_at,
  ended_at,
  intent,
  interactions,
  channel_switches,
  transfers,
  reauthentications,
  info_repeats,
  wait_ms / 1000 AS wait_seconds,
  resolved,
  interaction_id
FROM journeys
WHERE $__timeFilter(started_at)
ORDER BY interactions + 2 * channel_switches + 2 * transfers DESC, started_at DESC
LIMIT 100"""

STATES_NOW: Final = """\
SELECT
  state,
  uniqExact(performer_id) AS performers
FROM performer_states
WHERE left_at IS NULL AND entered_at <= $__toTime_ms
GROUP BY state
ORDER BY performers DESC"""

TIME_IN_STATES: Final = """\
SELECT
  $__timeInterval(entered_at) AS time,
  state,
  sum(left_ms - entered_ms) / 3600000 AS hours
FROM performer_states
WHERE left_at IS NOT NULL AND $__timeFilter(entered_at)
GROUP BY time, state
ORDER BY time"""

PERFORMERS: Final = """\
SELECT
  performer_id,
  count() AS segments,
  countIf(transferred) AS transferred,
  (sum(talk_ms) + sum(hold_ms) + sum(wrap_ms)) / 1000 / nullIf(count(), 0) AS handle_seconds
FROM handling_segments
WHERE performer_kind = 'human' AND handled AND $__timeFilter(accepted_at)
GROUP BY performer_id
ORDER BY segments DESC
LIMIT 200"""


def interactions_behind(exhibit: Exhibit, kpi: CompiledKpi) -> list[tuple[str, str]]:
    """Names of the parts of a KPI with the SQL of the rows they count in the range in view."""
    return [(part.name, _rows(exhibit, part, gauge=kpi.gauge)) for part in kpi.parts]


def _rows(exhibit: Exhibit, part: CompiledPart, *, gauge: bool) -> str:
    lines = [
        "SELECT",
        f"  fromUnixTimestamp64Milli(assumeNotNull(toInt64({part.sql['time']}))) AS counted_at,",
        "  interaction_id,",
        *(f"  {name}," for name in exhibit.by),
        *(f"  {name}," for name in ("channel", "performer_id") if name not in exhibit.by),
        f"  {part.sql.get('numerator', '1')} AS numerator,",
        f"  {part.sql['denominator']} AS denominator",
        f"FROM {part.fact}s",
        "WHERE " + "\n  AND ".join(_conditions(exhibit, part, gauge=gauge)),
        "ORDER BY counted_at DESC",
        f"LIMIT {_ROWS}",
    ]
    return "\n".join(lines).replace(AS_OF_PARAMETER, CLOCK)


def _conditions(exhibit: Exhibit, part: CompiledPart, *, gauge: bool) -> Iterable[str]:
    yield f"({part.sql['of']})"
    yield from in_view(part, gauge=gauge)
    yield from population(exhibit)
    for name in exhibit.by:
        yield f"(${{{name}:singlequote}} = '*' OR {name} = ${{{name}:singlequote}})"


def in_view(part: CompiledPart, *, gauge: bool = False) -> Iterable[str]:
    """Conditions on rows that count in the range in view; of a gauge, before its end."""
    time = part.sql["time"]
    yield f"({time}) IS NOT NULL"
    if part.until is not None:
        yield f"ifNull({part.sql['until']}, {CLOCK}) > {FROM}"
    elif not gauge:
        yield f"({time}) >= {FROM}"
    yield f"({time}) < {CLOCK}"


def population(exhibit: Exhibit) -> Iterable[str]:
    """Conditions on rows of facts that are of an exhibit."""
    for name, patterns in exhibit.effective_where.items():
        yield f"({' OR '.join(_fits(name, one) for one in patterns)})"


def _fits(name: str, pattern: str) -> str:
    if "*" not in pattern:
        return f"{name} = {_quoted(pattern)}"
    return f"match({name}, {_quoted(f'(?s)^{glob_pattern(pattern)}$')})"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
