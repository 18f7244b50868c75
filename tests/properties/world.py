"""The stages without Kafka: partitions, batches, transactions and crashes in memory.

What a stage reads, writes and keeps here is what its agent gives it, record by record. A batch is
committed as a whole or dropped as a whole; after a drop the partition is built anew from its
committed state, as a worker does that takes a partition over.
"""

from __future__ import annotations

import json
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from agents.exhibits import take
from pipeline.folds.event import reduce
from pipeline.folds.links import SHARED_AFTER
from pipeline.folds.silence import Silence
from pipeline.kpi.plan import Plan
from pipeline.microbatch import partition_for
from pipeline.stages.clock import tick_record
from pipeline.stages.configuration import Configuration, decode_change, decode_configuration
from pipeline.stages.exhibits import Exhibits, Place
from pipeline.stages.intake import fold_key, partition_key
from pipeline.stages.journeys import Journeys
from pipeline.stages.lifecycle import Lifecycle
from pipeline.stages.performers import Performers
from pipeline.stages.publisher import Publisher, sources
from pipeline.stages.wire import (
    CONTROL_HEADER,
    EXHIBIT,
    EXHIBITS,
    GENERATION,
    RATE,
    RESTART,
    TICK,
    Generation,
    Headers,
    Restart,
    Tick,
    control_kind,
    decode_contact,
    decode_generation,
    decode_performance,
    decode_rate,
    decode_restart,
    decode_tick,
    encode_generation,
    encode_restart,
)
from schemas.interaction import InteractionEvent
from schemas.topics import CONTACTS, FACTS, INTERACTIONS, PARTIALS, PERFORMANCES
from schemas.values import ExhibitValue, decode_value

Row = dict[str, Any]

Choose = Callable[[int], int]
"""Chooses one of so many."""


class Record(NamedTuple):
    """A record as a stage sees it; ``event`` stands for the value of an event."""

    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    event: InteractionEvent | None = None


class Overlay:
    """What one batch reads and writes."""

    def __init__(self, world: World, state: dict[bytes, bytes]) -> None:
        self._world = world
        self._state = state
        self.written: dict[bytes, bytes | None] = {}
        self.sent: list[tuple[str, int, Record]] = []

    def get(self, key: bytes) -> bytes | None:
        return self.written[key] if key in self.written else self._state.get(key)

    def put(self, key: bytes, value: bytes) -> None:
        self.written[key] = value

    def delete(self, key: bytes, headers: Headers = ()) -> None:  # noqa: ARG002
        self.written[key] = None

    def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        *,
        partition: int | None = None,
        timestamp_ms: int | None = None,  # noqa: ARG002 - these logs have no times
        headers: Headers = (),
    ) -> None:
        if partition is None:
            partition = partition_for(key or b"", self._world.partitions)
        self.sent.append((topic, partition, Record(key, value, headers)))

    def commit(self) -> None:
        for key, value in self.written.items():
            if value is None:
                self._state.pop(key, None)
            else:
                self._state[key] = value
        for topic, partition, record in self.sent:
            self._world.logs[topic, partition].append(record)


@dataclass
class Owned:
    """One partition of one stage."""

    stage: str
    topic: str
    number: int
    memory: Any = None
    position: int = 0
    state: dict[bytes, bytes] = field(default_factory=dict)


