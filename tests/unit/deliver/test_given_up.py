"""What a sink says of redriven and dropped letters: which redrive it was, who dropped them and why."""

from __future__ import annotations

from mainstem.flow.letter_status import DELIVERED, DROPPED, WAITING, LetterStatus
from tests.unit.deliver.sink_world import World, order


def said(world: World, n: int) -> LetterStatus:
    """The last status of the event `e<n>`."""
    return next(status for status in world.statuses().values() if status.event_id == f"e{n}")


async def parked(*numbers: int, refused: int) -> World:
    """Records of one key, of which one is refused and so those behind it wait."""
    world = World(refused={refused})
    world.topics.append([order(n) for n in numbers])
    await world.step()
    return world


async def test_a_dropped_letter_is_not_written_and_its_status_says_who_and_why() -> None:
    world = await parked(1, 2, refused=1)

    world.drop([letter for letter in world.letters() if letter.event_id == "e1"], who="ann", because="a test")
    await world.step()

    status = said(world, 1)
    assert (status.state, status.by, status.because, status.redrive) == (DROPPED, "ann", "a test", "d1")
    assert (world.delivered(), world.waiting()) == ([], ["e2"])


async def test_a_letter_leaves_its_line_from_wherever_it_stands() -> None:
    world = await parked(1, 2, 3, refused=1)

    world.drop([letter for letter in world.letters() if letter.event_id == "e2"])
    await world.step()
    world.refused.clear()
    world.redrive([letter for letter in world.letters() if letter.state == WAITING])
    await world.step()

    assert world.delivered() == [1, 3]
    assert world.waiting() == []


async def test_when_the_last_of_a_key_is_dropped_its_live_records_flow_again() -> None:
    world = await parked(1, refused=1)

    world.drop(world.letters())
    await world.step()
    world.topics.append([order(2)])
    await world.step()

    assert world.delivered() == [2]


async def test_a_letter_that_does_not_wait_any_more_is_not_dropped() -> None:
    world = await parked(1, refused=1)
    world.refused.clear()
    world.redrive(world.letters(), "r7")
    await world.step()

    world.drop(world.letters())
    settlement = await world.step()

    assert (said(world, 1).state, said(world, 1).redrive) == (DELIVERED, "r7")
    assert len(settlement.dropped) == 1


async def test_a_drop_and_a_redrive_in_one_batch_take_effect_in_their_order() -> None:
    world = await parked(1, 2, refused=1)
    world.refused.clear()
    first, second = world.letters()

    world.drop([first])
    world.redrive([second])
    await world.step()

    assert (said(world, 1).state, said(world, 2).state) == (DROPPED, DELIVERED)
    assert world.delivered() == [2]


async def test_a_letter_that_comes_back_says_from_which_redrive() -> None:
    world = await parked(1, refused=1)

    world.redrive(world.letters(), "r7")
    await world.step()

    (letter,) = world.letters()
    assert (said(world, 1).state, said(world, 1).redrive) == (WAITING, "r7")
    assert (letter.redrive_id, letter.redrive_count) == ("r7", 1)


async def test_an_edited_letter_is_delivered_as_it_was_edited() -> None:
    world = await parked(1, refused=1)

    world.edit(world.letters()[0], 7)
    world.redrive(world.letters())
    await world.step()

    assert world.delivered() == [7]
    assert [row["id"] for row in world.store.rows] == ["e1"]
