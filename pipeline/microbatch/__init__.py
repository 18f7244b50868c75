"""Micro-batches on Faust: whole fetched batches in, exactly-once state out.

A :class:`~pipeline.microbatch.app.BatchApp` is a Faust app whose transport hands an agent the whole
fetched batch of one partition. A :class:`~pipeline.microbatch.stage.Stage` owns the state of those
partitions and the checkpoint that ends each batch. See ``README.md`` in this folder.
"""

from pipeline.microbatch.app import BatchApp
from pipeline.microbatch.batch import Batch, LogRecord, Record
from pipeline.microbatch.broker import Broker
from pipeline.microbatch.checkpoint import Checkpoint
from pipeline.microbatch.observer import Observer, Observers
from pipeline.microbatch.partitioner import partition_for
from pipeline.microbatch.stage import Stage
from pipeline.microbatch.store import MemoryStores, Stores
from pipeline.microbatch.turns import in_turns

__all__ = [
    "Batch",
    "BatchApp",
    "Broker",
    "Checkpoint",
    "LogRecord",
    "MemoryStores",
    "Observer",
    "Observers",
    "Record",
    "Stage",
    "Stores",
    "in_turns",
    "partition_for",
]
