"""A position at which a partition holds nothing any more, or nothing yet: nobody jumps over what is missing."""

from __future__ import annotations

from mainstem.errors import OFFSETS_GONE, Misconfigured
from mainstem.event import Partition


def check_position(partition: Partition, position: int | None, bounds: tuple[int, int]) -> None:
    """Raises Misconfigured (MS-211) when the next offset to read is not within the partition; None is its beginning."""
    if position is not None and not bounds[0] <= position <= bounds[1]:
        raise gap(partition, position, bounds)


def gap(partition: Partition, position: int | None, bounds: tuple[int, int] | None) -> Misconfigured:
    """What to say of it; without `bounds` nobody knows what there is instead."""
    place = f"{partition.topic}:{partition.number}"
    said = f"{place} holds offsets {bounds[0]} to {bounds[1]}" if bounds else f"{place} does not hold its offset"
    return Misconfigured(f"{said}, the next one to read is {position}", code=OFFSETS_GONE)
