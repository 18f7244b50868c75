"""Exhibits agent.

in: ``cx.partials``, by exhibit, with the ticks of every source; read from its beginning at restore.
state: published values, whose changelog is the output ``cx.kpis`` itself.
out: ``cx.kpis``, and ``cx.clocks``, what they are as of; once committed, to whoever shows values.
To ``cx.interactions`` goes which versions of exhibits are not shown any more.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from functools import partial
from typing import Protocol

from pipeline.heartbeats import pass_on
from pipeline.microbatch import Batch, BatchApp, Record, Stage, in_turns
from pipeline.stages.configuration import Configuration, decode_configuration
from pipeline.stages.exhibits import Exhibits, Place
from pipeline.stages.wire import (
    EXHIBITS,
    TICK,
    Out,
    control_kind,
    decode_share,
    decode_tick,
    heartbeat_in,
    parse_share_key,
)
from schemas.topics import CLOCKS, CONTACTS, INTERACTIONS, KPIS, PARTIALS, PERFORMANCES
from schemas.values import ExhibitClock, ExhibitValue, decode_value, encode_clock, rfc3339


class Display(Protocol):
    """Whoever shows current values."""

    def show(self, partition: int, values: Mapping[bytes, ExhibitValue | None]) -> None:
        """Take over values of a partition by key; None where one is gone."""

    def tick(self, partition: int, clock_ms: int) -> None:
        """The values of a partition are as of ``clock_ms``."""

    def drop(self, partition: int) -> None:
        """The partition is lost: show nothing of it."""


class _Owned(Exhibits):
    """Exhibits of one partition that are taken from the display when the partition is lost."""

    display: Iterable[Display] = ()
    partition: int = 0

    def reload(self, records: Iterable[Record]) -> None:
        """Read the compacted input again; nothing is published by it."""
        for record in records:
            take(self, record)
        self.let_pass()

    def close(self) -> None:
        """Show nothing any more."""
        for display in self.display:
            display.drop(self.partition)


def take(owned: Exhibits, record: Record) -> None:
    """Take a record in."""
    kind = control_kind(record.headers) if record.headers else None
    if kind == TICK:
        owned.tick(decode_tick(record.value or b""))
    elif kind == EXHIBITS:
        owned.configure(decode_configuration(record.value or b""))
    elif kind is None and record.key is not None and record.value is not None:
        source, key = parse_share_key(record.key)
        owned.take(source, key, decode_share(record.value))


def _tell_clock(owned: _Owned, out: Out) -> None:
    """Say what the values are as of: they are published only when they change."""
    if owned.shown:
        clock = ExhibitClock(tuple(sorted(owned.shown)), rfc3339(owned.clock_ms))
        key = str(owned.partition).encode()
        out.send(CLOCKS, key, encode_clock(clock), partition=owned.partition)


def exhibits(app: BatchApp, started_with: Configuration, displays: Iterable[Display]) -> Stage:
    """Register the exhibits agent on ``app``; values go to ``displays`` once committed."""

    def memory(number: int, state: Mapping[bytes, bytes]) -> _Owned:
        counts = stage.partition_counts
        place = Place(
            number,
            counts[PARTIALS],
            {
                "lifecycle": counts[INTERACTIONS],
                "journeys": counts[CONTACTS],
                "performers": counts[PERFORMANCES],
            },
        )
        owned = _Owned(started_with, state, place)
        owned.display, owned.partition = displays, number
        shown = {key: decode_value(value) for key, value in state.items()}
        for display in displays:
            display.show(number, shown)
        return owned

    stage = Stage(
        app,
        "exhibits",
        topics=(PARTIALS,),
        outputs=(KPIS, CLOCKS, INTERACTIONS),
        knows=(INTERACTIONS, CONTACTS, PERFORMANCES, PARTIALS),
        changelog=KPIS,
        memory=memory,
        reload=True,
    )

    @app.agent(stage.channel, name="exhibits")
    async def agent(batches: AsyncIterator[Batch]) -> None:
        async for batch in stage.batches(batches):
            async with stage.checkpoint(batch) as checkpoint:
                owned: _Owned = checkpoint.memory
                changed: dict[bytes, ExhibitValue | None] = {}
                for record in batch.records:
                    take(owned, record)
                    if (beat := heartbeat_in(record)) is not None:
                        pass_on(beat, checkpoint)
                aligned = owned.let_pass()
                if aligned is not None:
                    checkpoint.timestamp_ms = owned.clock_ms
                    await in_turns(owned.publish(aligned, checkpoint, changed.__setitem__))
                    _tell_clock(owned, checkpoint)
                    checkpoint.after_commit(partial(_show, displays, owned, changed))

    return stage


def _show(
    displays: Iterable[Display], owned: _Owned, changed: Mapping[bytes, ExhibitValue | None]
) -> None:
    """Show what a tick changed. What comes between ticks, heartbeats too, makes no clock fresh."""
    for display in displays:
        display.show(owned.partition, changed)
        display.tick(owned.partition, owned.clock_ms)
