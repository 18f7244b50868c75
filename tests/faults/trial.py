"""A trial: one site under a seeded load, faults that are counted when they hit, one judgement."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import psutil
from clickhouse_connect.driver.client import Client
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from pipeline.embedded.clickhouse import EmbeddedClickHouse
from pipeline.stages.clock import tick_record
from pipeline.stages.wire import Tick
from schemas.topics import INTERACTIONS, KPIS, PARTIALS, changelog_topic
from tests.faults.checker import (
    Outcome,
    assert_one_owner,
    assert_same,
    check,
    committed_is_written,
    committed_now,
)
from tests.faults.load import Load, Raw
from tests.faults.report import FOUND, row
from tests.integration.logs import QUIET
from tests.integration.process import Process, wait_for
from tests.integration.recompute import ZONE
from tests.integration.site import Site
from tests.integration.warehouse import client_of

EXHIBIT = Path(__file__).parents[1] / "integration" / "truth.yaml"
SESSION_TIMEOUT_MS = 6_000
CHUNK = 50
"""Records written at once; a tick follows them."""
MEMORY_BOUND_MB = 400.0
"""Most that one worker may hold in any trial; the largest load of a trial needs half of it."""
PACE_SECONDS = 0.1
DRAIN_SECONDS = 180.0
_PATIENCE_SECONDS = 3.0
"""How long a chunk is given to go through before the next one follows."""
COMPACTED = (*map(changelog_topic, ("lifecycle", "journeys", "performers")), KPIS, PARTIALS)
_databases = itertools.count(1)


class Death(NamedTuple):
    """The end of a worker: a role, where its logs ended then, and lines its heirs had told."""

    role: str
    ends: dict[tuple[str, int], int]
    told: dict[Path, int]


class Trial:
    """A load on its way through a site; ``evidence`` counts what hit.

    Args:
        name: What the report calls it.
        place: The site.
        client: A client on the database of the site.
        load: What it is fed.
        pace_seconds: How long each chunk waits for the one before.
        memory_bound_mb: Most that one worker may hold.
        zone: Time zone of the exhibit.
    """

    def __init__(
        self,
        name: str,
        place: Site,
        client: Client,
        load: Load,
        *,
        pace_seconds: float = PACE_SECONDS,
        memory_bound_mb: float = MEMORY_BOUND_MB,
        zone: str = ZONE,
    ) -> None:
        self.name = name
        self.zone = zone
        self.place = place
        self.client = client
        self.load = load
        self.evidence: Counter[str] = Counter()
        self.peak_mb = 0.0
        self._pace_seconds = pace_seconds
        self._memory_bound_mb = memory_bound_mb
        self._began = time.monotonic()
        self._written = 0
        self._latest_ms = 0
        self._ended = threading.Event()
        self._watch = threading.Thread(target=self._watch_memory, daemon=True)
        self._watch.start()

    # --- workers --------------------------------------------------------------------------------

    @property
    def running(self) -> list[Process]:
        """Workers that have not ended."""
        return [worker for worker in self.place.workers if worker.running]

    def start(self, *, point: str = "", spoiled: str = "", **environment: str) -> Process:
        """Start a worker and return once all partitions of lifecycle are owned again.

        Args:
            point: Where it shall kill itself, as ``stage.step:pass``; it may do so at once.
            spoiled: Code that runs in it first.
            environment: Further settings.
        """
        if point:
            environment["CXSTREAM_FAIL_POINT"] = point
        worker = self.place.worker(spoiled=spoiled, **environment)

        def owned() -> bool:
            found = sum(w.metric("cx_owned_partitions", stage="lifecycle") for w in self.running)
            return found >= self.place.partitions or not worker.running

        wait_for(owned, "all partitions of lifecycle to be owned", 120)
        assert worker.running or point, worker.tail()
        return worker

    def kill(self, victim: Process, role: str = "lifecycle") -> Death:
        """SIGKILL once there is new progress of a role, while it still has work."""
        self.wait_for_progress(role)
        victim.kill()
        return self.death(role)

    def death(self, role: str) -> Death:
        """A worker has just ended: note where the logs of a role end, and what was told so far."""
        self.evidence["kills"] += 1
        lines = {worker.log: len(told(worker, "partition_ready")) for worker in self.place.workers}
        return Death(role, self.place.ends(role), lines)

    def count_inheritance(self, death: Death) -> None:
        """Count what heirs found: keys restored, records read again. Nothing undone may be passed.

        Partitions that no heir has taken over yet are left out.
        """
        committed_is_written(self.place, self.client)
        found: dict[tuple[str, int], dict[str, Any]] = {}
        for worker in self.place.workers:
            for line in told(worker, "partition_ready")[death.told.get(worker.log, 0) :]:
                place = line["topic"], line["partition"]
                if place in death.ends and line["stage"].startswith(death.role):
                    found.setdefault(place, line)
        for place, line in found.items():
            self.evidence["restored keys"] += line["keys"]
            self.evidence["read again"] += max(death.ends[place] - line["offset"], 0)

    def wait_for_progress(self, role: str, seconds: float = 60.0) -> None:
        """Feed until a role has committed more than when this was called, and has more to do."""
        before = sum(committed_now(self.place, role).values())
        self.feed_until(
            lambda: sum(committed_now(self.place, role).values()) > before,
            f"progress of {role}", seconds,
        )  # fmt: skip
        self.feed(1)

    def feed_until(self, condition: Callable[[], object], what: str, seconds: float) -> None:
        """Feed a chunk now and then until ``condition`` is true."""
        deadline = time.monotonic() + seconds
        fed_at = 0.0
        while not condition():
            assert time.monotonic() < deadline, f"waited for {what}: {self._tails()}"
            if time.monotonic() - fed_at > _PATIENCE_SECONDS:
                self.feed(1)
                fed_at = time.monotonic()
            time.sleep(0.1)

    def batches(self) -> float:
        """Checkpoints that running workers say were acknowledged."""
        name = "cx_batches_total"
        return sum(v for w in self.running for (n, _), v in w.metrics().items() if n == name)

    def stands_still(self, seconds: float) -> float:
        """Return once no checkpoint was acknowledged for so long; how long it was."""
        seen, since = self.batches(), time.monotonic()
        deadline = since + seconds + 30
        while (stood := time.monotonic() - since) < seconds:
            if (now := self.batches()) != seen:
                seen, since = now, time.monotonic()
            assert time.monotonic() < deadline, "the workers do not stand still"
            time.sleep(0.2)
        return stood

    def clock(self) -> float:
        """What the values on ``/metrics`` are as of, 0 where none is shown."""
        name = "cx_exhibit_clock_timestamp_seconds"
        found = [v for w in self.running for (n, _), v in w.metrics().items() if n == name]
        return max(found, default=0.0)

    # --- load -----------------------------------------------------------------------------------

    @property
    def left(self) -> int:
        """Records that are not written yet."""
        return len(self.load.records) - self._written

    def feed(self, chunks: int | None = None, *, pause_seconds: float | None = None) -> None:
        """Write the next chunks of the load, all that is left unless said, each with a tick."""
        for _ in itertools.count() if chunks is None else range(chunks):
            part = self.load.records[self._written : self._written + CHUNK]
            if not part:
                assert chunks is None, f"{self.name}: the load was over before the fault hit"
                return
            self._written += len(part)
            for record in part:
                self.place.produce(
                    record.value, record.key,
                    timestamp_ms=record.written_ms, headers=list(record.headers),
                )  # fmt: skip
            self._tick(part)
            time.sleep(self._pace_seconds if pause_seconds is None else pause_seconds)

    def _tick(self, part: tuple[Raw, ...]) -> None:
        """Let the clock follow the events, as the clock of a live site does."""
        self._latest_ms = max(self._latest_ms, *(record.occurred_ms for record in part))
        value, headers = tick_record(Tick("", 0, self._latest_ms // 1000 * 1000))
        for number in range(self.place.partitions):
            self.place.produce(value, topic=INTERACTIONS, partition=number, headers=headers)
        self.place.flush()

    def feed_again(self) -> None:
        """Begin to write the load from its first record."""
        self._written = 0

    # --- the end --------------------------------------------------------------------------------

    def finish(self, reference: Outcome | None, *needed: str, anew: bool = False) -> Outcome:
        """Feed the rest, let everything go through, and judge it.

        Args:
            reference: The outcome of the same load without faults.
            needed: Evidence that must have been found: a fault that missed proves nothing.
            anew: Topics were made anew on the way, see :func:`~tests.faults.checker.check`.
        """
        self.feed(pause_seconds=0.02)
        self.place.drain(DRAIN_SECONDS, alive=self.running)
        self.place.tick(self.load.clock_ms)
        self.place.drain(DRAIN_SECONDS, alive=self.running)
        self._ended.set()
        self._watch.join()
        missed = [name for name in needed if not self.evidence[name]]
        assert not missed, f"{self.name}: never seen: {', '.join(missed)}; {dict(self.evidence)}"
        outcome = check(
            self.place, self.client, self.load, self.load.clock_ms, anew=anew, zone=self.zone
        )
        assert_one_owner(self.running)
        assert self.peak_mb < self._memory_bound_mb, f"a worker grew to {self.peak_mb:.0f} MB"
        seconds = time.monotonic() - self._began
        FOUND.append(
            row(self.name, self.evidence, reference or outcome, outcome, self.peak_mb, seconds)
        )
        if reference is not None:
            assert_same(outcome, reference)
        return outcome

    def _watch_memory(self) -> None:
        while not self._ended.wait(0.5):
            for worker in self.running:
                with suppress(psutil.NoSuchProcess):
                    used = psutil.Process(worker.pid).memory_info().rss
                    self.peak_mb = max(self.peak_mb, used / 1_000_000)

    def _tails(self) -> str:
        return "\n".join(worker.tail() for worker in self.place.workers[-2:])

    def close(self) -> None:
        """End what watches."""
        self._ended.set()
        self._watch.join()


def told(worker: Process, event: str) -> list[dict[str, Any]]:
    """Lines of a worker's log that tell of an event."""
    lines = worker.log.read_text("utf-8", "replace").splitlines()
    found = [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]
    return [line for line in found if line["event"] == event]


