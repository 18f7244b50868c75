"""What of an exhibit becomes labels of Prometheus, and what does not."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from schemas.values import ExhibitValue, WindowRef
from sinks.prometheus import ExhibitCollector


def value(queue: str, kpi: str = "offered", exhibit: str = "live") -> ExhibitValue:
    return ExhibitValue(
        exhibit=exhibit, exhibit_version=1, kpi=kpi, kpi_version=1, name=kpi, parameters={},
        attribution="event", window=WindowRef(kind="all", size="", start=None, end=None),
        dimensions={"queue": queue},
        state="provisional", revision=0, as_of="2025-03-03T10:00:00Z", numerator=1,
        denominator=None, value=1, unit="count", n=None, low=None, high=None,
        target=None, status=None,
    )  # fmt: skip


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def collector(registry: CollectorRegistry) -> ExhibitCollector:
    found = ExhibitCollector(registry, 5.0, most_cells=3, monotonic=lambda: 0.0)
    found.tick(0, 1_000)
    return found


def queues(registry: CollectorRegistry) -> list[str]:
    return sorted(
        sample.labels["queue"]
        for family in registry.collect()
        for sample in family.samples
        if sample.name == "cx_exhibit_value"
    )


def hidden(registry: CollectorRegistry) -> float | None:
    return registry.get_sample_value("cx_exhibit_hidden_cells", {"exhibit": "live"})


def show(collector: ExhibitCollector, *names: str) -> None:
    collector.show(0, {name.encode(): value(name) for name in names})


def test_as_many_cells_as_may_be_shown_are_all_shown(registry, collector):
    show(collector, "a", "b", "*")
    assert queues(registry) == ["*", "a", "b"]
    assert hidden(registry) == 0


def test_of_more_the_first_ones_stay_and_the_total_with_them(registry, collector):
    show(collector, "b", "a", *(f"invented {number}" for number in range(10)), "*")
    assert queues(registry) == ["*", "a", "b"]
    assert hidden(registry) == 13 - 3


def test_who_leaves_makes_room(registry, collector):
    show(collector, "b", "a", "*", "c")
    collector.show(0, {b"b": None})
    assert queues(registry) == ["*", "a", "c"]
    assert hidden(registry) == 0


def test_two_values_of_a_cell_are_one_cell(registry, collector):
    show(collector, "a", "b", "*")
    collector.show(0, {b"2": value("a", "answered")})
    assert queues(registry) == ["*", "a", "a", "b"]
    collector.show(0, {b"2": None})
    assert hidden(registry) == 0


def test_a_lost_partition_takes_its_cells_along(registry, collector):
    show(collector, "a", "b", "c", "d")
    collector.drop(0)
    collector.tick(1, 1_000)
    collector.show(1, {b"x": value("x")})
    assert queues(registry) == ["x"]
    assert hidden(registry) == 0
