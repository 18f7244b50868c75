"""Links between identities come, go and are corrected in any order; what comes out is the same."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.kpi import catalogue
from pipeline.kpi.plan import Plan
from schemas.exhibit_file import load_exhibit
from schemas.interaction import InteractionEvent
from tests.properties.stories import SPAN_SECONDS, event, stories
from tests.properties.test_stages import START_MS, differences, published
from tests.properties.world import Row, World

END_MS = START_MS + 3 * 86_400_000
"""Every cohort is mature, and nothing is frozen yet."""
SHARED_AFTER = 2
EXHIBIT = """
exhibit: histories
version: 1
time_zone: UTC
by: [intent]
windows: [{tumbling: day}, all]
kpis:
  - {kpi: fcr_repeat, parameters: {scope: any, window_hours: 1}}
  - {kpi: repeat_rate}
  - {kpi: journey_effort}
  - {kpi: contacts_per_resolved_issue, parameters: {window_days: 1}}
"""
LINKS = st.fixed_dictionaries(
    {
        "kind": st.just("identity_linked"),
        "at": st.integers(0, SPAN_SECONDS),
        "interaction_id": st.sampled_from(["k0", "k1", "crm"]),
        "channel": st.just("voice"),
        "customer_key": st.sampled_from(["c1", "c2", "c3"]),
        "account_key": st.sampled_from(["a", "b", "d", "c1"]),
        "linked": st.sampled_from([True, True, False]),
        "customer_kind": st.sampled_from(["phone", "phone", "account"]),
    }
)


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """What is counted of histories only: a link changes nothing else."""
    file = tmp_path_factory.mktemp("exhibit") / "histories.yaml"
    file.write_text(EXHIBIT)
    return Plan([load_exhibit(file)], catalogue.load())


@st.composite
def linked_stories(draw: st.DrawFn) -> list[InteractionEvent]:
    told = [
        told.model_copy(update={"customer_key": draw(st.sampled_from(["c1", "c2", "c3"]))})
        if draw(st.integers(0, 5)) == 0
        else told
        for told in draw(stories())
    ]
    rows = draw(st.lists(LINKS, min_size=1, max_size=7))
    return [*told, *(event(row, 1_000 + number) for number, row in enumerate(rows))]


def histories(world: World) -> list[Row]:
    """Facts of customers' histories, as a table would keep them."""
    return [fact for fact in world.facts() if fact["kind"] in ("contact", "journey")]


def world_of(plan: Plan, partitions: int) -> World:
    return World(plan, partitions, shared_after=SHARED_AFTER)


def settle(world: World) -> None:
    """Let everything be read, and the clock go on: a correction by a link takes two ticks."""
    world.run()
    for second in range(3):
        world.tick(END_MS + second * 1_000)
        world.run()


def in_order(plan: Plan, events: Sequence[InteractionEvent]) -> World:
    world = world_of(plan, 1)
    for told in events:
        world.say(told)
    settle(world)
    return world


@pytest.mark.parametrize("partitions", [1, 3])
@given(data=st.data())
@settings(max_examples=25)
def test_order_of_events_and_links_changes_nothing(plan, partitions, data):
    events = data.draw(linked_stories())
    reference = in_order(plan, events)
    arrivals = data.draw(st.permutations(events))
    arrivals += data.draw(st.lists(st.sampled_from(events), max_size=6))
    random = data.draw(st.randoms(use_true_random=False))
    world = world_of(plan, partitions)
    for number, arrived in enumerate(arrivals):
        world.say(arrived)
        if random.random() < 0.3:
            world.tick(START_MS + number * 1_000)
        if random.random() < 0.5:
            world.run_anyhow(random.randrange, crash_in=5)
    world.run_anyhow(random.randrange, crash_in=5)
    settle(world)
    assert differences(published(world), published(reference)) == []
    assert histories(world) == histories(reference)


@given(data=st.data())
@settings(max_examples=15)
def test_a_log_that_is_read_again_changes_nothing(plan, data):
    """All of it comes once more, in another order, when everything is settled."""
    events = data.draw(linked_stories())
    world = world_of(plan, 3)
    for told in events:
        world.say(told)
    settle(world)
    before = histories(world), published(world)
    for told in data.draw(st.permutations(events)):
        world.say(told)
    settle(world)
    assert histories(world) == before[0]
    assert differences(published(world), before[1]) == []


CALL = {"channel": "voice", "performer_id": "ann", "intent": "billing"}
LINK = {"kind": "identity_linked", "channel": "voice", "interaction_id": "crm"}


def call(name: str, customer: str, at: int) -> list[Row]:
    told = {**CALL, "interaction_id": name, "customer_key": customer}
    return [{**told, "kind": "accepted", "at": at}, {**told, "kind": "completed", "at": at + 60}]


