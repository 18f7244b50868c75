"""Whether a worker does its work: alive while it makes progress, ready once it has restored.

Alive is judged by progress and not by results. A partition has work while it is being restored,
while a batch of it is under way, or while records that can be read wait for it. If then, for longer
than the budget, it neither commits nor reads on in its restore, it is stuck, and a restart is the
cure. A service that is away is no reason to restart: whoever tries again and says so is alive.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Final, NamedTuple

from pipeline.microbatch import Observer
from pipeline.settings import LIVE_SECONDS

BEAT_SECONDS: Final = 1.0


class Report(NamedTuple):
    """A judgement and, where it is bad, every reason for it."""

    good: bool
    reasons: tuple[str, ...] = ()


@dataclass
class _Watched:
    """One partition; ``since`` is its last progress, or when its work began."""

    since: float
    restored: bool = False
    under_way: bool = False
    behind: int = 0

    @property
    def has_work(self) -> bool:
        return not self.restored or self.under_way or self.behind > 0

    @property
    def work(self) -> str:
        if not self.restored:
            return "restoring"
        return "a batch under way" if self.under_way else f"{self.behind} records waiting"


class Health(Observer):
    """Judges the stages of one process. Reports may be asked for from any thread.

    Args:
        live_seconds: Work without progress for longer than this means stuck.
        monotonic: Clock in seconds.
    """

    def __init__(
        self,
        live_seconds: float = LIVE_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._live_seconds = live_seconds
        self._monotonic = monotonic
        self._beat_at = monotonic()
        self._assigned: dict[str, bool] = {}
        self._watched: dict[tuple[str, str, int], _Watched] = {}
        self._lock = Lock()

    # --- what is asked --------------------------------------------------------------------------

    def live(self) -> Report:
        """Good while the event loop turns and every partition with work makes progress."""
        with self._lock:
            now = self._monotonic()
            reasons = [
                f"{_name(key)}: {one.work}, no progress for {now - one.since:.0f} s"
                for key, one in sorted(self._watched.items())
                if one.has_work and now - one.since > self._live_seconds
            ]
            if now - self._beat_at > self._live_seconds:
                reasons.append(f"the event loop has not turned for {now - self._beat_at:.0f} s")
        return Report(not reasons, tuple(reasons))

    def ready(self) -> Report:
        """Good once every stage was given its partitions and has restored each of them."""
        with self._lock:
            reasons = [
                f"{stage}: no partitions assigned yet"
                for stage, assigned in sorted(self._assigned.items())
                if not assigned
            ]
            reasons += [
                f"{_name(key)}: restoring"
                for key, one in sorted(self._watched.items())
                if not one.restored
            ]
            if not self._assigned:
                reasons.append("no stage has started")
        return Report(not reasons, tuple(reasons))

    # --- what is told ---------------------------------------------------------------------------

    async def keep_beating(self) -> None:
        """Show that the event loop turns, until cancelled."""
        while True:
            self.beat()
            await asyncio.sleep(BEAT_SECONDS)

    def beat(self) -> None:
        """The event loop turns."""
        self._beat_at = self._monotonic()

    def waits(self, stages: str) -> None:
        """Stages whose names begin so tried a service that is away, and will try again."""
        with self._lock:
            for (stage, _, _), one in self._watched.items():
                if stage.startswith(stages):
                    one.since = self._monotonic()

    def added(self, stage: str) -> None:
        """A stage exists."""
        with self._lock:
            self._assigned[stage] = False

    def assigned(self, stage: str, owned: int, total: int) -> None:  # noqa: ARG002
        """The group has spoken; owning nothing is fine too."""
        with self._lock:
            self._assigned[stage] = True

    def restoring(self, stage: str, topic: str, partition: int) -> None:
        """A restore begins, or read on."""
        with self._lock:
            self._watched[stage, topic, partition] = _Watched(self._monotonic())

    def restore_failed(
        self,
        stage: str,
        topic: str,
        partition: int,
        error: Exception,  # noqa: ARG002
    ) -> None:
        """The broker is away: trying again is all there is to do."""
        self.restoring(stage, topic, partition)

    def restored(self, stage: str, topic: str, partition: int, keys: int) -> None:  # noqa: ARG002
        """A partition is ready."""
        with self._lock:
            self._watched[stage, topic, partition] = _Watched(self._monotonic(), restored=True)

    def began(self, stage: str, topic: str, partition: int) -> None:
        """A batch is under way."""
        self._work(stage, topic, partition, under_way=True)

    def behind(self, stage: str, topic: str, partition: int, records: int) -> None:
        """Records wait."""
        self._work(stage, topic, partition, behind=records)

    def committed(self, stage: str, topic: str, partition: int, records: int) -> None:  # noqa: ARG002
        """A batch is done."""
        with self._lock:
            one = self._watched.get((stage, topic, partition))
            if one is not None:
                one.since, one.under_way = self._monotonic(), False

    def lost(self, stage: str, topic: str, partition: int) -> None:
        """Somebody else's now."""
        with self._lock:
            self._watched.pop((stage, topic, partition), None)

    def _work(
        self,
        stage: str,
        topic: str,
        partition: int,
        *,
        under_way: bool | None = None,
        behind: int | None = None,
    ) -> None:
        with self._lock:
            one = self._watched.get((stage, topic, partition))
            if one is None:
                return
            idle = not one.has_work
            one.under_way = one.under_way if under_way is None else under_way
            one.behind = one.behind if behind is None else behind
            if idle:
                one.since = self._monotonic()


def _name(key: tuple[str, str, int]) -> str:
    stage, topic, partition = key
    return f"{stage} {topic}[{partition}]"
