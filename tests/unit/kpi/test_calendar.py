from __future__ import annotations

import zoneinfo
from datetime import UTC, date, datetime
from importlib import resources
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.kpi import calendar
from pipeline.kpi.calendar import bucket, day_end_ms, day_start_ms, days, offset_ms


def ms(text):
    return int(datetime.fromisoformat(text).timestamp() * 1000)


def shown(epoch_ms):
    return datetime.fromtimestamp(epoch_ms / 1000, UTC).strftime("%m-%d %H:%M")


def buckets(zone, size, start_ms, end_ms):
    found = []
    while start_ms < end_ms:
        one = bucket(zone, size, start_ms)
        assert one[0] == start_ms
        found.append(one)
        start_ms = one[1]
    assert start_ms == end_ms
    return found


@pytest.mark.parametrize(
    ("day", "start", "end", "half_hours"),
    [
        ("2026-10-25", "10-24 22:00", "10-25 23:00", 50),
        ("2026-03-29", "03-28 23:00", "03-29 22:00", 46),
        ("2026-06-01", "05-31 22:00", "06-01 22:00", 48),
    ],
)
def test_half_hours_of_a_day_in_berlin(day, start, end, half_hours):
    noon = ms(f"{day}T12:00:00Z")
    first, last = day_start_ms("Europe/Berlin", noon), day_end_ms("Europe/Berlin", noon)
    assert (shown(first), shown(last)) == (start, end)
    assert len(buckets("Europe/Berlin", "30m", first, last)) == half_hours


def test_two_o_clock_comes_twice_on_25_october():
    first = ms("2026-10-25T02:10:00+02:00")
    again = ms("2026-10-25T02:10:00+01:00")
    found = [tuple(map(shown, bucket("Europe/Berlin", "30m", t))) for t in (first, again)]
    assert found == [("10-25 00:00", "10-25 00:30"), ("10-25 01:00", "10-25 01:30")]
    hours = [tuple(map(shown, bucket("Europe/Berlin", "1h", t))) for t in (first, again)]
    assert hours == [("10-25 00:00", "10-25 01:00"), ("10-25 01:00", "10-25 02:00")]


@pytest.mark.parametrize(
    ("zone", "size", "at", "start", "end"),
    [
        ("UTC", "15m", "2026-01-01T00:14:59Z", "01-01 00:00", "01-01 00:15"),
        ("UTC", "15m", "2026-01-01T00:15:00Z", "01-01 00:15", "01-01 00:30"),
        # +05:45: local half and full hours are not those of UTC, quarters are.
        ("Asia/Kathmandu", "15m", "2026-01-01T00:00:00Z", "01-01 00:00", "01-01 00:15"),
        ("Asia/Kathmandu", "30m", "2026-01-01T00:00:00Z", "12-31 23:45", "01-01 00:15"),
        ("Asia/Kathmandu", "1h", "2026-01-01T00:00:00Z", "12-31 23:15", "01-01 00:15"),
        ("Asia/Kathmandu", "day", "2026-01-01T18:15:00Z", "01-01 18:15", "01-02 18:15"),
        # Clocks move by half an hour: the hour in which they do is cut.
        ("Australia/Lord_Howe", "1h", "2026-10-03T15:20:00Z", "10-03 14:30", "10-03 15:30"),
        ("Australia/Lord_Howe", "1h", "2026-10-03T15:30:00Z", "10-03 15:30", "10-03 16:00"),
        ("Australia/Lord_Howe", "1h", "2026-04-04T15:10:00Z", "04-04 15:00", "04-04 15:30"),
        # 23:00-24:00 comes twice and still belongs to the old day.
        ("America/Sao_Paulo", "day", "2018-02-18T02:30:00Z", "02-17 02:00", "02-18 03:00"),
        # There is no midnight: the day begins at 01:00.
        ("Africa/Cairo", "day", "2026-04-24T03:00:00Z", "04-23 22:00", "04-24 21:00"),
        # 00:00-01:00 comes twice, the day has 25 hours.
        ("America/Havana", "day", "2025-11-02T05:30:00Z", "11-02 04:00", "11-03 05:00"),
        # 00:00 was reached, then clocks went back to 23:01: the new day had begun.
        ("America/St_Johns", "day", "2010-11-07T03:00:00Z", "11-07 02:30", "11-08 03:30"),
        # 30 December 2011 was left out.
        ("Pacific/Apia", "day", "2011-12-30T09:59:59Z", "12-29 10:00", "12-30 10:00"),
        ("Pacific/Apia", "day", "2011-12-30T10:00:00Z", "12-30 10:00", "12-31 10:00"),
    ],
)
def test_edges(zone, size, at, start, end):
    assert tuple(map(shown, bucket(zone, size, ms(at)))) == (start, end)


