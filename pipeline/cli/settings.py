"""Settings for commands: what the environment says, overruled by options."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar

from pydantic import SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsError

from pipeline.cli.output import Exit, fail
from pipeline.logs import LogSettings
from pipeline.settings import ClickHouseSettings, Settings

SettingsT = TypeVar("SettingsT", bound=BaseSettings)


def read_settings(**given: Any) -> Settings:
    """Settings from the environment and the options ``given``; ends with one line on a bad one."""
    told = {name: value for name, value in given.items() if value is not None}
    settings = _checked(Settings, told)
    if "data_dir" in told:
        inside = {"identity_key_file": "identity.key", "state_dir": "state"}
        update = {
            field: settings.data_dir / name
            for field, name in inside.items()
            if field not in settings.model_fields_set
        }
        settings = settings.model_copy(update=update)
    return settings


def log_settings() -> LogSettings:
    """How logs are written; ends with one line on a bad setting."""
    return _checked(LogSettings, {})


def _checked(cls: type[SettingsT], told: dict[str, Any]) -> SettingsT:
    try:
        return cls(**told)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        name = "_".join(str(part) for part in first["loc"]).upper()
        prefix = cls.model_config.get("env_prefix", "")
        fail(f"setting {prefix}{name}: {first['msg']}", Exit.BAD_INPUT)
    except SettingsError as error:
        fail(f"settings: {error}", Exit.BAD_INPUT)


def demo_clickhouse(data: Path) -> ClickHouseSettings:
    """Where the ClickHouse of the demo with this data folder is; ends with one line without one."""
    try:
        where = json.loads((data / "run.json").read_text("utf-8"))["clickhouse"]
        password = Path(where.pop("password_file")).read_text("ascii")
    except (OSError, ValueError, KeyError):
        fail(f"no demo runs with the data folder {data}; start one with `make run`")
    return ClickHouseSettings(password=SecretStr(password), **where)


def kafka_settings(**given: Any) -> tuple[Settings, str]:
    """Settings of a command that needs a Kafka, and its address; ends with one line without one."""
    settings = read_settings(**given)
    if settings.bootstrap is None:
        fail("name a Kafka by --bootstrap or CXSTREAM_BOOTSTRAP", Exit.BAD_INPUT)
    return settings, settings.bootstrap
