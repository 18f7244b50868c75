from __future__ import annotations

import pytest

from pipeline import topics_admin
from pipeline.topics_admin import TopicsError
from schemas.topics import KPIS, TOPICS, Topic, raw_topic_row

pytestmark = pytest.mark.kafka


def named(prefix: str) -> list[Topic]:
    """All rows of the registry and one raw topic, under names of one test's own."""
    rows = [*TOPICS.values(), raw_topic_row("rasa")]
    return [row._replace(name=f"{prefix}.{row.name}") for row in rows]


def test_plan_and_apply_until_nothing_is_left(kafka):
    topics = named("fresh")
    changes = topics_admin.plan(kafka.bootstrap, 3, 1, topics)
    assert [change.topic for change in changes] == [topic.name for topic in topics]
    assert {change.action for change in changes} == {"create"}
    (kpis,) = (change for change in changes if change.topic == f"fresh.{KPIS}")
    assert str(kpis) == (
        f"create fresh.{KPIS}: 3 partitions, replication 1, "
        "cleanup.policy=compact, max.message.bytes=1064960"
    )
    topics_admin.apply(kafka.bootstrap, changes)
    assert topics_admin.plan(kafka.bootstrap, 3, 1, topics) == []
    # A worker that planned at the same time does no harm.
    topics_admin.apply(kafka.bootstrap, changes)
    assert topics_admin.plan(kafka.bootstrap, 3, 1, topics) == []


def test_a_changed_setting_is_altered_and_the_rest_left_alone(kafka):
    (row,) = (topic for topic in named("altered") if topic.name == "altered.cx.partials")
    topics_admin.apply(kafka.bootstrap, topics_admin.plan(kafka.bootstrap, 1, 1, [row]))
    shorter = row._replace(retention_ms=3_600_000)
    (change,) = topics_admin.plan(kafka.bootstrap, 1, 1, [shorter])
    assert str(change) == "alter altered.cx.partials: retention.ms 8640000000 -> 3600000"
    topics_admin.apply(kafka.bootstrap, [change])
    assert topics_admin.plan(kafka.bootstrap, 1, 1, [shorter]) == []
    compacted = shorter._replace(cleanup="compact")
    (change,) = topics_admin.plan(kafka.bootstrap, 1, 1, [compacted])
    assert change.settings == {"cleanup.policy": "compact"}


def test_whose_time_records_bear_is_changed_where_a_topic_is_there_already(kafka):
    (row,) = (topic for topic in named("older") if topic.name == "older.cx.interactions")
    older = row._replace(appended=False)
    topics_admin.apply(kafka.bootstrap, topics_admin.plan(kafka.bootstrap, 1, 1, [older]))
    (change,) = topics_admin.plan(kafka.bootstrap, 1, 1, [row])
    assert str(change) == (
        "alter older.cx.interactions: message.timestamp.type CreateTime -> LogAppendTime"
    )
    topics_admin.apply(kafka.bootstrap, [change])
    assert topics_admin.plan(kafka.bootstrap, 1, 1, [row]) == []


def test_another_number_of_partitions_is_refused(kafka):
    topics = named("counted")[:2]
    topics_admin.apply(kafka.bootstrap, topics_admin.plan(kafka.bootstrap, 2, 1, topics))
    with pytest.raises(
        TopicsError,
        match=r"must have 4 partitions, but counted\.cx\.facts has 2, counted\.cx\.interactions",
    ):
        topics_admin.plan(kafka.bootstrap, 4, 1, topics)


def test_what_the_cluster_refuses_is_told(kafka):
    (row,) = (topic for topic in named("refused") if topic.name == "refused.cx.facts")
    changes = topics_admin.plan(kafka.bootstrap, 1, 2, [row])
    with pytest.raises(TopicsError, match=r"create refused\.cx\.facts: .* replication factor of 2"):
        topics_admin.apply(kafka.bootstrap, changes)


def test_settings_of_each_cleanup():
    assert topics_admin.settings(TOPICS["cx.interactions"]) == {
        "cleanup.policy": "delete",
        "max.message.bytes": "1064960",
        "message.timestamp.type": "LogAppendTime",
        "retention.ms": "604800000",
    }
    assert topics_admin.settings(TOPICS["cx.partials"])["cleanup.policy"] == "compact,delete"
    assert topics_admin.settings(TOPICS["cx.lifecycle.changelog"]) == {
        "cleanup.policy": "compact",
        # Sixteen times as much as elsewhere, and 16 KiB beside it: 16 * 1,048,576 + 16,384.
        "max.message.bytes": "16793600",
    }
