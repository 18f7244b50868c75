from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.kpi.hours import OpenHours
from schemas.hours import DAYS, BusinessHours, parse_hours

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
BERLIN = "Europe/Berlin"
WEEK = {"mon-fri": "08:00-18:00", "sat": ["09:00-12:00", "13:00-15:00"]}
NIGHT = {"sat": "22:00-24:00", "sun": "00:00-06:00"}


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


# --- as written -----------------------------------------------------------------------------------


def test_times_by_weekday():
    hours = parse_hours({**WEEK, "holidays": [date(2026, 12, 25), "2026-12-26"]})
    assert hours.of(date(2026, 11, 20)) == ((480, 1080),)  # a Friday, 8 * 60 to 18 * 60
    assert hours.of(date(2026, 11, 21)) == ((540, 720), (780, 900))
    assert hours.of(date(2026, 11, 22)) == ()
    assert hours.of(date(2026, 12, 25)) == hours.of(date(2026, 12, 26)) == ()
    assert hours == parse_hours(hours)


def test_the_text_says_everything_that_decides_numbers():
    assert parse_hours({**NIGHT, "holidays": ["2026-12-25"]}).text == (
        ";;;;;1320-1440;0-360;2026-12-25"
    )


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        ([], "business_hours is a mapping of days to times"),
        ({}, "business_hours is a mapping of days to times"),
        ({"holidays": ["2026-12-25"]}, "business_hours are never open"),
        ({"monday": "08:00-18:00"}, "monday is not a day"),
        ({"fri-mon": "08:00-18:00"}, "fri-mon runs backwards; write the two parts"),
        ({"mon": "8-18"}, "mon: 8-18 is no opening time"),
        ({"mon": "08:00-24:01"}, "mon: 08:00-24:01 is no time of day"),
        ({"mon": "08:60-18:00"}, "mon: 08:60-18:00 is no time of day"),
        ({"mon": "22:00-06:00"}, "a night shift is two entries"),
        ({"mon": ["08:00-12:00", "11:00-15:00"]}, "the opening times of mon overlap"),
        ({"mon": "08:00-18:00", "holidays": ["25.12."]}, "holidays: 25.12. is no date"),
    ],
)
def test_refused(raw, says):
    with pytest.raises(ValueError, match=says.replace(".", r"\.")):
        parse_hours(raw)


# --- as instants ----------------------------------------------------------------------------------


def test_open_at_its_edges():
    site = OpenHours(BERLIN, parse_hours(WEEK))
    # Monday 2026-11-23, UTC+1: 08:00 is 07:00Z, 18:00 is 17:00Z.
    assert not site.is_open(ms("2026-11-23T06:59:59.999"))
    assert site.is_open(ms("2026-11-23T07:00"))
    assert site.is_open(ms("2026-11-23T16:59:59.999"))
    assert not site.is_open(ms("2026-11-23T17:00"))


def test_a_night_shift_over_clocks_put_back_has_an_hour_more():
    site = OpenHours(BERLIN, parse_hours(NIGHT))
    # 22:00+02:00 is 20:00Z, 06:00+01:00 is 05:00Z: 9 hours, not 8.
    spans = list(
        site.open_spans(ms("2026-10-24T00:00"), ms("2026-10-26T00:00"), ms("2026-10-26T00:00"))
    )
    assert spans[0] == (ms("2026-10-24T20:00"), ms("2026-10-24T22:00"))
    assert spans[-1][1] == ms("2026-10-25T05:00")
    assert sum(end - begin for begin, end in spans) == 9 * HOUR_MS


def test_a_night_shift_over_clocks_put_forward_has_an_hour_less():
    site = OpenHours(BERLIN, parse_hours(NIGHT))
    # 22:00+01:00 is 21:00Z, 06:00+02:00 is 04:00Z: 7 hours.
    spans = list(
        site.open_spans(ms("2026-03-28T00:00"), ms("2026-03-30T00:00"), ms("2026-03-30T00:00"))
    )
    assert sum(end - begin for begin, end in spans) == 7 * HOUR_MS


