"""Brings the topics of a Kafka cluster to what the registry says: first a plan, then its changes.

The registry is :mod:`schemas.topics`. Nothing is ever deleted, and the number of partitions of a
topic is never changed: keys would move to other partitions, away from their state.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from schemas.topics import TOPICS, Topic

RECORD_OVERHEAD_BYTES: Final = 16_384
"""Room for what surrounds the value of one record: batch header, key, headers."""

REQUEST_TIMEOUT_SECONDS: Final = 30.0


class TopicsError(Exception):
    """The cluster cannot be brought to the registry's state, or cannot be reached."""


class Change(NamedTuple):
    """One change that makes one topic as the registry says."""

    topic: str
    action: Literal["create", "alter"]
    settings: Mapping[str, str]
    partitions: int
    replication: int
    before: Mapping[str, str]

    def __str__(self) -> str:
        if self.action == "create":
            settings = ", ".join(f"{name}={value}" for name, value in self.settings.items())
            return (
                f"create {self.topic}: {self.partitions} partitions, "
                f"replication {self.replication}, {settings}"
            )
        settings = ", ".join(
            f"{name} {self.before[name]} -> {value}" for name, value in self.settings.items()
        )
        return f"alter {self.topic}: {settings}"


def plan(
    bootstrap: str,
    partitions: int,
    replication: int,
    topics: Iterable[Topic] = tuple(TOPICS.values()),
    security: Mapping[str, str] | None = None,
) -> list[Change]:
    """Return the changes that bring the cluster to the registry's state, none if it is there.

    Args:
        bootstrap: brokers, as ``host:port,host:port``.
        partitions: number of partitions every topic has or gets.
        replication: replicas a new topic gets; that of existing topics is the operator's.
        topics: rows of the registry, those of raw topics included where wanted.
        security: what else the client needs to get in, as ``security.protocol``.

    Raises:
        TopicsError: a topic has another number of partitions, or the cluster does not answer.
    """
    admin = _admin(bootstrap, security)
    rows = {topic.name: topic for topic in topics}
    existing = _partition_counts(admin, rows)
    wrong = {name: count for name, count in existing.items() if count != partitions}
    if wrong:
        listing = ", ".join(f"{name} has {count}" for name, count in sorted(wrong.items()))
        raise TopicsError(
            f"every topic must have {partitions} partitions, but {listing}. Adding partitions "
            "would part keys from their state: keep the number, or start on new topics"
        )
    current = _topic_settings(admin, existing)
    changes = []
    for name, row in rows.items():
        wanted = settings(row)
        if name not in existing:
            changes.append(Change(name, "create", wanted, partitions, replication, {}))
            continue
        before = current[name]
        differing = {
            key: value for key, value in wanted.items() if not _same(key, value, before.get(key))
        }
        if differing:
            old = {key: before.get(key, "") for key in differing}
            changes.append(Change(name, "alter", differing, partitions, replication, old))
    return changes


def check_partitions(bootstrap: str, security: Mapping[str, str] | None = None) -> None:
    """Refuse to work on topics with different numbers of partitions; those missing are passed over.

    Raises:
        TopicsError: keys of one topic would not meet their state in another, or no answer.
    """
    counts = _partition_counts(_admin(bootstrap, security), TOPICS)
    if len(set(counts.values())) > 1:
        listing = ", ".join(f"{name} has {count}" for name, count in sorted(counts.items()))
        raise TopicsError(
            f"all topics must have the same number of partitions, but {listing}: keys would part"
            " from their state"
        )


def apply(
    bootstrap: str, changes: Sequence[Change], security: Mapping[str, str] | None = None
) -> None:
    """Make the changes of a plan; a topic that meanwhile exists is left for the next plan.

    Raises:
        TopicsError: the cluster refused one; those before it are made.
    """
    admin = _admin(bootstrap, security)
    for change in changes:
        try:
            if change.action == "create":
                _create(admin, change)
            else:
                _alter(admin, change)
        except KafkaException as error:
            raise TopicsError(f"{change}: {error.args[0].str()}") from error


def settings(topic: Topic) -> dict[str, str]:
    """Return the settings that the registry decides for a topic, as Kafka names them."""
    decided = {
        "cleanup.policy": topic.cleanup,
        "max.message.bytes": str(topic.record_bytes + RECORD_OVERHEAD_BYTES),
    }
    if topic.retention_ms is not None:
        decided["retention.ms"] = str(topic.retention_ms)
    if topic.appended:
        decided["message.timestamp.type"] = "LogAppendTime"
    return decided


def _same(key: str, wanted: str, current: str | None) -> bool:
    if key == "cleanup.policy" and current is not None:
        return set(wanted.split(",")) == set(current.split(","))
    return wanted == current


def _admin(bootstrap: str, security: Mapping[str, str] | None) -> Any:
    # What goes wrong is raised, so librdkafka need not print it too.
    return AdminClient({"bootstrap.servers": bootstrap, "log_level": 2, **(security or {})})


def _partition_counts(admin: Any, names: Iterable[str]) -> dict[str, int]:
    try:
        metadata = admin.list_topics(timeout=REQUEST_TIMEOUT_SECONDS)
    except KafkaException as error:
        raise TopicsError(f"no answer from Kafka: {error.args[0].str()}") from error
    return {
        name: len(metadata.topics[name].partitions) for name in names if name in metadata.topics
    }


def _topic_settings(admin: Any, names: Iterable[str]) -> dict[str, dict[str, str]]:
    resources = [ConfigResource(ResourceType.TOPIC, name) for name in names]
    if not resources:
        return {}
    answers = admin.describe_configs(resources, request_timeout=REQUEST_TIMEOUT_SECONDS)
    try:
        return {
            resource.name: {key: entry.value for key, entry in answer.result().items()}
            for resource, answer in answers.items()
        }
    except KafkaException as error:
        raise TopicsError(f"settings of topics: {error.args[0].str()}") from error


def _create(admin: Any, change: Change) -> None:
    topic = NewTopic(
        change.topic,
        num_partitions=change.partitions,
        replication_factor=change.replication,
        config=dict(change.settings),
    )
    answers = admin.create_topics(
        [topic],
        operation_timeout=REQUEST_TIMEOUT_SECONDS,
        request_timeout=REQUEST_TIMEOUT_SECONDS,
    )
    try:
        answers[change.topic].result()
    except KafkaException as error:
        # Another worker starting at the same time was quicker.
        if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
            raise


def _alter(admin: Any, change: Change) -> None:
    resource = ConfigResource(
        ResourceType.TOPIC,
        change.topic,
        incremental_configs=[
            ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET)
            for key, value in change.settings.items()
        ],
    )
    answers = admin.incremental_alter_configs([resource], request_timeout=REQUEST_TIMEOUT_SECONDS)
    answers[resource].result()
