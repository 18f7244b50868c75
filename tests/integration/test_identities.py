"""Identities on different partitions and workers, joined and parted while a worker is killed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from schemas.topics import CONTACTS, FACTS
from tests.integration.logs import RAW
from tests.integration.process import wait_for
from tests.integration.site import Site, site

pytestmark = [pytest.mark.kafka, pytest.mark.clickhouse]

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
CUSTOMERS = 50
KINDS = ("linked", "parted", "parted_before", "shared", "rejoined")
JOINED = ("linked", "rejoined")
"""What becomes of a customer's phone and account; a fifth of the customers each."""


def kind_of(number: int) -> str:
    return KINDS[number % len(KINDS)]


def event(kind: str, at_seconds: int, interaction: str, name: str, **fields: Any) -> dict[str, Any]:
    moment = START + timedelta(seconds=at_seconds)
    return {
        "event_id": name, "kind": kind, "source": "site", "occurred_at": moment.isoformat(),
        "interaction_id": interaction, "channel": "voice", **fields,
    }  # fmt: skip


def contact(number: int, which: str, at_seconds: int, score: int) -> Iterator[dict[str, Any]]:
    """A call of a customer's phone or account, with an answer to how easy it was."""
    name = f"{which}{number}"
    told = {"customer": name, "intent": "billing", "performer_id": "ann"}
    yield event("accepted", at_seconds, name, f"{name}-1", **told)
    yield event("completed", at_seconds + 60, name, f"{name}-2", **told, resolved=True)
    yield event(
        "survey_answered", at_seconds + 120, name, f"{name}-3",
        survey_id=name, question="ces", scale=7, score=score,
    )  # fmt: skip


def links(number: int) -> Iterator[dict[str, Any]]:
    def link(at_seconds: int, account: str, *, linked: bool = True) -> dict[str, Any]:
        return event(
            "identity_linked", at_seconds, "crm", f"link-{number}-{account}-{at_seconds}",
            customer=f"p{number}", account=account, linked=linked,
        )  # fmt: skip

    yield link(7_000, f"a{number}")
    match kind_of(number):
        case "parted":
            yield link(8_000, f"a{number}", linked=False)
        case "rejoined":
            yield link(8_000, f"a{number}", linked=False)
            yield link(9_000, f"a{number}")
        case "parted_before":
            # Withdrawn by the time it is told, and told again of an earlier time.
            yield link(9_000, f"a{number}", linked=False)
            yield link(8_500, f"a{number}")
        case "shared":
            yield from (link(8_000 + extra, f"other{number}-{extra}") for extra in range(3))


def calls() -> list[dict[str, Any]]:
    """Of each customer a call by phone, and one as an account an hour later.

    The effort of two contacts is 1, that of one is 0; answers say 3 where it is 1, else 6.
    """
    found = []
    for number in range(CUSTOMERS):
        score = 3 if kind_of(number) in JOINED else 6
        found += [*contact(number, "p", 0, score), *contact(number, "a", 3_600, score)]
    return found


def write(place: Site, events: list[dict[str, Any]]) -> None:
    for told in events:
        place.produce(json.dumps(told).encode(), told["interaction_id"].encode(), topic=RAW)
    place.flush()


def journeys(place: Site) -> dict[str, tuple[int, bool]]:
    """Contacts of every journey, and whether its customer is known: the newest versions."""
    newest: dict[str, dict[str, Any]] = {}
    for record in place.read(FACTS):
        fact = json.loads(record.value or b"")
        known = newest.get(fact["fact_id"])
        if fact["kind"] == "journey" and (known is None or fact["version"] >= known["version"]):
            newest[fact["fact_id"]] = fact
    return {
        name: (fact["interactions"], fact["customer_key"] != "")
        for name, fact in newest.items()
        if not fact["deleted"]
    }


def expected() -> dict[str, tuple[int, bool]]:
    found = {}
    for number in range(CUSTOMERS):
        linked = kind_of(number) in JOINED
        found[f"p{number}/journey"] = (2 if linked else 1, kind_of(number) != "shared")
        if not linked:
            found[f"a{number}/journey"] = (1, True)
    return found


def test_links_on_two_workers_one_of_which_is_killed(kafka, clickhouse, tmp_path):
    with site(
        kafka.bootstrap, tmp_path, clickhouse=clickhouse, database="identities",
        session_timeout_ms=2_000,
    ) as place:  # fmt: skip
        first, second = place.worker(), place.worker()
        wait_for(lambda: first.running and second.running, "two workers", 30)
        write(place, calls())
        place.drain(120, alive=(first, second))
        told = [link for number in range(CUSTOMERS) for link in links(number)]
        write(place, told[::2])
        wait_for(lambda: place.lag("journeys") > 0 or moved(place) > 0, "links to arrive", 60)
        first.kill()
        write(place, told[1::2])
        place.drain(120, alive=(second,))
        place.tick(1_772_460_000_000)
        place.drain(60, alive=(second,))
        assert moved(place) > CUSTOMERS // 2
        assert journeys(place) == expected()
        tell_of_them(place)


def moved(place: Site) -> int:
    """Places that were told so far."""
    return sum(b"place" in (record.value or b"") for record in place.read(CONTACTS))


def tell_of_them(place: Site) -> None:
    """What the commands read from ClickHouse once everything is there."""
    story = place.command("journey", "a0").splitlines()
    assert story[0] == "journey p0: billing; resolved after 1 h 1 min"
    assert "  2. 2026-03-02 10:00:00 voice, a0, 59 min after the last" in story
    assert story[-2:] == ["       10:02:00 answers ces 3 of 7", "       ends 10:01:00, resolved"]
    # Two answers a customer; 20 of the customers have one journey, 30 have two.
    lines = place.command("effort", "calibrate").splitlines()
    assert lines[0] == "n 100 answers of 80 journeys"
    assert lines[-1].split() == ["effort", "-1.000", "-1.000"]
    assert lines[2].split() == ["contacts", "1", "-1.000", "-1.000"]
    assert lines[3].split() == ["channel", "switches", "2", "-", "-"]
    assert "no effort question on a scale of 5" in place.refused(
        "effort", "calibrate", "--scale=5", code=3
    )
    assert "nobody: no journey" in place.refused("journey", "nobody", code=3)
