"""Schedules of agents, published a day ahead and now and then changed.

They are drawn from a random stream of their own and change nothing of what agents do: whether an
agent keeps to the schedule is the agent's affair.
"""

from __future__ import annotations

from random import Random
from typing import Final

from pipeline.simulator.timeline import Event, Timeline, rfc3339

SLOT_MS: Final = 900_000
TRAINING_SHARE: Final = 0.1
"""Shifts with half an hour of training that the center cancels when its time comes."""
ABSENT_SHARE: Final = 0.03
"""Shifts whose beginning somebody misses, told when it is over."""
ABSENCE_MS: Final = 2 * 3_600_000
MOVED_SHARE: Final = 0.05
"""Breaks that are moved by a quarter of an hour once the shift is known."""

SPREAD_MS: Final = 600_000
"""Schedules of all agents do not come out in one second."""

Break = tuple[float, int, str]
"""When within a shift (its share), how long, and what for."""


class Schedules:
    """Tells the schedule of every shift as ``plan`` events.

    Args:
        timeline: Where events are planned.
        seed: Of the random stream.
        id_prefix: Begins every id.
    """

    def __init__(self, timeline: Timeline, seed: int, id_prefix: str) -> None:
        self._timeline = timeline
        self._rng = Random(f"schedules {seed}")  # noqa: S311 - nothing secret
        self._absences = Random(f"absences {seed}")  # noqa: S311 - nothing secret
        self._id_prefix = f"{id_prefix}-schedule"

    def publish(
        self, at_ms: int, who: Event, told: Event, begin_ms: int, length_ms: int,
        breaks: tuple[Break, ...],
    ) -> None:  # fmt: skip
        """Tell soon after ``at_ms`` what is planned for a shift, on quarter hours.

        Args:
            at_ms: When planning of it begins.
            who: Performer fields.
            told: Further fields of each entry, as its channel.
            begin_ms: When the agent means to begin.
            length_ms: Length of the shift.
            breaks: Breaks within it.
        """
        at_ms += int(self._rng.random() * SPREAD_MS)
        start_ms = begin_ms // SLOT_MS * SLOT_MS
        shift = f"{self._id_prefix}-{who['performer_id']}-{start_ms // 1000}"

        def tell(
            at_ms: int, name: str, activity: str, from_ms: int, to_ms: int, plan: str = "schedule"
        ) -> None:
            entry = f"{shift}-{name}"
            own = {
                "event_id": f"{entry}@{at_ms}", "interaction_id": entry, "plan": plan,
                "activity": activity, "value": 1,
                "starts_at": rfc3339(from_ms), "ends_at": rfc3339(to_ms),
            }  # fmt: skip
            self._timeline.emit(at_ms, "plan", who, told, own)

        tell(at_ms, "shift", "on_queue", start_ms, start_ms + length_ms)
        for number, (share, break_ms, activity) in enumerate(breaks):
            from_ms = start_ms + int(length_ms * share) // SLOT_MS * SLOT_MS
            tell(at_ms, f"break-{number}", activity, from_ms, from_ms + break_ms)
            if self._rng.random() < MOVED_SHARE:
                moved_ms = from_ms + SLOT_MS
                # A later word on an entry replaces the earlier one.
                tell(at_ms + 60_000, f"break-{number}", activity, moved_ms, moved_ms + break_ms)
        if self._rng.random() < TRAINING_SHARE:
            from_ms = start_ms + SLOT_MS
            tell(at_ms, "training", "training", from_ms, from_ms + 2 * SLOT_MS)
        if self._absences.random() < ABSENT_SHARE:
            back_ms = start_ms + ABSENCE_MS
            tell(max(at_ms, back_ms), "absence", "sick", start_ms, back_ms, plan="absence")