@contextmanager
def trial(
    name: str,
    bootstrap: str,
    clickhouse: EmbeddedClickHouse,
    folder: Path,
    load: Load,
    *,
    session_timeout_ms: int = SESSION_TIMEOUT_MS,
    compact: bool = False,
    environment: Mapping[str, str] | None = None,
    replication: int = 1,
    pace_seconds: float = PACE_SECONDS,
    memory_bound_mb: float = MEMORY_BOUND_MB,
    zone: str = ZONE,
) -> Iterator[Trial]:
    """A trial whose workers are gone afterwards.

    Args:
        name: What the report calls it.
        bootstrap: The Kafka of the site.
        clickhouse: The ClickHouse of the site.
        folder: Home of logs.
        load: What it is fed.
        session_timeout_ms: When the group gives up a silent worker.
        compact: Compacted topics get segments of a second, so that restores read compacted logs.
        environment: Further settings of workers, such as a proxy instead of a server.
        replication: Replicas of each topic.
        pace_seconds: How long each chunk of the load waits for the one before.
        memory_bound_mb: Most that one worker may hold.
        zone: Time zone of the exhibit.
    """
    exhibit = EXHIBIT
    if zone != ZONE:
        exhibit = folder / "exhibit.yaml"
        exhibit.write_text(EXHIBIT.read_text("utf-8").replace(ZONE, zone), "utf-8")
    database = f"faults_{next(_databases)}"
    place = Site(
        bootstrap, folder, clickhouse=clickhouse, database=database, exhibits=[exhibit],
        session_timeout_ms=session_timeout_ms, replication=replication,
    )  # fmt: skip
    place.environment |= environment or {}
    if compact:
        _compact_at_once(bootstrap)
    with client_of(clickhouse, database) as client:
        found = Trial(
            name, place, client, load, pace_seconds=pace_seconds, memory_bound_mb=memory_bound_mb,
            zone=zone,
        )  # fmt: skip
        try:
            yield found
        finally:
            found.close()
            place.close()


def reference_of(
    name: str,
    bootstrap: str,
    clickhouse: EmbeddedClickHouse,
    folder: Path,
    load: Load,
    **options: Any,
) -> Outcome:
    """What is left of a load when nothing happens: what its trials are compared with.

    Arguments are those of :func:`trial`.
    """
    with trial(name, bootstrap, clickhouse, folder, load, **options) as quiet:
        quiet.start()
        return quiet.finish(None)


def _compact_at_once(bootstrap: str) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap, **QUIET})
    settings = {"segment.ms": "1000", "min.cleanable.dirty.ratio": "0.001"}
    changes = [
        ConfigResource(
            ResourceType.TOPIC, topic,
            incremental_configs=[
                ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
                for name, value in settings.items()
            ],
        )
        for topic in COMPACTED
    ]  # fmt: skip
    for done in admin.incremental_alter_configs(changes).values():
        done.result(20)
