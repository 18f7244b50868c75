"""What a change of an exhibit means for those who read its numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from pipeline.exhibit import words
from pipeline.kpi.catalogue import Catalogue, CompiledKpi, check_exhibit
from schemas.exhibit import Exhibit, KpiEntry

_READ_ONLY: Final = ("title", "target_source", "min_n", *words.RESPONSIBILITY)


class Difference(NamedTuple):
    """Two exhibits compared.

    Attributes:
        lines: Every change, in words.
        incomparable: Names whose numbers before and after are not the same measure; of the whole
            exhibit where population, split or calendar changed.
    """

    lines: tuple[str, ...]
    incomparable: tuple[str, ...]


def compare(old: Exhibit, new: Exhibit, catalogue: Catalogue) -> Difference:
    """What changes from ``old`` to ``new``.

    Raises:
        ExhibitError: for KPIs or parameters that the catalogue does not know.
    """
    before, after = _by_name(old, catalogue), _by_name(new, catalogue)
    lines = [*_whole(old, new)]
    common = [name for name in before if name in after]
    everything = bool(_numbers_of_all(old, new))
    changed = [name for name in common if before[name][1].key != after[name][1].key]
    lines += [f"+ {name}: {_measure(*after[name])}" for name in after if name not in before]
    lines += [f"- {name}: {_measure(*before[name])}" for name in before if name not in after]
    for name in common:
        lines += [f"~ {name}: {text}" for text in _entry(before[name], after[name])]
    incomparable = tuple(common if everything else changed)
    if lines and (old.exhibit, old.version) == (new.exhibit, new.version):
        lines.append(f"! version is {new.version} in both; raise it, for a version says one thing")
    return Difference(tuple(lines), incomparable)


def _by_name(exhibit: Exhibit, catalogue: Catalogue) -> dict[str, tuple[KpiEntry, CompiledKpi]]:
    kpis = check_exhibit(exhibit, catalogue)
    return {entry.name: (entry, kpi) for entry, kpi in zip(exhibit.kpis, kpis, strict=True)}


def _whole(old: Exhibit, new: Exhibit) -> Iterator[str]:
    told = {
        "exhibit": (old.exhibit, new.exhibit),
        "version": (str(old.version), str(new.version)),
        "title": (old.title, new.title),
        "preset": (old.preset, new.preset),
        **_numbers_of_all(old, new),
        "split by": (", ".join(old.by), ", ".join(new.by)),
    }
    for name, (before, after) in told.items():
        if before != after:
            yield f"~ {name}: {before or 'none'} -> {after or 'none'}"
    was, now = ({words.window(window) for window in exhibit.windows} for exhibit in (old, new))
    yield from (f"+ window: {name}" for name in sorted(now - was))
    yield from (f"- window: {name}" for name in sorted(was - now))


def _numbers_of_all(old: Exhibit, new: Exhibit) -> dict[str, tuple[str, str]]:
    """What decides every number of an exhibit, where it changed."""
    told = {
        "population": (words.population(old), words.population(new)),
        "days in": (old.time_zone, new.time_zone),
        "business hours": (_hours(old), _hours(new)),
    }
    return {name: pair for name, pair in told.items() if pair[0] != pair[1]}


def _hours(exhibit: Exhibit) -> str:
    return "" if exhibit.business_hours is None else exhibit.business_hours.text


def _measure(entry: KpiEntry, kpi: CompiledKpi) -> str:
    told = f"{kpi.id} {words.parameters(kpi.parameters)}".rstrip()
    return f"{told}, by {kpi.attribution}" + (
        f", target {entry.target.text}" if entry.target else ""
    )


def _entry(
    before: tuple[KpiEntry, CompiledKpi], after: tuple[KpiEntry, CompiledKpi]
) -> Iterator[str]:
    (old, was), (new, now) = before, after
    if was.id != now.id:
        yield f"is {now.id} instead of {was.id}"
    else:
        for name in dict.fromkeys([*was.parameters, *now.parameters]):
            one, other = was.parameters.get(name), now.parameters.get(name)
            if one != other:
                yield f"{name} {_shown(one)} -> {_shown(other)}"
    if was.attribution != now.attribution:
        yield f"attribution {was.attribution} -> {now.attribution}"
    if old.target != new.target:
        texts = [entry.target.text if entry.target else "none" for entry in (old, new)]
        yield f"target {texts[0]} -> {texts[1]}"
    for name in _READ_ONLY:
        one, other = getattr(old, name), getattr(new, name)
        if one != other:
            yield f"{name} {_shown(one)} -> {_shown(other)}"
    if old.alert != new.alert:
        yield "alert changed"


def _shown(value: object) -> str:
    return "none" if value is None else words.plain(value)
