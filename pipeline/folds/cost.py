"""What work costs: stints of performers at the rates in force when they began.

A rate is a plan item (``plan: rate``) that says what one unit of an activity costs while it holds,
for the work that has all the dimensions the rate names. Each stint is priced by itself and rounded
to a millionth, so that costs are integers and add up in any cell.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Final

from pipeline.folds.rows import Row
from schemas.facts import DIMENSIONS, Cost, HandlingSegment, Header, PlanItem

MINUTE_MS: Final = 60_000
MILLION: Final = 1_000_000

ANY_CHANNEL: Final = "other"
"""Channel of a plan item that is about no channel: every event must name one."""

# Who told of the work, and in which direction it went, is nothing that a rate can choose: an event
# has a direction whether it means one or not.
_CHOOSING: Final = tuple(name for name in DIMENSIONS if name not in ("source", "direction"))


class Rates:
    """Rates by activity."""

    def __init__(self, items: Iterable[PlanItem] = ()) -> None:
        self._by_activity: defaultdict[str, list[PlanItem]] = defaultdict(list)
        for item in items:
            self._by_activity[item.activity].append(item)

    def __bool__(self) -> bool:
        """Whether any rate is known."""
        return bool(self._by_activity)

    def find(self, activity: str, header: Header, at_ms: int) -> PlanItem | None:
        """The rate of an activity for work that began at ``at_ms``, None if it has none.

        Of several, the one that names most dimensions; then the latest to begin; then by id.
        """
        fitting = [
            (len(names), item.starts_ms, item.plan_id, item)
            for item in self._by_activity.get(activity, ())
            if item.starts_ms <= at_ms and (item.ends_ms is None or at_ms < item.ends_ms)
            and _fits(item.header, header, names := _named(item.header))
        ]  # fmt: skip
        return max(fitting)[-1] if fitting else None


def _named(rate: Header) -> tuple[str, ...]:
    """Dimensions that a rate chooses by."""
    return tuple(
        name
        for name in _CHOOSING
        if getattr(rate, name) and not (name == "channel" and rate.channel == ANY_CHANNEL)
    )


def _fits(rate: Header, work: Header, names: Iterable[str]) -> bool:
    return all(getattr(rate, name) == getattr(work, name) for name in names)


def priced(rows: Iterable[Row], rates: Rates) -> Iterator[Row]:
    """Costs of the stints among ``rows`` whose work is complete, one row an activity."""
    for row in rows:
        stint = row.fact
        if not isinstance(stint, HandlingSegment) or stint.closed_ms is None:
            continue
        for activity, work, unit in _work(stint):
            rate = rates.find(activity, stint.header, stint.accepted_ms)
            if rate is not None and work:
                cost = Cost(
                    header=stint.header,
                    leg_id=stint.leg_id,
                    activity=activity,
                    rate_id=rate.plan_id,
                    accepted_ms=stint.accepted_ms,
                    closed_ms=stint.closed_ms,
                    told_ms=max(stint.closed_ms, rate.told_ms),
                    work=work,
                    rate_micro=rate.value_micro,
                    cost_micro=_rounded(work * rate.value_micro, unit),
                )
                yield Row(f"{row.fact_id}/cost/{activity}", "cost", cost)


def _work(stint: HandlingSegment) -> Iterator[tuple[str, int, int]]:
    """Activities of a stint, how much of each, and how much of it one unit of a rate is."""
    handle_ms = (stint.talk_ms or 0) + (stint.hold_ms or 0) + (stint.wrap_ms or 0)
    if stint.header.performer_kind != "bot":
        yield "performer_minute", handle_ms, MINUTE_MS
        return
    yield "bot_minute", handle_ms, MINUTE_MS
    yield "bot_session", 1, 1
    yield "bot_turn", stint.turns, 1
    yield "million_input_tokens", stint.input_tokens, MILLION
    yield "million_output_tokens", stint.output_tokens, MILLION


def _rounded(dividend: int, divisor: int) -> int:
    """The nearest integer of a quotient that is not negative, halves up."""
    return (2 * dividend + divisor) // (2 * divisor)
