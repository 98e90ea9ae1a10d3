"""Which event ids are published, and which are about to be: so that a repeated delivery is published once."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence

from mainstem.errors import MainstemError


class Attempt:
    """One produce under way. Whoever brings one of its ids meanwhile waits for its outcome and shares it."""

    __slots__ = ("_error", "_ids", "_once", "_waiting", "is_settled")

    def __init__(self, once: Once, ids: Sequence[str]) -> None:
        self._once = once
        self._ids = ids
        self._waiting: list[asyncio.Future[None]] = []
        self._error: MainstemError | None = None
        self.is_settled = False

    def succeed(self) -> None:
        """The ids are durable in Kafka: they are duplicates from now on."""
        self._once.remember(self._ids)
        self._settle()

    def fail(self, error: MainstemError) -> None:
        """The ids may or may not be in Kafka: they count as unknown, so that the next delivery is tried again."""
        self._error = error
        self._settle()

    def _settle(self) -> None:
        self.is_settled = True
        self._once.forget(self._ids)
        for future in self._waiting:
            if not future.done():
                future.set_result(None)

    async def settled(self) -> None:
        """Returns when the produce has succeeded, at once where it has; raises what made it fail."""
        if not self.is_settled:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(future)
            await future
        if self._error is not None:
            raise type(self._error)(self._error.cause, code=self._error.code, fix=self._error.fix)


class Once:
    """The last `capacity` published ids of one topic, and the ids that are under way.

    What is older than the window is published again: the stream behind drops it by its `ce_id`.
    """

    def __init__(self, capacity: int, known: Iterable[str] = ()) -> None:
        self._capacity = capacity
        self._known: set[str] = set()
        self._order: deque[str] = deque()
        self._under_way: dict[str, Attempt] = {}
        self.remember(known)

    def __len__(self) -> int:
        return len(self._known)

    def is_known(self, event_id: str) -> bool:
        """Whether the id is durable in Kafka, as far as the window reaches."""
        return event_id in self._known

    def under_way(self, event_id: str) -> Attempt | None:
        """The produce that has the id in hand now."""
        return self._under_way.get(event_id)

    def begin(self, ids: Sequence[str]) -> Attempt:
        """Claims ids that are neither known nor under way. The attempt must be settled, whatever happens."""
        attempt = Attempt(self, ids)
        for event_id in ids:
            self._under_way[event_id] = attempt
        return attempt

    def remember(self, ids: Iterable[str]) -> None:
        """Notes ids as durable, oldest first; the oldest of all leave the window."""
        for event_id in ids:
            if event_id not in self._known:
                self._known.add(event_id)
                self._order.append(event_id)
        while len(self._order) > self._capacity:
            self._known.discard(self._order.popleft())

    def forget(self, ids: Iterable[str]) -> None:
        """The ids are under way no more."""
        for event_id in ids:
            self._under_way.pop(event_id, None)
