"""A join of two tables against the definition: what came out, read as a table, is the join of both tables."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstem.process.librdkafka.join_kind import Kind, Side
from mainstem.process.librdkafka.table_join import NOTHING, Nothing, TableJoin

Change = tuple[Side, bytes, bytes | None]
CHANGES = st.lists(
    st.tuples(
        st.sampled_from(list(Side)), st.sampled_from([b"a", b"b"]), st.none() | st.sampled_from([b"1", b"2", b"3"])
    ),
    max_size=30,
)


def pair(left: bytes | None, right: bytes | None) -> tuple[bytes | None, bytes | None]:
    return left, right


def expected(kind: Kind, left: dict[bytes, bytes], right: dict[bytes, bytes]) -> dict[bytes, object]:
    keys = {
        Kind.INNER: left.keys() & right.keys(),
        Kind.LEFT: set(left),
        Kind.OUTER: left.keys() | right.keys(),
    }[kind]
    return {key: (left.get(key), right.get(key)) for key in keys}


@given(st.sampled_from(list(Kind)), CHANGES)
def test_what_came_out_is_at_all_times_the_join_of_both_tables(kind: Kind, changes: list[Change]) -> None:
    left: dict[bytes, bytes] = {}
    right: dict[bytes, bytes] = {}
    join = TableJoin(kind, left, right)
    out: dict[bytes, object] = {}
    mine: dict[Side, dict[bytes, bytes]] = {Side.LEFT: {}, Side.RIGHT: {}}
    for side, key, value in changes:
        told = join.see(side, key, value, pair)
        if value is None:
            mine[side].pop(key, None)
        else:
            mine[side][key] = value
        if isinstance(told, Nothing):
            pass
        elif told is None:
            del out[key]  # there is a tombstone only where there was something
        else:
            out[key] = told
        assert out == expected(kind, mine[Side.LEFT], mine[Side.RIGHT])
    assert (left, right) == (mine[Side.LEFT], mine[Side.RIGHT])


def test_nothing_is_changed_by_a_function_that_fails() -> None:
    left, right = {b"k": b"1"}, {b"k": b"2"}

    def fail(_left: bytes | None, _right: bytes | None) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        TableJoin(Kind.INNER, left, right).see(Side.LEFT, b"k", b"3", fail)

    assert (left, right) == ({b"k": b"1"}, {b"k": b"2"})


def test_a_tombstone_for_what_was_not_there_says_nothing() -> None:
    assert TableJoin(Kind.OUTER, {}, {}).see(Side.LEFT, b"k", None, pair) is NOTHING
