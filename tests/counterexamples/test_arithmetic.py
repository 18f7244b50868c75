"""Counterexamples 28 to 33 and 36: arithmetic under correction, calendar, definitions, as of."""

from __future__ import annotations

from datetime import timedelta
from itertools import permutations

from hypothesis import assume, given, settings

from pipeline.kpi import bins, vectors
from schemas.interaction import EVENT_ADAPTER, InteractionEvent
from tests.counterexamples.center import (
    DAY,
    HOUR,
    MINUTE,
    START_MS,
    events,
    fraction,
    let_pass,
    plan_of,
    say,
    shares,
    told,
    values,
)
from tests.properties.stories import START, stories
from tests.properties.test_stages import SOON_MS, in_one_go
from tests.properties.world import World


def test_28_a_percentile_forgets_an_absurd_value_that_was_taken_back():
    """A sketch that collapses would say 15,325 s instead of 6.8 s ever after."""
    waits = [6_782 + 13 * number for number in range(200)]
    counts: dict[str, int] = {}

    def add(wait_ms: int, sign: int) -> None:
        vectors.add(counts, {str(bins.bin_floor(wait_ms)): 1}, sign)

    def p10() -> int | None:
        return bins.percentile({int(name): n for name, n in counts.items()}, 10)

    for wait_ms in waits:
        add(wait_ms, 1)
    before, there = p10(), dict(counts)
    add(200 * 86_400_000, 1)
    add(200 * 86_400_000, -1)
    assert (p10(), counts) == (before, there)
    # The 20th of 200: 6,782 + 13 * 19 = 7,029, within 1 %.
    assert abs(before - 7_029) <= 71


def test_28_a_corrected_wait_leaves_no_trace_in_percentile_and_maximum():
    plan = plan_of("wait_percentile", "max_wait")
    world = World(plan, 2)
    rows = []
    for number in range(20):
        name = f"k{number}"
        rows += [
            told("queued", 0, name),
            told("accepted", 10 + number, name, performer_id="ann", event_id=f"{name}-accepted"),
        ]
    say(world, *rows)
    wrong = told("accepted", 80 * DAY, "k3", performer_id="ann", event_id="k3-accepted")
    say(world, wrong | {"record_version": 1})
    let_pass(world, MINUTE)
    assert fraction(world, "max_wait")[0] == 80 * DAY * 1000
    right = rows[7] | {"record_version": 2}
    say(world, right)
    let_pass(world, 2 * MINUTE)
    reference = in_one_go(plan, events([*rows, right]), START_MS + 2 * MINUTE * 1000)
    for name in ("wait_percentile", "max_wait"):
        assert fraction(world, name) == fraction(reference, name)
    # The longest of 10, 11, ... 29 s.
    assert fraction(world, "max_wait")[0] == 29_000


@given(stories())
@settings(max_examples=5, deadline=None)
def test_29_whatever_is_added_is_a_whole_number(plan, events):
    found = list(shares(in_one_go(plan, events, SOON_MS)))
    assume(found)
    for _, _, share in found:
        numbers = share.vector.values() if isinstance(share.vector, dict) else share.vector
        assert {type(number) for number in numbers} <= {int}


def test_29_sums_of_fractions_do_not_depend_on_order():
    """Ease and effort are made whole for each fact before they are summed."""
    plan = plan_of("journey_ease", by="channel")
    contacts = []
    for number, turns in enumerate((1, 3, 7)):
        name = f"k{number}"
        contacts.append(
            [
                told("queued", number, name, customer_key=f"c{number}"),
                told("accepted", number + 10 * turns + 1, name, performer_id="ann"),
                told("completed", 200 + number, name, performer_id="ann"),
            ]
        )
    found = set()
    for order in permutations(contacts):
        world = World(plan, 1)
        for rows in order:
            say(world, *rows)
            world.run()
        let_pass(world, 30 * DAY, ticks=3)
        found.add(fraction(world, "journey_ease"))
    ((numerator, denominator),) = found
    assert isinstance(numerator, int)
    assert denominator == 3


