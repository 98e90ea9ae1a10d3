from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from mainstem.codec.avro import Encoder
from mainstem.codec.coerce import Coercer
from mainstem.codec.headers import as_dict
from mainstem.event import Event
from mainstem.ingest.packing import Packer
from mainstem.ingest.writing import EventWriter
from mainstem.sdk.source import Batch

PRODUCT: dict[str, Any] = {
    "type": "record",
    "name": "product",
    "namespace": "raw.catalog",
    "fields": [{"name": "product_id", "type": "string"}, {"name": "size", "type": ["null", "int"], "default": None}],
}


@pytest.fixture
def packer() -> Packer:
    return Packer("shop", "catalog", EventWriter(Encoder("raw.catalog.product.v1", PRODUCT, 3), Coercer(PRODUCT)))


async def test_a_good_event_gets_everything_that_it_lacks(packer: Packer) -> None:
    event = Event(id="f:1", key="p1", data={"product_id": "p1", "size": "7"})

    packed = await packer.pack(Batch([event], {"offset": 1}))

    (record,) = packed.records
    headers = as_dict(record.headers)
    assert (record.topic, record.key) == ("raw.catalog.product.v1", b"p1")
    assert (headers["ce_id"], headers["ce_type"], headers["ce_source"]) == (
        b"f:1",
        b"raw.catalog.product",
        b"shop.catalog",
    )
    assert packed.position == {"offset": 1}
    assert not packed.refused


async def test_a_tombstone_stays_one(packer: Packer) -> None:
    packed = await packer.pack(Batch([Event(id="f:1", key="p1")], {}))

    assert packed.records[0].value is None


async def test_a_bad_event_becomes_a_dead_letter_and_the_others_go_on(packer: Packer) -> None:
    when = datetime(2026, 1, 1, tzinfo=UTC)
    bad = Event(id="f:2", key="p2", data={"product_id": "p2", "size": "large", "price": Decimal("1.50")}, time=when)
    events = [Event(id="f:1", data={"product_id": "p1"}), bad, Event(id="f:3", data={"product_id": "p3"})]

    packed = await packer.pack(Batch(events, {}))

    good, letter, after = packed.records
    assert (good.topic, letter.topic, after.topic) == (
        "raw.catalog.product.v1",
        "shop.catalog.dlq",
        "raw.catalog.product.v1",
    )
    assert (letter.key, json.loads(letter.value or b"")) == (
        b"p2",
        {"product_id": "p2", "size": "large", "price": "1.50"},
    )
    headers = as_dict(letter.headers)
    assert headers["ce_id"] == b"f:2"
    assert headers["content-type"] == b"application/json"
    assert headers["mainstem_error_code"] == b"MS-104"
    assert headers["__connect.errors.topic"] == b"raw.catalog.product.v1"
    assert headers["__connect.errors.connector.name"] == b"shop.catalog"
    assert b"size" in headers["__connect.errors.exception.message"]
    assert packed.refused == {"MS-104": 1}


async def test_bytes_in_a_dead_letter_are_base64(packer: Packer) -> None:
    packed = await packer.pack(Batch([Event(id="f:1", data={"product_id": b"\xff", "more": {"a": [b"\0"]}})], {}))

    assert json.loads(packed.records[0].value or b"") == {"product_id": "/w==", "more": {"a": ["AA=="]}}
