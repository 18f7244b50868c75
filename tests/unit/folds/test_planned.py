"""The fold of a plan item, and what work costs at the rates that stand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import permutations

from pipeline.folds import planned
from pipeline.folds.cost import Rates, priced
from pipeline.folds.event import reduce
from pipeline.folds.rows import Row
from pipeline.stages.rates import KnownRates
from pipeline.stages.wire import Rate
from schemas.facts import Header, PlanItem
from schemas.interaction import EVENT_ADAPTER
from tests.unit.kpi.hand_made import MINUTE, SECOND, fact

DAY = 86_400_000

ZERO = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
ZERO_MS = 1_772_442_000_000


def event(number: int, at: int, **fields: object):
    told = {
        "event_id": f"e{number}", "kind": "plan", "source": "test", "interaction_id": "item",
        "occurred_at": ZERO + timedelta(seconds=at), "channel": "voice", **fields,
    }  # fmt: skip
    return reduce(EVENT_ADAPTER.validate_python(told))


def items(events):
    return [row.fact for row in planned.fold("item", events).rows]


FORECAST = {"plan": "forecast", "starts_at": ZERO, "queue": "sales"}


def test_the_newest_event_replaces_the_whole_item_in_any_order():
    events = [
        event(1, 0, **FORECAST, value=10.5, plan_version="v1"),
        event(2, 60, **FORECAST, value=12.0),
        event(3, 30, **FORECAST, value=99.0),
    ]
    for order in permutations(events):
        (item,) = items(order)
        assert (item.value_micro, item.plan_version, item.told_ms) == (
            12_000_000, "", ZERO_MS + 60_000,
        )  # fmt: skip
    (first,) = items(events[:1])
    assert first.value_micro == 10_500_000
    assert first.starts_ms == ZERO_MS
    assert first.ends_ms is None
    assert first.header.queue == "sales"


def test_a_higher_record_version_is_newer_whatever_its_time():
    corrected = event(1, 0, **FORECAST, value=1, record_version=2)
    (item,) = items([corrected, event(2, 60, **FORECAST, value=2)])
    assert item.value_micro == 1_000_000


def test_what_is_withdrawn_or_plans_nothing_is_no_item():
    told = event(1, 0, **FORECAST, value=1)
    assert items([told, event(2, 1, **FORECAST)]) == []
    assert items([event(1, 0, starts_at=ZERO, value=1)]) == []
    assert items([event(1, 0, plan="forecast", value=1)]) == []
    assert items([event(1, 0, **FORECAST, value=1, ends_at=ZERO)]) == []
    assert items([]) == []


def rate(plan_id: str, value_micro: int, starts_ms=0, ends_ms=None, **header: str) -> PlanItem:
    return fact(
        "plan", plan_id=plan_id, plan="rate", activity="performer_minute", starts_ms=starts_ms,
        ends_ms=ends_ms, value_micro=value_micro, **{"channel": "other", **header},
    )  # fmt: skip


def test_the_rate_that_names_most_then_the_latest_then_by_id():
    work = Header(channel="voice", vendor="v", site="s", source="platform")
    rates = [
        rate("a", 1), rate("b", 2, starts_ms=5), rate("c", 3, vendor="v"),
        rate("d", 4, vendor="v", starts_ms=20), rate("e", 5, vendor="w", site="s"),
        rate("f", 6, channel="voice", vendor="v", ends_ms=10),
    ]  # fmt: skip
    for order in permutations(rates):
        found = Rates(order)
        assert found.find("performer_minute", work, 9).value_micro == 6
        assert found.find("performer_minute", work, 10).value_micro == 3
        assert found.find("performer_minute", work, 20).value_micro == 4
        assert found.find("performer_minute", Header(channel="sms"), 4).value_micro == 1
        assert found.find("performer_minute", Header(channel="sms"), 5).value_micro == 2
        assert found.find("bot_session", work, 10) is None


def stint(**fields: object) -> Row:
    given = {"accepted_ms": 1_000, "left_ms": 100_000, "closed_ms": 101_000, **fields}
    return Row("i/handling/1", "handling_segment", fact("handling_segment", **given))


def test_complete_work_costs_its_minutes_to_the_nearest_millionth():
    # 100 s at 0.10 a minute: 0.1666666..., rounded up.
    work = stint(
        performer_kind="human", talk_ms=60 * SECOND, hold_ms=30 * SECOND, wrap_ms=10 * SECOND
    )
    (row,) = priced([work], Rates([rate("a", 100_000)]))
    assert row.fact_id == "i/handling/1/cost/performer_minute"
    assert (row.fact.work, row.fact.cost_micro) == (100 * SECOND, 166_667)
    assert (row.fact.rate_id, row.fact.rate_micro) == ("a", 100_000)
    still = stint(performer_kind="human", closed_ms=None)
    assert list(priced([still], Rates([rate("a", 100_000)]))) == []


def test_bots_have_activities_of_their_own():
    bot = stint(performer_kind="bot", talk_ms=2 * MINUTE, turns=3)
    prices = {"bot_minute": 10, "bot_session": 200, "bot_turn": 7, "performer_minute": 999}
    rates = Rates(rate(name, value)._replace(activity=name) for name, value in prices.items())
    costs = {row.fact.activity: row.fact.cost_micro for row in priced([bot], rates)}
    assert costs == {"bot_minute": 20, "bot_session": 200, "bot_turn": 21}


class Out:
    """A checkpoint that keeps what is put."""

    def __init__(self) -> None:
        self.state: dict[bytes, bytes] = {}

    def put(self, key: bytes, value: bytes) -> None:
        self.state[key] = value


def test_a_partition_keeps_the_newest_of_each_rate_and_knows_whose_work_it_reaches():
    out = Out()
    known = KnownRates({})
    known.note(b"ibefore", (5 * DAY, 5 * DAY))
    known.note(b"iwithin", (10 * DAY, 40 * DAY))
    known.note(b"iafter", (20 * DAY, 20 * DAY))
    known.note(b"inone", None)
    first = Rate("a", 1, rate("a", 1, starts_ms=10 * DAY, ends_ms=20 * DAY))
    assert known.take(first, out) == [b"iwithin"]
    # From day 10 to day 20 it does not hold any more, from day 20 on it does.
    newer = Rate("a", 3, rate("a", 2, starts_ms=20 * DAY))
    assert known.take(newer, out) == [b"iafter", b"iwithin"]
    assert known.take(Rate("a", 2, None), out) == []
    assert known.take(Rate("b", 2, None), out) == []
    assert known.version == 5
    again = KnownRates(out.state)
    assert again.version == 5
    assert again.rates.find("performer_minute", Header(), 30 * DAY).value_micro == 2
    assert again.take(newer, out) == []
