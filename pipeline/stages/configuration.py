"""Exhibits in force at one position of a log: they change by control records, never by files.

A new version stands beside the old one until every source has counted for it and the owner of the
exhibit has shown it; then the owner retires the old one, again by a control record. So at each
position of each log it is written which exhibits count, whatever files a worker was started with.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import msgspec
import structlog

from pipeline.kpi import catalogue
from pipeline.kpi.plan import Plan
from schemas.exhibit import Exhibit, ExhibitError, Sliding, Tumbling
from schemas.exhibit_file import load_exhibit
from schemas.hours import DAYS, BusinessHours

log = structlog.get_logger(__name__)


class ExhibitChange(msgspec.Struct, frozen=True, array_like=True):
    """A version of an exhibit comes into force; with ``text`` None the exhibit ends.

    With ``retires`` the versions below ``version`` are not counted any more.
    """

    name: str
    version: int
    text: str | None = None
    retires: bool = False


class ConfigurationError(ValueError):
    """A change that cannot be: one version of an exhibit says two things."""


class Configuration(msgspec.Struct, array_like=True):
    """Texts of exhibits by name and version, and the version below which a name has ended."""

    texts: dict[str, dict[int, str]]
    ended: dict[str, int]

    @classmethod
    def of(cls, exhibits: Iterable[Exhibit]) -> Configuration:
        """The configuration that a worker is started with."""
        found = cls({}, {})
        for exhibit in exhibits:
            found.apply(ExhibitChange(exhibit.exhibit, exhibit.version, text_of(exhibit)))
        return found

    def apply(self, change: ExhibitChange) -> bool:
        """Take a change over; whether it changed anything.

        Raises:
            ConfigurationError: the version is in force with another text.
        """
        if change.retires:
            return self._retire(change)
        if change.version <= self.ended.get(change.name, -1):
            return False
        versions = self.texts.get(change.name, {})
        if change.text is None:
            self.ended[change.name] = max([change.version, *versions])
            return self.texts.pop(change.name, None) is not None
        known = versions.get(change.version)
        if known is not None and known != change.text:
            raise ConfigurationError(
                f"exhibit {change.name} version {change.version} is in force with another text;"
                " give the new one a higher version"
            )
        if known is not None or change.version < max(versions, default=change.version):
            return False
        self.texts.setdefault(change.name, {})[change.version] = change.text
        return True

    def _retire(self, change: ExhibitChange) -> bool:
        versions = self.texts.get(change.name, {})
        old = [version for version in versions if version < change.version]
        for version in old:
            del versions[version]
        return bool(old)

    def take_over(self, other: Configuration) -> bool:
        """Apply what ``other`` says; whether that changed anything.

        What ``other`` has retired is retired here too.

        Raises:
            ConfigurationError: the two give one version two texts.
        """
        changed = [self.apply(change) for change in other.changes()]
        for name, versions in other.texts.items():
            if versions:
                oldest = ExhibitChange(name, min(versions), retires=True)
                changed.append(self.apply(oldest))
        return any(changed)

    def changes(self) -> list[ExhibitChange]:
        """Changes that make this configuration of an empty one, in their order."""
        ended = [ExhibitChange(name, version) for name, version in sorted(self.ended.items())]
        return ended + [
            ExhibitChange(name, version, text)
            for name, versions in sorted(self.texts.items())
            for version, text in sorted(versions.items())
        ]

    @property
    def newest(self) -> dict[str, int]:
        """The newest version of each exhibit."""
        return {name: max(versions) for name, versions in self.texts.items() if versions}

    @property
    def digest(self) -> int:
        """Equal for equal configurations."""
        told = json.dumps([list(msgspec.structs.astuple(c)) for c in self.changes()])
        return int.from_bytes(hashlib.blake2b(told.encode(), digest_size=7).digest(), "big")

    def plan(self) -> Plan:
        """All versions in force, compiled; equal configurations share it."""
        return _plan(
            tuple(
                text
                for _, versions in sorted(self.texts.items())
                for _, text in sorted(versions.items())
            )
        )


@lru_cache(maxsize=64)
def _plan(texts: tuple[str, ...]) -> Plan:
    loaded = catalogue.load()
    exhibits = []
    for text in texts:
        try:
            exhibit = load_exhibit(text)
            catalogue.check_exhibit(exhibit, loaded)
        except ExhibitError as error:
            # Made for another version of this program: what is shown now goes on to be shown.
            log.warning("exhibit_not_counted", reason=str(error))
        else:
            exhibits.append(exhibit)
    return Plan(exhibits, loaded)


def text_of(exhibit: Exhibit) -> str:
    """An exhibit as JSON, which is YAML too: one text for all ways to write the same."""
    told: dict[str, Any] = exhibit.model_dump(
        mode="json", by_alias=True, exclude_none=True, exclude={"windows", "business_hours"}
    )
    told["windows"] = [
        window.size
        if isinstance(window, Sliding)
        else {"tumbling": window.size}
        if isinstance(window, Tumbling)
        else window.kind
        for window in exhibit.windows
    ]
    for entry, raw in zip(exhibit.kpis, told["kpis"], strict=True):
        if entry.target is not None:
            raw["target"] = entry.target.text
    if exhibit.business_hours is not None:
        told["business_hours"] = _hours(exhibit.business_hours)
    return json.dumps(told, sort_keys=True, ensure_ascii=False)


def _hours(hours: BusinessHours) -> dict[str, list[str]]:
    told = {
        day: [f"{_clock(begin)}-{_clock(end)}" for begin, end in times]
        for day, times in zip(DAYS, hours.week, strict=True)
        if times
    }
    if hours.holidays:
        told["holidays"] = sorted(day.isoformat() for day in hours.holidays)
    return told


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


encode_change = msgspec.msgpack.Encoder().encode
decode_change = msgspec.msgpack.Decoder(ExhibitChange).decode
encode_configuration = msgspec.msgpack.Encoder().encode
decode_configuration = msgspec.msgpack.Decoder(Configuration).decode
