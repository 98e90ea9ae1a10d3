"""Which partitions a member holds, and which of them it may read. No I/O: it says what to pause and to resume."""

from __future__ import annotations

from collections.abc import Collection

from mainstem.event import Partition


class Holdings:
    """A held partition waits for its start, or runs. While the member rests, nothing is read of any."""

    def __init__(self) -> None:
        self._held: frozenset[Partition] = frozenset()
        self._waiting: set[Partition] = set()
        self.is_resting = False
        self.generation = 0
        """Rises whenever partitions are started: what was fetched before is told from what was fetched after."""

    def __contains__(self, partition: Partition) -> bool:
        """Whether it is held. May be asked from any thread."""
        return partition in self._held

    @property
    def held(self) -> frozenset[Partition]:
        return self._held

    def running(self) -> list[Partition]:
        """Started, and still ours."""
        return sorted(self._held - self._waiting)

    def assign(self, partitions: Collection[Partition]) -> None:
        """These are all that is held from now on, and each waits."""
        self._held = frozenset(partitions)
        self._waiting = set(partitions)

    def leave(self, partitions: Collection[Partition]) -> None:
        self._held -= set(partitions)
        self._waiting -= set(partitions)

    def hold(self, partitions: Collection[Partition]) -> list[Partition]:
        """Those that ran, to be paused: they wait from now on."""
        stopped = [partition for partition in partitions if partition in self._held - self._waiting]
        self._waiting.update(stopped)
        return stopped

    def waiting(self, partitions: Collection[Partition]) -> list[Partition]:
        """Those of them that can be started; the others are not ours any more, or run."""
        return [partition for partition in partitions if partition in self._waiting]

    def start(self, partition: Partition) -> None:
        """It runs. It is to be resumed now or, while the member rests, at the end of that."""
        self._waiting.discard(partition)