def planned(value: float, key: str = "forecast") -> InteractionEvent:
    """A forecast of the first half hour in the queue ``sales``."""
    return EVENT_ADAPTER.validate_python(
        {
            "event_id": key, "kind": "plan", "source": "story", "interaction_id": key,
            "channel": "voice", "queue": "sales", "plan": "forecast", "value": value,
            "occurred_at": START - timedelta(days=1),
            "starts_at": START, "ends_at": START + timedelta(minutes=30),
        }
    )  # fmt: skip


def test_30_the_error_of_a_forecast_is_that_of_the_whole_not_of_partitions():
    """Plan 10, actual 6 + 4 on two partitions: no error at all, where partials would say 1.0."""
    plan = plan_of("forecast_wape")
    world = World(plan, 2)
    world.say(planned(10))
    say(world, *(told("queued", number, f"k{number}") for number in range(10)))
    lying = {
        number: sum(record.event is not None for record in world.logs["cx.interactions", number])
        for number in (0, 1)
    }
    assert min(lying.values()) > 1, lying
    let_pass(world, HOUR, ticks=2)
    # |10 - 10| over 10 that came, in millionths.
    numerator, denominator = fraction(world, "forecast_wape")
    assert numerator == 0
    assert denominator > 0


def test_31_eight_hours_of_a_state_cost_two_turns_and_grow_without_events():
    plan = plan_of("login_time", by="site")
    world = World(plan, 1)
    state = {"interaction_id": "ann", "performer_id": "ann", "queue": ""}
    say(world, told("performer_state", 0, state="available", **state))
    let_pass(world, 1)
    for hours in (1, 2, 8):
        let_pass(world, hours * HOUR)
        assert fraction(world, "login_time")[0] == hours * HOUR * 1000
    say(world, told("performer_state", 8 * HOUR, state="offline", **state))
    let_pass(world, 9 * HOUR)
    assert fraction(world, "login_time")[0] == 8 * HOUR * 1000
    quarters = {key.number for _, key, _ in shares(world) if key.grain == "q"}
    # One pane where it began and one where it ended, not one for each of 32 quarters.
    assert len(quarters) == 2


def test_32_what_is_corrected_of_yesterday_does_not_enter_today():
    plan = plan_of("offered", "asa", zone="Europe/Berlin")
    world = World(plan, 1)
    # Midnight in Berlin is 23:00 UTC, fourteen hours after the start.
    midnight = 14 * HOUR
    say(world, told("queued", midnight - 60, "y"), told("queued", midnight + 60, "t"))
    let_pass(world, midnight + 2 * MINUTE)
    assert (fraction(world, "offered", "today"), fraction(world, "offered")) == ((1, 1), (2, 2))
    by = {"performer_id": "ann"}
    say(world, told("accepted", midnight - 20, "y", **by), told("queued", midnight - 1, "y2"))
    let_pass(world, midnight + 3 * MINUTE)
    (today,) = values(world, "offered", "today")
    assert (today.numerator, today.window.start) == (1, "2026-03-02T23:00:00Z")
    assert fraction(world, "offered") == (3, 3)
    assert fraction(world, "asa", "today")[1] == 0


def test_33_a_cell_knows_which_definition_counted_it():
    """Workers with two files can not add to one cell: its key holds the definition's hash."""

    def keys(*kpis: str) -> set[int]:
        return {group.key for exhibit in plan_of(*kpis).exhibits for group in exhibit.groups}

    one = keys("service_level, parameters: {threshold_seconds: 20}")
    assert one == keys("service_level, parameters: {threshold_seconds: 20}")
    assert not one & keys("service_level, parameters: {threshold_seconds: 30}")
    assert not one & {
        group.key
        for exhibit in plan_of(
            "service_level, parameters: {threshold_seconds: 20}", version=2
        ).exhibits
        for group in exhibit.groups
    }


def test_36_a_value_is_as_of_the_tick_and_moves_with_it_alone():
    """Not of when the stream went quiet: the same events at two ticks are two values."""
    plan = plan_of("queue_depth")
    rows = events([told("queued", 0), told("queued", 2 * HOUR, "k2")])
    for clocks in ((HOUR,), (10, HOUR), (10, 20, HOUR, HOUR)):
        world = World(plan, 2)
        for one in rows:
            world.say(one)
        for seconds in clocks:
            let_pass(world, seconds)
        assert fraction(world, "queue_depth")[0] == 1
        let_pass(world, 2 * HOUR)
        assert fraction(world, "queue_depth")[0] == 2
