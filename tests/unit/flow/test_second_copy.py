"""A stream that was killed writes its last outputs again: a copy of a record that waits is not another dead letter."""

from __future__ import annotations

import pytest

from tests.unit.deliver.sink_world import World, order


@pytest.mark.parametrize("batch", [1, 2])
async def test_a_second_copy_of_a_record_that_waits_is_dropped(batch: int) -> None:
    world = World(refused={1})
    world.topics.append([order(1), order(1)])

    settlements = [await world.step(batch, 0), await world.step(2 - batch, 0)]

    assert [letter.event_id for letter in world.letters()] == ["e1"]
    assert world.waiting() == ["e1"]
    assert sum(len(settlement.dropped) for settlement in settlements) == 1


async def test_a_later_record_of_the_key_still_waits_behind_it() -> None:
    world = World(refused={1})
    world.topics.append([order(1), order(2), order(1), order(2)])

    await world.step(4, 0)

    assert world.waiting() == ["e1", "e2"]
    assert len(world.letters()) == 2
