"""What the author of a source writes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mainstem.event import Event
from mainstem.sdk.settings import Settings

Position = Mapping[str, Any]
"""How far a source has read: JSON values, monotonic for one source task."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Events and the position after them; both become visible in Kafka together, or neither does.

    A record that cannot be read is an event too: its `decode` raises Rejected. Only that one is dead-lettered.
    """

    events: Sequence[Event]
    position: Position


class Source(Settings, ABC):
    """A source that is read: its settings are its fields, and `read` is one async generator.

    An event's `type` and `source` are filled in by the runtime where they are empty; `id` must come from the outside
    system, so that reading the same thing again gives the same event.
    """

    @abstractmethod
    def read(self, after: Position | None) -> AsyncIterator[Batch]:
        """Yields batches after that position (None: from the beginning); ends when there is nothing more for now.

        The runtime calls it again after `poll_every_s`. Raise Retryable, Rejected or Misconfigured.
        """

    async def acknowledge(self, position: Position) -> None:
        """Called in order when a batch and its position are durable in Kafka."""

    async def check(self) -> None:
        """For `mainstem doctor`: raises Misconfigured or Unreachable when the outside system cannot be read."""

    poll_every_s: float = 30.0
    """Seconds between two reads once `read` has ended."""


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request, body read to its limit. `headers` has lower-case names."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


class PushSource(Settings, ABC):
    """A source that is called (a webhook, a queue's push): one request becomes events.

    The gateway answers 2xx only when the events are durable in Kafka, and publishes an event id once within its window.
    `data` may hold JSON's types; the runtime converts it by the topic's schema and names the field that does not fit.
    """

    @abstractmethod
    async def receive(self, request: Request) -> list[Event]:
        """Verifies the raw request, then parses it. Raises RequestRefused with the status to answer."""

    async def check(self) -> None:
        """For `mainstem doctor`: raises Misconfigured when the source cannot work as it is set up."""
