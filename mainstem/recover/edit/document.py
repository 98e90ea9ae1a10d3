"""A decoded record as a JSON document that a person can change, and back."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

from mainstem.codec import headers as h
from mainstem.errors import SCHEMA_REFUSES, Rejected


def as_document(value: Any) -> Any:
    """The value in the forms that a Coercer takes back: times in RFC 3339, decimals as text, bytes as base64 text."""
    match value:
        case Mapping():
            value = {name: as_document(part) for name, part in value.items()}
        case list() | tuple():
            value = [as_document(part) for part in value]
        case datetime() if value.tzinfo is not None:
            value = h.format_time(value).decode()
        case datetime() | date() | time():
            value = value.isoformat()
        case Decimal() | UUID():
            value = str(value)
        case bytes() | bytearray():
            value = b64encode(value).decode()
    return value


def write_document(document: Any) -> str:
    """As JSON text. A number that JSON has no form for is written as Python does: NaN, Infinity."""
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"


def read_document(text: str) -> dict[str, Any]:
    """The record that the text holds. Raises Rejected (MS-104) naming the line that is not JSON."""
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise Rejected(
            f"line {error.lineno}, column {error.colno}: {error.msg}", code=SCHEMA_REFUSES, fix="write it as JSON"
        ) from None
    except RecursionError:
        raise Rejected("the JSON is nested too deeply", code=SCHEMA_REFUSES, fix="write it as JSON") from None
    if not isinstance(document, dict):
        raise Rejected("the JSON is not an object", code=SCHEMA_REFUSES, fix="give the whole record, from { to }")
    return document
