"""The records of the benchmarks: an order of 13 fields, nested, and flat enough for one table row."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import orjson

STATUSES = ("placed", "paid", "packed", "shipped", "delivered")
START = datetime(2026, 1, 1, tzinfo=UTC)


def schema(namespace: str) -> dict[str, Any]:
    """The Avro schema; its full name is the topic without the version."""
    optional = ["null", "string"]
    return {
        "type": "record",
        "name": "order",
        "namespace": namespace,
        "fields": [
            {"name": "order_id", "type": "string"},
            {"name": "customer_id", "type": "string"},
            {"name": "seq", "type": "long"},
            {"name": "status", "type": "string"},
            {"name": "currency", "type": "string"},
            {"name": "ship_to", "type": "string"},
            {"name": "email", "type": optional, "default": None},
            {"name": "note", "type": optional, "default": None},
            {"name": "total", "type": {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2}},
            {"name": "shipping_cents", "type": "long"},
            {"name": "created_at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
            {"name": "is_gift", "type": "boolean"},
            {"name": "lines", "type": "string"},
        ],
    }


TABLE = """
CREATE TABLE {table} (
    order_id text PRIMARY KEY, customer_id text NOT NULL, seq bigint NOT NULL, status text NOT NULL,
    currency text NOT NULL, ship_to text NOT NULL, email text, note text, total numeric(12, 2) NOT NULL,
    shipping_cents bigint NOT NULL, created_at timestamptz NOT NULL, is_gift boolean NOT NULL, lines text NOT NULL
)"""


def orders(count: int, *, seed: int = 7) -> Iterator[dict[str, Any]]:
    """Always the same orders for the same seed."""
    draw = random.Random(seed)
    for seq in range(count):
        lines = [
            {"sku": f"SKU-{draw.randrange(10**6):06}", "name": "Café crème", "qty": draw.randint(1, 9), "cents": 1299}
            for _ in range(2)
        ]
        yield {
            "order_id": str(uuid.UUID(int=draw.getrandbits(128))),
            "customer_id": f"c{draw.randrange(10**5):06}",
            "seq": seq,
            "status": draw.choice(STATUSES),
            "currency": "EUR",
            "ship_to": f"{draw.randrange(999)} Hauptstraße, 10115 Berlin",
            "email": f"c{seq % 1000}@example.com" if seq % 3 else None,
            "note": None,
            "total": Decimal(draw.randrange(10**7)).scaleb(-2),
            "shipping_cents": draw.randrange(2000),
            "created_at": START + timedelta(milliseconds=draw.randrange(10**9)),
            "is_gift": seq % 7 == 0,
            "lines": orjson.dumps(lines).decode(),
        }


def nested_schema(namespace: str) -> dict[str, Any]:
    """The order as a producer would send it: an enum for the status, a list of records for the lines."""
    line = [
        {"name": "sku", "type": "string"},
        {"name": "name", "type": "string"},
        {"name": "qty", "type": "int"},
        {"name": "unit_price_cents", "type": "long"},
    ]
    nested = {
        "status": {"type": "enum", "name": "status", "symbols": list(STATUSES)},
        "lines": {"type": "array", "items": {"type": "record", "name": "line", "fields": line}},
    }
    flat = schema(namespace)
    fields = [{**field, "type": nested.get(field["name"], field["type"])} for field in flat["fields"]]
    return {**flat, "fields": fields}


def nested_orders(count: int, *, seed: int = 7) -> Iterator[dict[str, Any]]:
    """The same orders, with two or three lines as records."""
    draw = random.Random(seed)
    for order in orders(count, seed=seed):
        lines = [
            {
                "sku": f"SKU-{draw.randrange(10**6):06}",
                "name": draw.choice(("Café crème", "Filter paper", "Grinder")),
                "qty": draw.randint(1, 9),
                "unit_price_cents": draw.randrange(100, 10**5),
            }
            for _ in range(draw.randint(2, 3))
        ]
        yield {**order, "lines": lines}
