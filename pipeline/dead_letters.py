"""Dead letters for operators: read, explained, and sent back once they can be taken in.

A letter that was sent back is marked on ``cx.dead-letters`` itself, in the transaction that sent
it, so it is sent once, whoever asks. What it becomes carries the event ids of its payload, so even
a second time would change no number.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from pipeline.microbatch import Broker, LogRecord, partition_for
from pipeline.microbatch.producer import BatchProducer, Outgoing
from pipeline.microbatch.restore import partition_count, read_log
from pipeline.stages.intake import Source
from pipeline.stages.wire import CONTROL_HEADER, control_kind, written_again
from schemas.platforms.base import BadPayload
from schemas.topics import DEAD_LETTERS, INTERACTIONS, RAW_PREFIX

REPLAYED: Final = b"replayed"
_WRITER: Final = "cxstream-dead-letters"

ADVICE: Final[Mapping[str, str]] = {
    "bad_json": "the producer writes something else than JSON, or cuts it; repair it there",
    "bad_utf8": "the producer uses another encoding; repair it there",
    "null_value": "an empty record says nothing; look at what produces it",
    "unknown_kind": "a newer producer: upgrade the workers, then send these back",
    "invalid_event": "the field named in the detail is not as the contract has it",
    "time_too_old": "the source's clock, or seconds taken for milliseconds",
    "time_in_future": "the source's clock is ahead, or a local time was told as UTC",
    "too_large": "only its beginning is kept: ask the source again, in smaller records",
}
"""What to do about each reason."""


class DeadLetter(NamedTuple):
    """A refused record: where it lay, why, and its original bytes."""

    topic: str
    partition: int
    offset: int
    reason: str
    detail: str
    size: int
    sha256: str
    value: bytes
    timestamp_ms: int
    replayed: bool = False

    @property
    def position(self) -> str:
        """``topic/partition/offset`` of the refused record."""
        return f"{self.topic}/{self.partition}/{self.offset}"

    @property
    def whole(self) -> bool:
        """Whether all its bytes were kept."""
        return len(self.value) == self.size

    @property
    def platform(self) -> str:
        """Platform that reads it."""
        if self.topic == INTERACTIONS:
            return "interactions"
        return self.topic.removeprefix(RAW_PREFIX)


async def read_letters(broker: Broker) -> list[DeadLetter]:
    """All letters that are kept, the oldest first. Raises ``KafkaError``."""
    letters: list[tuple[tuple[int, int, int], DeadLetter]] = []
    replayed: set[tuple[str, str]] = set()
    for number in range(await partition_count(broker, DEAD_LETTERS)):
        async for records in read_log(broker, DEAD_LETTERS, number):
            for record in records:
                if control_kind(record.headers) == REPLAYED:
                    replayed.add(_identity(record))
                else:
                    letters.append(((record.timestamp, number, record.offset), _letter(record)))
    return [
        letter._replace(replayed=(letter.position, letter.sha256) in replayed)
        for _, letter in sorted(letters)
    ]


def _letter(record: LogRecord) -> DeadLetter:
    told = _headers(record)
    return DeadLetter(
        told["topic"], int(told["partition"]), int(told["offset"]), told["reason"], told["detail"],
        int(told["bytes"]), told["sha256"], record.value or b"", int(told["timestamp"]),
    )  # fmt: skip


def _identity(record: LogRecord) -> tuple[str, str]:
    # A topic made anew counts its offsets from 0 again, so a position alone is not an identity.
    return (record.key or b"").decode(), _headers(record)["sha256"]


def _headers(record: LogRecord) -> dict[str, str]:
    return {name: value.decode("utf-8", "replace") for name, value in record.headers}


def explain(letter: DeadLetter, source: Source) -> list[str]:
    """Why a letter was refused, what would become of it now, and what to do; one line each."""
    lines = [f"{letter.position}: {letter.reason}: {letter.detail}"]
    if letter.replayed:
        lines.append("it was sent back")
    if not letter.whole:
        lines.append(f"{len(letter.value)} of its {letter.size} bytes are kept")
    else:
        try:
            parsed = source.platform.parse(letter.value, source.options)
        except BadPayload as bad:
            lines.append(f"now it would be refused: {bad.reason}: {bad.detail}")
        else:
            ignored = f", ignored: {', '.join(parsed.ignored)}" if parsed.ignored else ""
            lines.append(f"now it would be taken in: {len(parsed.events)} events{ignored}")
    lines.append(ADVICE.get(letter.reason, "see docs/operations.md"))
    return lines


async def send_back(
    broker: Broker, letters: Sequence[DeadLetter], sources: Mapping[str, Source]
) -> None:
    """Send letters to the topics they came from, under their own time, and mark them as sent.

    Raises:
        KafkaError: they cannot be sent; on a broker with transactions none was.
    """
    producer = BatchProducer(broker, _WRITER if broker.transactional else None)
    await producer.start()
    try:
        counts = {
            topic: await producer.partitions(topic)
            for topic in {DEAD_LETTERS, *(letter.topic for letter in letters)}
        }
        await producer.begin()
        await producer.send(_outgoing(letters, sources, counts))
        if broker.transactional:
            await producer.commit("", {})
    finally:
        await producer.close()


def _outgoing(
    letters: Iterable[DeadLetter], sources: Mapping[str, Source], counts: Mapping[str, int]
) -> Iterable[Outgoing]:
    for letter in letters:
        key = sources[letter.platform].platform.key(letter.value)
        number = partition_for(key, counts[letter.topic])
        again = written_again(letter.timestamp_ms)
        yield Outgoing(letter.topic, number, key, letter.value, letter.timestamp_ms, again)
        name = letter.position.encode()
        headers = ((CONTROL_HEADER, REPLAYED), ("sha256", letter.sha256.encode()))
        marked = partition_for(name, counts[DEAD_LETTERS])
        yield Outgoing(DEAD_LETTERS, marked, name, b"", letter.timestamp_ms, headers)
