"""Promises of published values that need a stage or two to be seen: restated, defined, counted."""

from __future__ import annotations

import pytest

from pipeline.stages.wire import DIRTY
from schemas.topics import FACTS
from tests.counterexamples.center import (
    DAY,
    HOUR,
    MINUTE,
    let_pass,
    of_kind,
    plan_of,
    say,
    told,
    values,
)
from tests.properties.world import World


def test_a_bucket_that_was_final_and_is_corrected_is_restated():
    world = World(plan_of("asa"), 1)
    say(world, told("queued", 0), told("accepted", 90, performer_id="ann"))
    let_pass(world, 3 * HOUR)

    def bucket() -> tuple[str, int, int | None]:
        (found,) = [v for v in values(world, "asa", "tumbling") if v.window.size == "30m"]
        return found.state, found.revision, found.numerator

    assert bucket() == ("final", 0, 90_000)
    again = told("accepted", 30, performer_id="ann", event_id="k-accepted-90")
    say(world, again | {"record_version": 1})
    let_pass(world, 4 * HOUR)
    assert bucket() == ("restated", 1, 30_000)


def test_a_value_says_by_which_definition_it_was_made():
    world = World(
        plan_of(
            "service_level, as: a, parameters: {mode: A, threshold_seconds: 20}",
            "service_level, as: b, parameters: {mode: B, threshold_seconds: 60}",
        ),
        1,
    )
    say(world, told("queued", 0), told("accepted", 30, performer_id="ann"))
    let_pass(world, MINUTE)
    for name, mode, threshold, numerator in (("a", "A", 20, 0), ("b", "B", 60, 1)):
        (value,) = values(world, name)
        assert (value.kpi, value.exhibit, value.exhibit_version) == ("service_level", "example", 1)
        assert value.kpi_version >= 1
        said = value.parameters
        assert (said["mode"], said["threshold_seconds"], value.numerator) == (
            mode, threshold, numerator,
        )  # fmt: skip


def test_every_value_carries_n_and_a_proportion_its_interval():
    world = World(plan_of("abandon_rate", "asa"), 1)
    for number in range(4):
        say(world, told("queued", 0, f"k{number}"))
    say(world, told("abandoned", 30, "k0"), told("accepted", 10, "k1", performer_id="ann"))
    let_pass(world, MINUTE)
    (rate,) = values(world, "abandon_rate")
    (asa,) = values(world, "asa")
    assert (rate.numerator, rate.n, asa.n) == (1, 4, 1)
    # Wilson: z2 = 1.96 ** 2 / 4 = 0.9604, so (0.25 + 0.4802 -+ 0.6408) / 1.9604.
    assert rate.low == pytest.approx(0.0456, abs=1e-4)
    assert rate.high == pytest.approx(0.6994, abs=1e-4)
    assert (asa.low, asa.high) == (None, None)


def test_a_correction_of_a_bucket_that_is_held_no_longer_is_told():
    """Its value is computed again from facts, and never published from what is left here."""
    world = World(plan_of("asa"), 1)
    say(world, told("queued", 0), told("accepted", 90, performer_id="ann"))
    let_pass(world, MINUTE)
    # The interaction lives on by what is told on day 7; its half hour does not.
    say(world, told("record", 7 * DAY, performer_id="ann"))
    let_pass(world, 10 * DAY, ticks=3)
    again = told("accepted", 30, performer_id="ann", event_id="k-accepted-90")
    say(world, again | {"record_version": 1})
    let_pass(world, 11 * DAY, ticks=3)
    assert len(of_kind(world.logs[FACTS, 0], DIRTY)) == 1
    (everything,) = values(world, "asa")
    assert everything.numerator == 30_000
