"""Mistakes one could make in the stream, each as one change of one line of its code."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple

import pipeline


class Bug(NamedTuple):
    """A change of a file below ``pipeline``: ``right`` stands there once and becomes ``wrong``."""

    name: str
    file: str
    right: str
    wrong: str


STEPS, STINTS, INTERACTION = "folds/steps.py", "folds/stints.py", "folds/interaction.py"
JOURNEY, LIFECYCLE = "folds/journey.py", "stages/lifecycle.py"
ADMISSION = "stages/admission.py"

BUGS = (
    Bug("a hold goes on after the customer has hung up", STINTS,
        "self.resume(at_ms)\n            self.end_consult(at_ms)\n            self.left_ms",
        "self.end_consult(at_ms)\n            self.left_ms"),
    Bug("a gap of exactly seven days is too long", JOURNEY,
        "- max(ends) <= JOURNEY_GAP_MS", "- max(ends) < JOURNEY_GAP_MS"),
    Bug("days begin at midnight UTC", "kpi/calendar.py",
        "return start_of_day(zone, day), start_of_day(zone, day + 1)",
        "return day * DAY_MS, (day + 1) * DAY_MS"),
    Bug("leaving a queue is not heard", STEPS, '    "left_queue": _left_queue,\n', ""),
    Bug("events count as they arrive", INTERACTION,
        "ordered = sorted(events, key=lambda e: e.order)", "ordered = list(events)"),
    Bug("wrap-up is missing", INTERACTION,
        "_first(stint.measured_wrap_ms, stint.wrap_ms or 0)",
        "_first(stint.measured_wrap_ms, 0)"),
    Bug("consultation counts twice", INTERACTION,
        "talk_ms=talk_ms,\n            hold_ms=hold_ms,",
        "talk_ms=talk_ms and talk_ms + stint.consult_ms,\n            hold_ms=hold_ms,"),
    Bug("the first who served is credited", INTERACTION,
        "    return max(handled, key=lambda", "    return min(handled, key=lambda"),
    Bug("transfers are not counted", STEPS, "story.transfers += 1", "story.transfers += 0"),
    Bug("who was given up stays so", LIFECYCLE,
        "admit(state.events, state.seen, events)",
        "admit(state.events, state.seen, () if state.dues else events)"),
    Bug("corrections are ignored", ADMISSION,
        "if newer > (known.record_version, known.content_hash):",
        "if newer < (known.record_version, known.content_hash):"),
    Bug("wrap-up ends a millisecond late", STEPS,
        "stint.end_wrap(event.occurred_ms)", "stint.end_wrap(event.occurred_ms + 1)"),
    Bug("what is told twice counts twice", ADMISSION,
        "place = by_id.get(event.event_id)", "place = None"),
    Bug("hanging up is a way on", STEPS,
        'stay.leave(event.occurred_ms, "abandoned")', 'stay.leave(event.occurred_ms, "flow_out")'),
    Bug("context is never lost", STEPS,
        "bot.context_ok = event.context_ok", "bot.context_ok = None"),
    Bug("advice is talk with the customer", STEPS,
        'if event.via == "consult":', 'if event.via == "advice":'),
    Bug("surveys credit the first who served", INTERACTION,
        '("last", _last_handler(handlers))', '("last", handlers[0] if handlers else None)'),
    Bug("another intent is a repeat, too", JOURNEY,
        "lambda c: (direction(c), c.header.intent)", 'lambda c: (direction(c), "")'),
    Bug("waits are cut to seconds", STINTS,
        "at_ms - self.event.occurred_ms if wait_ms is None else wait_ms",
        "(at_ms - self.event.occurred_ms) // 1000 * 1000 if wait_ms is None else wait_ms"),
    Bug("whom a bot has handed over never gives up", STEPS,
        '        stay.leave(event.occurred_ms, "abandoned")\n        story.handoffs_abandoned()',
        '        stay.leave(event.occurred_ms, "abandoned")'),
    Bug("the first authentication is one too many", JOURNEY,
        "max(authentications - 1, 0)", "max(authentications, 0)"),
    Bug("the threshold itself does not meet it", "kpi/definitions/service.yaml",
        "ELSE wait_ms <= :threshold_seconds * 1000 END",
        "ELSE wait_ms < :threshold_seconds * 1000 END"),
)  # fmt: skip


def planted(bug: Bug, folder: Path) -> Path:
    """A folder with a copy of ``pipeline`` that has the bug.

    Raises:
        ValueError: the code is not as the bug expects it.
    """
    copy = folder / "pipeline"
    shutil.copytree(
        Path(pipeline.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__")
    )
    file = copy / bug.file
    text = file.read_text("utf-8")
    if text.count(bug.right) != 1:
        raise ValueError(f"{bug.name}: {bug.file} has changed")
    file.write_text(text.replace(bug.right, bug.wrong), "utf-8")
    return folder
