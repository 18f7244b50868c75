"""Genesys Cloud: conversation details, as its analytics tell a conversation as a whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from schemas.interaction import InteractionEvent
from schemas.platforms._genesys_common import (
    Conversation,
    agent,
    bot,
    bot_outcome,
    channel_of,
    customer_of,
    direction_of,
    ended_by,
    serves,
    transfer_kind,
    word,
)
from schemas.platforms.base import Parsed, epoch_ms
from schemas.platforms.node import Node

_CUSTOMERS: Final = frozenset({"CUSTOMER", "EXTERNAL"})
_AGENTS: Final = frozenset({"AGENT", "USER"})
_FLOWS: Final = frozenset({"IVR", "BOTFLOW"})
_SERVING: Final = frozenset({"INTERACT", "HOLD"})
_SUPERVISING: Final = frozenset({"MONITORING", "COACHING", "BARGING"})
_SUPERVISES: Final = ("monitoredParticipantId", "coachedParticipantId", "bargedParticipantId")


class _Segment:
    """A stretch of a session of one type."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.type = word(node, "segmentType")
        self.start = node.needed_time("segmentStart")
        self.end = node.time("segmentEnd")


class _Session:
    """One session of one participant."""

    def __init__(self, participant: Node, node: Node) -> None:
        self.node = node
        self.purpose = word(participant, "purpose")
        self.user = participant.text("userId") or node.text("selectedAgentId")
        self.team = participant.text("teamId")
        self.id = node.text("sessionId") or participant.text("participantId") or self.purpose
        self.segments = sorted(map(_Segment, node.nodes("segments")), key=lambda s: s.start)
        # Talk and hold are told in parts where there were several.
        self.metrics: Counter[str] = Counter()
        for metric in node.nodes("metrics"):
            self.metrics[metric.text("name") or ""] += metric.whole("value", "milliseconds") or 0
        self.answered_by: _Session | None = None

    @property
    def start(self) -> datetime:
        return self.segments[0].start

    @property
    def end(self) -> datetime | None:
        """When it ended; None while a segment of it is open."""
        ends = [segment.end for segment in self.segments]
        return None if None in ends else max(end for end in ends if end is not None)

    @property
    def queue(self) -> str | None:
        queues = [segment.node.text("queueId") for segment in self.segments]
        return next((queue for queue in queues if queue), None)

    @property
    def last(self) -> Node:
        """The segment that says how the session ended: wrap-up does not."""
        talking = [segment for segment in self.segments if segment.type != "WRAPUP"]
        return (talking or self.segments)[-1].node

    @property
    def serving(self) -> list[_Segment]:
        return [segment for segment in self.segments if segment.type in _SERVING]

    @property
    def supervises(self) -> bool:
        types = {segment.type for segment in self.segments}
        return bool(types & _SUPERVISING) or any(map(self.node.text, _SUPERVISES))

    def metric(self, *names: str) -> int | None:
        """The first of these measures, in milliseconds."""
        return next((self.metrics[name] for name in names if name in self.metrics), None)


def conversation_details(native: Node) -> Parsed:
    """Turn the details of one conversation into its whole story so far."""
    identity = native.text("conversationId")
    if identity is None:
        raise native.refused("conversationId", "text")
    sessions = sorted(
        (
            _Session(participant, node)
            for participant in native.nodes("participants")
            for node in participant.nodes("sessions")
            if node.nodes("segments")
        ),
        key=lambda session: (session.start, session.id),
    )
    customers = [session for session in sessions if session.purpose in _CUSTOMERS]
    if not customers:
        return Parsed(ignored=("no_customer",))
    began = native.needed_time("conversationStart")
    told = [segment.end or segment.start for s in sessions for segment in s.segments]
    ended = native.time("conversationEnd")
    version = max(epoch_ms(time) for time in (began, *told, *((ended,) if ended else ())))
    first = customers[0]
    direction = direction_of(native.text("originatingDirection") or word(first.node, "direction"))
    story = _Story(
        Conversation(identity, channel_of(first.node), direction, max(version, 1)), sessions
    )
    events = [story.started(first, began, direction), *story.sessions()]
    if ended is None and all(session.end for session in sessions):
        # Analytics sometimes leave the end out although everything in it has ended.
        ended = max(session.end for session in sessions if session.end)
    if ended:
        events.append(story.completed(customers[-1], min(ended, customers[-1].end or ended)))
    return Parsed(tuple(events), story.ignored)


