"""What stages tell, as spans."""

from __future__ import annotations

import pytest

pytest.importorskip("opentelemetry.sdk")

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from pipeline.tracing import StageTraces

PLACE = ("lifecycle", "cx.interactions", 3)


@pytest.fixture
def told():
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return StageTraces(provider.get_tracer("test")), exporter.get_finished_spans


def test_a_batch_has_its_checkpoint_inside(told):
    traces, spans = told
    traces.began(*PLACE)
    traces.committing(*PLACE)
    traces.committed(*PLACE, 17)
    checkpoint, batch = spans()
    assert (checkpoint.name, batch.name) == ("checkpoint", "batch")
    assert checkpoint.parent.span_id == batch.context.span_id
    assert dict(batch.attributes) == {
        "cxstream.stage": "lifecycle", "messaging.destination.name": "cx.interactions",
        "messaging.destination.partition.id": "3", "cxstream.records": 17,
    }  # fmt: skip
    assert batch.status.status_code is StatusCode.UNSET


def test_attempts_to_restore_are_spans_of_their_own(told):
    traces, spans = told
    traces.restoring(*PLACE)
    traces.restoring(*PLACE)  # read on
    traces.restore_failed(*PLACE, OSError("away"))
    traces.restoring(*PLACE)
    traces.restored(*PLACE, 5)
    failed, done = spans()
    assert (failed.name, failed.status.status_code) == ("restore", StatusCode.ERROR)
    assert failed.status.description == "away"
    assert (done.name, done.attributes["cxstream.keys"]) == ("restore", 5)


def test_a_batch_that_was_thrown_away_is_an_error(told):
    traces, spans = told
    traces.began(*PLACE)
    traces.committing(*PLACE)
    traces.lost(*PLACE)
    assert [(one.name, one.status.status_code) for one in spans()] == [
        ("checkpoint", StatusCode.ERROR), ("batch", StatusCode.ERROR),
    ]  # fmt: skip
    traces.committed(*PLACE, 1)  # too late: nothing more is told
    assert len(spans()) == 2
