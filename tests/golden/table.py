"""Worked examples as Markdown: what happened in one table, what must come out in the others.

A file is one example. Adding an example is adding a file; nothing else has to be told. It has a
line ``Time 0 is 2026-03-02 09:00:00 UTC.`` and these sections, in the order in which things happen:

``## Exhibit``
    What the example's exhibit says beside its KPIs and windows, as a block of YAML.
``## Events``
    Events, in the order of their arrival. ``time`` is seconds after time 0, or a UTC time;
    ``contact`` is the interaction, ``name x 40`` means forty of them; ``fields`` are the other
    fields of the event. An ``event_id`` is made up unless the event has one; a customer
    ``withheld`` is nobody. All examples happen in one center: a performer whose states or schedule
    are told is in no other example.
``## Again``
    Everything so far arrives once more.
``## As of 2026-06-08 09:00``
    The clock (or ``+200`` after time 0), and the values that must then stand.
``## Final``
    The same, when nothing more comes and every cohort is mature.
``## Journey a1``
    What ``cxstream journey`` tells in the end of the journey of that contact, as a block. Names of
    the example's own stand without its file's name.
``## Published``
    Every version of a value that was ever published on a stream of ticks, from the first to the
    last, as ``state numerator/denominator``.

Values: ``KPI`` is the id with parameters, and with ``attribution=``; ``window`` is ``all`` or a
bucket, as ``day 2026-06-10``; ``for`` names dimensions, ``*`` is the total. Times are in
milliseconds in ``numerator`` and in seconds in ``value``, which is compared to as many digits as
are written. ``state`` may carry the revision, as ``restated 1``; it is 0 where none stands. A
column ``n`` stands where n is not the denominator. A numerator as ``~30000`` is told in bins, which
are within 1 % of it. ``target`` sets the KPI's target and ``status`` says how the value stands to
it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

_ZERO = re.compile(r"Time 0 is (\S+ \S+) UTC\.")
_COPIES = re.compile(r"(\S+) x (\d+)")
_SECOND = timedelta(seconds=1)

Json = dict[str, Any]


@dataclass(frozen=True)
class Kpi:
    """One KPI of an example's exhibit. Equal texts are one KPI."""

    text: str

    @property
    def id(self) -> str:
        return self.text.split()[0]

    @property
    def parameters(self) -> Json:
        return {name: value for name, value in self._words.items() if name != "attribution"}

    @property
    def entry(self) -> Json:
        """The entry of an exhibit that asks for it."""
        found = {"kpi": self.id, "as": self.name, "parameters": self.parameters}
        if "attribution" in self._words:
            found["attribution"] = self._words["attribution"]
        return found

    @property
    def _words(self) -> Json:
        return dict(_assignment(word) for word in self.text.split()[1:])

    @property
    def name(self) -> str:
        readable = self.text.replace("<=", "le").replace("<", "lt")
        return re.sub(r"[^A-Za-z0-9_.]+", "-", readable)


@dataclass(frozen=True)
class Value:
    """One value that must come out."""

    kpi: Kpi
    window: tuple[str, str | None, str | None]
    dimensions: dict[str, str]
    numerator: int | None
    denominator: int | None
    value: str
    state: str
    revision: int
    n: int | None
    about: bool
    target: str = ""
    status: str = ""

    def __str__(self) -> str:
        where = " ".join(part for part in self.window if part)
        return f"{self.kpi.text} | {where} | {self.dimensions or '*'}"


@dataclass(frozen=True)
class Published:
    """All versions of one value that must have been published, in order."""

    kpi: Kpi
    window: tuple[str, str | None, str | None]
    dimensions: dict[str, str]
    versions: tuple[str, ...]


@dataclass(frozen=True)
class Check:
    """A moment and what must then stand. Without a clock everything is over."""

    title: str
    clock: datetime | None
    values: tuple[Value, ...]


@dataclass
class Example:
    """One file, read. ``steps`` are events that arrive together, and checks."""

    name: str
    steps: list[list[Json] | Check] = field(default_factory=list)
    published: list[Published] = field(default_factory=list)
    said: Json = field(default_factory=dict)
    stories: list[tuple[str, str]] = field(default_factory=list)

    @property
    def checks(self) -> list[Check]:
        return [step for step in self.steps if isinstance(step, Check)]

    def arrived_before(self, check: Check) -> list[Json]:
        """Events in the order of their arrival, up to ``check``."""
        steps = self.steps[: self.steps.index(check)]
        return [event for step in steps if isinstance(step, list) for event in step]

    def later_than(self, check: Check) -> list[Json]:
        """Events that arrive after ``check`` and happened after its clock."""
        clock = check.clock
        steps = self.steps[self.steps.index(check) :]
        return [
            event
            for step in steps
            if isinstance(step, list) and clock is not None
            for event in step
            if datetime.fromisoformat(event["occurred_at"]) > clock
        ]

    def exhibit(self) -> Json:
        """The exhibit that asks for every value of the tables, and only for this example."""
        told = [value for check in self.checks for value in check.values]
        return {
            **exhibit_of(self.name, [*told, *self.published]),
            "where": {"client": [self.name]},
            **self.said,
        }


