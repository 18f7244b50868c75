"""Running files through the real agents on the embedded parts.

The clock is event time: ticks are written by this tool, once everything before them is committed,
so a replay gives the same values on any machine at any hour.
"""

from __future__ import annotations

import asyncio
import hashlib
import zlib
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pipeline import metrics
from pipeline.app import Wiring, Worker
from pipeline.embedded.parts import EmbeddedLog
from pipeline.identity import CustomerKeys
from pipeline.kpi import catalogue
from pipeline.kpi.plan import Plan
from pipeline.microbatch import partition_for
from pipeline.microbatch.producer import BatchProducer, Outgoing
from pipeline.replay.collect import Collector
from pipeline.stages.clock import tick_record
from pipeline.stages.intake import Source
from pipeline.stages.wire import Tick, dead_letter_headers
from schemas.exhibit import Exhibit
from schemas.platforms.jsonfile import open_input
from schemas.platforms.records import Oversized
from schemas.topics import DEAD_LETTERS, INTERACTIONS, raw_topic
from schemas.values import ExhibitValue, decode_value

_PARTITIONS = 2
_CHUNK_RECORDS = 1_000
_CHUNK_BYTES = 256 * 1024
_SECOND_MS = 1_000
# Replays compare with each other, so their customer keys must be the same everywhere. They are not
# secret: a replay keeps nothing.
_REPLAY_KEY = hashlib.sha256(b"cxstream replay").digest()

AsOf = Literal["final", "last"] | int
"""``final``, ``last`` or an instant in UTC epoch milliseconds."""


@dataclass(frozen=True)
class Job:
    """What to replay.

    Attributes:
        as_of: Only events up to it count; see the contract of ``cxstream replay``.
        keep_events: Events are asked for.
        keep_facts: Facts are asked for.
    """

    files: Sequence[Path]
    source: Source
    exhibits: Sequence[Exhibit]
    as_of: AsOf = "final"
    keep_events: bool = False
    keep_facts: bool = False
    progress: Callable[[int, int], None] = lambda _done, _bytes: None


@dataclass(frozen=True)
class Result:
    """What came out of a replay."""

    values: list[ExhibitValue]
    events: list[dict[str, Any]]
    facts: list[dict[str, Any]]
    summary: dict[str, Any]


async def replay(job: Job) -> Result:
    """Replay ``job``. Raises ``OSError`` for a file and ``RuntimeError`` when a stage fails."""
    before = _counted()
    async with AsyncExitStack() as stack:
        log = stack.enter_context(EmbeddedLog([job.source.platform.name], _PARTITIONS))
        until_ms = job.as_of if isinstance(job.as_of, int) else None
        worker = Worker(
            Wiring(
                broker=log.broker,
                exhibits=job.exhibits,
                keys=CustomerKeys(_REPLAY_KEY),
                sources={job.source.platform.name: job.source},
                roles=("intake", "lifecycle", "journeys", "performers", "exhibits"),
                wall_clock=False,
                until_ms=until_ms,
            )
        )
        collector = Collector(log.broker, keep_events=job.keep_events, keep_facts=job.keep_facts)
        await stack.enter_async_context(worker)
        await collector.app.start()
        stack.push_async_callback(collector.app.stop)
        run = _Run(job, log, worker, collector)
        stack.push_async_callback(run.close)
        values = await run.values()
        summary = _summary(before, run.oversized, collector)
        return Result(values, collector.events, collector.facts, summary)


