"""Expected numerators and denominators of KPIs, counted from the truth.

Each function below reads one kind of record and says, for each KPI, when the record counts and with
what. Nothing here knows events, folds or KPI definitions.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Final, NamedTuple

from pipeline.simulator.records import (
    BotSession,
    Interaction,
    QueueStay,
    Records,
    Stint,
    Survey,
)

BUCKET_MS: Final = 900_000
"""Tumbling buckets are 15 minutes of UTC."""
SERVICE_LEVEL_THRESHOLD_MS: Final = 20_000
REPEAT_WINDOW_MS: Final = 168 * 3_600_000
ANY: Final = "*"

KPIS: Final = (
    "offered", "answered", "abandoned", "flow_outs", "asa", "mean_time_to_abandon", "abandon_rate",
    "service_level", "handled", "handled_human", "aht", "aht_human", "interactions",
    "transfer_rate", "bot_sessions", "handoff_rate", "containment_naive", "csat_top_box",
    "csat_top_box_response", "nps", "nps_response", "survey_response_rate", "fcr_repeat",
    "fcr_repeat_any", "repeat_rate", "repeat_rate_any",
)  # fmt: skip
"""Names of the counted KPIs: catalogue ids with their default parameters, except

- ``handled_human``, ``aht_human``: the same of human stints only;
- ``csat_top_box_response``, ``nps_response``: date is the response's, else the interaction's end;
- ``fcr_repeat_any``, ``repeat_rate_any``: scope any, else same_intent. FCR is the provisional row.
"""


class Key(NamedTuple):
    """One number: ``bucket_ms`` is the start of its bucket, None for all time."""

    kpi: str
    queue: str
    channel: str
    bucket_ms: int | None


class Pair(NamedTuple):
    """Numerator and denominator; counts have both alike, times are milliseconds."""

    numerator: int
    denominator: int


class _Share(NamedTuple):
    """What one record adds to one KPI at one time."""

    kpi: str
    queue: str
    channel: str
    at_ms: int
    numerator: int
    denominator: int


NOTHING: Final = Pair(0, 0)


class Summary:
    """Expected numbers as of one time."""

    def __init__(self, until_ms: int, pairs: dict[Key, Pair]) -> None:
        self.until_ms = until_ms
        self.pairs = pairs
        """Every number that has a numerator or denominator; ``*`` is the total."""

    def get(
        self, kpi: str, queue: str = ANY, channel: str = ANY, bucket_ms: int | None = None
    ) -> Pair:
        """One pair, (0, 0) where nothing is counted.

        Raises:
            KeyError: For a KPI that is not one of ``KPIS``.
        """
        if kpi not in KPIS:
            raise KeyError(kpi)
        return self.pairs.get(Key(kpi, queue, channel, bucket_ms), NOTHING)

    def buckets(self) -> list[int]:
        """Starts of all buckets in which something is counted, in order."""
        return sorted({key.bucket_ms for key in self.pairs if key.bucket_ms is not None})


def summarize(truth: Records, until_ms: int, direction: str | None = "inbound") -> Summary:
    """Count all KPIs as of ``until_ms``, that instant included.

    Args:
        truth: Records of the simulator.
        until_ms: The clock; what happened later is unknown.
        direction: Only interactions of this direction count; None for all.

    Raises:
        ValueError: If the simulator has not told everything up to ``until_ms`` yet.
    """
    if until_ms > truth.known_until_ms:
        raise ValueError(f"the truth is known until {truth.known_until_ms}, not until {until_ms}")
    cells: defaultdict[Key, list[int]] = defaultdict(lambda: [0, 0])
    for share in _shares(truth, until_ms, direction):
        bucket_ms = share.at_ms - share.at_ms % BUCKET_MS
        pair = cells[Key(share.kpi, share.queue, share.channel, bucket_ms)]
        pair[0] += share.numerator
        pair[1] += share.denominator
    return Summary(until_ms, _with_totals(cells))


def _with_totals(cells: dict[Key, list[int]]) -> dict[Key, Pair]:
    """Add to the cells of queue, channel and bucket the totals over each of the three."""
    sums: defaultdict[Key, list[int]] = defaultdict(lambda: [0, 0])
    for cell, (numerator, denominator) in cells.items():
        for queue in (cell.queue, ANY):
            for channel in (cell.channel, ANY):
                for bucket_ms in (cell.bucket_ms, None):
                    pair = sums[Key(cell.kpi, queue, channel, bucket_ms)]
                    pair[0] += numerator
                    pair[1] += denominator
    return {key: Pair(*pair) for key, pair in sums.items()}


def _shares(truth: Records, until_ms: int, direction: str | None) -> Iterator[_Share]:
    def counts(interaction: Interaction) -> bool:
        return direction is None or interaction.direction == direction

    for stay in truth.stays:
        if counts(stay.interaction) and stay.entered_ms <= until_ms:
            yield from _of_stay(stay, until_ms)
    for stint in truth.stints:
        if counts(stint.interaction):
            yield from _of_stint(stint, until_ms)
    for session in truth.bot_sessions:
        if counts(session.interaction) and session.started_ms <= until_ms:
            yield from _of_bot_session(session, until_ms)
    for survey in truth.surveys:
        if counts(survey.interaction) and survey.sent_ms <= until_ms:
            yield from _of_survey(survey, until_ms)
    for interaction in truth.interactions:
        if counts(interaction) and interaction.started_ms <= until_ms:
            yield from _of_interaction(interaction, until_ms)
    for contacts in _by_customer(truth, until_ms).values():
        for position, contact in enumerate(contacts):
            if counts(contact):
                yield from _of_contact(contact, contacts[:position], contacts[position + 1 :],
                                       until_ms)  # fmt: skip


def _happened(at_ms: int | None, until_ms: int) -> bool:
    return at_ms is not None and at_ms <= until_ms


def _of_stay(stay: QueueStay, until_ms: int) -> Iterator[_Share]:
    """Queue KPIs count in the bucket in which the queue was entered."""

    def share(kpi: str, numerator: int, denominator: int = 1) -> _Share:
        return _Share(
            kpi, stay.queue, stay.interaction.channel, stay.entered_ms, numerator, denominator
        )

    outcome = stay.outcome if _happened(stay.left_ms, until_ms) else "waiting"
    wait_ms = stay.wait_ms or 0
    yield share("offered", 1)
    yield share("abandon_rate", int(outcome == "abandoned"))
    if outcome == "answered":
        yield share("answered", 1)
        yield share("asa", wait_ms)
        yield share("service_level", int(wait_ms <= SERVICE_LEVEL_THRESHOLD_MS))
    elif outcome == "abandoned":
        yield share("abandoned", 1)
        yield share("mean_time_to_abandon", wait_ms)
        yield share("service_level", 0)
    elif outcome == "flow_out":
        yield share("flow_outs", 1)


def _of_stint(stint: Stint, until_ms: int) -> Iterator[_Share]:
    """Handling KPIs count when all work of the stint was complete."""
    closed_ms = stint.closed_ms
    if closed_ms is None or closed_ms > until_ms or not stint.handled:
        return
    for kpi, value in (("handled", 1), ("aht", stint.handle_ms)):
        yield _Share(kpi, stint.queue, stint.interaction.channel, closed_ms, value, 1)
        if stint.performer_kind == "human":
            yield _Share(
                f"{kpi}_human", stint.queue, stint.interaction.channel, closed_ms, value, 1
            )


def _of_bot_session(session: BotSession, until_ms: int) -> Iterator[_Share]:
    """Sessions count when they begin, their outcomes when they end."""
    channel = session.interaction.channel
    yield _Share("bot_sessions", session.queue, channel, session.started_ms, 1, 1)
    if session.ended_ms <= until_ms:
        handed_off = session.outcome == "handoff"
        ended_ms = session.ended_ms
        yield _Share("handoff_rate", session.queue, channel, ended_ms, int(handed_off), 1)
        yield _Share("containment_naive", session.queue, channel, ended_ms, int(not handed_off), 1)


def _of_survey(survey: Survey, until_ms: int) -> Iterator[_Share]:
    """Scores count once answered, at either date; the response rate when the survey was sent."""
    queue, channel = survey.queue, survey.interaction.channel
    answered = _happened(survey.answered_ms, until_ms)
    yield _Share("survey_response_rate", queue, channel, survey.sent_ms, int(answered), 1)
    if not answered:
        return
    answered_ms, ended_ms, score = survey.answered_ms, survey.interaction.ended_ms, survey.score
    if answered_ms is None or ended_ms is None or score is None:
        raise AssertionError("an answered survey has a score and an ended interaction")
    if survey.question == "csat":
        kpi, value = "csat_top_box", int(score >= 4)
    elif survey.question == "nps":
        kpi, value = "nps", int(score >= 9) - int(score <= 6)
    else:
        return
    yield _Share(kpi, queue, channel, ended_ms, value, 1)
    yield _Share(f"{kpi}_response", queue, channel, answered_ms, value, 1)


def _of_interaction(interaction: Interaction, until_ms: int) -> Iterator[_Share]:
    queue, channel = interaction.queue_as_of(until_ms), interaction.channel
    yield _Share("interactions", queue, channel, interaction.started_ms, 1, 1)
    ended_ms = interaction.ended_ms
    if ended_ms is not None and ended_ms <= until_ms and interaction.handled:
        yield _Share("transfer_rate", queue, channel, ended_ms, int(interaction.transfers > 0), 1)


def _by_customer(truth: Records, until_ms: int) -> dict[str, list[Interaction]]:
    """Contacts of each known customer in order of time; no two of one customer overlap."""
    found: defaultdict[str, list[Interaction]] = defaultdict(list)
    for interaction in truth.interactions:
        if interaction.customer and interaction.started_ms <= until_ms:
            found[interaction.customer].append(interaction)
    return found


def _of_contact(
    contact: Interaction, earlier: list[Interaction], later: list[Interaction], until_ms: int
) -> Iterator[_Share]:
    """First-contact resolution counts at the end of a contact, a repeat when it begins.

    An abandoned contact is a repeat of the one before, but is itself not eligible for FCR.
    """
    queue, channel = contact.queue_as_of(until_ms), contact.channel
    for suffix, intent in (("", contact.intent), ("_any", None)):
        came_again = any(
            intent in (None, other.intent) and _gap_ms(contact, other) <= REPEAT_WINDOW_MS
            for other in later
        )
        was_here = any(
            intent in (None, other.intent) and _gap_ms(other, contact) <= REPEAT_WINDOW_MS
            for other in earlier
        )
        yield _Share(f"repeat_rate{suffix}", queue, channel, contact.started_ms, int(was_here), 1)
        ended_ms = contact.ended_ms
        if ended_ms is None or ended_ms > until_ms or not contact.handled or contact.abandoned:
            continue
        yield _Share(f"fcr_repeat{suffix}", queue, channel, ended_ms, int(not came_again), 1)


def _gap_ms(first: Interaction, second: Interaction) -> int:
    """Time from the end of a contact to the start of a later one of the same customer."""
    if first.ended_ms is None:
        raise AssertionError("a customer's contact ends before the next one begins")
    return second.started_ms - first.ended_ms
