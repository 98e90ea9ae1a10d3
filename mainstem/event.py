"""What travels: one event, and where it stands in Kafka."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, NamedTuple

from mainstem.errors import Rejected

Data = Mapping[str, Any]
"""An event's payload. Not necessarily a dict: read it as a mapping only."""


class Partition(NamedTuple):
    """One partition of a topic."""

    topic: str
    number: int


class Origin(NamedTuple):
    """Where a consumed event stands in Kafka; printed as `topic:partition:offset`."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}:{self.partition}:{self.offset}"


class Event:
    """One fact, with the CloudEvents attributes that identify it.

    `id` is set once at the source, is derived from it, and never changes through retry, redrive and replay. `type` is
    the topic without its version. `time` is when it happened (not when it was published), in UTC. `data` is None for a
    tombstone; it is decoded when it is first read, so looking at any other attribute is cheap.
    """

    __slots__ = ("_data", "_decode", "headers", "id", "ingested_at", "key", "origin", "revision", "source", "subject",
                 "time", "trace", "type")  # fmt: skip

    def __init__(  # noqa: PLR0913 - the CloudEvents attributes are what they are; all but three have defaults
        self,
        *,
        id: str,
        data: Data | None = None,
        key: str | None = None,
        time: datetime | None = None,
        type: str = "",
        source: str = "",
        subject: str | None = None,
        trace: str | None = None,
        ingested_at: datetime | None = None,
        revision: int = 0,
        headers: Mapping[str, str] | None = None,
        origin: Origin | None = None,
        decode: Callable[[], Data | None] | None = None,
    ) -> None:
        self.id = id
        self.key = key
        self.time = time
        self.type = type
        self.source = source
        self.subject = subject
        self.trace = trace
        self.ingested_at = ingested_at
        self.revision = revision
        self.headers = headers or {}
        self.origin = origin
        self._data = data
        self._decode = decode

    @property
    def data(self) -> Data:
        """The payload; raises Rejected when the bytes do not decode, ValueError when the event is a tombstone."""
        payload = self.payload
        if payload is None:
            raise ValueError(f"event {self.id} is a tombstone: it has no data")
        return payload

    @property
    def payload(self) -> Data | None:
        """The payload, or None for a tombstone."""
        if self._decode is not None:
            self._data = self._decode()
            self._decode = None
        return self._data

    def preload(self) -> None:
        """Decodes now what decodes; what does not is refused when it is read."""
        with suppress(Rejected):
            _ = self.payload

    def replace(self, **changes: Any) -> Event:
        """The same event with some attributes changed; `data=` replaces the payload undecoded."""
        now: dict[str, Any] = {name: getattr(self, name) for name in self.__slots__ if not name.startswith("_")}
        now |= {"data": self._data, "decode": self._decode}
        if "data" in changes:
            now["decode"] = None
        return Event(**(now | changes))

    def __repr__(self) -> str:
        """Without the payload: it may hold personal data, and reprs end in logs."""
        return f"Event(id={self.id!r}, type={self.type!r}, key={self.key!r}, origin={self.origin})"
