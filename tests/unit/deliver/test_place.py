"""Single decisions of a batch, one by one; tests/unit/flow/test_settlement_model.py tries them all together."""

from __future__ import annotations

import pytest

from mainstem import Misconfigured
from mainstem.codec import headers as h
from mainstem.errors import MAPPING_FAILED, PARKED_BEHIND, TARGET_REFUSES
from mainstem.flow import dead_letter as dl
from mainstem.flow.item import OnFailure
from mainstem.flow.letter_status import TOPIC as STATUSES
from tests.unit.deliver.sink_world import DLQ, World, order


@pytest.fixture
def world() -> World:
    return World()


def codes(world: World) -> dict[str, str | None]:
    return {letter.event_id: letter.fault.code for letter in world.letters()}


def states(world: World) -> dict[str, str]:
    return {letter.event_id: letter.state for letter in world.letters()}


def publish(world: World, *numbers: int, key: str | None = "k") -> None:
    world.topics.append([order(n, key=key) for n in numbers])


async def test_a_batch_that_nothing_is_wrong_with_is_one_write(world: World) -> None:
    publish(world, *range(50))
    settlement = await world.step()
    assert (len(settlement.delivered), world.store.writes) == (50, 1)
    assert world.delivered() == list(range(50))


async def test_one_bad_record_of_a_thousand_is_found_in_a_few_writes(world: World) -> None:
    world.topics.append([order(n, key=f"k{n}") for n in range(1000)])
    world.refused = {637}
    await world.step()
    assert world.delivered() == [n for n in range(1000) if n != 637]
    assert codes(world) == {"e637": TARGET_REFUSES.number}
    assert world.store.writes <= 25


async def test_a_letter_and_its_status_are_settled_with_the_rows(world: World) -> None:
    world.topics.append([order(1)._replace(headers=[*order(1).headers, ("odd", b"\xff"), ("odd", b"2")])])
    world.refused = {1}
    await world.step()
    (letter,), (status,) = world.topics.read(DLQ), world.topics.read(STATUSES)
    original = order(1)
    assert (letter.key(), letter.value()) == (original.key, original.value)
    assert letter.headers()[: len(original.headers) + 2] == [*original.headers, ("odd", b"\xff"), ("odd", b"2")]
    known = h.as_dict(letter.headers())
    assert (known[dl.CONNECTOR], known[dl.STAGE], known[dl.CODE]) == (b"books.journal", b"write", b"MS-105")
    said = next(iter(world.statuses().values()))
    assert (said.dlq, said.event_id, said.state, said.origin) == (DLQ, "e1", "waiting", "shop.order.v1:0:0")
    assert (said.cause, said.code, said.scope) == (known[dl.CAUSE].decode(), "MS-105", b"k".hex())
    assert status.key() is not None


async def test_a_good_record_before_a_bad_one_of_its_key_is_delivered_whatever_else_is_refused(world: World) -> None:
    """The mapping's failure is known before the batch is halved, and must not reach back."""
    publish(world, 1, 2)
    publish(world, 3, key="other")
    world.unmapped, world.refused = {2}, {3}
    await world.step()
    assert world.delivered() == [1]
    assert codes(world) == {"e2": MAPPING_FAILED.number, "e3": TARGET_REFUSES.number}


async def test_later_records_of_a_parked_key_wait_untried_in_their_order(world: World) -> None:
    publish(world, 1, 2, 3)
    publish(world, 4, key="other")
    world.refused = {1}
    await world.step()
    assert world.delivered() == [4]
    assert codes(world) == {"e1": "MS-105", "e2": PARKED_BEHIND.number, "e3": PARKED_BEHIND.number}
    assert world.waiting() == ["e1", "e2", "e3"]


async def test_with_the_policy_to_skip_only_the_record_itself_waits(world: World) -> None:
    world.on_failure = OnFailure.SKIP
    publish(world, 1, 2, 3)
    world.refused = {2}
    await world.step()
    assert world.delivered() == [1, 3]
    assert world.waiting() == ["e2"]


@pytest.mark.parametrize("broken", ["refused", "unmapped"])
async def test_with_the_policy_to_block_nothing_is_settled_and_the_record_is_named(world: World, broken: str) -> None:
    world.on_failure = OnFailure.BLOCK
    publish(world, 1, 2)
    setattr(world, broken, {2})
    with pytest.raises(Misconfigured, match=r"shop\.order\.v1:0:1 is refused and on_failure is block"):
        await world.step()
    assert (world.delivered(), world.letters()) == ([], ())
    setattr(world, broken, set())
    await world.step()
    assert world.delivered() == [1, 2]


