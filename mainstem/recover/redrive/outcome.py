"""What a sink made of the records that it was given again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from time import monotonic, sleep
from typing import Any, Final

from mainstem.flow.letter_status import TOPIC, WAITING, LetterStatus, read_status
from mainstem.kafka.reader import reading
from mainstem.recover.letters import Identity, Letter, identity_of
from mainstem.recover.redrive.running import Redriven

_LOOK_EVERY_S: Final = 0.2


@dataclass(frozen=True, slots=True)
class Settled:
    """The letters of a redrive by what has become of them."""

    delivered: tuple[Letter, ...]
    failed_again: tuple[Letter, ...]
    open: tuple[Letter, ...]
    """The sink has not said anything about these yet: it may be stopped, paused or busy."""


def await_outcome(
    config: Mapping[str, Any],
    dlq: str,
    redriven: Redriven,
    *,
    timeout_s: float,
    on_progress: Callable[[int], object] = lambda letters: None,
) -> Settled:
    """Waits until the sink has settled every letter or the time is up; blocks. `on_progress` gets how many more are."""
    wanted = {letter.identity for letter in redriven.letters}
    said: dict[Identity, LetterStatus] = {}
    deadline = monotonic() + timeout_s
    position = dict(redriven.statuses_end)
    with reading(config) as reader:
        while True:
            ends = {partition: end for partition, (_, end) in reader.whole([TOPIC]).items()}
            before = len(said)
            for messages in reader.read({p: (position.get(p, 0), end) for p, end in ends.items()}):
                values = [message.value() for message in messages]
                statuses = [read_status(value) for value in values if value is not None]
                said |= _about(dlq, wanted, statuses)
            on_progress(len(said) - before)
            position = ends
            if len(said) == len(wanted) or monotonic() > deadline:
                return settle(redriven.letters, said)
            sleep(_LOOK_EVERY_S)


def settle(letters: Iterable[Letter], said: Mapping[Identity, LetterStatus]) -> Settled:
    """Sorts the letters by what was said of them since the redrive began."""
    delivered, failed, still_open = [], [], []
    for letter in letters:
        status = said.get(letter.identity)
        if status is None:
            still_open.append(letter)
        elif status.state == WAITING:
            failed.append(letter)
        else:
            delivered.append(letter)
    return Settled(tuple(delivered), tuple(failed), tuple(still_open))


def _about(dlq: str, wanted: set[Identity], statuses: Iterable[LetterStatus]) -> dict[Identity, LetterStatus]:
    return {identity_of(s): s for s in statuses if s.dlq == dlq and identity_of(s) in wanted}
