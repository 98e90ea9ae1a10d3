"""Any order of publishing twice, reading, crashing and starting anew: no id passes twice within the window, none is
lost."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from mainstem.event import Origin
from mainstem.flow.window import Window
from tests.thorough import examples

IDS = st.sampled_from("abcdefgh")


class Reader(RuleBasedStateMachine):
    """One partition and whoever reads it, record by record; a crash sets it back to a record that it has read."""

    @initialize(capacity=st.integers(1, 6))
    def begin(self, capacity: int) -> None:
        self.capacity = capacity
        self.window = Window(capacity)
        self.topic: list[str] = []
        self.next = 0
        self.began = 0
        """Where this life of the reader began: it is never set back behind that."""
        self.end = 0
        """Behind the furthest record that this life has noted."""

    @rule(ids=st.lists(IDS, min_size=1, max_size=12))
    def publish(self, ids: list[str]) -> None:
        self.topic += ids

    @precondition(lambda self: self.next < len(self.topic))
    @rule(count=st.integers(1, 12))
    def read(self, count: int) -> None:
        for offset in range(self.next, min(self.next + count, len(self.topic))):
            self._judge(offset, passes=not self._note(offset))
            self.next = offset + 1

    @rule(data=st.data())
    def read_again(self, data: st.DataObject) -> None:
        """The last outputs are not confirmed: their inputs come again."""
        self.next = data.draw(st.integers(min(self.next, max(self.began, self.end - self.capacity)), self.next))

    @rule(data=st.data())
    def start_anew(self, data: st.DataObject) -> None:
        """Another process goes on from the committed offset; the window is filled from what stands before it."""
        self.next = self.began = self.end = data.draw(st.integers(0, self.next))
        self.window = Window(self.capacity)
        for offset in range(max(0, self.next - self.capacity), self.next):
            self._note(offset)

    def _note(self, offset: int) -> bool:
        duplicate = self.window.is_duplicate(self.topic[offset], Origin("t", 0, offset))
        assert len(self.window) <= self.capacity
        self.end = max(self.end, offset + 1)
        return duplicate

    def _judge(self, offset: int, *, passes: bool) -> None:
        event_id = self.topic[offset]
        if event_id not in self.topic[:offset]:
            assert passes, f"{event_id} at {offset} is lost: it stands nowhere before"
        if event_id in self.topic[max(0, max(self.end, offset + 1) - 1 - self.capacity) : offset]:
            assert not passes, f"{event_id} at {offset} passes, though it stands within the window before it"


TestReader = Reader.TestCase
TestReader.settings = settings(max_examples=examples(300), stateful_step_count=30, deadline=None)
