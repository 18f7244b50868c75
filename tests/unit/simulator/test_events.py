"""What the events are: valid, in order, and possible in a real center."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import pairwise

import pytest

from pipeline.simulator import SimulatorConfig
from pipeline.simulator.profiles import CHANNELS
from schemas.interaction import EVENT_ADAPTER
from tests.unit.simulator.center import (
    FLAT_DAY,
    HOUR_MS,
    MINUTE_MS,
    Event,
    Run,
    at_ms,
    by_interaction,
    run,
)

KINDS = {
    "started", "queued", "left_queue", "ringing", "declined", "accepted", "hold", "resume",
    "consult", "transfer", "left", "wrapup_started", "wrapup_ended", "abandoned", "authenticated",
    "info_repeated", "bot_started", "bot_turn", "handoff", "bot_ended", "completed", "survey_sent",
    "survey_answered", "performer_state", "ai_decision", "case_opened", "case_resolved", "plan",
}  # fmt: skip
MESSAGING = {name for name, channel in CHANNELS.items() if channel.media == "messaging"}


def values(busy: Run, kind: str, name: str) -> set[object]:
    return {event.get(name) for event in busy.events if event["kind"] == kind}


def test_every_event_is_valid_and_loses_nothing(busy: Run):
    for event in busy.events:
        told = EVENT_ADAPTER.validate_python(event, strict=False).model_dump(
            mode="json", exclude_unset=True
        )
        assert told.keys() == event.keys()
        assert told["event_id"] == event["event_id"]


def test_order_and_ids(busy: Run):
    assert len(busy.events) > 100_000
    ids = {(event["event_id"], event.get("record_version", 0)) for event in busy.events}
    assert len(ids) == len(busy.events)
    order = [(at_ms(event), event.get("source_seq")) for event in busy.events]
    assert [at for at, _ in order] == sorted(at for at, _ in order)
    story = [(at, number) for at, number in order if number is not None]
    assert story == sorted(story)
    assert order[-1][0] <= busy.until_ms


def test_everything_a_center_does_happens(busy: Run):
    # Evaluations and reopened cases come days later: see test_judgements.py.
    assert {event["kind"] for event in busy.events} - {"evaluation", "case_reopened"} == KINDS
    assert values(busy, "started", "channel") == set(CHANNELS)
    assert values(busy, "started", "direction") == {None, "outbound", "internal"}
    assert values(busy, "queued", "queue") == {"sales", "billing", "support", "vip"}
    assert values(busy, "accepted", "via") == {
        "queue", "direct", "transfer", "consult", "conference",
    }  # fmt: skip
    assert values(busy, "transfer", "transfer_kind") == {"blind", "warm", "conference"}
    assert values(busy, "bot_ended", "outcome") == {"resolved", "handoff", "left", "timed_out"}
    assert values(busy, "bot_ended", "model_version") == {"2026.09", "2026.10"}
    assert values(busy, "left_queue", "reason") >= {"key", "overflow", "callback"}
    assert values(busy, "performer_state", "state") == {
        "available", "busy", "wrap", "away", "offline",
    }  # fmt: skip
    assert values(busy, "accepted", "location") == {"site", "home"}
    assert values(busy, "accepted", "employment") == {"employed", "gig"}
    assert values(busy, "accepted", "vendor") == {None, "vendor-a"}
    assert values(busy, "handoff", "context_ok") == {True, False}
    assert values(busy, "completed", "resolved") == {True, False, None}


def served(events: list[Event]) -> dict[str, list[tuple[int, int]]]:
    """When each performer of one contact served it, from acceptance to leaving."""
    began: dict[str, int] = {}
    spans: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
    for event in events:
        if event["kind"] == "accepted":
            began[event["performer_id"]] = at_ms(event)
        elif event["kind"] == "left":
            spans[event["performer_id"]].append((began.pop(event["performer_id"]), at_ms(event)))
        elif event["kind"] == "completed":
            for performer_id, began_ms in began.items():
                spans[performer_id].append((began_ms, at_ms(event)))
            began.clear()
    return spans


def test_no_agent_serves_two_calls_at_once_nor_more_chats_than_three(busy: Run):
    calls: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
    chats: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
    for events in by_interaction(busy.events).values():
        for performer_id, spans in served(events).items():
            if events[0]["channel"] == "voice":
                calls[performer_id] += spans
            elif events[0]["channel"] in MESSAGING:
                chats[performer_id] += spans
    assert sum(map(len, calls.values())) > 2_000
    for spans in calls.values():
        spans.sort()
        assert all(before[1] <= after[0] for before, after in pairwise(spans))
    most = 0
    for spans in chats.values():
        steps = sorted(step for began, left in spans for step in ((began, 1), (left, -1)))
        level = 0
        for _, step in steps:
            level += step
            most = max(most, level)
    assert most == 3


def test_an_open_contact_is_never_silent_for_long(busy: Run):
    """Else a fold would end it by silence: bots after 60 minutes, people after 24 hours."""
    for events in by_interaction(busy.events).values():
        with_bot = False
        for before, after in pairwise(events):
            if before["kind"] in ("completed", "abandoned"):
                break
            with_bot = (with_bot or before["kind"] == "bot_started") and (
                before["kind"] != "bot_ended"
            )
            limit_ms = 16 * MINUTE_MS if with_bot else 12 * HOUR_MS
            assert at_ms(after) - at_ms(before) <= limit_ms


def test_contacts_of_one_customer_never_overlap(busy: Run):
    spans: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
    for contact in busy.simulator.truth.interactions:
        if contact.customer:
            ended_ms = contact.ended_ms if contact.ended_ms is not None else busy.until_ms
            spans[contact.customer].append((contact.started_ms, ended_ms))
    repeated = [contacts for contacts in spans.values() if len(contacts) > 1]
    assert len(repeated) > 200
    for contacts in repeated:
        assert all(before[1] < after[0] for before, after in pairwise(sorted(contacts)))


def test_customers_look_like_raw_identities(busy: Run):
    for event in busy.events:
        customer = event.get("customer")
        if customer is None:
            continue
        if CHANNELS[event["channel"]].identity == "phone":
            assert customer.startswith("+1555")
            assert len(customer) == 15
        else:
            assert customer.endswith("@example.com")


def test_states_of_an_agent_follow_each_other(busy: Run):
    last: dict[str, str] = {}
    counted: Counter[tuple[str, str]] = Counter()
    for event in busy.events:
        if event["kind"] != "performer_state":
            continue
        assert event["interaction_id"] == f"performer:{event['performer_id']}"
        before = last.get(event["performer_id"], "offline")
        counted[before, event["state"]] += 1
        last[event["performer_id"]] = event["state"]
    assert all(before != after for before, after in counted)
    assert counted["available", "busy"] > 1_000
    assert counted["busy", "wrap"] > 1_000
    assert counted["wrap", "available"] > 1_000
    assert ("offline", "busy") not in counted
    assert ("away", "busy") not in counted


@pytest.mark.parametrize("events_per_second", [3, 15])
def test_mean_rate_is_the_one_asked_for(events_per_second: int):
    config = SimulatorConfig(
        events_per_second=events_per_second, daily_curve=FLAT_DAY, keep_truth=False
    )
    warm_up = 0.5
    hours = 3.0 if events_per_second > 10 else 8.0
    told = run(config, hours=warm_up + hours)
    since_ms = told.until_ms - int(hours * HOUR_MS)
    rate = sum(at_ms(event) > since_ms for event in told.events) / (hours * 3600)
    assert rate == pytest.approx(events_per_second, rel=0.12)


def test_arrivals_follow_the_daily_curve():
    curve = (1.0,) * 10 + (4.0,) + (1.0,) * 13
    config = SimulatorConfig(events_per_second=10, daily_curve=curve, repeat_scale=0.0)
    told = run(config, hours=3)
    by_hour = Counter(
        (at_ms(event) // HOUR_MS) % 24 for event in told.events if event["kind"] == "started"
    )
    assert by_hour[10] / by_hour[9] == pytest.approx(4.0, rel=0.15)
    assert by_hour[10] / by_hour[11] == pytest.approx(4.0, rel=0.15)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"channels": {"telex": 1.0}}, "unknown 'telex'"),
        ({"queues": {"sales": 0.0}}, "not be negative nor all zero"),
        ({"events_per_second": 0}, "must be positive"),
        ({"occupancy": 2.0}, "between 0.05 and 1.5"),
        ({"daily_curve": (1.0,) * 23}, "24 positive weights"),
        ({"decline_share": 1.1}, "decline_share must lie between 0 and 1"),
        ({"repeat_scale": -1.0}, "must not be negative"),
    ],
)
def test_impossible_configurations_are_refused(arguments: dict[str, object], message: str):
    with pytest.raises(ValueError, match=message):
        SimulatorConfig(**arguments)


def test_a_center_of_one_queue_and_one_channel():
    config = SimulatorConfig(
        events_per_second=5, channels={"voice": 1.0}, queues={"sales": 1.0}, occupancy=1.2
    )
    told = run(config, hours=1)
    assert values(told, "started", "channel") == {"voice"}
    assert values(told, "queued", "queue") == {"sales"}
    assert "transfer" not in {event["kind"] for event in told.events}


def test_a_starved_center_loses_calls_in_every_way():
    config = SimulatorConfig(
        events_per_second=8, channels={"voice": 1.0}, daily_curve=FLAT_DAY, occupancy=1.5
    )
    told = run(config, hours=2)
    assert values(told, "left_queue", "reason") >= {"key", "overflow", "callback", "timeout"}
    summary = told.simulator.truth.summary(told.until_ms)
    abandons, offered = summary.get("abandon_rate")
    assert 0.15 < abandons / offered < 0.6
