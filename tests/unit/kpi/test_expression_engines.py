"""The Python function and the SQL of an expression give equal results on ClickHouse itself."""

from __future__ import annotations

import json
import random
import subprocess
import sys

import pytest
from hand_made import fact
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.kpi.catalogue import load
from pipeline.kpi.clickhouse_code import population_sql
from pipeline.kpi.expression import Expression, compile_python, to_clickhouse
from schemas.exhibit import Exhibit, KpiEntry
from schemas.facts import FACT_KINDS, Header, columns, values

FACTS_A_KIND = 150
AS_OF_MS = 1_792_000_000_000
TEXTS = ["", "a", "answered", "waiting", "it's", "back\\slash", "日本"]
WORDS = {
    "outcome": ["waiting", "answered", "abandoned", "flow_out"],
    "performer_kind": ["human", "bot"],
    "bot_outcome": ["", "resolved", "handoff", "left", "timed_out", "ended"],
    "part": ["interaction", "bot_session"],
    "question": ["csat", "nps", "ces"],
    "credit": ["last", "all", "bot"],
    "state": ["available", "busy"],
}
SMALL = {"score": 11, "scale": 11, "interactions": 9, "transfers": 3, "turns": 5}
SQL_TYPES = {int: "Int64", str: "String", bool: "Bool"}

ENGINE = """
import json, sys
import chdb.session
engine = chdb.session.Session()
for line in sys.stdin:
    try:
        answer = str(engine.query(json.loads(line), "JSONCompactEachRow"))
    except Exception as error:
        answer = "error: " + str(error)
    print(json.dumps(answer), flush=True)
"""


