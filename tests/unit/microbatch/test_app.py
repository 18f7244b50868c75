from __future__ import annotations

import pytest

from pipeline.microbatch import BatchApp, Broker


@pytest.mark.parametrize("bootstrap", ["one:9092", "one:9092,two:9092", "one:9092, two:9092"])
def test_every_broker_is_an_address_of_its_own(bootstrap: str):
    app = BatchApp("group", Broker(bootstrap))
    told = [f"{url.host}:{url.port}" for url in app.transport.url]
    assert told == [address.strip() for address in bootstrap.split(",")]
