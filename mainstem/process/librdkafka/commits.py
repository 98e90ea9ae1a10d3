"""What a commit needs of the worker and of its tables, and what it tells about itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from time import monotonic
from typing import Any, Protocol

from faust.types import TP

from mainstem.process.librdkafka.flight import Flights
from mainstem.process.librdkafka.options import EngineOptions
from mainstem.process.librdkafka.sending import Producer
from mainstem.process.librdkafka.transaction import ProducerFailed


class Store(Protocol):
    """A table's store, as a commit sees it."""

    @property
    def is_lasting(self) -> bool:
        """It wants to know how far into its changelogs it is, when it keeps changes."""

    def changelogs(self) -> Sequence[TP]: ...
    def has_changes(self) -> bool: ...
    async def close_windows(self) -> None:
        """Those that are over; what that changes and sends is part of the commit."""

    def write_changes(self, write: Any) -> None:
        """To the changelog, once for each changed key."""

    def keep_changes(self, ends: Mapping[TP, int]) -> None:
        """They are committed. `ends`: where changelogs ended while nobody but this worker had written to them."""

    def drop_changes(self) -> None:
        """They are aborted. Drops cached values too: they may have been changed in place."""


class Work(Protocol):
    """What is to be committed; the consumer's side of it."""

    flights: Flights[TP]
    options: EngineOptions

    @property
    def producer(self) -> Producer: ...
    def stores(self) -> Sequence[Store]: ...
    def running(self) -> int:
        """Events that an agent has begun and not finished, and may have written for. Deferred ones have not."""

    @property
    def has_half_done(self) -> bool:
        """An event was finished by one of its agents and dropped by another: it is to be done again, by both."""

    def committed(self, offsets: Mapping[TP, int], epoch_s: float, commit_s: float) -> None:
        """Kafka has these; see `Observer.committed`."""

    async def commit_offsets(self, offsets: Mapping[TP, int]) -> None: ...
    async def group(self) -> Any:
        """The member's metadata; taken anew for each commit, since its epoch moves silently."""

    def drop_waiting(self) -> None:
        """Drops what was delivered and has not begun."""

    async def rewind(self) -> None:
        """Drops what waits and reads again from the committed offsets."""

    def aborted(self, reason: str) -> None:
        """What was under way is done again."""


async def close_windows(work: Work) -> None:
    """Raises ProducerFailed."""
    try:
        for store in work.stores():
            await store.close_windows()
    except ProducerFailed:
        raise
    except Exception as error:  # noqa: BLE001 - the author's code: it would be called again and again
        work.options.ends(f"a window could not be closed: {error!r}")


async def changelog_ends(work: Work, stores: Sequence[Store]) -> Mapping[TP, int]:
    return await work.producer.ends([tp for store in stores if store.is_lasting for tp in store.changelogs()])


class Watch:
    """When the events that are being committed began, and when the commit did."""

    def __init__(self) -> None:
        self._first_s: float | None = None
        self._commit_s = 0.0
        self._is_asked = False

    @property
    def committing_s(self) -> float:
        """For how long Kafka has been asked to commit; 0 while it is not asked."""
        return monotonic() - self._commit_s if self._is_asked else 0.0

    def delivered(self) -> None:
        if self._first_s is None:
            self._first_s = monotonic()

    def commit_begins(self) -> None:
        self._commit_s = monotonic()
        self._is_asked = True

    def commit_ends(self) -> None:
        self._is_asked = False

    def committed(self) -> tuple[float, float]:
        """Seconds since the first event, and since the commit began. The next event is a first one again."""
        now = monotonic()
        first_s, self._first_s = self._first_s, None
        return now - (self._commit_s if first_s is None else first_s), now - self._commit_s

    def reset(self) -> None:
        self._first_s = None
