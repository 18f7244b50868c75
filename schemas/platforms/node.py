"""Reading of JSON objects whose fields may be absent, null, or of any type."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from schemas.platforms.base import BadPayload


class Node:
    """A JSON object read without regard to the case of its keys, which varies within one payload.

    Null, absent and empty text are the same: nothing. What is of another type than expected is
    refused with the place it stands at: every method raises ``BadPayload``.
    """

    __slots__ = ("_fields", "_place")

    def __init__(self, fields: dict[str, Any], place: str = "") -> None:
        self._fields = {name.casefold(): value for name, value in fields.items()}
        self._place = place

    def __contains__(self, name: str) -> bool:
        return name.casefold() in self._fields

    def raw(self, name: str) -> Any:
        """Return a value as it is."""
        return self._fields.get(name.casefold())

    @property
    def fields(self) -> dict[str, Any]:
        """Its fields, by folded names."""
        return self._fields

    def place(self, name: str) -> str:
        """Return the path of a field."""
        return f"{self._place}.{name}" if self._place else name

    def text(self, name: str) -> str | None:
        """Return a text."""
        value = self.raw(name)
        if value is None or value == "":
            return None
        if not isinstance(value, str):
            raise self.refused(name, "text")
        return value

    def upper(self, name: str) -> str:
        """Return an enumeration's value in upper case, empty when there is none."""
        return (self.text(name) or "").upper()

    def time(self, name: str) -> datetime | None:
        """Return a time in ISO 8601, which is UTC where it has no zone."""
        value = self.text(name)
        if value is None:
            return None
        try:
            time = datetime.fromisoformat(value)
            return (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)
        except (ValueError, OverflowError):
            raise self.refused(name, "an ISO 8601 time") from None

    def needed_time(self, name: str) -> datetime:
        """Return a time that the event cannot do without."""
        time = self.time(name)
        if time is None:
            raise self.refused(name, "an ISO 8601 time")
        return time

    def whole(self, name: str, unit: str = "a whole number") -> int | None:
        """Return a whole number."""
        value = self.raw(name)
        if value is None:
            return None
        whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
        if isinstance(value, bool) or not whole:
            raise self.refused(name, unit)
        return int(value)

    def seconds_as_ms(self, name: str) -> int | None:
        """Return a duration, written in whole seconds, in milliseconds."""
        seconds = self.whole(name, "whole seconds")
        return None if seconds is None else seconds * 1000

    def node(self, name: str) -> Node | None:
        """Return an inner object; none when it is absent, null or empty."""
        value = self.raw(name)
        if not value:
            return None
        if not isinstance(value, dict):
            raise self.refused(name, "an object")
        return Node(value, self.place(name))

    def nodes(self, name: str) -> list[Node]:
        """Return an array of objects."""
        value = self.raw(name)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise self.refused(name, "an array of objects")
        return [Node(item, f"{self.place(name)}.{index}") for index, item in enumerate(value)]

    def refused(self, name: str, expected: str) -> BadPayload:
        """Return the refusal of a field, to be raised."""
        return BadPayload("invalid_event", f"{self.place(name)}: expected {expected}")
