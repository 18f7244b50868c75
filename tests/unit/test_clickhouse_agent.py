"""Which records of a batch are stored where several tell of one fact or value."""

from __future__ import annotations

import json
from typing import NamedTuple

from schemas.topics import FACTS, INTERACTIONS, KPIS
from sinks.clickhouse.agent import telling


class Record(NamedTuple):
    key: bytes | None
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()


def record(key: str, version: int) -> Record:
    return Record(key.encode(), json.dumps({"kind": "contact", "version": version}).encode())


FROM_TWO_HISTORIES = [record("k/contact", 4), record("k/contact", 6), record("k/contact", 5)]


def test_the_highest_version_of_a_fact_is_stored_wherever_it_lies():
    assert list(telling(FACTS, FROM_TWO_HISTORIES)) == [record("k/contact", 6)]


def test_of_a_value_the_last_one_is_stored_and_of_events_each():
    assert list(telling(KPIS, FROM_TWO_HISTORIES)) == [record("k/contact", 5)]
    assert list(telling(INTERACTIONS, FROM_TWO_HISTORIES)) == FROM_TWO_HISTORIES


def test_records_without_a_key_replace_nothing():
    bare = [Record(None, b'{"version": 1}'), Record(None, b'{"version": 2}')]
    assert list(telling(FACTS, bare)) == bare


def test_what_bears_headers_is_no_fact_and_replaces_none():
    beats = [Record(b"beat", b"{}", (("cx-control", b"heartbeat"),))] * 2
    assert list(telling(FACTS, beats)) == beats
