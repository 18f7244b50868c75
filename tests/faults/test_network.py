"""The network between workers and Kafka is cut, reset, frozen, half-open, slow or narrow."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest

from tests.faults.checker import Outcome
from tests.faults.conftest import Begin
from tests.faults.kafka import ProxiedKafka
from tests.faults.proxy import Proxy

pytestmark = [pytest.mark.kafka, pytest.mark.clickhouse]


class Fault(NamedTuple):
    """What is done to the network, what it counts when it hits, and how long the worker stands."""

    do: Callable[[Proxy], None]
    hit: str
    still_seconds: float = 0.0


FAULTS = {
    "cut": Fault(Proxy.cut, "refused", 3.0),
    "reset": Fault(Proxy.reset, "cut"),
    # Longer than a session: the group has given the worker up when it can be heard again.
    "frozen": Fault(Proxy.freeze, "held", 8.0),
    "half-open": Fault(Proxy.strand, "swallowed"),
    "slow": Fault(lambda proxy: proxy.delay(0.1), "held"),
    "narrow": Fault(lambda proxy: proxy.limit(300_000), "held"),
}
PATIENCE_SECONDS = 120.0
"""A request that is never answered is given up after 40 s."""


@pytest.mark.parametrize("how", FAULTS)
def test_the_network_to_kafka_fails(
    how: str, begin: Begin, kafka: ProxiedKafka, reference: Outcome
) -> None:
    fault = FAULTS[how]
    with (
        Proxy(kafka.inner_port, kafka.proxy_port) as proxy,
        begin(f"Kafka {how}", environment={"CXSTREAM_BOOTSTRAP": kafka.proxied}) as faulty,
    ):
        worker = faulty.start()
        faulty.wait_for_progress("lifecycle")
        fault.do(proxy)
        if fault.still_seconds:
            faulty.feed(2)
            faulty.stands_still(fault.still_seconds)
            proxy.heal()
        faulty.wait_for_progress("lifecycle", PATIENCE_SECONDS)
        faulty.evidence[fault.hit] = proxy.hits[fault.hit]
        proxy.heal()
        assert worker.running
        faulty.finish(reference, fault.hit)
