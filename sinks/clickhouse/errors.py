"""Which ClickHouse errors pass by themselves, and why.

Everything not listed is a bug or a wrong schema, and waiting would only hide it.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from clickhouse_connect.driver.exceptions import DatabaseError, OperationalError


class Retryable(NamedTuple):
    """A server error after which the same insert may succeed."""

    code: int
    name: str
    reason: str


_RETRYABLE: Final = (
    Retryable(3, "UNEXPECTED_END_OF_FILE", "the request body was cut off on its way"),
    Retryable(107, "FILE_DOESNT_EXIST", "a part was merged away while it was being read"),
    Retryable(159, "TIMEOUT_EXCEEDED", "the server is slow"),
    Retryable(164, "READONLY", "the server or its user is read-only for maintenance"),
    Retryable(173, "CANNOT_ALLOCATE_MEMORY", "the machine is short of memory"),
    Retryable(198, "DNS_ERROR", "the server cannot resolve a name now"),
    Retryable(201, "QUOTA_EXCEEDED", "the quota begins anew with its next interval"),
    Retryable(202, "TOO_MANY_SIMULTANEOUS_QUERIES", "other queries will end"),
    Retryable(203, "NO_FREE_CONNECTION", "connections will be given back"),
    Retryable(209, "SOCKET_TIMEOUT", "the network is slow; the insert may have been applied"),
    Retryable(210, "NETWORK_ERROR", "the network failed; the insert may have been applied"),
    Retryable(225, "NO_ZOOKEEPER", "Keeper cannot be reached"),
    Retryable(236, "ABORTED", "the server is shutting down or cancelled the part"),
    Retryable(241, "MEMORY_LIMIT_EXCEEDED", "other queries hold the memory"),
    Retryable(242, "TABLE_IS_READ_ONLY", "the replica lost Keeper and will get it back"),
    Retryable(243, "NOT_ENOUGH_SPACE", "the disk is full until merges, TTL or an operator free it"),
    Retryable(252, "TOO_MANY_PARTS", "merges have to catch up"),
    Retryable(254, "NO_ACTIVE_REPLICAS", "replicas are restarting"),
    Retryable(279, "ALL_CONNECTION_TRIES_FAILED", "shards or replicas are restarting"),
    Retryable(285, "TOO_FEW_LIVE_REPLICAS", "the quorum's replicas are restarting"),
    Retryable(286, "UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE", "the quorum is still being written"),
    Retryable(319, "UNKNOWN_STATUS_OF_INSERT", "applied or not: the tables make it the same"),
    Retryable(394, "QUERY_WAS_CANCELLED", "somebody killed the query"),
    Retryable(425, "SYSTEM_ERROR", "the operating system refused something"),
    Retryable(439, "CANNOT_SCHEDULE_TASK", "the thread pool is full"),
    Retryable(473, "DEADLOCK_AVOIDED", "a schema change holds the table"),
    Retryable(745, "SERVER_OVERLOADED", "the server sheds load"),
    Retryable(999, "KEEPER_EXCEPTION", "Keeper is electing or cannot be reached"),
)
RETRYABLE: Final = {error.code: error for error in _RETRYABLE}
"""Retryable errors by code."""

# What the client raises without a code when the server did not answer, or something between did.
# Its other classes speak of our own data, before anything was sent.
_TRANSPORT: Final = (DatabaseError, OperationalError)


def is_retryable(error: DatabaseError) -> bool:
    """Tell whether the same insert may succeed later."""
    if error.code is None:
        return type(error) in _TRANSPORT
    return error.code in RETRYABLE
