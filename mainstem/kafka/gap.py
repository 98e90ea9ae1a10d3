"""A position at which a partition holds nothing any more, or nothing yet: nobody jumps over what is missing."""

from __future__ import annotations

from mainstem.errors import OFFSETS_GONE, Misconfigured
from mainstem.event import Partition


def first_to_read(partition: Partition, position: int | None, bounds: tuple[int, int]) -> int:
    """The offset at which to begin; without a position it is the partition's beginning.

    Raises Misconfigured (MS-211) when the position is not within the partition.
    """
    if position is None:
        return bounds[0]
    if not bounds[0] <= position <= bounds[1]:
        raise gap(partition, position, bounds)
    return position


def gap(partition: Partition, position: int | None, bounds: tuple[int, int] | None) -> Misconfigured:
    """What to say of it; without `bounds` nobody knows what there is instead."""
    place = f"{partition.topic}:{partition.number}"
    said = f"{place} holds offsets {bounds[0]} to {bounds[1]}" if bounds else f"{place} does not hold its offset"
    return Misconfigured(f"{said}, the next one to read is {position}", code=OFFSETS_GONE)
