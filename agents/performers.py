"""Performers agent.

in: ``cx.performances``, keyed by performer, with the ticks of every lifecycle partition.
state: stints, schedules, states and contributions of each performer, changelog
``cx.performers.changelog``.
out: ``cx.facts``, ``cx.partials`` at ticks that all sources have passed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from functools import partial

from pipeline import metrics
from pipeline.heartbeats import pass_on
from pipeline.microbatch import Batch, BatchApp, Stage, in_turns
from pipeline.stages.configuration import Configuration, decode_configuration
from pipeline.stages.counting import count_late
from pipeline.stages.performers import Performers
from pipeline.stages.publisher import Publisher, sources
from pipeline.stages.wire import (
    EXHIBITS,
    HEARTBEAT,
    TICK,
    control_kind,
    decode_heartbeat,
    decode_performance,
    decode_tick,
)
from schemas.topics import FACTS, INTERACTIONS, PARTIALS, PERFORMANCES


def performers(app: BatchApp, started_with: Configuration, *, changelog: str | None) -> Stage:
    """Register the performers agent on ``app``."""

    def memory(number: int, state: Mapping[bytes, bytes]) -> Performers:
        counts = stage.partition_counts
        publisher = Publisher(
            f"performers/{number}", state,
            partitions=counts[PERFORMANCES], partial_partitions=counts[PARTIALS], clock_topics={},
        )  # fmt: skip
        return Performers(
            started_with, publisher, state, sources("lifecycle", counts[INTERACTIONS])
        )

    stage = Stage(
        app,
        "performers",
        topics=(PERFORMANCES,),
        outputs=(FACTS, PARTIALS),
        knows=(INTERACTIONS, PERFORMANCES),
        changelog=changelog,
        memory=memory,
    )

    @app.agent(stage.channel, name="performers")
    async def agent(batches: AsyncIterator[Batch]) -> None:
        async for batch in stage.batches(batches):
            async with stage.checkpoint(batch) as checkpoint:
                folds: Performers = checkpoint.memory
                for record in batch.records:
                    kind = control_kind(record.headers) if record.headers else None
                    if kind == TICK:
                        folds.tick(decode_tick(record.value or b""))
                    elif kind == EXHIBITS:
                        folds.configure(decode_configuration(record.value or b""), checkpoint)
                    elif kind == HEARTBEAT and (beat := decode_heartbeat(record.value)) is not None:
                        pass_on(beat, checkpoint, (PARTIALS,))
                    else:
                        folds.take(record.key or b"", decode_performance(record.value or b""))
                await in_turns(folds.steps(checkpoint))
                checkpoint.after_commit(partial(_count, folds))

    return stage


def _count(folds: Performers) -> None:
    metrics.DUPLICATES.inc(folds.duplicates)
    folds.duplicates = 0
    count_late(folds.late)
