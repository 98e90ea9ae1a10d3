"""What a sink made of the letters that a redrive gave to it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from time import monotonic, sleep
from typing import Any, Final

from mainstem.event import Partition
from mainstem.flow.letter_status import DELIVERED, DROPPED, TOPIC, WAITING, LetterStatus
from mainstem.kafka.reader import Reader, reading
from mainstem.recover.letterbox import Identity, identity_of
from mainstem.recover.letters import statuses_in
from mainstem.recover.redrive.job import Job

LOOK_EVERY_S: Final = 0.2


@dataclass(frozen=True, slots=True)
class Settled:
    """The letters of a redrive by what has become of them."""

    sent: int
    said: Mapping[Identity, LetterStatus] = field(default_factory=dict)

    @property
    def delivered(self) -> int:
        return self._in(DELIVERED)

    @property
    def dropped(self) -> int:
        return self._in(DROPPED)

    @property
    def failed_again(self) -> list[LetterStatus]:
        return [status for status in self.said.values() if status.state == WAITING]

    @property
    def open(self) -> int:
        """The sink has not said anything about these yet: it may be stopped, paused or busy."""
        return max(0, self.sent - len(self.said))

    def _in(self, state: str) -> int:
        return sum(status.state == state for status in self.said.values())


class Outcome:
    """Follows what is said of a redrive's letters: under its id or, for `letters`, under any."""

    def __init__(self, reader: Reader, job: Job, letters: Collection[Identity] = ()) -> None:
        self._reader = reader
        self._job = job
        self._letters = letters if isinstance(letters, set | frozenset) else set(letters)
        self._at: dict[Partition, int] = dict(job.statuses_offsets)
        self.said: dict[Identity, LetterStatus] = {}

    def look(self) -> int:
        """Reads what is new; gives of how many letters something is known now. Blocks."""
        ends = {partition: end for partition, (_, end) in self._reader.whole([TOPIC]).items()}
        for status in statuses_in(self._reader, {p: (self._at.get(p, 0), end) for p, end in ends.items()}):
            if status.dlq == self._job.dlq:
                identity = identity_of(status)
                if status.redrive == self._job.id or identity in self._letters:
                    self.said[identity] = status
        self._at = ends
        return len(self.said)


def await_outcome(
    config: Mapping[str, Any],
    job: Job,
    letters: Collection[Identity] = (),
    *,
    timeout_s: float,
    on_progress: Callable[[int], object] = lambda settled: None,
) -> Settled:
    """Waits until the sink has settled every letter that it was given, or the time is up; blocks.

    `letters` are those of this run, which somebody else may have settled; `on_progress` gets how many are settled.
    """
    deadline = monotonic() + timeout_s
    with reading(config) as reader:
        outcome = Outcome(reader, job, letters)
        while True:
            known = outcome.look()
            on_progress(known)
            if known >= job.sent or monotonic() > deadline:
                return Settled(job.sent, outcome.said)
            sleep(LOOK_EVERY_S)
