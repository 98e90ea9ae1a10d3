"""An event's attributes as record headers: CloudEvents in Kafka's binary mode, plus mainstem's own.

Source: https://github.com/cloudevents/spec/blob/main/cloudevents/bindings/kafka-protocol-binding.md
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from datetime import UTC, datetime
from typing import Final

from mainstem.event import Event

Headers = Sequence[tuple[str, bytes]]

SPEC_VERSION: Final = "ce_specversion"
ID: Final = "ce_id"
SOURCE: Final = "ce_source"
TYPE: Final = "ce_type"
TIME: Final = "ce_time"
SUBJECT: Final = "ce_subject"
SCHEMA: Final = "ce_dataschema"
CONTENT_TYPE: Final = "content-type"
TRACE: Final = "traceparent"
INGESTED_AT: Final = "mainstem_ingested_at"
REVISION: Final = "mainstem_revision"
REPLAY_ID: Final = "mainstem_replay_id"
REDRIVE_ID: Final = "mainstem_redrive_id"
REDRIVE_COUNT: Final = "mainstem_redrive_count"
DROP: Final = "mainstem_drop"
"""Of a redriven record: who has given it up. Its sink is to let it wait no longer, and to write nothing."""
DROP_BECAUSE: Final = "mainstem_drop_because"
"""Why that person has given it up."""
EDITED_BY: Final = "mainstem_edited_by"
"""Who made the revision that the record is."""
VALUE_SCHEMA_ID: Final = "__value_schema_id"

ATTRIBUTES: Final = frozenset(
    {SPEC_VERSION, ID, SOURCE, TYPE, TIME, SUBJECT, SCHEMA, CONTENT_TYPE, TRACE, INGESTED_AT, REVISION}
)
_DIGITS: Final = 18
"""More than any offset or count has; Python refuses to read a number of thousands of digits."""
_WHOLE: Final = frozenset({SPEC_VERSION, CONTENT_TYPE, ID, SOURCE, TYPE, TIME})
_FIXED: Final = ((SPEC_VERSION, b"1.0"), (CONTENT_TYPE, b"application/avro"))


def write_headers(event: Event) -> list[tuple[str, bytes]]:
    """The headers of an event whose id, type, source and time are set."""
    headers = least_headers(event.id.encode(), event.type.encode(), event.time, event.source.encode())
    if event.subject is not None:
        headers.append((SUBJECT, event.subject.encode()))
    if event.trace is not None:
        headers.append((TRACE, event.trace.encode()))
    if event.ingested_at is not None:
        headers.append((INGESTED_AT, format_time(event.ingested_at)))
    if event.revision:
        headers.append((REVISION, str(event.revision).encode()))
    # An attribute's name among the others would come last, and so replace it for every reader.
    headers.extend((name, value.encode()) for name, value in event.headers.items() if name not in ATTRIBUTES)
    return headers


def least_headers(
    event_id: bytes, event_type: bytes, time: datetime | None, source: bytes = b""
) -> list[tuple[str, bytes]]:
    """What every event has; its time as far as it is known."""
    headers = [*_FIXED, (ID, event_id), (SOURCE, source), (TYPE, event_type)]
    if time is not None:
        headers.append((TIME, format_time(time)))
    return headers


def passed_on(known: Mapping[str, bytes], event_type: bytes, *, without: Set[str]) -> list[tuple[str, bytes]] | None:
    """An event's headers, by name, as those of another one that came of it, with that type and without some of them.

    None where they do not make a whole event, of which every reader would make the same: what is missing has to be
    found and written.
    """
    if not known.keys() >= _WHOLE or not known[ID] or parse_time(known[TIME]) is None:
        return None
    passed = {**known, TYPE: event_type}
    passed.pop(SCHEMA, None)  # of the input's schema
    return [pair for pair in passed.items() if pair[0] not in without]


def format_time(time: datetime) -> bytes:
    """RFC 3339 in UTC, microseconds kept; a time without a zone is taken as UTC."""
    if time.tzinfo is None:
        time = time.replace(tzinfo=UTC)
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z").encode()


def parse_time(value: bytes | None) -> datetime | None:
    """The time in UTC, or None when the header is missing or not a time: a bad header must not cost the record.

    A time without a zone is taken as UTC.
    """
    if not value:
        return None
    try:
        time = datetime.fromisoformat(value.decode())
        if time.tzinfo is UTC:
            return time
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def parse_number(value: bytes | str | None) -> int | None:
    """The number that a header holds as decimal digits; None for anything else, however hostile."""
    if not value or len(value) > _DIGITS or not value.isascii() or not value.isdigit():
        return None
    return int(value)


def as_dict(headers: Headers | None) -> dict[str, bytes]:
    """Headers by name; of a repeated one the last counts, a null value is an empty one."""
    known = dict(headers or ())
    return known if all(known.values()) else {name: value or b"" for name, value in known.items()}


def text(headers: Mapping[str, bytes], name: str) -> str | None:
    """A header as text; bytes that are not UTF-8 become replacement characters."""
    value = headers.get(name)
    return None if value is None else value.decode(errors="replace")
