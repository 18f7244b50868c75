"""A history folded from its last cut on, beside one that is folded whole each time it is touched.

The limits of :mod:`pipeline.stages.performer_tail` are none here, so that nearly every touch moves
the cut, and much of what is told undoes it. What both tell, keep and add to panes must be the same
after each batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from pipeline.folds import performer
from pipeline.folds.event import Event
from pipeline.folds.performances import ShiftRow, StintRow
from pipeline.folds.rows import Folded
from pipeline.kpi import catalogue
from pipeline.kpi.group import Contribution
from pipeline.kpi.ledger import digest_of
from pipeline.kpi.plan import Plan
from pipeline.stages import performer_tail
from pipeline.stages.configuration import ExhibitChange, text_of
from pipeline.stages.performers import Performers, decode_state
from pipeline.stages.publisher import Publisher, sources
from pipeline.stages.wire import Out, PerformanceMessage, Tick
from schemas.exhibit import Exhibit
from schemas.exhibit_file import load_exhibit
from schemas.facts import Fact, Header, Session
from tests.properties.stories import START
from tests.properties.world import Overlay, World

START_MS = round(START.timestamp() * 1000)
UNIT_MS = 300_000
"""Most of what is told lies on whole units, so that instants are often shared."""
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
KEY = b"ann"
STATES = ["available", "busy", "wrap", "away", "offline", "offline"]

EXHIBIT = load_exhibit(
    """
exhibit: tails
by: [team]
windows: [1h, {tumbling: 30m}, all]
kpis:
  - {kpi: login_time}
  - {kpi: occupancy}
  - {kpi: adherence}
  - {kpi: max_concurrency}
  - {kpi: chat_handle_time}
  - {kpi: concurrent_aht}
  - {kpi: performers_by_state}
  - {kpi: longest_in_state}
