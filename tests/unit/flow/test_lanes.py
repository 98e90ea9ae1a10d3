"""A plain sink's decisions, case by case; test_lanes_model.py has all of them at once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mainstem.errors import PARKED_BEHIND, PARKED_TOO_MANY, RETRIES_EXHAUSTED, Misconfigured, Retryable, Unreachable
from mainstem.flow import checkpoint
from mainstem.flow.flight import Flight
from mainstem.flow.item import OnFailure
from tests.unit.flow.lane_world import AGAIN, LIVE, RULES, LaneWorld, not_durable, numbers

ONE, OTHER = LIVE
AGAIN_ONE, _ = AGAIN
BATCH = replace(RULES, per_write=100)


def started(world: LaneWorld) -> list[Flight]:
    flights = []
    while (flight := world.start()) is not None:
        flights.append(flight)
    return flights


def parked(world: LaneWorld, key: str = "a") -> int:
    """The number of a record of the key that waits, durably."""
    n = world.publish(key, refused=True)
    world.settle()
    assert f"e{n}" in world.durable.waiting()
    return n


def test_many_keys_are_in_flight_at_once_and_of_a_key_one_record() -> None:
    world = LaneWorld()
    for key in ("a", "a", "b", "c", "a"):
        world.publish(key)
    world.fetch(ONE)
    world.fetch(OTHER)
    assert [numbers(flight) for flight in started(world)] == [[0], [2], [3]]
    world.land(world.flights[0])
    assert [numbers(flight) for flight in started(world)] == [[1]]


def test_records_without_a_key_do_not_wait_for_each_other() -> None:
    world = LaneWorld()
    world.publish(None)
    world.publish(None)
    world.fetch(OTHER)
    assert len(started(world)) == 2


def test_a_batch_has_runs_of_many_keys() -> None:
    world = LaneWorld(BATCH)
    for key in ("a", "b", "a"):
        world.publish(key)
    world.fetch(ONE)
    assert [numbers(flight) for flight in started(world)] == [[0, 2, 1]]


def test_a_record_that_waits_for_its_retry_holds_up_its_own_key_only() -> None:
    world = LaneWorld()
    for key in ("a", "a", "b", "b"):
        world.publish(key)
    world.fetch(ONE)
    slow, other = started(world)
    world.land(slow, Retryable("busy", after_s=100), has_effect=False)
    world.land(other)
    assert [numbers(flight) for flight in started(world)] == [[3]]
    world.land(world.flights[0])
    assert world.lanes.rests_until() == pytest.approx(100, abs=1)
    world.now = 101
    assert [numbers(flight) for flight in started(world)] == [[0]]


def test_a_slow_record_keeps_the_offset_back_and_nothing_else() -> None:
    """A successor passes over what was finished beyond it, and knows what of it waits."""
    world = LaneWorld()
    for key in ("a", "b", "b", "b"):
        world.publish(key)
    world.refused = {2}
    world.fetch(ONE)
    _slow, delivered = started(world)
    world.land(delivered)
    [refused] = started(world)
    world.land(refused)
    assert started(world) == [], "the third of b waits behind the second"
    world.commit()
    assert (world.durable.offsets[ONE], world.durable.waiting()) == (0, {"e2", "e3"})
    world.take_over()
    world.fetch(ONE)
    assert [numbers(flight) for flight in started(world)] == [[0]]
    world.land(world.flights[0])
    world.commit()
    assert (world.durable.offsets[ONE], world.durable.waiting()) == (4, {"e2", "e3"})
    assert world.commit() is None, "what is durable is committed once"


def test_what_is_too_far_ahead_for_a_note_is_not_durable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "SPAN", 3)
    world = LaneWorld()
    for _ in range(6):
        world.publish(None)
    world.fetch(OTHER)
    slow, *others = started(world)
    for flight in others:
        world.land(flight)
    done = world.commit()
    assert done is not None
    assert [item.event_id for item in done.outcomes.delivered] == ["e1", "e2"]
    assert sorted(not_durable(world, [OTHER])) == [3, 4, 5]
    world.land(slow)
    world.commit()
    assert world.durable.offsets[OTHER] == 6


def test_attempts_are_counted_for_each_record_and_the_last_one_parks_the_key() -> None:
    world = LaneWorld()
    world.publish("a")
    world.publish("a")
    world.fetch(ONE)
    for attempt in (1, 2, 3):
        world.now += 10
        [flight] = started(world)
        world.land(flight, Retryable(f"busy {attempt}"), has_effect=False)
    assert started(world) == []
    done = world.commit()
    assert done is not None
    [(first, exhausted), (second, behind)] = done.outcomes.letters
    assert (first.event_id, exhausted.error.code, exhausted.attempts) == ("e0", RETRIES_EXHAUSTED, 3)
    assert exhausted.error.cause == "no attempt is left: busy 3"
    assert (second.event_id, behind.error.code) == ("e1", PARKED_BEHIND)
    assert world.durable.waiting() == {"e0", "e1"}


@pytest.mark.parametrize("trouble", [Unreachable("away"), Misconfigured("no table"), ValueError("a bug")])
def test_what_is_not_about_the_record_costs_no_attempt_and_keeps_its_place(trouble: Exception) -> None:
    world = LaneWorld()
    world.publish("a")
    world.publish("b")
    world.fetch(ONE)
    for _ in range(20):
        flight = world.start()
        assert flight is not None
        assert numbers(flight) == [0]
        world.land(flight, trouble, has_effect=False)
    world.settle()
    assert world.delivered() == [0, 1]


@pytest.mark.parametrize("bad", range(7))
def test_a_refused_batch_is_halved_until_the_record_to_blame_is_alone(bad: int) -> None:
    world = LaneWorld(BATCH)
    for key in ("a", "b", None, None, "a", "c", "b"):
        world.publish(key)
    world.refused.add(bad)
    world.settle()
    waiting = {int(event_id[1:]) for event_id in world.durable.waiting()}
    same_key = {n for n, key in enumerate(world.keys) if key is not None and key == world.keys[bad] and n > bad}
    assert waiting == {bad} | same_key
    assert sorted(world.delivered()) == sorted({*range(7)} - waiting)


def test_of_a_batch_without_attempts_only_the_record_that_fails_alone_is_given_up() -> None:
    world = LaneWorld(BATCH)
    for key in ("a", "b", None):
        world.publish(key)
    world.fetch(ONE)
    world.fetch(OTHER)
    for _ in range(10):
        world.now += 10
        for flight in started(world):
            world.land(flight, Retryable("busy") if 1 in numbers(flight) else None, has_effect=False)
        world.commit()
    assert world.durable.waiting() == {"e1"}


def test_a_live_record_is_held_until_the_release_of_its_key_is_durable() -> None:
    """Else a crash could deliver the old record after the newer one."""
    world = LaneWorld()
    slow, old = parked(world, "b"), parked(world, "a")
    world.refused.clear()
    world.redrive([f"e{slow}", f"e{old}"])
    world.fetch(AGAIN_ONE)
    _first, second = started(world)
    world.land(second)
    new = world.publish("a")
    world.fetch(ONE)
    assert started(world) == []
    world.commit()
    assert [numbers(flight) for flight in started(world)] == [[new]], "a slow one before it in its topic is no matter"


def test_a_crash_before_the_release_is_durable_repeats_it_in_order() -> None:
    world = LaneWorld()
    old = parked(world)
    world.refused.clear()
    world.redrive([f"e{old}"])
    world.fetch(AGAIN_ONE)
    world.land(started(world)[0])
    new = world.publish("a")
    world.take_over()
    world.settle()
    assert world.delivered() == [old, old]
    assert world.durable.waiting() == {f"e{new}"}, "it came while the old one still waited, says Kafka"


def test_redriven_records_of_a_key_go_in_order_without_waiting_for_commits() -> None:
    world = LaneWorld()
    old = [parked(world), world.publish("a"), world.publish("a")]
    world.settle()
    world.refused.clear()
    world.redrive([f"e{n}" for n in old])
    world.fetch(AGAIN_ONE)
    for n in old:
        [flight] = started(world)
        assert numbers(flight) == [n]
        world.land(flight)


def test_a_redriven_record_that_fails_again_is_tried_again_when_it_is_redriven_again() -> None:
    world = LaneWorld()
    old = parked(world)
    for _ in range(3):
        world.redrive([f"e{old}", f"e{old}"])
        world.settle()
        assert world.durable.waiting() == {f"e{old}"}
    world.refused.clear()
    world.redrive([f"e{old}"])
    world.settle()
    assert (world.delivered(), world.durable.waiting()) == ([old], set())


def test_a_record_that_was_given_up_lets_the_others_of_its_key_go_on() -> None:
    world = LaneWorld()
    old = parked(world)
    behind = world.publish("a")
    world.settle()
    world.redrive([f"e{old}"], given_up=True)
    world.redrive([f"e{behind}"])
    world.settle()
    assert (world.delivered(), world.durable.discarded, world.durable.waiting()) == ([behind], {f"e{old}"}, set())


def test_a_redriven_record_that_does_not_wait_is_dropped_though_its_key_is_busy() -> None:
    world = LaneWorld()
    old = parked(world)
    world.refused.clear()
    world.redrive([f"e{old}"])
    world.settle()
    world.publish("a")
    world.fetch(ONE)
    [busy] = started(world)
    world.redrive([f"e{old}"])
    world.fetch(AGAIN_ONE)
    done = world.commit()
    assert done is not None
    assert [item.event_id for item in done.outcomes.dropped] == [f"e{old}"]
    world.land(busy)


def test_one_key_too_many_pauses_live_records_and_a_redrive_lets_them_go_on() -> None:
    world = LaneWorld(replace(RULES, max_parked_keys=1))
    old = parked(world, "a")
    one_more, other = world.publish("b", refused=True), world.publish("c")
    world.fetch(ONE)
    world.land(started(world)[0])
    world.fetch(OTHER)
    assert started(world) == []
    assert world.lanes.cap is not None
    assert world.lanes.cap.code is PARKED_TOO_MANY
    assert world.lanes.rests_until() == RULES.probe_s + world.now
    assert world.lanes.has_room, "for redriven records"
    world.refused.discard(old)
    world.redrive([f"e{old}"])
    world.fetch(AGAIN_ONE)
    world.land(started(world)[0])
    assert world.lanes.cap is None
    assert [numbers(flight) for flight in started(world)] == [[one_more], [other]]


def test_records_of_parked_keys_join_their_lines_however_many_keys_are_parked() -> None:
    world = LaneWorld(replace(RULES, max_parked_keys=1))
    parked(world, "a")
    one_more, behind = world.publish("b", refused=True), world.publish("a")
    world.fetch(ONE)
    world.land(started(world)[0])
    assert started(world) == []
    world.refused.discard(one_more)
    world.settle()
    assert f"e{behind}" in world.durable.waiting()


def test_the_record_that_is_one_key_too_many_is_tried_again_now_and_then() -> None:
    world = LaneWorld(replace(RULES, max_parked_keys=1))
    parked(world, "a")
    mended = world.publish("b", refused=True)
    world.fetch(ONE)
    for _ in range(3):
        [flight] = started(world)
        assert numbers(flight) == [mended]
        world.land(flight)
        assert started(world) == []
        world.now += RULES.probe_s
    world.refused.discard(mended)
    world.land(started(world)[0])
    assert world.lanes.cap is None
    assert mended in world.delivered()


def test_a_refused_record_stops_the_sink_where_on_failure_is_block() -> None:
    world = LaneWorld(replace(RULES, on_failure=OnFailure.BLOCK))
    world.publish("a", refused=True)
    world.publish("b")
    world.fetch(ONE)
    flight, other = started(world)
    world.land(flight)
    world.land(other)
    assert world.lanes.obstacle is not None
    assert "shop.order.v1:0:0 is refused and on_failure is block" in world.lanes.obstacle.cause
    assert started(world) == []
    world.refused.clear()
    world.lanes.look_again()
    world.settle()
    assert sorted(world.delivered()) == [0, 1]
    assert world.durable.letters == {}


def test_no_more_is_taken_on_than_there_is_room_for() -> None:
    world = LaneWorld()
    for _ in range(20):
        world.publish(None)
    world.fetch(OTHER)
    assert len(started(world)) == RULES.window_records
    assert not world.lanes.has_room
    for flight in list(world.flights):
        world.land(flight)
    assert started(world) == [], "what is finished and not durable is repeated after a crash: it counts"
    world.commit()
    assert len(started(world)) == RULES.window_records


def test_a_large_record_is_taken_on_alone() -> None:
    world = LaneWorld(replace(RULES, window_bytes=1))
    world.publish(None)
    world.publish(None)
    world.fetch(OTHER)
    assert len(started(world)) == 1
    world.land(world.flights[0])
    world.commit()
    assert len(started(world)) == 1


def test_records_that_were_fetched_twice_are_taken_on_once() -> None:
    world = LaneWorld()
    world.publish("a")
    world.fetch(ONE)
    items = [entry.item for flight in started(world) for entry in flight.entries]
    world.lanes.admit(items)
    world.land(world.flights[0])
    assert started(world) == []


def test_a_mapping_that_failed_parks_its_key_without_a_write() -> None:
    world = LaneWorld()
    world.publish("a", unmapped=True)
    world.publish("a")
    world.settle()
    assert (world.delivered(), world.durable.waiting()) == ([], {"e0", "e1"})
