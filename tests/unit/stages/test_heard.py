from __future__ import annotations

import json

from pipeline.stages import heard as hearing
from pipeline.stages.heard import Heard, note
from schemas.interaction import EVENT_ADAPTER
from schemas.sources import OTHER, SourceHeard, decode_heard
from schemas.topics import SOURCES

READER = ("cx.raw.interactions", 0)


class Sent:
    """Keeps what is sent."""

    def __init__(self):
        self.records = []

    def send(self, topic, key, value, **_given):
        assert topic == SOURCES
        self.records.append((key, decode_heard(value)))


def event(kind="queued", **given):
    told = {
        "event_id": "e", "kind": kind, "source": "pbx", "occurred_at": "2026-03-02T12:00:00Z",
        "interaction_id": "i", "channel": "voice", **given,
    }  # fmt: skip
    return EVENT_ADAPTER.validate_json(json.dumps(told))


def test_the_latest_record_of_each_source_and_queue_is_noted():
    found = {}
    for at_ms, queue in ((5, "sales"), (3, "sales"), (4, None)):
        note(found, event(queue=queue), at_ms)
    assert found == {("pbx", "sales"): 5, ("pbx", ""): 4}


def test_what_comes_in_files_once_a_day_says_nothing_of_silence():
    found = {}
    plan = event(
        "plan", plan="forecast", value=1, starts_at="2026-03-02T12:00:00Z",
        ends_at="2026-03-02T13:00:00Z",
    )  # fmt: skip
    note(found, plan, 5)
    assert found == {}


def test_a_pair_is_told_again_after_five_seconds():
    heard, sent = Heard(), Sent()
    for at_ms in (0, 4_999, 5_000, 9_999, 10_000):
        heard.tell(READER, {("pbx", "sales"): at_ms}, sent)
    assert [told.at_ms for _, told in sent.records] == [0, 5_000, 10_000]
    assert {key for key, _ in sent.records} == {b'["pbx","sales","cx.raw.interactions",0]'}


def test_two_partitions_tell_for_themselves():
    heard, sent = Heard(), Sent()
    heard.tell(READER, {("pbx", ""): 0}, sent)
    heard.tell(("cx.raw.interactions", 1), {("pbx", ""): 1}, sent)
    assert len(sent.records) == 2


def test_names_beyond_the_limit_are_told_as_one(monkeypatch):
    monkeypatch.setattr(hearing, "MAX_PAIRS", 2)
    heard, sent = Heard(), Sent()
    bounded = heard.tell(
        READER, {("pbx", "a"): 1, ("pbx", "b"): 2, ("x", "c"): 3, ("y", "d"): 4}, sent
    )
    assert bounded == {("pbx", "a"): 1, ("pbx", "b"): 2, (OTHER, OTHER): 4}
    assert sent.records[-1][1] == SourceHeard(OTHER, OTHER, 4)
    # A name that was known before the limit stays known.
    assert heard.tell(READER, {("pbx", "a"): 9}, sent) == {("pbx", "a"): 9}
