"""The truth of a simulation: its records, and the KPIs they make."""

from __future__ import annotations

from pipeline.simulator.records import Records
from pipeline.simulator.summary import Summary, summarize


class Truth(Records):
    """What the simulator knows it did."""

    def summary(self, until_ms: int, direction: str | None = "inbound") -> Summary:
        """Expected numerators and denominators of all KPIs as of ``until_ms``, itself included.

        Args:
            until_ms: The clock; what happened later is unknown.
            direction: Only interactions of this direction count; None for all.

        Raises:
            ValueError: If the simulator has not told everything up to ``until_ms`` yet.
        """
        return summarize(self, until_ms, direction)
