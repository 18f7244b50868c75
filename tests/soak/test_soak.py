"""Half an hour in which something always fails: workers, the broker, ClickHouse, the group.

The schedule is seeded. A fault strikes only after new progress, so that it has something to break,
and counts only once its effect was seen: a process gone, a group without a member, a broker or a
server that answers nobody. One that missed fails the run. ``SOAK_MINUTES`` shortens it all in
proportion; what is judged in the end stays the same.
"""

from __future__ import annotations

import math
import os
import random
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from pipeline.embedded.clickhouse import EmbeddedClickHouse
from pipeline.embedded.kafka import KafkaServer
from tests.faults.checker import committed_now
from tests.faults.load import load
from tests.faults.proxy import Proxy
from tests.faults.trial import Death, Trial, reference_of, trial
from tests.integration.logs import PARTITIONS
from tests.integration.process import Process, wait_for
from tests.soak.conftest import minutes
from tests.soak.paced import Paced

pytestmark = [pytest.mark.kafka, pytest.mark.clickhouse]

MINUTES = minutes("SOAK_MINUTES", 30)
SEED = int(os.environ.get("SOAK_SEED") or 17)
SESSION_TIMEOUT_MS = 6_000
EVENTS_A_MINUTE = 1_500
MEMORY_BOUND_MB = 600.0
FULL: Final = {
    "kill -9": 30, "SIGSTOP": 10, "broker restarts": 5, "ClickHouse outages": 5,
    "joins": 10, "leaves": 10,
}  # fmt: skip
"""Faults of thirty minutes."""
PLANNED: Final = {name: max(math.ceil(count * MINUTES / 30), 1) for name, count in FULL.items()}
ROLES: Final = ("intake", "lifecycle", "journeys", "performers", "exhibits", "sink")
MOST_WORKERS: Final = 4


def schedule(seed: int) -> list[str]:
    """The faults in the order in which they strike; whoever joins must come before one leaves."""
    faults = [name for name, count in PLANNED.items() for _ in range(count)]
    random.Random(seed).shuffle(faults)  # noqa: S311 - no secret
    return faults