def test_the_end_of_a_date_that_comes_twice_is_open_twice():
    # Paraguay, Saturday 2024-03-23: at 24:00 (UTC-3) clocks go back to 23:00 (UTC-4).
    site = OpenHours("America/Asuncion", parse_hours({"sat": "22:00-24:00"}))
    spans = list(
        site.open_spans(ms("2024-03-23T12:00"), ms("2024-03-24T12:00"), ms("2024-03-24T12:00"))
    )
    assert spans[0][0] == ms("2024-03-24T01:00")
    assert spans[-1][1] == ms("2024-03-24T04:00")
    assert sum(end - begin for begin, end in spans) == 3 * HOUR_MS


def test_spans_end_where_the_clock_is():
    site = OpenHours("UTC", parse_hours(WEEK))
    begin, now = ms("2026-11-23T07:00"), ms("2026-11-23T12:00")
    assert list(site.open_spans(begin, None, now)) == [(ms("2026-11-23T08:00"), None)]
    assert list(site.open_spans(begin, ms("2026-11-23T10:00"), now)) == [
        (ms("2026-11-23T08:00"), ms("2026-11-23T10:00"))
    ]
    assert list(site.open_spans(begin, ms("2026-11-23T08:00"), now)) == []


def test_the_next_change_passes_over_holidays():
    site = OpenHours("UTC", parse_hours({"mon-fri": "08:00-18:00", "holidays": ["2026-11-24"]}))
    assert site.next_change_ms(ms("2026-11-23T17:59")) == ms("2026-11-23T18:00")
    assert site.next_change_ms(ms("2026-11-23T18:00")) == ms("2026-11-25T08:00")


# --- against the wall clock -----------------------------------------------------------------------

ZONES = ("UTC", BERLIN, "America/Asuncion", "America/Havana", "Asia/Kolkata", "Australia/Lord_Howe",
         "America/St_Johns")  # fmt: skip
quarters = st.lists(
    st.integers(0, 96).map(lambda q: q * 15), min_size=2, max_size=6, unique=True
).map(sorted)


@st.composite
def weeks(draw) -> BusinessHours:
    days = {}
    for day in draw(st.sets(st.sampled_from(DAYS), min_size=1)):
        edges = draw(quarters)
        days[day] = [
            f"{a // 60:02}:{a % 60:02}-{b // 60:02}:{b % 60:02}"
            for a, b in zip(edges[::2], edges[1::2], strict=False)
        ]
    first = date(2024, 3, 20)
    holidays = [str(first + timedelta(d)) for d in draw(st.sets(st.integers(0, 20), max_size=3))]
    return parse_hours({**days, "holidays": holidays})


def open_by_the_wall_clock(zone: str, hours: BusinessHours, at_ms: int) -> bool:
    """What somebody at the site would say who looks at a calendar and at the clock on the wall."""
    local = datetime.fromtimestamp(at_ms / 1000, ZoneInfo(zone))
    minute = local.hour * 60 + local.minute
    return any(begin <= minute < end for begin, end in hours.of(local.date()))


@given(st.sampled_from(ZONES), weeks(), st.integers(0, 20 * 96 - 1))
def test_open_is_what_the_wall_clock_says(zone, hours, quarter):
    at_ms = ms("2024-03-20T00:00") + quarter * 15 * MINUTE_MS
    assert OpenHours(zone, hours).is_open(at_ms) == open_by_the_wall_clock(zone, hours, at_ms)


@given(st.sampled_from(ZONES), weeks(), st.integers(0, 15 * 96), st.integers(0, 5 * 96))
def test_spans_are_the_instants_that_are_open(zone, hours, start, length):
    begin_ms = ms("2024-03-20T00:00") + start * 15 * MINUTE_MS
    end_ms = begin_ms + length * 15 * MINUTE_MS
    site = OpenHours(zone, hours)
    spans = list(site.open_spans(begin_ms, end_ms, end_ms))
    # All edges are at quarters of an hour of every zone here, so instants between them suffice.
    middles = range(begin_ms + 7 * MINUTE_MS, end_ms, 15 * MINUTE_MS)
    for at_ms in middles:
        inside = any(low <= at_ms < high for low, high in spans)
        assert inside == open_by_the_wall_clock(zone, hours, at_ms)
