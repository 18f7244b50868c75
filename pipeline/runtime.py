"""Turning settings into running parts: broker, exhibits, keys, ClickHouse, metrics."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from functools import partial
from importlib import import_module
from importlib.metadata import version
from typing import Any

from pipeline import metrics, topics_admin
from pipeline.app import Wiring, sources
from pipeline.health import Health
from pipeline.http_server import serve
from pipeline.identity import CustomerKeys, parse_key, read_key
from pipeline.microbatch import Broker, MemoryStores, Observer, Stores
from pipeline.settings import Settings
from pipeline.stages.limits import RefusalLimit
from schemas.exhibit import Exhibit
from schemas.topics import TOPICS, raw_topic_row


def broker_of(settings: Settings, bootstrap: str) -> Broker:
    """How to reach the Kafka that the settings name."""
    security: dict[str, Any] = {"security_protocol": settings.security_protocol}
    if settings.sasl_mechanism is not None:
        password = settings.sasl_password
        security["sasl_mechanism"] = settings.sasl_mechanism
        security["sasl_plain_username"] = settings.sasl_username
        security["sasl_plain_password"] = password.get_secret_value() if password else None
    if settings.security_protocol in ("SSL", "SASL_SSL"):
        ca = str(settings.ssl_ca_file) if settings.ssl_ca_file else None
        security["ssl_context"] = ssl.create_default_context(cafile=ca)
    return Broker(
        bootstrap, session_timeout_ms=settings.session_timeout_ms, security=security,
        skips_gone=settings.gone_records == "skip",
    )  # fmt: skip


def wiring_of(settings: Settings, broker: Broker, exhibits: Sequence[Exhibit]) -> Wiring:
    """A worker as the settings want it, without displays and sink.

    Raises:
        UnknownPlatformError: for a platform there is no module of.
        IdentityKeyError: where one is needed and there is none.
        MissingExtraError: where something is asked for whose extra is not installed.
        StateError: where state cannot be kept on disk.
    """
    return Wiring(
        broker=broker,
        exhibits=exhibits,
        keys=_customer_keys(settings),
        sources=sources(settings.platforms, settings.platform_options),
        group_prefix=settings.group_prefix,
        roles=settings.roles,
        tick_seconds=settings.tick_seconds,
        wall_clock=settings.ticks == "wall",
        heartbeat_seconds=settings.heartbeat_seconds,
        refusal_limit=partial(RefusalLimit, settings.refused_streak, settings.refused_ratio),
        shared_after=settings.shared_after,
        health=Health(settings.live_seconds),
        observers=_traces(settings),
        stores=_stores(settings, broker),
    )


class MissingExtraError(ValueError):
    """Something is asked for, and what it is made with is not installed."""


class StateError(ValueError):
    """State cannot be kept where the settings want it."""


def _stores(settings: Settings, broker: Broker) -> Stores:
    if settings.state == "memory":
        return MemoryStores()
    if not broker.transactional:
        raise StateError(
            "CXSTREAM_STATE=rocksdb needs a Kafka: the broker in the process keeps no changelog"
        )
    try:
        rocksdb = import_module("pipeline.microbatch.rocksdb")
    except ImportError as error:
        raise MissingExtraError(
            "CXSTREAM_STATE=rocksdb needs the extra rocksdb: "
            "pip install --require-hashes -r requirements-rocksdb.lock"
        ) from error
    client = {"bootstrap.servers": broker.bootstrap, **client_security(settings)}
    try:
        stores: Stores = rocksdb.RocksStores(settings.state_dir, client)
    except (OSError, ValueError) as error:
        raise StateError(f"CXSTREAM_STATE_DIR={settings.state_dir}: {error}") from error
    return stores


def _traces(settings: Settings) -> tuple[Observer, ...]:
    if settings.traces == "off":
        return ()
    try:
        tracing = import_module("pipeline.tracing")
    except ImportError as error:
        raise MissingExtraError(
            "CXSTREAM_TRACES=otlp needs the extra tracing: "
            "pip install --require-hashes -r requirements-tracing.lock"
        ) from error
    return (tracing.StageTraces(tracing.exporting_tracer()),)


def _customer_keys(settings: Settings) -> CustomerKeys | None:
    """Customer keys for the roles that take events in; the others must not know the secret."""
    if not {"intake", "lifecycle"} & {*settings.roles}:
        return None
    if settings.identity_key is not None:
        return CustomerKeys(parse_key(settings.identity_key.get_secret_value()))
    return CustomerKeys(read_key(settings.identity_key_file))


def serve_metrics(host: str, port: int, health: Health) -> str:
    """Start ``/metrics``, ``/health/live`` and ``/health/ready``; the address of the first.

    Raises:
        OSError: the port is taken.
    """
    metrics.BUILD.info({"version": version("cxstream")})
    try:
        port = serve(host, port, metrics.REGISTRY, {"live": health.live, "ready": health.ready})
    except OSError as error:
        raise OSError(
            f"/metrics cannot listen on {host}:{port}: {error.strerror};"
            " give it another CXSTREAM_METRICS_PORT, 0 for any free one"
        ) from error
    return f"http://{host}:{port}/metrics"


def planned_topics(settings: Settings, bootstrap: str) -> list[topics_admin.Change]:
    """What the cluster's topics lack of the registry. Raises ``TopicsError``."""
    rows = [*TOPICS.values(), *(raw_topic_row(name) for name in settings.platforms)]
    return topics_admin.plan(
        bootstrap, settings.partitions, settings.replication, rows, client_security(settings)
    )


def make_topics(settings: Settings, bootstrap: str) -> list[topics_admin.Change]:
    """Bring the cluster's topics to the registry. Raises ``TopicsError``."""
    changes = planned_topics(settings, bootstrap)
    topics_admin.apply(bootstrap, changes, client_security(settings))
    return changes


def client_security(settings: Settings) -> dict[str, str]:
    """Security settings as librdkafka names them."""
    told: dict[str, str] = {"security.protocol": settings.security_protocol}
    if settings.sasl_mechanism is not None and settings.sasl_password is not None:
        told["sasl.mechanism"] = settings.sasl_mechanism
        told["sasl.username"] = settings.sasl_username or ""
        told["sasl.password"] = settings.sasl_password.get_secret_value()
    if settings.ssl_ca_file is not None:
        told["ssl.ca.location"] = str(settings.ssl_ca_file)
    return told
