"""The exhibits stage: shares of all sources into windows and published values."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Set
from datetime import datetime
from typing import NamedTuple

from msgspec.structs import replace

from pipeline.folds.event import epoch_ms
from pipeline.kpi.merge import Merge
from pipeline.kpi.panes import PaneKey
from pipeline.kpi.values import read
from pipeline.stages.clock import AlignedClock
from pipeline.stages.configuration import Configuration, ExhibitChange, encode_change
from pipeline.stages.publisher import exhibit_partition, sources
from pipeline.stages.wire import CONTROL_HEADER, EXHIBIT, FROZEN, Out, Share, Tick
from schemas.topics import INTERACTIONS
from schemas.values import ExhibitValue, decode_value, encode_value

Show = Callable[[bytes, ExhibitValue | None], None]


class Place(NamedTuple):
    """Which partition of ``cx.partials`` this is, of how many, and how many each source has."""

    number: int
    partitions: int
    sources: Mapping[str, int]


class _Pending(NamedTuple):
    key: PaneKey
    share: Share


class Exhibits:
    """State derived from one partition of ``cx.partials``: the exhibits it holds.

    Shares wait until every source has passed their tick, so a value never mixes moments. A new
    version of an exhibit is merged beside the old one, and shown once every source has counted for
    it; then the old one is retired.

    Args:
        exhibits: Exhibits that the worker was started with.
        state: Published values by key, as restored from ``cx.kpis``; stays up to date.
        place: Which exhibits are held here, and who must have spoken before anything is shown.
    """

    def __init__(self, exhibits: Configuration, state: Mapping[bytes, bytes], place: Place) -> None:
        self.clock = AlignedClock(
            source for stage, count in place.sources.items() for source in sources(stage, count)
        )
        self.clock_ms = 0
        self.shown: dict[str, int] = {}
        self._place = place
        self._state = state
        self._merges: dict[tuple[str, int], Merge] = {}
        self._exhibit_of: dict[int, tuple[str, int]] = {}
        self._pending: defaultdict[str, list[_Pending]] = defaultdict(list)
        self._epochs: dict[str, int] = {}
        self._floor_ms = 0
        self._let_go_ms = 0
        self._buckets = Buckets(state)
        self._asked: Tick | None = None
        self._exhibits = Configuration({}, {})
        self.configure(exhibits)

    # --- exhibits -------------------------------------------------------------------------------

    def configure(self, exhibits: Configuration) -> None:
        """Take over what a source, or whoever started this worker, says is in force."""
        self._exhibits.take_over(exhibits)
        wanted = {
            (plan.exhibit.exhibit, plan.exhibit.version): plan
            for plan in self._exhibits.plan().exhibits
            if exhibit_partition(plan.exhibit.exhibit, self._place.partitions) == self._place.number
        }
        for identity in self._merges.keys() - wanted.keys():
            del self._merges[identity]
        for identity in wanted.keys() - self._merges.keys():
            merge = self._merges[identity] = Merge(wanted[identity])
            merge.let_go(self._let_go_ms)
            merge.advance(self.clock_ms)
        self._exhibit_of = {
            group.key: identity
            for identity, merge in self._merges.items()
            for group in merge.plan.groups
        }

    def _choose(self) -> set[str]:
        """Choose the newest version of each exhibit that every source covers; what changed."""
        chosen = {}
        for name in {name for name, _ in self._merges}:
            covered = self.clock.covered(name)
            versions = [v for known, v in self._merges if known == name and v <= covered]
            if versions:
                chosen[name] = max(versions)
        changed = {
            name for name in {*chosen, *self.shown} if chosen.get(name) != self.shown.get(name)
        }
        self.shown = chosen
        return changed

    # --- shares ---------------------------------------------------------------------------------

    def take(self, source: str, key: PaneKey, share: Share) -> None:
        """Note a share; it counts once the aligned clock has reached its tick."""
        if key.group in self._exhibit_of:
            self._pending[source].append(_Pending(key, share))

    def tick(self, tick: Tick) -> None:
        """Take over the tick of a source."""
        self.clock.see(tick)
        aligned = self.clock.aligned()
        if aligned is not None and (aligned.publish_all or aligned.complete):
            self._asked = aligned

    def let_pass(self) -> Tick | None:
        """Let time pass to the tick all sources have told; that tick if it did, else None.

        Called at the end of a batch: a batch that holds several ticks passes them as one.
        """
        asked, self._asked = self._asked, None
        aligned = self.clock.aligned()
        if aligned is None or (aligned.tick_ms <= self.clock_ms and asked is None):
            return None
        if asked is not None:
            aligned = replace(
                aligned,
                publish_all=aligned.publish_all or asked.publish_all,
                complete=aligned.complete or asked.complete,
            )
        self.clock_ms = max(self.clock_ms, aligned.tick_ms)
        # What goes by the floor that is told now is published once more before it does.
        self._let_go_ms, self._floor_ms = self._floor_ms, max(self._floor_ms, aligned.floor_ms)
        for merge in self._merges.values():
            merge.let_go(self._let_go_ms)
        for source, pending in self._pending.items():
            self._apply_due(source, pending)
        for source, epoch in self.clock.epochs(self.clock_ms):
            # A source that began anew and has nothing to tell tells so by its tick alone.
            self._begin(source, epoch)
        for merge in self._merges.values():
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
        self._begin(source, item.share.epoch)
        identity = self._exhibit_of.get(item.key.group)
        if identity is not None:
            self._merges[identity].apply(source, item.key, item.share.vector)

    def _begin(self, source: str, epoch: int) -> None:
        """Forget what a source gave before it began anew."""
        if epoch > self._epochs.get(source, 0):
            for merge in self._merges.values():
                if source in self._epochs:
                    # It does not tell again of what it has let go meanwhile.
                    merge.let_go(self.clock.floor_ms(source))
                merge.forget(source)
            self._epochs[source] = epoch

    # --- values ---------------------------------------------------------------------------------

    def publish(self, aligned: Tick, out: Out, show: Show) -> Iterator[None]:
        """Put values that changed; all of them if the tick asks for it.

        Yields:
            After each cell and window, and each value that goes, so that others can have a turn; it
            must be taken to its end.
        """
        changed = self._choose()
        for name, version in sorted(self.shown.items()):
            merge = self._merges[name, version]
            everything = aligned.publish_all or aligned.complete or name in changed
            yield from self._publish(merge, aligned, out, show, everything=everything)
            if name in changed:
                self._retire_before(name, version, out)
        if changed:
            yield from self._withdraw(changed, out, show)
        for key in self._buckets.let_go(self._let_go_ms):
            # The value stays where it was stored: it is final, and only held here no longer.
            out.delete(key, ((CONTROL_HEADER, FROZEN),))
            show(key, None)
            yield

    def _publish(
        self, merge: Merge, aligned: Tick, out: Out, show: Show, *, everything: bool
    ) -> Iterator[None]:
        def previous(key: bytes) -> ExhibitValue | None:
            stored = out.get(key)
            value = decode_value(stored) if stored is not None else None
            same = value is not None and value.exhibit_version == merge.plan.exhibit.version
            return value if same else None

        dues = merge.marks.due(everything=everything, moving_only=aligned.moving_only)
        for due in dues:
            for key, value in read(
                merge, due, previous, complete=aligned.complete, everything=everything
            ):
                _put(key, value, out, show)
                self._buckets.note(key, due.slot.start_ms)
            yield

    def _retire_before(self, name: str, version: int, out: Out) -> None:
        """Let every source know that older versions are not shown any more."""
        if any(known == name and old < version for known, old in self._merges):
            value = encode_change(ExhibitChange(name, version, retires=True))
            for number in range(self._place.sources["lifecycle"]):
                out.send(
                    INTERACTIONS, None, value,
                    partition=number, headers=((CONTROL_HEADER, EXHIBIT),),
                )  # fmt: skip

    def _withdraw(self, names: Set[str], out: Out, show: Show) -> Iterator[None]:
        """Take back values of other versions of exhibits than those that are shown."""
        for key in list(self._state):
            yield
            stored = out.get(key)
            if stored is None:
                continue
            value = decode_value(stored)
            name = value.exhibit
            if name in names and value.exhibit_version != self.shown.get(name):
                _put(key, None, out, show)


class Buckets:
    """Keys of the values of buckets, by start.

    Args:
        state: Published values by key.
    """

    def __init__(self, state: Mapping[bytes, bytes]) -> None:
        self._keys: defaultdict[int, set[bytes]] = defaultdict(set)
        for key, stored in state.items():
            window = decode_value(stored).window
            if window.kind == "tumbling" and window.start is not None:
                self.note(key, epoch_ms(datetime.fromisoformat(window.start)))

    def note(self, key: bytes, start_ms: int | None) -> None:
        """Note the value of a bucket; others have no start of their own."""
        if start_ms is not None:
            self._keys[start_ms].add(key)

    def let_go(self, floor_ms: int) -> list[bytes]:
        """Values of buckets that start before ``floor_ms``, which are forgotten here."""
        old = [start_ms for start_ms in self._keys if start_ms < floor_ms]
        return sorted(key for start_ms in old for key in self._keys.pop(start_ms))


def _put(key: bytes, value: ExhibitValue | None, out: Out, show: Show) -> None:
    if value is None:
        out.delete(key)
    else:
        out.put(key, encode_value(value))
    show(key, value)
