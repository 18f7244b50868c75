"""The truth against a recount made here, directly from the list of events."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace

import pytest

from pipeline.simulator import SimulatorConfig
from pipeline.simulator.summary import KPIS, Pair, Summary
from tests.unit.simulator.center import (
    FLAT_DAY,
    HOUR_MS,
    MINUTE_MS,
    START_MS,
    Event,
    Run,
    at_ms,
    by_interaction,
    run,
)

BUCKET_MS = 15 * MINUTE_MS
Cell = tuple[str, str, int]


def bucket(time_ms: int) -> int:
    return time_ms // BUCKET_MS * BUCKET_MS


def inbound(events: list[Event]) -> dict[str, list[Event]]:
    return {
        interaction_id: contact
        for interaction_id, contact in by_interaction(events).items()
        if "direction" not in contact[0]
    }


def assert_cells(
    summary: Summary, kpi: str, numerators: Counter[Cell], denominators: Counter[Cell]
) -> None:
    """Every cell of queue, channel and bucket, and the total of all."""
    told = {
        (key.queue, key.channel, key.bucket_ms): pair
        for key, pair in summary.pairs.items()
        if key.kpi == kpi and key.bucket_ms is not None and "*" not in (key.queue, key.channel)
    }
    assert told == {cell: Pair(numerators[cell], number) for cell, number in denominators.items()}
    assert summary.get(kpi) == Pair(numerators.total(), denominators.total())


@pytest.fixture(scope="module")
def summary(busy: Run) -> Summary:
    return busy.simulator.truth.summary(busy.until_ms)


class Stays:
    """Queue stays as the events tell them: entered, answered, abandoned or flowed out."""

    def __init__(self, events: list[Event]) -> None:
        self.offered: Counter[Cell] = Counter()
        self.answered: Counter[Cell] = Counter()
        self.abandoned: Counter[Cell] = Counter()
        self.flow_outs: Counter[Cell] = Counter()
        self.wait_of_answered: Counter[Cell] = Counter()
        self.waiting = 0
        for contact in inbound(events).values():
            entered: Event | None = None
            for event in contact:
                if event["kind"] == "queued":
                    assert entered is None
                    entered = event
                    self.offered[self.cell(event)] += 1
                elif entered is None:
                    continue
                elif event["kind"] == "accepted":
                    self.answered[self.cell(entered)] += 1
                    self.wait_of_answered[self.cell(entered)] += at_ms(event) - at_ms(entered)
                    entered = None
                elif event["kind"] == "abandoned":
                    self.abandoned[self.cell(entered)] += 1
                    entered = None
                elif event["kind"] == "left_queue":
                    self.flow_outs[self.cell(entered)] += 1
                    entered = None
            self.waiting += entered is not None

    @staticmethod
    def cell(event: Event) -> Cell:
        return event["queue"], event["channel"], bucket(at_ms(event))


def test_queue_kpis_by_recount(busy: Run, summary: Summary):
    stays = Stays(busy.events)
    assert stays.offered.total() > 5_000
    assert stays.abandoned.total() > 200
    assert stays.flow_outs.total() > 40
    assert stays.waiting > 10
    assert_cells(summary, "offered", stays.offered, stays.offered)
    assert_cells(summary, "answered", stays.answered, stays.answered)
    assert_cells(summary, "abandoned", stays.abandoned, stays.abandoned)
    assert_cells(summary, "flow_outs", stays.flow_outs, stays.flow_outs)
    assert_cells(summary, "asa", stays.wait_of_answered, stays.answered)
    assert_cells(summary, "abandon_rate", stays.abandoned, stays.offered)


@pytest.mark.parametrize("minutes", [1, 17, 60, 119])
def test_what_was_queued_was_answered_or_left_or_waits(busy: Run, minutes: int):
    until_ms = START_MS + minutes * MINUTE_MS
    summary = busy.simulator.truth.summary(until_ms)
    stays = Stays([event for event in busy.events if at_ms(event) <= until_ms])
    left = sum(summary.get(kpi).numerator for kpi in ("answered", "abandoned", "flow_outs"))
    assert summary.get("offered").numerator == left + stays.waiting


def human_stints(contact: list[Event]) -> list[dict[str, int | str]]:
    """Closed stints of agents: handle and hold time as the events tell them."""
    found = []
    opened: dict[str, dict[str, int | str]] = {}
    for event in contact:
        who, time_ms, kind = event.get("performer_id", ""), at_ms(event), event["kind"]
        if kind == "accepted":
            opened[who] = {
                "queue": event.get("queue", ""), "accepted": time_ms, "hold": 0, "held": -1,
            }  # fmt: skip
            continue
        stint = opened.get(who)
        if stint is None or event.get("performer_kind") != "human":
            continue
        if kind == "hold":
            stint["held"] = time_ms
        elif kind in ("resume", "left", "completed") and stint["held"] != -1:
            stint["hold"] += time_ms - stint["held"]
            stint["held"] = -1
        if kind in ("left", "completed"):
            stint["closed"] = time_ms
        elif kind == "wrapup_started":
            del stint["closed"]
        elif kind == "wrapup_ended":
            stint["closed"] = time_ms
            found.append(opened.pop(who))
    return found + [stint for stint in opened.values() if "closed" in stint]


def test_handling_by_recount(busy: Run, summary: Summary):
    handle: Counter[Cell] = Counter()
    handled: Counter[Cell] = Counter()
    hold_ms = 0
    for contact in inbound(busy.events).values():
        for stint in human_stints(contact):
            cell = (stint["queue"], contact[0]["channel"], bucket(stint["closed"]))
            handle[cell] += stint["closed"] - stint["accepted"]
            handled[cell] += 1
            hold_ms += stint["hold"]
    assert handled.total() > 5_000
    assert_cells(summary, "aht_human", handle, handled)
    assert_cells(summary, "handled_human", handled, handled)
    assert hold_ms == sum(
        stint.hold_ms
        for stint in busy.simulator.truth.stints
        if stint.interaction.direction == "inbound"
        and stint.closed_ms is not None
        and stint.closed_ms <= busy.until_ms
    )


def test_bots_by_recount(busy: Run, summary: Summary):
    sessions: Counter[Cell] = Counter()
    ended: Counter[Cell] = Counter()
    handed_off: Counter[Cell] = Counter()
    for event in busy.events:
        if event["kind"] == "bot_started":
            sessions[Stays.cell(event)] += 1
        elif event["kind"] == "bot_ended":
            ended[Stays.cell(event)] += 1
            handed_off[Stays.cell(event)] += event["outcome"] == "handoff"
    contained = Counter({cell: ended[cell] - handed_off[cell] for cell in ended})
    assert_cells(summary, "bot_sessions", sessions, sessions)
    assert_cells(summary, "handoff_rate", handed_off, ended)
    assert_cells(summary, "containment_naive", contained, ended)


def last_queue(contact: list[Event]) -> str:
    """The queue through which the last handler got the contact."""
    handled = [event for event in contact if event["kind"] in ("accepted", "bot_turn")]
    return handled[-1].get("queue", "")


def test_interactions_transfers_and_surveys_by_recount(busy: Run, summary: Summary):
    started: Counter[Cell] = Counter()
    handled: Counter[Cell] = Counter()
    transferred: Counter[Cell] = Counter()
    satisfied: Counter[Cell] = Counter()
    answered: Counter[Cell] = Counter()
    for contact in inbound(busy.events).values():
        first = contact[0]
        entered = (event["queue"] for event in contact if event["kind"] == "queued")
        where = (next(entered, ""), first["channel"])
        kinds = {event["kind"] for event in contact}
        started[*where, bucket(at_ms(first))] += 1
        ends = [at_ms(event) for event in contact if event["kind"] in ("completed", "abandoned")]
        if not ends:
            continue
        assert len(ends) == 1
        if kinds & {"accepted", "bot_turn"}:
            handled[*where, bucket(ends[0])] += 1
            transferred[*where, bucket(ends[0])] += "transfer" in kinds
        for event in contact:
            if event["kind"] == "survey_answered" and event["question"] == "csat":
                cell = (last_queue(contact), first["channel"], bucket(ends[0]))
                answered[cell] += 1
                satisfied[cell] += event["score"] in (4, 5)
    assert answered.total() > 100
    assert transferred.total() > 100
    assert_cells(summary, "interactions", started, started)
    assert_cells(summary, "transfer_rate", transferred, handled)
    assert_cells(summary, "csat_top_box", satisfied, answered)
    assert summary.get("csat_top_box_response") == summary.get("csat_top_box")


def test_first_contact_resolution_by_recount(busy: Run, summary: Summary):
    spans: defaultdict[tuple[str, str], list[tuple[int, int | None, bool]]] = defaultdict(list)
    for contact in inbound(busy.events).values():
        first = contact[0]
        if "customer" not in first:
            continue
        last = [event for event in contact if event["kind"] in ("completed", "abandoned")]
        kinds = {event["kind"] for event in contact}
        eligible = bool(kinds & {"accepted", "bot_turn"}) and "abandoned" not in kinds
        ended_ms = at_ms(last[0]) if last else None
        spans[first["customer"], first["intent"]].append((at_ms(first), ended_ms, eligible))
    resolved = ended = repeats = contacts = 0
    for history in spans.values():
        history.sort()
        for position, (_, ended_ms, eligible) in enumerate(history):
            contacts += 1
            repeats += position > 0
            if ended_ms is not None and eligible:
                ended += 1
                resolved += position == len(history) - 1
    assert ended - resolved > 200
    assert summary.get("fcr_repeat") == Pair(resolved, ended)
    assert summary.get("repeat_rate") == Pair(repeats, contacts)


def test_the_past_does_not_know_the_future(busy: Run):
    """As of minute 40, a run of two hours says what a run of 40 minutes says."""
    until_ms = START_MS + 40 * MINUTE_MS
    short = run(
        SimulatorConfig(events_per_second=20, daily_curve=FLAT_DAY, occupancy=1.0), hours=40 / 60
    )
    assert short.until_ms == until_ms
    told = short.simulator.truth.summary(until_ms)
    assert told.pairs == busy.simulator.truth.summary(until_ms).pairs
    assert {key.kpi for key in told.pairs} == set(KPIS)


def test_totals_are_sums_of_their_cells(summary: Summary):
    for kpi in KPIS:
        cells = [
            pair
            for key, pair in summary.pairs.items()
            if key.kpi == kpi and key.bucket_ms is not None
            and "*" not in (key.queue, key.channel)
        ]  # fmt: skip
        total = Pair(sum(pair.numerator for pair in cells), sum(pair[1] for pair in cells))
        assert summary.get(kpi) == total
    in_buckets = [summary.get("offered", bucket_ms=begin) for begin in summary.buckets()]
    assert sum(pair.numerator for pair in in_buckets) == summary.get("offered").numerator


def test_directions_apart(busy: Run):
    truth = busy.simulator.truth
    one_by_one = [
        truth.summary(busy.until_ms, direction).get("interactions").numerator
        for direction in ("inbound", "outbound", "internal")
    ]
    started = Counter(
        event.get("direction", "inbound") for event in busy.events if event["kind"] == "started"
    )
    assert one_by_one == [started["inbound"], started["outbound"], started["internal"]]
    assert min(one_by_one) > 10
    everything = truth.summary(busy.until_ms, None).get("interactions").numerator
    assert everything == sum(one_by_one)


def test_what_is_not_told_yet_is_refused(busy: Run):
    with pytest.raises(ValueError, match="the truth is known until"):
        busy.simulator.truth.summary(busy.until_ms + 1)


def test_unknown_kpis_are_refused(summary: Summary):
    with pytest.raises(KeyError, match="occupancy"):
        summary.get("occupancy")


def test_a_center_without_new_contacts_drains():
    config = SimulatorConfig(
        events_per_second=10, daily_curve=FLAT_DAY, arrivals_stop_ms=START_MS + HOUR_MS // 4
    )
    told = run(config, hours=40)
    truth = told.simulator.truth
    assert len(truth.interactions) > 500
    assert all(contact.ended_ms is not None for contact in truth.interactions)
    assert all(stay.outcome != "waiting" for stay in truth.stays)
    assert max(contact.started_ms for contact in truth.interactions) < START_MS + HOUR_MS // 4
    summary = truth.summary(told.until_ms)
    assert summary.get("offered").numerator == sum(
        summary.get(kpi).numerator for kpi in ("answered", "abandoned", "flow_outs")
    )
    assert summary.get("handled").numerator == sum(
        stint.handled for stint in truth.stints if stint.interaction.direction == "inbound"
    )


def test_without_truth_nothing_is_kept():
    config = SimulatorConfig(events_per_second=10, daily_curve=FLAT_DAY)
    kept = run(config, hours=0.1)
    forgot = run(replace(config, keep_truth=False), hours=0.1)
    assert forgot.events == kept.events
    assert forgot.simulator.truth.interactions == []
    assert forgot.simulator.truth.summary(forgot.until_ms).pairs == {}
