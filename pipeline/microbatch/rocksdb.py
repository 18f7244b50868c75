"""State on disk, in RocksDB: a restart reads the end of the changelog only.

Changes are written after the broker has acknowledged them, together with their position in the
changelog. So the disk may be behind the changelog, by what was acknowledged and not yet written
when the process died, and is never ahead of it: the rest is read from the position on. What is
found is trusted if all of this holds, else it is thrown away and the whole changelog is read:

- it was filled from this very topic, which Kafka gives an id of its own when it is made;
- the changelog still has the position;
- it is younger than half of the time for which the topic keeps tombstones: of a key that was
  deleted behind the position nothing is left after that time, and it would live on here for ever;
- RocksDB reads it without an error.
"""

from __future__ import annotations

import asyncio
import fcntl
import shutil
import time
from collections.abc import Callable, ItemsView, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import structlog
from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType
from rocksdict import (
    BlockBasedOptions,
    Cache,
    DBCompressionType,
    Options,
    Rdict,
    WriteBatch,
    WriteBufferManager,
)

from pipeline.microbatch.store import Changes, Store, StoreError, Stores

log = structlog.get_logger(__name__)

_STATE: Final = b"s"
"""Begins the keys of the state, so that no key of it can be the one of the position."""
_POSITION: Final = b"p"
_BROKEN: Final = "broken"
"""Name of the file that says that a store could not be read."""
_CACHE_BYTES: Final = 64 << 20
_WRITE_BYTES: Final = 64 << 20
_WRITE_BYTES_EACH: Final = 16 << 20
_OPEN_FILES_EACH: Final = 64
_FORGOTTEN_SECONDS: Final = 86_400
_ASK_SECONDS: Final = 20.0
_NO_ID: Final = "AAAAAAAAAAAAAAAAAAAAAA"
"""The id of a topic of a Kafka that gives none."""


class _Upto(msgspec.Struct, frozen=True, array_like=True):
    """What a store holds: a changelog by its id, before ``position``, as it was at a moment."""

    topic_id: str
    position: int
    as_of_seconds: float


_encode_upto = msgspec.msgpack.Encoder().encode
_decode_upto = msgspec.msgpack.Decoder(_Upto).decode


class Changelog(NamedTuple):
    """What a topic says of itself: its id, and how long it keeps tombstones."""

    topic_id: str
    tombstone_seconds: float


class FolderInUseError(ValueError):
    """Another process keeps its state in the folder."""


