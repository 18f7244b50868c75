"""When each source was heard last, by queue, and telling it to whoever judges silence.

A number that rests on a source which has fallen silent is no all-clear. How long ago the last event
came is measured by the times of records, so no wall clock is asked here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from pipeline.stages.wire import Out
from schemas.compiled import AnyEvent
from schemas.sources import OTHER, SourceHeard, encode_heard
from schemas.topics import SOURCES

SourceQueue = tuple[str, str]
"""Name of a source and a queue of it; the queue is empty where an event names none."""

APART: Final = frozenset((
    "plan", "evaluation", "ai_decision", "survey_answered", "identity_linked",
    "case_opened", "case_resolved", "case_reopened",
))  # fmt: skip
"""Kinds that come in files once a day, or long after a contact: their silence means nothing."""

MAX_PAIRS: Final = 500
"""Pairs of source and queue a stage of a worker tells apart; all further ones are told as one."""

STEP_MS: Final = 5_000
"""A pair is told again once it was heard so much later: some records a second, whatever comes."""


def note(heard: dict[SourceQueue, int], event: AnyEvent, at_ms: int) -> None:
    """Remember that ``event`` came in a record of ``at_ms`` (UTC epoch milliseconds)."""
    if event.kind not in APART:
        pair = (event.source, event.queue or "")
        if at_ms > heard.get(pair, 0):
            heard[pair] = at_ms


class Heard:
    """Tells when sources were heard, for all partitions a stage of this worker reads.

    What it remembers only spares records: after a restart everything is told again once.
    """

    def __init__(self) -> None:
        self._pairs: set[SourceQueue] = set()
        self._told: dict[tuple[tuple[str, int], SourceQueue], int] = {}

    def tell(
        self, reader: tuple[str, int], heard: Mapping[SourceQueue, int], out: Out
    ) -> dict[SourceQueue, int]:
        """Send what moved on by a step since it was told last; ``heard``, bounded.

        Args:
            reader: Topic and partition that were read; each tells for itself.
            heard: Record times by source and queue.
            out: Where it is sent to.
        """
        bounded = self._bounded(heard)
        for pair, at_ms in bounded.items():
            if at_ms >= self._told.get((reader, pair), -STEP_MS) + STEP_MS:
                self._told[reader, pair] = at_ms
                key = msgspec.json.encode((*pair, *reader))
                out.send(SOURCES, key, encode_heard(SourceHeard(*pair, at_ms)))
        return bounded

    def _bounded(self, heard: Mapping[SourceQueue, int]) -> dict[SourceQueue, int]:
        found: dict[SourceQueue, int] = {}
        for pair, at_ms in heard.items():
            kept = pair
            if pair not in self._pairs and len(self._pairs) >= MAX_PAIRS:
                kept = (OTHER, OTHER)
            self._pairs.add(kept)
            found[kept] = max(at_ms, found.get(kept, 0))
        return found
