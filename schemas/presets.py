"""Presets: what a platform or a convention means by a KPI, as defaults an exhibit may start from.

A preset is data in ``exhibits/presets/``. What it says of a KPI are defaults: an entry's own
parameters and attribution win. What the product cannot compute as the platform does is told in
``notes``.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field
from ruamel.yaml import YAML

_FOLDER: Final = resources.files("schemas.exhibits") / "presets"


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PresetKpi(_Row):
    """Defaults of one KPI, and whose rule they follow."""

    parameters: dict[str, Any] = Field(default_factory=dict)
    attribution: Literal["arrival", "event", "close", "clip"] | None = None
    because: str


class Preset(_Row):
    """One file of ``exhibits/presets/``.

    Attributes:
        preset: Its name, which is that of its file.
        title: Name for people.
        attribution: Preferred by every KPI that can have it and has no own here.
        kpis: Defaults by id of the KPI.
        notes: Where the platform computes something that these definitions do not.
        source: Ids of the KPI reference's sources.
    """

    preset: str
    title: str
    attribution: Literal["arrival", "event", "close", "clip"] | None = None
    kpis: dict[str, PresetKpi]
    notes: tuple[str, ...]
    source: tuple[str, ...] = ()


@cache
def preset_names() -> tuple[str, ...]:
    """Names of all presets, sorted."""
    names = (path.name for path in _FOLDER.iterdir())
    return tuple(sorted(name.removesuffix(".yaml") for name in names if name.endswith(".yaml")))


@cache
def load_preset(name: str) -> Preset:
    """One preset.

    Raises:
        KeyError: for a name that no preset has.
    """
    if name not in preset_names():
        raise KeyError(name)
    text = (_FOLDER / f"{name}.yaml").read_text("utf-8")
    return Preset.model_validate(YAML(typ="safe", pure=True).load(text))
