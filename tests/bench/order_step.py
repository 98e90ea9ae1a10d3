"""What every contestant does to an order: Avro in, two fields changed, Avro out, all by fastavro."""

from __future__ import annotations

from decimal import Decimal
from io import BytesIO
from typing import Any

import fastavro

from tests.bench.orders import schema

HEADER = b"\x00\x00\x00\x00\x01"
SCHEMA: Any = fastavro.parse_schema(schema("bench"))


def decode(value: bytes | None) -> Any:
    return fastavro.schemaless_reader(BytesIO((value or b"")[len(HEADER) :]), SCHEMA, None)


def encode(order: Any) -> bytes:
    buffer = BytesIO()
    buffer.write(HEADER)
    fastavro.schemaless_writer(buffer, SCHEMA, order)
    return buffer.getvalue()


def change(order: Any) -> Any:
    order["status"] = "seen"
    order["total"] += Decimal("0.01")
    return order
