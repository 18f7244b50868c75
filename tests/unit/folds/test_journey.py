from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pipeline.folds.journey import journey_of_many, journey_of_one
from pipeline.folds.rows import BotSession, ContactRow
from schemas.facts import Header

MOMENTS = st.integers(0, 10**12)
SESSIONS = st.builds(
    BotSession,
    event_id=st.just("e"), performer_id=st.just("bot"), model_version=st.just("m"),
    started_ms=MOMENTS, ended_ms=st.none() | MOMENTS, handed_off=st.booleans(), left=st.booleans(),
)  # fmt: skip
CONTACTS = st.builds(
    ContactRow,
    header=st.builds(
        Header,
        interaction_id=st.just("i"), customer_key=st.sampled_from(("", "c")),
        channel=st.sampled_from(("voice", "chat")), performer_id=st.sampled_from(("", "ana")),
        team=st.sampled_from(("", "north")),
    ),
    ended_ms=st.none() | MOMENTS,
    resolved=st.none() | st.booleans(),
    bot_sessions=st.lists(SESSIONS, max_size=3).map(tuple),
    handled_by=st.sampled_from(("none", "human", "bot", "both")),
    channels=st.lists(st.sampled_from(("voice", "chat", "web")), max_size=3).map(tuple),
    matter=st.sampled_from(("", "case-1")),
    **dict.fromkeys(("handled", "abandoned", "transferred", "queued"), st.booleans()),
    **dict.fromkeys(
        ("transfers", "handoffs_without_context", "authentications", "info_repeats", "wait_ms"),
        st.integers(0, 9),
    ),
    **dict.fromkeys(("started_ms",), MOMENTS),
)  # fmt: skip


@given(CONTACTS)
def test_the_journey_of_one_contact_is_that_of_many_where_they_are_one(contact: ContactRow) -> None:
    assert journey_of_one(contact) == journey_of_many([contact])