def exhibit_of(name: str, asked: Sequence[Value | Published]) -> Json:
    """The exhibit that asks for values."""
    kpis = dict.fromkeys(value.kpi for value in asked)
    targets = {v.kpi: v.target for v in asked if isinstance(v, Value) and v.target}
    sizes = dict.fromkeys(value.window[:2] for value in asked)
    by = dict.fromkeys(name for value in asked for name in value.dimensions)
    return {
        "exhibit": name,
        "version": 1,
        # Examples share a clock and lie more than a year apart; none is to freeze before its turn.
        "horizon_days": 800,
        "time_zone": "UTC",
        "by": list(by),
        "windows": [kind if size is None else {kind: size} for kind, size in sizes],
        "kpis": [kpi.entry | ({"target": targets[kpi]} if kpi in targets else {}) for kpi in kpis],
    }


def values(table: str) -> list[Value]:
    """The values of one table."""
    return [_value(row) for row in table_rows(table)]


def read(path: Path) -> Example:
    """The example of a file. Raises ``ValueError`` for a table that is none."""
    text = path.read_text("utf-8")
    found = _ZERO.search(text)
    if found is None:
        raise ValueError(f"{path.name}: no line 'Time 0 is ... UTC.'")
    zero = _moment(found[1])
    example = Example(path.stem)
    ids = (f"{path.stem}/{number}" for number in range(1, 1_000_000))
    for title, body in sections(text):
        rows = table_rows(body)
        match title.split()[0]:
            case "Exhibit":
                block = body.split("```")[1].removeprefix("yaml")
                example.said = YAML(typ="safe", pure=True).load(block)
            case "Events":
                example.steps.append(
                    [e for row in rows for e in _events(path.stem, zero, row, ids)]
                )
            case "Again":
                so_far = [e for step in example.steps if isinstance(step, list) for e in step]
                example.steps.append(so_far)
            case "As":
                clock = _time(zero, title.removeprefix("As of "))
                example.steps.append(Check(title, clock, tuple(_value(row) for row in rows)))
            case "Final":
                example.steps.append(Check(title, None, tuple(_value(row) for row in rows)))
            case "Journey":
                contact = f"{path.stem}/{title.removeprefix('Journey ')}"
                example.stories.append((contact, body.split("```")[1].removeprefix("text\n")))
            case "Published":
                example.published += [_published(row) for row in rows]
            case "Under":  # read by the test that it is for
                continue
            case other:
                raise ValueError(f"{path.name}: a section {other} is not known")
    return example


def sections(text: str) -> Iterator[tuple[str, str]]:
    """Headings and what stands under them."""
    for section in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        title, _, body = section.partition("\n")
        yield title.strip(), body


def table_rows(text: str) -> list[dict[str, str]]:
    """The table of a text, a row a mapping by its head."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [dict(zip(table[0], row, strict=True)) for row in table[2:]] if table else []


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _time(zero: datetime, text: str) -> datetime:
    if "-" in text.removeprefix("-"):
        return _moment(text)
    return zero + float(text) * _SECOND


def _events(name: str, zero: datetime, row: dict[str, str], ids: Iterator[str]) -> Iterator[Json]:
    copies = _COPIES.fullmatch(row["contact"])
    contacts = [row["contact"]]
    if copies is not None:
        contacts = [f"{copies[1]}-{number}" for number in range(1, int(copies[2]) + 1)]
    own = dict(_assignment(word) for word in row["fields"].split())
    for field_name in ("customer", "account", "event_id"):
        if field_name in own and own[field_name] != "withheld":
            own[field_name] = f"{name}/{own[field_name]}"
    for contact in contacts:
        yield {
            "event_id": next(ids),
            "kind": row["kind"],
            "source": "golden",
            "occurred_at": _time(zero, row["time"]).isoformat(),
            "interaction_id": f"{name}/{contact}",
            "channel": "voice",
            "client": name,
            **own,
        }


def _assignment(word: str) -> tuple[str, Any]:
    name, _, text = word.partition("=")
    constants = {"true": True, "false": False}
    if re.fullmatch(r"\d+\.\d+", text) and not name.endswith("_version"):
        return name, float(text)
    if re.fullmatch(r"\d+", text) and name not in (
        "event_id",
        "survey_id",
        "customer",
        "account",
        "model_version",
    ):
        return name, int(text)
    return name, constants.get(text, text)


def _place(row: dict[str, str]) -> tuple[Kpi, tuple[str, str | None, str | None], dict[str, str]]:
    dimensions = dict(word.split("=") for word in row["for"].split() if word != "*")
    window, size, start = "all", None, None
    if row["window"] != "all":
        window = "tumbling"
        size, _, start_text = row["window"].partition(" ")
        start = _moment(start_text).isoformat().replace("+00:00", "Z")
    return Kpi(row["KPI"].strip("`")), (window, size, start), dimensions


def _number(text: str) -> int | None:
    return None if text == "null" else int(text.removeprefix("~").replace(" ", ""))


def _value(row: dict[str, str]) -> Value:
    kpi, window, dimensions = _place(row)
    state, _, revision = row["state"].partition(" ")
    return Value(
        kpi, window, dimensions, _number(row["numerator"]), _number(row["denominator"]),
        row["value"], state, int(revision or 0), _number(row.get("n") or row["denominator"]),
        row["numerator"].startswith("~"),
        row.get("target", "").strip("`"), row.get("status", ""),
    )  # fmt: skip


def _published(row: dict[str, str]) -> Published:
    kpi, window, dimensions = _place(row)
    return Published(kpi, window, dimensions, tuple(row["versions"].split(", ")))
