"""Intake agent.

in: ``cx.raw.<platform>``, keyed by the platform's conversation id. state: none.
out: ``cx.interactions`` keyed by interaction, ``cx.dead-letters``, ``cx.sources``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial

from pipeline.identity import CustomerKeys
from pipeline.microbatch import Batch, BatchApp, Stage
from pipeline.stages.counting import count_intake
from pipeline.stages.heard import Heard
from pipeline.stages.intake import Counts, Intake, Source
from pipeline.stages.limits import RefusalLimit
from schemas.topics import DEAD_LETTERS, INTERACTIONS, SOURCES, raw_topic


def intake(
    app: BatchApp,
    sources: Mapping[str, Source],
    keys: CustomerKeys,
    *,
    until_ms: int | None = None,
    limit: Callable[[], RefusalLimit | None] = lambda: None,
) -> Stage:
    """Register the intake agent on ``app`` for the given platforms.

    ``limit`` makes what stops the worker when too much of a partition is refused.
    """
    by_topic = {raw_topic(name): source for name, source in sources.items()}
    stage = Stage(
        app,
        "intake",
        topics=sorted(by_topic),
        outputs=(INTERACTIONS, DEAD_LETTERS, SOURCES),
        memory=lambda _number, _state: limit(),
    )
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
                    taker.take(by_topic[record.topic], record, checkpoint, counts)
                known = heard.tell(batch.partition.tp, counts.heard, checkpoint)
                checkpoint.after_commit(partial(count_intake, counts, known))

    return stage
