"""Settings of a worker, from the environment (``CXSTREAM_*``), checked before it starts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from pipeline.folds.links import SHARED_AFTER

Role = Literal["intake", "lifecycle", "journeys", "performers", "exhibits", "sink"]
LIVE_SECONDS: Final = 120.0
"""Longer than any commit may take: the broker has 40 s for one answer."""
ROLES: tuple[Role, ...] = (
    "intake", "lifecycle", "journeys", "performers", "exhibits", "sink",
)  # fmt: skip


class ClickHouseSettings(BaseSettings):
    """Where facts and values are stored."""

    model_config = SettingsConfigDict(env_prefix="CXSTREAM_CLICKHOUSE_", extra="forbid")

    host: str = Field("127.0.0.1", description="ClickHouse server")
    port: Annotated[int, Field(ge=1, le=65_535)] = Field(8123, description="its HTTP port")
    user: str = Field("default", description="ClickHouse user")
    password: SecretStr = Field(SecretStr(""), description="password of the user")
    database: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] = Field(
        "cxstream", description="database of all tables"
    )
    secure: bool = Field(default=False, description="speak HTTPS and verify the certificate")


class Settings(BaseSettings):
    """Everything a worker can be told: every field is a variable ``CXSTREAM_<NAME>``."""

    # Lists are written with commas, as on a command line, and not as JSON.
    model_config = SettingsConfigDict(env_prefix="CXSTREAM_", extra="forbid", enable_decoding=False)

    bootstrap: str | None = Field(None, description="Kafka brokers as host:port[,host:port]")
    group_prefix: str = Field("cxstream", description="prefix of consumer groups and transactions")
    partitions: Annotated[int, Field(ge=1, le=512)] = Field(
        4, description="partitions of topics that are made"
    )
    replication: Annotated[int, Field(ge=1, le=7)] = Field(
        1, description="replication of topics that are made"
    )
    session_timeout_ms: Annotated[int, Field(ge=1_000, le=300_000)] = Field(
        15_000, description="a worker silent for this long loses its partitions"
    )
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="how to speak to the brokers"
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = Field(
        None, description="how to log in, with SASL"
    )
    sasl_username: str | None = Field(None, description="user at the brokers")
    sasl_password: SecretStr | None = Field(None, description="password of that user")
    ssl_ca_file: Path | None = Field(
        None, description="certificates to trust; those of the system if empty"
    )

    gone_records: Literal["stop", "skip"] = Field(
        "stop",
        description="records that were removed from the log before they were read: end, or count "
        "them and go on",
    )
    roles: tuple[Role, ...] = Field(ROLES, description="stages this worker runs")
    platforms: tuple[str, ...] = Field(("interactions",), description="platforms taken in")
    platform_options: tuple[str, ...] = Field(
        (), description="options of platforms, as asterisk_queue_log.time_zone=Europe/Berlin"
    )
    exhibits: tuple[Path, ...] = Field((), description="exhibit files; the default one if empty")
    identity_key_file: Path = Field(
        Path("var/identity.key"), description="file with the secret of customer keys"
    )
    identity_key: SecretStr | None = Field(
        None, description="the secret itself, in hexadecimal digits; it wins over the file"
    )
    shared_after: Annotated[int, Field(ge=1, le=1_000)] = Field(
        SHARED_AFTER, description="an identifier of more accounts than so many joins no customers"
    )
    data_dir: Path = Field(Path("var"), description="folder for embedded parts and keys")
    state: Literal["memory", "rocksdb"] = Field(
        "memory", description="where stages keep their state, beside its changelog"
    )
    state_dir: Path = Field(
        Path("var/state"), description="folder of the state of this worker alone, with rocksdb"
    )
    metrics_host: str = Field("127.0.0.1", description="address /metrics listens on")
    metrics_port: Annotated[int, Field(ge=0, le=65_535)] = Field(
        0, description="port of /metrics, 0 for any free one"
    )
    metrics_cells: Annotated[int, Field(ge=1, le=100_000)] = Field(
        1_000, description="cells of an exhibit that /metrics shows; the others are only counted"
    )
    live_seconds: Annotated[float, Field(ge=1, le=3600)] = Field(
        LIVE_SECONDS, description="work without progress for longer is stuck: /health/live is 503"
    )
    linger_seconds: Annotated[float, Field(ge=0, le=300)] = Field(
        15.0,
        description="a worker whose stage failed shows its metrics for so long before it ends, "
        "so that they are scraped",
    )
    stop_seconds: Annotated[float, Field(ge=1, le=300)] = Field(
        20.0,
        description="a worker that was told to end and has not ended after so long ends at once",
    )
    traces: Literal["off", "otlp"] = Field(
        "off", description="send OpenTelemetry traces, to where OTEL_EXPORTER_OTLP_ENDPOINT says"
    )
    tick_seconds: Annotated[float, Field(ge=0.1, le=60)] = Field(
        1.0, description="how often the log's clock ticks"
    )
    heartbeat_seconds: Annotated[float, Field(ge=0, le=300)] = Field(
        10.0, description="how often a heartbeat is written into each raw partition; 0: never"
    )
    ticks: Literal["wall", "external"] = Field(
        "wall", description="who writes ticks: this worker by its clock, or somebody else"
    )
    refused_streak: Annotated[int, Field(ge=0)] = Field(
        10_000,
        description="so many refused records of a partition in a row stop the worker; 0: never",
    )
    refused_ratio: Annotated[float, Field(gt=0, le=1)] = Field(
        0.9,
        description="a larger refused share of a partition's last 10,000 stops it; 1: never",
    )
    wallboard_host: str = Field("127.0.0.1", description="address the wallboard listens on")
    wallboard_port: Annotated[int, Field(ge=0, le=65_535)] = Field(
        0, description="port of the wallboard, 0 for any free one"
    )
    wallboard_rows: Literal["local", "always", "never"] = Field(
        "local",
        description="whether the wallboard lists the interactions behind a value: only to this "
        "machine, to everyone it is shown to, or to nobody",
    )
    silent_seconds: Annotated[float, Field(ge=1, le=86_400)] = Field(
        900, description="the wallboard marks numbers of a source that told nothing for longer"
    )
    clickhouse: ClickHouseSettings = Field(default_factory=ClickHouseSettings)

    @field_validator("roles", "platforms", "platform_options", "exhibits", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else value
