"""Traces of what stages do, for OpenTelemetry: a span a batch, its checkpoint, and each restore.

Imported only where traces are asked for: its libraries come with the extra ``tracing``.

Spans do not go on from one stage to the next: a batch mixes the records of many contacts, and a
context on each record would cost every one of them.
"""

from __future__ import annotations

from typing import Final

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, Status, StatusCode, Tracer, set_span_in_context

from pipeline.microbatch import Observer

_SCOPE: Final = "cxstream"
Key = tuple[str, str, int]


def exporting_tracer() -> Tracer:
    """A tracer that sends spans by OTLP over HTTP, as ``OTEL_*`` variables say where and how."""
    provider = TracerProvider(resource=Resource.create({"service.name": _SCOPE}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider.get_tracer(_SCOPE)


class StageTraces(Observer):
    """Turns what the micro-batch layer tells into spans.

    Args:
        tracer: Where spans are begun.
    """

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self._batches: dict[Key, Span] = {}
        self._checkpoints: dict[Key, Span] = {}
        self._restores: dict[Key, Span] = {}

    def restoring(self, stage: str, topic: str, partition: int) -> None:
        """A restore begins, or read on."""
        if (stage, topic, partition) not in self._restores:
            self._begin(self._restores, "restore", (stage, topic, partition))

    def restore_failed(self, stage: str, topic: str, partition: int, error: Exception) -> None:
        """An attempt failed; the next is a span of its own."""
        self._fail(self._restores, (stage, topic, partition), error)

    def restored(self, stage: str, topic: str, partition: int, keys: int) -> None:
        """A partition is ready."""
        self._end(self._restores, (stage, topic, partition), keys=keys)

    def began(self, stage: str, topic: str, partition: int) -> None:
        """A batch was handed to the agent."""
        self._begin(self._batches, "batch", (stage, topic, partition))

    def committing(self, stage: str, topic: str, partition: int) -> None:
        """The agent is done; outputs, state and offset are written."""
        key = (stage, topic, partition)
        batch = self._batches.get(key)
        if batch is not None:
            context = set_span_in_context(batch)
            self._checkpoints[key] = self._tracer.start_span("checkpoint", context=context)

    def committed(self, stage: str, topic: str, partition: int, records: int) -> None:
        """A checkpoint is acknowledged."""
        self._end(self._checkpoints, (stage, topic, partition))
        self._end(self._batches, (stage, topic, partition), records=records)

    def lost(self, stage: str, topic: str, partition: int) -> None:
        """A partition was given up: with a batch under way, that batch was thrown away."""
        gone = RuntimeError("the partition was given up")
        for spans in (self._checkpoints, self._batches, self._restores):
            self._fail(spans, (stage, topic, partition), gone)

    def _begin(self, spans: dict[Key, Span], name: str, key: Key) -> None:
        stage, topic, partition = key
        spans[key] = self._tracer.start_span(
            name,
            attributes={
                "cxstream.stage": stage,
                "messaging.destination.name": topic,
                "messaging.destination.partition.id": str(partition),
            },
        )

    def _end(self, spans: dict[Key, Span], key: Key, **numbers: int) -> None:
        span = spans.pop(key, None)
        if span is not None:
            for name, number in numbers.items():
                span.set_attribute(f"cxstream.{name}", number)
            span.end()

    def _fail(self, spans: dict[Key, Span], key: Key, error: Exception) -> None:
        span = spans.pop(key, None)
        if span is not None:
            span.record_exception(error)
            span.set_status(Status(StatusCode.ERROR, str(error)))
            span.end()
