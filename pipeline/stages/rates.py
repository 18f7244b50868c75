"""Rates in every partition: told by the partition of the plan item, kept by all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from pipeline.folds.cost import Rates
from pipeline.folds.event import Event
from pipeline.folds.rows import Folded
from pipeline.stages.wire import CONTROL_HEADER, RATE, Out, Rate, encode_rate
from schemas.facts import HandlingSegment, PlanItem
from schemas.topics import INTERACTIONS

_KEY: Final = b"\0rates"
_RATE: Final = "rate"
_DAY_MS: Final = 86_400_000

Span = tuple[int, int] | None
"""First and last instant, UTC epoch milliseconds."""
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(dict[str, Rate]).decode


class KnownRates:
    """The rates a partition knows, and on which days the work of its interactions began.

    Attributes:
        rates: Those in use.
        version: Counts what was ever told of rates; it grows with the set of their events.
    """

    def __init__(self, state: Mapping[bytes, bytes]) -> None:
        stored = state.get(_KEY)
        self._known: dict[str, Rate] = _decode(stored) if stored is not None else {}
        self._by_day: defaultdict[int, list[bytes]] = defaultdict(list)
        self._index()

    def _index(self) -> None:
        told = self._known.values()
        self.rates = Rates(rate.item for rate in told if rate.item is not None)
        self.version = sum(rate.version for rate in told)

    def note(self, key: bytes, span: Span, before: Span = None) -> None:
        """Remember when the work of an interaction began, for rates that come later.

        ``before`` is what was noted of it already.
        """
        if span is not None and span != before:
            for day in range(span[0] // _DAY_MS, span[1] // _DAY_MS + 1):
                self._by_day[day].append(key)

    def forget(self, floor_ms: int) -> None:
        """Let go of work before ``floor_ms``."""
        for day in [day for day in self._by_day if (day + 1) * _DAY_MS <= floor_ms]:
            del self._by_day[day]

    def take(self, rate: Rate, out: Out) -> list[bytes]:
        """Let ``rate`` be known; keys of the interactions that it, or the one before, may price."""
        before = self._known.get(rate.plan_id)
        if before is not None and before.version >= rate.version:
            return []
        self._known[rate.plan_id] = rate
        self._index()
        out.put(_KEY, _encode(self._known))
        items = [told.item for told in (before, rate) if told is not None and told.item is not None]
        return sorted(
            {
                key
                for day, keys in self._by_day.items()
                if any(_reaches(item, day) for item in items)
                for key in keys
            }
        )


def worked(folded: Folded) -> Span:
    """When the first and the last work of an interaction began; None without any."""
    began = [row.fact.accepted_ms for row in folded.rows if isinstance(row.fact, HandlingSegment)]
    return (min(began), max(began)) if began else None


def _reaches(item: PlanItem, day: int) -> bool:
    ends_after = item.ends_ms is None or day * _DAY_MS < item.ends_ms
    return item.starts_ms < (day + 1) * _DAY_MS and ends_after


def tell_rate(
    plan_id: str, version: int, events: Iterable[Event], folded: Folded, partitions: int, out: Out
) -> None:
    """Tell every partition of a plan item that is, or once was, a rate."""
    if all(event.plan != _RATE for event in events):
        return
    items = [row.fact for row in folded.rows if isinstance(row.fact, PlanItem)]
    item = next((item for item in items if item.plan == _RATE), None)
    value = encode_rate(Rate(plan_id, version, item))
    for number in range(partitions):
        out.send(
            INTERACTIONS, None, value, partition=number, headers=((CONTROL_HEADER, RATE),)
        )  # fmt: skip
