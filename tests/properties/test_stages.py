"""Random stories through lifecycle, journeys and exhibits, whatever happens on the way.

The reference is one partition that reads every event in order, in one batch. Other runs get the
events in another order, some of them twice, over several partitions, in batches of any size, with
ticks in between and crashes before commits. What is published in the end must be the same.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import find, given, settings
from hypothesis import strategies as st

from pipeline.folds.event import Event
from pipeline.kpi import catalogue
from pipeline.kpi.plan import Plan
from pipeline.microbatch import partition_for
from pipeline.stages.configuration import (
    ExhibitChange,
    decode_configuration,
    encode_change,
    text_of,
)
from pipeline.stages.folding import CONFIGURATION_KEY
from pipeline.stages.wire import CONTROL_HEADER, EXHIBIT
from schemas.exhibit import Exhibit
from schemas.interaction import InteractionEvent
from schemas.topics import INTERACTIONS
from schemas.values import ExhibitValue
from tests.properties.stories import SPAN_SECONDS, START, event, stories
from tests.properties.world import Record, Row, World

START_MS = round(START.timestamp() * 1000)
SOON_MS = START_MS + SPAN_SECONDS * 1000
IN_THE_END_MS = START_MS + 10 * 86_400_000

AGES = ("longest_wait", "average_time_late")

READ_FROM_MAPS = ("wait_percentile", "handle_time_percentile", "journey_duration")
"""KPIs whose values of two windows say nothing of the value of both together."""

Published = dict[bytes, tuple[object, ...]]


def in_one_go(plan: Plan, events: Sequence[InteractionEvent], *clocks_ms: int) -> World:
    """The world after ``events`` and the last of ``clocks_ms``, read in order by one partition."""
    world = World(plan, 1)
    for told in events:
        world.say(told)
    for clock_ms in clocks_ms:
        world.tick(clock_ms)
    world.run()
    return world


def published(world: World) -> Published:
    """Values by what they are about; not when and how often they were published on the way.

    Cells without anything in them are left out: whether rows of nothing stand for a cell in which a
    fact once lay is looked at by a test of its own, and so is how ages grow.
    """
    values = world.values()
    full = {_cell(value) for value in values if value.window.kind == "all" and value.denominator}
    return {
        value.key: content(value)
        for value in values
        if _cell(value) in full and not _depends_on_ticks(value)
    }


def _depends_on_ticks(value: ExhibitValue) -> bool:
    """Whether a gauge tells of the tick at which it was last published: an age, or in a bucket."""
    gauge = value.attribution == "gauge"
    return gauge and (value.name in AGES or value.window.kind == "tumbling")


def _cell(value: ExhibitValue) -> tuple[str, ...]:
    return tuple(value.dimensions.values())


def content(value: ExhibitValue) -> tuple[object, ...]:
    """What a value says. A window that moves with the clock is not published anew when it moves."""
    state = "final" if value.state == "restated" else value.state
    moves = value.window.kind in ("sliding", "today")
    start, end = (None, None) if moves else (value.window.start, value.window.end)
    return (
        state, start, end,
        value.numerator, value.denominator, value.value, value.low, value.high, value.status,
    )  # fmt: skip


@pytest.mark.parametrize("clock_ms", [SOON_MS, IN_THE_END_MS], ids=["soon", "in the end"])
@pytest.mark.parametrize("partitions", [1, 2, 3, 5])
@given(data=st.data())
@settings(max_examples=25)
def test_nothing_on_the_way_changes_what_comes_out(plan, partitions, clock_ms, data):
    events = data.draw(stories())
    reference = in_one_go(plan, events, clock_ms)
    arrivals = data.draw(st.permutations(events))
    arrivals += data.draw(st.lists(st.sampled_from(events), max_size=6))
    ticks = data.draw(st.dictionaries(st.integers(0, len(arrivals)), st.integers(0, 3), max_size=3))
    random = data.draw(st.randoms(use_true_random=False))
    world = World(plan, partitions)
    hour = 0
    for number, arrived in enumerate(arrivals):
        if number in ticks:
            hour += ticks[number]
            world.tick(min(START_MS + hour * 1_800_000, clock_ms - 1_000))
            if random.random() < 0.5:
                world.run_anyhow(random.randrange, crash_in=5)
        world.say(arrived)
    world.tick(clock_ms)
    world.run_anyhow(random.randrange, crash_in=5)
    # A partition that began anew has forgotten whose ticks it had heard, and waits for the next.
    world.tick(clock_ms)
    world.run()
    assert differences(published(world), published(reference)) == []
    assert of_one_home(world.facts()) == of_one_home(reference.facts())


def of_one_home(facts: Sequence[Row]) -> list[Row]:
    """Facts whose home never changes; those of customers' histories have a test of their own."""
    return [fact for fact in facts if fact["kind"] not in ("contact", "journey")]


