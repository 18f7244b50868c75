"""Bodies of unified events as nothing but chance makes them, right and wrong."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from schemas.interaction import EVENT_CLASSES

ENVELOPE = {
    "event_id": "e1", "source": "test", "occurred_at": "2026-06-01T10:00:00Z",
    "interaction_id": "i1", "channel": "voice",
}  # fmt: skip

TIMES = [
    "2026-06-01T10:00:00.250Z", "2026-06-01 10:00:00+02:00", "2026-06-01t10:00:00-0330",
    "2026-06-01T10:00:00.9999999Z", "2026-06-01T10:00Z", "2026-06-01T10:00:00", "1780300800",
    1780300800, "2026-02-30T10:00:00Z", "2026-06-01T23:59:60Z", "0001-01-01T00:00:00+10:00",
]  # fmt: skip
NUMBERS = [
    0, 1, -1, 100, 101, 1.0, 0.5, 1.5, -0.0, True, 400 * 86_400_000, 400 * 86_400_000 + 1,
    2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 10**30, "1", None,
]  # fmt: skip
TEXTS = [
    "", "a", "é", "\u0000", "x" * 256, "x" * 257, "x" * 512, "x" * 513, "\U0001f600" * 256,
    "voice", "human", "home", "inbound", "queue", "resolved", "pass", "csat", "forecast", "timeout",
    None, 1, False, [], {},
]  # fmt: skip


def field_names(kind: str) -> list[str]:
    """Fields of a kind of event, but the kind itself."""
    return [name for name in EVENT_CLASSES[kind].model_fields if name != "kind"]


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """Events of any kind with fields right, wrong and at the edge, keys in any order, or twice."""
    kind = draw(st.sampled_from(sorted(EVENT_CLASSES)))
    told: dict[str, Any] = {**ENVELOPE, "kind": kind}
    for name in draw(st.lists(st.sampled_from([*field_names(kind), "unknown"]), max_size=4)):
        told[name] = draw(st.sampled_from([*TIMES, *NUMBERS, *TEXTS]))
    for name in draw(st.lists(st.sampled_from(sorted(told)), max_size=1)):
        del told[name]
    pairs = draw(st.permutations(list(told.items())))
    if pairs and draw(st.booleans()):
        pairs.append((pairs[0][0], draw(st.sampled_from(TEXTS))))
    ascii_only = draw(st.booleans())
    return (
        "{" + ",".join(
            f"{json.dumps(name)}: {json.dumps(value, ensure_ascii=ascii_only)}"
            for name, value in pairs
        ) + "}"
    ).encode()  # fmt: skip
