"""One performer's time, by hand: states of several queues, logins, schedules, shared contacts."""

from __future__ import annotations

import pytest

from pipeline.folds.event import Event
from pipeline.folds.performances import ShiftRow, StintRow
from pipeline.folds.performer import fold
from pipeline.folds.sessions import pro_rata
from pipeline.folds.standing import moments
from pipeline.folds.working_time import working_time
from schemas.facts import Header, PerformerTime

MINUTE = 60_000


def said(minute: int, state: str, queue: str = "", **fields: object) -> Event:
    return Event(
        occurred_ms=minute * MINUTE, kind="performer_state", event_id=f"{minute}{queue}{state}",
        content_hash=0, channel="voice", source="t", performer_id="ann", queue=queue, state=state,
        **fields,
    )  # fmt: skip


def stint(accepted: int, left: int | None, closed: int | None = None) -> StintRow:
    left_ms = None if left is None else left * MINUTE
    closed_ms = left_ms if closed is None else closed * MINUTE
    return contact(accepted * MINUTE, left_ms, closed_ms)


def contact(accepted_ms: int, left_ms: int | None, closed_ms: int | None) -> StintRow:
    return StintRow(
        Header(performer_id="ann"), is_contact=True,
        accepted_ms=accepted_ms, left_ms=left_ms, closed_ms=closed_ms,
    )  # fmt: skip


def shift(activity: str, begin: int, end: int) -> ShiftRow:
    return ShiftRow(Header(performer_id="ann"), activity, begin * MINUTE, end * MINUTE)


def minutes(rows: list[PerformerTime], *names: str) -> list[tuple[object, ...]]:
    """Beginning and end in minutes, and some columns."""
    return [
        (
            row.entered_ms // MINUTE,
            None if row.left_ms is None else row.left_ms // MINUTE,
            *(getattr(row, name) for name in names),
        )
        for row in rows
    ]