def differences(one: Published, other: Published) -> list[object]:
    """What two worlds do not agree on."""
    keys = sorted({*one, *other})
    return [(key, one.get(key), other.get(key)) for key in keys if one.get(key) != other.get(key)]


def test_a_cell_that_its_facts_have_left_is_gone(plan):
    """While the contact waits nobody serves it; then its stay belongs to who answered."""
    waits = {"kind": "queued", "at": 0, "interaction_id": "k", "channel": "voice", "queue": "q"}
    answered = {**waits, "kind": "accepted", "at": 9, "performer_id": "ann"}
    events = [event(waits, 0), event(answered, 1)]
    reference = in_one_go(plan, events, SOON_MS)
    world = in_one_go(plan, events[:1], START_MS)
    world.say(events[1])
    world.tick(SOON_MS)
    world.run()
    cells = {_cell(value) for value in world.values()}
    assert cells == {_cell(value) for value in reference.values()}


def _totals(world: World, name: str) -> dict[str, object]:
    """Values of one gauge over everything, by kind of window."""
    rows = [value for value in world.values() if set(_cell(value)) == {"*"}]
    return {value.window.kind: value.value for value in rows if value.name == name}


def test_a_contact_that_moves_to_another_customer_keeps_its_facts(plan):
    contact = {"channel": "voice", "performer_id": "ann"}
    before = {**contact, "interaction_id": "k0", "customer_key": "c1"}
    first, moved = ({**contact, "interaction_id": "k1", "customer_key": c} for c in ("c1", "c2"))
    world = World(plan, 2)
    for number, row in enumerate(
        (
            {**before, "kind": "accepted", "at": 0},
            {**before, "kind": "completed", "at": 5},
            {**first, "kind": "queued", "at": 10},
            {**moved, "kind": "accepted", "at": 19},
        )
    ):
        world.say(event(row, number))
        world.run()
    found = {fact["fact_id"]: fact["customer_key"] for fact in world.facts()}
    assert (found.get("k1/contact"), found.get("k1/journey")) == ("c2", "c2")


WAITING = {"kind": "queued", "interaction_id": "k", "channel": "voice", "queue": "q"}


def test_the_longest_wait_grows_without_events(plan):
    world = World(plan, 1)
    world.say(event({**WAITING, "at": 0}, 0))
    for seconds in (1800, 3600, 7200):
        world.tick(START_MS + seconds * 1000)
        world.run()
    ages = _totals(world, "longest_wait")
    assert (ages["all"], ages["sliding"], ages["today"]) == (7200, 7200, 7200)


def test_a_gauge_does_not_know_what_lies_ahead_of_the_clock(plan):
    world = in_one_go(plan, [event({**WAITING, "at": 60}, 0)], START_MS + 10_000)
    assert _totals(world, "queue_depth")["all"] == 0
    assert _totals(world, "longest_wait")["all"] is None


def test_crashes_happen(plan):
    events = find(stories(), lambda found: len(found) > 12)
    world = World(plan, 2)
    for told in events:
        world.say(told)
    world.tick(IN_THE_END_MS)
    state = 7

    def choose(of: int) -> int:
        nonlocal state
        state = (state * 1_103_515_245 + 12_345) % 2**31
        return (state >> 8) % of

    world.run_anyhow(choose, crash_in=3)
    world.tick(IN_THE_END_MS)
    world.run()
    assert world.restored > 3
    assert published(world) == published(in_one_go(plan, events, IN_THE_END_MS))


def test_a_fold_in_order_of_arrival_is_caught(plan, monkeypatch):
    monkeypatch.setattr(Event, "order", property(lambda _: 0))

    def differs(events: list[InteractionEvent]) -> bool:
        there = published(in_one_go(plan, events, IN_THE_END_MS))
        back = published(in_one_go(plan, events[::-1], IN_THE_END_MS))
        return there != back

    assert differs(find(stories(), differs))


# --- what holds whatever the data -----------------------------------------------------------------


