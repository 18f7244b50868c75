"""Counting KPIs from records written by hand: the worked examples, in literals."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pipeline.simulator import Truth
from pipeline.simulator.records import BotSession, Interaction, QueueStay, Stint, Survey
from pipeline.simulator.summary import Pair


def june(day: int, hour: int, minute: int = 0) -> int:
    return int(datetime(2026, 6, day, hour, minute, tzinfo=UTC).timestamp() * 1000)


NOON = june(1, 12)
FOREVER = june(30, 0)


def contact(
    began_ms: int = NOON,
    ended_ms: int | None = None,
    *,
    intent: str = "billing",
    customer: str = "+15550000000001",
    handled: bool = True,
    abandoned: bool = False,
) -> Interaction:
    return Interaction(
        "i", "voice", "inbound", intent, customer, began_ms, "sales", began_ms, ended_ms,
        handled=handled, abandoned=abandoned,
    )  # fmt: skip


def test_service_level_speed_of_answer_and_abandons():
    truth = Truth(FOREVER)
    for seconds, outcome in (
        (10, "answered"), (20, "answered"), (30, "answered"),
        (3, "abandoned"), (15, "abandoned"), (40, "abandoned"),
    ):  # fmt: skip
        truth.add_stay(QueueStay(contact(), "sales", NOON, NOON + seconds * 1000, outcome=outcome))
    truth.add_stay(QueueStay(contact(), "sales", NOON, NOON + 9_000, outcome="flow_out"))
    truth.add_stay(QueueStay(contact(), "sales", NOON))
    summary = truth.summary(FOREVER)
    assert summary.get("service_level") == (2, 6)
    assert summary.get("asa") == (60_000, 3)
    assert summary.get("mean_time_to_abandon") == (58_000, 3)
    assert summary.get("abandon_rate") == (3, 8)
    assert summary.get("flow_outs") == (1, 1)
    assert summary.get("offered", "sales", "voice", NOON) == (8, 8)
    assert summary.get("offered", "sales", "voice", NOON + 900_000) == (0, 0)
    early = truth.summary(NOON + 15_000)
    assert early.get("answered") == (1, 1)
    assert early.get("abandoned") == (2, 2)
    assert early.get("service_level") == (1, 3)


def test_warm_transfer():
    truth = Truth(FOREVER)
    call = truth.add_interaction(contact(NOON, NOON + 620_000))
    call.transfers = 1
    truth.add_stint(
        Stint(
            call, "sales", "a", "human", "queue", NOON + 12_000, NOON + 380_000, NOON + 410_000,
            talk_ms=288_000, hold_ms=80_000, wrap_ms=30_000, transferred=True,
        )
    )  # fmt: skip
    truth.add_stint(
        Stint(
            call, "sales", "b", "human", "consult", NOON + 320_000, NOON + 620_000, NOON + 650_000,
            talk_ms=300_000, wrap_ms=30_000, consult_ms=60_000,
        )
    )  # fmt: skip
    summary = truth.summary(FOREVER)
    assert summary.get("aht") == (728_000, 2)
    assert summary.get("transfer_rate") == (1, 1)
    assert summary.get("fcr_repeat") == (1, 1)
    assert truth.summary(NOON + 649_999).get("aht") == (398_000, 1)


@pytest.mark.parametrize(
    ("until_ms", "intent_of_second", "fcr", "fcr_any", "repeats"),
    [
        (FOREVER, "billing", (2, 3), (2, 3), (1, 3)),
        (FOREVER, "shipping", (3, 3), (2, 3), (0, 3)),
        (june(8, 9), "billing", (1, 1), (1, 1), (0, 1)),
        (june(8, 9, 59), "billing", (0, 1), (0, 1), (1, 2)),
    ],
)
def test_repeat_window(
    until_ms: int, intent_of_second: str, fcr: Pair, fcr_any: Pair, repeats: Pair
):
    truth = Truth(FOREVER)
    truth.add_interaction(contact(june(1, 9, 50), june(1, 10)))
    truth.add_interaction(contact(june(8, 9, 59), june(8, 10, 10), intent=intent_of_second))
    truth.add_interaction(contact(june(15, 10, 11), june(15, 10, 20)))
    summary = truth.summary(until_ms)
    assert summary.get("fcr_repeat") == fcr
    assert summary.get("fcr_repeat_any") == fcr_any
    assert summary.get("repeat_rate") == repeats


def test_an_abandoned_contact_is_a_repeat_but_not_eligible():
    truth = Truth(FOREVER)
    truth.add_interaction(contact(june(1, 10), june(1, 11)))
    truth.add_interaction(contact(june(1, 12), june(1, 13), handled=False, abandoned=True))
    truth.add_interaction(contact(june(1, 14), june(1, 15), customer="", handled=True))
    summary = truth.summary(FOREVER)
    assert summary.get("fcr_repeat") == (0, 1)
    assert summary.get("repeat_rate") == (1, 2)


def test_late_surveys_have_two_dates():
    truth = Truth(FOREVER)
    first, second = contact(june(10, 13), june(10, 14, 5)), contact(june(12, 8), june(12, 9))
    truth.add_survey(Survey(first, "sales", "s1", "csat", 5, june(10, 15), june(12, 15), 2))
    truth.add_survey(Survey(second, "sales", "s2", "csat", 5, june(12, 10), june(12, 15, 10), 5))
    truth.add_survey(Survey(second, "sales", "s3", "csat", 5, june(12, 10)))
    summary = truth.summary(FOREVER)
    assert summary.get("csat_top_box", bucket_ms=june(10, 14)) == (0, 1)
    assert summary.get("csat_top_box", bucket_ms=june(12, 9)) == (1, 1)
    assert summary.get("csat_top_box_response", bucket_ms=june(10, 14)) == (0, 0)
    assert summary.get("csat_top_box_response", bucket_ms=june(12, 15)) == (1, 2)
    assert summary.get("survey_response_rate") == (2, 3)
    assert truth.summary(june(12, 15)).get("csat_top_box") == (0, 1)


def test_net_promoters():
    truth = Truth(FOREVER)
    for score in (0, 6, 7, 8, 9, 10, 10):
        truth.add_survey(Survey(contact(ended_ms=NOON), "sales", "s", "nps", 10, NOON, NOON, score))
    assert truth.summary(FOREVER).get("nps") == (1, 7)


def test_bot_sessions_count_at_their_start_and_their_outcomes_at_their_end():
    truth = Truth(FOREVER)
    for minutes, outcome in ((1, "handoff"), (2, "left"), (20, "resolved")):
        ended_ms = NOON + minutes * 60_000
        truth.add_bot_session(
            BotSession(contact(), "sales", "bot", "2026.09", NOON, ended_ms, outcome, 2)
        )
    summary = truth.summary(FOREVER)
    assert summary.get("bot_sessions", bucket_ms=NOON) == (3, 3)
    assert summary.get("handoff_rate") == (1, 3)
    assert summary.get("containment_naive") == (2, 3)
    assert summary.get("containment_naive", bucket_ms=NOON + 900_000) == (1, 1)
    assert truth.summary(NOON + 60_000).get("handoff_rate") == (1, 1)
