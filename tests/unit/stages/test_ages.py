"""Ages of keys: the floor, what is late, when keys are due, packing, and cuts of histories."""

from __future__ import annotations

import pytest

from pipeline.folds.event import Event
from pipeline.folds.performances import StintRow
from pipeline.folds.rows import ContactRow
from pipeline.stages.ages import ALWAYS_MS, Ages, Calendar, floor_of, is_late, reach_ms
from pipeline.stages.frozen import frozen_part
from pipeline.stages.homes import Known
from pipeline.stages.packing import HISTORY_WORDS, is_packed, pack, unpack
from pipeline.stages.performer_cut import events_after, last_cut
from schemas.facts import Header

DAY = 86_400_000
HOUR = 3_600_000
QUARTER = 900_000


def told(kind: str, at_ms: int, **fields: object) -> Event:
    return Event(
        occurred_ms=at_ms, kind=kind, event_id=f"{kind}{at_ms}", content_hash=at_ms,
        channel="voice", source="s", **fields,
    )  # fmt: skip


def test_the_floor_is_a_quarter_hour():
    assert floor_of(9 * DAY + QUARTER - 1, 8 * DAY) == DAY
    assert floor_of(9 * DAY + QUARTER, 8 * DAY) == DAY + QUARTER
    assert floor_of(DAY, 8 * DAY) == 0


@pytest.mark.parametrize(
    ("event", "reach"),
    [
        (told("queued", 5), 5),
        (told("wrapup_ended", 5, wrap_ms=20), 25),
        (told("queued", 5, due_ms=70), 70),
        (told("plan", 5, plan="schedule", starts_ms=50, ends_ms=90, value_micro=1), 90),
        # It holds until further notice.
        (told("plan", 5, plan="employment", starts_ms=50, value_micro=1), ALWAYS_MS),
        # Withdrawn, it plans nothing.
        (told("plan", 5, plan="employment", starts_ms=50), 50),
    ],
)
def test_the_latest_instant_an_event_tells_of(event, reach):
    assert reach_ms(event) == reach


def test_an_event_is_as_old_as_itself_and_a_plan_as_what_it_plans():
    assert is_late(told("queued", 5, due_ms=70), 6)
    assert not is_late(told("queued", 6), 6)
    planned = told("plan", 5, plan="schedule", starts_ms=50, ends_ms=90, value_micro=1)
    assert not is_late(planned, 90)
    assert is_late(planned, 91)


def test_keys_are_due_by_quarter_hour_and_some_at_a_time():
    calendar = Calendar()
    calendar.note(b"late", 2 * QUARTER)
    calendar.note(b"never", ALWAYS_MS)
    for key in (b"a", b"b", b"c"):
        calendar.note(key, QUARTER - 1)
    assert calendar.pop(QUARTER - 1, 9) == []
    assert calendar.pop(QUARTER, 2) == [b"a", b"b"]
    assert calendar.pop(3 * QUARTER, 9) == [b"c", b"late"]
    assert calendar.pop(ALWAYS_MS, 9) == []


MINUTE = 60_000


def test_a_key_rests_once_nobody_touched_it_for_five_minutes():
    ages = Ages(packs=True)
    ages.touch(b"k", 0)
    assert ages.rested(5 * MINUTE) == []
    assert ages.rested(6 * MINUTE) == [b"k"]
    assert ages.rested(99 * MINUTE) == []


def test_a_key_that_is_touched_again_rests_later():
    ages = Ages(packs=True)
    for minute in range(5):
        ages.touch(b"k", minute * MINUTE)
    ages.touch(b"other", 0)
    assert ages.rested(6 * MINUTE) == [b"other"]
    assert ages.rested(9 * MINUTE) == []
    assert ages.rested(10 * MINUTE) == [b"k"]


def test_a_stored_key_that_is_not_packed_rests_at_the_next_tick():
    ages = Ages(packs=True)
    ages.restore(b"open", QUARTER, b"state")
    ages.restore(b"packed", QUARTER, pack(b"state"))
    assert ages.rested(99 * MINUTE) == [b"open"]
    assert ages.frozen(2 * QUARTER) == [b"open", b"packed"]


def test_what_is_packed_comes_back():
    state = bytes(range(200)) * 9
    packed = pack(state)
    assert is_packed(packed)
    assert len(packed) < len(state) / 4
    assert unpack(packed) == unpack(state) == state
    assert pack(packed) == packed


def test_what_a_key_and_its_state_have_in_common_takes_no_space():
    key = b"877e077b397debbe02be2754ff074d98a"
    packed = pack(key, HISTORY_WORDS + key)
    assert len(packed) < 8
    assert unpack(packed, HISTORY_WORDS + key) == key


def contact(start_ms: int, end_ms: int) -> ContactRow:
    return ContactRow(
        header=Header(interaction_id=f"k{start_ms}"), started_ms=start_ms, ended_ms=end_ms,
        handled=True, abandoned=False, resolved=None, transferred=False, transfers=0,
        handoffs_without_context=0, authentications=0, info_repeats=0, wait_ms=0, bot_sessions=(),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("frozen", "floor_days", "gone"),
    [
        # The second contact comes 9 days after the first, within a horizon of 10.
        ((True, False, False), 30, set()),
        # Between the second and the third lie 20 days.
        ((True, True, False), 30, {"a", "b"}),
        ((True, True, False), 9, set()),
        ((False, True, False), 30, set()),
        ((True, True, True), 30, {"a", "b", "c", "moved"}),
    ],
)
def test_a_history_is_cut_before_a_silence_longer_than_the_horizon(frozen, floor_days, gone):
    days = {"a": 0, "b": 9, "c": 29}
    contacts = {
        name: Known(1, contact(day * DAY, day * DAY + HOUR), frozen=last_word)
        for (name, day), last_word in zip(days.items(), frozen, strict=True)
    }
    contacts["moved"] = Known(2, None)
    assert frozen_part(contacts, floor_days * DAY, 10 * DAY, whole=False) == gone


def state(name: str, at_ms: int, queue: str = "") -> Event:
    return told("performer_state", at_ms, state=name, queue=queue)


def stint(from_ms: int, until_ms: int | None) -> StintRow:
    header = Header(performer_id="ann")
    return StintRow(
        header, is_contact=True, accepted_ms=from_ms, left_ms=until_ms, closed_ms=until_ms
    )


@pytest.mark.parametrize(
    ("stints", "still_open", "cut"),
    [
        # Offline from 8 on, so anything up to the floor will do.
        ({}, (), 10),
        # One reaches over the floor, from 9 on.
        ({"s": (9, 11)}, (), 9),
        # One reaches over the end of the shift; before 4 she was offline, too.
        ({"s": (7, 11)}, (), 4),
        ({"s": (1, 3)}, ("s",), None),
        ({"s": (1, None)}, (), None),
    ],
)
def test_a_history_is_cut_where_nobody_works(stints, still_open, cut):
    events = [state("available", 0), state("offline", 3), state("available", 4)]
    events.append(state("offline", 8))
    rows = {name: stint(*span) for name, span in stints.items()}
    assert last_cut(events, rows, still_open, 10) == cut


def test_of_what_lies_before_a_cut_the_standing_words_stay():
    events = [
        state("available", 0), state("away", 1, "sales"), state("offline", 3),
        state("offline", 5), state("offline", 6), state("available", 9),
    ]  # fmt: skip
    assert [e.occurred_ms for e in events_after(events, 8)] == [3, 6, 1, 9]
