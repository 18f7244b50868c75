"""Which keys are one customer's: by hand, and against components found the long way."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from hypothesis import given
from hypothesis import strategies as st

from pipeline.folds.links import Identities
from pipeline.folds.rows import Link


def link(identifier: str, account: str, at_ms: int = 0, **told: bool) -> Link:
    name = f"{identifier}-{account}-{at_ms}"
    return Link(
        identifier, account, told.get("of_accounts", False), told.get("linked", True), at_ms, name
    )


def places(identities: Identities, *links: Link) -> dict[str, str]:
    """Roots of the keys that these links may have moved."""
    for one in links:
        identities.tell(one.name, one)
    return {key: place.root for key, place in identities.settled().items()}


def test_the_smallest_key_of_a_component_is_its_root():
    found = places(Identities(), link("phone", "b"), link("mail", "b"), link("phone", "c"))
    assert found == dict.fromkeys(("b", "c", "mail", "phone"), "b")


def test_the_latest_telling_of_a_pair_holds_whatever_comes_last():
    identities = Identities()
    assert places(identities, link("phone", "a", 20, linked=False)) == {}
    assert places(identities, link("phone", "a", 10)) == {}
    assert places(identities, link("phone", "a", 30)) == {"a": "a", "phone": "a"}
    identities.tell("phone-a-30", None)
    assert places(identities) == {"a": "a", "phone": "phone"}


def test_a_fourth_account_makes_an_identifier_shared_and_it_joins_nobody():
    identities = Identities(shared_after=3)
    three = [link("home", account) for account in ("a", "b", "c")]
    assert set(places(identities, *three, link("mail", "a")).values()) == {"a"}
    apart = {"a": "a", "b": "b", "c": "c", "d": "d", "home": "", "mail": "a"}
    assert places(identities, link("home", "d")) == apart
    # Two of the four are one customer's, so that three customers have the number.
    joined = places(identities, link("c", "d", of_accounts=True))
    assert joined == dict.fromkeys(apart, "a")


def test_a_search_does_not_go_through_a_shared_identifier():
    identities = Identities()
    places(identities, *(link("switchboard", f"a{number}") for number in range(1_000)))
    assert places(identities, link("phone", "a7")) == {"a7": "a7", "phone": "a7", "switchboard": ""}


KEYS = ("p", "q", "a", "b", "c", "d", "e")
LINKS = st.builds(
    link,
    st.sampled_from(KEYS),
    st.sampled_from(KEYS[2:]),
    st.integers(0, 3),
    linked=st.booleans(),
    of_accounts=st.booleans(),
).filter(lambda one: one.identifier != one.account)


@given(st.lists(LINKS, max_size=14, unique_by=lambda one: one.name), st.randoms())
def test_components_are_those_of_the_standing_links(links, random):
    identities = Identities(shared_after=2)
    at: dict[str, str] = {}
    arrivals = [*links, *links]
    random.shuffle(arrivals)
    for one in arrivals:
        if random.random() < 0.2:
            identities.tell(one.name, None)
        at |= places(identities, one)
    assert {key: at.get(key, key) for key in KEYS} == by_closure(links, shared_after=2)


def by_closure(links: Iterable[Link], shared_after: int) -> Mapping[str, str]:
    """Roots by relations closed over all keys: nothing of how the product finds them."""
    latest: dict[frozenset[str], Link] = {}
    for one in sorted(links, key=lambda one: (one.at_ms, one.name)):
        latest[frozenset((one.identifier, one.account))] = one
    standing = [one for one in latest.values() if one.linked]
    accounts = {one.account for one in standing}
    accounts |= {one.identifier for one in standing if one.of_accounts}
    pairs = {(one.identifier, one.account) for one in standing}
    pairs |= {(b, a) for a, b in pairs}
    customers = closure({(a, b) for a, b in pairs if a in accounts and b in accounts})
    shared = {
        key
        for key in set(KEYS) - accounts
        if len({min(customers[b]) for a, b in pairs if a == key}) > shared_after
    }
    joined = closure({(a, b) for a, b in pairs if a not in shared and b not in shared})
    return {key: "" if key in shared else min(joined[key]) for key in KEYS}


def closure(pairs: set[tuple[str, str]]) -> dict[str, set[str]]:
    reached = {key: {key} for key in KEYS}
    for _ in KEYS:
        for a, b in pairs:
            reached[a] |= reached[b]
    return reached
