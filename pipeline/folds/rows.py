"""What a fold returns: all rows of one key, whatever was published of them before."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from schemas.facts import Fact, Header


class Row(NamedTuple):
    """One fact as folded. ``fact_id`` never changes; everything else may, with a newer version."""

    fact_id: str
    kind: str
    fact: Fact


class BotSession(msgspec.Struct, frozen=True, array_like=True):
    """One bot session of a contact, as its customer's history needs it."""

    event_id: str
    performer_id: str
    model_version: str
    started_ms: int
    ended_ms: int | None
    handed_off: bool
    left: bool
    outcome: str = ""
    turns: int = 0
    flow: str = ""
    team: str = ""


class ContactRow(msgspec.Struct, frozen=True, array_like=True, tag="contact"):
    """One interaction, slim, as it travels to the history of its customer.

    ``channels`` are those it went over, in order, where they are several. ``matter`` is the case it
    named last.
    """

    header: Header
    started_ms: int
    ended_ms: int | None
    handled: bool
    abandoned: bool
    resolved: bool | None
    transferred: bool
    transfers: int
    handoffs_without_context: int
    authentications: int
    info_repeats: int
    wait_ms: int
    bot_sessions: tuple[BotSession, ...]
    handled_by: str = "none"
    queued: bool = False
    callback_ms: int | None = None
    called_back_ms: int | None = None
    channels: tuple[str, ...] = ()
    matter: str = ""


class CaseStep(msgspec.Struct, frozen=True, array_like=True):
    """One event of a case: opened, resolved or reopened, by whom."""

    at_ms: int
    kind: str
    event_id: str
    performer_kind: str
    performer_id: str


class CasePart(msgspec.Struct, frozen=True, array_like=True, tag="case"):
    """What one interaction says of a case, slim, as it travels to the case.

    ``named_ms`` is when an event of the interaction first named the case, None if it only holds the
    case's own steps. ``header`` is without performer.
    """

    case_id: str
    header: Header
    named_ms: int | None
    steps: tuple[CaseStep, ...]


class Link(msgspec.Struct, frozen=True, array_like=True, tag="link"):
    """What one event says of an identifier and an account: that they belong together, or not.

    ``of_accounts`` says that the identifier is an account itself; ``name`` is the event's, with its
    interaction's.
    """

    identifier: str
    account: str
    of_accounts: bool
    linked: bool
    at_ms: int
    name: str


class Place(msgspec.Struct, frozen=True, array_like=True, tag="place"):
    """Which customer's history holds the contacts of a key; empty: each is a history alone."""

    root: str


class Folded(NamedTuple):
    """All rows of one key as of one moment, and slim rows that belong to other histories.

    ``due_ms`` is the next moment at which time alone changes something, None if there is none.
    ``passed`` counts such moments that have passed, and grows with the clock alone: of two rows
    made of the same events, the one with more is the newer.
    """

    rows: tuple[Row, ...]
    contacts: tuple[ContactRow, ...]
    due_ms: int | None
    cases: tuple[CasePart, ...] = ()
    links: tuple[Link, ...] = ()
    passed: int = 0
