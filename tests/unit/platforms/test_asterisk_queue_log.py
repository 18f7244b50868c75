from __future__ import annotations

import json
from collections import defaultdict
from datetime import datetime

import pytest

from pipeline.folds.event import RANK
from schemas.platforms.asterisk_queue_log import key, parse
from schemas.platforms.base import BadPayload, Options, fallback_key

from .reading import read, shown

TIME = "2010-02-22T10:18:31Z"  # 1266833911
CALL = {
    "source": "asterisk",
    "occurred_at": TIME,
    "interaction_id": "1266833905.2",
    "channel": "voice",
    "queue": "9000",
}
SERVED = {**CALL, "performer_kind": "human", "performer_id": "SIP/2004"}
BEFORE = {"source_seq": -1}
"""Of what ends a stay that began in an earlier second."""


def line(event, *data, call="1266833905.2", queue="9000", agent="SIP/2004", time="1266833911"):
    return "|".join([time, call, queue, agent, event, *data]).encode()


def events_of(payload, **options):
    return [shown(event) for event in parse(payload, Options(**options)).events]


@pytest.mark.parametrize(
    ("payload", "events"),
    [
        (
            line("ENTERQUEUE", "", "015550100003", "1", agent="NONE"),
            [
                {**CALL, "kind": "started", "customer": "015550100003"},
                {**CALL, "kind": "queued", "customer": "015550100003"},
            ],
        ),
        (
            line("ENTERQUEUE", "", "anonymous", agent="NONE"),
            [{**CALL, "kind": "started"}, {**CALL, "kind": "queued"}],
        ),
        (line("RINGNOANSWER", "1000"), [{**SERVED, "kind": "declined"}]),
        (line("RINGCANCELED", "1837"), [{**SERVED, "kind": "declined"}]),
        (line("AGENTDUMP"), [{**SERVED, "kind": "declined"}]),
        (
            line("CONNECT", "36", "1266834033.87", "3"),
            [{**SERVED, "kind": "accepted", "via": "queue", "wait_ms": 36000}],
        ),
        (
            line("COMPLETECALLER", "2", "4", "1"),
            [
                {
                    **SERVED,
                    **BEFORE,
                    "kind": "completed",
                    "ended_by": "customer",
                    "wait_ms": 2000,
                    "talk_ms": 4000,
                }
            ],
        ),
        (
            line("COMPLETEAGENT", "1", "0", "1"),
            [{**SERVED, "kind": "completed", "ended_by": "human", "wait_ms": 1000, "talk_ms": 0}],
        ),
        (line("ABANDON", "1", "2", "15", agent="NONE"), [{**CALL, "kind": "abandoned"}]),
        (
            line("EXITWITHTIMEOUT", "1", "1", "60", agent="NONE"),
            [{**CALL, **BEFORE, "kind": "left_queue", "reason": "timeout"}],
        ),
        (
            line("EXITWITHKEY", "9", "1", agent="NONE"),
            [{**CALL, "kind": "left_queue", "reason": "key"}],
        ),
        (
            line("EXITEMPTY", "1", "1", "5", agent="NONE"),
            [{**CALL, **BEFORE, "kind": "left_queue", "reason": "empty"}],
        ),
        *(
            (
                line(event, *data),
                [
                    {**SERVED, **BEFORE, "kind": "transfer", "transfer_kind": how},
                    {**SERVED, **BEFORE, "kind": "left"},
                    {**SERVED, **BEFORE, "kind": "record", "talk_ms": 9000},
                ],
            )
            for event, how, data in [
                ("TRANSFER", "blind", ("s", "user", "1", "9", "1")),
                ("BLINDTRANSFER", "blind", ("1001", "default", "1", "9", "1")),
                ("ATTENDEDTRANSFER", "warm", ("BRIDGE", "b-1", "1", "9", "1")),
                ("ATTENDEDTRANSFER", "warm", ("APP", "Playback", "1", "9", "1")),
                ("ATTENDEDTRANSFER", "warm", ("LINK", "SIP/a-1", "SIP/b-2", "1", "9", "1")),
            ]
        ),
        (
            line("ATTENDEDTRANSFER", "ELSE", "x", "y", "z"),
            [
                {**SERVED, "kind": "transfer", "transfer_kind": "warm"},
                {**SERVED, "kind": "left"},
            ],
        ),
        (line("WRAPUPSTART"), [{**SERVED, "kind": "wrapup_started"}]),
        (
            line("WRAPUPSTART", "15"),
            [
                {**SERVED, "kind": "wrapup_started"},
                {
                    **SERVED,
                    "kind": "wrapup_ended",
                    "wrap_ms": 15_000,
                    "occurred_at": "2010-02-22T10:18:46Z",
                },
            ],
        ),
    ],
)
def test_events_of_a_call(payload, events):
    assert events_of(payload) == events


