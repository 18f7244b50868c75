"""Intake agent.

in: ``cx.raw.<platform>``, keyed by the platform's conversation id. state: none.
out: ``cx.interactions`` keyed by interaction, ``cx.dead-letters``, ``cx.sources``; heartbeats, also
back to ``cx.raw.<platform>``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial

from pipeline.heartbeats import Beater, pass_on
from pipeline.identity import CustomerKeys
from pipeline.microbatch import Batch, BatchApp, Stage
from pipeline.stages.counting import count_intake
from pipeline.stages.heard import Heard
from pipeline.stages.intake import Counts, Intake, Source
from pipeline.stages.limits import RefusalLimit
from pipeline.stages.wire import heartbeat_in
from schemas.topics import DEAD_LETTERS, INTERACTIONS, SOURCES, raw_topic


def intake(
    app: BatchApp,
    sources: Mapping[str, Source],
    keys: CustomerKeys,
    *,
    until_ms: int | None = None,
    limit: Callable[[], RefusalLimit | None] = lambda: None,
    heartbeat_seconds: float = 0.0,
) -> Stage:
    """Register the intake agent on ``app`` for the given platforms.

    ``limit`` makes what stops the worker when too much of a partition is refused. A heartbeat is
    written into each raw partition each ``heartbeat_seconds``, 0 for never.
    """
    by_topic = {raw_topic(name): source for name, source in sources.items()}
    stage = Stage(
        app,
        "intake",
        topics=sorted(by_topic),
        outputs=(INTERACTIONS, DEAD_LETTERS, SOURCES),
        memory=lambda _number, _state: limit(),
        idle_seconds=heartbeat_seconds / 4 if heartbeat_seconds else None,
    )
    beater = Beater(heartbeat_seconds) if heartbeat_seconds else None
    heard = Heard()

    @app.agent(stage.channel, name="intake")
    async def agent(batches: AsyncIterator[Batch]) -> None:
        async for batch in stage.batches(batches):
            async with stage.checkpoint(batch) as checkpoint:
                taker = Intake(
                    keys, stage.partition_counts[INTERACTIONS], until_ms, checkpoint.memory
                )
                counts = Counts.none()
                for record in batch.records:
                    if (beat := heartbeat_in(record)) is not None:
                        pass_on(beat, checkpoint, (INTERACTIONS,))
                    else:
                        taker.take(by_topic[record.topic], record, checkpoint, counts)
                if beater is not None:
                    beater.beat(checkpoint)
                known = heard.tell(batch.partition.tp, counts.heard, checkpoint)
                checkpoint.after_commit(partial(count_intake, counts, known))

    return stage
