"""Disorder changes the order, adds duplicates, and nothing else."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator

import pytest

from pipeline.simulator import Disorder, DisorderConfig
from tests.unit.simulator.center import Event, Run, at_ms

CONFIG = DisorderConfig(
    duplicate_ratio=0.05, shuffle_within_ms=3_000, delayed_ratio=0.01, delay_within_ms=30_000
)
PART = 30_000


@pytest.fixture(scope="module")
def events(busy: Run) -> list[Event]:
    return busy.events[:PART]


def test_all_events_come_and_the_stated_share_twice(events: list[Event]):
    disorder = Disorder(CONFIG, seed=3)
    told = Counter(json.dumps(event) for event in disorder.stream(events))
    assert set(told) == {json.dumps(event) for event in events}
    assert set(told.values()) == {1, 2}
    assert told.total() == PART + disorder.duplicates
    assert disorder.duplicates / PART == pytest.approx(0.05, rel=0.1)
    assert len(disorder) == 0


def test_nothing_is_displaced_beyond_the_bound(events: list[Event]):
    assert CONFIG.bound_ms == 33_000
    latest_ms = at_ms(events[0])
    late = displaced = 0
    for event in Disorder(CONFIG, seed=3).stream(events):
        behind_ms = latest_ms - at_ms(event)
        latest_ms = max(latest_ms, at_ms(event))
        displaced += behind_ms > 0
        late += behind_ms > CONFIG.shuffle_within_ms
        assert behind_ms <= CONFIG.bound_ms
    assert displaced > PART * 0.8
    assert PART * 0.004 < late < PART * 0.012


def test_memory_is_what_is_on_its_way(events: list[Event]):
    """It reads no further ahead than it must, and holds no more than the bound's events."""
    disorder = Disorder(DisorderConfig(shuffle_within_ms=2_000, delayed_ratio=0.0), seed=3)
    most = 0

    def watched() -> Iterator[Event]:
        nonlocal most
        for event in events:
            most = max(most, len(disorder))
            yield event

    assert sum(1 for _ in disorder.stream(watched())) == PART + disorder.duplicates
    assert 20 < most < 600


def test_the_same_seed_gives_the_same_order(events: list[Event]):
    first, again, other = (
        [event["event_id"] for event in Disorder(CONFIG, seed).stream(events)] for seed in (3, 3, 4)
    )
    assert first == again
    assert first != other


def test_a_caller_with_a_clock_gets_what_has_arrived(events: list[Event]):
    """Put in what occurred up to now, take out what arrived up to now: the same stream."""
    disorder = Disorder(CONFIG, seed=3)
    told: list[str] = []
    waiting = iter(events)
    event = next(waiting, None)
    now_ms = at_ms(events[0])
    while event is not None:
        while event is not None and at_ms(event) <= now_ms:
            disorder.put(event)
            event = next(waiting, None)
        told += [arrived["event_id"] for arrived in disorder.arrived(now_ms)]
        now_ms += 1_500
    told += [arrived["event_id"] for arrived in disorder.rest()]
    assert told == [event["event_id"] for event in Disorder(CONFIG, seed=3).stream(events)]


def test_no_disorder_is_the_stream_itself(events: list[Event]):
    calm = DisorderConfig(duplicate_ratio=0.0, shuffle_within_ms=0, delayed_ratio=0.0)
    assert list(Disorder(calm, seed=1).stream(events)) == events


def test_a_duplicate_is_a_dict_of_its_own(events: list[Event]):
    twice = Disorder(
        DisorderConfig(duplicate_ratio=1.0, shuffle_within_ms=0, delayed_ratio=0.0), seed=1
    )
    one, two = twice.stream(events[:1])
    assert one == two
    assert one is not two


def test_impossible_disorder_is_refused():
    with pytest.raises(ValueError, match="duplicate_ratio must lie between 0 and 1"):
        DisorderConfig(duplicate_ratio=1.5)
    with pytest.raises(ValueError, match="shuffle_within_ms must not be negative"):
        DisorderConfig(shuffle_within_ms=-1)
