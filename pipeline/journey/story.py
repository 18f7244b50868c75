"""A journey as text: each contact, who served it, how long it waited, and how it went on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from pipeline.journey.effort import PARTS, Weights, parts

Fact = Mapping[str, Any]

_UNITS: Final = ((86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1_000, "s"))
_BOT_ENDS: Final = {
    "resolved": "resolved it",
    "left": "left by the customer",
    "timed_out": "timed out",
}


class Facts(NamedTuple):
    """Facts of journeys, as columns by name: from ClickHouse or from a replay.

    ``contacts`` are whole interactions, without the parts of bots.
    """

    journeys: Sequence[Fact]
    contacts: Sequence[Fact]
    interactions: Sequence[Fact]
    queue_segments: Sequence[Fact]
    handling_segments: Sequence[Fact]
    surveys: Sequence[Fact]


def tell(facts: Facts, weights: Weights) -> Iterator[str]:
    """Lines that tell every journey of ``facts``, in their order."""
    for journey in sorted(facts.journeys, key=lambda fact: fact["started_ms"]):
        yield from _journey(journey, facts, weights)


def _journey(journey: Fact, facts: Facts, weights: Weights) -> Iterator[str]:
    name = journey["interaction_id"]
    contacts = [fact for fact in facts.contacts if fact["journey_id"] == name]
    contacts.sort(key=lambda fact: (fact["started_ms"], fact["interaction_id"]))
    about = journey["intent"] or "no intent told"
    if journey["matter"]:
        about += f", case {journey['matter']}"
    yield f"journey {name}: {about}; {_outcome(journey)}"
    channels = "channel" if journey["channels"] == 1 else "channels"
    served = {"none": "nobody", "both": "bots and people", "human": "people", "bot": "bots"}
    line = f"  {_many(len(contacts), 'contact')} on {journey['channels']} {channels}"
    line += f", served by {served[journey['handled_by']]}"
    if journey["reopens"]:
        line += f", reopened {_times(journey['reopens'])}"
    yield line
    yield f"  {_effort(journey, weights)}"
    before_ms: int | None = None
    for number, contact in enumerate(contacts, 1):
        yield from _contact(number, contact, before_ms, facts)
        before_ms = contact["ended_ms"]


def _outcome(journey: Fact) -> str:
    if journey["resolved_ms"] is not None:
        return f"resolved after {_span(journey['resolved_ms'] - journey['started_ms'])}"
    if journey["ended_ms"] is None:
        return "goes on"
    if journey["given_up_in"]:
        return f"given up in a {journey['given_up_in']}"
    return "not resolved" if journey["resolved"] is False else "nobody said how it ended"


def _effort(journey: Fact, weights: Weights) -> str:
    found = {name: effort for name, effort in parts(journey, weights).items() if effort}
    told = " + ".join(f"{PARTS[name][0]} {effort:g}" for name, effort in found.items())
    return f"effort {sum(found.values()):g}" + (f" = {told}" if told else "")


def _contact(number: int, contact: Fact, before_ms: int | None, facts: Facts) -> Iterator[str]:
    name = contact["interaction_id"]
    line = f"  {number}. {_moment(contact['started_ms'])} {contact['channel']}"
    if contact["direction"] != "inbound":
        line += f" {contact['direction']}"
    line += f", {name}"
    if before_ms is not None and contact["started_ms"] >= before_ms:
        line += f", {_span(contact['started_ms'] - before_ms)} after the last"
    yield line
    steps = [
        *((fact["entered_ms"], 0, _wait(fact)) for fact in _of(name, facts.queue_segments)),
        *((fact["accepted_ms"], 1, _stint(fact)) for fact in _of(name, facts.handling_segments)),
        *((fact["answered_ms"], 2, _answer(fact)) for fact in _answers(name, facts.surveys)),
    ]
    for at_ms, _, text in sorted(steps):
        yield f"       {_clock(at_ms, contact['started_ms'])} {text}"
    yield f"       {_end(contact, next(iter(_of(name, facts.interactions)), {}))}"


def _of(name: str, facts: Iterable[Fact]) -> Iterator[Fact]:
    return (fact for fact in facts if fact["interaction_id"] == name)


def _answers(name: str, surveys: Iterable[Fact]) -> Iterator[Fact]:
    for fact in _of(name, surveys):
        if fact["credit"] == "last" and fact["answered_ms"] is not None:
            yield fact


def _wait(stay: Fact) -> str:
    where = stay["queue"] or "a queue"
    if stay["team"]:
        where += f" of team {stay['team']}"
    if stay["outcome"] == "waiting":
        return f"waits in {where}"
    waited = f"waits {_span(stay['wait_ms'])}" if stay["wait_ms"] is not None else "waits"
    ends = {
        "answered": "",
        "abandoned": ", abandons",
        "flow_out": f", flows out{_because(stay['reason'])}",
        "ended": ", then it ends",
    }
    return f"{waited} in {where}{ends[stay['outcome']]}"


def _because(reason: str) -> str:
    return f" ({reason})" if reason else ""


def _stint(stint: Fact) -> str:
    who = f"{stint['performer_kind']} {stint['performer_id'] or 'unknown'}"
    if stint["performer_kind"] == "bot" and stint["model_version"]:
        who += f" {stint['model_version']}"
    if stint["performer_kind"] == "bot" and stint["flow"]:
        who += f" in flow {stint['flow']}"
    if stint["team"]:
        who += f" of team {stint['team']}"
    if stint["left_ms"] is None:
        return f"{who} serves"
    text = f"{who} serves {_span(stint['left_ms'] - stint['accepted_ms'])}"
    if stint["handoff_ms"] is not None:
        return text + _handoff(stint)
    if stint["bot_outcome"] in _BOT_ENDS:
        text += f", {_BOT_ENDS[stint['bot_outcome']]}"
    if stint["hold_ms"]:
        text += f", {_span(stint['hold_ms'])} on hold"
    if stint["transferred"]:
        text += f", passes it on{_because(stint['transfer_kind'])}"
    return text


def _handoff(stint: Fact) -> str:
    context = {True: "with context", False: "without context", None: "context not told"}
    text = f", hands over {context[stint['handoff_context_ok']]}"
    if stint["handoff_accepted_ms"] is not None:
        text += f", a human after {_span(stint['handoff_accepted_ms'] - stint['handoff_ms'])}"
    elif stint["handoff_abandoned"]:
        text += ", given up before a human came"
    return text + (", asked again after it" if stint["handoff_repeated"] else "")


def _answer(survey: Fact) -> str:
    return f"answers {survey['question']} {survey['score']} of {survey['scale']}"


def _end(contact: Fact, whole: Fact) -> str:
    if contact["ended_ms"] is None:
        text = "goes on"
    else:
        said = {True: "resolved", False: "not resolved", None: "nothing said"}
        how = "abandoned" if contact["abandoned"] else said[contact["resolved"]]
        text = f"ends {_clock(contact['ended_ms'], contact['started_ms'])}, {how}"
    if whole.get("authentications"):
        text += f"; authenticated {_times(whole['authentications'])}"
    if whole.get("info_repeats"):
        text += f"; repeats information {_times(whole['info_repeats'])}"
    return text


# --- words ----------------------------------------------------------------------------------------


def _moment(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms // 1000, UTC):%Y-%m-%d %H:%M:%S}"


def _clock(at_ms: int, day_of_ms: int) -> str:
    """Time of day; with its date on another day than ``day_of_ms``."""
    same = at_ms // 86_400_000 == day_of_ms // 86_400_000
    return _moment(at_ms)[11:] if same else _moment(at_ms)


def _span(ms: int) -> str:
    """A duration to the second in its largest units."""
    found = []
    for unit_ms, name in _UNITS:
        count, ms = divmod(ms, unit_ms)
        if count:
            found.append(f"{count} {name}")
    return " ".join(found) or "0 s"


def _many(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")
