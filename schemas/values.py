"""Exhibit values: one row a KPI, window, cell and state; the value of a record on ``cx.kpis``."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

import msgspec

Unit = Literal["count", "seconds", "ratio", "points", "score"]
State = Literal["provisional", "final", "restated"]
Status = Literal["met", "missed", "trending", "n_below_min", "undefined", "no_target"]
WindowKind = Literal["sliding", "tumbling", "today", "all"]

TOTAL: Final = "*"
"""Value of a dimension that is summed over."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def rfc3339(epoch_ms: int) -> str:
    """An instant in UTC, with milliseconds only where there are any."""
    moment = _EPOCH + timedelta(milliseconds=epoch_ms)
    precision = "milliseconds" if epoch_ms % 1000 else "seconds"
    return moment.isoformat(timespec=precision).replace("+00:00", "Z")


class WindowRef(msgspec.Struct, frozen=True):
    """The window of a value: ``[start, end)``, both null for everything."""

    kind: WindowKind
    size: str | None
    start: str | None
    end: str | None


class ExhibitValue(msgspec.Struct, frozen=True, kw_only=True):
    """One published value.

    ``numerator`` and ``denominator`` are integers, times in milliseconds. ``value`` is not rounded
    and null where nothing is counted. ``n`` is the denominator, null for gauges. ``low`` and
    ``high`` are the Wilson 95 % interval of a ratio.
    """

    exhibit: str
    exhibit_version: int
    kpi: str
    kpi_version: int
    name: str = msgspec.field(name="as")
    parameters: dict[str, Any]
    attribution: str
    window: WindowRef
    dimensions: dict[str, str]
    state: State
    revision: int
    as_of: str
    numerator: int | None
    denominator: int | None
    value: float | int | None
    unit: Unit
    n: int | None
    low: float | None
    high: float | None
    target: str | None
    status: Status

    @property
    def key(self) -> bytes:
        """Identity of the value: what it is, not when it was computed.

        A sliding window and ``today`` move with the clock and keep their key.
        """
        return key_of(
            key_of_name(self.exhibit, self.name),
            key_of_window(self.window),
            key_of_cell(self.dimensions.values()),
            beside=self.state == "provisional" and self.attribution == "cohort-final",
        )


def key_of(name: bytes, window: bytes, cell: bytes, *, beside: bool) -> bytes:
    """A key of its parts: what a reader of many values makes once for all of them.

    Args:
        name: The part :func:`key_of_name`.
        window: The part :func:`key_of_window`.
        cell: The part :func:`key_of_cell`.
        beside: Whether it is the provisional reading of a cohort, which has a final one, too.
    """
    return b'[%b,%b,%b,"%b"]' % (name, window, cell, b"provisional" if beside else b"")


def key_of_name(exhibit: str, name: str) -> bytes:
    """The part of a key that says which row of which exhibit it is."""
    return msgspec.json.encode((exhibit, name))[1:-1]


def key_of_window(window: WindowRef) -> bytes:
    """The part of a key that says which window it is."""
    start = window.start if window.kind == "tumbling" else None
    return msgspec.json.encode((window.kind, window.size, start))


def key_of_cell(cell: Iterable[str]) -> bytes:
    """The part of a key that says which cell it is."""
    return msgspec.json.encode(list(cell))


class ExhibitClock(msgspec.Struct, frozen=True):
    """The clock that all values of ``exhibits``, those of one partition, are as of.

    Values are published when they change; only their clock tells quiet from an outage.
    """

    exhibits: tuple[str, ...]
    as_of: str


encode_clock = msgspec.json.Encoder().encode
decode_clock = msgspec.json.Decoder(ExhibitClock).decode
encode_value = msgspec.json.Encoder().encode
decode_value = msgspec.json.Decoder(ExhibitValue).decode
