"""Sources that have fallen silent: numbers that rest on them are no all-clear."""

from __future__ import annotations

import re

import msgspec

from schemas.exhibit import Exhibit, glob_pattern
from schemas.sources import SourceHeard
from schemas.values import TOTAL


class SilentSource(msgspec.Struct, frozen=True):
    """A source of events that was heard last at ``since_ms``."""

    source: str
    since_ms: int


class Sources:
    """When each source was heard last, by queue.

    Args:
        silent_seconds: A source that was not heard for longer, by the clock of the values, is
            silent.
    """

    def __init__(self, silent_seconds: float) -> None:
        self._silent_ms = silent_seconds * 1000
        self._last_ms: dict[str, dict[str, int]] = {}

    def take(self, heard: SourceHeard) -> None:
        """A reader of the log heard a source; of several readers the latest counts."""
        queues = self._last_ms.setdefault(heard.source, {})
        queues[heard.queue] = max(heard.at_ms, queues.get(heard.queue, 0))

    def silent(self, exhibit: Exhibit, cell: tuple[str, ...], clock_ms: int) -> list[SilentSource]:
        """Silent sources that a cell of an exhibit rests on: those that ever told of its queues."""
        found = []
        for source, queues in sorted(self._last_ms.items()):
            last_ms = max(queues.values())
            silent = clock_ms - last_ms > self._silent_ms
            if silent and any(_counts(exhibit, cell, queue) for queue in queues):
                found.append(SilentSource(source, last_ms))
        return found


def _counts(exhibit: Exhibit, cell: tuple[str, ...], queue: str) -> bool:
    """Whether contacts of a queue are in a cell, as far as queues decide."""
    chosen = dict(zip(exhibit.by, cell, strict=True)).get("queue", TOTAL)
    if chosen != TOTAL:
        return queue == chosen
    patterns = exhibit.effective_where.get("queue")
    return patterns is None or any(
        re.fullmatch(glob_pattern(one), queue, re.DOTALL) for one in patterns
    )
