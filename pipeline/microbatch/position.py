"""Where reading goes on, and whether log and state still are what the offset was committed with.

An offset may be there and what it counts from may not: retention has passed it, a topic was made
anew, a changelog was emptied. Going on from there would be wrong numbers without a word.
"""

from __future__ import annotations

from typing import Final, NamedTuple
from uuid import uuid4

from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata, TopicPartition

_KEYS: Final = "keys="


class LogGoneError(RuntimeError):
    """Records that were not read yet are gone."""


class StateGoneError(RuntimeError):
    """The state that belongs to a committed offset is not what was written."""


class BeyondEndError(KafkaError):  # type: ignore[misc]
    """A log ends before what is committed: for a moment after a change of leader, or for good."""


class Committed(NamedTuple):
    """The committed offset of a partition, None before the first commit.

    ``keys``: how many keys its state had then; None where that was not noted. ``note``: all that
    was noted; two commits that changed a state never note the same.
    """

    offset: int | None
    keys: int | None = None
    note: str = ""


def note_of(keys: int | None) -> str:
    """What is noted beside an offset: how many keys the state has, and a name of this commit.

    Nothing where there is no state.
    """
    return "" if keys is None else f"{_KEYS}{keys} {uuid4().hex[:12]}"


def read_note(committed: OffsetAndMetadata) -> Committed:
    """What was committed, by this version or another, or by a tool of Kafka."""
    if committed.offset < 0:
        return Committed(None)
    note = committed.metadata
    count = note.removeprefix(_KEYS).partition(" ")[0]
    known = note.startswith(_KEYS) and count.isdigit()
    return Committed(committed.offset, int(count) if known else None, note)


def begin_at(tp: TopicPartition, committed: Committed, first: int, end: int, *, skip: bool) -> int:
    """Where to read on in a log that holds the offsets from ``first`` to before ``end``.

    Args:
        tp: Topic and partition, for errors.
        committed: What the group has committed.
        first: The log's first offset.
        end: The offset behind its last record that can be read.
        skip: Go on behind records that are gone.

    Raises:
        LogGoneError: records that are committed as next are gone.
        BeyondEndError: the log ends before what is committed.
    """
    offset = committed.offset
    if offset is None:
        return first
    place = f"{tp.topic}[{tp.partition}]"
    if offset < first:
        if skip:
            return first
        raise LogGoneError(
            f"{place}: records {offset} to {first - 1} were removed from the log before they were"
            " read; see operations.md, Records that are gone"
        )
    if offset > end:
        raise BeyondEndError(
            f"{place}: offset {offset} is committed, and the log ends at {end}: the topic was made"
            " anew, or its brokers lost records; see operations.md, Records that are gone"
        )
    return offset


def check_state(stage: str, tp: TopicPartition, committed: Committed, keys: int) -> None:
    """Refuse a state that does not have the keys it had when its offset was committed.

    Raises:
        StateGoneError: it has not.
    """
    if committed.keys is not None and committed.keys != keys:
        raise StateGoneError(
            f"the state of {stage}, {tp.topic}[{tp.partition}], had {committed.keys} keys when"
            f" offset {committed.offset} was committed, its changelog gives {keys}: it lost"
            " records; see operations.md, Records that are gone"
        )
