"""Every Kafka topic of the product, as data: name, key, cleanup, who writes and who reads."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

Cleanup = Literal["delete", "compact", "compact,delete"]

DAY_MS: Final = 86_400_000
MAX_RECORD_BYTES: Final = 1_048_576
"""Topics take records of 1 MiB; what is larger is refused at the way in."""
MAX_STATE_BYTES: Final = 16 * MAX_RECORD_BYTES
"""Changelogs take more: a record of theirs is the whole history of a key."""


class Topic(NamedTuple):
    """One topic. ``retention_ms`` is None where compaction alone decides.

    ``appended``: records bear the broker's time, so that retention counts from their writing, and
    not from what they tell of: of a year that is read again nothing may go before it is read.
    ``record_bytes``: the largest record that the topic takes.
    """

    name: str
    key: str
    cleanup: Cleanup
    retention_ms: int | None
    producers: tuple[str, ...]
    consumers: tuple[str, ...]
    comment: str
    appended: bool = False
    record_bytes: int = MAX_RECORD_BYTES


RAW_PREFIX: Final = "cx.raw."
INTERACTIONS: Final = "cx.interactions"
FACTS: Final = "cx.facts"
CONTACTS: Final = "cx.contacts"
PERFORMANCES: Final = "cx.performances"
PARTIALS: Final = "cx.partials"
KPIS: Final = "cx.kpis"
EXHIBITS: Final = "cx.exhibits"
CLOCKS: Final = "cx.clocks"
SOURCES: Final = "cx.sources"
PROBES: Final = "cx.probes"
DEAD_LETTERS: Final = "cx.dead-letters"


def raw_topic(platform: str) -> str:
    """Topic that carries the native payloads of a platform."""
    return RAW_PREFIX + platform


def changelog_topic(stage: str) -> str:
    """Compacted topic that holds the state of a stage."""
    return f"cx.{stage}.changelog"


TOPICS: Final[dict[str, Topic]] = {
    topic.name: topic
    for topic in (
        Topic(
            INTERACTIONS, "interaction_id", "delete", 7 * DAY_MS,
            ("intake", "lifecycle"), ("lifecycle", "sink"),
            "unified Interaction events; ticks of the log's own clock", appended=True,
        ),
        Topic(
            FACTS, "fact_id", "delete", 7 * DAY_MS, ("lifecycle", "journeys", "performers"),
            ("sink",),
            "every version of every fact, deletions too", appended=True,
        ),
        Topic(
            CONTACTS, "customer_key, or case", "delete", 7 * DAY_MS, ("lifecycle", "journeys"),
            ("journeys",),
            "slim rows of interactions, by customer and by case; links, and places by them",
            appended=True,
        ),
        Topic(
            PERFORMANCES, "performer_id", "delete", 7 * DAY_MS, ("lifecycle",), ("performers",),
            "stints, schedules and states of performers", appended=True,
        ),
        Topic(
            PARTIALS, "exhibit, source partition, cell, pane", "compact,delete", 100 * DAY_MS,
            ("lifecycle", "journeys", "performers"), ("exhibits",),
            "cumulative shares of one source partition in one pane of one cell", appended=True,
        ),
        Topic(
            KPIS, "exhibit, as, window, dimensions, state", "compact", None,
            ("exhibits",), ("sink", "replay", "wallboard"),
            "exhibit values, the last one of each key",
        ),
        Topic(
            EXHIBITS, "source", "compact", None, ("lifecycle",), ("exhibit", "wallboard"),
            "exhibits in force in each partition of cx.interactions",
        ),
        Topic(
            SOURCES, "source, queue, reader", "compact", None, ("intake", "lifecycle"),
            ("wallboard",), "when each source was heard last, by queue",
        ),
        Topic(
            CLOCKS, "partition", "compact", None, ("exhibits",), ("wallboard",),
            "the clock that the values of a partition of cx.kpis are as of",
        ),
        Topic(
            PROBES, "who asks", "delete", DAY_MS, ("doctor",), (),
            "empty records that tell the brokers' clock", appended=True,
        ),
        Topic(
            DEAD_LETTERS, "source position", "delete", 7 * DAY_MS,
            ("intake", "lifecycle", "replay"), ("sink", "dead-letters"),
            "refused records with reason and original bytes: personal data", appended=True,
        ),
        Topic(
            changelog_topic("lifecycle"), "interaction_id or plan", "compact", None,
            ("lifecycle",), ("lifecycle",), "events and contributions of each interaction",
            record_bytes=MAX_STATE_BYTES,
        ),
        Topic(
            changelog_topic("journeys"), "customer_key", "compact", None,
            ("journeys",), ("journeys",), "contacts and contributions of each customer",
            record_bytes=MAX_STATE_BYTES,
        ),
        Topic(
            changelog_topic("performers"), "performer_id", "compact", None,
            ("performers",), ("performers",),
            "stints, schedules, states and contributions of each performer",
            record_bytes=MAX_STATE_BYTES,
        ),
    )
}  # fmt: skip
"""Topics by name, those of raw payloads apart: they are one a platform."""


def raw_topic_row(platform: str) -> Topic:
    """Registry row of the raw topic of a platform."""
    return Topic(
        raw_topic(platform), "the platform's conversation id", "delete", 7 * DAY_MS,
        ("gateway", "replay"), ("intake",), f"native payloads of {platform}: personal data",
    )  # fmt: skip
