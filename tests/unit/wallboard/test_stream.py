from __future__ import annotations

import asyncio

import msgspec
import pytest

from sinks.wallboard.frames import Selection
from sinks.wallboard.stream import Client, Stream, TooManyClientsError
from tests.support.wallboard import Shown, value


def events(text):
    """Names and bodies of server-sent events."""
    for one in text.decode().split("\n\n"):
        if one:
            name, body = one.split("\n")
            yield name.removeprefix("event: "), msgspec.json.decode(body.removeprefix("data: "))


async def test_a_page_is_filled_when_it_opens():
    shown = Shown()
    shown.put(value("offered", 7))
    shown.tick()
    told = dict(events(await Stream(shown.board).open(Selection()).take()))
    assert told["board"]["sections"][0]["tiles"][0]["value"] == 7
    assert told["trends"] == {"desk/offered": []}


async def test_of_what_waits_for_a_slow_page_only_the_newest_is_kept():
    client = Client(Selection())
    for number in range(1000):
        client.put("board", b"event: board\ndata: %d\n\n" % number)
    assert await client.take() == b"event: board\ndata: 999\n\n"


async def test_every_page_hears_what_changed_and_that_the_server_lives():
    shown = Shown()
    stream = Stream(shown.board)
    client = stream.open(Selection())
    await client.take()
    running = asyncio.create_task(stream.run())
    try:
        shown.put(value("offered", 7))
        shown.tick()
        told = dict(events(await asyncio.wait_for(client.take(), 5)))
        assert told["board"]["sections"][0]["tiles"][0]["value"] == 7
        assert dict(events(await asyncio.wait_for(client.take(), 5))) == {"alive": {}}
    finally:
        running.cancel()


async def test_pages_are_as_many_as_are_served():
    stream = Stream(Shown().board, max_clients=2)
    first = stream.open(Selection())
    stream.open(Selection())
    with pytest.raises(TooManyClientsError):
        stream.open(Selection())
    stream.close(first)
    stream.open(Selection())
    assert stream.clients == 2