class World:
    """All stages over ``partitions`` partitions, fed by :meth:`say` and :meth:`tick`."""

    def __init__(
        self,
        plan: Plan,
        partitions: int,
        silence: Silence | None = None,
        shared_after: int = SHARED_AFTER,
    ) -> None:
        self._shared_after = shared_after
        self.exhibits = Configuration.of(p.exhibit for p in plan.exhibits)
        self.partitions = partitions
        self.logs: defaultdict[tuple[str, int], list[Record]] = defaultdict(list)
        self.restored = 0
        self._silence = silence or Silence()
        self.owned = [
            Owned(stage, topic, number)
            for stage, topic in (
                ("lifecycle", INTERACTIONS), ("journeys", CONTACTS),
                ("performers", PERFORMANCES), ("exhibits", PARTIALS),
            )
            for number in range(partitions)
        ]  # fmt: skip
        for owned in self.owned:
            owned.memory = self._memory(owned)

    # --- what comes in ----------------------------------------------------------------------

    def say(self, event: InteractionEvent) -> None:
        """Let an accepted event arrive."""
        key = partition_key(event)
        number = partition_for(key, self.partitions)
        self.logs[INTERACTIONS, number].append(Record(key, b"", (), event))

    def restart(self, source: str, at_ms: int) -> None:
        """Let a platform begin anew."""
        value, headers = encode_restart(Restart(source, at_ms)), ((CONTROL_HEADER, RESTART),)
        for number in range(self.partitions):
            self.logs[INTERACTIONS, number].append(Record(None, value, headers))

    def generation(self, number: int) -> None:
        """Let the log be one that was made anew."""
        value, headers = encode_generation(Generation(number)), ((CONTROL_HEADER, GENERATION),)
        for partition in range(self.partitions):
            self.logs[INTERACTIONS, partition].append(Record(None, value, headers))

    def tick(self, tick_ms: int, *, publish_all: bool = False, complete: bool = False) -> None:
        """Let the clock of every partition say ``tick_ms``."""
        value, headers = tick_record(Tick("", 0, tick_ms, publish_all, complete))
        for number in range(self.partitions):
            self.logs[INTERACTIONS, number].append(Record(None, value, headers))

    # --- what happens -----------------------------------------------------------------------

    def run(self) -> None:
        """Let every stage read all there is, in one batch a partition."""
        while waiting := self.waiting():
            for owned in waiting:
                self.batch(owned, self.lag(owned))

    def run_anyhow(self, choose: Choose, crash_in: int) -> None:
        """Let stages read batches of any size in any order; one batch in ``crash_in`` is lost."""
        while waiting := self.waiting():
            owned = waiting[choose(len(waiting))]
            size = 1 + choose(min(self.lag(owned), 12))
            self.batch(owned, size, crash=crash_in > 0 and choose(crash_in) == 0)

    def waiting(self) -> list[Owned]:
        return [owned for owned in self.owned if self.lag(owned)]

    def lag(self, owned: Owned) -> int:
        return len(self.logs[owned.topic, owned.number]) - owned.position

    def batch(self, owned: Owned, size: int, *, crash: bool = False) -> None:
        """Process ``size`` records and commit, or crash before the commit and begin anew."""
        overlay = Overlay(self, owned.state)
        log = self.logs[owned.topic, owned.number]
        self._process(owned, log[owned.position : owned.position + size], overlay)
        if crash:
            owned.memory = self._memory(owned)
            self.restored += 1
            return
        overlay.commit()
        owned.position += size

    def begin_anew(self, stage: str, number: int) -> None:
        """Let the owner of a partition fall, and another take it over."""
        for owned in self.owned:
            if (owned.stage, owned.number) == (stage, number):
                owned.memory = self._memory(owned)
                self.restored += 1

    def _process(self, owned: Owned, records: Sequence[Record], overlay: Overlay) -> None:
        memory = owned.memory
        for record in records:
            ticks = control_kind(record.headers) == TICK
            if owned.stage == "exhibits":
                take(memory, record)  # type: ignore[arg-type]
            elif control_kind(record.headers) == RESTART:
                memory.restart(decode_restart(record.value or b""), overlay)
            elif control_kind(record.headers) == GENERATION:
                memory.generation(decode_generation(record.value or b""), overlay)
            elif control_kind(record.headers) == RATE:
                memory.rate(decode_rate(record.value or b""), overlay)
            elif ticks:
                memory.tick(decode_tick(record.value or b""))
            elif control_kind(record.headers) == EXHIBIT:
                memory.change(decode_change(record.value or b""), overlay)
            elif control_kind(record.headers) == EXHIBITS:
                memory.configure(decode_configuration(record.value or b""), overlay)
            elif record.event is not None:
                memory.take(fold_key(record.event), reduce(record.event))
            elif owned.stage == "performers":
                memory.take(record.key or b"", decode_performance(record.value or b""))
            else:
                memory.take(record.key or b"", decode_contact(record.value or b""))
        if owned.stage != "exhibits":
            memory.flush(overlay)
        elif (aligned := memory.let_pass()) is not None:
            deque(memory.publish(aligned, overlay, lambda _key, _value: None), maxlen=0)

    def _memory(self, owned: Owned) -> Any:
        count, number, state = self.partitions, owned.number, owned.state
        if owned.stage == "exhibits":
            stages = dict.fromkeys(("lifecycle", "journeys", "performers"), count)
            memory = Exhibits(self.exhibits, state, Place(number, count, stages))
            for record in self.logs[owned.topic, number][: owned.position]:
                take(memory, record)  # type: ignore[arg-type]
            memory.let_pass()
            return memory
        lifecycle = owned.stage == "lifecycle"
        topics = dict.fromkeys((CONTACTS, PERFORMANCES), count) if lifecycle else {}
        publisher = Publisher(
            f"{owned.stage}/{number}",
            state,
            partitions=count,
            partial_partitions=count,
            clock_topics=topics,
        )
        if lifecycle:
            return Lifecycle(
                self.exhibits, publisher, state, self._silence, interaction_partitions=count
            )
        followed = sources("lifecycle", count)
        if owned.stage == "journeys":
            return Journeys(self.exhibits, publisher, state, followed, self._shared_after)
        return Performers(self.exhibits, publisher, state, followed)

    # --- what came out ----------------------------------------------------------------------

    def values(self) -> list[ExhibitValue]:
        """Values as they stand, sorted by key."""
        standing = {
            key: decode_value(value)
            for owned in self.owned
            if owned.stage == "exhibits"
            for key, value in owned.state.items()
        }
        return [standing[key] for key in sorted(standing)]

    def facts(self) -> list[Row]:
        """The newest version of every fact that still exists, by id."""
        return newest_facts(
            record for (topic, _), log in self.logs.items() if topic == FACTS for record in log
        )

    def facts_but_journeys(self) -> list[Row]:
        """Facts, but those of customers' histories, whose home changes with the customer."""
        return [fact for fact in self.facts() if fact["kind"] not in ("contact", "journey")]


def newest_facts(records: Iterable[Record]) -> list[Row]:
    """As a table would keep them: the highest version of each id wins, deleted ones are gone."""
    found: dict[str, Row] = {}
    for record in records:
        if control_kind(record.headers) is not None:
            continue
        row = json.loads(record.value or b"")
        known = found.get(row["fact_id"])
        if known is None or row["version"] >= known["version"]:
            found[row["fact_id"]] = row
    for row in found.values():
        del row["version"]
    return [row for _, row in sorted(found.items()) if not row["deleted"]]
