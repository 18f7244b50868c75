"""Windows of one group in one cell: merged panes, and their sums over any window.

Windows are running sums: a changed share moves every window it lies in by the difference.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator, Sequence

from pipeline.kpi import spans
from pipeline.kpi.group import Group
from pipeline.kpi.panes import QUARTER_MS, SECOND_MS, PaneKey
from pipeline.kpi.vectors import Told, Vector, add, empty_like
from schemas.exhibit import TumblingSize


class Windows:
    """Merged panes of one group in one cell, roll-ups included.

    Attributes:
        everything: All that was ever added.
        fine: Vectors by second, for sliding windows.
        buckets: Vectors by start, for each size in use.
        running: Vectors of the sliding windows, by size.
        shares: Of an extreme, which cannot be summed: what each source has in each pane.
        floor_ms: Buckets that start earlier are held no longer.
    """

    def __init__(self, group: Group, like: Told, sizes: Iterable[TumblingSize]) -> None:
        self.group = group
        self.everything: Vector = empty_like(like)
        self.fine: dict[int, Vector] = {}
        self.buckets: dict[TumblingSize, dict[int, Vector]] = {size: {} for size in sizes}
        self.running: dict[str, Vector] = {}
        self.shares: dict[PaneKey, dict[str, Told]] = {}
        self.floor_ms = 0
        self._like = empty_like(like)
        self._held: dict[TumblingSize, Vector] = {size: empty_like(like) for size in sizes}
        self._starts: dict[TumblingSize, list[int]] = {size: [] for size in sizes}
        self._before: dict[TumblingSize, list[Vector]] = {size: [] for size in sizes}

    # --- adding ---------------------------------------------------------------------------------

    def add_bucket(self, size: TumblingSize, start_ms: int, change: Told | None) -> bool:
        """Add to a bucket, which is made if need be; whether it was."""
        buckets = self.buckets[size]
        made = start_ms not in buckets
        if made:
            buckets[start_ms] = empty_like(self._like)
            insort(self._starts[size], start_ms)
        if change is not None:
            add(buckets[start_ms], change)
            if self.group.shape == "span":
                add(self._held[size], change)
            # What is known of sums before later buckets does not hold any more.
            del self._before[size][bisect_left(self._starts[size], start_ms) + 1 :]
        return made

    def let_go(self, floor_ms: int, sizes: Iterable[TumblingSize]) -> None:
        """Hold no buckets of ``sizes`` any more that start before ``floor_ms``."""
        self.floor_ms = floor_ms
        for size in sizes:
            starts = self._starts[size]
            place = bisect_left(starts, floor_ms)
            for start_ms in starts[:place]:
                gone = self.buckets[size].pop(start_ms)
                if self.group.shape == "span":
                    add(self._held[size], gone, -1)
            if place:
                del starts[:place]
                self._before[size].clear()

    def add_fine(self, second: int, change: Told) -> bool:
        """Add to a second, which is made if need be; whether it was."""
        made = second not in self.fine
        if made:
            self.fine[second] = empty_like(self._like)
        add(self.fine[second], change)
        return made

    def add_running(self, size: str, change: Told, sign: int = 1) -> None:
        """Add to a sliding window."""
        if size not in self.running:
            self.running[size] = empty_like(self._like)
        add(self.running[size], change, sign)

    # --- reading --------------------------------------------------------------------------------

    def starts(self, size: TumblingSize, from_ms: int | None, until_ms: int) -> Iterator[int]:
        """Starts of the buckets there are, from ``from_ms`` on and before ``until_ms``."""
        starts = self._starts[size]
        begin = 0 if from_ms is None else bisect_left(starts, from_ms)
        for place in range(begin, len(starts)):
            if starts[place] >= until_ms:
                return
            yield starts[place]

    def bucket(self, size: TumblingSize, start_ms: int) -> Vector:
        """The vector of a bucket; an empty one where there is none."""
        found = self.buckets[size].get(start_ms)
        return empty_like(self._like) if found is None else found

    def before(self, size: TumblingSize, start_ms: int) -> Vector:
        """The sum of all that turned in earlier buckets, held or not."""
        starts, known = self._starts[size], self._before[size]
        place = bisect_left(starts, start_ms)
        if not known:
            known.append(empty_like(self._like))
        while len(known) <= place:
            total = empty_like(self._like)
            add(total, known[-1])
            add(total, self.buckets[size][starts[len(known) - 1]])
            known.append(total)
        if not self.floor_ms:
            return known[place]
        total = empty_like(self._like)
        add(total, known[place])
        add(total, self.everything)
        add(total, self._held[size], -1)
        return total

    def let_go_of(self, size: TumblingSize) -> list[int]:
        """Of what is clipped: the turns in buckets that are held no longer."""
        total = empty_like(self._like)
        add(total, self.everything)
        add(total, self._held[size], -1)
        return total if isinstance(total, list) else []

    def goes_on(self, size: TumblingSize, start_ms: int) -> bool:
        """Whether some interval reaches from before ``start_ms`` beyond it."""
        before = self.before(size, start_ms)
        return isinstance(before, list) and spans.goes_on(before)

    def span(
        self,
        start_ms: int | None,
        end_ms: int,
        *,
        size: TumblingSize | None = None,
        sliding: str | None = None,
        edge_ms: int = 0,
    ) -> list[int]:
        """Sums of what is clipped over [start_ms, end_ms): a bucket, a sliding window, or all.

        A sliding window ends at ``edge_ms``, the whole second of the clock.
        """
        if size is not None and start_ms is not None:
            before, inside = self.before(size, start_ms), self.bucket(size, start_ms)
        elif sliding is not None:
            inside = self.running.get(sliding, self._like)
            before = empty_like(self._like)
            add(before, self.everything)
            add(before, inside, -1)
            # What turns in the second of the clock itself is not before the window.
            add(before, self.fine.get(edge_ms // SECOND_MS, self._like), -1)
        else:
            before, inside = self._like, self.everything
        if not isinstance(before, list) or not isinstance(inside, list):
            raise TypeError("intervals are summed by place")
        padding = self.group.width - 3
        return spans.integrate(before, inside, start_ms or 0, end_ms, padding)

    def extreme(self, start_ms: int | None, end_ms: int | None, *, fine: bool) -> list[int]:
        """The extreme over a window: the shares in it are looked through."""
        best: Callable[[Iterable[int]], int] = max if self.group.shape == "max" else min
        rows = exists = 0
        values = []
        for key, sources in self.shares.items():
            if _inside(key, start_ms, end_ms, fine=fine):
                for share in sources.values():
                    numbers = _places(share)
                    rows += numbers[0]
                    exists += numbers[3]
                    if numbers[2]:
                        values.append(numbers[1])
        # An extreme does not tell which rows came late.
        padding = (0,) * (self.group.length - 4)
        return [rows, *((best(values), 1) if values else (0, 0)), exists, *padding]


def _places(told: Told) -> Sequence[int]:
    if isinstance(told, Sequence):
        return told
    raise TypeError("an extreme is no map")


def _inside(key: PaneKey, start_ms: int | None, end_ms: int | None, *, fine: bool) -> bool:
    if start_ms is None or end_ms is None:
        return key.grain == "a"
    grain, length_ms = ("s", SECOND_MS) if fine else ("q", QUARTER_MS)
    return key.grain == grain and start_ms <= key.number * length_ms < end_ms