class _Run:
    """One replay on started parts."""

    def __init__(self, job: Job, log: EmbeddedLog, worker: Worker, collector: Collector) -> None:
        self._job = job
        self._log = log
        self._worker = worker
        self._collector = collector
        self._producer: BatchProducer | None = None
        self._watch = asyncio.get_running_loop().create_task(self._watch_failures())
        self._failure: Exception | None = None
        self.oversized = 0

    async def close(self) -> None:
        """Stop watching and sending."""
        self._watch.cancel()
        if self._producer is not None:
            await self._producer.close()

    async def values(self) -> list[ExhibitValue]:
        """Feed the files, let the clock go, and read what was published."""
        self._producer = BatchProducer(self._log.broker, None, "replay")
        await self._producer.start()
        async for chunk in _chunks(self._records()):
            await self._send(chunk)
        await self._drained()
        if self._collector.last_event_ms is None:
            return []
        last_ms = self._collector.last_event_ms
        as_of = self._job.as_of
        clock_ms = as_of if isinstance(as_of, int) else -(-last_ms // _SECOND_MS) * _SECOND_MS
        if as_of != "final":
            await self._tick(Tick("", 0, clock_ms, publish_all=True))
            return _sorted(self._published())
        allowance_ms = Plan(self._job.exhibits, catalogue.load()).allowance_ms
        live: list[ExhibitValue] = []
        if allowance_ms:
            await self._tick(
                Tick("", 0, clock_ms, publish_all=True, complete=True, moving_only=True)
            )
            live = [value for value in self._published() if _is_live(value)]
        end = Tick(
            "", 0, clock_ms + allowance_ms, publish_all=True, complete=True, still_ms=clock_ms
        )
        await self._tick(end)
        kept = {value.key for value in live}
        return _sorted([*live, *(value for value in self._published() if value.key not in kept)])

    # --- feeding --------------------------------------------------------------------------------

    def _records(self) -> Iterator[Outgoing]:
        platform = self._job.source.platform
        topic = raw_topic(platform.name)
        done = done_bytes = 0
        for path in self._job.files:
            # A file cannot tell of what happened after it was written.
            written_ms = path.stat().st_mtime_ns // 1_000_000
            with open_input(path) as stream:
                for native in _undamaged(path, platform.split(stream)):
                    done += 1
                    if isinstance(native, Oversized):
                        self.oversized += 1
                        yield _refused(native, topic, done, written_ms)
                        continue
                    done_bytes += len(native)
                    key = platform.key(native)
                    number = partition_for(key, _PARTITIONS)
                    yield Outgoing(topic, number, key, native, written_ms)
                    if done % _CHUNK_RECORDS == 0:
                        self._job.progress(done, done_bytes)
        self._job.progress(done, done_bytes)

    async def _send(self, records: Sequence[Outgoing]) -> None:
        if self._failure is not None:
            raise RuntimeError(f"a stage failed: {self._failure}") from self._failure
        if self._producer is not None:
            await self._producer.send(records)

    async def _tick(self, tick: Tick) -> None:
        value, headers = tick_record(tick)
        await self._send(
            [
                Outgoing(INTERACTIONS, number, None, value, tick.tick_ms, headers)
                for number in range(_PARTITIONS)
            ]
        )
        await self._drained()

    async def _drained(self) -> None:
        await self._log.pacer.drained(lambda: self._failure is not None)
        if self._failure is not None:
            raise RuntimeError(f"a stage failed: {self._failure}") from self._failure

    async def _watch_failures(self) -> None:
        self._failure = await self._worker.failed()
        await self._log.pacer.nudge()

    # --- reading --------------------------------------------------------------------------------

    def _published(self) -> list[ExhibitValue]:
        """Values as the exhibits stage has committed them to ``cx.kpis``."""
        stage = self._worker.apps["exhibits"].stages[0]
        return [
            decode_value(value)
            for partition in stage.partitions.values()
            for value in partition.state.values()
        ]


def _undamaged(path: Path, records: Iterator[bytes | Oversized]) -> Iterator[bytes | Oversized]:
    """Hand on records; raises ``OSError``, naming the file, where a packed file is damaged."""
    try:
        yield from records
    except (EOFError, OSError, zlib.error) as error:
        raise OSError(f"{path}: cannot be read to its end: {error}") from error


async def _chunks(records: Iterable[Outgoing]) -> AsyncIterator[list[Outgoing]]:
    chunk: list[Outgoing] = []
    size = 0
    for record in records:
        chunk.append(record)
        size += len(record.value or b"")
        if len(chunk) >= _CHUNK_RECORDS or size >= _CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _refused(record: Oversized, topic: str, number: int, written_ms: int) -> Outgoing:
    headers = dead_letter_headers(
        topic=topic, partition=0, offset=number, timestamp_ms=written_ms, reason="too_large",
        detail=f"{record.size} bytes, at most 1048576 are taken", payload=record.head,
    )  # fmt: skip
    told = {"bytes": str(record.size).encode(), "sha256": record.sha256.encode()}
    headers = [(name, told.get(name, value)) for name, value in headers]
    key = f"{topic}/0/{number}".encode()
    return Outgoing(DEAD_LETTERS, 0, key, record.head, written_ms, headers)


def _is_live(value: ExhibitValue) -> bool:
    """Whether a value belongs to the moment of the last event rather than to a closed window."""
    moving = value.window.kind in ("sliding", "today")
    return moving or (value.attribution == "gauge" and value.window.kind == "all")


def _sorted(values: Iterable[ExhibitValue]) -> list[ExhibitValue]:
    return sorted(
        values,
        key=lambda v: (
            v.name,
            (v.window.kind, v.window.size or "", v.window.start or ""),
            tuple(v.dimensions.items()),
            v.state,
        ),
    )


_COUNTERS = {
    "records": metrics.RECORDS,
    "ignored": metrics.IGNORED,
    "dead_letters": metrics.DEAD_LETTERS,
    "duplicates": metrics.DUPLICATES,
}


def _counted() -> dict[str, dict[str, float]]:
    """What the counters of this process say, by their one label."""
    found: dict[str, dict[str, float]] = {}
    for name, counter in _COUNTERS.items():
        samples = [s for family in counter.collect() for s in family.samples]
        found[name] = {
            next(iter(s.labels.values()), ""): s.value for s in samples if s.name.endswith("_total")
        }
    return found


def _summary(
    before: dict[str, dict[str, float]], oversized: int, collector: Collector
) -> dict[str, Any]:
    after = _counted()
    moved = {
        name: {
            label: int(value - before[name].get(label, 0))
            for label, value in sorted(values.items())
            if value > before[name].get(label, 0)
        }
        for name, values in after.items()
    }
    dead = dict(moved["dead_letters"])
    if oversized:
        dead["too_large"] = dead.get("too_large", 0) + oversized
    return {
        "records": sum(moved["records"].values()) + oversized,
        "events": collector.event_count,
        "duplicates": sum(moved["duplicates"].values()),
        "ignored": moved["ignored"],
        "dead_letters": dead,
        "facts": collector.fact_counts,
    }
