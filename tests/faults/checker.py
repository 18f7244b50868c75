"""What must hold whatever happened, judged by topics and tables alone."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from clickhouse_connect.driver.client import Client
from confluent_kafka import Consumer, KafkaException, TopicPartition

from pipeline.stages.lifecycle import decode_state
from schemas.interaction import EVENT_ADAPTER, PerformerState
from schemas.topics import DEAD_LETTERS, FACTS, INTERACTIONS, changelog_topic
from tests.faults.load import Load
from tests.integration.logs import GROUPS, QUIET, RAW, Read
from tests.integration.process import Process, wait_for
from tests.integration.recompute import (
    ZONE,
    Cell,
    Fraction,
    differences,
    published,
    recomputed,
    told,
)
from tests.integration.site import Site

_INTERACTION = b"i"
"""Begins the key of an interaction's state."""


class Outcome(NamedTuple):
    """What is left of a trial.

    Attributes:
        accepted: How often each event id lies in ``cx.interactions``.
        letters: How often each refused record, by reason and hash, became a dead letter.
        facts: The newest version of each fact that was not deleted, without its number.
        values: Cells of the exhibit as ClickHouse has them.
    """

    accepted: Counter[str]
    letters: Counter[tuple[str, str]]
    facts: dict[str, dict[str, Any]]
    values: dict[Cell, Fraction]

    def sizes(self) -> dict[str, int]:
        """How many there are of each."""
        return {
            "events": self.accepted.total(), "letters": self.letters.total(),
            "facts": len(self.facts), "values": len(self.values),
        }  # fmt: skip

    def digest(self) -> str:
        """A hash of facts and values."""
        facts = json.dumps(self.facts, sort_keys=True)
        values = json.dumps(sorted((*cell, *fraction) for cell, fraction in self.values.items()))
        return hashlib.sha256((facts + values).encode()).hexdigest()[:8]


def check(
    place: Site, client: Client, load: Load, clock_ms: int, *, anew: bool = False, zone: str = ZONE
) -> Outcome:
    """Every promise, once everything written has gone through.

    Args:
        place: The site.
        client: A client on its database.
        load: What it was fed.
        clock_ms: What values are as of.
        anew: Topics were made anew on the way: each event is there at least once, and records of
            before are in ClickHouse alone.
        zone: Time zone of the exhibit.

    Raises:
        AssertionError: one does not hold; it says which and where.
    """
    raw = assert_contiguous(place)
    assert anew or raw == len(load.records), "records of the raw topic"
    committed_is_written(place, client)
    interactions = [r for r in place.read(INTERACTIONS) if "cx-accepted" in r.headers]
    accepted = Counter(event_id(record) for record in interactions)
    letters, positions = _letters(place)
    if anew:
        assert set(accepted) == set(load.accepted)
        assert set(letters) <= set(load.refused)
    else:
        assert accepted == load.accepted, _surplus(accepted, load.accepted)
        assert letters == load.refused, _surplus(letters, load.refused)
    # Where a topic was made anew, two records had one position, one after the other.
    logs = 2 if anew else 1
    assert max(positions.values(), default=1) <= logs, "a record is a dead letter once"
    facts = _facts(place.read(FACTS))
    assert_tables(client, accepted, None if anew else positions, facts)
    values = assert_recomputed(client, clock_ms, zone)
    rows = {fact_id: fact for fact_id, (_, fact) in facts.items() if not fact["deleted"]}
    return Outcome(accepted, letters, rows, values)


def assert_same(found: Outcome, reference: Outcome) -> None:
    """Facts and values of a trial are those of the trial in which nothing happened."""
    assert reference.facts, "a reference of nothing proves nothing"
    other = {
        fact_id
        for fact_id in {*found.facts, *reference.facts}
        if found.facts.get(fact_id) != reference.facts.get(fact_id)
    }
    shown = [(found.facts.get(f), reference.facts.get(f)) for f in sorted(other)[:3]]
    assert not other, f"{len(other)} facts differ: {shown}"
    different = differences(found.values, reference.values)
    assert not different, told(different)


# --- parts ----------------------------------------------------------------------------------------


def assert_contiguous(place: Site) -> int:
    """Offsets of the raw topic have no holes; how many records there are."""
    offsets: defaultdict[int, list[int]] = defaultdict(list)
    for record in place.read(RAW):
        offsets[record.partition].append(record.offset)
    for found in offsets.values():
        assert found == list(range(len(found)))
    return sum(map(len, offsets.values()))


