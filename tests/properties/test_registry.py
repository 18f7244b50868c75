"""Laws that every KPI of the catalogue obeys, whatever it counts; the catalogue drives the test.

Small random worlds of facts go through panes of several sources and their merge. A KPI that is
added is tested with no further word: by default, with each value of its enumerated parameters, and
by each attribution.
"""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache

import pytest

from pipeline.audit.values import Cell, Numbers
from pipeline.kpi import catalogue
from pipeline.kpi.catalogue import CompiledKpi
from schemas.exhibit import Exhibit
from schemas.exhibit_file import load_exhibit
from schemas.facts import Fact
from schemas.values import TOTAL
from tests.support.streamed import HOUR_MS, Live, random_facts

CATALOGUE = catalogue.load()
CLOCK_MS = 1_774_746_000_000
FACTS_A_KIND = 60
SEEDS = range(1, 50)
Facts = dict[str, list[tuple[str, Fact]]]


@cache
def world(seed: int) -> Facts:
    return random_facts(seed, FACTS_A_KIND, CLOCK_MS)


def variants(kpi_id: str) -> Iterator[dict[str, object]]:
    """What an exhibit says to have each variant of a KPI."""
    definition = CATALOGUE.definition(kpi_id)
    yield {}
    if definition.reads == "difference":
        yield {"parameters": {"baseline": "a", "candidate": "answered"}}
    for name, spec in definition.parameters.items():
        choices = {"enum": spec.allowed, "boolean": (True, False)}.get(spec.type, ())
        needed = {other: values[0] for other, values in spec.used_when.items()}
        for value in choices:
            if value != spec.default:
                yield {"parameters": {**needed, name: value}}
    for attribution in definition.attributions[1:]:
        yield {"attribution": attribution}


def exhibit_of(kpi_id: str) -> Exhibit:
    entries = [{"kpi": kpi_id, "as": f"v{n}", **one} for n, one in enumerate(variants(kpi_id))]
    told = {
        "exhibit": "laws", "where": {"direction": ["*"]}, "by": ["queue"],
        "windows": ["1h", "all", {"tumbling": "day"}], "kpis": entries,
    }  # fmt: skip
    return load_exhibit(json.dumps(told))


def read(live: Live) -> dict[Cell, Numbers]:
    """Values as they stand, an hour after the clock at which facts were first told."""
    live.tick(CLOCK_MS + HOUR_MS)
    live.publish(everything=True)
    return live.values


def shuffled(facts: Mapping[str, list[tuple[str, Fact]]], seed: int) -> Facts:
    rng = random.Random(seed)  # noqa: S311
    kinds = list(facts)
    rng.shuffle(kinds)
    return {kind: rng.sample(facts[kind], len(facts[kind])) for kind in kinds}


@pytest.mark.parametrize("kpi_id", CATALOGUE.definitions)
def test_laws(kpi_id: str) -> None:
    exhibit = exhibit_of(kpi_id)
    compiled = {
        entry.name: CATALOGUE.compile(entry.kpi, entry.parameters, entry.attribution)
        for entry in exhibit.kpis
    }
    facts, live, found = first_counted(
        exhibit, {p.fact for k in compiled.values() for p in k.parts}
    )
    assert found == read(Live(exhibit, shuffled(facts, 1), CATALOGUE, sources=1)), "order"
    assert found == read(Live(exhibit, shuffled(facts, 2), CATALOGUE, sources=5)), "sources"
    fewer = {kind: rows[1:] for kind, rows in facts.items()}
    live.tell(fewer)
    live.tick(CLOCK_MS + 1_000)
    live.tell(facts)
    assert found == read(live), "taken back and added"
    live.tell(fewer)
    assert read(live) == read(Live(exhibit, fewer, CATALOGUE)), "taken back"
    for cell, numbers in found.items():
        in_range(compiled[cell.name], numbers)
    cells_add_up(compiled, found)


def first_counted(exhibit: Exhibit, kinds: set[str]) -> tuple[Facts, Live, dict[Cell, Numbers]]:
    """The first of many random worlds in which some variant of the KPI counts something."""
    for seed in SEEDS:
        facts = {kind: world(seed)[kind] for kind in sorted(kinds)}
        live = Live(exhibit, facts, CATALOGUE)
        live.tick(CLOCK_MS)
        found = read(live)
        if any(one.numerator or one.n for one in found.values()):
            return facts, live, found
    raise AssertionError("in no world any fact counts")


@pytest.mark.parametrize("kpi_id", CATALOGUE.definitions)
def test_nothing_is_nothing(kpi_id: str) -> None:
    exhibit = exhibit_of(kpi_id)
    for cell, numbers in read(Live(exhibit, {}, CATALOGUE)).items():
        entry = next(entry for entry in exhibit.kpis if entry.name == cell.name)
        kpi = CATALOGUE.compile(entry.kpi, entry.parameters, entry.attribution)
        assert not numbers.numerator
        assert not numbers.n or kpi.reads == "time_average"
        if not (kpi.total or kpi.gauge or kpi.unit == "count"):
            assert numbers.value is None


def in_range(kpi: CompiledKpi, told: Numbers) -> None:
    if told.denominator == 0 and kpi.unit != "count":
        assert told.value is None
    if told.value is None:
        assert (told.low, told.high) == (None, None)
        return
    match kpi.unit:
        case "count":
            assert told.value == told.numerator
            assert told.value >= 0
        case "points":
            assert -100 <= told.value <= 100
        case "ratio" if kpi.proportion and kpi.reads in ("value", "covered"):
            assert told.numerator is not None
            assert told.denominator is not None
            assert 0 <= told.value <= 1
            assert told.n == told.denominator
            if not kpi.micro:
                assert 0 <= told.numerator <= told.denominator
        case _:
            assert told.n is None or told.n >= 0
    if told.low is not None and told.high is not None:
        assert told.low <= told.value <= told.high


def cells_add_up(compiled: Mapping[str, CompiledKpi], found: Mapping[Cell, Numbers]) -> None:
    """Sums of cells are those of their total; the extreme of cells is the extreme of all."""
    wholes: dict[Cell, Numbers] = {}
    parts: defaultdict[Cell, list[Numbers]] = defaultdict(list)
    for cell, numbers in found.items():
        total = cell._replace(cell=(TOTAL,))
        if cell == total:
            wholes[cell] = numbers
        else:
            parts[total].append(numbers)
    for cell, whole in wholes.items():
        kpi = compiled[cell.name]
        if kpi.combination is not None or kpi.reads != "value" or kpi.part.aggregate == "map":
            continue
        numerators = [one.numerator for one in parts[cell] if one.numerator is not None]
        if kpi.part.aggregate == "sum":
            assert (whole.numerator or 0) == sum(numerators)
            if whole.denominator is not None:
                assert whole.denominator == sum(one.denominator or 0 for one in parts[cell])
        elif any(one.denominator for one in parts[cell]):
            best = max if kpi.part.aggregate == "max" else min
            known = [one.numerator for one in parts[cell] if one.denominator]
            assert whole.numerator == best(number for number in known if number is not None)
