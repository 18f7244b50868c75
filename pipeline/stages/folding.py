"""What every stage does that folds one state a key: touch, fold, let time pass, change exhibits.

A stage that begins to count for new exhibits folds all its keys again, some at each batch, and says
at its ticks for which versions it has counted everything: until then the old ones are shown.
"""

from __future__ import annotations

import zlib
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, Generic, Protocol, TypeVar

import msgspec
import structlog
from msgspec.structs import replace

from pipeline.folds.rows import Row
from pipeline.kpi.ledger import Changes, Ledger, settle
from pipeline.stages.ages import Ages
from pipeline.stages.clock import AlignedClock, StateError
from pipeline.stages.configuration import (
    Configuration,
    ConfigurationError,
    ExhibitChange,
    decode_configuration,
    encode_configuration,
)
from pipeline.stages.packing import is_packed, pack
from pipeline.stages.publisher import Publisher
from pipeline.stages.timers import Timers
from pipeline.stages.wire import Out, Tick

log = structlog.get_logger(__name__)

CONFIGURATION_KEY: Final = b"\0exhibits"
_REFILL_KEYS: Final = 1_000
"""Keys that are folded again at a time: a fraction of a second of work."""

MessageT = TypeVar("MessageT")


class Kept(Protocol):
    """The state of a key, as far as what it published is concerned.

    ``counted_by``: by which rules; ``due_ms``: when time alone changes it next; ``life_ms``: the
    latest instant it tells of.
    """

    ledger: Ledger
    counted_by: int
    due_ms: int | None

    @property
    def life_ms(self) -> int: ...  # noqa: D102


KeptT = TypeVar("KeptT", bound=Kept)


