"""Values of buckets that the stream has let go of, computed again from facts.

A correction that reaches back further than the horizon changes facts, and no pane: the stream tells
which quarter hour of which cell it would have changed. Here exactly the buckets that contain such a
quarter hour are computed by the SQL of the definitions, and written where they differ, as restated
values. Doing it twice changes nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from typing import Final, NamedTuple

from clickhouse_connect.driver.client import Client
from msgspec.structs import replace

from pipeline.audit.scratch import Scratch
from pipeline.audit.values import Cell, Numbers, computed_in, published
from pipeline.kpi.calendar import bucket
from pipeline.kpi.catalogue import Catalogue
from pipeline.kpi.horizon import DAY_MS, needed_days
from pipeline.kpi.plan import ExhibitPlan, Plan, Reading
from schemas.exhibit import Exhibit, Tumbling
from schemas.values import TOTAL, ExhibitValue, Status, WindowRef, rfc3339
from sinks.clickhouse.rows import COLUMNS, value_row

DAYS_AT_ONCE: Final = 31
"""Local days whose buckets are computed in one go; the rest waits for the next."""


class Dirty(NamedTuple):
    """A quarter hour of a cell, as told at a clock (``version``)."""

    cell: tuple[str, ...]
    start_ms: int
    version: int


class Done(NamedTuple):
    """What was done for one exhibit: quarter hours looked at, and values written."""

    exhibit: str
    intervals: int
    restated: int


class Recompute:
    """Computes again what is dirty in one installation.

    Args:
        client: A client on the database of the installation that may make databases beside it.
        catalogue: The definitions in use.
    """

    def __init__(self, client: Client, catalogue: Catalogue) -> None:
        self._client = client
        self._catalogue = catalogue
        self._scratch = f"{client.database}_recompute"

    def run(self, exhibit: Exhibit, *, settled_seconds: int = 0) -> Done:
        """Write the values of an exhibit that corrections have changed.

        What was stored less than ``settled_seconds`` ago is left for later: its facts may be on
        their way.
        """
        whole = Plan([exhibit], self._catalogue).exhibits[0]
        windows = tuple(w for w in exhibit.windows if isinstance(w, Tumbling))
        found = self._dirty(exhibit, settled_seconds)
        if not found:
            return Done(exhibit.exhibit, 0, 0)
        written = 0
        if windows:
            plan = Plan([exhibit.model_copy(update={"windows": windows})], self._catalogue)
            by_day: defaultdict[int, list[Dirty]] = defaultdict(list)
            for one in found:
                by_day[bucket(exhibit.time_zone, "day", one.start_ms)[0]].append(one)
            found = []
            for day_ms, dirty in sorted(by_day.items())[:DAYS_AT_ONCE]:
                written += self._day(plan.exhibits[0], whole, day_ms, dirty)
                found += dirty
        self._note_done(exhibit, found)
        return Done(exhibit.exhibit, len(found), written)

    def _dirty(self, exhibit: Exhibit, settled_seconds: int) -> list[Dirty]:
        rows = self._client.query(
            _DIRTY,
            parameters={
                "exhibit": exhibit.exhibit, "version": exhibit.version,
                "settled_seconds": settled_seconds,
            },
        ).result_rows  # fmt: skip
        return [Dirty(tuple(cell), start_ms, version) for cell, start_ms, version in rows]

    def _day(
        self, plan: ExhibitPlan, whole: ExhibitPlan, day_ms: int, dirty: Sequence[Dirty]
    ) -> int:
        """Compute the dirty buckets of one local day, and write those that differ."""
        wanted = set(_buckets(plan, dirty))
        known = published(self._client, whole)
        # Values are stored when they change, so the newest may be older than the correction.
        clock_ms = max(known.clock_ms, *(one.version // 2 for one in dirty))
        end_ms = bucket(plan.exhibit.time_zone, "day", day_ms)[1]
        back_ms = max((needed_days(kpi) for kpi in plan.kpis), default=0) * DAY_MS
        place = Scratch(self._client, self._scratch)
        expected = computed_in(
            place, plan, str(self._client.database), clock_ms, day_ms - back_ms, end_ms - 1
        )
        rows = []
        for reading in plan.readings:
            for cell, kind in wanted:
                place_of = _place(reading, cell, kind)
                numbers = expected.get(place_of)
                if numbers is None or _same(known.values.get(place_of), numbers):
                    continue
                value = _value(plan, reading, place_of, numbers, clock_ms)
                rows.append(value)
        return self._write(rows)

    def _write(self, values: Iterable[ExhibitValue]) -> int:
        rows = []
        for value in values:
            key = value.key.decode()
            asked = {"exhibit": value.exhibit, "as": value.name, "key": key}
            known = self._client.query(_KNOWN, parameters=asked).result_rows
            revision, version = known[0] if known else (0, 0)
            later = replace(value, revision=revision + (value.state == "restated"))
            rows.append(value_row(key, later, version + 1))
        if rows:
            self._client.insert("kpi_values", rows, column_names=COLUMNS["kpi_values"])
        return len(rows)

    def _note_done(self, exhibit: Exhibit, found: Iterable[Dirty]) -> None:
        rows = [
            [exhibit.exhibit, exhibit.version, one.cell, one.start_ms, one.version // 2, 1,
             one.version + 1]
            for one in found
        ]  # fmt: skip
        self._client.insert("dirty_intervals", rows, column_names=COLUMNS["dirty_intervals"])


_DIRTY: Final = """
SELECT cell, start_ms, version
FROM dirty_intervals FINAL
WHERE exhibit = {exhibit:String} AND exhibit_version = {version:UInt32} AND NOT done
    AND stored_at <= now() - {settled_seconds:UInt32}
