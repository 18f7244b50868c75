"""What can be asked of the brokers: topics, replicas, clocks, exhibits in force, groups."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from aiokafka.errors import KafkaError
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka import KafkaError as KafkaErrorCode
from confluent_kafka.admin import AdminClient
from tenacity import retry, retry_if_exception, stop_after_delay, wait_fixed

from pipeline.doctor.findings import Finding, bad, clock_finding, good, warning
from pipeline.exhibits_admin import in_force
from pipeline.microbatch import Broker
from pipeline.microbatch.restore import partition_count, read_log
from pipeline.runtime import client_security, planned_topics
from pipeline.settings import ROLES, Settings
from pipeline.stages.configuration import Configuration
from pipeline.topics_admin import TopicsError
from schemas.exhibit import Exhibit
from schemas.topics import CLOCKS, PROBES, TOPICS, raw_topic
from schemas.values import ExhibitClock, decode_clock

_ANSWER_SECONDS: Final = 10.0
_OLD_VALUES_SECONDS: Final = 30.0
_UNFINISHED: Final = 1_000
"""Records that wait in a healthy installation: some batches, and the ends of transactions."""

_ELECTING: Final = frozenset((
    KafkaErrorCode.NOT_COORDINATOR,
    KafkaErrorCode.COORDINATOR_NOT_AVAILABLE,
    KafkaErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
))  # fmt: skip
"""A new cluster, or one that lost a broker, says this until it knows who keeps a group."""

_NEW_TOPICS: Final = "`cxstream topics apply` makes them"


def brokers(settings: Settings, bootstrap: str) -> Iterator[Finding]:
    """Whether brokers answer, with which replicas, and whether topics are those of this version."""
    admin = AdminClient(_client(settings, bootstrap))
    try:
        cluster = admin.list_topics(timeout=_ANSWER_SECONDS)
    except KafkaException as error:
        todo = "start the brokers, or repair CXSTREAM_BOOTSTRAP and the security settings"
        yield bad("brokers", f"{bootstrap}: {error.args[0].str()}", todo)
        return
    count = len(cluster.brokers)
    if settings.replication > count:
        todo = "start more brokers, or lower CXSTREAM_REPLICATION"
        told = f"{count} for a replication of {settings.replication}"
        yield bad("brokers", told, todo)
    elif settings.replication == 1:
        todo = "for more than a trial: three brokers, CXSTREAM_REPLICATION=3, min.insync.replicas=2"
        yield warning("brokers", f"{count}, replication 1: a lost broker is lost data", todo)
    else:
        yield good("brokers", f"{count}, replication {settings.replication}")
    yield _topics(settings, bootstrap)
    names = {*TOPICS, *(raw_topic(name) for name in settings.platforms)}
    yield _replicas({n: t for n, t in cluster.topics.items() if n in names})


def _topics(settings: Settings, bootstrap: str) -> Finding:
    try:
        changes = planned_topics(settings, bootstrap)
    except TopicsError as error:
        return bad("topics", str(error), "see operations.md, Topics")
    if not changes:
        return good("topics", "as the registry says")
    missing = [change.topic for change in changes if change.action == "create"]
    if missing:
        return bad("topics", f"missing: {', '.join(missing)}", _NEW_TOPICS)
    told = "; ".join(map(str, changes))
    return warning("topics", told, "`cxstream topics apply` sets these settings")


def _replicas(topics: Mapping[str, Any]) -> Finding:
    partitions = [p for topic in topics.values() for p in topic.partitions.values()]
    behind = sum(len(p.isrs) < len(p.replicas) for p in partitions)
    leaderless = sum(p.leader < 0 for p in partitions)
    told = f"{behind} of {len(partitions)} partitions lack a replica in sync, {leaderless} a leader"
    if leaderless:
        return bad("replicas", told, "start the broker that holds them")
    if behind:
        return warning("replicas", told, "look at the brokers: one is away or behind")
    return good("replicas", f"{len(partitions)} partitions, all in sync")


class ProbeError(RuntimeError):
    """The brokers' clock could not be asked for."""


def ask_clock(settings: Settings, bootstrap: str) -> tuple[float, float]:
    """The broker's clock less ours, and how wrong that may be, in ms: by one record of a topic.

    Raises:
        ProbeError: the record was not taken.
    """
    delivered: list[tuple[Any, Any]] = []
    producer = Producer({**_client(settings, bootstrap), "message.timeout.ms": 10_000})
    try:
        # So that asking is not part of the time.
        producer.list_topics(PROBES, timeout=_ANSWER_SECONDS)
    except KafkaException as error:
        raise ProbeError(error.args[0].str()) from error
    sent_ms = time.time_ns() / 1e6
    producer.produce(
        PROBES, b"", key=b"doctor", on_delivery=lambda error, record: delivered.append(
            (error, record)
        )
    )  # fmt: skip
    producer.flush(_ANSWER_SECONDS)
    took_ms = time.time_ns() / 1e6 - sent_ms
    refused, record = delivered[0] if delivered else ("no answer", None)
    if refused is not None or record is None:
        raise ProbeError(str(refused))
    return record.timestamp()[1] - (sent_ms + took_ms / 2), took_ms / 2


def broker_clock(settings: Settings, bootstrap: str) -> Finding:
    """The broker's clock against ours, and whether we may write."""
    try:
        ahead_ms, doubt_ms = ask_clock(settings, bootstrap)
    except ProbeError as error:
        todo = f"is the topic {PROBES} there, and may this user write it?"
        return bad("broker's clock", f"a record was not taken: {error}", todo)
    return clock_finding("broker's clock", ahead_ms, doubt_ms, "the broker's clock")


