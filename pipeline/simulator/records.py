"""What really happened: records written by the simulator as it decides, never from its events.

A record may lie in the future of the event just generated, because a decision fixes what follows
from it. Whoever counts therefore looks at a record only up to the time asked for. The words mean
what they mean in ``schemas/facts.py``.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True, eq=False)
class Interaction:
    """One interaction of one customer.

    ``first_queue`` is empty until it enters a queue, or is accepted from one.
    """

    interaction_id: str
    channel: str
    direction: str
    intent: str
    customer: str
    started_ms: int
    first_queue: str = ""
    first_queued_ms: int | None = None
    ended_ms: int | None = None
    ended_by: str = ""
    resolved: bool | None = None
    handled: bool = False
    abandoned: bool = False
    transfers: int = 0
    bot_sessions: int = 0
    handoffs: int = 0
    handoffs_without_context: int = 0
    authentications: int = 0
    info_repeats: int = 0
    last_performer_id: str = ""
    last_queue: str = ""

    def queue_as_of(self, until_ms: int) -> str:
        """Its first queue, empty as long as it has neither entered nor been accepted from one."""
        entered = self.first_queued_ms is not None and self.first_queued_ms <= until_ms
        return self.first_queue if entered else ""


@dataclass(slots=True, eq=False)
class QueueStay:
    """One stay in one queue; ``outcome`` holds from ``left_ms`` on, before it waits."""

    interaction: Interaction
    queue: str
    entered_ms: int
    left_ms: int | None = None
    outcome: str = "waiting"
    reason: str = ""
    after_bot: bool = False

    @property
    def wait_ms(self) -> int | None:
        """Time in this queue, None while waiting."""
        return None if self.left_ms is None else self.left_ms - self.entered_ms


@dataclass(slots=True, eq=False)
class Stint:
    """One stint of one performer; its durations are complete from ``closed_ms`` on."""

    interaction: Interaction
    queue: str
    performer_id: str
    performer_kind: str
    via: str
    accepted_ms: int
    left_ms: int | None = None
    closed_ms: int | None = None
    talk_ms: int = 0
    hold_ms: int = 0
    wrap_ms: int = 0
    consult_ms: int = 0
    handled: bool = True
    transferred: bool = False
    transfer_kind: str = ""

    @property
    def handle_ms(self) -> int:
        """Talk, hold and wrap-up; consultation is part of talk."""
        return self.talk_ms + self.hold_ms + self.wrap_ms


@dataclass(slots=True, eq=False)
class BotSession:
    """One bot session; ``outcome`` and ``turns``, those of the user, hold from ``ended_ms`` on."""

    interaction: Interaction
    queue: str
    performer_id: str
    model_version: str
    started_ms: int
    ended_ms: int
    outcome: str
    turns: int
    handoff_ms: int | None = None
    context_ok: bool | None = None
    handoff_accepted_ms: int | None = None

    @property
    def handoff_wait_ms(self) -> int | None:
        """Time from asking for a human to the human's accepting, None without either."""
        if self.handoff_ms is None or self.handoff_accepted_ms is None:
            return None
        return self.handoff_accepted_ms - self.handoff_ms


@dataclass(slots=True, eq=False)
class Survey:
    """One question to one customer about an ended interaction.

    It is credited to the last handler, and to the queue through which that one got the contact.
    """

    interaction: Interaction
    queue: str
    survey_id: str
    question: str
    scale: int
    sent_ms: int
    answered_ms: int | None = None
    score: int | None = None


class Records:
    """All records, in the order in which they began.

    ``known_until_ms`` is the time up to which the simulator has told everything.
    """

    def __init__(self, known_until_ms: int, *, keep: bool = True) -> None:
        self.known_until_ms = known_until_ms
        self.interactions: list[Interaction] = []
        self.stays: list[QueueStay] = []
        self.stints: list[Stint] = []
        self.bot_sessions: list[BotSession] = []
        self.surveys: list[Survey] = []
        self._keep = keep

    def add_interaction(self, record: Interaction) -> Interaction:
        """Keep and return a record."""
        if self._keep:
            self.interactions.append(record)
        return record

    def add_stay(self, record: QueueStay) -> QueueStay:
        """Keep and return a record."""
        if self._keep:
            self.stays.append(record)
        return record

    def add_stint(self, record: Stint) -> Stint:
        """Keep and return a record."""
        if self._keep:
            self.stints.append(record)
        return record

    def add_bot_session(self, record: BotSession) -> BotSession:
        """Keep and return a record."""
        if self._keep:
            self.bot_sessions.append(record)
        return record

    def add_survey(self, record: Survey) -> Survey:
        """Keep and return a record."""
        if self._keep:
            self.surveys.append(record)
        return record
