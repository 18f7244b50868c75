"""Small centers for counterexamples: stages in memory, a few events, values by name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any

from pipeline.kpi import catalogue
from pipeline.kpi.plan import Plan
from pipeline.stages.wire import Share, control_kind, decode_share, parse_share_key
from schemas.exhibit_file import load_exhibit
from schemas.interaction import InteractionEvent
from schemas.topics import PARTIALS
from schemas.values import ExhibitValue
from tests.properties.stories import START, event
from tests.properties.world import Overlay, Owned, Record, World

START_MS = round(START.timestamp() * 1000)
"""2026-03-02, 09:00 UTC; times in these tests are seconds after it."""
MINUTE, HOUR, DAY = 60, 3_600, 86_400


def plan_of(*kpis: str, by: str = "queue", version: int = 1, zone: str = "UTC") -> Plan:
    """An exhibit of KPIs, each as YAML; windows are everything, today, half hours and a sliding."""
    text = (
        f"exhibit: example\nversion: {version}\ntime_zone: {zone}\nby: [{by}]\n"
        "windows: [15m, today, {tumbling: 30m}, {tumbling: day}, all]\nkpis:\n"
    )
    text += "".join(f"  - {{kpi: {kpi}}}\n" for kpi in kpis)
    return Plan([load_exhibit(text, "example.yaml")], catalogue.load())


def told(kind: str, at: float, name: str = "k", **fields: Any) -> dict[str, Any]:
    """A row of an event on a voice call in the queue ``sales``, unless other is said."""
    row = {"kind": kind, "at": at, "interaction_id": name, "channel": "voice", "queue": "sales"}
    row |= {"event_id": f"{name}-{kind}-{at}"}
    return row | fields


def events(rows: Iterable[dict[str, Any]]) -> list[InteractionEvent]:
    return [event(row, number) for number, row in enumerate(rows)]


def say(world: World, *rows: dict[str, Any]) -> None:
    """Let events arrive, in this order."""
    for one in events(rows):
        world.say(one)


def let_pass(world: World, seconds: float, ticks: int = 1) -> None:
    """Let the clock say ``seconds`` after the start, then a second more for each further tick."""
    for number in range(ticks):
        world.tick(START_MS + round((seconds + number) * 1000))
        world.run()


def values(world: World, name: str, kind: str = "all", **dimensions: str) -> list[ExhibitValue]:
    """Values of a KPI in windows of a kind; of the total unless dimensions are given."""
    wanted = set(dimensions.items()) or None
    return [
        value
        for value in world.values()
        if value.name == name
        and value.window.kind == kind
        and (
            wanted <= set(value.dimensions.items())
            if wanted
            else set(value.dimensions.values()) == {"*"}
        )
    ]


def fraction(world: World, name: str, kind: str = "all", **dimensions: str) -> tuple[Any, Any]:
    """Numerator and denominator of the only such value."""
    (found,) = values(world, name, kind, **dimensions)
    return found.numerator, found.denominator


def buckets(world: World, name: str, size: str = "30m") -> dict[str | None, tuple[Any, Any]]:
    """Numerators and denominators of the buckets of the total by their start, if they have any."""
    return {
        value.window.start: (value.numerator, value.denominator)
        for value in values(world, name, "tumbling")
        if value.window.size == size and value.denominator
    }


def share(fraction_: tuple[int, int]) -> Fraction:
    return Fraction(*fraction_)


def shares(world: World) -> Iterator[tuple[str, Any, Share]]:
    """Every share that was published: source, pane, share."""
    for (topic, _), log in world.logs.items():
        for record in log if topic == PARTIALS else ():
            if control_kind(record.headers) is None and record.value is not None:
                source, key = parse_share_key(record.key or b"")
                yield source, key, decode_share(record.value)


class Torn(World):
    """A world whose broker has no transactions: outputs may get out though the state does not."""

    def tear(self, owned: Owned, size: int, outputs: int | None = None) -> None:
        """Process ``size`` records; ``outputs`` of what is sent gets out, then the owner dies."""
        overlay = Overlay(self, owned.state)
        log = self.logs[owned.topic, owned.number]
        self._process(owned, log[owned.position : owned.position + size], overlay)
        for topic, partition, record in overlay.sent[:outputs]:
            self.logs[topic, partition].append(record)
        self.heir(owned)

    def heir(self, owned: Owned, *, backwards: bool = False) -> None:
        """Another takes the partition over; its state may come back in another order."""
        if backwards:
            for key, value in reversed(list(owned.state.items())):
                del owned.state[key]
                owned.state[key] = value
        owned.memory = self._memory(owned)
        self.restored += 1


def stage(world: World, name: str, number: int = 0) -> Owned:
    """A partition of a stage."""
    return next(o for o in world.owned if (o.stage, o.number) == (name, number))


def of_kind(records: Iterable[Record], kind: bytes) -> list[Record]:
    return [record for record in records if control_kind(record.headers) == kind]
