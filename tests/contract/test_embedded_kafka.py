from __future__ import annotations

import os
import signal

import psutil
import pytest
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, ResourceType

from pipeline.embedded import kafka as kafka_module
from pipeline.embedded import process
from pipeline.embedded.process import ServiceError, ServiceMissing, port_open
from tests.support.processes import assert_gone, start_and_orphan
from tests.support.services import kafka_server

pytestmark = pytest.mark.kafka

QUIET = {"log_level": 0}


def make_topic(bootstrap: str, name: str) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap, **QUIET})
    admin.create_topics([NewTopic(name, 1, 1)])[name].result()


def produce(bootstrap: str, topic: str, *values: bytes) -> None:
    producer = Producer({"bootstrap.servers": bootstrap, "acks": "all", **QUIET})
    for value in values:
        producer.produce(topic, value, partition=0)
    assert producer.flush(20) == 0


def read(bootstrap: str, topic: str, count: int) -> list[bytes]:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "test", **QUIET})
    try:
        consumer.assign([TopicPartition(topic, 0, 0)])
        return [record.value() for record in consumer.consume(count, timeout=20)]
    finally:
        consumer.close()


def test_log_and_port_stay_over_stop_and_crash(tmp_path):
    with kafka_server(tmp_path) as server:
        bootstrap = server.bootstrap
        make_topic(bootstrap, "kept")
        produce(bootstrap, "kept", b"a")
        server.restart()
        produce(bootstrap, "kept", b"b")
        pid = server.pid
        server.kill()
        assert not psutil.pid_exists(pid)
        with pytest.raises(ServiceError, match="does not run"):
            _ = server.pid
        server.restart()
        assert server.bootstrap == bootstrap
        assert read(bootstrap, "kept", 2) == [b"a", b"b"]
        pid = server.pid
    assert not psutil.pid_exists(pid)
    assert not port_open(int(bootstrap.rpartition(":")[2]))


def test_topics_must_be_made_on_purpose(kafka):
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap, **QUIET})
    asked = admin.list_topics("never-made", timeout=10).topics["never-made"]
    assert asked.error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART
    assert "never-made" not in admin.list_topics(timeout=10).topics


def test_properties_win_over_the_defaults(tmp_path):
    with kafka_server(tmp_path, {"log.retention.hours": "7"}) as server:
        admin = AdminClient({"bootstrap.servers": server.bootstrap, **QUIET})
        resource = ConfigResource(ResourceType.BROKER, "1")
        settings = admin.describe_configs([resource])[resource].result()
    assert settings["log.retention.hours"].value == "7"
    assert settings["auto.create.topics.enable"].value == "false"
    assert settings["group.initial.rebalance.delay.ms"].value == "0"


def test_a_frozen_server_answers_again(kafka):
    make_topic(kafka.bootstrap, "frozen")
    kafka.signal(signal.SIGSTOP)
    java = psutil.Process(kafka.pid)
    try:
        process.wait_until(lambda: java.status() == psutil.STATUS_STOPPED, 5, "the frozen server")
    finally:
        kafka.signal(signal.SIGCONT)
    produce(kafka.bootstrap, "frozen", b"a")
    assert read(kafka.bootstrap, "frozen", 1) == [b"a"]


def test_it_dies_with_its_killed_parent_and_its_killed_supervisor(tmp_path):
    starter = (
        "from pipeline.embedded.kafka import KafkaServer\nserver = KafkaServer(folder).start()"
    )
    orphan = start_and_orphan(starter, tmp_path)
    assert_gone(orphan, within_seconds=20)
    with kafka_server(tmp_path) as server:
        java = psutil.Process(server.pid)
        supervisor = java.parent()
        assert supervisor is not None
        assert supervisor.ppid() == os.getpid()
        supervisor.kill()
        assert_gone(java, within_seconds=20)


def test_a_folder_in_use_is_refused(kafka, monkeypatch):
    monkeypatch.setattr(process, "LOCK_WAIT_SECONDS", 0.2)
    with pytest.raises(ServiceError, match=f"Kafka already runs in {kafka.folder}"):
        kafka_module.KafkaServer(kafka.folder).start()
    assert port_open(int(kafka.bootstrap.rpartition(":")[2]))


def test_missing_programs_are_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ServiceMissing, match=r"Java runtime, 17 or later is needed.* no java on P"):
        kafka_module.KafkaServer(tmp_path)
    monkeypatch.setattr(kafka_module, "JARS", tmp_path / "none")
    with pytest.raises(ServiceMissing, match=r"Maven is needed .* no mvn on PATH"):
        kafka_module.jars()
