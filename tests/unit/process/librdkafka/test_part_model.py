"""A partition of a table against a dict, and a dict of what is committed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from mainstem.process.librdkafka.coding import Coding
from mainstem.process.librdkafka.committed import InMemory
from mainstem.process.librdkafka.part import Part
from tests.thorough import examples

KEYS = st.sampled_from(["a", "b", "c", "d"])
PLAIN = Coding(
    lambda key: json.dumps(key).encode(),
    lambda value: json.dumps(value).encode(),
    json.loads,
    json.loads,
)


def none_there(key: Any) -> Any:
    raise KeyError(key)


class PartModel(RuleBasedStateMachine):
    """Between `write` and `kept` keys may change, as they do at least once."""

    @initialize()
    def begin(self) -> None:
        self.part = Part(PLAIN, InMemory(), none_there)
        self.now: dict[str, list[int]] = {}
        self.committed: dict[bytes, bytes] = {}
        self.written: dict[bytes, bytes | None] | None = None

    @rule(key=KEYS, number=st.integers(0, 9))
    def set(self, key: str, number: int) -> None:
        self.part[key] = [number]
        self.now[key] = [number]

    @rule(key=KEYS)
    def change_in_place(self, key: str) -> None:
        value = self.part.get(key)
        assert (value is None) is (key not in self.now)
        if value is not None:
            value.append(1)
            self.part[key] = value
            self.now[key] = [*self.now[key], 1]

    @rule(key=KEYS)
    def delete(self, key: str) -> None:
        if key in self.now:
            del self.part[key], self.now[key]
        else:
            with pytest.raises(KeyError):
                del self.part[key]

    @rule()
    def write(self) -> None:
        if self.written is None:
            self.written = {key: value for _, key, value, _, _ in self.part.changes("t", 0)}
            assert not self.part.has_changes

    @rule()
    def kept(self) -> None:
        for key, value in (self.written or {}).items():
            if value is None:
                self.committed.pop(key, None)
            else:
                self.committed[key] = value
        self.written = None
        self.part.keep_changes(None)

    @rule()
    def dropped(self) -> None:
        self.part.drop_changes()
        self.written = None
        self.now = {json.loads(key): json.loads(value) for key, value in self.committed.items()}

    @invariant()
    def all_is_as_in_the_dict(self) -> None:
        assert dict(self.part.pairs()) == self.now
        assert len(self.part) == len(self.now)
        assert sorted(self.part) == sorted(self.now)
        assert all((key in self.part) is (key in self.now) for key in "abcd")

    @invariant()
    def committed_is_what_was_kept(self) -> None:
        assert dict(self.part.committed.items()) == self.committed


TestPart = PartModel.TestCase
TestPart.settings = settings(max_examples=examples(60), stateful_step_count=30, deadline=None)


def test_a_key_that_is_not_there_gives_the_default_and_is_not_kept() -> None:
    part = Part(PLAIN, InMemory(), lambda key: 0)
    assert part["a"] == 0
    assert "a" not in part
    part["a"] += 2
    assert part["a"] == 2


def test_what_is_restored_takes_the_place_of_what_was_known() -> None:
    part = Part(PLAIN, InMemory(), none_there)
    part.load([(b'"a"', b"1"), (b'"b"', b"2")], 5)
    assert (part["a"], part["b"]) == (1, 2)
    part.load([(b'"a"', b"3"), (b'"b"', None)], 8)
    assert dict(part) == {"a": 3}
    assert part.position is not None
    assert part.position.offset == 8