class Folding(ABC, Generic[MessageT, KeptT]):
    """State derived from one partition of a log of messages by key.

    Args:
        exhibits: Exhibits that the worker was started with; those of the log win.
        publisher: Panes and clock.
        state: Committed state of the partition; stays up to date.
    """

    _packs = False
    """Whether states that are left alone for a while are packed."""

    def __init__(
        self, exhibits: Configuration, publisher: Publisher, state: Mapping[bytes, bytes]
    ) -> None:
        self._publisher = publisher
        self._state = state
        self._timers = Timers()
        self._ages = Ages(packs=self._packs)
        self._touched: dict[bytes, list[MessageT]] = {}
        self._refill: deque[bytes] = deque()
        self._changed_in: Out | None = None
        self._passed: Tick | None = None
        stored = state.get(CONFIGURATION_KEY)
        self._exhibits = Configuration({}, {}) if stored is None else decode_configuration(stored)
        self._unsaved = self._exhibits.take_over(exhibits)
        publisher.use(self._exhibits.plan())
        for key, value in state.items():
            if self._is_fold(key):
                self._restore(key, self._read(key, value), value)
        publisher.restore_frozen()
        publisher.panes.all_dirty()

    # --- what a stage must say ------------------------------------------------------------------

    @abstractmethod
    def _is_fold(self, key: bytes) -> bool:
        """Whether the state of ``key`` is one that is folded."""

    @abstractmethod
    def _kept(self, key: bytes, value: bytes) -> KeptT:
        """The stored state of a key."""

    @abstractmethod
    def _fold(self, key: bytes, messages: list[MessageT], out: Out) -> None:
        """Fold a key with what is new of it."""

    @abstractmethod
    def _freeze(self, key: bytes, out: Out) -> None:
        """Let go of a key, if nothing of it can change any more."""

    def _read(self, key: bytes, value: bytes) -> KeptT:
        try:
            return self._kept(key, value)
        except (msgspec.DecodeError, zlib.error, ValueError, LookupError) as error:
            raise StateError(
                f"the state of {self._publisher.source} is damaged at the key {key[:64]!r}:"
                f" {error}; see operations.md, Records that are gone"
            ) from error

    def _restore(self, key: bytes, kept: KeptT, stored: bytes) -> None:
        """Take over the committed state of a key."""
        for entry in kept.ledger.values():
            self._publisher.panes.change((), entry.contributions)
        # What was counted by other rules is folded again at the next tick.
        self._timers.set(key, kept.due_ms if kept.counted_by == self._rules else 0)
        self._ages.restore(key, kept.life_ms, stored)

    @property
    def _rules(self) -> int:
        """By what is counted now: equal only for equal plans and folds."""
        return self._publisher.plan.digest ^ self._code_version << 56

    @property
    @abstractmethod
    def _code_version(self) -> int:
        """Version of the rules of the folds, below 256."""

    # --- records --------------------------------------------------------------------------------

    def change(self, change: ExhibitChange, out: Out) -> None:
        """Take a change of exhibits over: from here on in the log it is in force.

        One that cannot be is left out: whoever sent it was told by the command that sends it.
        """
        try:
            changed = self._exhibits.apply(change)
        except ConfigurationError as error:
            log.warning("exhibit_refused", reason=str(error))
        else:
            self._recount(changed, out)

    def configure(self, exhibits: Configuration, out: Out) -> None:
        """Take over what a source says is in force."""
        self._recount(self._exhibits.take_over(exhibits), out)

    def _recount(self, changed: bool, out: Out) -> None:
        if changed:
            self._publisher.use(self._exhibits.plan())
            self._unsaved = True
            # Keys made by this very batch are seen once it is committed.
            self._changed_in = out

    def flush(self, out: Out) -> None:
        """End a batch at once."""
        for _ in self.steps(out):
            pass

    def steps(self, out: Out) -> Iterator[None]:
        """End a batch: let time pass to the newest tick read, and fold every key touched or due.

        Values are a function of the events and the tick, so a batch that holds several ticks, as
        when a worker catches up, passes them as one.

        Yields:
            After each key, and each share that is told, so that others can have a turn: at a tick
            any number of keys may be due. It must be taken to its end.
        """
        publisher = self._publisher
        if self._unsaved:
            out.put(CONFIGURATION_KEY, encode_configuration(self._exhibits))
            publisher.publish_exhibits(self._exhibits, out)
            self._unsaved = False
        self._fill(out)
        tick, self._passed = self._passed, None
        if tick is not None:
            publisher.advance(tick)
            for key in self._timers.pop_due(publisher.tick_ms):
                self._touched.setdefault(key, [])
        touched, self._touched = self._touched, {}
        for key, messages in touched.items():
            if messages or out.get(key) is not None:
                self._fold(key, messages, out)
                yield
        if tick is not None:
            if not tick.keeps_all:
                yield from self._age(tick, out)
            if not self._refill and self._changed_in is None:
                publisher.covers = self._exhibits.newest
            yield from publisher.publish_tick(tick, out)

    def _pass(self, tick: Tick) -> None:
        """Let time pass to ``tick`` at the end of the batch; what an earlier one asks for holds."""
        earlier = self._passed
        if earlier is not None:
            tick = replace(
                tick,
                tick_ms=max(tick.tick_ms, earlier.tick_ms),
                publish_all=tick.publish_all or earlier.publish_all,
                complete=tick.complete or earlier.complete,
            )
        self._passed = tick

    def _fill(self, out: Out) -> None:
        if self._changed_in is not None and self._changed_in is not out:
            self._changed_in = None
            self._refill = deque(key for key in self._state if self._is_fold(key))
        for _ in range(min(len(self._refill), _REFILL_KEYS)):
            self._touched.setdefault(self._refill.popleft(), [])

    def _age(self, tick: Tick, out: Out) -> Iterator[None]:
        """Let go of keys that nothing can change any more, and pack what rests, some at a tick."""
        for key in self._ages.frozen(self._publisher.floor_ms):
            self._freeze(key, out)
            yield
        for key in self._ages.rested(tick.tick_ms):
            stored = out.get(key)
            if stored is not None and not is_packed(stored):
                out.put(key, self._packed(key, stored))
                yield

    def _packed(self, key: bytes, stored: bytes) -> bytes:  # noqa: ARG002 - a stage may ask for it
        """A state in little space."""
        return pack(stored)

    def _write(self, key: bytes, encoded: bytes, out: Out) -> None:
        """Store the state of a key."""
        out.put(key, encoded)
        self._ages.touch(key, self._publisher.tick_ms)

    def _settle(
        self, state: Kept, rows: Iterable[Row], stands_until_ms: int | None = None
    ) -> tuple[Changes, int | None]:
        """Bring ledger and panes to ``rows``: what is to be told, and when time changes it.

        ``stands_until_ms``, where it is known: until when time changes nothing of the ledger.
        """
        publisher = self._publisher
        state.ledger, changes, due_ms = settle(
            state.ledger, rows, publisher.plan, publisher.panes,
            publisher.tick_ms, publisher.span_ms,
            recount=state.counted_by != self._rules, stands_until_ms=stands_until_ms,
        )  # fmt: skip
        state.counted_by = self._rules
        return changes, due_ms

    def _due(self, key: bytes, state: Kept, *dues: int | None) -> None:
        """Let a key be due at the first of some moments."""
        state.due_ms = min((due for due in dues if due is not None), default=None)
        self._timers.set(key, state.due_ms)

    def _let_go(self, key: bytes, state: Kept, out: Out) -> None:
        """Forget a key; what it has added to panes that stay is kept there."""
        for entry in state.ledger.values():
            self._publisher.freeze(entry.contributions)
        self._timers.set(key, None)
        out.delete(key)


class Following(Folding[MessageT, KeptT]):
    """A stage whose time is that of the sources it follows: it passes once all have told it."""

    def __init__(
        self,
        exhibits: Configuration,
        publisher: Publisher,
        state: Mapping[bytes, bytes],
        sources: Iterable[str],
    ) -> None:
        self._clock = AlignedClock(sources)
        super().__init__(exhibits, publisher, state)

    def take(self, key: bytes, message: MessageT) -> None:
        """Note what was told of a key; folded with everything else at the end of the batch."""
        self._touched.setdefault(key, []).append(message)

    def tick(self, tick: Tick) -> None:
        """Take over the tick of one source; when all have passed it, time passes here."""
        self._clock.see(tick)
        aligned = self._clock.aligned()
        if aligned is None:
            return
        self._publisher.see(aligned)
        told_again = aligned.publish_all or aligned.complete
        if aligned.tick_ms > self._publisher.tick_ms or told_again:
            self._pass(aligned)

    def _is_fold(self, key: bytes) -> bool:
        return not key.startswith(b"\0")
