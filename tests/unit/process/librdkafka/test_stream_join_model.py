"""A join of two streams against the definition: every pair once, every event that stays alone once."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from mainstem.process.librdkafka.join_kind import Kind, Side
from mainstem.process.librdkafka.stream_join import Entry, Pair, StreamJoin, Window, entry_of
from tests.thorough import examples

FAR = 10**6
"""An event of that time is later than all windows."""


class Fails(Exception):
    """What an author's function raises."""


class Joined(RuleBasedStateMachine):
    """Events of both sides in any order within the grace, failures of the author's function, aborts and restarts."""

    @initialize(
        kind=st.sampled_from(list(Kind)),
        window=st.builds(Window, st.integers(0, 20), st.integers(0, 20), st.integers(0, 10)),
    )
    def begin(self, kind: Kind, window: Window) -> None:
        self.kind, self.window = kind, window
        self.left: dict[bytes, bytes] = {}
        self.right: dict[bytes, bytes] = {}
        self.committed: tuple[dict[bytes, bytes], dict[bytes, bytes]] = ({}, {})
        self.seen: list[tuple[Side, Entry, bytes]] = []
        self.told: list[Pair] = []
        self.marks = (0, 0)
        self.offset = 0
        self._open()

    def _open(self) -> None:
        self.join = StreamJoin(self.kind, self.window, self.left, self.right)

    def _latest(self, side: Side) -> int:
        return max((entry.at_ms for where, entry, _ in self.seen if where is side), default=0)

    @rule(
        side=st.sampled_from(list(Side)), ahead=st.integers(0, 15), behind=st.integers(0, 10), key=st.sampled_from("ab")
    )
    def event(self, side: Side, ahead: int, behind: int, key: str) -> None:
        at_ms = max(0, self._latest(side) + ahead - min(behind, self.window.grace_ms))
        self._see(side, at_ms, key.encode())

    @rule(
        side=st.sampled_from(list(Side)), ahead=st.integers(0, 15), key=st.sampled_from("ab"), after=st.integers(0, 3)
    )
    def event_whose_function_fails_at_first(self, side: Side, ahead: int, key: str, after: int) -> None:
        """Nothing has happened then, and it is tried again, as the engine does without a transaction."""
        self.offset += 1
        entry = Entry(self._latest(side) + ahead, self.offset, key.encode())
        before = (dict(self.left), dict(self.right))
        told = 0

        def fail(_: Pair) -> None:
            nonlocal told
            told += 1
            if told > after:
                raise Fails

        try:
            self.join.see(side, entry, b"v%d" % self.offset, fail)
        except Fails:
            assert (self.left, self.right) == before
            self.offset -= 1
            self._see(side, entry.at_ms, entry.key)
        else:
            self.left.clear()
            self.right.clear()
            self.left.update(before[0]), self.right.update(before[1])
            self._open()
            self.offset -= 1

    def _see(self, side: Side, at_ms: int, key: bytes) -> None:
        self.offset += 1
        entry, value = Entry(at_ms, self.offset, key), b"v%d" % self.offset
        self.seen.append((side, entry, value))
        assert self.join.see(side, entry, value, self.told.append)

    @rule()
    def commit(self) -> None:
        self.committed = (dict(self.left), dict(self.right))
        self.marks = (len(self.seen), len(self.told))

    @rule()
    def abort_or_restart(self) -> None:
        """All since the last commit is gone, and comes again."""
        self.left, self.right = dict(self.committed[0]), dict(self.committed[1])
        again = self.seen[self.marks[0] :]
        del self.told[self.marks[1] :]
        self._open()
        for side, entry, value in again:
            self.join.see(side, entry, value, self.told.append)

    @invariant()
    def nothing_is_told_twice_and_pairs_are_told_at_once(self) -> None:
        if not hasattr(self, "kind"):
            return
        counted = Counter(self.told)
        assert not counted or max(counted.values()) == 1
        assert {pair for pair in counted if None not in pair} == self._pairs()

    @precondition(lambda self: hasattr(self, "kind"))
    @rule()
    def in_the_end_all_that_stays_alone_was_told(self) -> None:
        """On copies: two events that are later than all windows, of a key of their own."""
        left, right, told = dict(self.left), dict(self.right), list(self.told)
        join = StreamJoin(self.kind, self.window, left, right)
        for n, side in enumerate(Side):
            join.see(side, Entry(FAR, self.offset + 1 + n, b"z%d" % n), b"end", told.append)
        assert Counter(told) == Counter([*self._pairs(), *self._alone()])
        assert {entry_of(name).at_ms for name in (*left, *right)} == {FAR}

    def _pairs(self) -> set[Pair]:
        return {
            Pair(one.key, left, right)
            for where, one, left in self.seen
            for there, other, right in self.seen
            if (where, there) == (Side.LEFT, Side.RIGHT) and one.key == other.key
            if -self.window.before_ms <= other.at_ms - one.at_ms <= self.window.after_ms
        }

    def _alone(self) -> list[Pair]:
        pairs = self._pairs()
        lefts, rights = {pair.left for pair in pairs}, {pair.right for pair in pairs}
        found = []
        for side, entry, value in self.seen:
            if side is Side.LEFT and self.kind is not Kind.INNER and value not in lefts:
                found.append(Pair(entry.key, value, None))
            if side is Side.RIGHT and self.kind is Kind.OUTER and value not in rights:
                found.append(Pair(entry.key, None, value))
        return found


