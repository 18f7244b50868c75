"""A busy center, simulated once: long queues, abandons, flow-outs, every kind of transfer."""

from __future__ import annotations

import pytest

from pipeline.simulator import SimulatorConfig
from tests.unit.simulator.center import FLAT_DAY, Run, run


@pytest.fixture(scope="package")
def busy() -> Run:
    config = SimulatorConfig(events_per_second=20, daily_curve=FLAT_DAY, occupancy=1.0)
    return run(config, hours=2)