ORDER BY start_ms, cell
"""

_KNOWN: Final = """
SELECT revision, version FROM kpi_values FINAL
WHERE exhibit = {exhibit:String} AND `as` = {as:String} AND key = {key:String}
"""


def _buckets(
    plan: ExhibitPlan, dirty: Iterable[Dirty]
) -> Iterator[tuple[tuple[str, ...], tuple[str, int]]]:
    """Cells, totals included, with size and start of the buckets that hold what is dirty."""
    for one in dirty:
        for cell in product(*((value, TOTAL) for value in one.cell)):
            for size in plan.sizes:
                yield cell, (size, bucket(plan.exhibit.time_zone, size, one.start_ms)[0])


def _place(reading: Reading, cell: tuple[str, ...], kind: tuple[str, int]) -> Cell:
    shown = "" if reading.cohort == "all" else reading.cohort
    return Cell(reading.entry.name, shown, "tumbling", kind[0], kind[1], cell)


def _same(known: Numbers | None, numbers: Numbers) -> bool:
    return known is not None and known.equals(numbers)


def _value(
    plan: ExhibitPlan, reading: Reading, place: Cell, numbers: Numbers, clock_ms: int
) -> ExhibitValue:
    exhibit, entry, kpi = plan.exhibit, reading.entry, reading.kpi
    end_ms = bucket(exhibit.time_zone, place.size, place.start_ms)[1]  # type: ignore[arg-type]
    return ExhibitValue(
        exhibit=exhibit.exhibit,
        exhibit_version=exhibit.version,
        kpi=kpi.id,
        kpi_version=kpi.version,
        name=entry.name,
        parameters=kpi.parameters,
        attribution=kpi.attribution,
        window=WindowRef("tumbling", place.size, rfc3339(place.start_ms), rfc3339(end_ms)),
        dimensions=dict(zip(exhibit.by, place.cell, strict=True)),
        state="provisional" if reading.cohort == "provisional" else "restated",
        revision=0,
        as_of=rfc3339(clock_ms),
        **numbers._asdict(),
        unit=kpi.unit,
        target=entry.target.text if entry.target else None,
        status=_status(reading, numbers),
    )


def _status(reading: Reading, numbers: Numbers) -> Status:
    """Against its target; whether it comes nearer period by period is not looked at again."""
    entry = reading.entry
    if entry.target is None:
        return "no_target"
    if numbers.value is None:
        return "undefined"
    if numbers.n is not None and numbers.n < entry.min_n:
        return "n_below_min"
    return "met" if entry.target.met(numbers.value) else "missed"
