"""Journeys agent.

in: ``cx.contacts``, keyed by customer, with the ticks of every lifecycle partition; links between
identities in partition 0.
state: contacts and contributions of each customer, links and places, changelog
``cx.journeys.changelog``.
out: ``cx.facts``, ``cx.partials`` at ticks that all sources have passed; back to ``cx.contacts`` go
places, and contacts of linked customers.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

from pipeline.heartbeats import pass_on
from pipeline.microbatch import Batch, BatchApp, Stage, in_turns
from pipeline.stages.configuration import Configuration, decode_configuration
from pipeline.stages.journeys import Journeys
from pipeline.stages.publisher import Publisher, sources
from pipeline.stages.wire import (
    EXHIBITS,
    HEARTBEAT,
    TICK,
    control_kind,
    decode_contact,
    decode_heartbeat,
    decode_tick,
)
from schemas.topics import CONTACTS, FACTS, INTERACTIONS, PARTIALS


def journeys(
    app: BatchApp, started_with: Configuration, *, changelog: str | None, shared_after: int
) -> Stage:
    """Register the journeys agent on ``app``.

    An identifier that is linked to more accounts than ``shared_after`` joins nobody.
    """

    def memory(number: int, state: Mapping[bytes, bytes]) -> Journeys:
        counts = stage.partition_counts
        publisher = Publisher(
            f"journeys/{number}", state,
            partitions=counts[CONTACTS], partial_partitions=counts[PARTIALS], clock_topics={},
        )  # fmt: skip
        return Journeys(
            started_with, publisher, state, sources("lifecycle", counts[INTERACTIONS]), shared_after
        )

    stage = Stage(
        app,
        "journeys",
        topics=(CONTACTS,),
        outputs=(FACTS, PARTIALS, CONTACTS),
        knows=(INTERACTIONS,),
        changelog=changelog,
        memory=memory,
    )

    @app.agent(stage.channel, name="journeys")
    async def agent(batches: AsyncIterator[Batch]) -> None:
        async for batch in stage.batches(batches):
            async with stage.checkpoint(batch) as checkpoint:
                folds: Journeys = checkpoint.memory
                for record in batch.records:
                    kind = control_kind(record.headers) if record.headers else None
                    if kind == TICK:
                        folds.tick(decode_tick(record.value or b""))
                    elif kind == EXHIBITS:
                        folds.configure(decode_configuration(record.value or b""), checkpoint)
                    elif kind == HEARTBEAT and (beat := decode_heartbeat(record.value)) is not None:
                        pass_on(beat, checkpoint, (PARTIALS,))
                    else:
                        folds.take(record.key or b"", decode_contact(record.value or b""))
                await in_turns(folds.steps(checkpoint))

    return stage
