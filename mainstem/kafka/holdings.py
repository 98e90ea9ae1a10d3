"""Which partitions a member holds, and which of them it may read. No I/O: it says what to pause and to resume."""

from __future__ import annotations

from collections.abc import Collection

from mainstem.event import Partition


class Holdings:
    """A held partition waits for its start, or runs. While the member rests, nothing is read of any."""

    def __init__(self) -> None:
        self._held: frozenset[Partition] = frozenset()
        self._starts: dict[Partition, int] = {}
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
        return sorted(self._starts)

    def starts(self) -> dict[Partition, int]:
        """The offset at which each of the running ones is to be read from."""
        return dict(sorted(self._starts.items()))

    def assign(self, partitions: Collection[Partition]) -> None:
        """These are all that is held from now on, and each waits."""
        self._held = frozenset(partitions)
        self._starts = {}

    def leave(self, partitions: Collection[Partition]) -> None:
        self._held -= set(partitions)
        for partition in partitions:
            self._starts.pop(partition, None)

    def hold(self, partitions: Collection[Partition]) -> list[Partition]:
        """Those that ran: they wait from now on."""
        return [partition for partition in partitions if self._starts.pop(partition, None) is not None]

    def waiting(self, partitions: Collection[Partition]) -> list[Partition]:
        """Those of them that can be started; the others are not ours any more, or run."""
        return [partition for partition in partitions if partition in self._held and partition not in self._starts]

    def start(self, partition: Partition, offset: int) -> None:
        """It runs. It is to be read now or, while the member rests, at the end of that."""
        self._starts[partition] = offset

    def goes_on(self, partition: Partition, offset: int) -> None:
        """Where it is, if it runs and something has been read of it (else the offset is negative)."""
        if partition in self._starts and offset >= 0:
            self._starts[partition] = offset
