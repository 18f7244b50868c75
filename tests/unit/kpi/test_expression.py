from __future__ import annotations

import pytest
from hand_made import fact

from pipeline.kpi.expression import Expression, ExpressionError, compile_python, to_clickhouse

WAITING = fact("queue_segment", outcome="waiting", entered_ms=1000)
ANSWERED = fact(
    "queue_segment", outcome="answered", entered_ms=1000, left_ms=21_000, wait_ms=20_000, queue="a"
)


def run(text, row, as_of_ms=0, **parameters):
    function = compile_python(Expression.parse(text), "queue_segment", parameters)
    return function(row, as_of_ms)


@pytest.mark.parametrize(
    ("text", "answered", "waiting"),
    [
        ("entered_ms", 1000, 1000),
        ("queue", "a", ""),
        ("left_ms - entered_ms", 20_000, None),
        ("wait_ms <= 20000", True, None),
        ("NOT wait_ms <= 20000", False, None),
        ("wait_ms < 20000 OR outcome = 'waiting'", False, True),
        ("wait_ms < 20000 AND outcome = 'waiting'", False, None),
        ("wait_ms < 20000 AND outcome = 'answered'", False, False),
        ("wait_ms = wait_ms", True, None),
        ("wait_ms <> NULL", None, None),
        ("wait_ms IN (1, 20000)", True, None),
        ("wait_ms NOT IN (1, 20000)", False, None),
        ("wait_ms IS NULL", False, True),
        ("wait_ms IS NOT NULL", True, False),
        ("CASE WHEN wait_ms > 0 THEN 1 ELSE 2 END", 1, 2),
        ("CASE WHEN wait_ms > 20000 THEN 'late' END", None, None),
        ("COALESCE(wait_ms, 7)", 20_000, 7),
        ("LEAST(left_ms, entered_ms + 5000)", 6000, 6000),
        ("GREATEST(left_ms, wait_ms)", 21_000, None),
        ("intDiv(-7, 2)", -3, -3),
        ("intDiv(wait_ms - 20007, 2)", -3, None),
        ("ROUND(5 / 2)", 2, 2),
        ("ROUND(7 / 2)", 4, 4),
        ("ROUND(-5 / 2)", -2, -2),
        ("ROUND(100000000 * EXP(-0.95))", 38_674_102, 38_674_102),
        ("ABS(entered_ms - 1500)", 500, 500),
        (":as_of_ms - entered_ms", 4000, 4000),
        ("after_bot", False, False),
        ("TRUE OR wait_ms > 1", True, True),
        ("FALSE AND wait_ms > 1", False, False),
        ("NULL AND wait_ms > 1", None, None),
        ("2 + 3 * 4 - -1", 15, 15),
    ],
)
def test_values(text, answered, waiting):
    for row, expected in ((ANSWERED, answered), (WAITING, waiting)):
        found = run(text, row, as_of_ms=5000)
        assert (found, type(found)) == (expected, type(expected))


def test_parameters_fold_modes_away():
    text = "CASE WHEN :mode = 'A' THEN wait_ms <= :limit * 1000 ELSE wait_ms < :unused END"
    parameters = {"mode": "A", "limit": 20}
    expression = Expression.parse(text)
    assert expression.columns == {"wait_ms"}
    assert expression.parameters == {"mode", "limit", "unused"}
    assert to_clickhouse(expression, "queue_segment", parameters) == "wait_ms <= 20000"
    assert run(text, ANSWERED, **parameters) is True


def test_names_stand_for_expressions_with_their_own_precedence():
    names = {"total": Expression.parse("wait_ms + 1")}
    expression = Expression.parse("total * 2", names)
    assert compile_python(expression, "queue_segment", {})(ANSWERED, 0) == 40_002
    assert to_clickhouse(expression, "queue_segment", {}) == "(wait_ms + 1) * 2"


def test_sql_is_readable_and_quotes_what_it_is_given():
    sql = to_clickhouse(
        Expression.parse("queue = :q AND NOT (wait_ms IS NULL OR :as_of_ms - entered_ms > 1)"),
        "queue_segment",
        {"q": "a'b\\"},
    )
    assert sql == (
        "queue = 'a''b\\\\' AND NOT (wait_ms IS NULL OR {as_of_ms:Int64} - entered_ms > 1)"
    )


@pytest.mark.parametrize(
    ("text", "line", "column", "says"),
    [
        ("wait_ms +", 1, 9, "this cannot be read"),
        ("sleep(entered_ms)", 1, 1, "function sleep is not in the language; allowed: columns"),
        ("wait_ms BETWEEN 1 AND 2", 1, 1, "between is not in the language"),
        ("entered_ms > 1 AND\n  wat_ms > 1", 2, 3, "unknown column wat_ms; did you mean wait_ms?"),
        ("entered_ms = 1 AND\n  queue > 'a'", 2, 3, "> compares numbers only"),
        ("wait_ms = 'a'", 1, 1, "cannot compare int with str"),
        ("COALESCE(wait_ms, 'a')", 1, 1, "must have one type"),
        ("wait_ms AND after_bot", 1, 1, "bool is needed here, this is int"),
        ("intDiv(wait_ms, 0)", 1, 17, "the divisor must be a literal or parameter, and not 0"),
        ("ROUND(wait_ms / entered_ms)", 1, 17, "the divisor must be"),
        ("wait_ms / 2", 1, 1, "end it in ROUND"),
        ("queue IN ('a', NULL)", 1, 16, "IN takes literals and parameters, without NULL"),
        ("queue IN (reason)", 1, 11, "IN takes literals"),
        ("queue IN (SELECT 1)", 1, 1, "in is not in the language"),
        ("q.queue = 'a'", 1, 1, "qualified column"),
        ("queue = :qu", 1, 9, "unknown parameter :qu; did you mean q?"),
        ("1; 2", 1, 2, "one expression"),
        ("ROUND(wait_ms, 2)", 1, 1, "ROUND takes one argument"),
        ("queue = 'a", 1, 1, "not closed"),
        ("9223372036854775808", 1, 1, "64 bits"),
        ("", 1, 1, "an expression is needed"),
    ],
)
def test_refused_with_place_and_what_is_allowed(text, line, column, says):
    with pytest.raises(ExpressionError) as caught:
        compile_python(Expression.parse(text), "queue_segment", {"q": "a"})
    assert says in str(caught.value)
    assert (caught.value.line, caught.value.column) == (line, column)
