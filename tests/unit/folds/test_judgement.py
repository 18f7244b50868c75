"""What judges an interaction is credited to whom it names, and says nothing of its course."""

from __future__ import annotations

from itertools import permutations

from msgspec.structs import replace

from pipeline.folds import interaction
from pipeline.folds.event import reduce
from tests.properties.stories import START, event

START_MS = round(START.timestamp() * 1000)
END_MS = START_MS + 10 * 86_400_000


def told(*rows):
    common = {"interaction_id": "k", "channel": "voice"}
    return [reduce(event({**common, **row}, number)) for number, row in enumerate(rows)]


def facts(events, kind):
    return [row.fact for row in interaction.fold("k", events, END_MS).rows if row.kind == kind]


COURSE = (
    {"kind": "accepted", "at": 0, "performer_id": "ann", "site": "manila", "intent": "billing",
     "queue": "sales"},
    {"kind": "transfer", "at": 30, "performer_id": "ann", "transfer_kind": "warm"},
    {"kind": "accepted", "at": 31, "via": "transfer", "performer_id": "bob", "site": "cebu"},
    {"kind": "left", "at": 32, "performer_id": "ann"},
    {"kind": "completed", "at": 90, "performer_id": "bob"},
)  # fmt: skip
EVALUATION = {"kind": "evaluation", "at": 1000, "sample_type": "random", "customer_errors": 1}


def test_an_evaluation_is_credited_to_whom_it_names_and_counts_when_the_contact_ended():
    (named,) = facts(told(*COURSE, {**EVALUATION, "performer_id": "ann"}), "evaluation")
    assert (named.header.performer_id, named.header.site, named.header.queue) == (
        "ann", "manila", "sales",
    )  # fmt: skip
    assert named.interaction_ms == START_MS + 90_000
    assert named.evaluated_ms == START_MS + 1_000_000
    (unnamed,) = facts(told(*COURSE, EVALUATION), "evaluation")
    assert (unnamed.header.performer_id, unnamed.header.site) == ("bob", "cebu")


def test_what_is_not_said_of_errors_is_not_known():
    (fact,) = facts(told(*COURSE, EVALUATION), "evaluation")
    assert (fact.customer_errors, fact.business_errors, fact.compliance_errors) == (1, None, None)
    assert fact.evaluator_kind == "human"


def test_judgements_create_no_interaction_but_lose_nothing():
    folded = interaction.fold("k", told({**EVALUATION, "performer_id": "ann"}), END_MS)
    assert [row.kind for row in folded.rows] == ["evaluation"]
    assert folded.contacts == ()
    fact = folded.rows[0].fact
    assert (fact.header.interaction_id, fact.header.performer_id) == ("k", "ann")
    assert fact.interaction_ms == fact.evaluated_ms == START_MS + 1_000_000


def test_judgements_change_no_other_fact():
    decision = {"kind": "ai_decision", "at": 40, "intent": "order", "language": "tl",
                "performer_id": "robo", "performer_kind": "bot"}  # fmt: skip
    case = {"kind": "case_opened", "at": 41, "intent": "order", "case_id": "c"}
    plain = interaction.fold("k", told(*COURSE), END_MS)
    judged = interaction.fold("k", told(*COURSE, decision, EVALUATION, case), END_MS)
    kinds = ("evaluation", "ai_decision")
    assert [row for row in judged.rows if row.kind not in kinds] == list(plain.rows)
    # A case says which matter a contact is about, and nothing else of it.
    assert [contact.matter for contact in judged.contacts] == ["c"]
    assert [replace(contact, matter="") for contact in judged.contacts] == list(plain.contacts)
    (fact,) = (row.fact for row in judged.rows if row.kind == "ai_decision")
    assert (fact.header.intent, fact.header.performer_id, fact.header.site) == ("order", "robo", "")


def test_a_decision_told_in_parts_is_one_in_every_order():
    parts = told(
        {"kind": "ai_decision", "at": 10, "decision_id": "d", "performer_id": "robo",
         "claims": 4, "confidence": 0.5},
        {"kind": "ai_decision", "at": 500, "decision_id": "d", "supported_claims": 9},
        {"kind": "ai_decision", "at": 900, "decision_id": "d", "human_verdict": "rejected",
         "confidence": 0.75},
    )  # fmt: skip
    (whole,) = facts(parts, "ai_decision")
    assert (whole.decided_ms, whole.told_ms) == (START_MS + 10_000, START_MS + 900_000)
    assert (whole.claims, whole.supported_claims) == (4, 4)  # no more than all of them
    assert (whole.confidence_millionths, whole.acted_on) == (750_000, True)
    assert whole.header.performer_id == "robo"
    assert {tuple(facts(order, "ai_decision")) for order in permutations(parts)} == {(whole,)}


def test_sessions_of_two_bots_are_told_apart():
    decisions = facts(
        told(
            {"kind": "ai_decision", "at": 1, "performer_id": "a"},
            {"kind": "ai_decision", "at": 2, "performer_id": "b"},
            {"kind": "ai_decision", "at": 3, "performer_id": "a", "disclosed": True},
            {"kind": "ai_decision", "at": 4, "performer_id": "b", "disclosed": False},
        ),
        "ai_decision",
    )
    assert [(d.header.performer_id, d.opens_session, d.disclosed) for d in decisions] == [
        ("a", True, True), ("b", True, False), ("a", False, True), ("b", False, False),
    ]  # fmt: skip