def test_the_calendar_table_follows_on_without_gaps():
    rows = list(days("Pacific/Apia", date(2011, 12, 28), date(2012, 1, 1)))
    assert [row.date.day for row in rows] == [28, 29, 31, 1]
    assert all(a.end_ms == b.start_ms for a, b in pairwise(rows))
    assert {row.end_ms - row.start_ms for row in rows} == {86_400_000}


def test_unknown_zones_are_refused():
    for zone in ("Europe/Berln", "../../etc/passwd", ""):
        with pytest.raises(ValueError, match="unknown time zone"):
            bucket(zone, "1h", 0)


@pytest.fixture
def machine_that_takes_manila_for_utc(tmp_path):
    (tmp_path / "Asia").mkdir()
    utc = resources.files("tzdata").joinpath("zoneinfo", "UTC").read_bytes()
    (tmp_path / "Asia" / "Manila").write_bytes(utc)
    zoneinfo.reset_tzpath(to=[tmp_path])
    calendar.zone_info.cache_clear()
    yield
    zoneinfo.reset_tzpath()


@pytest.mark.usefixtures("machine_that_takes_manila_for_utc")
def test_zones_come_from_the_package_whatever_the_machine_has():
    july = datetime(2026, 7, 1, 12, tzinfo=UTC)
    machine = july.astimezone(zoneinfo.ZoneInfo.no_cache("Asia/Manila"))
    assert (machine.hour, july.astimezone(calendar.zone_info("Asia/Manila")).hour) == (12, 20)


ZONES = [
    "UTC", "Europe/Berlin", "Asia/Manila", "America/Havana", "Australia/Lord_Howe",
    "Asia/Kathmandu", "Africa/Casablanca", "America/St_Johns", "Pacific/Chatham",
]  # fmt: skip
INSTANTS = st.integers(ms("2000-01-01T00:00:00Z"), ms("2040-01-01T00:00:00Z"))


@settings(deadline=None)
@given(st.sampled_from(ZONES), INSTANTS)
def test_offsets_are_those_of_zoneinfo(zone, epoch_ms):
    moment = datetime.fromtimestamp(epoch_ms // 1000, calendar.zone_info(zone))
    assert offset_ms(zone, epoch_ms) == moment.utcoffset().total_seconds() * 1000


@settings(deadline=None)
@given(st.sampled_from(ZONES), st.sampled_from(["15m", "30m", "1h", "day"]), INSTANTS)
def test_buckets_hold_their_instant_and_tile_time(zone, size, epoch_ms):
    start, end = bucket(zone, size, epoch_ms)
    assert start <= epoch_ms < end
    assert bucket(zone, size, start) == bucket(zone, size, end - 1) == (start, end)
    assert bucket(zone, size, end)[0] == end
    assert bucket(zone, size, start - 1)[1] == start
    if size == "day":
        assert (start, end) == (day_start_ms(zone, epoch_ms), day_end_ms(zone, epoch_ms))
    else:
        assert start >= day_start_ms(zone, epoch_ms)
        assert end <= day_end_ms(zone, epoch_ms)
