from __future__ import annotations

import pytest

from schemas.platforms.bank_call_log import key, parse
from schemas.platforms.base import BadPayload, Options, fallback_key

from .reading import read, shown

HEADER = (
    b"vru+line,call_id,type,vru_entry,vru_exit,vru_time,q_start,q_exit,q_time,outcome,"
    b"ser_start,ser_exit,ser_time,server,server_abv\n"
)
SERVED = b"AA0101,7,PS,9:00:00,9:00:10,10,9:00:10,9:01:00,50,AGENT,9:00:59,9:03:59,180,TOVA,TOV"
HUNG_UP = b"AA0101,8,NW,9:00:00,9:00:10,10,9:00:10,9:01:00,50,HANG,0:00:00,0:00:00,0,NO_SERVER,NO_"
IN_BOT = b"AA0101,9,PS,9:00:00,9:00:10,10,0:00:00,0:00:00,0,HANG,0:00:00,0:00:00,0,NO_SERVER,NO_"
FREE = b"AA0101,5,PS,9:00:00,9:00:10,10,0:00:00,0:00:00,0,AGENT,9:00:09,9:01:49,100,TOVA,TOV"
NEGATIVE = b"AA0207,6,PS,12:04:42,12:03:15,-87,12:03:15,12:04:56,101,AGENT,12:04:55,12:05:56,61,V,V"
MIDNIGHT = b"AA0101,4,PS,23:59:50,0:00:05,15,0:00:05,0:01:05,60,AGENT,0:01:05,0:02:05,60,TOVA,TOV"


def story(payload, **options):
    return [
        (event.kind, event.occurred_at.strftime("%d %H:%M:%S"))
        for event in parse(payload, Options(**options)).events
    ]


@pytest.mark.parametrize(
    ("payload", "events"),
    [
        (
            SERVED,
            [
                ("started", "01 09:00:00"),
                ("bot_started", "01 09:00:00"),
                ("handoff", "01 09:00:10"),
                ("bot_ended", "01 09:00:10"),
                ("queued", "01 09:00:10"),
                ("accepted", "01 09:01:00"),
                ("completed", "01 09:04:00"),
            ],
        ),
        (
            HUNG_UP,
            [
                ("started", "01 09:00:00"),
                ("bot_started", "01 09:00:00"),
                ("handoff", "01 09:00:10"),
                ("bot_ended", "01 09:00:10"),
                ("queued", "01 09:00:10"),
                ("abandoned", "01 09:01:00"),
            ],
        ),
        (
            IN_BOT,
            [
                ("started", "01 09:00:00"),
                ("bot_started", "01 09:00:00"),
                ("bot_ended", "01 09:00:10"),
            ],
        ),
        (
            FREE,
            [
                ("started", "01 09:00:00"),
                ("bot_started", "01 09:00:00"),
                ("handoff", "01 09:00:10"),
                ("bot_ended", "01 09:00:10"),
                ("queued", "01 09:00:10"),
                ("accepted", "01 09:00:10"),
                ("completed", "01 09:01:50"),
            ],
        ),
        (
            NEGATIVE,
            [
                ("started", "01 12:03:15"),
                ("queued", "01 12:03:15"),
                ("accepted", "01 12:04:56"),
                ("completed", "01 12:05:57"),
            ],
        ),
        (
            MIDNIGHT,
            [
                ("started", "01 23:59:50"),
                ("bot_started", "01 23:59:50"),
                ("handoff", "02 00:00:05"),
                ("bot_ended", "02 00:00:05"),
                ("queued", "02 00:00:05"),
                ("accepted", "02 00:01:05"),
                ("completed", "02 00:02:05"),
            ],
        ),
        (
            IN_BOT.replace(b",9:00:10,10,", b",8:59:50,-10,"),
            [("started", "01 09:00:00"), ("completed", "01 09:00:00")],
        ),
    ],
)
def test_the_story_of_a_call(payload, events):
    assert story(payload) == events


def test_times_are_local_to_the_option():
    # Israel was three hours ahead of UTC in August 1999.
    assert story(SERVED, time_zone="Asia/Jerusalem")[0] == ("started", "01 06:00:00")


def test_fields_of_the_events():
    identity = "AA0101-7-" + parse(SERVED, Options()).events[0].interaction_id[-12:]
    common = {
        "source": "bank_call_log",
        "interaction_id": identity,
        "channel": "voice",
        "intent": "PS",
    }
    bot = {**common, "performer_kind": "bot", "performer_id": "vru"}
    agent = {**common, "queue": "PS", "performer_kind": "human", "performer_id": "TOVA"}
    _, began, handoff, ended, queued, accepted, completed = (
        shown(event) for event in parse(SERVED, Options()).events
    )
    assert began == {**bot, "kind": "bot_started", "occurred_at": "1999-08-01T09:00:00Z"}
    assert handoff == {**bot, "kind": "handoff", "occurred_at": "1999-08-01T09:00:10Z"}
    assert (ended["kind"], ended["outcome"]) == ("bot_ended", "handoff")
    assert queued == {
        **common,
        "kind": "queued",
        "queue": "PS",
        "occurred_at": "1999-08-01T09:00:10Z",
    }
    assert accepted == {
        **agent,
        "kind": "accepted",
        "via": "queue",
        "wait_ms": 50000,
        "occurred_at": "1999-08-01T09:01:00Z",
    }
    assert completed == {
        **agent,
        "kind": "completed",
        "talk_ms": 180000,
        "occurred_at": "1999-08-01T09:04:00Z",
    }
    assert key(SERVED) == identity.encode()


