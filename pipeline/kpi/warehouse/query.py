"""SQL of one KPI over all time, for whoever wants to read or run it by hand."""

from __future__ import annotations

from pipeline.kpi.catalogue import CompiledKpi


def query(kpi: CompiledKpi) -> str:
    """ClickHouse SQL of a KPI over all time."""
    raise NotImplementedError(kpi.id)