@pytest.mark.parametrize(
    ("event", "data", "told"),
    [
        ("ADDMEMBER", (), {"state": "available"}),
        ("REMOVEMEMBER", (), {"state": "offline"}),
        ("PAUSE", ("lunch",), {"state": "away", "reason": "lunch", "logs_in": False}),
        ("PAUSEREASON", ("lunch",), {"state": "away", "reason": "lunch", "logs_in": False}),
        ("PAUSE", ("",), {"state": "away", "logs_in": False}),
        ("UNPAUSE", ("lunch",), {"state": "available", "logs_in": False}),
        ("PAUSEALL", (), {"state": "away", "logs_in": False}),
        ("UNPAUSEALL", (), {"state": "available", "logs_in": False}),
        ("AGENTLOGIN", ("SIP/x-1",), {"state": "available"}),
        ("AGENTLOGOFF", ("SIP/x-1", "30"), {"state": "offline", "session_ms": 30_000}),
        ("AGENTCALLBACKLOGIN", ("1001@all",), {"state": "available"}),
        ("AGENTCALLBACKLOGOFF", ("1001@all", "900"), {"state": "offline", "session_ms": 900_000}),
    ],
)
@pytest.mark.parametrize("queue", ["9000", "NONE"])
def test_states_of_a_performer(event, data, told, queue):
    performer = {**SERVED, "interaction_id": "performer:SIP/2004", "kind": "performer_state"}
    if queue == "NONE":
        del performer["queue"]
    payload = line(event, *data, call="MANAGER", queue=queue)
    assert events_of(payload) == [{**performer, **told}]
    assert key(payload) == b"performer:SIP/2004"


def test_wrap_up_without_a_call_is_a_state_and_work_of_the_performer():
    payload = line("WRAPUPSTART", "15", call="NONE", queue="NONE")
    state, work = events_of(payload)
    assert (state["kind"], state["state"], state["interaction_id"]) == (
        "performer_state",
        "wrap",
        "performer:SIP/2004",
    )
    assert (work["kind"], work["performer_id"], work["wrap_ms"]) == (
        "wrapup_ended",
        "SIP/2004",
        15_000,
    )
    began, ended = (datetime.fromisoformat(str(e["occurred_at"])) for e in (state, work))
    assert (ended - began).total_seconds() == 15
    assert key(payload) == b"performer:SIP/2004"


@pytest.mark.parametrize(
    "event", ["CONFIGRELOAD", "DID", "JOINEMPTY", "OUTDIAL", "PENALTY", "SYSCOMPAT"]
)
def test_other_events_are_ignored_by_name(event):
    assert parse(line(event, "x"), Options()) == ((), (event,), None)


def test_a_restart_is_ignored_and_told():
    payload = b"1266833361|NONE|NONE|NONE|QUEUESTART|"
    assert parse(payload, Options()) == ((), ("QUEUESTART",), 1266833361000)


def row(**changes):
    return {
        "time": "2012-07-01 10:58:33.643463",
        "callid": "c1",
        "queuename": "q01",
        "agent": "Agent/1",
        "event": "CONNECT",
        "data1": "1",
        "data2": "1346165912.457",
        "data3": "1",
        "data4": "",
        "data5": "",
    } | changes


def test_a_row_of_the_table_is_local_time():
    told = {
        "source": "asterisk",
        "interaction_id": "c1",
        "channel": "voice",
        "queue": "q01",
        "performer_kind": "human",
        "performer_id": "Agent/1",
        "kind": "accepted",
        "via": "queue",
        "wait_ms": 1000,
    }
    payload = json.dumps(row()).encode()
    assert events_of(payload) == [{**told, "occurred_at": "2012-07-01T10:58:33.643463Z"}]
    # Summer time in Montreal is four hours behind UTC.
    assert events_of(payload, time_zone="America/Montreal") == [
        {**told, "occurred_at": "2012-07-01T14:58:33.643463Z"}
    ]
    assert key(payload) == b"c1"


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        ("2012-07-01T10:58:33+02:00", "2012-07-01T08:58:33Z"),
        ("1266833911", TIME),
        ("1266833911.25", "2010-02-22T10:18:31.250000Z"),
        (1266833911, TIME),
    ],
)
def test_other_times_of_rows(time, expected):
    (event,) = events_of(json.dumps(row(time=time)).encode(), time_zone="America/Montreal")
    assert event["occurred_at"] == expected


