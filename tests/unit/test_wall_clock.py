from __future__ import annotations

import pytest

from pipeline.wall_clock import ClockError, WallClock, check_start

SECOND_NS = 1_000_000_000


class Time:
    """Both clocks of a machine, in nanoseconds."""

    def __init__(self) -> None:
        self.wall, self.monotonic = 1_000 * SECOND_NS, 5 * SECOND_NS

    def pass_(self, seconds: float, *, set_by: float = 0.0) -> None:
        """Let time pass, and let somebody set the wall clock by so many seconds."""
        self.wall += round((seconds + set_by) * SECOND_NS)
        self.monotonic += round(seconds * SECOND_NS)


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def clock(time: Time) -> WallClock:
    return WallClock(wall_ns=lambda: time.wall, monotonic_ns=lambda: time.monotonic)


def test_time_that_passes_is_told(time, clock):
    assert clock() == 1_000_000
    time.pass_(86_400)
    assert clock() == 87_400_000


@pytest.mark.parametrize("set_by", [-10, 10])
def test_small_steps_add_up_and_are_no_jump(time, clock, set_by):
    for _ in range(100):
        time.pass_(1, set_by=set_by)
        clock()


@pytest.mark.parametrize(("set_by", "told"), [(3_600, r"\+3600.0 s"), (-11, r"-11.0 s")])
def test_a_jump_is_refused_by_everybody_who_asks(time, clock, set_by, told):
    time.pass_(1, set_by=set_by)
    for _ in range(2):
        with pytest.raises(ClockError, match=f"jumped by {told}"):
            clock()


def test_a_clock_that_stands_tells_no_tick(time):
    clock = WallClock(lambda: False, lambda: time.wall, lambda: time.monotonic)
    assert clock() == 0


@pytest.mark.parametrize(
    ("ahead_ms", "doubt_ms", "good"),
    [(10_000, 0, True), (-10_000, 0, True), (12_000, 3_000, True), (10_001, 0, False)],
)
def test_a_start_needs_the_brokers_clock(ahead_ms, doubt_ms, good):
    if good:
        check_start(ahead_ms, doubt_ms)
    else:
        with pytest.raises(ClockError, match=r"-10.0 s from the broker's"):
            check_start(ahead_ms, doubt_ms)
