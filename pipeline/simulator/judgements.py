"""What is said of contacts afterwards: evaluations, decisions of bots with their reviews, cases.

It has chance of its own and ids of its own, so that the course of the center is the same with more
or less of it.
"""

from __future__ import annotations

from random import Random
from typing import Final

from pipeline.simulator.contact import Center, Contact
from pipeline.simulator.timeline import Event

KINDS: Final = frozenset(
    ("evaluation", "ai_decision", "case_opened", "case_resolved", "case_reopened")
)
"""Kinds of events that only this module tells; each brings its own event id."""

ABOUT: Final = ("interaction_id", "channel", "customer", "intent", "language", "queue")
SAMPLES: Final = (("random", 0.7), ("targeted", 0.8), ("risk", 0.85), ("calibration", 1.0))
"""Sample types with their cumulative share."""
DAY_SECONDS: Final = 86_400


class Judgements:
    """Plans what is told of contacts, most of it hours or days after them."""

    def __init__(self, center: Center, seed: int) -> None:
        self._center = center
        self._rng = Random(f"judgements/{seed}")  # noqa: S311
        self._told = 0
        self._cases: dict[int, str] = {}

    # --- decisions ------------------------------------------------------------------------------

    def answered(self, at_ms: int, contact: Contact, who: Event) -> None:
        """A bot answers at ``at_ms``, now or later; some of its answers are told as decisions."""
        if not self._chance(self._center.config.decision_share):
            return
        decision: Event = {"decision_id": self._name("d")}
        claims = int(self._rng.random() * 5)
        self._tell(
            at_ms, "ai_decision", contact, who, decision,
            {
                "action": "answer", "disclosed": self._chance(0.9),
                "confidence": round(1.0 - 0.8 * self._rng.random() ** 3, 2),
                "scanned": True, "pii_leaked": self._chance(0.002),
            },
        )  # fmt: skip
        if self._chance(0.8):
            # A judge that counts claims is a batch job of the night.
            supported = sum(self._chance(0.93) for _ in range(claims))
            judged: Event = {"claims": claims, "supported_claims": supported}
            self._tell(self._later(at_ms, 0.5), "ai_decision", contact, decision, judged)
        if self._chance(0.3):
            self._review(at_ms, contact, decision)

    def _review(self, at_ms: int, contact: Contact, decision: Event) -> None:
        """A human looks at the answer and judges it as the AI did, most of the time."""
        human = "pass" if self._chance(0.85) else "fail"
        other = "fail" if human == "pass" else "pass"
        said: Event = {
            "acted_on": True,
            "human_verdict": "unchanged" if human == "pass" else "changed",
            "verdict": human if self._chance(0.9) else other,
            "reference_verdict": human,
        }
        self._tell(self._later(at_ms, 1.0), "ai_decision", contact, decision, said)

    # --- evaluations ----------------------------------------------------------------------------

    def ended(self, at_ms: int, contact: Contact) -> None:
        """A contact has ended now."""
        config = self._center.config
        if contact.record.handled and self._chance(config.evaluation_share):
            self._evaluate(at_ms, contact)
        self._about_case(at_ms, contact)

    def _evaluate(self, at_ms: int, contact: Contact) -> None:
        chance = self._rng.random()
        sample = next(name for name, cumulated in SAMPLES if chance < cumulated)
        who: Event = {"performer_id": contact.record.last_performer_id}
        evaluation: Event = {
            "evaluation_id": self._name("q"), "form": "general", "form_version": "1",
            "evaluator_kind": "human", "sample_type": sample,
        }  # fmt: skip
        found: Event = {
            "customer_errors": int(self._chance(0.06)) + int(self._chance(0.02)),
            "business_errors": int(self._chance(0.04)),
            "compliance_errors": int(self._chance(0.01)),
            "non_critical_score": round(100 - 40 * self._rng.random() ** 2, 1),
        }
        if sample == "calibration":
            verdict = "pass" if self._chance(0.8) else "fail"
            found |= {
                "attributes": 20, "agreed_attributes": 20 - int(self._rng.random() * 4),
                "verdict": verdict, "reference_verdict": verdict if self._chance(0.9) else "fail",
            }  # fmt: skip
        said_ms = self._later(at_ms, 2.0)
        event_id = self._tell(said_ms, "evaluation", contact, who, evaluation, found)
        if found["customer_errors"] and self._chance(0.3):
            # An appeal was right: the evaluation is told again in a later version.
            mended: Event = {"event_id": event_id, "record_version": 1, "customer_errors": 0}
            self._tell(
                self._later(said_ms, 3.0), "evaluation", contact, who, evaluation, found, mended
            )

    # --- cases ----------------------------------------------------------------------------------

    def _about_case(self, at_ms: int, contact: Contact) -> None:
        """Some contacts open a case; a customer who calls about a resolved one reopens it."""
        customer = contact.customer_number
        if customer is None or contact.record.direction != "inbound":
            return
        known = self._cases.pop(customer, None)
        if known is not None:
            self._tell(at_ms, "case_reopened", contact, {"case_id": known})
            self._tell(self._later(at_ms, 1.0), "case_resolved", contact, {"case_id": known})
        elif self._chance(self._center.config.case_share):
            case_id = self._name("c")
            self._tell(at_ms, "case_opened", contact, {"case_id": case_id})
            resolved_ms = self._later(at_ms, 0.1)
            self._tell(resolved_ms, "case_resolved", contact, {"case_id": case_id})
            self._center.timeline.call(resolved_ms, self._resolved, customer, case_id)

    def _resolved(self, _at_ms: int, customer: int, case_id: str) -> None:
        self._cases[customer] = case_id

    # --- telling --------------------------------------------------------------------------------

    def _tell(self, at_ms: int, kind: str, contact: Contact, *said: Event) -> str:
        """Plan an event about ``contact`` and return its id."""
        about: Event = {name: contact.base[name] for name in ABOUT if name in contact.base}
        name: Event = {"event_id": self._name("j")}
        self._center.timeline.emit(at_ms, kind, about, name, *said)
        return str(name["event_id"])

    def _name(self, what: str) -> str:
        self._told += 1
        return f"{self._center.id_prefix}-{what}{self._told}"

    def _later(self, at_ms: int, median_days: float) -> int:
        seconds = self._rng.lognormvariate(0.0, 0.7) * median_days * DAY_SECONDS
        return at_ms + min(int(seconds * 1000), 20 * DAY_SECONDS * 1000)

    def _chance(self, share: float) -> bool:
        return self._rng.random() < share