def test_a_bar_left_in_a_column_is_read_as_the_column_it_is():
    payload = row(event="ATTENDEDTRANSFER", data1="LINK", data2="a", data3="b", data4="0")
    (*_, record) = events_of(json.dumps(payload | {"data5": "10|1"}).encode())
    assert (record["kind"], record["talk_ms"]) == ("record", 10000)
    (joined,) = events_of(json.dumps(row(data="7|1346165912.457|1")).encode())
    assert joined["wait_ms"] == 7000


def test_rows_come_alone_in_arrays_and_under_the_name_of_their_table():
    rows = [row(), row(callid="c2")]
    for data in (
        json.dumps(rows),
        json.dumps({"queue_log": rows}),
        "\n".join(map(json.dumps, rows)),
    ):
        outcome = read("asterisk_queue_log", data.encode())
        assert (outcome.records, outcome.kinds, outcome.keys) == (
            2,
            {"accepted": 2},
            {b"c1", b"c2"},
        )
    whole = parse(json.dumps([*rows, row(event="PENALTY")]).encode(), Options())
    assert [event.interaction_id for event in whole.events] == ["c1", "c2"]
    assert whole.ignored == ("PENALTY",)


@pytest.mark.parametrize(
    ("payload", "detail"),
    [
        (b"1266833911|c|q|a", "expected epoch|callid|queue|agent|EVENT"),
        (line("CONNECT", "1", time="yesterday"), "time: expected an epoch in seconds"),
        (line("CONNECT", "1", time="999999999999"), "time: expected an epoch in seconds"),
        (line("CONNECT", "soon"), "data1 of CONNECT: expected whole seconds"),
        (line("COMPLETEAGENT", "1", "x"), "data2 of COMPLETEAGENT: expected whole seconds"),
        (line("CONNECT", "1", agent="NONE"), "agent of CONNECT: expected an agent"),
        (line("ABANDON", call="NONE"), "callid of ABANDON: expected a call"),
        (line("PAUSE", agent="NONE"), "agent of PAUSE: expected an agent"),
        (json.dumps(row(time="soon")).encode(), "time: expected an epoch in seconds or YYYY-MM-DD"),
        (json.dumps(row(time=None)).encode(), "expected time, callid"),
        (json.dumps({"callid": "c1", "event": "CONNECT"}).encode(), "expected time, callid"),
        (json.dumps(row(data1=[5])).encode(), "expected time, callid, queuename, agent, event"),
    ],
)
def test_what_the_log_never_writes_is_refused(payload, detail):
    with pytest.raises(BadPayload) as refusal:
        parse(payload, Options())
    assert refusal.value.reason == "invalid_event"
    assert refusal.value.detail.startswith(detail)


@pytest.mark.parametrize("seconds", ["-3", "1266833911"])
def test_a_duration_of_a_broken_clock_is_no_measure(seconds):
    assert "wait_ms" not in events_of(line("CONNECT", seconds))[0]
    (state,) = events_of(line("AGENTLOGOFF", "SIP/x-1", seconds, call="NONE"))
    assert "session_ms" not in state


def test_the_same_line_has_the_same_ids_and_another_has_others():
    ids = [event.event_id for event in parse(line("ENTERQUEUE", "", "1"), Options()).events]
    again = [event.event_id for event in parse(line("ENTERQUEUE", "", "1"), Options()).events]
    other = [event.event_id for event in parse(line("ENTERQUEUE", "", "2"), Options()).events]
    assert ids == again
    assert len({*ids, *other}) == 4


@pytest.mark.parametrize(
    ("data", "customer"),
    [
        (("", "015550100003", "1"), "015550100003"),
        (("http://crm/?id=7", "015550100003", "1"), "015550100003"),
        (("-", "015550100003"), "015550100003"),
        (("1", "015550100003"), "015550100003"),
        (("015550100003", "1"), "015550100003"),
        (("+15550100003", ""), "+15550100003"),
        (("", ""), None),
        (("", "##########", "1"), None),
        (("", "0000000000", "1"), None),
        (("", "XXXXXXX", "1"), None),
        (("", "anonymous@anonymous.invalid", "1"), None),
    ],
)
def test_the_caller_where_it_stands(data, customer):
    _, queued = events_of(line("ENTERQUEUE", *data, agent="NONE"))
    assert queued.get("customer") == customer


