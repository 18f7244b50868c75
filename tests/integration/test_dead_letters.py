"""Refused records on a real Kafka: explained, repaired, sent back, and a limit that stops."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pipeline.embedded.kafka import KafkaServer
from tests.integration.process import Process, wait_for
from tests.integration.site import Site, site

pytestmark = pytest.mark.kafka

RAW = "cx.raw.interactions"
NOW_MS = 1_740_996_000_000  # 2025-03-03T10:00:00Z


def event(number: int, **fields: object) -> bytes:
    return json.dumps(
        {
            "event_id": f"e{number}", "kind": "queued", "source": "test",
            "occurred_at": "2025-03-03T10:00:00Z", "interaction_id": f"i{number}",
            "channel": "voice", "queue": "sales", **fields,
        }
    ).encode()  # fmt: skip


class Letters(NamedTuple):
    """A site with a worker that refused three records, and the folder for files."""

    site: Site
    worker: Process
    folder: Path

    def ask(self, *arguments: str) -> str:
        return self.site.command("dead-letters", *arguments)

    def listed(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.ask("list", "--json").splitlines()]

    def position(self, reason: str) -> str:
        (told,) = [t for t in self.listed() if t["reason"] == reason and not t["replayed"]]
        return f"{told['topic']}/{told['partition']}/{told['offset']}"

    def events(self) -> float:
        return self.worker.metric("cx_events_total", platform="interactions")


@pytest.fixture(scope="module")
def letters(kafka: KafkaServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Letters]:
    folder = tmp_path_factory.mktemp("letters")
    with site(kafka.bootstrap, folder) as place:
        found = Letters(place, place.worker(), folder)
        for value in (event(1), event(2, kind="teleported"), event(3, wait="x", channel="carrier"),
                      b'{"event_id": "e4", "kind'):  # fmt: skip
            place.produce(value, None, timestamp_ms=NOW_MS)
        place.flush()
        wait_for(lambda: len(found.listed()) == 3, "three dead letters", 60)
        yield found


def test_they_are_counted_by_reason_and_none_was_sent_back(letters: Letters) -> None:
    assert sorted((told["reason"], told["replayed"]) for told in letters.listed()) == [
        ("bad_json", False), ("invalid_event", False), ("unknown_kind", False),
    ]  # fmt: skip


def test_one_is_explained(letters: Letters) -> None:
    position = letters.position("invalid_event")
    lines = letters.ask("explain", position).splitlines()
    assert lines[0].startswith(f"{position}: invalid_event: channel: ")
    assert lines[1].startswith("now it would be refused: invalid_event: channel: ")
    assert lines[2] == "the field named in the detail is not as the contract has it"


def test_a_repaired_one_is_taken_in_once(letters: Letters) -> None:
    position = letters.position("invalid_event")
    broken = letters.folder / "broken.json"
    letters.ask("show", position, "--out", str(broken))
    assert json.loads(broken.read_bytes())["channel"] == "carrier"
    broken.write_bytes(broken.read_bytes().replace(b"carrier", b"email"))
    assert letters.ask("replay", position, "--with", str(broken), "--dry-run") == (
        "1 would be sent back\n"
    )
    before = letters.events()
    assert letters.ask("replay", position, "--with", str(broken)) == "1 sent back\n"
    wait_for(lambda: letters.events() == before + 1, "the repaired record", 60)
    assert letters.ask("replay", position, "--with", str(broken)) == "0 sent back\n"
    (told,) = [told for told in letters.listed() if told["reason"] == "invalid_event"]
    assert told["replayed"] is True


def test_one_that_is_still_bad_is_refused_again_under_a_position_of_its_own(
    letters: Letters,
) -> None:
    first = letters.position("bad_json")
    assert letters.ask("replay", first) == "1 sent back\n"

    def told_twice() -> list[bool]:
        found = [told["replayed"] for told in letters.listed() if told["reason"] == "bad_json"]
        return found if len(found) == 2 else []

    assert sorted(wait_for(told_twice, "the second refusal", 60)) == [False, True]
    assert letters.position("bad_json") != first


def test_a_topic_of_nonsense_stops_the_worker_before_it_is_drained(
    kafka: KafkaServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with site(kafka.bootstrap, tmp_path_factory.mktemp("nonsense")) as place:
        place.environment["CXSTREAM_REFUSED_STREAK"] = "50"
        for _ in range(400):
            place.produce(b"nonsense", b"k")
        place.flush()
        worker = place.worker()
        wait_for(lambda: not worker.running, "the worker to stop", 60)
        assert worker.stop() == 1
        assert "50 records in a row were refused, the last one as bad_json" in worker.tail()
        # All 400 lie in one batch of one partition: nothing of it was committed.
        assert place.lag("intake") == 400