"""
)
SECOND = load_exhibit("exhibit: more\nby: [queue]\nwindows: [all]\nkpis: [{kpi: state_time}]\n")


class Whole(Performers):
    """The stage, without any memory of cuts."""

    def _fold(self, key: bytes, messages: list[PerformanceMessage], out: Out) -> None:
        self._tails.clear()
        super()._fold(key, messages, out)


class Told(Performers):
    """The stage, which counts how often a history was folded from a cut on."""

    cuts = 0

    def _fold(self, key: bytes, messages: list[PerformanceMessage], out: Out) -> None:
        super()._fold(key, messages, out)
        tail = self._tails.get(key)
        self.cuts += tail is not None and tail.entries > 0


class Side:
    """One stage with its state, which is all that is left of it when it falls."""

    def __init__(self, kind: type[Performers], world: World) -> None:
        self._kind = kind
        self._world = world
        self.state: dict[bytes, bytes] = {}
        self.begin_anew()

    def begin_anew(self) -> None:
        publisher = Publisher(
            "performers/0", self.state, partitions=1, partial_partitions=1, clock_topics={}
        )
        followed = sources("lifecycle", 1)
        self.stage = self._kind(self._world.exhibits, publisher, self.state, followed)

    def batch(
        self, messages: list[PerformanceMessage], tick_ms: int | None, still_ms: int,
        change: ExhibitChange | None,
    ) -> list[Any]:  # fmt: skip
        """Everything sent and kept of a batch, in an order that does not tell how it was made."""
        overlay = Overlay(self._world, self.state)
        if change is not None:
            self.stage.change(change, overlay)
        for message in messages:
            self.stage.take(KEY, message)
        if tick_ms is not None:
            self.stage.tick(Tick("lifecycle/0", 1, tick_ms, still_ms=still_ms))
        self.stage.flush(overlay)
        sent = sorted(overlay.sent, key=repr)
        overlay.sent = []
        overlay.commit()
        stored = self.state.get(KEY)
        return [sent, None if stored is None else decode_state(stored)]


class Center:
    """What a performer is told of, mostly of late, some of it again, corrected or taken back."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.clock_ms = START_MS
        self.late = random.choice([0.05, 0.2, 0.5])
        self.kinds = random.choices([self._state, self._stint, self._shift], k=4)
        self.states = random.choices(STATES, k=4) if random.random() < 0.7 else STATES
        self.queues = random.choice([[""], ["", "a"], ["", "", "a", "b"]])
        self.told: list[Event] = []
        self.rows: dict[str, PerformanceMessage] = {}

    def batches(self, number: int) -> Iterator[list[PerformanceMessage]]:
        for _ in range(number):
            self.clock_ms += self.random.choice([0, 1, 2, 3, 6]) * UNIT_MS
            if self.random.random() < 0.02:
                self.clock_ms += self.random.choice([1, 5, 9]) * DAY_MS
            yield [self._message() for _ in range(self.random.choice([0, 1, 1, 2, 4]))]

    def _moment(self) -> int:
        late = self.random.random() < self.late
        back = self.random.randint(-6, 40) if late else self.random.randint(0, 3)
        odd = self.random.choice([0, 0, 0, 1, -1, 1_000])
        return self.clock_ms - back * UNIT_MS + odd

    def _header(self) -> Header:
        return Header(performer_id="ann", team=self.random.choice(["", "", "north"]))

    def _message(self) -> PerformanceMessage:
        return self.random.choice(self.kinds)()

    def _state(self) -> PerformanceMessage:
        random = self.random
        if self.told and random.random() < 0.1:
            # What was said in the beginning, again, is a duplicate; another version of it is not.
            known = random.choice(self.told[-8:])
            if random.random() < 0.3:
                return PerformanceMessage(known.event_id, 0, state=known)
            name, version = known.event_id, known.record_version + random.choice([0, 1])
        else:
            name, version = f"e{len(self.told)}", 0
        state = random.choice(self.states)
        session_ms = random.choice([None, 1_000, random.randint(1, 12) * UNIT_MS, DAY_MS])
        event = Event(
            occurred_ms=self._moment(), kind="performer_state", event_id=name,
            content_hash=random.getrandbits(40), record_version=version, channel="voice",
            source="t", performer_id="ann", state=state,
            queue=random.choice(self.queues), team=random.choice(["", "", "north"]),
            reason=random.choice(["", "", "", "lunch"]),
            logs_in=state not in ("available", "away") or random.random() < 0.5,
            session_ms=session_ms if state == "offline" else None,
        )  # fmt: skip
        self.told.append(event)
        return PerformanceMessage(name, 0, state=event)

    def _changed(self, kind: type) -> PerformanceMessage | None:
        """A row of late that may be changed, taken back, or be frozen."""
        rows = [m for m in self.rows.values() if isinstance(m.row, kind)][-4:]
        return self.random.choice(rows) if rows and self.random.random() < 0.6 else None

    def _say(self, name: str, row: StintRow | ShiftRow | None) -> PerformanceMessage:
        known = self.rows.get(name)
        version = 1 << 16 if known is None else known.version + (1 << 16)
        if known is not None and self.random.random() < 0.05:
            # Told out of order: what is known is newer.
            return PerformanceMessage(name, known.version - 1, row)
        self.rows[name] = PerformanceMessage(name, version, row)
        return self.rows[name]

    def _ending(self, name: str) -> PerformanceMessage | None:
        choice = self.random.random()
        if choice < 0.1:
            return PerformanceMessage(name, 0, frozen=True)
        return self._say(name, None) if choice < 0.2 else None

    def _stint(self) -> PerformanceMessage:
        random = self.random
        known = self._changed(StintRow)
        if known is None or not isinstance(known.row, StintRow):
            name, accepted_ms = f"s{len(self.rows)}", self._moment()
            left_ms = None
        else:
            name, accepted_ms, left_ms = known.name, known.row.accepted_ms, known.row.left_ms
            if (ending := self._ending(name)) is not None:
                return ending
            if random.random() < 0.1:
                accepted_ms = self._moment()
        if left_ms is None and random.random() < 0.7:
            left_ms = max(self._moment(), accepted_ms if random.random() < 0.95 else 0)
        closed_ms = None
        if left_ms is not None and random.random() < 0.8:
            closed_ms = left_ms + random.choice([0, 0, 777, UNIT_MS])
        is_contact = random.random() < 0.9
        row = StintRow(self._header(), is_contact, accepted_ms, left_ms, closed_ms)
        return self._say(name, row)

    def _shift(self) -> PerformanceMessage:
        random = self.random
        known = self._changed(ShiftRow)
        if known is not None and (ending := self._ending(known.name)) is not None:
            return ending
        name = f"schedule/{len(self.rows)}" if known is None else known.name
        begin_ms = self._moment() + random.randint(-10, 10) * UNIT_MS
        end_ms = begin_ms + random.randint(1, 60) * UNIT_MS
        activity = random.choice(["on_queue", "break", "training", "unpaid_leave"])
        return self._say(name, ShiftRow(self._header(), activity, begin_ms, end_ms))


