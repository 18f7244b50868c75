"""A Kafka broker in this process: the mock cluster that ships inside librdkafka.

It speaks the Kafka protocol on a loopback port, so aiokafka and Faust use it like any broker:
consumer groups, committed offsets, idempotent producers. Its limits decide what it is good for:

- Memory only. A topic ends with the process; offsets begin at 0 again at the next start.
- A partition keeps :data:`PARTITION_BYTES` or :data:`PARTITION_RECORDS`, then drops its oldest
  records, read or not. Who writes faster than the readers commit loses data: pace by commits.
- No CreateTopics, no compaction, no retention. A topic appears on first use, with
  :data:`DEFAULT_PARTITIONS` partitions; :meth:`EmbeddedBroker.create_topic` chooses another number.
- A group whose members changed waits until its session timeout, less one second, is over before it
  hands out partitions again; only a new group starts at once.
- Transactions are accepted but fence nobody, and readers see aborted records: do not use them.

confluent-kafka exposes the mock cluster only through a test setting, always with the defaults and
with a group rebalance delay of 3 s. The C interface of the same library (``rdkafka_mock.h``), bound
here, has both as parameters. It is not a stable interface: the version is pinned, and a contract
test starts this.
"""

from __future__ import annotations

import ctypes
import functools
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import confluent_kafka

from pipeline.embedded.process import ServiceError, ServiceMissing

DEFAULT_PARTITIONS: Final = 4
PARTITION_BYTES: Final = 5 * 1024 * 1024
PARTITION_RECORDS: Final = 100_000

_RD_KAFKA_PRODUCER: Final = 0
_ERROR_TEXT_BYTES: Final = 512


class EmbeddedBroker:
    """One broker on a free loopback port: ``with EmbeddedBroker() as broker: broker.bootstrap``.

    Args:
        group_rebalance_delay_ms: how long a new consumer group waits for more members.
    """

    def __init__(self, *, group_rebalance_delay_ms: int = 0) -> None:
        self._group_rebalance_delay_ms = group_rebalance_delay_ms
        self._client: int | None = None
        self._cluster: int | None = None

    def start(self) -> Self:
        """Start the broker; it answers when this returns.

        Raises:
            ServiceMissing: the confluent-kafka wheel has no librdkafka that can do this.
            ServiceError: it could not open a port, or this broker already runs.
        """
        if self._cluster is not None:
            raise ServiceError("the embedded broker already runs")
        library = _librdkafka()
        error = ctypes.create_string_buffer(_ERROR_TEXT_BYTES)
        client = library.rd_kafka_new(
            _RD_KAFKA_PRODUCER, _quiet_configuration(library), error, _ERROR_TEXT_BYTES
        )
        if not client:
            raise ServiceError(f"librdkafka: {error.value.decode(errors='replace')}")
        cluster = library.rd_kafka_mock_cluster_new(client, 1)
        if not cluster:
            library.rd_kafka_destroy(client)
            raise ServiceError("librdkafka could not open a port for its mock cluster")
        library.rd_kafka_mock_group_initial_rebalance_delay_ms(
            cluster, self._group_rebalance_delay_ms
        )
        self._client, self._cluster = client, cluster
        return self

    @property
    def bootstrap(self) -> str:
        """Address for ``bootstrap.servers``, as ``host:port``.

        Raises:
            ServiceError: the broker is not running.
        """
        address: bytes = _librdkafka().rd_kafka_mock_cluster_bootstraps(self._running())
        return address.decode()

    def create_topic(self, name: str, partitions: int) -> None:
        """Create a topic with its number of partitions before anything uses it.

        Raises:
            ServiceError: the topic exists, the number is not positive, or the broker is down.
        """
        if partitions < 1:
            raise ServiceError(f"topic {name} needs at least one partition, not {partitions}")
        code = _librdkafka().rd_kafka_mock_topic_create(
            self._running(), name.encode(), partitions, 1
        )
        if code:
            raise ServiceError(f"topic {name}: {confluent_kafka.KafkaError(code).str()}")

    def stop(self) -> None:
        """Stop the broker and drop all it holds; nothing happens when it is not running."""
        library = _librdkafka()
        if self._cluster is not None:
            library.rd_kafka_mock_cluster_destroy(self._cluster)
            library.rd_kafka_destroy(self._client)
            self._client = self._cluster = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _running(self) -> int:
        if self._cluster is None:
            raise ServiceError("the embedded broker does not run")
        return self._cluster


def _quiet_configuration(library: ctypes.CDLL) -> int:
    """Return a configuration whose only difference is that warnings are not printed."""
    configuration: int = library.rd_kafka_conf_new()
    library.rd_kafka_conf_set(configuration, b"log_level", b"3", None, 0)
    return configuration


@functools.cache
def _librdkafka() -> ctypes.CDLL:
    """Bind the functions used here in the library that confluent-kafka brought along."""
    package = Path(confluent_kafka.__file__).parent
    folders = (package.parent / "confluent_kafka.libs", package / ".dylibs")
    found = [file for folder in folders for file in sorted(folder.glob("librdkafka*"))]
    if not found:
        raise ServiceMissing("the installed confluent-kafka carries no librdkafka of its own")
    library = ctypes.CDLL(str(found[0]))
    pointer, text, number = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
    signatures = {
        "rd_kafka_conf_new": (pointer, []),
        "rd_kafka_conf_set": (number, [pointer, text, text, text, ctypes.c_size_t]),
        "rd_kafka_new": (pointer, [number, pointer, text, ctypes.c_size_t]),
        "rd_kafka_destroy": (None, [pointer]),
        "rd_kafka_mock_cluster_new": (pointer, [pointer, number]),
        "rd_kafka_mock_cluster_bootstraps": (text, [pointer]),
        "rd_kafka_mock_cluster_destroy": (None, [pointer]),
        "rd_kafka_mock_topic_create": (number, [pointer, text, number, number]),
        "rd_kafka_mock_group_initial_rebalance_delay_ms": (None, [pointer, ctypes.c_int32]),
    }
    for name, (result, arguments) in signatures.items():
        try:
            function = getattr(library, name)
        except AttributeError:
            raise ServiceMissing(f"librdkafka of confluent-kafka lacks {name}") from None
        function.restype, function.argtypes = result, arguments
    return library