class ClickHouse:
    """ClickHouse in a process of its own, since one process can hold only one such engine."""

    def __init__(self):
        self._process = subprocess.Popen(
            [sys.executable, "-c", ENGINE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def query(self, sql):
        self._process.stdin.write(json.dumps(sql) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        assert not answer.startswith("error"), f"{answer}\n{sql}"
        return [json.loads(line) for line in answer.splitlines()]

    def close(self):
        self._process.stdin.close()
        self._process.wait(timeout=30)
        self._process.stdout.close()


def _value(column, rng):
    if column.nullable and rng.random() < 0.3:
        return None
    if column.type is bool:
        return rng.random() < 0.5
    if column.type is str:
        return rng.choice(WORDS.get(column.name, TEXTS))
    if column.name in SMALL:
        return rng.randrange(SMALL[column.name])
    if column.name.startswith(("next_", "previous_")):
        return rng.choice([0, 1, 86_400_000, 604_800_000, 604_800_001, rng.randrange(10**9)])
    if column.name.endswith(("started_ms", "ended_ms", "entered_ms", "left_ms", "accepted_ms")):
        return AS_OF_MS - rng.choice([0, 1, 5_000, 20_000, 604_800_000, rng.randrange(10**9)])
    return rng.choice([0, 1, 4_999, 5_000, 20_000, 20_001, rng.randrange(10**7)])


def _facts(kind):
    rng = random.Random(kind)  # noqa: S311  the same facts in every run
    return [
        fact(kind, **{c.name: _value(c, rng) for c in columns(kind)}) for _ in range(FACTS_A_KIND)
    ]


FACTS = {kind: _facts(kind) for kind in FACT_KINDS}


@pytest.fixture(scope="module")
def clickhouse():
    engine = ClickHouse()
    engine.query("CREATE DATABASE facts")
    for kind, facts in FACTS.items():
        types = ", ".join(
            f"{c.name} " + ("Nullable({})" if c.nullable else "{}").format(SQL_TYPES[c.type])
            for c in columns(kind)
        )
        names = [c.name for c in columns(kind)]
        rows = "\n".join(
            json.dumps({"row": i, **dict(zip(names, values(f), strict=True))})
            for i, f in enumerate(facts)
        )
        engine.query(
            f"CREATE TABLE facts.{kind} (row UInt32, {types}) ENGINE = MergeTree ORDER BY row"
        )
        engine.query(f"INSERT INTO facts.{kind} FORMAT JSONEachRow {rows}")
    yield engine
    engine.close()


def _plain(value):
    """JSON writes the same boolean as 1 or true, by the type that ClickHouse infers."""
    if value is None or isinstance(value, str):
        return value
    return int(value)


def _in_python(function, kind):
    return [_plain(function(f, AS_OF_MS)) for f in FACTS[kind]]


def _in_clickhouse(engine, kind, *sql):
    text = ", ".join(f"({one}) AS e{i}" for i, one in enumerate(sql))
    text = text.replace("{as_of_ms:Int64}", f"toInt64({AS_OF_MS})")
    rows = engine.query(f"SELECT {text} FROM facts.{kind} ORDER BY row")  # noqa: S608
    return [[_plain(value) for value in column] for column in zip(*rows, strict=True)]


def _named(kind, type_):
    return [c.name for c in columns(kind) if c.type is type_]


@st.composite
def expressions(draw, kind, type_, depth):
    """Text of a random expression that has the given type."""

    def sub(wanted):
        return draw(expressions(kind, wanted, depth - 1))

    def pick(*choices):
        return draw(st.sampled_from(choices))

    if depth == 0 or draw(st.integers(0, 5)) == 0:
        literals = {
            int: ["0", "1", "-3", "5000", "20000", "604800000", ":limit", ":as_of_ms", "NULL"],
            str: ["'a'", "'answered'", "'it''s'", ":word"],
            bool: ["TRUE", "FALSE", ":flag", "NULL"],
        }[type_]
        names = _named(kind, type_)
        return pick(*names) if names and draw(st.integers(0, 3)) else pick(*literals)
    if type_ is str:
        form = pick("case", "coalesce")
    elif type_ is int:
        form = pick("case", "coalesce", "+", "-", "*", "div", "least", "abs", "neg", "round", "exp")
    else:
        form = pick("case", "coalesce", "compare", "equal", "and", "or", "not", "null", "in")
    match form:
        case "case":
            branches = " ".join(
                f"WHEN {sub(bool)} THEN {sub(type_)}" for _ in range(draw(st.integers(1, 2)))
            )
            default = pick(f"ELSE {sub(type_)}", "") if type_ is not str else f"ELSE {sub(type_)}"
            return f"(CASE {branches} {default} END)"
        case "coalesce":
            return f"COALESCE({sub(type_)}, {sub(type_)})"
        case "+" | "-":
            return f"({sub(int)} {form} {sub(int)})"
        case "*":
            return f"({sub(int)} * {draw(st.integers(-12, 12))})"
        case "div":
            return f"intDiv({sub(int)}, {pick('1', '-7', '1000', ':limit')})"
        case "least":
            return f"{pick('LEAST', 'GREATEST')}({sub(int)}, {sub(int)})"
        case "abs":
            return f"ABS({sub(int)})"
        case "neg":
            return f"(- {sub(int)})"
        case "round":
            return f"ROUND(0.2 * {sub(int)} / {pick('2', '60000', ':limit')})"
        case "exp":
            return f"ROUND(1000000 * EXP(-ABS({sub(int)}) / 1000000))"
        case "compare":
            return f"({sub(int)} {pick('<', '<=', '>', '>=', '=', '<>')} {sub(int)})"
        case "equal":
            wanted = pick(str, bool)
            return f"({sub(wanted)} {pick('=', '<>')} {sub(wanted)})"
        case "and" | "or":
            return f"({sub(bool)} {form} {sub(bool)})"
        case "not":
            return f"(NOT {sub(bool)})"
        case "null":
            return f"({sub(pick(int, bool))} {pick('IS NULL', 'IS NOT NULL')})"
        case _:
            return f"({sub(int)} {pick('IN', 'NOT IN')} (0, 20000, :limit))"


PARAMETERS = {"limit": 20, "word": "back\\slash", "flag": False}


@settings(
    max_examples=300,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(data=st.data())
def test_random_expressions_agree(clickhouse, data):
    kind = data.draw(st.sampled_from(["queue_segment", "contact", "handling_segment", "survey"]))
    type_ = data.draw(st.sampled_from([int, bool, str]))
    text = data.draw(expressions(kind, type_, data.draw(st.integers(1, 4))))
    expression = Expression.parse(text)
    function = compile_python(expression, kind, PARAMETERS)
    sql = to_clickhouse(expression, kind, PARAMETERS)
    assert _in_clickhouse(clickhouse, kind, sql) == [_in_python(function, kind)], text


@pytest.mark.parametrize(
    "word", ["it's", "back\\slash", "a\nb\tc", "日本\u0000x", "'; DROP", "%_{}"]
)
def test_strings_reach_clickhouse_unchanged(clickhouse, word):
    sql = to_clickhouse(
        Expression.parse("CASE WHEN handled THEN :w ELSE :w END"), "contact", {"w": word}
    )
    assert _in_clickhouse(clickhouse, "contact", sql) == [[word] * FACTS_A_KIND]


PATTERNS = st.text(st.sampled_from("ab*%_\\\\'[]. 日\n"), min_size=1, max_size=6)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(patterns=st.lists(PATTERNS, min_size=1, max_size=3), names=st.lists(PATTERNS, min_size=1))
def test_populations_agree(clickhouse, patterns, names):
    where = {"queue": tuple(patterns), "channel": ("voice", "web_*")}
    exhibit = Exhibit(exhibit="e", kpis=(KpiEntry(kpi="asa", name="asa"),), where=where)
    headers = [
        Header(queue=name, channel=channel, direction=direction)
        for name in [*names, *patterns, *(p.replace("*", "ab") for p in patterns)]
        for channel in ("voice", "web_chat", "email")
        for direction in ("inbound", "outbound")
    ]
    rows = "\n".join(
        json.dumps({"queue": h.queue, "channel": h.channel, "direction": h.direction})
        for h in headers
    )
    sql = population_sql(exhibit.effective_where)
    data = rows.replace("\\", "\\\\").replace("'", "\\'")
    schema = "queue String, channel String, direction String"
    found = clickhouse.query(f"SELECT {sql} FROM format(JSONEachRow, '{schema}', '{data}')")  # noqa: S608
    assert [bool(value) for (value,) in found] == [exhibit.matcher()(h) for h in headers], sql


def _settings_of(definition):
    """Parameters that between them reach every value of every enumeration."""
    choices = [{}]
    for name, spec in definition.parameters.items():
        allowed = spec.allowed or ((True, False) if spec.type == "boolean" else ())
        choices += [{name: value} for value in allowed]
    return choices


@pytest.mark.parametrize("kpi_id", load().definitions)
def test_every_kpi_agrees(clickhouse, kpi_id):
    for parameters in _settings_of(load().definition(kpi_id)):
        for part in load().compile(kpi_id, parameters).parts:
            names = list(part.sql)
            results = _in_clickhouse(clickhouse, part.fact, *(part.sql[name] for name in names))
            for name, result in zip(names, results, strict=True):
                assert result == _in_python(getattr(part, name), part.fact), (name, parameters)