def committed_is_written(place: Site, client: Client) -> None:
    """No committed offset has passed a record whose outcome is not there.

    It holds at any moment: offsets are read first, and what they must have caused afterwards.
    """
    intake, lifecycle, sink = (
        committed_now(place, role) for role in ("intake", "lifecycle", "sink")
    )
    interactions = place.read(INTERACTIONS)
    accepted = Counter(event_id(r) for r in interactions if "cx-accepted" in r.headers)
    _, refused = _letters(place)
    passed: Counter[str] = Counter()
    for record in place.read(RAW):
        place_of = (RAW, record.partition, record.offset)
        if record.offset < intake[RAW, record.partition] and place_of not in refused:
            passed[event_id(record)] += 1
    assert not passed - accepted, f"intake has passed {list(passed - accepted)[:5]}"
    taken = _taken(interactions, lifecycle)
    stored = _stored_events(place.read(changelog_topic("lifecycle")))
    missing = {key for key in taken if not taken[key] <= stored.get(key, set())}
    assert not missing, f"lifecycle has passed events of {sorted(missing)[:5]}"
    rows = {row[0] for row in client.query("SELECT event_id FROM interaction_events").result_rows}
    owed = {
        event_id(record)
        for record in interactions
        if "cx-accepted" in record.headers and record.offset < sink[INTERACTIONS, record.partition]
    }
    assert not owed - rows, f"the sink has passed {sorted(owed - rows)[:5]}"


def assert_tables(
    client: Client,
    accepted: Iterable[str],
    positions: Iterable[tuple[str, int, int]] | None,
    facts: Mapping[str, tuple[int, dict[str, Any]]],
) -> None:
    """ClickHouse shows every event, dead letter and fact once, in its newest version."""
    events = client.query("SELECT event_id FROM interaction_events FINAL").result_rows
    assert Counter(row[0] for row in events) == Counter(set(accepted))
    if positions is not None:
        query = "SELECT topic, partition, offset FROM dead_letters FINAL"
        letters = client.query(query).result_rows
        assert Counter(map(tuple, letters)) == Counter(set(positions))
    for kind in {fact["kind"] for _, fact in facts.values()}:
        rows = client.query(
            f"SELECT fact_id, version, deleted FROM facts_{kind} FINAL"  # noqa: S608 - a kind
        ).result_rows
        expected = {
            (fact_id, version, int(fact["deleted"]))
            for fact_id, (version, fact) in facts.items()
            if fact["kind"] == kind
        }
        # A deleted row may be cleaned away or still be there: either way no view shows it.
        assert {row for row in map(tuple, rows) if not row[2]} == {
            row for row in expected if not row[2]
        }, kind


def assert_recomputed(client: Client, clock_ms: int, zone: str = ZONE) -> dict[Cell, Fraction]:
    """Values equal SQL over raw events, cell by cell; the values."""
    database = str(client.database)
    expected = recomputed(
        client, f"{database}.interaction_events", clock_ms, f"{database}_recomputed", zone
    )
    found = published(client)
    assert any(numerator for numerator, _ in expected.values()), "zeros on both sides prove nothing"
    different = differences(found, expected)
    assert not different, told(different)
    return found


def assert_one_owner(workers: Iterable[Process]) -> None:
    """No value of an exhibit is shown by two workers, and none of a partition nobody owns."""
    shown: Counter[tuple[Any, ...]] = Counter()
    for worker in workers:
        samples = worker.metrics()
        values = [labels for name, labels in samples if name == "cx_exhibit_value"]
        shown.update(values)
        owned = sum(
            value
            for (name, labels), value in samples.items()
            if name == "cx_owned_partitions" and ("stage", "exhibits") in labels
        )
        assert owned or not values, f"a worker shows {len(values)} values of partitions it lost"
    assert max(shown.values(), default=1) == 1, "two workers show one value"


# --- readers --------------------------------------------------------------------------------------


def committed_now(place: Site, role: str) -> dict[tuple[str, int], int]:
    """Committed offsets of a role, at once: those of open transactions do not count yet."""
    consumer = Consumer(
        {
            "bootstrap.servers": place.bootstrap,
            "group.id": f"{place.prefix}-{role}",
            "isolation.level": "read_uncommitted",
            **QUIET,
        }
    )
    wanted = [TopicPartition(t, p) for t in GROUPS[role] for p in range(place.partitions)]

    def ask() -> list[TopicPartition]:
        with suppress(KafkaException):  # the coordinator moves, or has not read its log yet
            return consumer.committed(wanted, timeout=10)
        return []

    try:
        found = wait_for(ask, f"committed offsets of {role}", 60)
    finally:
        consumer.close()
    return {(one.topic, one.partition): max(one.offset, 0) for one in found}


