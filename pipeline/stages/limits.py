"""When so much is refused that going on would drain a topic instead of reading it."""

from __future__ import annotations

from collections import deque

from schemas.platforms.base import Reason


class TooManyRefusedError(RuntimeError):
    """A worker stops here: what it reads is not what it was set up for."""


class RefusalLimit:
    """Watches one partition: how many records in a row, and what share of the last ones.

    Args:
        streak: So many refused records in a row stop the worker; 0: never.
        ratio: More than this share of the last ``window`` records stops it; 1: never.
        window: How many records the share is of; fewer decide nothing.
    """

    def __init__(self, streak: int, ratio: float, window: int = 10_000) -> None:
        self._streak_limit = streak
        self._ratio = ratio
        self._streak = 0
        self._last: deque[bool] = deque(maxlen=window)
        self._refused = 0

    def see(self, reason: Reason | None) -> None:
        """Note what became of the next record: why it was refused, or None.

        Raises:
            TooManyRefusedError: that was one too many; nothing of its batch may be committed.
        """
        refused = reason is not None
        self._streak = self._streak + 1 if refused else 0
        if len(self._last) == self._last.maxlen:
            self._refused -= self._last[0]
        self._last.append(refused)
        self._refused += refused
        if self._streak_limit and self._streak >= self._streak_limit:
            raise TooManyRefusedError(
                f"{self._streak} records in a row were refused, the last one as {reason}: the"
                " worker stops before more of the topic becomes dead letters; see"
                " `cxstream dead-letters list`"
            )
        full = len(self._last) == self._last.maxlen
        if full and self._refused > self._ratio * len(self._last):
            raise TooManyRefusedError(
                f"{self._refused} of the last {len(self._last)} records were refused, the last one"
                f" as {reason}: the worker stops; see `cxstream dead-letters list`"
            )