def said(world: World, rows: Sequence[Row], first: int) -> dict[str, Row]:
    """Facts of histories after ``rows`` more."""
    for number, row in enumerate(rows):
        world.say(event(row, first + number))
    settle(world)
    return {fact["fact_id"]: fact for fact in histories(world)}


def test_a_link_joins_journeys_and_its_withdrawal_parts_them(plan):
    world = world_of(plan, 3)
    link = {**LINK, "customer_key": "phone", "account_key": "acct"}
    calls = [*call("k0", "phone", 0), *call("k1", "acct", 600)]
    apart = said(world, calls, 0)
    # From the end at 60 s to the start at 600 s are 540 s.
    joined = said(world, [{**link, "at": 700}], 10)
    assert joined["k0/contact"]["next_any_ms"] == 540_000
    assert (joined["k0/contact"]["customer_key"], joined["k0/journey"]["interactions"]) == (
        "acct",
        2,
    )
    assert "k1/journey" not in joined
    assert said(world, [{**link, "at": 800, "linked": False}], 20) == apart
    assert (apart["k0/contact"]["next_any_ms"], apart["k1/journey"]["interactions"]) == (None, 1)


def test_a_shared_number_parts_what_it_joined_and_its_own_contacts(plan):
    world = world_of(plan, 3)
    links = [
        {**LINK, "customer_key": "home", "account_key": name, "at": at}
        for name, at in (("a", 1), ("b", 2))
    ]
    calls = [*call("k0", "home", 0), *call("k1", "home", 600), *call("k2", "a", 1200)]
    joined = said(world, [*calls, *links], 0)
    assert joined["k0/journey"]["interactions"] == 3
    parted = said(world, [{**LINK, "customer_key": "home", "account_key": "c", "at": 3}], 20)
    found = {name: fact["customer_key"] for name, fact in parted.items()}
    assert found == {
        "k0/contact": "", "k0/journey": "", "k1/contact": "", "k1/journey": "",
        "k2/contact": "a", "k2/journey": "a",
    }  # fmt: skip
    assert parted["k0/contact"]["next_any_ms"] is None


def test_a_contact_may_change_its_customer_and_its_customers_root_at_once(plan):
    world = world_of(plan, 3)
    link = {**LINK, "at": 0}
    first = [*call("k0", "p", 0), *call("k1", "m", 600)]
    said(world, [*first, {**link, "customer_key": "p", "account_key": "a"}], 0)
    corrected = [{**row, "customer_key": "m"} for row in call("k0", "m", 0)]
    late = [{**row, "kind": "hold", "at": 30} for row in corrected[:1]]
    found = said(world, [*late, {**link, "customer_key": "m", "account_key": "a"}], 20)
    assert {fact["customer_key"] for fact in found.values()} == {"a"}
    assert found["k0/journey"]["interactions"] == 2


def test_a_guest_that_turns_out_to_be_another_customers_leaves_no_deletion_behind(plan):
    world = world_of(plan, 3)
    link = {**LINK, "customer_key": "p", "account_key": "a", "at": 0}
    said(world, [link, *call("k0", "p", 0)], 0)
    late = {**call("k0", "m", 0)[1], "kind": "wrapup_ended", "at": 90}
    found = said(world, [late], 20)
    assert found["k0/contact"]["customer_key"] == "m"


def test_a_link_outlives_what_it_joined(plan):
    """What is frozen is let go at home and at the root; who calls again is still the root's."""
    world = world_of(plan, 3)
    link = {**LINK, "customer_key": "phone", "account_key": "acct", "at": 0}
    said(world, [link, *call("k0", "phone", 0), *call("k1", "acct", 600)], 0)
    later = 400 * 86_400
    # What was let go keeps its place in "all": one journey of two contacts, its effort 1.
    for day in range(8):
        world.tick(START_MS + (later - 8 + day) * 1_000)
        world.run()
    homes = [owned.state for owned in world.owned if owned.stage == "journeys"]
    contacts = [
        k for state in homes for k, value in state.items() if b"k0" in value or b"k1" in value
    ]
    assert contacts == []
    world.say(event({**call("k2", "phone", later)[0]}, 30))
    world.say(event({**call("k2", "phone", later)[1]}, 31))
    world.run()
    for day in range(3):
        world.tick(START_MS + (later + 3_600 + day) * 1_000)
        world.run()
    found = {fact["fact_id"]: fact for fact in histories(world)}
    assert found["k2/contact"]["customer_key"] == "acct"
    (effort,) = (
        value
        for value in world.values()
        if (value.name, value.window.kind) == ("journey_effort", "all")
        and set(value.dimensions.values()) == {"*"}
    )
    assert (effort.numerator, effort.denominator) == (1_000_000, 2)