class _Story:
    """The sessions of one conversation, told."""

    def __init__(self, conversation: Conversation, sessions: list[_Session]) -> None:
        self._tell = conversation.event
        self._sessions = sessions
        supervising = [s for s in sessions if s.purpose in _AGENTS and s.supervises]
        self.ignored = ("session:supervisor",) * len(supervising)
        self._served = [
            s for s in sessions if s.purpose in _AGENTS and s.serving and not s.supervises
        ]
        for session in self._served:
            self._answer(session)

    def _answer(self, session: _Session) -> None:
        """Find the stay in a queue that an agent's session answered."""
        if session.metrics and session.metric("tAnswered") is None:
            return
        stays = [
            stay
            for stay in self._sessions
            if stay.purpose == "ACD"
            and stay.answered_by is None
            and stay.queue == session.queue
            and stay.start <= session.serving[0].start
        ]
        if stays:
            stays[-1].answered_by = session

    def started(self, first: _Session, began: datetime, direction: str) -> InteractionEvent:
        customer = customer_of(first.node, direction)
        return self._tell("started", began, first.id, "started", customer=customer)

    def completed(self, last: _Session, ended: datetime) -> InteractionEvent:
        by_peer = "human" if self._served else "system"
        who = ended_by(word(last.last, "disconnectType"), by_peer=by_peer)
        return self._tell("completed", ended, last.id, "completed", ended_by=who)

    def sessions(self) -> Iterator[InteractionEvent]:
        """Events of all sessions but the customer's."""
        for session in self._sessions:
            if session.purpose == "ACD":
                yield from self._stay(session)
            elif session.purpose in _FLOWS:
                yield from self._flow(session)
            elif session.purpose in _AGENTS and not session.supervises:
                yield from self._agent(session)

    def _stay(self, session: _Session) -> Iterator[InteractionEvent]:
        fields: dict[str, Any] = {"queue": session.queue}
        yield self._tell("queued", session.start, session.id, "queued", **fields)
        slot = (session.id, "acd_end")
        answer = session.answered_by
        if answer:
            wait_ms = answer.metric("tAnswered")
            accepted = answer.serving[0].start
            fields |= {"via": "queue", "wait_ms": wait_ms, **agent(answer.user, answer.team)}
            yield self._tell("accepted", accepted, *slot, **fields)
        elif session.end:
            transferred = word(session.last, "disconnectType") == "TRANSFER"
            flowed = session.metric("tFlowOut") is not None
            gone = session.metric("tAbandon") is not None or not (flowed or transferred)
            yield self._tell("abandoned" if gone else "left_queue", session.end, *slot, **fields)

    def _flow(self, session: _Session) -> Iterator[InteractionEvent]:
        flow = session.node.node("flow")
        if not serves(word(flow, "flowType")):
            return
        yield self._tell("bot_started", session.start, session.id, "bot_started", **bot(flow))
        if session.end:
            last = session.last
            outcome = bot_outcome(flow or last, word(last, "disconnectType"))
            fields = {"outcome": outcome, **bot(flow)}
            yield self._tell("bot_ended", session.end, session.id, "bot_ended", **fields)

    def _agent(self, session: _Session) -> Iterator[InteractionEvent]:
        fields = {"queue": session.queue, **agent(session.user, session.team)}
        for number, segment in enumerate(session.segments):
            slot = (session.id, str(number))
            if segment.type == "ALERT":
                yield self._tell("ringing", segment.start, session.id, "ringing", **fields)
            elif segment.type == "HOLD":
                yield self._tell("hold", segment.start, *slot, "hold", **fields)
                if segment.end:
                    yield self._tell("resume", segment.end, *slot, "resume", **fields)
            elif segment.type == "WRAPUP":
                yield from self._wrap_up(session, segment, fields)
        serving = session.serving
        if not serving:
            yield from self._missed(session, fields)
            return
        if not any(stay.answered_by is session for stay in self._sessions):
            via = self._via(session)
            yield self._tell("accepted", serving[0].start, session.id, "acd_end", via=via, **fields)
        ended = [segment.end for segment in serving]
        left = max((end for end in ended if end), default=None)
        if left and None not in ended:
            how = transfer_kind(session.last)
            if how:
                slot = (session.id, "transfer")
                yield self._tell("transfer", left, *slot, transfer_kind=how, **fields)
            yield self._tell("left", left, session.id, "left", **fields)
            measured = {
                "talk_ms": session.metric("tTalkComplete", "tTalk"),
                "hold_ms": session.metric("tHeldComplete", "tHeld"),
            }
            if measured["talk_ms"] is not None:
                measured["hold_ms"] = measured["hold_ms"] or 0
            yield self._tell("record", left, session.id, "record", **measured, **fields)

    def _wrap_up(
        self, session: _Session, segment: _Segment, fields: dict[str, Any]
    ) -> Iterator[InteractionEvent]:
        yield self._tell("wrapup_started", segment.start, session.id, "wrapup_started", **fields)
        if segment.end:
            told = {"wrap_ms": session.metric("tAcw"), **fields}
            yield self._tell("wrapup_ended", segment.end, session.id, "wrapup_ended", **told)

    def _missed(self, session: _Session, fields: dict[str, Any]) -> Iterator[InteractionEvent]:
        """An offer that the agent did not take; where the customer hung up, nobody is to blame."""
        alerts = [segment for segment in session.segments if segment.type == "ALERT"]
        if alerts and session.end and word(session.last, "disconnectType") != "PEER":
            yield self._tell("declined", session.end, session.id, "declined", **fields)

    def _via(self, session: _Session) -> str:
        """How an agent came to the customer who answered no queue."""
        began = session.serving[0].start
        others = [s for s in self._served if s is not session and s.serving[0].start < began]
        if any(s.serving[-1].end is None or s.serving[-1].end > began for s in others):
            return "consult"
        return "transfer" if others else "direct"
