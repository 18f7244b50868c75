"""Exhibits in force, as the log says: the page follows their changes and needs no files."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

import structlog

from pipeline.kpi.catalogue import Catalogue, check_exhibit
from pipeline.stages.configuration import Configuration
from schemas.exhibit import Exhibit, ExhibitError, KpiEntry
from schemas.exhibit_file import load_exhibit

log = structlog.get_logger(__name__)

_STARTED_WITH = ""


class Shown(NamedTuple):
    """One version of an exhibit with what its rows are called."""

    exhibit: Exhibit
    entries: dict[str, KpiEntry]
    titles: dict[str, str]


class ExhibitsInForce:
    """What all sources together count for.

    Args:
        started_with: Exhibits that are in force before the log has said anything.
        catalogue: Titles of KPIs.
    """

    def __init__(self, started_with: Iterable[Exhibit], catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._by_source = {_STARTED_WITH: Configuration.of(started_with)}
        self._load = lru_cache(maxsize=512)(self._loaded)

    def take(self, source: str, configuration: Configuration) -> None:
        """A source says what it counts for; what was there at the start is no longer asked."""
        self._by_source.pop(_STARTED_WITH, None)
        self._by_source[source] = configuration

    @property
    def names(self) -> list[str]:
        """Names of all exhibits that some source counts for, in their order."""
        found = {name: None for one in self._by_source.values() for name in one.newest}
        return sorted(found)

    def shown(self, name: str, version: int | None = None) -> Shown | None:
        """A version of an exhibit, the newest unless given; None where nobody counts for it."""
        texts: dict[int, str] = {}
        for configuration in self._by_source.values():
            texts.update(configuration.texts.get(name, {}))
        wanted = max(texts, default=None) if version is None else version
        return self._load(texts[wanted]) if wanted in texts else None

    def _loaded(self, text: str) -> Shown | None:
        try:
            exhibit = load_exhibit(text)
            check_exhibit(exhibit, self._catalogue)
        except ExhibitError as error:
            # Made for another version of this program.
            log.warning("exhibit_not_shown", reason=str(error))
            return None
        entries = {entry.name: entry for entry in exhibit.kpis}
        titles = {
            name: entry.title or self._catalogue.definition(entry.kpi).title
            for name, entry in entries.items()
        }
        return Shown(exhibit, entries, titles)
