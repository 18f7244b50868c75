"""How values stand to their targets."""

from __future__ import annotations

import pytest

from pipeline.kpi import catalogue
from pipeline.kpi.held import Slot
from pipeline.kpi.marks import Due
from pipeline.kpi.merge import Merge
from pipeline.kpi.panes import Panes
from pipeline.kpi.plan import Plan
from pipeline.kpi.values import read
from schemas.exhibit import Tumbling
from schemas.exhibit_file import load_exhibit
from tests.unit.kpi.hand_made import HOUR, SECOND, fact

DAY = 24 * HOUR
FIRST = 20_000 * DAY
EXHIBIT = """\
exhibit: e
windows: [{{tumbling: day}}]
kpis:
  - {{kpi: asa, {rest}}}
"""


class Site:
    """Calls answered after some seconds, one at a time, and what is published of them."""

    def __init__(self, rest: str) -> None:
        self.plan = Plan([load_exhibit(EXHIBIT.format(rest=rest))], catalogue.load())
        self.panes = Panes(self.plan)
        self.merge = Merge(self.plan.exhibits[0])

    def answer(self, day: int, seconds: int, sign: int = 1) -> None:
        entered = FIRST + day * DAY
        call = fact(
            "queue_segment", entered_ms=entered, left_ms=entered + seconds * SECOND,
            outcome="answered", wait_ms=seconds * SECOND, direction="inbound",
        )  # fmt: skip
        told = self.plan.contributions("queue_segment", call, entered + DAY)
        self.panes.change(*((), told) if sign > 0 else (told, ()))
        for key, share in self.panes.drain(FIRST + 100 * DAY):
            self.merge.apply("source", key, share)

    def changed(self) -> set[int]:
        """Days whose values may have changed since this was asked last."""
        starts = {due.slot.start_ms for due in self.merge.marks.due()}
        return {(start_ms - FIRST) // DAY for start_ms in starts if start_ms is not None}

    def status(self, day: int) -> str:
        self.merge.advance(FIRST + 100 * DAY)
        slot = Slot(Tumbling("day"), FIRST + day * DAY)
        due = Due((), slot, self.merge.plan.readings, gone=False)
        found = read(self.merge, due, lambda _key: None, complete=True, everything=True)
        ((_, value),) = found
        assert value is not None
        return value.status


def statuses(rest: str, *seconds: int | None) -> list[str]:
    """Status of each day of a site that answers one call a day, or none."""
    site = Site(rest)
    for day, wait in enumerate(seconds):
        if wait is not None:
            site.answer(day, wait)
    return [site.status(day) for day, wait in enumerate(seconds) if wait is not None]


@pytest.mark.parametrize(
    ("rest", "seconds", "found"),
    [
        ("title: none", (10,), ["no_target"]),
        ('target: "<= 20"', (20,), ["met"]),
        ('target: "<= 20"', (21,), ["missed"]),
        ('target: "<= 20", min_n: 2', (21,), ["n_below_min"]),
        # 30, 20, 10, 5 s too long: each of three days came nearer than the one before it.
        ('target: "<= 20"', (50, 40, 30, 25), ["missed", "missed", "missed", "trending"]),
        # A day as bad as the one before it is no trend, and neither is one further away.
        ('target: "<= 20"', (50, 40, 40, 25), ["missed", "missed", "missed", "missed"]),
        ('target: "<= 20"', (50, 60, 30, 25), ["missed", "missed", "missed", "missed"]),
        # Nobody called on the third day, so nothing came nearer on it.
        ('target: "<= 20"', (50, 40, None, 30, 25), ["missed", "missed", "missed", "missed"]),
        # A target that was met is as near as can be, so a miss after it is no way towards it.
        ('target: "<= 20"', (40, 30, 20, 25), ["missed", "missed", "met", "missed"]),
        # Nearer from below counts as nearer: 15, 10, 5, 2 s too short.
        ('target: "30..60"', (15, 20, 25, 28), ["missed", "missed", "missed", "trending"]),
    ],
)  # fmt: skip
def test_status(rest, seconds, found):
    assert statuses(rest, *seconds) == found


def test_a_correction_of_a_day_reaches_the_days_that_lean_on_it():
    site = Site('target: "<= 20"')
    for day, wait in enumerate((50, 40, 30, 25, 24, 23)):
        site.answer(day, wait)
    assert [site.status(day) for day in (3, 4)] == ["trending", "trending"]
    site.changed()
    site.answer(1, 40, sign=-1)
    site.answer(1, 25)
    assert site.changed() == {1, 2, 3, 4}
    # Now day 2 with its 30 s is further away than day 1; day 5 looks back no further than day 2.
    assert [site.status(day) for day in (3, 4, 5)] == ["missed", "missed", "trending"]
