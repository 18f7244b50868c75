"""Where every customer's history is kept: links between identities, as partition 0 knows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from pipeline.folds.links import Identities
from pipeline.folds.rows import Link, Place
from pipeline.stages.wire import CUSTOMER_PREFIX, ContactMessage, Out, encode_contact
from schemas.topics import CONTACTS

_LINK: Final = b"\0link/"
_PLACE: Final = b"\0place/"
_LIMIT_KEY: Final = b"\0shared_after"


class Told(msgspec.Struct, frozen=True, array_like=True):
    """The newest word of one event on a link; None once it says nothing any more."""

    version: int
    link: Link | None


_encode_told = msgspec.msgpack.Encoder().encode
_decode_told = msgspec.msgpack.Decoder(Told).decode
_encode_place = msgspec.msgpack.Encoder().encode
_decode_place = msgspec.msgpack.Decoder(Place).decode


class Directory:
    """Links, and the places that keys were told. Empty in every partition but one.

    Args:
        state: Committed state of the partition.
        shared_after: An identifier of more accounts than so many joins nobody.
    """

    def __init__(self, state: Mapping[bytes, bytes], shared_after: int) -> None:
        self._identities = Identities(shared_after)
        self._limit = str(shared_after).encode()
        self._heard: list[ContactMessage] = []
        for key, value in state.items():
            if key.startswith(_LINK):
                self._identities.tell(key[len(_LINK) :].decode(), _decode_told(value).link)
        self._identities.settled()
        if state.get(_LIMIT_KEY, self._limit) != self._limit:
            self._identities.unsettle()

    def take(self, message: ContactMessage) -> None:
        """Note what was told of a link."""
        self._heard.append(message)

    def flush(self, out: Out) -> None:
        """Learn what was told since the last flush, and tell keys whose place changed."""
        heard, self._heard = self._heard, []
        for message in heard:
            self._learn(message, out)
        places = self._identities.settled()
        for key, place in sorted(places.items()):
            self._tell(key, place, out)
        if places and out.get(_LIMIT_KEY) != self._limit:
            out.put(_LIMIT_KEY, self._limit)

    def _learn(self, message: ContactMessage, out: Out) -> None:
        key = _LINK + message.interaction_id.encode()
        stored = out.get(key)
        if stored is not None and _decode_told(stored).version > message.version:
            return
        link = message.row if isinstance(message.row, Link) else None
        out.put(key, _encode_told(Told(message.version, link)))
        self._identities.tell(message.interaction_id, link)

    def _tell(self, key: str, place: Place, out: Out) -> None:
        """Tell the record of ``key`` its place, if it was told another; at first it is its own."""
        name = _PLACE + key.encode()
        stored = out.get(name)
        before = _decode_place(stored) if stored is not None else Place(key)
        if place == before:
            return
        if place == Place(key):
            out.delete(name)
        else:
            out.put(name, _encode_place(place))
        out.send(
            CONTACTS, CUSTOMER_PREFIX + key.encode(), encode_contact(ContactMessage("", 0, place))
        )
