"""Events of a simulated week as they come in: out of order, late, twice, and corrected."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from clickhouse_connect.driver.client import Client

from pipeline.audit.scratch import Scratch
from pipeline.identity import CustomerKeys
from pipeline.simulator import Disorder, DisorderConfig, Simulator, SimulatorConfig
from pipeline.simulator.disorder import occurred_at_ms
from pipeline.simulator.timeline import rfc3339
from pipeline.stages.intake import ACCEPTED
from schemas.interaction import EVENT_ADAPTER
from schemas.topics import INTERACTIONS
from sinks.clickhouse.migrate import load
from sinks.clickhouse.rows import COLUMNS, rows

Event = dict[str, Any]

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
START_MS = 1_740_960_000_000
"""Monday 2025-03-03, 00:00 UTC."""
SEED = 20
CORRECTED_SHARE = 0.01
EVENTS_AN_INTERACTION = 12.4
"""As the simulator tells them, states of performers included; measured, used for sizes only."""


def week(interactions: int, days: float = 7.0) -> list[Event]:
    """Events of about so many interactions, in the order in which they come in.

    One in a hundred comes up to five hours late, one in fifty twice; surveys are answered up to
    days after the contact, customers come back, and one event in a hundred is corrected later.
    Plans, schedules, absences, rates, evaluations, decisions and cases are told with it.
    """
    rate = interactions * EVENTS_AN_INTERACTION / (days * 86_400)
    center = Simulator(
        SimulatorConfig(events_per_second=rate, plans=True, keep_truth=False), SEED, START_MS, "a"
    )
    end_ms = START_MS + int(days * DAY_MS)
    disorder = Disorder(
        DisorderConfig(
            shuffle_within_ms=60_000, delayed_ratio=0.01, delay_within_ms=5 * HOUR_MS,
            duplicate_ratio=0.02,
        ),
        SEED,
    )  # fmt: skip
    told = (event for event in center.generate(end_ms) if not _is_minor_forecast(event))
    return list(_corrected(disorder.stream(told)))


def _is_minor_forecast(event: Event) -> bool:
    """Whether it is a forecast of one of many channels: they would be most of what is told."""
    return event.get("plan") == "forecast" and event["channel"] not in ("voice", "web_chat")


def _corrected(events: Iterator[Event]) -> Iterator[Event]:
    """Some events come first with something wrong in them, and right with a later version."""
    rng = random.Random(SEED)  # noqa: S311
    held: list[tuple[int, Event]] = []
    corrected: set[str] = set()
    for number, event in enumerate(events):
        wrong = _wrong(event) if rng.random() < CORRECTED_SHARE * 4 else None
        if wrong is not None and event["event_id"] not in corrected:
            corrected.add(event["event_id"])
            held.append((number + 500, {**event, "record_version": 2}))
            yield wrong
        else:
            yield event
        while held and held[0][0] <= number:
            yield held.pop(0)[1]
    yield from (event for _, event in held)


def _wrong(event: Event) -> Event | None:
    """The event with a mistake, as a first version of it; None where there is none to make."""
    match event["kind"]:
        case "wrapup_ended":
            at_ms = occurred_at_ms(event) + 30_000
            return {**event, "occurred_at": rfc3339(at_ms), "record_version": 1}
        case "completed" if "resolved" in event:
            return {**event, "resolved": not event["resolved"], "record_version": 1}
        case "survey_answered":
            return {**event, "score": 1, "record_version": 1}
    return None


def bodies(events: Sequence[Event]) -> list[bytes]:
    """Events as intake sends them on: customers as keyed hashes."""
    keys = CustomerKeys(bytes(32))
    found = []
    for event in events:
        told = EVENT_ADAPTER.validate_json(msgspec.json.encode(event))
        accepted = told.model_copy(
            update={"customer": None, "customer_key": keys.key(told.customer)}
        )
        found.append(EVENT_ADAPTER.dump_json(accepted, exclude_none=True))
    return found


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class _Record:
    """A record of ``cx.interactions`` as the sink reads it."""

    topic = INTERACTIONS
    key = None
    partition = 0
    headers = ACCEPTED

    def __init__(self, value: bytes, offset: int) -> None:
        self.value = value
        self.offset = offset
        self.timestamp = 0


def store(
    client: Client,
    database: str,
    values: Sequence[bytes],
    restarts: Sequence[tuple[str, int]] = (),
) -> None:
    """Make a database with these accepted events and restarts in it, as the sink writes them."""
    place = Scratch(client, database)
    for migration in load():
        for statement in migration.statements:
            place.run(statement)
    columns = COLUMNS["interaction_events"]
    told = [
        {**dict(zip(columns, row.values, strict=True)), "accepted_at": _EPOCH}
        for offset, body in enumerate(values)
        for row in rows(_Record(body, offset))  # type: ignore[arg-type]
    ]
    place.insert("interaction_events", columns, [[row[name] for name in columns] for row in told])
    began = [(source, datetime.fromtimestamp(at_ms / 1000, UTC)) for source, at_ms in restarts]
    place.insert("platform_restarts", COLUMNS["platform_restarts"], began)
