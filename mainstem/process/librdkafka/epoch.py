"""The life of one exactly-once worker, transaction after transaction: values and decisions, no I/O.

    OPEN --close, settle, fail--> CLOSING --quiet--> COMMITTING --committed--> OPEN
                                     |                   |
                                     | failed, a gap     | refused
                                     v                   v
                                     +---> REWINDING <---+     nothing of it is visible
                                               |
                                               +--rewound--> OPEN     it is done again
    fenced, or an outcome that is not known, in any state --> ENDED   another process claims the id and goes on

One producer has one transaction for all partitions of the worker, so a barrier is needed: it is committed only while
nobody is in the middle of an event, whose outputs would otherwise be cut in two (the same barrier as a Kafka Streams
thread's between two polls).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum, auto

FIRST = 250
"""Events in a worker's first epoch: where each takes 10 ms it still ends in time, and six commits later it has 10,000.
"""


class Phase(StrEnum):
    """Of the worker's transaction."""

    OPEN = "events are delivered"
    CLOSING = "nothing is delivered; what was is waited for"
    COMMITTING = "Kafka is asked to commit"
    REWINDING = "the transaction is aborted and everything goes back to the committed offsets"
    ENDED = "this process may not write any more"


class Told(Enum):
    """What the transactional producer made of a commit."""

    COMMITTED = auto()
    REFUSED = auto()
    """Nothing was written, and the producer can go on."""
    LEAVE = auto()
    """Fenced, or whether it was written is not known."""


@dataclass
class Pace:
    """How many events an epoch takes. A failure replays the epoch, so failures make it small: a burst of n records
    that fail replays a few events n times, instead of all of a full epoch. So do events that are slow, for the epoch
    waits for them, and nobody knows at first how slow they are. Commits let it grow."""

    most: int
    size: int = 0

    def __post_init__(self) -> None:
        self.size = self.size or min(self.most, FIRST)

    def failed(self, done_before: int) -> None:
        """An epoch failed after so many events: the next one ends there, or is a quarter as large."""
        self.size = max(1, min(self.size // 4, done_before or 1))

    def was_slow(self, done: int) -> None:
        """So many events were done in the time that an epoch may take: the next one has half as many."""
        self.size = max(1, min(self.size, done) // 2 if done else self.size // 4)

    def committed(self) -> None:
        self.size = min(self.most, self.size * 2)


class Epoch:
    """Where the worker is. Calls that do not fit the phase change nothing; one that would break a promise raises."""

    def __init__(self, most_events: int) -> None:
        self.phase = Phase.OPEN
        self._pace = Pace(most_events)
        self._delivered = 0
        self._is_failed = False
        self._is_settling = False
        self.is_cut = False
        """What had not begun was dropped; once the rest is committed, it is to be delivered anew."""

    @property
    def takes_on(self) -> bool:
        """Whether an event may be begun: the commit waits for it."""
        return self.phase is Phase.OPEN or (self.phase is Phase.CLOSING and not self._is_short)

    @property
    def size(self) -> int:
        """How many events this epoch takes."""
        return self._pace.size

    @property
    def room(self) -> int:
        """How many more events may be delivered now."""
        return max(0, self._pace.size - self._delivered) if self.phase is Phase.OPEN else 0

    @property
    def is_empty(self) -> bool:
        """Nothing was delivered in it yet."""
        return not self._delivered

    @property
    def is_failed(self) -> bool:
        """One of its events failed: it will be aborted."""
        return self._is_failed

    def delivered(self, events: int) -> None:
        if self.phase is not Phase.OPEN:
            raise RuntimeError(f"an event was delivered although {self.phase}")
        self._delivered += events

    def close(self) -> None:
        """It is full, or its time is over: waits until all that was delivered is acknowledged."""
        if self.phase is Phase.OPEN:
            self.phase = Phase.CLOSING

    def settle(self) -> None:
        """Partitions are to be given up, or the worker stops: waits only for what has begun. What waits in a queue was
        dropped, or is; where something behind it is done already, all goes back."""
        self.close()
        self._is_settling = True

    def cut(self, done: int) -> bool:
        """It takes too long to wait for all that was delivered; so many are done. From now on it waits only for what
        has begun, and the next epochs are smaller. False where it does so already."""
        if self.phase is not Phase.CLOSING or self._is_short:
            return False
        self._is_settling = self.is_cut = True
        self._pace.was_slow(done)
        return True

    def fail(self, done_before: int = 0) -> None:
        """An event failed, with a part of its outputs and changes perhaps made: waits only for what has begun.

        `done_before`: about how many events of the epoch were done before it.
        """
        if self.phase in {Phase.OPEN, Phase.CLOSING}:
            self.phase = Phase.CLOSING
            if not self._is_failed:
                self._pace.failed(done_before)
            self._is_failed = True

    def is_quiet(self, *, outstanding: int, running: int) -> bool:
        """Whether the barrier is reached: `outstanding` were delivered and `running` begun, but not acknowledged."""
        return running == 0 and (outstanding == 0 or self._is_short)

    @property
    def _is_short(self) -> bool:
        """Only what has begun is waited for."""
        return self._is_failed or self._is_settling

    def quiet(self, *, has_gap: bool) -> Phase:
        """The barrier is reached: COMMITTING or REWINDING."""
        if self.phase is Phase.CLOSING:
            self.phase = Phase.REWINDING if self._is_failed or has_gap else Phase.COMMITTING
        return self.phase

    def lose(self) -> None:
        """The partitions belong to others already: nothing of the epoch may be committed."""
        if self.phase is not Phase.ENDED:
            self.phase = Phase.REWINDING

    def told(self, told: Told) -> Phase:
        """What became of the commit: OPEN, REWINDING or ENDED."""
        if self.phase is not Phase.COMMITTING:
            return self.phase
        if told is Told.COMMITTED:
            if not self.is_cut:
                self._pace.committed()
            self._begin()
        else:
            self.phase = Phase.REWINDING if told is Told.REFUSED else Phase.ENDED
        return self.phase

    def rewound(self) -> None:
        """All is back at the committed offsets."""
        if self.phase is Phase.REWINDING:
            self._begin()

    def end(self) -> None:
        self.phase = Phase.ENDED

    def _begin(self) -> None:
        self.phase = Phase.OPEN
        self._delivered = 0
        self._is_failed = False
        self._is_settling = self.is_cut = False
