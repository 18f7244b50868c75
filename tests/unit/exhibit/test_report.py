from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

import pytest

from pipeline.exhibit.period import Period
from pipeline.exhibit.report import Bucket, ReportError, bucket_size, query_parameters, report
from pipeline.exhibit.report_csv import csv_report
from pipeline.exhibit.report_html import html_report, shown
from pipeline.kpi import catalogue
from schemas.exhibit_file import load_exhibit

EXHIBIT = """\
exhibit: sales
title: Sales & care
time_zone: UTC
by: [queue]
windows: [{tumbling: day}, {tumbling: 30m}]
kpis:
  - {kpi: service_level, target: ">= 0.80", min_n: 10, owner: OSP, intent: answered in time,
     equivalence_note: "<b>because</b>"}
  - {kpi: asa, target: "<= 20"}
  - {kpi: max_wait}
  - {kpi: offered}
  - {kpi: queue_depth}
  - {kpi: fcr_repeat}
"""
KNOWN = catalogue.load()
NOVEMBER = Period(2026, 11)


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def bucket(name: str, day: str, numerator, denominator, **given) -> Bucket:
    kpi = KNOWN.compile(name)
    start = datetime.fromisoformat(day).replace(tzinfo=UTC)
    told = {
        "name": name, "kpi": name, "kpi_version": kpi.version,
        "parameters": json.dumps(kpi.parameters), "attribution": kpi.attribution,
        "dimensions": {"queue": "*"}, "state": "final", "revision": 0,
        "start_ms": ms(day), "end_ms": round((start + timedelta(days=1)).timestamp() * 1000),
        "as_of_ms": ms("2026-12-20"), "numerator": numerator, "denominator": denominator,
        "value": None if denominator == 0 else 1.0, "status": "no_target",
    } | given  # fmt: skip
    return Bucket(**told)


def made(*buckets: Bucket, period: Period = NOVEMBER):
    return report(load_exhibit(EXHIBIT), period, KNOWN, buckets)


def line(name: str, *buckets: Bucket, cell=("*",)):
    (found,) = [one for one in made(*buckets).lines if one.entry.name == name and one.cell == cell]
    return found


# --- months ---------------------------------------------------------------------------------------


def test_months():
    assert str(Period.parse("2026-02")) == "2026-02"
    assert Period(2026, 2).shifted(-3) == Period(2025, 11)
    assert Period(2026, 12).shifted(1) == Period(2027, 1)
    # Berlin is at UTC+2 until 25 October and at UTC+1 after it: the month has an hour more.
    start_ms, end_ms = Period(2026, 10).bounds_ms("Europe/Berlin")
    assert (start_ms, end_ms) == (ms("2026-09-30T22:00"), ms("2026-10-31T23:00"))
    for text in ("2026", "2026-13", "2026-1", "11-2026"):
        with pytest.raises(ValueError, match="write it as 2026-11"):
            Period.parse(text)


def test_the_longest_buckets_are_asked_for_with_the_months_that_tell_a_trend():
    exhibit = load_exhibit(EXHIBIT)
    assert bucket_size(exhibit) == "day"
    assert query_parameters(exhibit, NOVEMBER) == {
        "exhibit": "sales", "size": "day",
        "start_ms": ms("2026-08-01"), "end_ms": ms("2026-12-01"),
    }  # fmt: skip
    with pytest.raises(ReportError, match=r"e has no closed windows; add \{tumbling: day\}"):
        bucket_size(load_exhibit("exhibit: e\nkpis: [{kpi: asa}]\n"))


# --- sums -----------------------------------------------------------------------------------------


def test_a_month_is_the_sums_of_its_buckets_and_no_average_of_values():
    # 9 of 10, then 1 of 30: 10 of 40 is 0.25; the mean of 0.9 and 0.033 would be 0.467.
    found = line(
        "service_level",
        bucket("service_level", "2026-11-01", 9, 10),
        bucket("service_level", "2026-11-30", 1, 30),
        bucket("service_level", "2026-12-01", 5, 5),
    )
    assert (found.numerator, found.denominator, found.value, found.n) == (10, 40, 0.25, 40)
    # Wilson 95 % of 10 of 40.
    assert (found.low, found.high) == (
        pytest.approx(0.14187, abs=5e-6),
        pytest.approx(0.40194, abs=5e-6),
    )
    assert (found.status, len(found.buckets)) == ("missed", 2)


def test_extremes_counts_and_what_cannot_be_summed():
    days = ("2026-11-01", "2026-11-02", "2026-11-03")
    waits = [
        bucket("max_wait", day, n, 1) for day, n in zip(days, (9000, 31000, 4000), strict=True)
    ]
    assert line("max_wait", *waits).value == 31.0
    offered = [bucket("offered", day, n, n) for day, n in zip(days, (4, 0, 3), strict=True)]
    assert (line("offered", *offered).value, line("offered", *offered).n) == (7, 7)
    depth = bucket("queue_depth", "2026-11-01", 3, None)
    assert line("queue_depth", depth).value is None


def test_a_month_of_none_among_facts_is_none_and_not_undefined():
    none = [bucket("offered", day, 0, 0, value=0.0) for day in ("2026-11-01", "2026-11-02")]
    assert (line("offered", *none).value, line("offered", *none).n) == (0, 0)
    # No fact at all in its buckets: there was nothing to count.
    assert line("offered", bucket("offered", "2026-11-01", 0, 0)).value is None


def test_empty_buckets_and_empty_months_are_undefined():
    assert line("asa", bucket("asa", "2026-11-01", 0, 0)).value is None
    assert line("asa", bucket("asa", "2026-11-01", 0, 0)).status == "undefined"
    assert line("asa").status == "undefined"
    assert made().as_of_ms is None


