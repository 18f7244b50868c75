"""A trial that is fed by the clock: so much of the load as of the time that it shall take."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from tests.faults.checker import committed_now
from tests.faults.trial import Trial
from tests.integration.logs import PARTITIONS

_STEP_SECONDS = 0.2


class Paced:
    """Feeds a trial evenly over ``seconds``, and waits for things meanwhile.

    Args:
        trial: The trial; its whole load is fed.
        seconds: How long that takes.

    Attributes:
        most: Share of the load that may be written by now, however much time has passed: on a slow
            machine the load must not be over before the last fault has something to break.
    """

    def __init__(self, trial: Trial, seconds: float) -> None:
        self.trial = trial
        self.seconds = seconds
        self.most = 1.0
        self._began = time.monotonic()
        self._records = trial.left

    @property
    def passed(self) -> float:
        """Share of the time that has passed, at most 1."""
        return min((time.monotonic() - self._began) / self.seconds, 1.0)

    def feed(self, *, more: bool = False) -> None:
        """Write what is due by now, or a chunk ``more`` if there is one."""
        due = min(self.passed, self.most)
        while self.trial.left > self._records * (1 - due):
            self.trial.feed(1, pause_seconds=0.0)
        if more and self.trial.left:
            self.trial.feed(1, pause_seconds=0.0)

    def until(self, condition: Callable[[], Any], what: str, seconds: float = 120.0) -> Any:
        """Feed until ``condition`` is true; its value.

        Raises:
            AssertionError: it did not come true in time.
        """
        deadline = time.monotonic() + seconds
        while not (found := condition()):
            tails = "\n".join(worker.tail()[-1_500:] for worker in self.trial.place.workers[-3:])
            assert time.monotonic() < deadline, f"waited {seconds:g} s for {what}\n{tails}"
            self.feed()
            time.sleep(_STEP_SECONDS)
        return found

    def until_passed(self, share: float) -> None:
        """Feed until so much of the time has passed."""
        while self.passed < share:
            self.feed()
            time.sleep(_STEP_SECONDS)

    def progress(self, role: str) -> None:
        """Feed until a role has committed more than now, with something left to be done."""
        before = sum(committed_now(self.trial.place, role).values())
        self.feed(more=True)
        self.until(
            lambda: sum(committed_now(self.trial.place, role).values()) > before,
            f"progress of {role}",
        )
        self.feed(more=True)

    def owned(self, *, by: int = 1) -> None:
        """Feed until every partition of lifecycle is owned by running workers, at least ``by``."""
        trial = self.trial

        def all_owned() -> bool:
            found = [
                worker.metric("cx_owned_partitions", stage="lifecycle")
                for worker in trial.running
                if worker.status != "stopped"
            ]
            return sum(found) >= PARTITIONS and len(found) >= by

        self.until(all_owned, "all partitions of lifecycle to be owned")
