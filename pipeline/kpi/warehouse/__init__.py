"""KPIs of an exhibit as ClickHouse SQL over the tables of facts: every form, cell and window."""

from pipeline.kpi.warehouse.query import query
from pipeline.kpi.warehouse.script import RESULT, Script, script
from pipeline.kpi.warehouse.windows import (
    OPEN_COLUMNS,
    WINDOW_COLUMNS,
    bounded_rows,
    open_rows,
    window_rows,
)

__all__ = [
    "OPEN_COLUMNS", "RESULT", "WINDOW_COLUMNS", "Script", "bounded_rows", "open_rows", "query",
    "script", "window_rows",
]  # fmt: skip
