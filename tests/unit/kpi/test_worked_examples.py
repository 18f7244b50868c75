"""Published and worked examples of the KPI reference, with facts made by hand."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hand_made import HOUR, MINUTE, SECOND, fact, sums

from pipeline.kpi import catalogue, stats

CATALOGUE = catalogue.load()


def kpi_sums(kpi_id, facts, as_of_ms=0, *, mature=False, **parameters):
    return sums(CATALOGUE.compile(kpi_id, parameters), facts, as_of_ms, mature=mature)


def kpi_value(kpi_id, facts, as_of_ms=0, **parameters):
    kpi = CATALOGUE.compile(kpi_id, parameters)
    return stats.value(kpi.unit, *sums(kpi, facts, as_of_ms), micro=kpi.micro)


def stay(outcome, wait_seconds=None, entered_ms=0):
    wait_ms = None if wait_seconds is None else int(wait_seconds * SECOND)
    left_ms = None if wait_ms is None else entered_ms + wait_ms
    return fact(
        "queue_segment", outcome=outcome, entered_ms=entered_ms, left_ms=left_ms, wait_ms=wait_ms
    )


# Example 1: six calls, answered after 10, 20, 30 s, abandoned after 3, 15, 40 s.
SIX = [
    *(stay("answered", wait) for wait in (10, 20, 30)),
    *(stay("abandoned", wait) for wait in (3, 15, 40)),
]


@pytest.mark.parametrize(
    ("mode", "inclusive", "strict"),
    [
        ("A", (2, 6), (1, 6)),
        ("B", (2, 4), (1, 4)),
        ("C", (4, 6), (3, 6)),
        ("D", (2, 3), (1, 3)),
        ("E", (2, 5), (1, 5)),
        ("F", (3, 6), (2, 6)),
    ],
)
def test_1_service_level_in_six_modes(mode, inclusive, strict):
    assert kpi_sums("service_level", SIX, mode=mode) == inclusive
    assert kpi_sums("service_level", SIX, mode=mode, boundary="<") == strict


def test_1_times_and_abandons():
    assert kpi_value("asa", SIX) == 20.0
    assert kpi_sums("abandon_rate", SIX) == (3, 6)
    assert kpi_sums("abandon_rate", SIX, exclude_short=True) == (2, 5)
    assert kpi_value("mean_time_to_abandon", SIX) == pytest.approx(19.3333, abs=1e-4)
    assert kpi_sums("max_wait", SIX)[0] == 40_000
    assert kpi_value("short_abandons", SIX) == 1


@pytest.mark.parametrize(
    ("mode", "sums_", "percent"),
    [
        ("A", (860, 1060), 81.13),
        ("B", (860, 1040), 82.69),
        ("C", (880, 1060), 83.02),
        ("D", (860, 1000), 86.00),
        ("E", (860, 1050), 81.90),
        ("F", (870, 1060), 82.08),
    ],
)
def test_2_published_service_levels(mode, sums_, percent):
    day = [
        *(stay("answered", 20) for _ in range(860)),
        *(stay("answered", 21) for _ in range(140)),
        *(stay("abandoned", 4) for _ in range(10)),
        *(stay("abandoned", 12) for _ in range(10)),
        *(stay("abandoned", 60) for _ in range(40)),
    ]
    assert kpi_sums("service_level", day, mode=mode) == sums_
    assert round(100 * kpi_value("service_level", day, mode=mode), 2) == percent


def test_waiting_flow_outs_and_unknown_waits():
    rows = [*SIX, stay("waiting"), stay("flow_out", 50), stay("ended", 2), stay("answered")]
    assert kpi_sums("service_level", rows) == (2, 7)  # an unknown wait does not meet it
    assert kpi_sums("service_level", rows, mode="D") == (2, 4)
    assert kpi_sums("abandon_rate", rows) == (3, 10)
    assert kpi_value("offered", rows) == 10
    assert kpi_value("flow_outs", rows) == 1
    assert kpi_value("asa", rows) == 20.0
    assert kpi_sums("max_wait", rows)[0] == 50_000


def test_short_is_strict_and_the_threshold_is_not():
    rows = [stay("abandoned", 5), stay("abandoned", 4.999), stay("answered", 20.001)]
    assert kpi_value("short_abandons", rows) == 1
    assert kpi_sums("service_level", rows, mode="E") == (0, 2)
    assert kpi_sums("service_level", rows, mode="F") == (1, 3)


def test_gauges():
    rows = [stay("waiting", entered_ms=7000), stay("waiting", entered_ms=3000), stay("answered", 1)]
    assert kpi_sums("queue_depth", rows, 10_000)[0] == 2
    longest = CATALOGUE.compile("longest_wait")
    assert longest.reads == "age"
    assert sums(longest, rows, 10_000)[0] == 3000
    states = [
        fact("performer_state", state="available", entered_ms=1),
        fact("performer_state", state="available", entered_ms=1, left_ms=2),
        fact("performer_state", state="away", entered_ms=1),
    ]
    assert kpi_sums("performers_by_state", states, 10_000)[0] == 1
    assert kpi_sums("performers_by_state", states, 10_000, state="away")[0] == 1
    assert kpi_sums("performers_by_state", states, 10_000, state="wrap")[0] is None
    # What lies ahead of the clock is not there yet.
    assert kpi_sums("queue_depth", rows, 5_000)[0] == 1
    assert kpi_sums("performers_by_state", states, 0)[0] is None


@pytest.mark.parametrize(
    ("row", "as_of_ms", "time", "met", "due"),
    [
        (stay("answered", 10, 1000), 99_000, 11_000, 1, None),
        (stay("answered", 20, 1000), 99_000, 21_000, 1, None),
        (stay("answered", 30, 1000), 99_000, 21_000, 0, None),
        (stay("abandoned", 3, 1000), 99_000, 4000, 0, None),
        (stay("abandoned", 40, 1000), 99_000, 21_000, 0, None),
        (stay("waiting", entered_ms=1000), 20_999, None, 0, 21_000),
        (stay("waiting", entered_ms=1000), 21_000, 21_000, 0, None),
        (stay("flow_out", 20, 1000), 99_000, None, 0, None),
        (stay("flow_out", 21, 1000), 99_000, 21_000, 0, None),
    ],
)
def test_live_service_level_counts_at_its_event(row, as_of_ms, time, met, due):
    kpi = CATALOGUE.compile("service_level_live")
    assert kpi.part.time(row, as_of_ms) == time
    assert kpi.part.due(row, as_of_ms) == due
    if time is not None:
        assert kpi.part.of(row, as_of_ms) is True
        assert (kpi.part.numerator(row, as_of_ms), kpi.part.denominator(row, as_of_ms)) == (met, 1)


# Example 3: A talks 288 s, holds 80 s and wraps 30 s; B is consulted 60 s, talks 240 s, wraps 30 s.
STINTS = [
    fact("handling_segment", performer_kind="human", performer_id="A", handled=True,
         left_ms=380_000, closed_ms=410_000, talk_ms=288_000, hold_ms=80_000, wrap_ms=30_000,
         transferred=True, transfer_kind="warm"),
    fact("handling_segment", performer_kind="human", performer_id="B", handled=True,
         left_ms=620_000, closed_ms=650_000, talk_ms=300_000, hold_ms=0, wrap_ms=30_000,
         consult_ms=60_000),
]  # fmt: skip
TRANSFERRED = [
    fact("interaction", ended_ms=620_000, closed_ms=650_000, handled=True, stints=2, transfers=1,
         talk_ms=588_000, hold_ms=80_000, wrap_ms=60_000, consult_ms=60_000)
]  # fmt: skip


def test_3_warm_transfer():
    assert kpi_value("handled", STINTS) == 2
    assert kpi_value("interactions", TRANSFERRED) == 1
    assert kpi_sums("aht", STINTS) == (728_000, 2)
    assert kpi_value("aht", STINTS) == 364.0
    assert kpi_value("aht", STINTS, consult="skip") == 334.0
    assert kpi_value("aht", TRANSFERRED, per="interaction") == 728.0
    assert kpi_value("aht", TRANSFERRED, per="interaction", consult="skip") == 668.0
    assert kpi_sums("transfer_rate", TRANSFERRED) == (1, 1)
    assert kpi_sums("transfer_rate", STINTS, per="segment") == (1, 2)
    assert kpi_sums("hold_time", STINTS) == (80_000, 2)
    assert kpi_sums("hold_time", STINTS, over="with") == (80_000, 1)
    assert kpi_value("talk_time", STINTS) == 294.0
    assert kpi_value("wrap_time", STINTS, over="with") == 30.0


def test_open_work_is_not_handled_yet():
    still_open = fact("handling_segment", handled=True, talk_ms=10_000)
    assert kpi_sums("aht", [*STINTS, still_open]) == (728_000, 2)
    assert kpi_value("handled", [*STINTS, still_open]) == 2


def bot(outcome, accepted=0, left=0, **given):
    return fact("handling_segment", performer_kind="bot", handled=True, accepted_ms=accepted,
                left_ms=left * SECOND, bot_outcome=outcome, **given)  # fmt: skip


def test_5_bot_then_human():
    session = bot("handoff", left=90, handoff_ms=90_000, handoff_accepted_ms=130_000)
    assert kpi_value("bot_handle_time", [session]) == 90.0
    assert kpi_sums("handoff_rate", [session]) == (1, 1)
    assert kpi_value("handoff_wait", [session]) == 40.0
    assert kpi_sums("containment_naive", [session]) == (0, 1)
    assert kpi_sums("abandon_after_bot", [session]) == (0, 1)
    assert kpi_sums("service_level", [stay("answered", 40)]) == (0, 1)


def test_6_abandon_and_bot():
    sessions = [
        bot("left", left=45),
        bot("handoff", left=30, handoff_ms=30_000, handoff_abandoned=True),
    ]
    queued = [stay("abandoned", 8)]
    contacts = [
        fact("contact", part="bot_session", ended_ms=45_000, left_bot=True, customer_key="c"),
        fact("contact", part="bot_session", ended_ms=30_000, handed_off=True, customer_key="d"),
    ]
    assert kpi_sums("containment_naive", sessions) == (1, 2)
    assert kpi_sums("containment_true", contacts) == (0, 2)
    assert kpi_sums("handoff_rate", sessions) == (1, 2)
    assert kpi_sums("bot_abandon_rate", sessions) == (1, 2)
    assert kpi_sums("abandon_after_bot", sessions) == (1, 1)
    assert kpi_value("bot_sessions", sessions) == 2
    assert kpi_value("short_abandons", queued) is None
    assert kpi_sums("abandon_rate", queued) == (1, 1)
    found = {mode: kpi_value("service_level", queued, mode=mode) for mode in "ABCDE"}
    assert found == {"A": 0.0, "B": None, "C": 1.0, "D": None, "E": 0.0}


@pytest.mark.parametrize(
    ("given", "contained"),
    [
        ({"customer_key": "c"}, 1),
        ({"customer_key": "c", "next_any_ms": 24 * HOUR}, 0),
        ({"customer_key": "c", "next_any_ms": 24 * HOUR + 1}, 1),
        ({"customer_key": "c", "next_any_ms": HOUR, "resolved": True}, 1),
        ({"customer_key": "c", "next_any_ms": HOUR, "resolved": False}, 0),
        ({}, 0),
        ({"resolved": True}, 1),
        ({"resolved": True, "handed_off": True}, 0),
        ({"resolved": True, "left_bot": True}, 0),
    ],
)
def test_true_containment(given, contained):
    row = fact("contact", part="bot_session", ended_ms=1000, **given)
    assert kpi_sums("containment_true", [row]) == (contained, 1)


def june(day, hour, minute):
    return int(datetime(2026, 6, day, hour, minute, tzinfo=UTC).timestamp() * 1000)


# Example 7: k1 ends on 1 Jun 10:00, k2 is 8 Jun 09:59-10:10, k3 is 15 Jun 10:11-10:20.
SPANS = [(june(1, 9, 50), june(1, 10, 0)), (june(8, 9, 59), june(8, 10, 10)),
         (june(15, 10, 11), june(15, 10, 20))]  # fmt: skip


def history(intents=("billing", "billing", "billing")):
    gaps = [later[0] - earlier[1] for earlier, later in pairwise(SPANS)]
    same = [a == b for a, b in pairwise(intents)]
    rows = []
    for i, (started_ms, ended_ms) in enumerate(SPANS):
        next_ms = gaps[i] if i < len(gaps) else None
        previous_ms = gaps[i - 1] if i else None
        rows.append(
            fact("contact", part="interaction", customer_key="c", intent=intents[i], handled=True,
                 started_ms=started_ms, ended_ms=ended_ms,
                 next_any_ms=next_ms, previous_any_ms=previous_ms,
                 next_same_intent_ms=next_ms if i < len(gaps) and same[i] else None,
                 previous_same_intent_ms=previous_ms if i and same[i - 1] else None)
        )  # fmt: skip
    return rows


def test_7_repeat_window():
    k1, k2, k3 = rows = history()
    assert k1.next_any_ms == 167 * HOUR + 59 * MINUTE
    assert k2.next_any_ms == 168 * HOUR + 1 * MINUTE
    mature = june(22, 10, 20)
    assert CATALOGUE.compile("fcr_repeat").part.matures(k3, 0) == mature
    assert kpi_sums("fcr_repeat", rows, mature, mature=True) == (2, 3)
    assert kpi_sums("fcr_repeat", rows, mature - 1, mature=True) == (1, 2)
    assert kpi_sums("fcr_repeat", rows, mature, counting="chain", mature=True) == (1, 2)
    assert kpi_sums("repeat_rate", rows) == (1, 3)
    assert kpi_sums("fcr_repeat", rows, mature, window_hours=24) == (3, 3)
    shipping = history(("billing", "shipping", "billing"))
    assert kpi_sums("fcr_repeat", shipping, mature) == (3, 3)
    assert kpi_sums("fcr_repeat", shipping, mature, scope="any") == (2, 3)


def test_7_asked_early_nothing_is_mature_and_the_first_contact_passes_so_far():
    asked = june(8, 9, 0)
    first = fact("contact", part="interaction", customer_key="c", handled=True,
                 started_ms=SPANS[0][0], ended_ms=SPANS[0][1])  # fmt: skip
    assert kpi_sums("fcr_repeat", [first], asked, mature=True) == (None, 0)
    assert stats.value("ratio", None, 0) is None
    assert kpi_sums("fcr_repeat", [first], asked) == (1, 1)
    kpi = CATALOGUE.compile("fcr_repeat")
    assert kpi.part.due(first, asked) == june(8, 10, 0)
    assert kpi.part.due(first, june(8, 10, 0)) is None


@pytest.mark.parametrize(
    ("given", "parameters", "expected"),
    [
        ({"next_same_intent_ms": 168 * HOUR}, {}, (0, 1)),
        ({"next_same_intent_ms": 168 * HOUR + 1}, {}, (1, 1)),
        ({"next_same_queue_ms": HOUR}, {}, (1, 1)),
        ({"next_same_queue_ms": HOUR}, {"scope": "same_queue"}, (0, 1)),
        ({"transferred": True}, {}, (1, 1)),
        ({"transferred": True}, {"transfer_fails": True}, (0, 1)),
        ({"handed_off": True}, {"bot_handoff_fails": True}, (0, 1)),
        ({"handed_off": True}, {"transfer_fails": True}, (1, 1)),
        ({"handled": False}, {}, (None, 0)),
        ({"customer_key": ""}, {}, (None, 0)),
        ({"ended_ms": None}, {}, (None, 0)),
        ({"part": "bot_session"}, {}, (None, 0)),
    ],
)
def test_who_is_eligible_for_fcr_and_what_fails_it(given, parameters, expected):
    row = {"part": "interaction", "customer_key": "c", "handled": True, "ended_ms": 1, **given}
    assert kpi_sums("fcr_repeat", [fact("contact", **row)], **parameters) == expected


def answer(score, day, answered, *, question="csat", scale=5, credit="last"):
    return fact("survey", question=question, scale=scale, score=score, credit=credit,
                interaction_ms=day, sent_ms=day, answered_ms=answered)  # fmt: skip


def test_9_late_survey():
    tenth, twelfth = june(10, 14, 5), june(12, 9, 0)
    rows = [answer(2, tenth, june(12, 15, 0)), answer(5, twelfth, june(12, 15, 10))]
    by_response = {"date": "response"}
    times = [CATALOGUE.compile("csat_mean", by_response).part.time(row, 0) for row in rows]
    assert times == [june(12, 15, 0), june(12, 15, 10)]
    assert kpi_sums("csat_top_box", rows, date="response") == (1, 2)
    assert kpi_sums("dsat", rows, date="response") == (1, 2)
    assert kpi_value("csat_mean", rows, date="response") == 3.5
    times = [CATALOGUE.compile("csat_mean").part.time(row, 0) for row in rows]
    assert times == [tenth, twelfth]
    assert kpi_sums("csat_top_box", rows[:1]) == (0, 1)
    assert kpi_sums("dsat", rows[:1]) == (1, 1)
    assert kpi_value("csat_mean", rows[:1]) == 2.0
    assert kpi_value("csat_mean", rows[1:]) == 5.0


def test_surveys_by_scale_credit_and_question():
    rows = [
        answer(4, 1, 2), answer(9, 1, 2, scale=10), answer(1, 1, 2, credit="all"),
        answer(6, 1, 2, question="ces", scale=7),
        *(answer(score, 1, 2, question="nps", scale=10) for score in (10, 9, 8, 7, 6, 0, 10)),
        answer(None, 1, None), answer(None, 1, None, credit="all"),
    ]  # fmt: skip
    assert kpi_sums("csat_top_box", rows) == (1, 1)
    assert kpi_sums("csat_top_box", rows, scale=10) == (1, 1)
    assert kpi_sums("csat_top_box", rows, top=1) == (0, 1)
    assert kpi_sums("dsat", rows, credit="all") == (1, 1)
    assert kpi_value("ces_mean", rows) == 6.0
    assert kpi_sums("nps", rows) == (1, 7)
    assert kpi_value("nps", rows) == pytest.approx(14.2857, abs=1e-4)
    assert kpi_sums("survey_response_rate", rows) == (10, 11)


# Example 17: bot chat, next day a call: again authenticated, told again, waits 5 and 2.5 minutes.
JOURNEY = fact("journey", started_ms=1, interactions=2, channel_switches=1, transfers=1,
               reauthentications=1, info_repeats=1, wait_ms=450 * SECOND)  # fmt: skip


def test_17_effort():
    assert kpi_sums("journey_effort", [JOURNEY]) == (9_500_000, 1)
    assert kpi_value("journey_effort", [JOURNEY]) == 9.5
    assert kpi_sums("journey_ease", [JOURNEY]) == (38_674_102, 1)
    assert round(kpi_value("journey_ease", [JOURNEY]), 2) == 38.67
    easy = fact("journey", started_ms=1, interactions=1)
    assert kpi_value("journey_ease", [easy]) == 100.0
    assert kpi_value("journey_effort", [easy, JOURNEY]) == 4.75
    weights = {"wait_minutes": 0, "transfers": 3.5}
    assert kpi_value("journey_effort", [JOURNEY], weights=weights) == 9.5


def test_relations_that_hold_whatever_the_data():
    levels = {mode: kpi_value("service_level", SIX, mode=mode) for mode in "ABCDEF"}
    assert levels["A"] <= levels["E"]
    assert levels["A"] <= levels["B"] <= levels["C"]
