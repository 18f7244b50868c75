"""Mistakes one could make in the stream, each as one change of one line of its code."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple

import pipeline


class Bug(NamedTuple):
    """A change of a file below ``pipeline``: ``right`` stands there once and becomes ``wrong``.

    ``kpi`` is one, by its name in the exhibit of the audits, that must differ.
    """

    name: str
    kpi: str
    file: str
    right: str
    wrong: str


STEPS, STINTS, INTERACTION = "folds/steps.py", "folds/stints.py", "folds/interaction.py"
TELLING, SURVEYS = "folds/telling.py", "folds/surveys.py"
JOURNEY, LIFECYCLE = "folds/journey.py", "stages/lifecycle.py"
ADMISSION = "stages/admission.py"

BUGS = (
    Bug("a hold goes on after the customer has hung up", "hold_time", STINTS,
        "self.resume(at_ms)\n            self.end_consult(at_ms)\n            self.left_ms",
        "self.end_consult(at_ms)\n            self.left_ms"),
    Bug("a gap of exactly seven days is too long", "journey_effort", JOURNEY,
        "silent_ms <= JOURNEY_GAP_MS", "silent_ms < JOURNEY_GAP_MS"),
    Bug("days begin at midnight UTC", "offered", "kpi/calendar.py",
        "return start_of_day(zone, day), start_of_day(zone, day + 1)",
        "return day * DAY_MS, (day + 1) * DAY_MS"),
    Bug("leaving a queue is not heard", "flow_outs", STEPS, '    "left_queue": _left_queue,\n', ""),
    Bug("events count as they arrive", "aht", INTERACTION,
        "ordered = sorted(events, key=_order_of)", "ordered = list(events)"),
    Bug("wrap-up is missing", "wrap_time", TELLING,
        "_first(stint.measured_wrap_ms, stint.wrap_ms or 0)",
        "_first(stint.measured_wrap_ms, 0)"),
    Bug("consultation counts twice", "talk_time", TELLING,
        "talk_ms=talk_ms,\n            hold_ms=hold_ms,",
        "talk_ms=talk_ms and talk_ms + stint.consult_ms,\n            hold_ms=hold_ms,"),
    Bug("the first who served is credited", "transfer_rate", STINTS,
        "    return max(handled, key=lambda", "    return min(handled, key=lambda"),
    Bug("transfers are not counted", "transfer_rate", STEPS,
        "story.transfers += 1", "story.transfers += 0"),
    Bug("who was given up stays so", "bot_handle_time", LIFECYCLE,
        "admit(state.events, state.seen, events)",
        "admit(state.events, state.seen, () if state.dues else events)"),
    Bug("corrections are ignored", "wrap_time", ADMISSION,
        "if newer > (known.record_version, known.content_hash):",
        "if newer < (known.record_version, known.content_hash):"),
    Bug("wrap-up ends a millisecond late", "wrap_time", STEPS,
        "stint.end_wrap(event.occurred_ms)", "stint.end_wrap(event.occurred_ms + 1)"),
    Bug("what is told twice counts twice", "handled", ADMISSION,
        "place = by_id.get(event.event_id)", "place = None"),
    Bug("hanging up is a way on", "abandoned", STEPS,
        'stay.leave(event.occurred_ms, "abandoned")', 'stay.leave(event.occurred_ms, "flow_out")'),
    Bug("context is never lost", "journey_effort", STEPS,
        "bot.context_ok = event.context_ok", "bot.context_ok = None"),
    Bug("advice is talk with the customer", "aht_skip", STEPS,
        'if event.via == "consult":', 'if event.via == "advice":'),
    Bug("surveys credit the first who served", "csat_top_box", SURVEYS,
        '("last", last_handler(handlers))', '("last", handlers[0] if handlers else None)'),
    Bug("another intent is a repeat, too", "repeat_rate", JOURNEY,
        "lambda c: (direction(c), c.header.intent)", 'lambda c: (direction(c), "")'),
    Bug("waits are cut to seconds", "asa", STINTS,
        "at_ms - self.event.occurred_ms if wait_ms is None else wait_ms",
        "(at_ms - self.event.occurred_ms) // 1000 * 1000 if wait_ms is None else wait_ms"),
    Bug("whom a bot has handed over never gives up", "abandon_after_bot", STEPS,
        '        stay.leave(event.occurred_ms, "abandoned")\n        story.handoffs_abandoned()',
        '        stay.leave(event.occurred_ms, "abandoned")'),
    Bug("the first authentication is one too many", "journey_effort", JOURNEY,
        "max(authentications - 1, 0)", "max(authentications, 0)"),
    Bug("the threshold itself does not meet it", "service_level", "kpi/definitions/service.yaml",
        "ELSE wait_ms <= :threshold_seconds * 1000 END",
        "ELSE wait_ms < :threshold_seconds * 1000 END"),
    Bug("who wraps up is not at work", "adherence", "folds/adherence.py",
        '_AT_WORK: Final = frozenset(("available", "busy", "wrap"))',
        '_AT_WORK: Final = frozenset(("available", "busy"))'),
    Bug("a shift lasts until the next thing happens", "conformance", "folds/working_time.py",
        "[s for s in scheduled if s.ends_ms > at_ms]",
        "[s for s in scheduled if s.ends_ms >= at_ms]"),
    Bug("the first word on a schedule stands", "adherence", "folds/performances.py",
        "    entry = max(\n", "    entry = min(\n"),
    Bug("milliseconds that do not divide are lost", "concurrent_aht", "folds/sessions.py",
        "[:rest]:", "[:0]:"),
    Bug("a contact still served occupies nobody in wrap-up", "occupancy", "folds/working_time.py",
        "handling = bool(instant.stints)", "handling = instant.contacts > 0"),
    Bug("to decline is to be left by the customer", "missed_offers", "folds/offers.py",
        'event.occurred_ms, "declined")', 'event.occurred_ms, "withdrawn")'),
    Bug("costs are cut to millionths", "cost_per_contact", "folds/cost.py",
        "return (2 * dividend + divisor) // (2 * divisor)", "return dividend // divisor"),
    Bug("the most general rate wins", "cost_per_resolved_issue", "folds/cost.py",
        "return max(fitting)[-1]", "return min(fitting)[-1]"),
    Bug("evaluations count when they are told", "critical_error_free", "folds/judgement.py",
        "told[0].occurred_ms if judged.judged_ms is None else judged.judged_ms",
        "told[0].occurred_ms"),
    Bug("every decision opens a session", "disclosure_rate", "folds/judgement.py",
        "opens_session=performer_id not in known", "opens_session=True"),
    Bug("a case is opened when it was told of last", "first_resolution_time", "folds/case.py",
        "        opened_ms=opened,", "        opened_ms=steps[-1].at_ms,"),
    Bug("the highest confidence of a session is its lowest", "low_confidence_rate", TELLING,
        "lowest_confidence_micro=min(", "lowest_confidence_micro=max("),
    Bug("only what the customer says takes tokens", "cost_per_contact", STEPS,
        "    bot.step(event)\n    if event.user_turn is False:\n",
        "    if event.user_turn is not False:\n        bot.step(event)\n"
        "    if event.user_turn is False:\n"),
    Bug("to accept a mail is to reply to it", "first_reply_time", "folds/moments.py",
        'frozenset(("email", "task", "other"))', 'frozenset(("task", "other"))'),
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