@given(stories(), st.integers(-400, 400))
@settings(max_examples=25)
def test_whole_days_move_buckets_and_no_value(plan, events, days):
    later = timedelta(days=days)
    moved = [_moved(event, later) for event in events]
    shift_ms = days * 86_400_000
    here = in_one_go(plan, events, SOON_MS)
    there = in_one_go(plan, moved, SOON_MS + shift_ms)
    expected = sorted((_shifted(value, later) for value in here.values()), key=repr)
    found = sorted((_shifted(value, timedelta(0)) for value in there.values()), key=repr)
    assert found == expected


def _moved(event: InteractionEvent, later: timedelta) -> InteractionEvent:
    due_at = None if event.due_at is None else event.due_at + later
    return event.model_copy(update={"occurred_at": event.occurred_at + later, "due_at": due_at})


def _shifted(value: ExhibitValue, later: timedelta) -> tuple[object, ...]:
    def move(moment: str | None) -> object:
        return None if moment is None else _moment(moment) + later

    about = (value.name, value.window.kind, value.window.size, tuple(value.dimensions.items()))
    state, start, end, *rest = content(value)
    return (*about, state, move(start), move(end), *rest, move(value.as_of))


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


@given(stories())
def test_half_hours_are_the_sums_of_their_quarters(plan, events):
    values = in_one_go(plan, events, IN_THE_END_MS).values()
    rows = [v for v in values if v.attribution != "gauge" and v.kpi not in READ_FROM_MAPS]
    quarters: defaultdict[tuple[object, ...], list[ExhibitValue]] = defaultdict(list)
    halves: dict[tuple[object, ...], ExhibitValue] = {}
    for value in rows:
        if value.window.kind != "tumbling" or value.window.start is None:
            continue
        start = _moment(value.window.start)
        half = start.replace(minute=start.minute // 30 * 30)
        # What is late for a quarter may be in time for its half hour: both are final here.
        state = "final" if value.state == "restated" else value.state
        place = (value.name, tuple(value.dimensions.items()), state, half)
        if value.window.size == "30m":
            halves[place] = value
        else:
            quarters[place].append(value)
    assert halves.keys() == quarters.keys()
    for place, half_hour in halves.items():
        parts = quarters[place]
        combine = max if half_hour.kpi == "max_wait" else sum
        assert half_hour.numerator == combine(part.numerator or 0 for part in parts)
        assert half_hour.denominator == combine(part.denominator or 0 for part in parts)


@given(stories())
def test_relations_of_service_levels(plan, events):
    values = in_one_go(plan, events, IN_THE_END_MS).values()
    levels: defaultdict[tuple[object, ...], dict[str, Fraction]] = defaultdict(dict)
    for value in values:
        if value.name.startswith("sl_") and value.denominator:
            place = (tuple(value.dimensions.items()), value.window)
            levels[place][value.name] = Fraction(value.numerator or 0, value.denominator)
    for found in levels.values():
        for lower, higher in (("sl_a", "sl_e"), ("sl_a", "sl_b"), ("sl_b", "sl_c")):
            if lower in found and higher in found:
                assert found[lower] <= found[higher]


@given(stories())
def test_true_containment_is_never_above_the_naive_one(plan, events):
    known = [e.model_copy(update={"customer_key": e.customer_key or "c9"}) for e in events]
    values = [
        value
        for value in in_one_go(plan, known, IN_THE_END_MS).values()
        if value.window.kind == "all" and set(value.dimensions.values()) == {"*"}
    ]
    (true,) = _mature(values, "containment_true")
    (naive,) = (value for value in values if value.name == "containment_naive")
    assert true.denominator == naive.denominator
    assert (true.numerator or 0) <= (naive.numerator or 0)


def _mature(values: Sequence[ExhibitValue], name: str) -> Iterator[ExhibitValue]:
    return (value for value in values if value.name == name and value.state == "final")


@given(stories())
def test_parts_of_handle_time_add_up(plan, events):
    unmeasured = [event for event in events if event.kind != "record"]
    facts = in_one_go(plan, unmeasured, IN_THE_END_MS).facts() if unmeasured else []
    for fact in facts:
        if fact["kind"] == "handling_segment" and fact["talk_ms"] is not None:
            assert fact["talk_ms"] + fact["hold_ms"] == fact["left_ms"] - fact["accepted_ms"]
            assert fact["wrap_ms"] >= 0
            assert 0 <= fact["consult_ms"] <= fact["talk_ms"]
    for fact in facts:
        if fact["kind"] == "interaction" and fact["talk_ms"] is not None:
            _is_sum_of_its_stints(fact, facts)


def _is_sum_of_its_stints(whole: Row, facts: Sequence[Row]) -> None:
    stints = [
        fact
        for fact in facts
        if fact["kind"] == "handling_segment"
        and fact["interaction_id"] == whole["interaction_id"]
        and fact["handled"]
    ]
    for part in ("talk_ms", "hold_ms", "wrap_ms"):
        assert whole[part] == sum(stint[part] for stint in stints)
    assert whole["stints"] == len(stints)


# --- exhibits change ------------------------------------------------------------------------------


def _version(plan: Plan, version: int, **changes: object) -> Exhibit:
    """The exhibit of the plan as another version, changed."""
    return plan.exhibits[0].exhibit.model_copy(update={"version": version, **changes})


def _announce(world: World, exhibit: Exhibit) -> None:
    change = ExhibitChange(exhibit.exhibit, exhibit.version, text_of(exhibit))
    for number in range(world.partitions):
        headers = ((CONTROL_HEADER, EXHIBIT),)
        record = Record(None, encode_change(change), headers)
        world.logs[INTERACTIONS, number].append(record)


@pytest.mark.parametrize("partitions", [1, 3])
@given(data=st.data())
@settings(max_examples=15)
def test_a_new_version_counts_everything_whenever_it_comes(plan, partitions, data):
    events = data.draw(stories())
    new = _version(plan, 2, by=("channel",), windows=plan.exhibits[0].exhibit.windows[-2:])
    reference = in_one_go(Plan([new], catalogue.load()), events, SOON_MS)
    at = data.draw(st.integers(0, len(events)))
    random = data.draw(st.randoms(use_true_random=False))
    world = World(plan, partitions)
    for number, told in enumerate(events):
        if number == at:
            _announce(world, new)
        world.say(told)
    if at == len(events):
        _announce(world, new)
    for second in range(4):
        world.tick(SOON_MS - 4_000 + second * 1_000)
        world.run_anyhow(random.randrange, crash_in=5)
    for _ in range(3):
        world.tick(SOON_MS)
        world.run()
    assert {value.exhibit_version for value in world.values()} == {2}
    assert differences(published(world), published(reference)) == []


def test_the_old_version_is_shown_until_every_source_counts_for_the_new_one(plan):
    new = _version(plan, 2, by=("channel",))
    world = World(plan, 2)
    world.tick(START_MS)
    world.run()
    assert {value.exhibit_version for value in world.values()} == {1}
    _announce(world, new)
    world.tick(START_MS + 1_000)
    slow = next(o for o in world.owned if (o.stage, o.number) == ("journeys", 1))
    while waiting := [owned for owned in world.waiting() if owned is not slow]:
        for owned in waiting:
            world.batch(owned, world.lag(owned))
    assert {value.exhibit_version for value in world.values()} == {1}
    for second in (2, 3, 4):
        world.tick(START_MS + second * 1_000)
        world.run()
    assert {value.exhibit_version for value in world.values()} == {2}
    # Nothing is counted for the old version any more, in any stage.
    for owned in world.owned:
        if owned.stage != "exhibits":
            stored = decode_configuration(owned.state[CONFIGURATION_KEY])
            assert {name: set(texts) for name, texts in stored.texts.items()} == {"everything": {2}}


def test_an_exhibit_that_ends_takes_its_values_along(plan):
    world = World(plan, 2)
    world.tick(START_MS)
    world.run()
    assert world.values() != []
    for number in range(world.partitions):
        change = encode_change(ExhibitChange("everything", 0))
        world.logs[INTERACTIONS, number].append(Record(None, change, ((CONTROL_HEADER, EXHIBIT),)))
    for second in (1, 2):
        world.tick(START_MS + second * 1_000)
        world.run()
    assert world.values() == []


def test_a_source_that_began_anew_with_nothing_left_takes_back_what_it_gave(plan):
    world = World(plan, 2)
    first, second = (
        next(key for key in map(str, range(99)) if partition_for(b"c" + key.encode(), 2) == number)
        for number in (0, 1)
    )
    row = {"at": 0, "kind": "queued", "interaction_id": "k", "channel": "voice", "queue": "sales"}
    moved = event({**row, "customer_key": second, "record_version": 1}, 0)
    world.say(event({**row, "customer_key": first}, 0))
    world.tick(START_MS + 60_000)
    world.run()
    # The contact turns out to be another customer's; the partition it left falls before a tick.
    world.say(moved)
    world.run()
    world.begin_anew("journeys", 0)
    for second_later in (61, 62):
        world.tick(START_MS + second_later * 1_000)
        world.run()
    reference = in_one_go(plan, [moved], START_MS + 62_000)
    assert differences(published(world), published(reference)) == []
