"""How the channels and queues of the simulated center behave; times are in seconds here."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

Media = Literal["voice", "messaging", "deferred", "onsite", "none"]
"""What an agent does at a time: one call, several chats, one mail, one visitor."""

CAPACITY: Final[dict[Media, int]] = {"voice": 1, "messaging": 3, "deferred": 1, "onsite": 1}
"""Contacts one agent serves at once; ``none`` is never served by an agent."""

STATE_CHANNEL: Final[dict[Media, str]] = {
    "voice": "voice", "messaging": "web_chat", "deferred": "email", "onsite": "face_to_face",
}  # fmt: skip
"""Channel named by the state events of an agent."""


class Channel(NamedTuple):
    """Behaviour of one channel.

    ``events_per_contact`` was measured over a simulated day of the default center. It only scales
    arrivals to the event rate asked for.
    """

    name: str
    media: Media
    identity: Literal["phone", "mail"]
    bot_share: float
    handoff_share: float
    left_share: float
    timed_out_share: float
    talk_median: float
    talk_sigma: float
    wrap_share: float
    wrap_mean: float
    patience_mean: float
    timeout: float
    survey_share: float
    events_per_contact: float

    @property
    def human_share(self) -> float:
        """Expected share of contacts that ask for an agent."""
        if self.media == "none":
            return 0.0
        return 1.0 - self.bot_share * (1.0 - self.handoff_share)

    @property
    def occupied_mean(self) -> float:
        """Expected seconds one contact occupies one place of an agent: talk, hold and wrap-up."""
        mean_over_median = 1.0 + self.talk_sigma**2 / 2
        return 1.2 * self.talk_median * mean_over_median + self.wrap_share * self.wrap_mean + 5.0


def _messaging(name: str, identity: Literal["phone", "mail"]) -> Channel:
    return Channel(
        name, "messaging", identity, bot_share=0.9, handoff_share=0.42, left_share=0.13,
        timed_out_share=0.08, talk_median=300, talk_sigma=0.6, wrap_share=0.5, wrap_mean=25,
        patience_mean=420, timeout=1800, survey_share=0.35, events_per_contact=12.2,
    )  # fmt: skip


CHANNELS: Final[dict[str, Channel]] = {
    channel.name: channel
    for channel in (
        Channel(
            "voice", "voice", "phone", bot_share=0.55, handoff_share=0.7, left_share=0.1,
            timed_out_share=0.01, talk_median=180, talk_sigma=0.65, wrap_share=0.85, wrap_mean=35,
            patience_mean=210, timeout=600, survey_share=0.25, events_per_contact=14.6,
        ),
        _messaging("web_chat", "mail"),
        _messaging("wechat", "mail"),
        _messaging("whatsapp", "phone"),
        _messaging("facebook", "mail"),
        _messaging("instagram", "mail"),
        _messaging("line", "mail"),
        _messaging("sms", "phone"),
        Channel(
            "email", "deferred", "mail", bot_share=0.0, handoff_share=0.0, left_share=0.0,
            timed_out_share=0.0, talk_median=240, talk_sigma=0.5, wrap_share=0.2, wrap_mean=30,
            patience_mean=0, timeout=43_200, survey_share=0.3, events_per_contact=9.0,
        ),
        Channel(
            "face_to_face", "onsite", "phone", bot_share=0.0, handoff_share=0.0, left_share=0.0,
            timed_out_share=0.0, talk_median=420, talk_sigma=0.5, wrap_share=0.4, wrap_mean=60,
            patience_mean=900, timeout=5400, survey_share=0.3, events_per_contact=9.6,
        ),
        Channel(
            "field_service", "onsite", "phone", bot_share=0.0, handoff_share=0.0, left_share=0.0,
            timed_out_share=0.0, talk_median=1800, talk_sigma=0.5, wrap_share=0.8, wrap_mean=300,
            patience_mean=0, timeout=0, survey_share=0.5, events_per_contact=8.1,
        ),
        Channel(
            "self_service", "none", "phone", bot_share=1.0, handoff_share=0.0, left_share=0.2,
            timed_out_share=0.05, talk_median=0, talk_sigma=0, wrap_share=0, wrap_mean=0,
            patience_mean=0, timeout=0, survey_share=0.1, events_per_contact=10.7,
        ),
    )
}  # fmt: skip

CHANNEL_SHARES: Final[dict[str, float]] = {
    "voice": 0.40, "web_chat": 0.13, "whatsapp": 0.11, "line": 0.05, "wechat": 0.04,
    "facebook": 0.04, "instagram": 0.03, "email": 0.08, "sms": 0.03, "face_to_face": 0.02,
    "field_service": 0.01, "self_service": 0.06,
}  # fmt: skip
"""Default share of each channel in the contacts of customers."""


class Queue(NamedTuple):
    """One queue and what customers want there. An intent belongs to one queue."""

    name: str
    intents: tuple[str, ...]
    kcr_task: str
    client: str
    overflow_to: str
    transfer_to: str
    resolved_share: float


QUEUES: Final[dict[str, Queue]] = {
    queue.name: queue
    for queue in (
        Queue("sales", ("new_order", "plan_upgrade", "quote"), "sell", "client-a",
              "support", "billing", 0.80),
        Queue("billing", ("invoice_question", "refund", "payment_plan"), "bill", "client-a",
              "support", "support", 0.74),
        Queue("support", ("delivery_problem", "password_reset", "outage", "warranty"), "assist",
              "client-b", "billing", "billing", 0.68),
        Queue("vip", ("account_review", "priority_request"), "assist", "client-a",
              "support", "sales", 0.86),
    )
}  # fmt: skip

QUEUE_SHARES: Final[dict[str, float]] = {
    "sales": 0.26, "billing": 0.28, "support": 0.38, "vip": 0.08,
}  # fmt: skip
"""Default share of each queue in the contacts of customers."""

DAILY_CURVE: Final[tuple[float, ...]] = (
    0.25, 0.18, 0.14, 0.12, 0.14, 0.24, 0.45, 0.80, 1.30, 1.75, 1.95, 1.85,
    1.60, 1.65, 1.80, 1.75, 1.60, 1.40, 1.25, 1.15, 1.00, 0.78, 0.55, 0.38,
)  # fmt: skip
"""Arrivals at each local hour against each other, 0 h to 23 h."""

BOT_VERSIONS: Final[tuple[tuple[str, float], ...]] = (("2026.09", 0.8), ("2026.10", 1.0))
"""Versions of the bots' model with their cumulative share; the newer one resolves a little more."""

LANGUAGES: Final[tuple[str, ...]] = ("en", "en", "en", "es", "tl", "zh")