def states(*events: Event) -> list[tuple[int, str]]:
    return [(moment.at_ms // MINUTE, moment.state) for moment in moments(events)]


def test_the_busiest_of_the_queues_decides():
    events = [
        said(0, "available", "a"), said(1, "available", "b"), said(2, "away", "a"),
        said(3, "busy", "b"), said(4, "offline", "b"),
    ]  # fmt: skip
    assert states(*events) == [
        (0, "available"), (1, "available"), (2, "available"), (3, "busy"), (4, "away"),
    ]  # fmt: skip


def test_what_names_no_queue_is_said_of_all_of_them():
    events = [said(0, "available", "a"), said(1, "busy", "b"), said(2, "away"), said(3, "busy")]
    assert states(*events) == [(0, "available"), (1, "busy"), (2, "away"), (3, "busy")]


@pytest.mark.parametrize("state", ["available", "away"])
def test_a_pause_or_its_end_logs_nobody_in(state):
    events = [said(0, "available"), said(10, "offline"), said(11, state, logs_in=False)]
    assert states(*events) == [(0, "available"), (10, "offline")]
    rows = fold("ann", events, {}, 0).rows
    assert [r.fact.state for r in rows if r.kind == "performer_state"] == ["available", "offline"]


def test_a_pause_of_whom_nothing_is_known_is_one():
    assert states(said(0, "away", logs_in=False)) == [(0, "away")]


def test_the_end_of_a_session_tells_its_beginning():
    ten = 10 * MINUTE
    assert states(said(30, "offline", session_ms=ten)) == [(20, "available"), (30, "offline")]
    # Nobody was logged in before having logged off.
    two = [said(25, "offline"), said(30, "offline", session_ms=ten)]
    assert states(*two) == [(25, "offline"), (25, "available"), (30, "offline")]
    # A login that was told wins.
    known = [said(28, "available"), said(30, "offline", session_ms=ten)]
    assert states(*known) == [(28, "available"), (30, "offline")]


def test_time_is_cut_where_state_contacts_and_schedule_change():
    told = [said(0, "available"), said(60, "offline")]
    work = [stint(10, 20, 25), stint(15, 30)]
    planned = [shift("on_queue", -10, 50), shift("break", 40, 45)]
    rows, due_ms, _ = working_time(moments(told), work, planned, 0)
    columns = ("contacts", "handling", "activity", "in_adherence", "paid")
    assert minutes(rows, *columns) == [
        (-10, 0, 0, False, "on_queue", False, True),
        (0, 10, 0, False, "on_queue", True, True),
        (10, 15, 1, True, "on_queue", True, True),
        (15, 20, 2, True, "on_queue", True, True),
        # The first one is wrapped up until 25: nothing of it can be seen.
        (20, 30, 1, True, "on_queue", True, True),
        (30, 40, 0, False, "on_queue", True, True),
        (40, 45, 0, False, "break", False, True),
        (45, 50, 0, False, "on_queue", True, True),
        (50, 60, 0, False, "", False, True),
    ]
    assert due_ms is None


def test_the_schedule_is_told_as_far_as_the_clock_has_come():
    told = [said(0, "available")]
    planned = [shift("on_queue", 0, 50), shift("break", 20, 25)]
    rows, due_ms, passed = working_time(moments(told), [], planned, 10 * MINUTE)
    assert minutes(rows, "activity") == [(0, None, "on_queue")]
    # The beginning of the shift has passed; then that of the break has.
    assert (due_ms, passed) == (20 * MINUTE, 1)
    rows, due_ms, passed = working_time(moments(told), [], planned, 20 * MINUTE)
    assert minutes(rows, "activity") == [(0, 20, "on_queue"), (20, None, "break")]
    assert (due_ms, passed) == (25 * MINUTE, 2)


@pytest.mark.parametrize(
    ("activity", "tracked", "paid"),
    [("leave", False, True), ("unpaid_leave", False, False), ("party", False, True),
     ("training", True, True)],
)  # fmt: skip
def test_what_is_scheduled_without_anybody_there(activity, tracked, paid):
    rows, _, _ = working_time([], [], [shift(activity, 0, 60)], 90 * MINUTE)
    assert minutes(rows, "tracked", "in_adherence", "paid") == [(0, 60, tracked, False, paid)]


def test_who_serves_is_there_though_no_state_was_told():
    rows, _, _ = working_time([], [stint(0, 10)], [shift("on_queue", 0, 20)], 20 * MINUTE)
    columns = ("state", "logged_in", "handling", "in_adherence")
    assert minutes(rows, *columns) == [
        (0, 10, "", False, True, True), (10, 20, "", False, False, False),
    ]  # fmt: skip


def test_place_and_employment_are_those_of_the_state_in_force():
    told = [said(0, "available", location="site"), said(30, "available", location="home")]
    rows, _, _ = working_time(moments(told), [], [], 60 * MINUTE)
    assert [(row.header.location, row.left_ms) for row in rows] == [
        ("site", 30 * MINUTE), ("home", None),
    ]  # fmt: skip


def _rows(**spans: tuple[int, int | None]) -> dict[str, StintRow]:
    return {name: contact(begin, end, end) for name, (begin, end) in spans.items()}


def test_milliseconds_that_do_not_divide_are_given_out_once():
    # 10 ms shared by three: 4 + 3 + 3. Then 10 by two: 5 + 5.
    assert pro_rata(_rows(a=(0, 10), b=(0, 20), c=(0, 20))) == {"a": 4, "b": 8, "c": 8}
    # 1 ms shared by two goes to the first of them; the next one to whom most is owed.
    assert pro_rata(_rows(a=(0, 2), b=(0, 1))) == {"a": 2, "b": 0}
    assert pro_rata(_rows(a=(0, 9), b=(0, 1), c=(5, 6))) == {"a": 8, "b": 0, "c": 1}


def test_an_open_contact_takes_its_part_of_the_time_of_others():
    assert pro_rata(_rows(a=(0, 100), b=(50, None)))["a"] == 75
