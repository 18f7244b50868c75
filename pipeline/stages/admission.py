"""Which events of a key are new: a state is a set of events, whatever arrives how often."""

from __future__ import annotations

from collections.abc import Iterable

from pipeline.folds.event import Event


def admit(known_events: list[Event], seen: list[int], events: Iterable[Event]) -> int:
    """Add ``events`` to the set; the count of those that were there already.

    A higher record version replaces; of two contents with one id and version the greater hash wins.
    ``seen`` holds content hashes of events that were replaced, so that a replay of them is known.
    """
    by_id = {event.event_id: place for place, event in enumerate(known_events)}
    duplicates = 0
    for event in events:
        place = by_id.get(event.event_id)
        if place is None:
            by_id[event.event_id] = len(known_events)
            known_events.append(event)
            continue
        known = known_events[place]
        if event.content_hash == known.content_hash or event.content_hash in seen:
            duplicates += 1
            continue
        newer = (event.record_version, event.content_hash)
        if newer > (known.record_version, known.content_hash):
            known_events[place] = event
            seen.append(known.content_hash)
        else:
            seen.append(event.content_hash)
    return duplicates
