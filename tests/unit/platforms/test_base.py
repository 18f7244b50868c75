from __future__ import annotations

from datetime import UTC, datetime

import pytest

from schemas.platforms import UnknownPlatformError, find_platform, platform_names
from schemas.platforms.base import (
    BadPayload,
    OptionError,
    customer_id,
    decode_json,
    epoch_ms,
    make_event,
    type_name,
)
from schemas.platforms.interactions import check_time

NAMES = (
    "amazon_connect", "asterisk_queue_log", "bank_call_log", "chatwoot", "genesys_cloud",
    "interactions", "line", "rasa", "twilio_taskrouter",
)  # fmt: skip


def test_platforms_are_found_by_the_names_of_their_modules():
    assert platform_names() == NAMES
    assert [find_platform(name).name for name in NAMES] == list(NAMES)


def test_an_unknown_platform_is_refused_with_those_there_are():
    with pytest.raises(UnknownPlatformError, match=r"'raza', did you mean 'rasa'\?.*rasa"):
        find_platform("raza")
    with pytest.raises(UnknownPlatformError, match="unknown platform 'base'"):
        find_platform("base")


@pytest.mark.parametrize(
    ("name", "uses"),
    [
        ("amazon_connect", {"csat_attribute"}),
        ("asterisk_queue_log", {"time_zone"}),
        ("bank_call_log", {"time_zone"}),
        ("interactions", set()),
        ("rasa", {"handoff_actions"}),
    ],
)
def test_a_platform_names_the_options_it_uses(name, uses):
    assert find_platform(name).uses == uses


def test_options_are_read_from_pairs():
    assert find_platform("rasa").options(
        ["handoff_actions=ask_human, to_desk"]
    ).handoff_actions == (
        "ask_human",
        "to_desk",
    )
    options = find_platform("asterisk_queue_log").options(["time_zone=Asia/Manila"])
    assert options.zone.key == "Asia/Manila"
    assert find_platform("asterisk_queue_log").options().zone.key == "UTC"
    connect = find_platform("amazon_connect").options(["csat_attribute=score=1"])
    assert connect.csat_attribute == "score=1"


@pytest.mark.parametrize(
    ("platform", "pairs", "message"),
    [
        ("rasa", ["handoff_actions"], "expected KEY=VALUE"),
        ("rasa", ["=x"], "expected KEY=VALUE"),
        ("rasa", ["zone=x"], "unknown option 'zone'; options of rasa: handoff_actions"),
        ("rasa", ["time_zone=UTC"], "option 'time_zone' is not used by platform 'rasa'"),
        ("interactions", ["csat_attribute=x"], "not used by platform 'interactions'"),
        ("rasa", ["handoff_actions=a", "handoff_actions=b"], "given twice"),
        ("rasa", ["handoff_actions=a,,b"], "action names with commas"),
        ("amazon_connect", ["csat_attribute="], "the name of a contact attribute"),
        (
            "asterisk_queue_log",
            ["time_zone=Asia/Manilla"],
            "'Asia/Manilla' is not a time zone of the IANA database, did you mean 'Asia/Manila'",
        ),
        ("asterisk_queue_log", ["time_zone=../UTC"], "is not a time zone"),
        ("asterisk_queue_log", ["time_zone="], "is not a time zone"),
    ],
)
def test_bad_options_are_refused(platform, pairs, message):
    with pytest.raises(OptionError, match=message.replace("(", r"\(")):
        find_platform(platform).options(pairs)


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "null_value"),
        (b" \r\n", "null_value"),
        (b"\xef\xbb\xbf", "null_value"),
        (b"null", "null_value"),
        (b'{"a": "\xff"}', "bad_utf8"),
        (b"{", "bad_json"),
        (b'{"a": NaN}', "bad_json"),
        (b'{"a": 1,}', "bad_json"),
        (b'"\\ud800"', "bad_json"),
        (b"[" * 100_000 + b"]" * 100_000, "bad_json"),
    ],
)
def test_a_payload_that_is_no_json_is_refused_with_its_class(payload, reason):
    with pytest.raises(BadPayload) as refusal:
        decode_json(payload)
    assert refusal.value.reason == reason


def test_the_detail_of_a_refusal_is_bounded():
    assert len(BadPayload("invalid_event", "x" * 5000).detail) == 300


@pytest.mark.parametrize(
    "blank", ["", " ", "anonymous", "Anonymous", "UNKNOWN", "unavailable", "NONE", "null", None, 7]
)
def test_an_unknown_customer_is_nobody(blank):
    assert customer_id(blank) is None


def test_a_known_customer_stays():
    assert customer_id(" 015550100003 ") == "015550100003"


def test_type_names_are_short_words():
    assert type_name("CONFIGRELOAD") == "CONFIGRELOAD"
    assert type_name("HEART_BEAT", "agent_event:") == "agent_event:HEART_BEAT"
    for odd in ("", "call me", "x" * 65, None, 5, "a\n"):
        assert type_name(odd) == "other"


def _event_at(text):
    return make_event(
        "started",
        event_id="e",
        source="s",
        occurred_at=datetime.fromisoformat(text),
        interaction_id="i",
        channel="voice",
    )


RECORD_MS = epoch_ms(datetime(2024, 5, 1, 12, tzinfo=UTC))


@pytest.mark.parametrize(
    ("occurred_at", "reason"),
    [
        ("2000-01-01T00:00:00Z", None),
        ("1999-12-31T23:59:59.999Z", "time_too_old"),
        ("2000-01-01T00:30:00+01:00", "time_too_old"),
        ("0001-01-01T00:00:00+14:00", "time_too_old"),
        ("2024-05-02T12:00:00Z", None),
        ("2024-05-02T12:00:00.001Z", "time_in_future"),
        ("2024-05-02T14:00:00+02:00", None),
        ("9999-12-31T23:59:59-12:00", "time_in_future"),
    ],
)
def test_only_times_near_the_record_are_taken(occurred_at, reason):
    event = _event_at(occurred_at)
    if reason is None:
        assert check_time(epoch_ms(event.occurred_at), RECORD_MS) is None
        return
    with pytest.raises(BadPayload) as refusal:
        check_time(epoch_ms(event.occurred_at), RECORD_MS)
    assert refusal.value.reason == reason


def test_a_platform_may_reach_further_back():
    oldest_ms = epoch_ms(find_platform("bank_call_log").oldest)
    assert (
        check_time(epoch_ms(_event_at("1999-08-01T00:00:00Z").occurred_at), RECORD_MS, oldest_ms)
        is None
    )
    with pytest.raises(BadPayload, match="time_too_old"):
        check_time(epoch_ms(datetime(1998, 12, 31, tzinfo=UTC)), RECORD_MS, oldest_ms)
