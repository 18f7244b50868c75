"""Which keys time alone will change, and when: due in a fixed order, whatever was set first."""

from __future__ import annotations

from heapq import heappop, heappush


class Timers:
    """One due moment a key; due keys come out sorted by moment and key.

    Each key that is due has a place in a heap, at its moment or earlier: a moment that moves on, as
    it does with most events, costs nothing until its old place comes up.
    """

    def __init__(self) -> None:
        self._due: dict[bytes, int] = {}
        self._heap: list[tuple[int, bytes]] = []

    def set(self, key: bytes, due_ms: int | None) -> None:
        """Let ``key`` be due at ``due_ms``, never if None."""
        if due_ms is None:
            self._due.pop(key, None)
            return
        before_ms = self._due.get(key)
        self._due[key] = due_ms
        if before_ms is None or due_ms < before_ms:
            heappush(self._heap, (due_ms, key))

    def pop_due(self, clock_ms: int) -> list[bytes]:
        """Remove and return the keys due at or before ``clock_ms``."""
        found = []
        while self._heap and self._heap[0][0] <= clock_ms:
            place_ms, key = heappop(self._heap)
            due_ms = self._due.get(key)
            if due_ms is None:
                continue
            if due_ms > place_ms:
                heappush(self._heap, (due_ms, key))
            else:
                del self._due[key]
                found.append(key)
        return found

    def keys(self) -> list[bytes]:
        """All keys with a due moment, sorted."""
        return sorted(self._due)
