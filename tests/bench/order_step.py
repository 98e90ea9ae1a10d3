"""What a contestant does to an order: Avro in, two fields changed, Avro out; by fastavro, or by the native codec."""

from __future__ import annotations

from decimal import Decimal
from io import BytesIO
from typing import Any

import fastavro

from mainstem.codec.native.plan import compile_plan
from tests.bench.orders import schema

HEADER = b"\x00\x00\x00\x00\x01"
CENT = Decimal("0.01")
PLAN = compile_plan(schema("bench"))
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
    order["total"] += CENT
    return order


def view(value: bytes | None) -> Any:
    """By the native codec: fields are decoded when they are looked at."""
    return PLAN.view(value or b"", len(HEADER))


def change_view(order: Any) -> Any:
    return order.replace(status="seen", total=order["total"] + CENT)


def encode_view(order: Any) -> bytes:
    return PLAN.encode(order, HEADER)
