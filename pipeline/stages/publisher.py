"""What every folding stage does alike: facts out, panes kept, shares and ticks published."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from msgspec.structs import replace

from pipeline.kpi import catalogue
from pipeline.kpi.base import Base
from pipeline.kpi.group import Contribution
from pipeline.kpi.ledger import Changes
from pipeline.kpi.panes import QUARTER_MS, PaneKey, Panes
from pipeline.kpi.plan import Plan
from pipeline.stages.ages import floor_of
from pipeline.stages.clock import (
    META_KEY,
    STATE_FORMAT,
    Clock,
    decode_clock,
    encode_clock,
    tick_record,
)
from pipeline.stages.configuration import Configuration, encode_configuration
from pipeline.stages.late import Dirty, tell_dirty
from pipeline.stages.wire import (
    CONTROL_HEADER,
    EXHIBITS,
    Out,
    Share,
    Tick,
    encode_share,
    share_key,
)
from schemas.fact_records import encode_fact
from schemas.topics import EXHIBITS as EXHIBITS_TOPIC
from schemas.topics import FACTS, PARTIALS


class Publisher:
    """Panes and clock of one source partition.

    Args:
        source: Name of the source: stage and partition.
        state: Restored state, for the clock.
        partitions: Partitions of the log that the source reads.
        partial_partitions: Partitions of ``cx.partials``.
        clock_topics: Topics whose readers follow this source, with their partition counts.

    Attributes:
        covers: Versions of exhibits for which everything is counted.
        floor_ms: What is older than the horizon at the ticks read so far is frozen.
        base: What frozen keys have added to panes that stay.
    """

    def __init__(
        self,
        source: str,
        state: Mapping[bytes, bytes],
        *,
        partitions: int,
        partial_partitions: int,
        clock_topics: Mapping[str, int],
    ) -> None:
        self.source = source
        self.plan = Plan((), catalogue.load())
        self.panes = Panes(self.plan)
        self.covers: dict[str, int] = {}
        stored = state.get(META_KEY)
        clock = decode_clock(stored) if stored is not None else Clock()
        clock.check(source, partitions)
        self._partitions = partitions
        self.tick_ms = clock.tick_ms
        self.span_ms = clock.tick_ms
        self.floor_ms = clock.floor_ms
        self.panes.let_go(self.floor_ms)
        self.base = Base(state)
        # What was published under the last epoch cannot be told from what was about to be:
        # everything is published anew, and the owner forgets the rest.
        self.epoch = clock.epoch + 1
        self._partial_partitions = partial_partitions
        self._clock_topics = dict(clock_topics)
        self._partition_of: dict[int, int] = {}
        self._gone: list[PaneKey] = []

    def use(self, plan: Plan) -> None:
        """Count by ``plan`` from now on; what only the last one counted is taken back."""
        self.plan = plan
        for group in plan.groups.values():
            name = group.exhibit.exhibit.exhibit
            self._partition_of[group.key] = exhibit_partition(name, self._partial_partitions)
        self._gone += self.panes.use(plan)
        self.base.use(plan)

    def publish_exhibits(self, exhibits: Configuration, out: Out) -> None:
        """Tell followers which exhibits this source counts for, before any share of them."""
        value = encode_configuration(exhibits)
        key = b"exhibits:" + self.source.encode()
        headers = ((CONTROL_HEADER, EXHIBITS),)
        for topic, number in self._followers():
            out.send(topic, key, value, partition=number, headers=headers)
        if self._clock_topics:
            out.send(EXHIBITS_TOPIC, self.source.encode(), value)

    def _followers(self) -> Iterable[tuple[str, int]]:
        for topic, count in {**self._clock_topics, PARTIALS: self._partial_partitions}.items():
            for number in range(count):
                yield topic, number

    def advance(self, tick: Tick) -> None:
        """Let the clock go on to a tick; it never goes back."""
        self.tick_ms = max(self.tick_ms, tick.tick_ms)
        self.span_ms = max(self.span_ms, tick.span_ms)

    def see(self, tick: Tick) -> None:
        """Let what is frozen go on with a tick as it is read: a function of the log alone."""
        if not tick.keeps_all:
            self.floor_ms = max(self.floor_ms, floor_of(tick.tick_ms, self.plan.horizon_ms))

    def restore_frozen(self) -> None:
        """Add what is frozen to the panes."""
        for key, vector in self.base:
            self.panes.add_frozen(key, vector)

    def freeze(self, contributions: Iterable[Contribution]) -> None:
        """Let contributions stay for good: their key is forgotten."""
        for key, vector in self.base.freeze(contributions, self.plan):
            self.panes.freeze(key, vector)

    def publish_facts(self, changes: Changes, version_of: Callable[[str], int], out: Out) -> None:
        """Send changed rows and deletions, each under the version of its fact."""
        for row in changes.rows:
            told = encode_fact(row.kind, row.fact_id, version_of(row.fact_id), row.fact)
            out.send(FACTS, row.fact_id.encode(), told)
        for fact_id, kind in changes.deleted:
            told = encode_fact(kind, fact_id, version_of(fact_id), None)
            out.send(FACTS, fact_id.encode(), told)

    def publish_tick(self, tick: Tick, out: Out) -> Iterator[None]:
        """Send the shares that changed since the last tick, then the tick itself.

        Yields:
            After each share; it must be taken to its end.
        """
        self.advance(tick)
        for key in self._gone:
            partition = self._partition_of[key.group]
            out.send(PARTIALS, share_key(self.source, key), None, partition=partition)
        self._gone = []
        for key, share in self.panes.drain(self.tick_ms):
            out.send(
                PARTIALS,
                share_key(self.source, key),
                encode_share(Share(self.epoch, self.tick_ms, share)),
                partition=self._partition_of[key.group],
            )
            yield
        self._tell_missed(out)
        # Whatever changed in what goes now has just been told.
        self.panes.let_go(self.floor_ms)
        told = replace(
            tick, source=self.source, epoch=self.epoch, tick_ms=self.tick_ms, covers=self.covers,
            floor_ms=self.floor_ms,
        )  # fmt: skip
        value, headers = tick_record(told)
        for topic, number in self._followers():
            key_of_tick = b"tick:" + self.source.encode()
            out.send(topic, key_of_tick, value, partition=number, headers=headers)
        self.base.save(out)
        clock = Clock(
            self.tick_ms, self.epoch, self.floor_ms, STATE_FORMAT, partitions=self._partitions
        )
        out.put(META_KEY, encode_clock(clock))

    def _tell_missed(self, out: Out) -> None:
        """Tell which quarter hours were corrected after they were let go."""
        missed = {
            (self.plan.groups[key.group].exhibit, key.cell, key.number): None
            for key in self.panes.drain_missed()
        }
        for plan, cell, number in missed:
            name, version = plan.exhibit.exhibit, plan.exhibit.version
            tell_dirty(Dirty(name, version, cell, number * QUARTER_MS, self.tick_ms), out)


def exhibit_partition(exhibit: str, partitions: int) -> int:
    """Partition of ``cx.partials`` and ``cx.kpis`` that holds a whole exhibit."""
    total = 0
    for byte in exhibit.encode():
        total = (total * 31 + byte) & 0x7FFFFFFF
    return total % partitions


def sources(stage: str, partitions: int) -> Iterable[str]:
    """Names of the sources of a stage."""
    return (f"{stage}/{number}" for number in range(partitions))