def test_who_hung_up_in_the_bot_left_it():
    assert shown(parse(IN_BOT, Options()).events[-1], "outcome") == {"outcome": "left"}


def test_phantoms_and_unknown_outcomes_are_ignored():
    assert parse(HUNG_UP.replace(b"HANG", b"PHANTOM"), Options()) == ((), ("PHANTOM",), None)
    assert parse(HUNG_UP.replace(b"HANG", b"LOST"), Options()) == ((), ("LOST",), None)


def test_the_header_is_no_record_of_a_file():
    outcome = read("bank_call_log", b"\xef\xbb\xbf" + HEADER + SERVED + b"\r\n" + IN_BOT)
    assert (outcome.records, len(outcome.keys), outcome.refused) == (2, 2, [])
    assert parse(HEADER, Options()).ignored == ("header",)


PUBLISHED = b"\t".join(
    b"AA0101 7 9664491 2 PS 990901 18:03:23 18:03:30 7 18:03:30 18:03:33 3 AGENT 18:03:32 18:06:34"
    b" 182 TOVA".split()
)


def test_the_log_as_it_was_published_has_days_and_customers():
    unknown = PUBLISHED.replace(b"9664491", b"0").replace(b"990901", b"990902")
    outcome = read("bank_call_log", PUBLISHED + b"\r\n" + unknown + b"\n")
    assert (outcome.records, outcome.refused) == (2, [])
    *_, completed = (event for event in outcome.events if event.customer == "9664491")
    # Accepted at 18:03:33, and 182 s of talk.
    assert shown(completed, "occurred_at", "talk_ms", "performer_id") == {
        "occurred_at": "1999-09-01T18:06:35Z", "talk_ms": 182_000, "performer_id": "TOVA",
    }  # fmt: skip
    nobody = [event for event in outcome.events if event.customer is None]
    assert {event.occurred_at.day for event in nobody} == {2}
    assert len(nobody) == 7


@pytest.mark.parametrize("delimiter", [b",", b"\t"])
def test_columns_stand_where_the_first_line_says(delimiter):
    names = HEADER.strip().split(b",")
    cells = SERVED.split(b",")
    told = [
        delimiter.join((b"date", *reversed(names))),
        delimiter.join((b"1999-08-02", *reversed(cells))),
        delimiter.join((b"1999-08-02", *reversed(cells[1:]))),
    ]
    outcome = read("bank_call_log", b"\n".join(told))
    assert (outcome.records, outcome.refused) == (2, ["invalid_event"])
    expected = [(kind, "02" + time[2:]) for kind, time in story(SERVED)]
    found = [(event.kind, event.occurred_at.strftime("%d %H:%M:%S")) for event in outcome.events]
    assert found == expected


@pytest.mark.parametrize(
    ("payload", "detail"),
    [
        (b"a,b,c", "expected a row of 14, 15, 17, 18 columns"),
        (b'"' + SERVED, "expected a row of 14, 15, 17, 18 columns"),
        (SERVED.replace(b"9:00:00", b"25 past"), "vru_entry: expected H:MM:SS"),
        (b'{"vru+line": "AA0101"}', "expected the columns of a call, as text"),
        (PUBLISHED.replace(b"990901", b"991301"), "date: expected yymmdd or YYYY-MM-DD"),
        (SERVED.replace(b",180,", b",long,"), "ser_time: expected whole seconds"),
        (
            HUNG_UP.replace(b"9:0", b"0:0")
            .replace(b"0:00:10", b"0:00:00")
            .replace(b",10,", b",0,"),
            "vru_entry, q_start, ser_start: expected a time",
        ),
    ],
)
def test_other_rows_are_refused(payload, detail):
    with pytest.raises(BadPayload) as refusal:
        parse(payload, Options())
    assert (refusal.value.reason, refusal.value.detail) == ("invalid_event", detail)


def test_keys_of_what_is_no_row():
    for payload in (b"", b"a,b", b"\xff"):
        assert key(payload) == fallback_key(payload)


@pytest.mark.samples
def test_a_real_day(samples):
    outcome = read("bank_call_log", samples / "call-logs" / "bank-one-day.csv")
    assert (outcome.records, len(outcome.keys), outcome.refused) == (2375, 2375, [])
    assert outcome.ignored == {"PHANTOM": 18}
    assert outcome.kinds == {
        "started": 2357,
        "bot_started": 2354,  # three calls have a negative bot time
        "handoff": 2236,
        "bot_ended": 2354,
        "queued": 2239,
        "accepted": 1511,
        "completed": 1511,
        "abandoned": 728,
    }
    accepted = [event for event in outcome.events if event.kind == "accepted"]
    assert sum(event.wait_ms for event in accepted) == 203_753_000
    assert sum(event.wait_ms <= 20_000 for event in accepted) == 404
    completed = [event for event in outcome.events if event.kind == "completed"]
    assert sum(event.talk_ms for event in completed) == 292_810_000
    outcomes = [event.outcome for event in outcome.events if event.kind == "bot_ended"]
    assert (outcomes.count("left"), outcomes.count("handoff")) == (118, 2236)
