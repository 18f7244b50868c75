from __future__ import annotations

import pytest

from .reading import read


@pytest.mark.samples
@pytest.mark.parametrize(
    ("name", "path", "interactions"),
    [
        ("asterisk_queue_log", "asterisk/queue_log", 21),
        ("asterisk_queue_log", "asterisk/wazo-agent-statistics.json", 18),
        ("rasa", "rasa/broker-events.jsonl", 11),
        ("amazon_connect", "amazon-connect/contact-record-voice-inbound.json", 1),
        ("genesys_cloud", "genesys-cloud/analytics-conversation-details-chat.json", 1),
        ("bank_call_log", "call-logs/bank-one-day.csv", 2357),
    ],
)
def test_all_events_of_an_interaction_share_its_key(samples, name, path, interactions):
    keys_of = read(name, samples / path).keys_of
    assert len(keys_of) == interactions
    assert all(keys == {interaction.encode()} for interaction, keys in keys_of.items())
