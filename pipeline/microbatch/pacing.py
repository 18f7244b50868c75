"""Room in a broker whose log is short: writers wait until readers have caught up.

librdkafka's mock cluster drops what exceeds a few megabytes a partition, read or not. In one
process every reader's progress is known, so nothing has to be dropped: a writer waits.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

LIMIT_BYTES: Final = 2 * 1024 * 1024
LIMIT_RECORDS: Final = 40_000


@dataclass
class _Log:
    """What was written to one partition and not read by all yet: (end offset, records, bytes)."""

    written: deque[tuple[int, int, int]] = field(default_factory=deque)
    records: int = 0
    bytes: int = 0
    end: int = 0


class Pacer:
    """Knows what is written and what all readers have committed, partition by partition."""

    def __init__(self) -> None:
        self._logs: dict[tuple[str, int], _Log] = {}
        self._readers: dict[str, dict[str, dict[int, int]]] = {}
        self._moved = asyncio.Condition()

    def add_reader(self, topic: str, reader: str) -> None:
        """Writers of ``topic`` wait for ``reader``."""
        self._readers.setdefault(topic, {})[reader] = {}

    async def room(self, topic: str, partition: int, writer: str) -> None:
        """Return once the partition has room; a stage never waits for itself."""
        readers = self._readers.get(topic, {})
        if not readers or writer in readers:
            return
        log = self._logs.setdefault((topic, partition), _Log())
        async with self._moved:
            await self._moved.wait_for(
                lambda: log.bytes < LIMIT_BYTES and log.records < LIMIT_RECORDS
            )

    def wrote(self, topic: str, partition: int, end: int, records: int, size: int) -> None:
        """``records`` of ``size`` bytes now lie before offset ``end``."""
        log = self._logs.setdefault((topic, partition), _Log())
        log.end = max(log.end, end)
        if topic in self._readers:
            log.written.append((end, records, size))
            log.records += records
            log.bytes += size

    async def read(self, topic: str, partition: int, reader: str, offset: int) -> None:
        """``reader`` has committed everything before ``offset``."""
        readers = self._readers.get(topic)
        if readers is None or reader not in readers:
            return
        readers[reader][partition] = offset
        log = self._logs.setdefault((topic, partition), _Log())
        done = min(positions.get(partition, 0) for positions in readers.values())
        while log.written and log.written[0][0] <= done:
            _, records, size = log.written.popleft()
            log.records -= records
            log.bytes -= size
        async with self._moved:
            self._moved.notify_all()

    def _drained(self) -> bool:
        return all(
            positions.get(partition, 0) >= log.end
            for (topic, partition), log in self._logs.items()
            for positions in self._readers.get(topic, {}).values()
        )

    async def drained(self, ended: Callable[[], bool] = lambda: False) -> None:
        """Return once every reader has committed everything written, or ``ended`` says stop."""
        async with self._moved:
            await self._moved.wait_for(lambda: self._drained() or ended())

    async def nudge(self) -> None:
        """Let whoever waits look again: something outside has ended."""
        async with self._moved:
            self._moved.notify_all()
