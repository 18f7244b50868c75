"""Business hours as written in an exhibit: opening times by weekday, and holidays.

    business_hours:
      mon-fri: "08:00-18:00"
      sat: ["09:00-12:00", "13:00-15:00"]
      holidays: [2026-12-25, 2026-12-26]

Times are those of the site's clock; "24:00" is the end of the day. Days that are not named are
closed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from itertools import pairwise
from typing import Final

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_HOURS: Final = re.compile(r"(\d\d):(\d\d)\s*-\s*(\d\d):(\d\d)")
_MINUTES_A_DAY: Final = 1440
_HELP: Final = 'write days as mon or mon-fri and times as "08:00-18:00"'

Minutes = tuple[int, int]
"""From and until, in minutes of the local day."""


@dataclass(frozen=True)
class BusinessHours:
    """Opening times of each weekday from Monday, each sorted and apart; and closed dates."""

    week: tuple[tuple[Minutes, ...], ...]
    holidays: frozenset[date] = frozenset()
    text: str = field(default="", compare=False)

    def of(self, day: date) -> tuple[Minutes, ...]:
        """Opening times of a date."""
        return () if day in self.holidays else self.week[day.weekday()]


def parse_hours(raw: object) -> BusinessHours:
    """Business hours as read from YAML.

    Raises:
        ValueError: saying what to write instead.
    """
    if isinstance(raw, BusinessHours):
        return raw
    if not isinstance(raw, Mapping) or not raw:
        raise ValueError(f"business_hours is a mapping of days to times; {_HELP}")
    week: list[list[Minutes]] = [[] for _ in DAYS]
    for days, times in raw.items():
        if days == "holidays":
            continue
        for number in _weekdays(str(days)):
            week[number] += _times(str(days), times)
    told = tuple(_apart(DAYS[number], found) for number, found in enumerate(week))
    if not any(told):
        raise ValueError(f"business_hours are never open; {_HELP}")
    holidays = frozenset(_holidays(raw.get("holidays", ())))
    text = ";".join(
        [",".join(f"{a}-{b}" for a, b in day) for day in told]
        + sorted(day.isoformat() for day in holidays)
    )
    return BusinessHours(told, holidays, text)


def _weekdays(text: str) -> Iterator[int]:
    first, _, last = text.partition("-")
    if first not in DAYS or (last and last not in DAYS):
        raise ValueError(f"{text} is not a day; {_HELP}")
    begin = DAYS.index(first)
    end = DAYS.index(last) if last else begin
    if end < begin:
        raise ValueError(f"{text} runs backwards; write the two parts of the week apart")
    yield from range(begin, end + 1)


def _times(days: str, raw: object) -> Iterator[Minutes]:
    for text in raw if isinstance(raw, list | tuple) else (raw,):
        found = _HOURS.fullmatch(text.strip()) if isinstance(text, str) else None
        if found is None:
            raise ValueError(f"{days}: {text} is no opening time; {_HELP}")
        numbers = [int(number) for number in found.groups()]
        begin, end = numbers[0] * 60 + numbers[1], numbers[2] * 60 + numbers[3]
        if max(numbers[1], numbers[3]) > 59 or end > _MINUTES_A_DAY:
            raise ValueError(f"{days}: {text} is no time of day; {_HELP}")
        if begin >= end:
            raise ValueError(
                f"{days}: {text} ends before it begins; a night shift is two entries, as "
                '"22:00-24:00" and "00:00-06:00" of the next day'
            )
        yield begin, end


def _apart(day: str, found: list[Minutes]) -> tuple[Minutes, ...]:
    found.sort()
    for (_, end), (begin, _) in pairwise(found):
        if begin < end:
            raise ValueError(f"the opening times of {day} overlap")
    return tuple(found)


def _holidays(raw: object) -> Iterator[date]:
    for day in raw if isinstance(raw, list | tuple) else (raw,):
        if type(day) is date:
            yield day
            continue
        try:
            yield date.fromisoformat(str(day))
        except ValueError:
            raise ValueError(f"holidays: {day} is no date; write 2026-12-25") from None
