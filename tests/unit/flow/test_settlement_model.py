"""Any interleaving of live, redriven and dropped records, refusals, mendings and crashes keeps a sink's promises."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from contextlib import suppress

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from mainstem.codec.message import Message
from mainstem.errors import Unreachable
from mainstem.flow.item import OnFailure
from tests.thorough import examples
from tests.unit.deliver.sink_world import DLQ, LIVE, REDRIVE, World, order

KEYS = st.sampled_from(["a", "a", "b", None])
POLICIES = st.sampled_from([OnFailure.PARK, OnFailure.SKIP])


class ParkingSink(RuleBasedStateMachine):
    """Live records are numbered as they stand in the topic; event ids are `e<number>`."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.world = World()
        self.keys: list[str | None] = []
        self.keeps_order = True

    @rule(key=KEYS, refused=st.booleans(), unmapped=st.booleans())
    def publish(self, key: str | None, refused: bool, unmapped: bool) -> None:
        n = len(self.keys)
        self.keys.append(key)
        if refused:
            self.world.refused.add(n)
        if unmapped:
            self.world.unmapped.add(n)
        self.world.topics.append([order(n, key=key)])

    @rule(data=st.data())
    def mend(self, data: st.DataObject) -> None:
        for broken in (self.world.refused, self.world.unmapped):
            broken.difference_update(data.draw(st.sets(st.sampled_from(sorted(broken))) if broken else st.just(set())))

    @precondition(lambda self: self.world.letters())
    @rule(data=st.data())
    def redrive(self, data: st.DataObject) -> None:
        """Any letters, in any order, also those that do not wait and the same one twice."""
        letters = self.world.letters()
        chosen = data.draw(st.lists(st.integers(0, len(letters) - 1), max_size=6))
        self.world.redrive([letters[at] for at in chosen])

    @precondition(lambda self: self.world.letters())
    @rule(data=st.data())
    def drop(self, data: st.DataObject) -> None:
        """Any letters, in any order, wherever they stand in their lines, also those that do not wait."""
        letters = self.world.letters()
        chosen = data.draw(st.lists(st.integers(0, len(letters) - 1), max_size=3))
        self.world.drop([letters[at] for at in chosen])

    @rule(live=st.integers(0, 6), again=st.integers(0, 6), redriven_first=st.booleans())
    def deliver(self, live: int, again: int, redriven_first: bool) -> None:
        self._run(live, again, redriven_first)

    @rule(live=st.integers(1, 6), again=st.integers(0, 6))
    def lose_the_answer_to_the_commit(self, live: int, again: int) -> None:
        self.world.store.lose_next_answer = True
        with suppress(Unreachable):
            self._run(live, again, False)
        self.world.store.lose_next_answer = False

    @rule(live=st.integers(1, 6), again=st.integers(0, 6), tries=st.integers(1, 4))
    def crash_between_two_writes(self, live: int, again: int, tries: int) -> None:
        before = self.world.store.contents.rows, self.world.waiting()
        dies_at = self.world.store.writes + tries
        refused = self.world.refused
        self.world.refused = _Dying(refused, self.world, dies_at)
        try:
            self._run(live, again, False)
        except Unreachable:
            assert before == (self.world.store.contents.rows, self.world.waiting())
        finally:
            self.world.refused = set(refused)

    @invariant()
    def nothing_is_delivered_twice(self) -> None:
        assert max(Counter(self.world.delivered()).values(), default=1) == 1

    @invariant()
    def nothing_is_both_delivered_and_waiting(self) -> None:
        assert not {f"e{n}" for n in self.world.delivered()} & set(self.world.waiting())

    @invariant()
    def nothing_of_a_dropped_record_is_written_and_it_does_not_wait(self) -> None:
        gone = {f"e{n}" for n in self.world.delivered()} | set(self.world.waiting())
        assert not self.world.dropped() & gone

    @invariant()
    def the_order_of_each_key_is_kept(self) -> None:
        if not self.keeps_order:
            return
        delivered = defaultdict(list)
        for n in self.world.delivered():
            delivered[self.keys[n]].append(n)
        delivered.pop(None, None)
        assert all(line == sorted(line) for line in delivered.values())

    @invariant()
    def every_record_is_delivered_or_dropped_or_waits_or_is_still_to_come(self) -> None:
        if any(self.world.store.contents.letters.values()):
            return  # an answer was lost: what was dropped has not been said yet
        controls = self.world.store.contents.controls.items()
        done = sum(control.next_offset or 0 for (_, partition), control in controls if partition == LIVE)
        accounted = {f"e{n}" for n in self.world.delivered()} | set(self.world.waiting()) | self.world.dropped()
        assert accounted == {f"e{n}" for n in range(done)}
        assert len(self.world.waiting()) == len(set(self.world.waiting()))

    @invariant()
    def what_waits_has_a_letter_and_the_letters_say_what_is_true(self) -> None:
        if any(self.world.store.contents.letters.values()):
            return  # an answer was lost: the next worker ships them
        states = {letter.event_id: letter.state for letter in self.world.letters()}
        assert {event_id for event_id, state in states.items() if state == "waiting"} == set(self.world.waiting())

    def teardown(self) -> None:
        try:
            self._all_is_delivered_in_the_end()
        finally:
            self.runner.close()

    def _all_is_delivered_in_the_end(self) -> None:
        """Once everything is mended and redriven, but for what was dropped; and once more changes nothing."""
        self._run(10_000, 10_000, False)
        self._what_is_dropped_waits_no_longer()
        self.world.refused.clear()
        self.world.unmapped.clear()
        self.world.redrive([letter for letter in self.world.letters() if letter.state == "waiting"])
        self._run(10_000, 10_000, False)
        dropped = self.world.dropped()
        due = [n for n in range(len(self.keys)) if f"e{n}" not in dropped]
        assert sorted(self.world.delivered()) == due
        assert self.world.waiting() == []
        self.the_order_of_each_key_is_kept()
        letters = len(self.world.topics.read(DLQ))
        self.world.redrive(self.world.letters())
        self.world.drop(self.world.letters())
        assert self._run(10_000, 10_000, False) == 2 * len(self.world.letters())
        assert (sorted(self.world.delivered()), self.world.dropped()) == (due, dropped)
        assert len(self.world.topics.read(DLQ)) == letters

    def _what_is_dropped_waits_no_longer(self) -> None:
        """Wherever it stands in its line."""
        waiting = self.world.waiting()
        given_up = set(waiting[1::2])
        self.world.drop([letter for letter in self.world.letters() if letter.event_id in given_up])
        self._run(10_000, 10_000, False)
        assert given_up <= self.world.dropped()
        assert sorted(self.world.waiting()) == sorted(set(waiting) - given_up)

    def _run(self, live: int, again: int, redriven_first: bool) -> int:
        def arrange(messages: list[Message]) -> list[Message]:
            return sorted(messages, key=lambda m: m.topic() != REDRIVE) if redriven_first else messages

        return len(self.runner.run(self.world.step(live, again, arrange=arrange)).dropped)


class ChangingSink(ParkingSink):
    """The same, but for order: somebody changes `on_failure` between `park` and `skip`, and back."""

    @initialize(policy=POLICIES)
    def begin(self, policy: OnFailure) -> None:
        self.keeps_order = False
        self.world.on_failure = policy

    @rule(policy=POLICIES)
    def change_the_policy(self, policy: OnFailure) -> None:
        self.world.on_failure = policy


class _Dying(set[int]):
    """A target's rules; when they are asked at the n-th write, the database is gone."""

    def __init__(self, refused: set[int], world: World, dies_at: int) -> None:
        super().__init__(refused)
        self._world = world
        self._dies_at = dies_at

    def __contains__(self, n: object) -> bool:
        if self._world.store.writes >= self._dies_at:
            raise Unreachable("the worker dies here")
        return super().__contains__(n)


SETTINGS = settings(
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[phase for phase in Phase if phase is not Phase.explain],
)
TestParkingSink = ParkingSink.TestCase
TestParkingSink.settings = settings(SETTINGS, max_examples=examples(60))
TestChangingSink = ChangingSink.TestCase
TestChangingSink.settings = settings(SETTINGS, max_examples=examples(30))
