from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings

from pipeline.folds.event import Event
from pipeline.folds.silence import Silence
from pipeline.kpi import catalogue
from pipeline.kpi.plan import Plan
from pipeline.stages.lifecycle import Lifecycle
from pipeline.stages.publisher import Publisher
from schemas.exhibit_file import load_exhibit
from schemas.topics import CONTACTS, FACTS, PERFORMANCES
from tests.properties.world import Overlay, Row, World, newest_facts

settings.register_profile(
    "stories",
    deadline=None,
    derandomize=os.environ.get("CI") == "true",
    # A whole center is built for each example: a failure is shown as it was found.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    max_examples=20,
    suppress_health_check=[
        HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example,
    ],
)  # fmt: skip
settings.load_profile("stories")


@pytest.fixture(scope="session")
def plan() -> Plan:
    """The plan of an exhibit that asks for nearly everything."""
    exhibit = load_exhibit(Path(__file__).parent / "exhibit.yaml")
    return Plan([exhibit], catalogue.load())


@pytest.fixture(scope="session")
def batches(plan: Plan) -> Callable[[Iterable[Iterable[Event]]], list[Row]]:
    """Facts of one interaction whose events the lifecycle stage took in these batches."""

    def run(cut: Iterable[Iterable[Event]]) -> list[Row]:
        world = World(plan, 1)
        publisher = Publisher(
            "lifecycle/0",
            {},
            partitions=1,
            partial_partitions=1,
            clock_topics={CONTACTS: 1, PERFORMANCES: 1},
        )
        stage = Lifecycle(world.exhibits, publisher, {}, Silence())
        state: dict[bytes, bytes] = {}
        for batch in cut:
            overlay = Overlay(world, state)
            for event in batch:
                stage.take("k", event)
            stage.flush(overlay)
            overlay.commit()
        return newest_facts(world.logs[FACTS, 0])

    return run
