"""Changes of state as they are written to a changelog and read from it again."""

from __future__ import annotations

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from pipeline.embedded.kafka import KafkaServer
from pipeline.microbatch import Broker
from pipeline.microbatch.producer import BatchProducer
from pipeline.microbatch.restore import NotInLogError, partition_count, read_log

pytestmark = pytest.mark.kafka

WHY = (("why", b"past the horizon"),)
NOW_MS = 1_780_272_000_000


async def test_changes_come_back_as_they_were_sent(kafka: KafkaServer) -> None:
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    keep = {"cleanup.policy": "compact", "max.message.bytes": "4000000"}
    admin.create_topics([NewTopic("state", 2, 1, config=keep)])["state"].result()
    broker = Broker(kafka.bootstrap)
    producer = BatchProducer(broker, "state.0")
    await producer.start()
    try:
        await producer.begin()
        changes = {b"a": b"1", b"b": None, b"c": None, b"d": b"x" * 400_000, b"e": b"y" * 3_000_000}
        # The key "a" was deleted with a reason, and set again by the same batch.
        end = await producer.send_changes("state", 1, changes, NOW_MS, {b"a": WHY, b"b": WHY})
        # Five records, in more than one request: the last one alone is larger than a request is.
        assert end == 5
        assert await producer.send_changes("state", 1, {}, NOW_MS, {}) is None
        await producer.commit("", {})
        # The next transaction begins once the markers of the last one are written.
        await producer.begin()
        await producer.send_changes("state", 0, {b"z": b"1"}, NOW_MS, {})
        await producer.commit("", {})
        assert await partition_count(broker, "state") == 2
        found = [record async for part in read_log(broker, "state", 1) for record in part]
        assert [(r.key, r.value, tuple(r.headers), r.timestamp) for r in found] == [
            (b"a", b"1", (), NOW_MS),
            (b"b", None, WHY, NOW_MS),
            (b"c", None, (), NOW_MS),
            (b"d", b"x" * 400_000, (), NOW_MS),
            (b"e", b"y" * 3_000_000, (), NOW_MS),
        ]
        first = [
            record.key async for part in read_log(broker, "state", 1, until=2) for record in part
        ]
        assert first == [b"a", b"b"]
        # The marker of the transaction lies behind the last record.
        for begin, keys in ((3, [b"d", b"e"]), (5, []), (6, [])):
            tail = [r.key async for part in read_log(broker, "state", 1, begin=begin) for r in part]
            assert tail == keys
        with pytest.raises(NotInLogError, match=r"state\[1\] goes from 0 to 6, not by 7"):
            _ = [part async for part in read_log(broker, "state", 1, begin=7)]
    finally:
        await producer.close()
        admin.delete_topics(["state"])["state"].result()