async def test_a_mapping_that_fails_under_the_policy_to_block_is_known_before_anything_is_written(world: World) -> None:
    """A plain sink cannot take back what it has written."""
    world.on_failure = OnFailure.BLOCK
    publish(world, 1, 2)
    world.unmapped = {2}
    with pytest.raises(Misconfigured):
        await world.step()
    assert world.store.writes == 0


async def test_a_redriven_line_is_delivered_in_order_and_releases_the_key(world: World) -> None:
    publish(world, 1, 2, 3)
    world.refused = {1}
    await world.step()
    world.refused = set()
    world.redrive(world.letters())
    settlement = await world.step()
    assert world.delivered() == [1, 2, 3]
    assert [item.event_id for item in settlement.released] == ["e1", "e2", "e3"]
    assert set(states(world).values()) == {"delivered"}
    publish(world, 4)
    await world.step()
    assert world.delivered() == [1, 2, 3, 4]


async def test_a_redriven_record_that_is_not_first_in_line_waits_on(world: World) -> None:
    publish(world, 1, 2)
    world.refused = {1}
    await world.step()
    world.refused = set()
    world.redrive([letter for letter in world.letters() if letter.event_id == "e2"])
    await world.step()
    assert world.delivered() == []
    assert world.waiting() == ["e1", "e2"]
    assert set(states(world).values()) == {"waiting"}


async def test_a_redriven_record_that_fails_again_is_a_letter_again_and_still_the_first_in_line(world: World) -> None:
    publish(world, 1, 2)
    world.refused = {1}
    await world.step()
    world.redrive(world.letters())
    await world.step()
    assert world.waiting() == ["e1", "e2"]
    again = [h.as_dict(message.headers()) for message in world.topics.read(DLQ)[2:]]
    assert [(known[dl.TOPIC], known[dl.OFFSET]) for known in again] == [
        (b"shop.order.v1", b"0"),
        (b"shop.order.v1", b"1"),
    ]
    assert all(known[h.REDRIVE_COUNT] == b"1" for known in again)
    first = [h.as_dict(message.headers()) for message in world.topics.read(DLQ)[:2]]
    assert [known[dl.FIRST_FAILED_AT] for known in again] == [known[dl.FIRST_FAILED_AT] for known in first]
    assert not set(dl.ORIGIN_HEADERS) & again[0].keys()


async def test_two_clicks_in_one_batch_are_one_delivery_and_no_letter_says_otherwise(world: World) -> None:
    publish(world, 1)
    world.refused = {1}
    await world.step()
    world.refused = set()
    world.redrive([*world.letters(), *world.letters()])
    settlement = await world.step()
    assert (world.delivered(), len(settlement.dropped)) == ([1], 1)
    assert len(world.topics.read(DLQ)) == 1
    assert states(world) == {"e1": "delivered"}


async def test_two_clicks_on_what_still_fails_are_one_more_letter(world: World) -> None:
    publish(world, 1)
    world.refused = {1}
    await world.step()
    world.redrive([*world.letters(), *world.letters()])
    settlement = await world.step()
    assert (len(settlement.letters), len(settlement.dropped)) == (1, 1)
    assert len(world.topics.read(DLQ)) == 2
    assert world.waiting() == ["e1"]


@pytest.mark.parametrize(
    ("before", "after"),
    [(OnFailure.PARK, OnFailure.SKIP), (OnFailure.SKIP, OnFailure.PARK), (OnFailure.PARK, OnFailure.BLOCK)],
)
async def test_what_was_parked_under_one_policy_is_redriven_under_another(
    world: World, before: str, after: str
) -> None:
    world.on_failure = OnFailure(before)
    publish(world, 1)
    world.refused = {1}
    await world.step()
    world.on_failure, world.refused = OnFailure(after), set()
    world.redrive(world.letters())
    await world.step()
    assert world.delivered() == [1]
    assert world.waiting() == []
    assert states(world) == {"e1": "delivered"}


async def test_a_record_that_somebody_puts_into_the_redrive_topic_and_that_does_not_wait_is_dropped(
    world: World,
) -> None:
    world.topics.append([order(1, topic="books.journal.redrive")])
    settlement = await world.step()
    assert len(settlement.dropped) == 1
    assert (world.delivered(), world.letters()) == ([], ())