TestJoined = Joined.TestCase
TestJoined.settings = settings(max_examples=examples(150), stateful_step_count=30, deadline=None)


def join(kind: Kind = Kind.INNER, **window: int) -> StreamJoin:
    return StreamJoin(kind, Window(**{"before_ms": 10, "after_ms": 10, **window}), {}, {})


def see(joined: StreamJoin, side: Side, at_ms: int, key: bytes = b"k") -> list[Pair]:
    found: list[Pair] = []
    joined.see(side, Entry(at_ms, at_ms, key), b"%s%d" % (side.name.lower().encode(), at_ms), found.append)
    return found


def test_the_window_has_two_sides() -> None:
    joined = join(before_ms=0, after_ms=5)
    see(joined, Side.LEFT, 100)

    assert see(joined, Side.RIGHT, 99) == []
    assert see(joined, Side.RIGHT, 100) == [Pair(b"k", b"left100", b"right100")]
    assert see(joined, Side.RIGHT, 105) == [Pair(b"k", b"left100", b"right105")]
    assert see(joined, Side.RIGHT, 106) == []


def test_one_side_that_is_read_faster_loses_no_partner() -> None:
    joined = join()
    for at_ms in range(0, 1000, 100):
        see(joined, Side.LEFT, at_ms)

    found = [pair for at_ms in range(0, 1000, 100) for pair in see(joined, Side.RIGHT, at_ms)]

    assert len(found) == 10


def test_what_stays_alone_comes_when_both_sides_are_past_it() -> None:
    joined = join(Kind.LEFT)
    see(joined, Side.LEFT, 0)
    see(joined, Side.LEFT, 100)

    assert see(joined, Side.RIGHT, 10, b"other") == []
    assert see(joined, Side.RIGHT, 11, b"other") == [Pair(b"k", b"left0", None)]


def test_an_event_that_is_too_late_joins_nothing() -> None:
    joined = join(grace_ms=5)
    see(joined, Side.LEFT, 100)
    see(joined, Side.RIGHT, 100)

    assert see(joined, Side.RIGHT, 95) == [Pair(b"k", b"left100", b"right95")]
    late: list[Pair] = []
    assert not joined.see(Side.RIGHT, Entry(94, 1, b"k"), b"late", late.append)
    assert late == []


def test_times_before_1970_keep_their_order() -> None:
    names = [Entry(at_ms, 0, b"k").name() for at_ms in (-5, 0, 5)]
    assert [entry_of(name).at_ms for name in names] == [-5, 0, 5]


def test_a_window_is_not_negative() -> None:
    with pytest.raises(ValueError, match="not negative"):
        Window(**dict[str, Any](before_ms=-1, after_ms=0))
