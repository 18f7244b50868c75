"""Facts as nothing but chance makes them, and what the stages make of facts, without Kafka.

Texts that some definition compares with come up as often as others, so that every KPI counts some.
"""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from pipeline.audit.values import Cell, Numbers, of_value
from pipeline.kpi import catalogue
from pipeline.kpi.catalogue import Catalogue
from pipeline.kpi.group import Contribution
from pipeline.kpi.merge import Merge
from pipeline.kpi.panes import Panes
from pipeline.kpi.plan import Plan
from pipeline.kpi.values import read
from schemas.exhibit import Exhibit
from schemas.facts import FACT_KINDS, HEADER_COLUMNS, Fact, Header, columns
from schemas.values import ExhibitValue
from sinks.clickhouse.ddl import INSTANTS

HOUR_MS = 3_600_000
NamedFacts = Mapping[str, Iterable[tuple[str, Fact]]]
"""Facts with their ids, by kind."""

_COMPARED = re.compile(r"(\w+) (?:=|<>|IN) \(?((?:'[^']*'(?:, )?)+)")


def _compared_words() -> dict[str, set[str]]:
    """Texts by the column that some definition compares with them."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    loaded = catalogue.load()
    for kpi_id in loaded.definitions:
        for part in loaded.compile(kpi_id).parts:
            for sql in part.sql.values():
                for column, listed in _COMPARED.findall(sql):
                    found[column].update(re.findall(r"'([^']*)'", listed))
    return found


WORDS = {
    **{column: sorted(words) for column, words in _compared_words().items()},
    "direction": ["inbound", "inbound", "outbound"],
    "channel": ["voice", "email"],
    "queue": ["", "sales", "it's"],
    "model_version": ["a", "answered", "it's"],
    "customer_key": ["", "c"],
    "intent": ["", "order"],
    "kcr_task": ["", "bill"],
    "performer_id": ["", "ann"],
}
TEXTS = ["", "a", "b", "waiting"]
SMALL = {"interactions": 9, "transfers": 3, "agreed_attributes": 21, "contacts": 3, "reopens": 2}
PARTS = {"turns": 5, "no_match_turns": 3, "no_input_turns": 2, "attributes": 20}
"""What is a part of turns, or of attributes, is no more than there are."""
BEGINNINGS = ("started_ms", "entered_ms", "accepted_ms", "interaction_ms", "sent_ms", "starts_ms")


def _value(name: str, type_: type, nullable: bool, rng: random.Random, begin_ms: int) -> Any:
    if nullable and rng.random() < 0.25:
        return None
    if type_ is bool:
        return rng.random() < 0.5
    if type_ is str:
        return rng.choice(WORDS.get(name, TEXTS))
    if type_ is float:
        return rng.randrange(100) / 4
    if name == "score":
        return rng.choice([0, 1, 4, 5, 9, 10])
    if name == "scale":
        return rng.choice([1, 5, 7, 10])
    if name in PARTS:
        return PARTS[name]
    if name in SMALL:
        return rng.randrange(SMALL[name])
    if name in BEGINNINGS:
        return begin_ms
    if name in INSTANTS:
        return begin_ms + rng.choice([0, 1, 60_000, rng.randrange(HOUR_MS), rng.randrange(10**8)])
    return rng.choice([0, 1, 4_999, 5_000, 20_000, 20_001, rng.randrange(10**7)])


def _begin_ms(rng: random.Random, as_of_ms: int) -> int:
    """Now and then right at an edge: of a second, a quarter, the clock, the change of clocks."""
    edges = (as_of_ms, as_of_ms - HOUR_MS, as_of_ms - 900_000, as_of_ms - 24 * HOUR_MS)
    if rng.random() < 0.2:
        return rng.choice(edges) + rng.choice([-1, 0, -60_000])
    return as_of_ms - rng.choice([rng.randrange(1, 2 * HOUR_MS), rng.randrange(1, 10 * 10**8)])


def random_facts(seed: int, a_kind: int, as_of_ms: int) -> dict[str, list[tuple[str, Fact]]]:
    """So many facts of each kind, most of them not long before the clock."""
    rng = random.Random(seed)  # noqa: S311  the same facts in every run
    found: dict[str, list[tuple[str, Fact]]] = {}
    for kind, cls in FACT_KINDS.items():
        rows = found[kind] = []
        own = columns(kind)[len(HEADER_COLUMNS) :]
        for number in range(a_kind):
            begin_ms = _begin_ms(rng, as_of_ms)
            header = Header(
                **{
                    c.name: _value(c.name, c.type, c.nullable, rng, begin_ms)
                    for c in HEADER_COLUMNS
                }
            )
            values = [_value(c.name, c.type, c.nullable, rng, begin_ms) for c in own]
            rows.append((f"{kind}/{number}", cls(header, *values)))
    return found


class Live:
    """Panes of several sources and their merge; values are published when they may have changed."""

    def __init__(
        self, exhibit: Exhibit, facts: NamedFacts, loaded: Catalogue, sources: int = 3
    ) -> None:
        self._plan = Plan([exhibit], loaded)
        self._sources = [Panes(self._plan) for _ in range(sources)]
        self._home: dict[str, Panes] = {}
        self._told: dict[str, tuple[Contribution, ...]] = {}
        self._published: dict[bytes, ExhibitValue] = {}
        self.merge = Merge(self._plan.exhibits[0])
        self.tell(facts)

    def tell(self, facts: NamedFacts) -> None:
        """Let these be all facts from the next tick on; each stays in the source it is in."""
        self._facts = {name: (kind, one) for kind, rows in facts.items() for name, one in rows}
        for name in self._facts:
            self._home.setdefault(name, self._sources[len(self._home) % len(self._sources)])

    def tick(self, tick_ms: int) -> None:
        """What facts add as of the clock, and the clock itself."""
        told = {
            name: self._plan.contributions(kind, fact, tick_ms)
            for name, (kind, fact) in self._facts.items()
        }
        for name in {**self._told, **told}:
            self._home[name].change(self._told.get(name, ()), told.get(name, ()))
        self._told = told
        for number, panes in enumerate(self._sources):
            for key, share in panes.drain(tick_ms):
                self.merge.apply(str(number), key, share)
        self.merge.advance(tick_ms)

    def publish(self, *, everything: bool = False) -> None:
        """Publish what is marked, or all there is."""
        for due in self.merge.marks.due(everything=everything):
            for key, value in read(self.merge, due, self._published.get, complete=False):
                if value is None:
                    self._published.pop(key, None)
                else:
                    self._published[key] = value

    @property
    def values(self) -> dict[Cell, Numbers]:
        return dict(of_value(value) for value in self._published.values())