def test_values_of_another_definition_are_left_out_and_counted():
    ours = bucket("asa", "2026-11-01", 10_000, 1)
    others = [
        bucket("asa", "2026-11-02", 90_000, 1, kpi_version=9),
        bucket("asa", "2026-11-03", 90_000, 1, parameters='{"of": "all"}'),
        bucket("asa", "2026-11-04", 90_000, 1, attribution="event"),
    ]
    assert line("asa", ours, *others).value == 10.0
    assert made(ours, *others).foreign == {"asa": 3}


def test_a_cohort_counts_what_is_final_and_waits_for_the_rest():
    early = bucket("fcr_repeat", "2026-11-01", 3, 4)
    late = bucket("fcr_repeat", "2026-11-30", 1, 1, as_of_ms=ms("2026-12-05"))
    provisional = bucket("fcr_repeat", "2026-11-30", 9, 9, state="provisional")
    found = line("fcr_repeat", early, late, provisional)
    assert (found.numerator, found.denominator, found.provisional) == (4, 5, 0)
    # On 5 December the contacts of 30 November are not 7 days old.
    early = bucket("fcr_repeat", "2026-11-01", 3, 4, as_of_ms=ms("2026-12-05"))
    assert line("fcr_repeat", early, late).provisional == 1


def test_cells_follow_the_total():
    found = made(
        bucket("asa", "2026-11-01", 30_000, 2),
        bucket("asa", "2026-11-01", 20_000, 1, dimensions={"queue": "sales"}),
        bucket("asa", "2026-11-01", 10_000, 1, dimensions={"queue": ""}),
    )
    asked = [(one.cell, one.value) for one in found.lines if one.entry.name == "asa"]
    assert asked == [(("*",), 15.0), (("",), 10.0), (("sales",), 20.0)]


@pytest.mark.parametrize(
    ("months", "status"),
    [
        ((50, 40, 30, 25), "trending"),
        ((50, 40, 40, 25), "missed"),
        ((40, 30, 25), "missed"),
        ((50, 40, 30, 20), "met"),
    ],
)
def test_status(months, status):
    # Seconds to answer, one call a month, the last one in November; the target is 20.
    buckets = [
        bucket("asa", f"{NOVEMBER.shifted(index - len(months) + 1)}-05", seconds * 1000, 1)
        for index, seconds in enumerate(months)
    ]
    assert line("asa", *buckets).status == status


def test_few_meet_and_miss_nothing():
    assert (
        line("service_level", bucket("service_level", "2026-11-01", 9, 9)).status == "n_below_min"
    )


# --- pages ----------------------------------------------------------------------------------------


class Page(HTMLParser):
    """Tags, what they refer to, and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]

    def handle_data(self, data):
        self.text += data


BUCKETS = (
    bucket("service_level", "2026-11-01", 9, 10),
    bucket("service_level", "2026-11-02", 7, 10),
    bucket("service_level", "2026-11-01", 9, 10, dimensions={"queue": "<script>alert(1)</script>"}),
    bucket("asa", "2026-11-02", 30_000, 2, kpi_version=9),
)


def test_the_page_says_what_a_reader_needs_and_asks_nothing_of_a_network():
    page = Page(html_report(made(*BUCKETS)))
    assert "Sales & care, 2026-11" in page.text
    for text in ("80.0 %", "58.4 to 91.9 %", ">= 0.80", "met", "OSP", "answered in time",
                 "<b>because</b>", "asa (1)", "final, clock at 2026-12-20 00:00:00 UTC",
                 "Cisco ICM 4.5 manual"):  # fmt: skip
        assert text in page.text, text
    assert "script" not in page.tags
    assert "<script>alert(1)</script>" in page.text
    assert all(link.startswith("#") for link in page.links)


def test_the_page_stands_in_the_dark_and_on_paper():
    text = html_report(made(*BUCKETS))
    assert "prefers-color-scheme: dark" in text
    assert "@media print" in text
    assert "http" not in text.replace("http-equiv", "")


def test_a_page_of_nothing_says_so():
    assert "nothing was published" in Page(html_report(made())).text


def test_csv():
    rows = list(csv.DictReader(io.StringIO(csv_report(made(*BUCKETS)))))
    first, one, two = [row for row in rows if row["as"] == "service_level"][:3]
    asked = ("part", "start", "end", "queue", "numerator", "value")
    assert {name: first[name] for name in asked} == {
        "part": "period", "start": "2026-11-01T00:00:00Z", "end": "2026-12-01T00:00:00Z",
        "queue": "*", "numerator": "16", "value": "0.8",
    }  # fmt: skip
    assert (first["state"], first["status"], first["owner"]) == ("final", "met", "OSP")
    assert [(row["part"], row["start"], row["numerator"]) for row in (one, two)] == [
        ("day", "2026-11-01T00:00:00Z", "9"), ("day", "2026-11-02T00:00:00Z", "7"),
    ]  # fmt: skip


def test_csv_holds_no_formulas():
    cell = bucket("asa", "2026-11-01", 1, 1, dimensions={"queue": "=cmd()"})
    rows = csv.DictReader(io.StringIO(csv_report(made(cell))))
    assert {row["queue"] for row in rows} == {"*", "'=cmd()"}


def test_values_as_people_read_them():
    assert [shown(0.8125, "ratio"), shown(1234.56, "seconds"), shown(7, "count")] == [
        "81.2 %", "1,234.6 s", "7",
    ]  # fmt: skip
    assert [shown(-12.5, "points"), shown(None, "ratio")] == ["-12.50", "–"]  # noqa: RUF001
