"""What a caller chooses about the simulated center."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipeline.simulator.profiles import (
    CHANNEL_SHARES,
    CHANNELS,
    DAILY_CURVE,
    QUEUE_SHARES,
    QUEUES,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatorConfig:
    """Size, mixes and habits of the center; every share is between 0 and 1.

    Attributes:
        events_per_second: Events a second of event time, as a mean over a whole day of the curve.
            Arrivals, customers and agents scale with it.
        channels: Weight of each channel of contacts that customers begin.
        queues: Weight of each queue of those contacts.
        daily_curve: Weights of the 24 local hours; equal weights make a flat day.
        utc_offset_minutes: Local time of the center against UTC.
        occupancy: Share of their time for which agents are meant to be occupied. Higher means
            longer queues and more abandons.
        customers_per_daily_contact: Size of the customer base against the contacts of one day.
        withheld_share: Contacts without any customer identity.
        outbound_share: Outbound calls against contacts of customers.
        internal_share: Internal calls against contacts of customers.
        silent_bot_share: Bot sessions the customer leaves before the first turn.
        context_lost_share: Handoffs from a bot without context.
        repeat_scale: Multiplies the probability that a customer comes back for the same reason.
        survey_scale: Multiplies the probability that a survey is sent.
        survey_answer_share: Surveys that are answered.
        decision_share: Answers of bots that are told as decisions of an AI.
        evaluation_share: Handled contacts that are evaluated.
        case_share: Contacts of known customers that open a case.
        decline_share: Offers an agent lets ring until they are taken away.
        arrivals_stop_ms: No contact begins at or after this time, repeats included, so that a later
            ``generate`` drains the center; None for never.
        plans: Whether forecasts, required staff, rates, people and verified bots are told, too.
        keep_truth: Whether records are kept for ``truth``; without them memory stays bounded.
    """

    events_per_second: float = 20.0
    channels: Mapping[str, float] = field(default_factory=lambda: CHANNEL_SHARES)
    queues: Mapping[str, float] = field(default_factory=lambda: QUEUE_SHARES)
    daily_curve: tuple[float, ...] = DAILY_CURVE
    utc_offset_minutes: int = 0
    occupancy: float = 0.88
    customers_per_daily_contact: float = 30.0
    withheld_share: float = 0.03
    outbound_share: float = 0.04
    internal_share: float = 0.015
    silent_bot_share: float = 0.02
    context_lost_share: float = 0.25
    repeat_scale: float = 1.0
    survey_scale: float = 1.0
    survey_answer_share: float = 0.35
    decline_share: float = 0.02
    decision_share: float = 0.1
    evaluation_share: float = 0.05
    case_share: float = 0.03
    arrivals_stop_ms: int | None = None
    plans: bool = False
    keep_truth: bool = True

    def __post_init__(self) -> None:
        """Refuse what no center could be.

        Raises:
            ValueError: For an unknown channel or queue, a share outside 0..1, a rate that is not
                positive, or a curve without 24 positive weights.
        """
        for name, weights, known in (
            ("channels", self.channels, CHANNELS),
            ("queues", self.queues, QUEUES),
        ):
            unknown = sorted(set(weights) - set(known))
            if unknown:
                raise ValueError(f"{name}: unknown {unknown[0]!r}, known are {', '.join(known)}")
            if not weights or min(weights.values()) < 0 or sum(weights.values()) <= 0:
                raise ValueError(f"{name}: weights must not be negative nor all zero")
        if self.events_per_second <= 0 or self.customers_per_daily_contact <= 0:
            raise ValueError("events_per_second and customers_per_daily_contact must be positive")
        if not 0.05 <= self.occupancy <= 1.5:
            raise ValueError("occupancy must lie between 0.05 and 1.5")
        if len(self.daily_curve) != 24 or min(self.daily_curve) <= 0:
            raise ValueError("daily_curve needs 24 positive weights")
        for name in (
            "withheld_share", "outbound_share", "internal_share", "silent_bot_share",
            "context_lost_share", "survey_answer_share", "decline_share",
            "decision_share", "evaluation_share", "case_share",
        ):  # fmt: skip
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name} must lie between 0 and 1")
        if self.repeat_scale < 0 or self.survey_scale < 0:
            raise ValueError("repeat_scale and survey_scale must not be negative")
