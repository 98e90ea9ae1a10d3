"""How much agents have been given and have not finished yet: a value, no I/O.

Kafka keeps what is not fetched. Without a bound of its own, a worker whose agents are slower than its consumer would
take the whole topic into memory: the queues that Faust puts between the two count batches, not records, and no bytes.
"""

from __future__ import annotations


class Burden:
    """Events and the bytes of their values, of one generation: what was given in an earlier one is void."""

    def __init__(self, most_events: int, most_bytes: int) -> None:
        self._most_events = most_events
        self._most_bytes = most_bytes
        self._generation = 0
        self._events = 0
        self._bytes = 0

    def give(self, generation: int, events: int, size: int) -> None:
        self._renew(generation)
        self._events += events
        self._bytes += size

    def finish(self, events: int, size: int) -> None:
        """Of the current generation."""
        self._events -= events
        self._bytes -= size

    def is_full(self, generation: int) -> bool:
        """Nothing more is to be given. What was given last may go beyond the bound."""
        self._renew(generation)
        return self._events >= self._most_events or self._bytes >= self._most_bytes

    def _renew(self, generation: int) -> None:
        if generation != self._generation:
            self._generation, self._events, self._bytes = generation, 0, 0
