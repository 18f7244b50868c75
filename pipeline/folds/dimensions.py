"""Dimensions of rows: what the events of an interaction told last, and who is credited."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from pipeline.folds.event import Event
from schemas.facts import Header


class Performed(NamedTuple):
    """Who performed, and what was told last of where and as what: empty where nothing was."""

    performer_kind: str
    performer_id: str
    model_version: str
    site: str
    location: str
    employment: str
    vendor: str
    team: str


def header_of(interaction_id: str, first: Event, events: Iterable[Event]) -> Header:
    """The header of an interaction; ``first`` tells its channel, direction and source.

    Every other dimension is as it was told last by ``events``, which are in canonical order.
    """
    customer_key = intent = kcr_task = capability = client = vendor = language = flow = ""
    for event in events:
        if event.customer_key:
            customer_key = event.customer_key
        if event.intent:
            intent = event.intent
        if event.kcr_task:
            kcr_task = event.kcr_task
        if event.capability:
            capability = event.capability
        if event.client:
            client = event.client
        if event.vendor:
            vendor = event.vendor
        if event.language:
            language = event.language
        if event.flow:
            flow = event.flow
    return Header(
        interaction_id=interaction_id, customer_key=customer_key, channel=first.channel,
        direction=first.direction, intent=intent, kcr_task=kcr_task, capability=capability,
        client=client, vendor=vendor, language=language, source=first.source, flow=flow,
    )  # fmt: skip


def performed_by(kind: str, performer_id: str, first: Event, events: Iterable[Event]) -> Performed:
    """What ``first``, and after it the events of the performer, told last of it."""
    model_version, site, location = first.model_version, first.site, first.location
    employment, vendor, team = first.employment, first.vendor, first.team
    if performer_id:
        for event in events:
            if event.performer_id != performer_id:
                continue
            model_version = event.model_version or model_version
            site = event.site or site
            location = event.location or location
            employment = event.employment or employment
            vendor = event.vendor or vendor
            team = event.team or team
    return Performed(kind, performer_id, model_version, site, location, employment, vendor, team)


def credited(header: Header, queue: str, performed: Performed | None) -> Header:
    """The header with a queue, credited to whoever performed."""
    cells = list(header)
    cells[_QUEUE] = queue
    if performed is not None:
        for place, told in zip(_PERFORMED, performed, strict=True):
            if told or place in _WHO:
                cells[place] = told
    return Header._make(cells)


_QUEUE: Final = Header._fields.index("queue")
_PERFORMED: Final = tuple(Header._fields.index(name) for name in Performed._fields)
_WHO: Final = _PERFORMED[:2]
"""What a performer is says itself, even where it is blank."""
