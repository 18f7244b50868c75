"""Months of a site, as reports are made of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import Final

from pipeline.kpi.calendar import start_of_day

_MONTH: Final = re.compile(r"(\d{4})-(0[1-9]|1[0-2])")
_EPOCH_ORDINAL: Final = date(1970, 1, 1).toordinal()


@dataclass(frozen=True)
class Period:
    """One month."""

    year: int
    month: int

    @classmethod
    def parse(cls, text: str) -> Period:
        """The month written as ``2026-11``.

        Raises:
            ValueError: saying what to write instead.
        """
        found = _MONTH.fullmatch(text)
        if found is None:
            raise ValueError(f"{text} is no month; write it as 2026-11")
        return cls(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        return f"{self.year:04}-{self.month:02}"

    def shifted(self, months: int) -> Period:
        """The month so many months later."""
        year, month = divmod(self.year * 12 + self.month - 1 + months, 12)
        return Period(year, month + 1)

    def start_ms(self, zone: str) -> int:
        """The first instant of the month in a zone."""
        return start_of_day(zone, date(self.year, self.month, 1).toordinal() - _EPOCH_ORDINAL)

    def bounds_ms(self, zone: str) -> tuple[int, int]:
        """The month in a zone, [start, end)."""
        return self.start_ms(zone), self.shifted(1).start_ms(zone)
