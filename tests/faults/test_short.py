"""The faults that happen most, in five minutes: kill, broker restart, ClickHouse cut, poison.

Poison is part of every load: one record in forty cannot be taken in, and its dead letter is counted
by the judgement of each trial.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.embedded.clickhouse import EmbeddedClickHouse
from pipeline.embedded.kafka import KafkaServer
from tests.faults.checker import Outcome, committed_now, facts_passed
from tests.faults.load import POISON, Load
from tests.faults.proxy import Proxy
from tests.faults.trial import trial
from tests.integration.process import wait_for

pytestmark = [pytest.mark.kafka, pytest.mark.clickhouse]


def test_nothing_happens(undisturbed: Outcome, busy: Load) -> None:
    """The reference counts something everywhere, poison of every kind included."""
    assert set(undisturbed.accepted.values()) == {1, 2}
    assert {reason for reason, _ in undisturbed.letters} == {reason for reason, _ in POISON}
    assert len(undisturbed.facts) > 2_000
    assert sum(1 for numerator, _ in undisturbed.values.values() if numerator) > 1_000


def test_one_of_two_workers_is_killed_again_and_again(
    kafka: KafkaServer,
    clickhouse: EmbeddedClickHouse,
    undisturbed: Outcome,
    busy: Load,
    tmp_path: Path,
) -> None:
    with trial("kill -9, one of two", kafka.bootstrap, clickhouse, tmp_path, busy) as faulty:
        victim, other = faulty.start(), faulty.start()
        for role in ("intake", "lifecycle", "sink"):
            death = faulty.kill(victim, role)
            victim, other = other, faulty.start()
            faulty.count_inheritance(death)
        faulty.finish(undisturbed, "kills", "read again", "restored keys")


@pytest.mark.parametrize("how", ["stopped", "killed"])
def test_the_broker_is_restarted(
    how: str,
    kafka: KafkaServer,
    clickhouse: EmbeddedClickHouse,
    undisturbed: Outcome,
    busy: Load,
    tmp_path: Path,
) -> None:
    with trial(f"broker {how}", kafka.bootstrap, clickhouse, tmp_path, busy) as faulty:
        worker = faulty.start()
        for _ in range(2):
            faulty.wait_for_progress("lifecycle")
            if how == "killed":
                kafka.kill()
            else:
                kafka.stop()
            # Whoever writes waits too: a broker that is away takes nothing.
            faulty.stands_still(1.0)
            kafka.start()
            faulty.evidence["restarts"] += 1
            faulty.wait_for_progress("lifecycle")
        assert worker.running
        faulty.finish(undisturbed, "restarts")


def test_clickhouse_is_cut_off(
    kafka: KafkaServer,
    clickhouse: EmbeddedClickHouse,
    undisturbed: Outcome,
    busy: Load,
    tmp_path: Path,
) -> None:
    with (
        Proxy(clickhouse.http_port) as proxy,
        trial(
            "ClickHouse cut off", kafka.bootstrap, clickhouse, tmp_path, busy,
            environment={"CXSTREAM_CLICKHOUSE_PORT": str(proxy.port)},
        ) as faulty,
    ):  # fmt: skip
        faulty.start()
        for _ in range(2):
            faulty.wait_for_progress("sink")
            proxy.cut()
            refused, clock = proxy.hits["refused"], faulty.clock()
            faulty.feed(1)
            wait_for(lambda: proxy.hits["refused"] > refused, "the sink to try again", 30)  # noqa: B023
            committed = committed_now(faulty.place, "sink")
            faulty.feed(5)
            # KPIs go on: only the sink waits, and passes nothing that gives a row.
            wait_for(lambda: faulty.clock() > clock, "gauges to move on", 30)  # noqa: B023
            assert facts_passed(faulty.place, committed) == 0
            proxy.heal()
        faulty.evidence["connections cut"] = proxy.hits["cut"]
        faulty.evidence["refused"] = proxy.hits["refused"]
        faulty.finish(undisturbed, "connections cut", "refused")
