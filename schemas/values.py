"""Exhibit values: one row a KPI, window, cell and state; the value of a record on ``cx.kpis``."""

from __future__ import annotations

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
        window = self.window
        start = window.start if window.kind == "tumbling" else None
        provisional = self.state == "provisional"
        return msgspec.json.encode(
            (
                self.exhibit,
                self.name,
                (window.kind, window.size, start),
                list(self.dimensions.values()),
                # The provisional reading of a cohort stands beside the final one.
                "provisional" if provisional and self.attribution == "cohort-final" else "",
            )
        )


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
