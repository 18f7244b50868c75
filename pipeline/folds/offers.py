"""Offers to human performers that were not taken; what was taken is a stint."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from pipeline.folds.event import Event

_CUSTOMER_LEAVES: Final = ("abandoned", "left_queue")


class Missed(NamedTuple):
    """One offer that was not taken; ``event`` told of it first and names performer and leg."""

    event: Event
    offered_ms: int | None
    missed_ms: int
    reason: str


def missed_offers(events: Sequence[Event]) -> list[Missed]:
    """Offers of one contact that were not taken, from all its events in their order.

    An offer that still rings is not missed yet. One that ends because somebody else accepts, or
    because it is offered anew, was left unanswered. Bots are not offered anything: they begin.
    """
    ringing: dict[tuple[str, str], Event] = {}
    missed: list[Missed] = []
    for event in events:
        place = (event.leg_id, event.performer_id)
        match event.kind:
            case "ringing" if event.performer_id and event.performer_kind != "bot":
                missed += _ended(ringing, [place], event.occurred_ms, "unanswered")
                ringing[place] = event
            case "declined" if event.performer_id:
                offer = ringing.pop(place, None)
                offered_ms = None if offer is None else offer.occurred_ms
                missed.append(Missed(offer or event, offered_ms, event.occurred_ms, "declined"))
            case "accepted":
                ringing.pop(place, None)
                others = [other for other in ringing if other[0] == event.leg_id]
                missed += _ended(ringing, others, event.occurred_ms, "unanswered")
            case kind if kind in _CUSTOMER_LEAVES:
                missed += _ended(ringing, _of_leg(ringing, event), event.occurred_ms, "withdrawn")
            case "completed":
                missed += _ended(ringing, list(ringing), event.occurred_ms, "withdrawn")
    return missed


def _of_leg(ringing: Iterable[tuple[str, str]], event: Event) -> list[tuple[str, str]]:
    return [place for place in ringing if place[0] == event.leg_id]


def _ended(
    ringing: dict[tuple[str, str], Event],
    places: Iterable[tuple[str, str]],
    at_ms: int,
    reason: str,
) -> list[Missed]:
    offers = [ringing.pop(place) for place in places if place in ringing]
    return [Missed(offer, offer.occurred_ms, at_ms, reason) for offer in offers]