def facts_passed(place: Site, since: Mapping[tuple[str, int], int], kind: str = "") -> int:
    """Facts, of one kind if named, that the sink has committed past since then.

    What gives no row it may pass.
    """
    now = committed_now(place, "sink")
    return sum(
        since[FACTS, record.partition] <= record.offset < now[FACTS, record.partition]
        and kind in ("", json.loads(record.value or b"{}").get("kind"))
        for record in place.read(FACTS)
    )


def torn(place: Site, topics: Iterable[str]) -> int:
    """How many records in ``topics`` no reader of committed records ever sees: those fenced off."""
    return len(torn_records(place, topics))


def torn_records(place: Site, topics: Iterable[str]) -> set[tuple[str, int, int]]:
    """Where such records lie: topic, partition, offset; open transactions are among them."""
    found: set[tuple[str, int, int]] = set()
    for topic in topics:
        committed = {(r.partition, r.offset) for r in place.read(topic)}
        more = _positions(place, topic, "read_uncommitted") - committed
        found |= {(topic, *position) for position in more}
    return found


def compacted(place: Site, topic: str) -> int:
    """Offsets of ``topic`` that are surely gone: those before the first record, and holes.

    One offset between two records may be the marker of a transaction, which is no record.
    """
    offsets: defaultdict[int, list[int]] = defaultdict(lambda: [-1])
    for partition, offset in sorted(_positions(place, topic, "read_uncommitted")):
        offsets[partition].append(offset)
    return sum(
        max(after - before - (1 if before < 0 else 2), 0)
        for found in offsets.values()
        for before, after in itertools.pairwise(found)
    )


def _positions(place: Site, topic: str, isolation: str) -> set[tuple[int, int]]:
    consumer = Consumer(
        {
            "bootstrap.servers": place.bootstrap,
            "group.id": f"{place.prefix}-checker",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": isolation,
            **QUIET,
        }
    )
    consumer.assign([TopicPartition(topic, number, 0) for number in range(place.partitions)])
    found: set[tuple[int, int]] = set()
    ended = 0
    try:
        while ended < place.partitions:
            for message in consumer.consume(5_000, timeout=0.3):
                if message.error() is None:
                    found.add((message.partition() or 0, message.offset() or 0))
                else:
                    ended += 1
    finally:
        consumer.close()
    return found


def event_id(record: Read) -> str:
    """Id of an event; empty where there is none."""
    try:
        return str(json.loads(record.value or b"")["event_id"])
    except (ValueError, KeyError, TypeError):
        return ""


def _letters(place: Site) -> tuple[Counter[tuple[str, str]], Counter[tuple[str, int, int]]]:
    """Dead letters by reason and hash, and by the position of what was refused."""
    letters: Counter[tuple[str, str]] = Counter()
    positions: Counter[tuple[str, int, int]] = Counter()
    for record in place.read(DEAD_LETTERS):
        text = {name: value.decode() for name, value in record.headers.items()}
        letters[text["reason"], hashlib.sha256(record.value or b"").hexdigest()] += 1
        positions[text["topic"], int(text["partition"]), int(text["offset"])] += 1
    return letters, positions


def _facts(records: Iterable[Read]) -> dict[str, tuple[int, dict[str, Any]]]:
    """The newest version of each fact; no version of one may say two things."""
    said: dict[tuple[str, int], dict[str, Any]] = {}
    newest: dict[str, tuple[int, dict[str, Any]]] = {}
    for record in records:
        fact = json.loads(record.value or b"")
        fact_id, version = fact["fact_id"], fact.pop("version")
        assert said.setdefault((fact_id, version), fact) == fact, f"{fact_id} version {version}"
        if version >= newest.get(fact_id, (0, {}))[0]:
            newest[fact_id] = version, fact
    return newest


def _taken(interactions: Iterable[Read], committed: Mapping[tuple[str, int], int]) -> Any:
    """Ids of the events of each interaction that lifecycle says it has taken."""
    taken: defaultdict[str, set[str]] = defaultdict(set)
    for record in interactions:
        done = record.offset < committed[record.topic, record.partition]
        if done and "cx-accepted" in record.headers:
            event = EVENT_ADAPTER.validate_json(record.value or b"")
            if not isinstance(event, PerformerState) and event.kind != "plan":
                taken[event.interaction_id].add(event.event_id)
    return taken


def _stored_events(changelog: Iterable[Read]) -> dict[str, set[str]]:
    """Ids of the events that the state of each interaction holds."""
    newest = {r.key: r.value for r in changelog if r.key and r.key[:1] == _INTERACTION}
    return {
        key[1:].decode(): {event.event_id for event in decode_state(value).events}
        for key, value in newest.items()
        if value is not None
    }


def _surplus(found: Counter[Any], expected: Counter[Any]) -> str:
    more, less = found - expected, expected - found
    return f"too often {more.most_common(5)}, too rarely {less.most_common(5)}"
