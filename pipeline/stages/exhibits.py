"""The exhibits stage: shares of all sources into windows and published values."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from pipeline.kpi.merge import Merge
from pipeline.kpi.panes import PaneKey
from pipeline.kpi.plan import ExhibitPlan
from pipeline.kpi.values import read
from pipeline.stages.clock import AlignedClock
from pipeline.stages.wire import Out, Share, Tick
from schemas.values import ExhibitValue, decode_value, encode_value


class _Pending(NamedTuple):
    key: PaneKey
    share: Share


class Exhibits:
    """State derived from one partition of ``cx.partials``: the exhibits it holds.

    Shares wait until every source has passed their tick, so a value never mixes moments.

    Args:
        plans: Exhibits of this partition.
        state: Published values by key, as restored from ``cx.kpis``.
        sources: Every source that must have spoken before anything is shown.
    """

    def __init__(
        self,
        plans: Iterable[ExhibitPlan],
        state: Mapping[bytes, bytes],
        sources: Iterable[str],
    ) -> None:
        self.merges = {plan.exhibit.exhibit: Merge(plan) for plan in plans}
        self.clock = AlignedClock(sources)
        self.clock_ms = 0
        self._state = state
        self._exhibit_of = {
            group.key: name for name, m in self.merges.items() for group in m.plan.groups
        }
        self._pending: defaultdict[str, list[_Pending]] = defaultdict(list)
        self._epochs: dict[str, int] = {}

    def take(self, source: str, key: PaneKey, share: Share) -> None:
        """Note a share; it counts once the aligned clock has reached its tick."""
        if key.group in self._exhibit_of:
            self._pending[source].append(_Pending(key, share))

    def tick(self, tick: Tick) -> Tick | None:
        """Take over the tick of a source; the aligned tick if time passes by it, else None."""
        self.clock.see(tick)
        aligned = self.clock.aligned()
        if aligned is None:
            return None
        if aligned.tick_ms <= self.clock_ms and not (aligned.publish_all or aligned.complete):
            return None
        self.clock_ms = max(self.clock_ms, aligned.tick_ms)
        for source, pending in self._pending.items():
            self._apply_due(source, pending)
        for merge in self.merges.values():
            merge.advance(self.clock_ms, aligned.span_ms)
        return aligned

    def _apply_due(self, source: str, pending: list[_Pending]) -> None:
        waiting = []
        for item in pending:
            if item.share.tick_ms > self.clock_ms:
                waiting.append(item)
            elif item.share.epoch >= self._epochs.get(source, 0):
                self._apply(source, item)
        pending[:] = waiting

    def _apply(self, source: str, item: _Pending) -> None:
        if item.share.epoch > self._epochs.get(source, 0):
            self._epochs[source] = item.share.epoch
            for merge in self.merges.values():
                merge.forget(source)
        name = self._exhibit_of[item.key.group]
        self.merges[name].apply(source, item.key, item.share.vector)

    def publish(
        self, aligned: Tick, out: Out, show: Callable[[bytes, ExhibitValue | None], None]
    ) -> None:
        """Put values that changed; all of them if the tick asks for it."""

        def previous(key: bytes) -> ExhibitValue | None:
            stored = out.get(key)
            return decode_value(stored) if stored is not None else None

        for merge in self.merges.values():
            everything = aligned.publish_all or aligned.complete
            wanted = set(merge.everything()) if everything else merge.dirty
            if aligned.moving_only:
                later = {place for place in wanted if place[1].window.kind == "tumbling"}
                wanted -= later
            for cell, slot in sorted(wanted, key=repr):
                for key, value in read(
                    merge, cell, slot, previous, complete=aligned.complete, everything=everything
                ):
                    if value is None:
                        out.delete(key)
                    else:
                        out.put(key, encode_value(value))
                    show(key, value)
            merge.dirty = later if aligned.moving_only else set()