class RocksStores(Stores):
    """Stores in a folder, which no other process may use at the same time.

    All share one cache and one budget for what is written and not yet sorted, so that the memory of
    a process does not grow with its partitions.

    Args:
        folder: Made if it is not there.
        client: Address and security of the Kafka, as librdkafka names them.

    Raises:
        FolderInUseError: another process has it.
        OSError: it cannot be made.
    """

    def __init__(self, folder: Path, client: Mapping[str, Any]) -> None:
        self._folder = folder
        self._client = dict(client)
        self._admin: AdminClient | None = None
        self._cache = Cache(_CACHE_BYTES)
        self._writes = WriteBufferManager.new_write_buffer_manager_with_cache(
            _WRITE_BYTES, allow_stall=False, cache=self._cache
        )
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = (folder / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._lock.close()
            raise FolderInUseError(
                f"another worker keeps its state in {folder}: give each a folder of its own"
            ) from error
        _forget_old(folder)

    async def open(self, name: str, changelog: str, partition: int) -> Store:
        """The store ``name``, with what it holds if that can be trusted."""
        about = await self._ask(changelog)
        path = self._folder / name / str(partition)
        path.parent.mkdir(parents=True, exist_ok=True)
        store = RocksStore(path, about.topic_id, self._options())
        reason = store.distrust(about, time.time())
        if reason:
            log.info("state_emptied", store=name, partition=partition, reason=reason)
            store.clear()
        return store

    def close(self) -> None:
        """Let another process have the folder."""
        self._lock.close()

    async def _ask(self, changelog: str) -> Changelog:
        if self._admin is None:
            self._admin = AdminClient(self._client)
        resource = ConfigResource(ResourceType.TOPIC, changelog)
        topics = self._admin.describe_topics(
            TopicCollection([changelog]), request_timeout=_ASK_SECONDS
        )
        configs = self._admin.describe_configs([resource], request_timeout=_ASK_SECONDS)
        try:
            topic = await asyncio.wrap_future(topics[changelog])
            config = await asyncio.wrap_future(configs[resource])
        except KafkaException as error:
            raise ConnectionError(
                f"the changelog {changelog} does not say what it is: {error}"
            ) from error
        return Changelog(str(topic.topic_id), float(config["delete.retention.ms"].value) / 1000)

    def _options(self) -> Options:
        blocks = BlockBasedOptions()
        blocks.set_block_cache(self._cache)
        blocks.set_bloom_filter(10, block_based=False)
        blocks.set_cache_index_and_filter_blocks(True)
        options = Options(raw_mode=True)
        options.create_if_missing(True)  # noqa: FBT003 - positional in rocksdict
        options.set_block_based_table_factory(blocks)
        options.set_compression_type(DBCompressionType.lz4())
        options.set_write_buffer_manager(self._writes)
        options.set_write_buffer_size(_WRITE_BYTES_EACH)
        options.set_max_open_files(_OPEN_FILES_EACH)
        options.set_keep_log_file_num(2)
        options.set_max_log_file_size(1 << 20)
        options.set_stats_dump_period_sec(0)
        return options


class RocksStore(Store):
    """State of one partition in a folder of its own.

    A process that dies loses nothing of it. A machine that dies may lose its last writes, each
    whole and the youngest first, so that what is left was true at its position.
    """

    def __init__(self, path: Path, topic_id: str, options: Options) -> None:
        self._path = path
        self._topic_id = topic_id
        self._options = options
        self._rocks: Rdict | None = None
        self._found: _Upto | None = None
        self._as_of_seconds = 0.0
        self._unreadable = ""
        try:
            self._open()
        except StoreError as error:
            self._unreadable = str(error)

    def _open(self) -> None:
        self._found, self.position, self._as_of_seconds = None, 0, 0.0
        try:
            self._rocks = Rdict(str(self._path), self._options)
            stored = self._rocks.get(_POSITION)
        except Exception as error:
            raise self._failed("opened", error) from error
        self.view = _View(self._rocks, self._failed)
        if stored is not None:
            self._found = _decode_upto(stored)
            self.position = self._found.position
            self._as_of_seconds = self._found.as_of_seconds

    def distrust(self, changelog: Changelog, now_seconds: float) -> str:
        """Why what was found must not be gone on from; empty if it may."""
        found = self._found
        if self._unreadable:
            return self._unreadable
        if (self._path / _BROKEN).exists():
            return "it could not be read before"
        if found is None:
            return "it does not say its position" if next(iter(self.view), None) else ""
        if changelog.topic_id in (_NO_ID, "") or found.topic_id != changelog.topic_id:
            return "it was filled from another topic"
        age_seconds = now_seconds - found.as_of_seconds
        if not 0 <= age_seconds <= changelog.tombstone_seconds / 2:
            return f"it is {age_seconds:.0f} s old"
        return ""

    def apply(
        self, changes: Changes, position: int | None, as_of_seconds: float | None = None
    ) -> None:
        """Write changes and their position at once."""
        batch = WriteBatch(raw_mode=True)
        for key, value in changes.items():
            if value is None:
                batch.delete(_STATE + key)
            else:
                batch.put(_STATE + key, value)
        if position is not None:
            if as_of_seconds is None:
                as_of_seconds = self._as_of_seconds
            batch.put(_POSITION, _encode_upto(_Upto(self._topic_id, position, as_of_seconds)))
        if self._rocks is None:
            raise StoreError(f"{self._path} is closed")
        try:
            self._rocks.write(batch)
        except Exception as error:
            raise self._failed("written", error) from error
        if position is not None and as_of_seconds is not None:
            self.position, self._as_of_seconds = position, as_of_seconds

    def clear(self) -> None:
        """Delete the files and begin anew."""
        self.close()
        if self._path.exists():
            shutil.rmtree(self._path)
        self._unreadable = ""
        self._open()

    def close(self) -> None:
        """Close the files. A view of it gives errors from here on."""
        rocks, self._rocks = self._rocks, None
        if rocks is not None:
            rocks.close()

    def _failed(self, what: str, error: Exception) -> StoreError:
        """What to raise. Files that are broken are not opened again, even by a later process."""
        if "Corruption" in str(error) and self._path.exists():
            (self._path / _BROKEN).touch()
        return StoreError(f"{self._path} cannot be {what}: {error}")


class _View(Mapping[bytes, bytes]):
    """The state in a database, as a mapping. Its length is counted by a scan."""

    def __init__(self, rocks: Rdict, failed: Callable[[str, Exception], StoreError]) -> None:
        self._rocks = rocks
        self._failed = failed

    def get(self, key: bytes, default: Any = None) -> Any:
        """Value of ``key``. Raises ``StoreError``."""
        try:
            value = self._rocks.get(_STATE + key)
        except Exception as error:
            raise self._failed("read", error) from error
        return default if value is None else value

    def __getitem__(self, key: bytes) -> bytes:
        value: bytes | None = self.get(key)
        if value is None:
            raise KeyError(key)
        return value

    def __iter__(self) -> Iterator[bytes]:
        return (key for key, _ in self.scan())

    def __len__(self) -> int:
        return sum(1 for _ in self.scan())

    def items(self) -> ItemsView[bytes, bytes]:
        """Pairs in the order of keys, as they are when the iteration begins."""
        return _Items(self)

    def scan(self) -> Iterator[tuple[bytes, bytes]]:
        """Pairs of the state. Raises ``StoreError``, also where the files end too early."""
        try:
            found = self._rocks.iter()
            found.seek(_STATE)
            while found.valid():
                yield found.key()[1:], found.value()
                found.next()
            found.status()
        except Exception as error:
            raise self._failed("read", error) from error


class _Items(ItemsView[bytes, bytes]):
    _mapping: _View

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        return self._mapping.scan()


def _forget_old(folder: Path) -> None:
    """Delete stores that nobody has written to for so long that nobody would trust them."""
    for path in folder.glob("*/*/CURRENT"):
        written = max(file.stat().st_mtime for file in path.parent.iterdir())
        if time.time() - written > _FORGOTTEN_SECONDS:
            shutil.rmtree(path.parent)
