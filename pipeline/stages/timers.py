"""Which keys time alone will change, and when: due in a fixed order, whatever was set first."""

from __future__ import annotations

from heapq import heappop, heappush


class Timers:
    """One due moment a key; due keys come out sorted by moment and key."""

    def __init__(self) -> None:
        self._due: dict[bytes, int] = {}
        self._heap: list[tuple[int, bytes]] = []

    def set(self, key: bytes, due_ms: int | None) -> None:
        """Let ``key`` be due at ``due_ms``, never if None."""
        if due_ms is None:
            self._due.pop(key, None)
        elif self._due.get(key) != due_ms:
            self._due[key] = due_ms
            heappush(self._heap, (due_ms, key))

    def pop_due(self, clock_ms: int) -> list[bytes]:
        """Remove and return the keys due at or before ``clock_ms``."""
        found = []
        while self._heap and self._heap[0][0] <= clock_ms:
            due_ms, key = heappop(self._heap)
            # A moment that was moved since is left in the heap and skipped here.
            if self._due.get(key) == due_ms:
                del self._due[key]
                found.append(key)
        return found

    def keys(self) -> list[bytes]:
        """All keys with a due moment, sorted."""
        return sorted(self._due)
