"""Reading an exhibit from YAML.

Every mistake in a file is reported with its line and column and with what to write instead; all
mistakes of a file are reported at once.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator, Mapping
from datetime import date
from io import StringIO
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from schemas.exhibit import (
    MAX_NAME_CHARS,
    Alert,
    Exhibit,
    ExhibitError,
    KpiEntry,
    Path_,
    Problem,
    Source,
)
from schemas.words import nearest


def load_exhibit(source: Path | str, name: str | None = None) -> Exhibit:
    """Read an exhibit: a ``Path`` is a file, a ``str`` is YAML; ``name`` stands in messages.

    Raises:
        ExhibitError: with all mistakes, by file, line and column.
        OSError: if the file cannot be read.
    """
    if isinstance(source, Path):
        name = name or str(source)
        try:
            text = source.read_text("utf-8-sig")
        except UnicodeDecodeError as error:
            raise ExhibitError(name, [Problem(1, 1, "the file is not UTF-8 text")]) from error
    else:
        name, text = name or "<exhibit>", source
    tree = _yaml(text, name)
    places: dict[Path_, tuple[int, int]] = {}
    raw = _plain(tree, (), (1, 1), places)
    where = Source(name, places)
    if not isinstance(raw, dict):
        raise ExhibitError(
            name, [Problem(1, 1, "an exhibit is a mapping that begins with `exhibit: name`")]
        )
    problems = []
    for i, entry in _entries(raw):
        if isinstance(entry.get("kpi"), str):
            entry.setdefault("as", entry["kpi"])
        first = next(j for j, other in _entries(raw) if other.get("as") == entry.get("as"))
        if first != i and entry.get("as") is not None:
            key = "as" if ("kpis", i, "as") in places else "kpi"
            line, _ = where.place(("kpis", first))
            text = f"{entry['as']} is used in line {line} already; give this one another `as`"
            problems.append(Problem(*where.place(("kpis", i, key)), text))
    try:
        exhibit = Exhibit.model_validate(raw)
    except ValidationError as error:
        problems += [
            _problem(details, where)
            for details in error.errors()
            if not _follows_from_another(details, where)
        ]
        raise ExhibitError(name, problems) from error
    if problems:
        raise ExhibitError(name, problems)
    return exhibit.with_source(where)


def _follows_from_another(details: ErrorDetails, source: Source) -> bool:
    """Whether a mistake is told already.

    A list of wrong items is not empty, too, and an entry whose KPI is no text has no name either.
    """
    if details["type"] == "too_short":
        return bool(details["input"])
    *entry, key = details["loc"]
    return details["type"] == "missing" and key == "as" and (*entry, "kpi") in source.places


def _yaml(text: str, name: str) -> object:
    for problem in _impossible_dates(text):
        raise ExhibitError(name, [problem])
    try:
        return YAML(typ="rt", pure=True).load(StringIO(text))
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        what = str(error.problem or error.context)
        if "duplicate key" in what:
            what = f"{what.partition(' with ')[0]}; write each key once"
        elif "another document" in what:
            what = "a file holds one exhibit; give the next one a file of its own"
        elif r"'\t'" in what:
            what = "a tab stands where the line begins; indent with spaces"
        raise ExhibitError(name, [Problem(line, column, what)]) from error
    except YAMLError as error:
        raise ExhibitError(name, [Problem(1, 1, f"not YAML: {error}")]) from error


_DATE = re.compile(r"(?<![\w.:-])\d{4}-\d\d?-\d\d?(?![\w.:-])")


def _impossible_dates(text: str) -> Iterator[Problem]:
    """Dates that no calendar has, of which YAML itself says no place."""
    for number, line in enumerate(text.splitlines(), 1):
        for found in _DATE.finditer(line.partition("#")[0]):
            year, month, day = map(int, found[0].split("-"))
            try:
                date(year, month, day)
            except ValueError:
                told = f"{found[0]} is no date; write one as 2026-12-25"
                yield Problem(number, found.start() + 1, told)


def _entries(raw: Mapping[str, Any]) -> list[tuple[int, dict[str, Any]]]:
    """The entries of ``kpis`` that are mappings, with their index."""
    kpis = raw.get("kpis")
    if not isinstance(kpis, list):
        return []
    return [(i, entry) for i, entry in enumerate(kpis) if isinstance(entry, dict)]


def _plain(
    node: object, path: Path_, place: tuple[int, int], places: dict[Path_, tuple[int, int]]
) -> Any:
    """Plain Python of a YAML tree; notes where each key and item stands."""
    places[path] = place
    if isinstance(node, CommentedMap):
        found: dict[Hashable, Any] = {}
        for key, value in node.items():
            try:
                line, column = node.lc.key(key)
                below = (line + 1, column + 1)
            except KeyError:  # came in by a merge key
                below = place
            found[key] = _plain(value, (*path, key), below, places)
        return found
    if isinstance(node, CommentedSeq):
        items = []
        for i, item in enumerate(node):
            line, column = node.lc.item(i)
            items.append(_plain(item, (*path, i), (line + 1, column + 1), places))
        return items
    for kind in (bool, int, float, str):
        if isinstance(node, kind):
            return kind(node)
    return node


def _model_of(path: Path_) -> type[BaseModel]:
    """What a path lies in: the exhibit, an entry or the alert of one."""
    if path[:1] != ("kpis",) or len(path) == 1:
        return Exhibit
    return Alert if path[2:3] == ("alert",) else KpiEntry


def _inside_hours(path: Path_, message: str, source: Source) -> Path_:
    """The path of the day that a mistake of business hours begins with, if it does."""
    inside = (*path, message.partition(":")[0])
    return inside if path == ("business_hours",) and inside in source.places else path


def _problem(details: ErrorDetails, source: Source) -> Problem:
    """One mistake as pydantic found it, said in words of the file."""
    path = tuple(part for part in details["loc"] if part != "[key]")
    place = source.place(_inside_hours(path, details["msg"], source))
    key = next((part for part in reversed(path) if isinstance(part, str)), "")
    given = details["input"]
    inside = _model_of(path)
    known = [info.alias or name for name, info in inside.model_fields.items()]
    match details["type"]:
        case "exhibit":
            text = details["msg"]
        case "extra_forbidden":
            text = f"unknown key {key}; {nearest(key, known)}"
            if inside is KpiEntry:
                text += f" A parameter of the KPI is written parameters: {{{key}: {given}}}"
        case kind if given is None and kind not in ("missing", "model_type"):
            field = next((f for n, f in inside.model_fields.items() if key in (n, f.alias)), None)
            needed = field is not None and field.is_required()
            text = f"{key} has no value; write one" + ("" if needed else f", or leave {key} out")
        case "missing":
            text = f"the key {'kpi' if key == 'as' else key} is missing"
        case "model_type" | "model_attributes_type":
            first = "after_minutes: 10" if inside is Alert else "kpi: id"
            rest = ", ".join(name for name in known if not first.startswith(name))
            told = "nothing" if given is None else given
            text = f"write {{{first}}}, not {told}; optional: {rest}"
        case "string_pattern_mismatch":
            text = f"{key}: {given} is not a name; use letters, digits, _ . and -"
            if len(str(given)) > MAX_NAME_CHARS:
                text = f"{key}: a name has at most {MAX_NAME_CHARS} characters, not {len(given)}"
        case "string_type":
            text = f'{key}: a text is needed, write "{given}" in quotes'
        case "too_short" | "string_too_short":
            text = f"{key} must not be empty"
        case "int_type" | "greater_than_equal":
            low = details.get("ctx", {}).get("ge")
            limit = "" if low is None else f", {low} or more"
            text = f"{key}: a whole number is needed{limit}, not {given}"
            if isinstance(given, str) and given.isdecimal():
                text = f"{key}: a number is needed, write {given} without quotes"
        case "tuple_type":
            text = f"{key}: a list is needed, write [{given}]"
            if key == "kpis":
                text = "kpis: a list is needed; begin each entry with a dash, as - {kpi: asa}"
        case "dict_type":
            text = f"{key}: a mapping is needed, not {given}"
        case "literal_error":
            text = f"{key}: {details['ctx']['expected']} is needed, not {given}"
        case _:
            text = f"{key}: {details['msg']}"
    return Problem(*place, text)