async def values(broker: Broker, settings: Settings, exhibits: list[Exhibit]) -> list[Finding]:
    """How old published values are, and whether exhibits in force are those of the files."""
    try:
        clocks = await _clocks(broker)
        standing = await in_force(broker)
    except KafkaError as error:
        return [bad("values", repr(error), "see the findings on brokers and topics")]
    return [_age(clocks, settings), *_exhibits(exhibits, standing, clocks)]


async def _clocks(broker: Broker) -> list[ExhibitClock]:
    """The newest clock of each partition that shows exhibits."""
    found: dict[int, ExhibitClock] = {}
    for number in range(await partition_count(broker, CLOCKS)):
        async for records in read_log(broker, CLOCKS, number):
            for record in records:
                if record.value is not None:
                    found[number] = decode_clock(record.value)
    return list(found.values())


def _age(clocks: list[ExhibitClock], settings: Settings) -> Finding:
    check = "age of values"
    if not clocks:
        todo = "start workers with the roles lifecycle, journeys, performers and exhibits"
        return warning(check, "no value was ever published", todo)
    oldest = min(datetime.fromisoformat(clock.as_of) for clock in clocks)
    if settings.ticks == "external":
        return good(check, f"as of {oldest.isoformat()}; ticks are not of the wall clock")
    seconds = time.time() - oldest.timestamp()
    told = f"{seconds:.1f} s"
    if seconds > _OLD_VALUES_SECONDS:
        return bad(check, told, "a stage does not run or is behind: see the groups below")
    if seconds < 0:
        return warning(check, told, "a worker's clock is ahead of this machine's: NTP")
    return good(check, told)


def _exhibits(
    files: list[Exhibit], standing: Mapping[str, Configuration], clocks: list[ExhibitClock]
) -> Iterator[Finding]:
    newest: dict[str, int] = {}
    for configuration in standing.values():
        for name, version in configuration.newest.items():
            newest[name] = max(version, newest.get(name, 0))
    shown = {name for clock in clocks for name in clock.exhibits}
    told = ", ".join(f"{name} version {version}" for name, version in sorted(newest.items()))
    waiting = sorted(newest.keys() - shown)
    if waiting:
        todo = "a source still counts for it: wait, then see the groups below"
        yield warning("exhibits in force", f"{told}; not shown: {', '.join(waiting)}", todo)
    else:
        yield good("exhibits in force", told or "none yet")
    for exhibit in files:
        known = newest.get(exhibit.exhibit)
        if known is not None and known < exhibit.version:
            told = f"{exhibit.exhibit} version {exhibit.version} in the file, {known} in force"
            yield warning("exhibit files", told, "`cxstream exhibit apply FILE` brings it in")


def groups(
    settings: Settings, bootstrap: str, read: Mapping[str, tuple[str, ...]]
) -> list[Finding]:
    """Members and lag of the consumer group of each role; ``read`` has the topics of roles."""
    try:
        return _groups(settings, bootstrap, read)
    except KafkaException as error:
        return [bad("groups", str(error.args[0]), "may this user describe groups?")]


def _elects(error: BaseException) -> bool:
    return isinstance(error, KafkaException) and error.args[0].code() in _ELECTING


@retry(
    retry=retry_if_exception(_elects),
    stop=stop_after_delay(_ANSWER_SECONDS),
    wait=wait_fixed(0.3),
    reraise=True,
)
def _groups(
    settings: Settings, bootstrap: str, read: Mapping[str, tuple[str, ...]]
) -> list[Finding]:
    admin = AdminClient(_client(settings, bootstrap))
    names = {role: f"{settings.group_prefix}-{role}" for role in ROLES}
    told = admin.describe_consumer_groups(list(names.values()), request_timeout=_ANSWER_SECONDS)
    return [
        _group(role, _members(told[name]), _lag(settings, bootstrap, name, read[role]))
        for role, name in names.items()
    ]


def _members(described: Any) -> int:
    """Members of a group; none where it was never made."""
    try:
        return len(described.result(_ANSWER_SECONDS).members)
    except KafkaException as error:
        if error.args[0].code() == KafkaErrorCode.GROUP_ID_NOT_FOUND:
            return 0
        raise


def _lag(settings: Settings, bootstrap: str, group: str, topics: tuple[str, ...]) -> int:
    consumer = Consumer({**_client(settings, bootstrap), "group.id": group})
    try:
        counted = consumer.list_topics(timeout=_ANSWER_SECONDS).topics
        partitions = [
            TopicPartition(topic, number)
            for topic in topics
            if topic in counted
            for number in counted[topic].partitions
        ]
        lag = 0
        for found in consumer.committed(partitions, timeout=_ANSWER_SECONDS):
            low, high = consumer.get_watermark_offsets(found, timeout=_ANSWER_SECONDS)
            lag += high - (found.offset if found.offset >= 0 else low)
        return lag
    finally:
        consumer.close()


def _group(role: str, members: int, lag: int) -> Finding:
    check = f"group {role}"
    told = f"{members} workers, {lag:,} records to do"
    if not members:
        todo = f"start a worker with the role {role}"
        return bad(check, told, todo) if lag else warning(check, told, todo)
    if lag > _UNFINISHED:
        return warning(check, told, "ask again: if it does not fall, see CxStageBehind (runbook)")
    return good(check, told)


def _client(settings: Settings, bootstrap: str) -> dict[str, Any]:
    # What goes wrong is raised, so librdkafka need not print it too.
    return {"bootstrap.servers": bootstrap, "log_level": 0, **client_security(settings)}