class Soak:
    """Workers under a schedule of faults.

    Args:
        paced: The trial and its load.
        kafka: Its Kafka.
        proxy: What lies before its ClickHouse.
        choose: Chance, seeded.
    """

    def __init__(
        self, paced: Paced, kafka: KafkaServer, proxy: Proxy, choose: random.Random
    ) -> None:
        self.hit: Counter[str] = Counter()
        self._paced = paced
        self._trial: Trial = paced.trial
        self._kafka = kafka
        self._proxy = proxy
        self._choose = choose
        self._deaths: list[Death] = []
        self._strike: dict[str, Callable[[], None]] = {
            "kill -9": self.kill, "SIGSTOP": self.freeze, "broker restarts": self.restart_broker,
            "ClickHouse outages": self.cut_clickhouse, "joins": self.join, "leaves": self.leave,
        }  # fmt: skip

    def run(self, faults: list[str]) -> None:
        """Let each fault strike at its time, and count those that hit."""
        for number, name in enumerate(faults, 1):
            self._paced.most = number / (len(faults) + 1)
            self._paced.until_passed(self._paced.most)
            self._paced.progress(self._choose.choice(ROLES))
            self._strike[name]()
            self.hit[name] += 1
            self._trial.evidence[name] += 1

    def _begin(self) -> Process:
        worker = self._trial.place.worker()
        self._paced.until(
            lambda: worker.metric("cx_owned_partitions", stage="lifecycle") or not worker.running,
            "a worker to own partitions",
        )
        assert worker.running, worker.tail()
        self._paced.owned(by=2)
        return worker

    def _one_at_work(self) -> Process:
        """A worker with partitions: a fault of one without would break nothing."""
        running = self._trial.running
        busy = [w for w in running if w.metric("cx_owned_partitions", stage="lifecycle") > 0]
        return self._choose.choice(busy)

    def kill(self) -> None:
        """SIGKILL of one that had partitions; an heir begins where it committed."""
        victim = self._one_at_work()
        victim.kill()
        assert victim.wait(10) == -signal.SIGKILL
        death = self._trial.death("lifecycle")
        self._begin()
        self._trial.count_inheritance(death)

    def freeze(self) -> None:
        """SIGSTOP until the group has given its partitions to others; then it wakes."""
        victim = self._one_at_work()
        victim.signal(signal.SIGSTOP)
        wait_for(lambda: victim.status == "stopped", "the worker to stop", 10)
        others = [worker for worker in self._trial.running if worker is not victim]
        self._paced.until(
            lambda: (
                sum(w.metric("cx_owned_partitions", stage="lifecycle") for w in others)
                >= PARTITIONS
            ),
            "others to own all of its partitions",
        )
        self._paced.progress("lifecycle")
        victim.signal(signal.SIGCONT)
        self._paced.until(
            lambda: victim.metric("cx_owned_partitions", stage="lifecycle") > 0,
            "it to be a member again",
        )

    def restart_broker(self) -> None:
        """The broker is stopped or killed; nobody gets on until it is back."""
        killed = self._choose.random() < 0.5
        self._kafka.kill() if killed else self._kafka.stop()
        self._trial.stands_still(1.0)
        self._kafka.start()
        self._paced.progress("lifecycle")

    def cut_clickhouse(self) -> None:
        """Every connection is reset and none is taken; gauges go on, the sink waits."""
        self._proxy.cut()
        refused, clock = self._proxy.hits["refused"], self._trial.clock()
        self._paced.feed(more=True)
        self._paced.until(lambda: self._proxy.hits["refused"] > refused, "the sink to try again")
        committed = committed_now(self._trial.place, "lifecycle")
        self._paced.feed(more=True)
        self._paced.until(lambda: self._trial.clock() > clock, "gauges to move on")
        self._paced.until(
            lambda: (
                sum(committed_now(self._trial.place, "lifecycle").values())
                > sum(committed.values())
            ),
            "KPIs to go on",
        )
        self._proxy.heal()
        self._paced.progress("sink")

    def join(self) -> None:
        """One worker more, unless there are many: then one leaves first, which does not count."""
        if len(self._trial.running) >= MOST_WORKERS:
            self._end_one()
        self._begin()

    def leave(self) -> None:
        """SIGTERM; it leaves its groups in order. Two always stay."""
        if len(self._trial.running) <= 2:
            self._begin()
        self._end_one()

    def _end_one(self) -> None:
        leaver = self._choose.choice(self._trial.running)
        assert leaver.stop(40) == 0, leaver.tail()
        self._paced.owned(by=2)


def test_everything_fails_for_half_an_hour(
    kafka: KafkaServer, clickhouse: EmbeddedClickHouse, tmp_path: Path
) -> None:
    told = load(SEED, round(EVENTS_A_MINUTE * MINUTES))
    (tmp_path / "quiet").mkdir()
    (tmp_path / "soak").mkdir()
    reference = reference_of(
        "soak, undisturbed", kafka.bootstrap, clickhouse, tmp_path / "quiet", told,
        memory_bound_mb=MEMORY_BOUND_MB,
    )  # fmt: skip
    with (
        Proxy(clickhouse.http_port) as proxy,
        trial(
            f"soak, {MINUTES:g} min, seed {SEED}", kafka.bootstrap, clickhouse, tmp_path / "soak",
            told, session_timeout_ms=SESSION_TIMEOUT_MS, compact=True,
            environment={"CXSTREAM_CLICKHOUSE_PORT": str(proxy.port)},
            memory_bound_mb=MEMORY_BOUND_MB,
        ) as faulty,
    ):  # fmt: skip
        faulty.start()
        faulty.start()
        soak = Soak(Paced(faulty, MINUTES * 60), kafka, proxy, random.Random(SEED))  # noqa: S311
        soak.run(schedule(SEED))
        assert soak.hit == PLANNED, "a fault missed"
        faulty.evidence["connections cut"] = proxy.hits["cut"]
        faulty.finish(
            reference, *PLANNED, "read again", "restored keys", "connections cut",
        )  # fmt: skip