def test_names_in_latin_1_are_kept_apart():
    first, second = (
        parse(line("CONNECT", "1", agent=agent).decode().encode("latin-1"), Options()).events[0]
        for agent in ("SIP/josé", "SIP/josè")
    )
    assert (first.performer_id, second.performer_id) == ("SIP/josé", "SIP/josè")


def test_a_log_cut_while_it_was_written_begins_with_zero_bytes():
    outcome = read("asterisk_queue_log", b"\0" * 5000 + line("ABANDON", "1", "1", "3") + b"\r\n")
    assert (outcome.records, outcome.kinds) == (1, {"abandoned": 1})


def lines(*entries):
    """A log of one call: second, agent, event, data."""
    return b"\r\n".join(
        line(event, *data, call="7.1", queue=queue, agent=agent, time=str(1266833900 + second))
        for second, queue, agent, event, *data in entries
    )


def stays(outcome):
    """Queue, wait in seconds and outcome of each stay in a queue."""
    return [
        (fact.header.queue, fact.wait_ms // 1000, fact.outcome)
        for fact in outcome.facts("queue_segment")
    ]


def test_a_call_enters_the_same_queue_again_within_the_second_it_left_it():
    outcome = read(
        "asterisk_queue_log",
        lines(
            (0, "q1", "NONE", "ENTERQUEUE", "", "5550100", "1"),
            (60, "q1", "NONE", "EXITWITHTIMEOUT", "1", "1", "60"),
            (60, "q1", "NONE", "ENTERQUEUE", "", "5550100", "1"),
            (72, "q1", "SIP/1", "CONNECT", "12", "8.1", "3"),
            (90, "q1", "SIP/1", "COMPLETECALLER", "12", "18", "1"),
        ),
    )
    assert stays(outcome) == [("q1", 60, "flow_out"), ("q1", 12, "answered")]
    ((talk_ms, ended),) = [(fact.talk_ms, fact.ended_by) for fact in outcome.facts("interaction")]
    assert (talk_ms, ended) == (18_000, "customer")


def test_a_call_goes_on_to_the_next_queue_within_the_second_its_agent_ended():
    outcome = read(
        "asterisk_queue_log",
        lines(
            (0, "q1", "NONE", "ENTERQUEUE", "", "5550100", "1"),
            (5, "q1", "SIP/1", "CONNECT", "5", "8.1", "3"),
            (35, "q1", "SIP/1", "COMPLETEAGENT", "5", "30", "1"),
            (35, "q2", "NONE", "ENTERQUEUE", "", "5550100", "1"),
            (45, "q2", "NONE", "ABANDON", "1", "1", "10"),
        ),
    )
    assert stays(outcome) == [("q1", 5, "answered"), ("q2", 10, "abandoned")]


def test_what_begins_and_ends_within_a_second_stays_in_order():
    outcome = read(
        "asterisk_queue_log",
        lines(
            (0, "q1", "NONE", "ENTERQUEUE", "", "5550100", "1"),
            (0, "q1", "NONE", "EXITEMPTY", "1", "1", "0"),
            (7, "q2", "NONE", "ENTERQUEUE", "", "5550100", "1"),
            (7, "q2", "SIP/1", "CONNECT", "0", "8.1", "0"),
            (7, "q2", "SIP/1", "COMPLETEAGENT", "0", "0", "1"),
        ),
    )
    assert stays(outcome) == [("q1", 0, "flow_out"), ("q2", 0, "answered")]


def test_rows_with_the_columns_of_other_tables():
    expected = parse(json.dumps(row()).encode(), Options()).events
    renamed = {
        "time_id": "1341140313.643463", "call_id": "c1", "queue": "q01", "agent": "Agent/1",
        "verb": "connect", "data1": 1, "data2": "1346165912.457", "data3": None,
    }  # fmt: skip
    for native in (
        renamed,
        row(data=""),
        row(data=None),
        row(data1=1),
        {name.upper(): value for name, value in row().items()},
        row(data4="NULL", data5="\\N"),
    ):
        (event,) = parse(json.dumps(native).encode(), Options()).events
        assert shown(event) == shown(expected[0])
        assert key(json.dumps(native).encode()) == b"c1"


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_a_table_as_text_with_its_columns_in_the_first_line(delimiter):
    table = [
        ["id", "time", "callid", "queuename", "agent", "event", "data1", "data2", "data3"],
        ["1", "2012-07-01 10:58:33", "c1", "q01", "NONE", "ENTERQUEUE", "", '"5550100"', "1"],
        ["2", "2012-07-01 10:58:45", "c1", "q01", "Agent/1", "CONNECT", "12", "8.1", "3"],
        ["3", "2012-07-01 10:58:45", "short"],
    ]
    text = "\r\n".join(delimiter.join(cells) for cells in table).encode()
    outcome = read("asterisk_queue_log", text, "time_zone=America/Montreal")
    assert (outcome.records, outcome.refused) == (3, ["invalid_event"])
    assert outcome.keys_of == {"c1": {b"c1"}}
    started, _, accepted = outcome.events
    assert (started.customer, accepted.wait_ms) == ("5550100", 12_000)
    assert shown(accepted, "occurred_at") == {"occurred_at": "2012-07-01T14:58:45Z"}


def test_lines_with_local_time():
    payload = line("ABANDON", "1", "1", "3", time="2012-07-01 10:58:33.5")
    (event,) = events_of(payload, time_zone="America/Montreal")
    assert event["occurred_at"] == "2012-07-01T14:58:33.500000Z"


def test_keys():
    assert key(line("ABANDON", call="c 7")) == b"c 7"
    for payload in (b"", b"x", b"\xff|", b"{}", b"{", line("CONFIGRELOAD", call="NONE")):
        assert key(payload) == fallback_key(payload)


@pytest.mark.samples
def test_a_real_log(samples):
    outcome = read("asterisk_queue_log", samples / "asterisk" / "queue_log")
    assert outcome.records == 278
    assert outcome.kinds == {
        "started": 21,
        "queued": 21,
        "declined": 221,
        "accepted": 8,
        "completed": 7,
        "abandoned": 12,
    }
    assert outcome.ignored == {"CONFIGRELOAD": 7, "QUEUESTART": 2}
    assert outcome.restarts_ms == [1266833361000, 1266833848000]
    assert outcome.refused == []
    assert len({event.event_id for event in outcome.events}) == 290
    customers = {event.customer for event in outcome.events if event.kind == "queued"}
    assert None in customers
    assert "anonymous" not in customers


@pytest.mark.samples
def test_within_a_second_the_rank_of_kinds_gives_the_order_of_the_real_log(samples):
    outcome = read("asterisk_queue_log", samples / "asterisk" / "queue_log")
    calls = defaultdict(list)
    for event in outcome.events:
        if event.kind != "declined":
            calls[event.interaction_id].append(event)
    for events in calls.values():
        assert events == sorted(events, key=lambda e: (e.occurred_at, RANK[e.kind], e.event_id))
    assert len(calls) == 21


@pytest.mark.samples
def test_measured_waits_of_a_real_log_are_the_differences_of_its_times(samples):
    entered, waits = {}, []
    for raw in (samples / "asterisk" / "queue_log").read_text().splitlines():
        if not raw:
            continue
        time, call, _, _, event, *data = raw.split("|")
        if event == "ENTERQUEUE":
            entered[call] = int(time)
        elif event in {"CONNECT", "ABANDON"}:
            measured = int(data[0] if event == "CONNECT" else data[2])
            waits.append(measured - (int(time) - entered[call]))
    assert waits == [0] * 20


@pytest.mark.samples
def test_real_rows_of_a_table(samples):
    outcome = read(
        "asterisk_queue_log",
        samples / "asterisk" / "wazo-agent-statistics.json",
        "time_zone=America/Montreal",
    )
    assert outcome.records == 92
    assert outcome.refused == []
    assert outcome.kinds == {
        "started": 12,
        "queued": 12,
        "accepted": 12,
        "completed": 7,
        "transfer": 5,
        "left": 5,
        "record": 5,
        "performer_state": 56,
        "wrapup_ended": 1,
    }
    # The vendor expects one minute of conversation of this agent: six calls of ten seconds.
    talks = [
        event.talk_ms
        for event in outcome.events
        if event.kind in {"completed", "record"} and event.performer_id == "Agent/2"
    ]
    assert talks == [10000] * 6
