"""When refusing goes on too long, the worker stops."""

from __future__ import annotations

import pytest

from pipeline.stages.limits import RefusalLimit, TooManyRefusedError


def test_a_streak_stops_and_a_good_record_ends_a_streak():
    limit = RefusalLimit(3, 1.0)
    for reason in ("bad_json", "bad_json", None, "bad_json", "bad_json"):
        limit.see(reason)
    says = "3 records in a row were refused, the last one as bad_utf8"
    with pytest.raises(TooManyRefusedError, match=says):
        limit.see("bad_utf8")


def test_a_share_decides_once_the_window_is_full():
    limit = RefusalLimit(0, 0.5, window=4)
    for reason in ("bad_json", "bad_json", "bad_json"):
        limit.see(reason)  # three of three, but three are too few
    with pytest.raises(TooManyRefusedError, match="4 of the last 4 records"):
        limit.see("bad_json")


def test_the_window_moves():
    limit = RefusalLimit(0, 0.5, window=4)
    for reason in ("bad_json", None, None, "bad_json", "bad_json", None, None):
        limit.see(reason)  # never more than two of four
    limit.see("bad_json")  # bad, good, good, bad
    limit.see("bad_json")  # good, good, bad, bad
    with pytest.raises(TooManyRefusedError, match="3 of the last 4 records"):
        limit.see("bad_json")


def test_zero_and_one_mean_never():
    limit = RefusalLimit(0, 1.0, window=2)
    for _ in range(100):
        limit.see("bad_json")
