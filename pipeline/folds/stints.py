"""Queue stays and stints: the two kinds of time a contact is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from pipeline.folds.event import Event


@dataclass(eq=False, slots=True)
class Stay:
    """One stay in one queue."""

    event: Event
    after_bot: bool
    left_ms: int | None = None
    outcome: str = "waiting"
    reason: str = ""
    wait_ms: int | None = None
    answered_by: Stint | None = None

    @property
    def open(self) -> bool:
        """Whether the contact still waits here."""
        return self.outcome == "waiting"

    def leave(self, at_ms: int, outcome: str, reason: str = "", wait_ms: int | None = None) -> None:
        """End the stay; a wait measured by the platform wins over the difference of times."""
        self.left_ms = at_ms
        self.outcome = outcome
        self.reason = reason
        self.wait_ms = at_ms - self.event.occurred_ms if wait_ms is None else wait_ms


@dataclass(eq=False, slots=True)
class Stint:
    """One stint of one performer."""

    event: Event
    kind: str
    performer_id: str
    via: str
    stay: Stay | None = None
    left_ms: int | None = None
    closed_ms: int | None = None
    holding_since_ms: int | None = None
    hold_ms: int = 0
    consult_since_ms: int | None = None
    consult_ms: int = 0
    wrap_since_ms: int | None = None
    wrap_ms: int | None = None
    wrap_open: bool = False
    unknown_end: bool = False
    transferred: bool = False
    transfer_kind: str = ""
    passed_on_ms: int | None = None
    turns: int = 0
    no_match_turns: int = 0
    no_input_turns: int = 0
    confidences_micro: list[int] = field(default_factory=list)
    flow: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    bot_outcome: str = ""
    handoff_ms: int | None = None
    context_ok: bool | None = None
    handoff_accepted_ms: int | None = None
    handoff_abandoned: bool = False
    measured_talk_ms: int | None = None
    measured_hold_ms: int | None = None
    measured_wrap_ms: int | None = None

    @property
    def leg_id(self) -> str:
        """Leg served."""
        return self.event.leg_id

    @property
    def is_bot(self) -> bool:
        """Whether a machine serves."""
        return self.kind == "bot"

    @property
    def open(self) -> bool:
        """Whether the performer still serves the customer."""
        return self.left_ms is None and not self.unknown_end

    @property
    def handled(self) -> bool:
        """A human handles by accepting, a bot by giving a turn, resolving or handing off."""
        return not self.is_bot or self.turns > 0 or self.bot_outcome in ("resolved", "handoff")

    @property
    def handoff_pending(self) -> bool:
        """Handed off, and neither accepted by a human nor abandoned yet."""
        return (
            self.handoff_ms is not None
            and self.handoff_accepted_ms is None
            and not self.handoff_abandoned
        )

    def turn(self, event: Event) -> None:
        """Count a turn of the customer with a bot."""
        self.turns += 1
        self.no_match_turns += event.no_match is True
        self.no_input_turns += event.no_input is True
        if event.confidence_micro is not None:
            self.confidences_micro.append(event.confidence_micro)

    def step(self, event: Event) -> None:
        """Hear of one step of a bot: the flow it runs, what its models read and wrote for it."""
        self.flow = event.flow or self.flow
        self.input_tokens += event.input_tokens or 0
        self.output_tokens += event.output_tokens or 0

    def measure(self, event: Event) -> None:
        """Take over durations measured by the platform."""
        if event.talk_ms is not None:
            self.measured_talk_ms = event.talk_ms
        if event.hold_ms is not None:
            self.measured_hold_ms = event.hold_ms
        if event.wrap_ms is not None:
            self.measured_wrap_ms = event.wrap_ms

    def hold(self, at_ms: int) -> None:
        """Put the customer on hold; a second hold without a resume changes nothing."""
        if self.holding_since_ms is None:
            self.holding_since_ms = at_ms

    def resume(self, at_ms: int) -> None:
        """Take the customer back; a resume without a hold changes nothing."""
        if self.holding_since_ms is not None:
            self.hold_ms += at_ms - self.holding_since_ms
            self.holding_since_ms = None

    def end_consult(self, at_ms: int) -> None:
        """The customer joins, or the consultation is over."""
        if self.consult_since_ms is not None:
            self.consult_ms += at_ms - self.consult_since_ms
            self.consult_since_ms = None

    def leave(self, at_ms: int) -> None:
        """Stop serving; an open hold or consultation ends with it."""
        if self.open:
            self.resume(at_ms)
            self.end_consult(at_ms)
            self.left_ms = at_ms

    def start_wrap(self, at_ms: int) -> None:
        """Begin after-contact work, which ends the service where nothing else did."""
        self.leave(at_ms)
        if self.wrap_since_ms is None:
            self.wrap_since_ms = at_ms
            self.wrap_open = True

    def end_wrap(self, at_ms: int) -> None:
        """Complete after-contact work."""
        self.leave(at_ms)
        since = self.wrap_since_ms if self.wrap_since_ms is not None else self.left_ms
        self.wrap_ms = at_ms - (at_ms if since is None else since)
        self.wrap_open = False
        self.closed_ms = at_ms


def closed_ms_of(stint: Stint) -> int | None:
    """When the work of a stint was complete: after wrap-up, or at its end where there is none."""
    if stint.closed_ms is not None:
        return stint.closed_ms
    if stint.left_ms is None:
        return None
    if stint.wrap_open:
        if stint.measured_wrap_ms is None or stint.wrap_since_ms is None:
            return None
        return stint.wrap_since_ms + stint.measured_wrap_ms
    return stint.left_ms + (stint.measured_wrap_ms or 0)


def last_handler(handled: Sequence[Stint]) -> Stint | None:
    """Who served last: a colleague consulted in between is not it."""
    if not handled:
        return None
    return max(handled, key=lambda s: (s.left_ms is None, s.left_ms or 0, s.event.order))
