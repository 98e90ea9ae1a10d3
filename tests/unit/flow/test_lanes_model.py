"""Any interleaving of writes, answers, commits, crashes and redrives, against what a plain sink promises."""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from mainstem.errors import Misconfigured, Retryable, Unreachable
from tests.thorough import examples
from tests.unit.flow.lane_world import AGAIN, ALL, LIVE, RULES, LaneWorld, by_key, firsts, is_done, not_durable, numbers

KEYS = st.sampled_from(["a", "a", "b", "c", None])
TROUBLE = st.sampled_from([Retryable("busy"), Unreachable("away"), Misconfigured("no such table"), ValueError("a bug")])
WINDOW = 6
CAP = 2


class PlainSink(RuleBasedStateMachine):
    """One worker after another over the same topics; flights land in any order."""

    @initialize(per_write=st.sampled_from([1, 2, 100]), cap=st.sampled_from([None, CAP]))
    def begin(self, per_write: int, cap: int | None) -> None:
        rules = {**vars(RULES), "per_write": per_write, "window_records": WINDOW, "max_parked_keys": cap}
        self.world = LaneWorld(type(RULES)(**rules))
        self.restored = 0

    @rule(records=st.lists(st.tuples(KEYS, st.integers(0, 3), st.integers(0, 6)), min_size=1, max_size=4))
    def publish(self, records: list[tuple[str | None, int, int]]) -> None:
        for key, refused, unmapped in records:
            self.world.publish(key, refused=not refused, unmapped=not unmapped)

    @rule(rounds=st.integers(1, 4))
    def work(self, rounds: int) -> None:
        """For a while all goes well."""
        for _ in range(rounds):
            self.world.work()

    @rule(data=st.data(), count=st.integers(1, 4))
    def fetch(self, data: st.DataObject, count: int) -> None:
        if self.world.lanes.has_room:
            capped = self.world.lanes.cap is not None
            self.world.fetch(data.draw(st.sampled_from(AGAIN if capped else ALL)), count)

    @rule(at_most=st.sampled_from([1, 100, 100]))
    def start(self, at_most: int) -> None:
        flying = {entry.item.scope for flight in self.world.flights for entry in flight.entries}
        flight = self.world.start(at_most)
        if flight is not None:
            assert len(flight) <= min(at_most, self.world.rules.per_write)
            assert not flying & {entry.item.scope for entry in flight.entries}, "a key is written once at a time"

    @precondition(lambda self: self.world.flights)
    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        self.world.land(data.draw(st.sampled_from(self.world.flights)))

    @precondition(lambda self: self.world.flights)
    @rule(data=st.data(), trouble=TROUBLE, has_effect=st.booleans())
    def fail(self, data: st.DataObject, trouble: Exception, has_effect: bool) -> None:
        self.world.land(data.draw(st.sampled_from(self.world.flights)), trouble, has_effect=has_effect)

    @rule(seconds=st.sampled_from([0.5, 2.0, 10.0]))
    def wait(self, seconds: float) -> None:
        self.world.now += seconds

    @rule()
    def commit(self) -> None:
        self.world.commit()

    @rule(is_committed=st.booleans(), landed=st.integers(0, 2))
    def crash(self, is_committed: bool, landed: int) -> None:
        """Of what is in flight some has its effect; the last commit may have been done, and nobody knows."""
        if is_committed:
            self.world.commit(is_heard=False)
        for flight in self.world.flights[:landed]:
            if not set(numbers(flight)) & self.world.refused:
                self.world.effects += [(self.world.life, n) for n in numbers(flight)]
        self.world.take_over()
        self.restored = len(self.world.durable.lines)

    @rule(data=st.data())
    def mend(self, data: st.DataObject) -> None:
        refused = self.world.refused
        refused -= data.draw(st.sets(st.sampled_from(sorted(refused))) if refused else st.just(set()))

    @precondition(lambda self: self.world.durable.letters)
    @rule(data=st.data(), given_up=st.integers(0, 4))
    def redrive(self, data: st.DataObject, given_up: int) -> None:
        """Any letters, in any order, also those that do not wait and the same one twice."""
        letters = sorted(self.world.durable.letters)
        ids = data.draw(st.lists(st.sampled_from(letters), max_size=4))
        self.world.redrive(ids, given_up=not given_up, mended=data.draw(st.booleans()))

    @invariant()
    def in_order(self) -> None:
        if not hasattr(self, "world"):
            return
        for line in by_key(firsts(self.world.delivered()), self.world.keys).values():
            assert line == sorted(line)
        for life in range(1, self.world.life + 1):
            seen = [n for at, n in self.world.effects if at == life]
            for line in by_key(seen, self.world.keys).values():
                assert line == sorted(line), "only a crash or a lost answer sets a key back"

    def newest_last(self) -> None:
        """With everything at rest no older record has had its last effect after a newer one of its key."""
        lasts = firsts(reversed(self.world.delivered()))[::-1]
        for line in by_key(lasts, self.world.keys).values():
            assert line == sorted(line)

    @invariant()
    def bounded(self) -> None:
        if not hasattr(self, "world"):
            return
        assert len(not_durable(self.world, LIVE)) <= WINDOW
        assert len(not_durable(self.world, AGAIN)) <= WINDOW

    @invariant()
    def accounted_for(self) -> None:
        """What is behind the committed offsets was delivered, waits, or was given up; never two of them."""
        if not hasattr(self, "world"):
            return
        durable = self.world.durable
        waiting = durable.waiting()
        delivered = {f"e{n}" for n in self.world.delivered()}
        done = {w.id for p in LIVE for at, w in enumerate(self.world.logs[p]) if is_done(self.world, p, at)}
        assert done <= delivered | waiting | durable.discarded
        assert waiting <= done
        assert waiting <= durable.letters.keys()
        assert not waiting & durable.discarded

    @invariant()
    def capped(self) -> None:
        if hasattr(self, "world") and self.world.rules.max_parked_keys is not None:
            assert len(self.world.durable.lines) <= max(CAP, self.restored)
            assert self.world.lanes.parked_keys <= max(CAP, self.restored)

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self._all_is_delivered_in_the_end()

    def _all_is_delivered_in_the_end(self) -> None:
        """Once everything is mended and redriven."""
        world = self.world
        world.refused.clear()
        for log in world.logs.values():
            log[:] = [type(w)(w.n, w.key, w.origin, w.is_given_up) for w in log]
        world.take_over()
        world.settle()
        self.newest_last()
        world.redrive(sorted(world.durable.waiting(), key=lambda event_id: int(event_id[1:])))
        world.settle()
        assert world.durable.waiting() == set()
        assert {f"e{n}" for n in world.delivered()} | world.durable.discarded == {
            f"e{n}" for n in range(len(world.keys))
        }
        assert all(world.durable.offsets[p] == len(world.logs[p]) for p in ALL)
        self.in_order()
        self.newest_last()
        before = list(world.effects)
        world.redrive(world.durable.letters)
        world.settle()
        assert world.effects == before, "a second redrive does nothing"


TestPlainSink = PlainSink.TestCase
TestPlainSink.settings = settings(
    max_examples=examples(100),
    stateful_step_count=50,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[phase for phase in Phase if phase is not Phase.explain],
)
