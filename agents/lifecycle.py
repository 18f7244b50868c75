"""Lifecycle agent.

in: ``cx.interactions``, keyed by interaction (performer states: by performer), ticks among them.
state: events and contributions of each interaction, changelog ``cx.lifecycle.changelog``.
out: ``cx.facts``, ``cx.contacts`` keyed by customer, ``cx.performances`` keyed by performer,
``cx.partials`` at ticks, ``cx.dead-letters``, ``cx.sources``; back to ``cx.interactions`` go ticks,
rates for all its partitions, and events that had not passed intake. Heartbeats go on to all but the
last three.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial

from pipeline import metrics
from pipeline.folds.event import reduce
from pipeline.folds.silence import Silence
from pipeline.heartbeats import pass_on
from pipeline.identity import CustomerKeys
from pipeline.microbatch import Batch, BatchApp, Checkpoint, Record, Stage, in_turns
from pipeline.stages.clock import tick_record
from pipeline.stages.configuration import Configuration, decode_change
from pipeline.stages.counting import count_intake, count_late
from pipeline.stages.heard import Heard
from pipeline.stages.intake import Counts, Intake, Source, accepted_event, fold_key
from pipeline.stages.lifecycle import Lifecycle
from pipeline.stages.limits import RefusalLimit
from pipeline.stages.publisher import Publisher
from pipeline.stages.wire import (
    EXHIBIT,
    GENERATION,
    HEARTBEAT,
    RATE,
    RESTART,
    TICK,
    Tick,
    control_kind,
    decode_generation,
    decode_heartbeat,
    decode_rate,
    decode_restart,
    decode_tick,
)
from schemas.topics import (
    CONTACTS,
    DEAD_LETTERS,
    EXHIBITS,
    FACTS,
    INTERACTIONS,
    PARTIALS,
    PERFORMANCES,
    SOURCES,
)

Now = Callable[[], int]


def lifecycle(
    app: BatchApp,
    started_with: Configuration,
    keys: CustomerKeys,
    source: Source,
    *,
    changelog: str | None,
    silence: Silence,
    now_ms: Now | None,
    tick_seconds: float,
    limit: Callable[[], RefusalLimit | None] = lambda: None,
) -> Stage:
    """Register the lifecycle agent on ``app``.

    ``source`` says how events are read that did not pass intake. ``now_ms`` is the clock whose
    ticks the owner of a partition writes into it; without one, somebody else writes them. ``limit``
    makes what stops the worker when too much is refused of what did not pass intake.
    """
    limits: dict[int, RefusalLimit | None] = {}

    def memory(number: int, state: Mapping[bytes, bytes]) -> Lifecycle:
        limits[number] = limit()
        counts = stage.partition_counts
        publisher = Publisher(
            f"lifecycle/{number}", state,
            partitions=counts[INTERACTIONS],
            partial_partitions=counts[PARTIALS],
            clock_topics={name: counts[name] for name in (CONTACTS, PERFORMANCES)},
        )  # fmt: skip
        return Lifecycle(
            started_with, publisher, state, silence, interaction_partitions=counts[INTERACTIONS]
        )

    stage = Stage(
        app,
        "lifecycle",
        topics=(INTERACTIONS,),
        outputs=(
            FACTS,
            CONTACTS,
            PERFORMANCES,
            PARTIALS,
            DEAD_LETTERS,
            INTERACTIONS,
            EXHIBITS,
            SOURCES,
        ),
        changelog=changelog,
        memory=memory,
        idle_seconds=None if now_ms is None else tick_seconds / 4,
    )
    last_tick_ms: dict[int, int] = {}
    heard = Heard()

    def take(record: Record, taker: Intake, checkpoint: Checkpoint, counts: Counts) -> None:
        folds: Lifecycle = checkpoint.memory
        kind = control_kind(record.headers) if record.headers else None
        if kind == TICK:
            folds.tick(decode_tick(record.value or b""))
        elif kind == RESTART:
            folds.restart(decode_restart(record.value or b""), checkpoint)
        elif kind == GENERATION:
            folds.generation(decode_generation(record.value or b""), checkpoint)
        elif kind == EXHIBIT:
            folds.change(decode_change(record.value or b""), checkpoint)
        elif kind == RATE:
            folds.rate(decode_rate(record.value or b""), checkpoint)
        elif kind == HEARTBEAT and (beat := decode_heartbeat(record.value)) is not None:
            pass_on(beat, checkpoint, (FACTS, CONTACTS, PERFORMANCES, PARTIALS))
        elif (event := accepted_event(record)) is not None:
            folds.take(fold_key(event), reduce(event))
        else:
            taker.take(source, record, checkpoint, counts)

    def write_tick(checkpoint: Checkpoint) -> None:
        """Let the log's clock go on: a record in this very partition, under this owner's fence."""
        if now_ms is None:
            return
        number = checkpoint.partition.number
        step_ms = round(tick_seconds * 1000)
        tick_ms = now_ms() // step_ms * step_ms
        if tick_ms > last_tick_ms.get(number, 0):
            last_tick_ms[number] = tick_ms
            value, headers = tick_record(Tick("", 0, tick_ms))
            checkpoint.send(
                INTERACTIONS, None, value,
                partition=number, timestamp_ms=tick_ms, headers=headers,
            )  # fmt: skip

    @app.agent(stage.channel, name="lifecycle")
    async def agent(batches: AsyncIterator[Batch]) -> None:
        async for batch in stage.batches(batches):
            async with stage.checkpoint(batch) as checkpoint:
                folds: Lifecycle = checkpoint.memory
                taker = Intake(
                    keys,
                    stage.partition_counts[INTERACTIONS],
                    limit=limits[checkpoint.partition.number],
                )
                counts = Counts.none()
                for record in batch.records:
                    take(record, taker, checkpoint, counts)
                await in_turns(folds.steps(checkpoint))
                write_tick(checkpoint)
                known = heard.tell(batch.partition.tp, counts.heard, checkpoint)
                checkpoint.after_commit(partial(count_intake, counts, known))
                checkpoint.after_commit(partial(_count, folds))

    return stage


def _count(folds: Lifecycle) -> None:
    metrics.DUPLICATES.inc(folds.duplicates)
    folds.duplicates = 0
    count_late(folds.late)