@pytest.fixture(autouse=True)
def _no_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(performer_tail, "LAG_MS", 0)
    monkeypatch.setattr(performer_tail, "LEAST_ROWS", 0)


def plan_of(*exhibits: Exhibit) -> Plan:
    return Plan(exhibits, catalogue.load())


contributions, is_timed, due_ms = Plan.contributions, Plan.is_timed, Plan.due_ms


def matures_ms(fact: Fact) -> int | None:
    """When a contact counts, if it counts once it has been closed for an hour."""
    return fact.closed_ms + HOUR_MS if isinstance(fact, Session) and fact.closed_ms else None


def matured(
    plan: Plan, kind: str, fact: Fact, as_of_ms: int, span_ms: int | None = None
) -> tuple[Contribution, ...]:
    counts = as_of_ms >= (matures_ms(fact) or 0)
    return contributions(plan, kind, fact, as_of_ms, span_ms) if counts else ()


def due(plan: Plan, kind: str, fact: Fact, as_of_ms: int, span_ms: int | None = None) -> int | None:
    at_ms = matures_ms(fact)
    return at_ms if at_ms and at_ms > as_of_ms else due_ms(plan, kind, fact, as_of_ms, span_ms)


@pytest.fixture(params=["", "matures"])
def _counting(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Contacts count at once, or when time has come to them."""
    if request.param:
        monkeypatch.setattr(Plan, "contributions", matured)
        monkeypatch.setattr(
            Plan, "is_timed", lambda plan, kind: kind == "session" or is_timed(plan, kind)
        )
        monkeypatch.setattr(Plan, "due_ms", due)


@pytest.mark.usefixtures("_counting")
@given(random=st.randoms(use_true_random=False))
@settings(max_examples=80)
def test_a_history_folded_from_a_cut_on_is_that_of_a_whole_fold(random):
    world = World(plan_of(EXHIBIT), 1)
    tails, whole = Side(Told, world), Side(Whole, world)
    center = Center(random)
    for messages in center.batches(60):
        tick_ms, still_ms = None, 0
        if random.random() < 0.7:
            tick_ms = center.clock_ms - random.choice([0, 0, 0, 1, 4]) * UNIT_MS
            still_ms = tick_ms - UNIT_MS if random.random() < 0.05 else 0
        change = None
        if random.random() < 0.02:
            change = ExhibitChange("more", SECOND.version, text_of(SECOND))
        elif random.random() < 0.02:
            for side in (tails, whole):
                side.begin_anew()
        batch = (messages, tick_ms, still_ms, change)
        assert tails.batch(*batch) == whole.batch(*batch)


def said(at: int, state: str, queue: str = "", **fields: Any) -> PerformanceMessage:
    """A state told at ``at`` milliseconds, under a ``name`` if it is told anew."""
    name = fields.pop("name", f"{at}{queue}{state}")
    event = Event(
        occurred_ms=START_MS + at, kind="performer_state", event_id=name, content_hash=0,
        channel="voice", source="t", performer_id="ann", state=state, queue=queue, **fields,
    )  # fmt: skip
    event = replace(event, content_hash=digest_of(event))
    return PerformanceMessage(name, 0, state=event)


def worked(name: str, begin: int, end: int | None) -> PerformanceMessage:
    """A contact of a performer; whatever is told of it is newer than what was."""
    end_ms = None if end is None else START_MS + end
    row = StintRow(
        Header(performer_id="ann"), is_contact=True, accepted_ms=START_MS + begin,
        left_ms=end_ms, closed_ms=end_ms,
    )  # fmt: skip
    return PerformanceMessage(name, 1 << 16, row)


def planned(begin: int, end: int) -> PerformanceMessage:
    row = ShiftRow(Header(performer_id="ann"), "on_queue", START_MS + begin, START_MS + end)
    return PerformanceMessage(f"schedule/{begin}", 1 << 16, row)


FIVE = [
    worked("k0", 9, 36), worked("k1", 23, 45), worked("k2", 24, 50), worked("k3", 27, 50),
    worked("k4", 35, 48),
]  # fmt: skip
"""Contacts whose odd milliseconds go to others if the time they share is cut at 25."""
IMPLIED = [said(2, "offline"), said(20, "offline", name="end", session_ms=10)]
"""A login at 10 that only its end at 20 tells of."""
UNTOLD = [said(20, "away", name="end", record_version=1, logs_in=False)]
"""Whoever is offline does not pause: there is no end at 20, so nothing tells of a login."""

EXAMPLES = {
    "the end of a login is taken back, whose cut lay within it": (
        [*IMPLIED, worked("a", 15, None)], UNTOLD,
    ),
    "the end of a login is taken back, which began at the cut": (
        [*IMPLIED, worked("a", 5, 10), worked("b", 10, None)], UNTOLD,
    ),
    "an end tells of a login before the cut": (
        [said(2, "offline"), worked("a", 12, 13)], [said(20, "offline", session_ms=15)],
    ),
    "an end tells of a login at the cut, up to which one was told of": (
        IMPLIED, [said(30, "offline", session_ms=10)],
    ),
    "a queue had its word while others were offline": (
        [
            said(1, "offline"), said(2, "available", "a"), said(3, "away", "a", logs_in=False),
            said(4, "offline"), worked("k", 6, 8),
        ],
        [said(9, "busy", "b")],
    ),
    "the clock has not come to the end of a shift": (
        [said(-5, "offline"), planned(1, 10), said(12, "offline", name="end")],
        [said(12, "away", name="end", record_version=1, logs_in=False)],
    ),
    "a contact ends before it began": (
        [*FIVE, worked("k5", 60, 70)], [worked("k6", 100, 25)],
    ),
    "a contact is told at the very cut": (
        [worked("a", 1, 5), worked("b", 7, 9)], [worked("c", 9, 12)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", EXAMPLES)
def test_what_may_not_be_told_of_the_tail_alone(name):
    world = World(plan_of(EXHIBIT), 1)
    tails, whole = Side(Told, world), Side(Whole, world)
    for number, messages in enumerate(EXAMPLES[name]):
        # Where time has not come to what was told, a cut may not either.
        batch = (messages, START_MS if "clock" in name else START_MS + 1_000 + number, 0, None)
        assert tails.batch(*batch) == whole.batch(*batch)


def test_a_touch_costs_what_changed(monkeypatch):
    """Of 300 contacts of five minutes, one each ten minutes, a touch folds the last hours alone."""
    monkeypatch.undo()
    folded: list[int] = []
    fold = performer.fold

    def counted(*args: Any) -> Folded:
        found = fold(*args)
        folded.append(len(found.rows))
        return found

    monkeypatch.setattr(performer, "fold", counted)
    side = Side(Performers, World(plan_of(EXHIBIT), 1))
    for number in range(300):
        begin = number * 2 * UNIT_MS
        for end, clock in ((None, begin), (begin + UNIT_MS, begin + UNIT_MS)):
            told = replace(worked(f"k{number}", begin, end), version=clock + 1 << 16)
            side.batch([told], START_MS + clock, 0, None)
    # A contact is a stretch and a session; a cut is looked for at 40 rows, then at each doubling.
    assert len(side.batch([], None, 0, None)[1].ledger) == 600
    assert len(folded) == 600
    assert max(folded) < 80
