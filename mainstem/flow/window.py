"""Which events were published twice, within a window."""

from __future__ import annotations

from collections import OrderedDict

from mainstem.event import Origin


class Window:
    """The first place of each of the last `capacity` event ids of one partition (or of one gateway).

    Every copy counts as the last: of two that stand no more than `capacity` records apart the later one is a duplicate,
    though there was one long before both.

    An id is a duplicate only at another, later place: the same record read again after a crash is the first one still,
    so that nothing is lost when its output was not. The records that were read beyond it count in the window.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._first: OrderedDict[str, Origin] = OrderedDict()

    def __len__(self) -> int:
        return len(self._first)

    def is_duplicate(self, event_id: str, at: Origin) -> bool:
        """Notes the id, and says whether it stands at an earlier place of the window too."""
        first = self._first.setdefault(event_id, at)
        if len(self._first) > self._capacity:
            self._first.popitem(last=False)
        if first is not at:
            self._first.move_to_end(event_id)
        if first == at:
            return False
        if (first.topic, first.partition) == (at.topic, at.partition) and at.offset < first.offset:
            self._first[event_id] = at  # read backwards after a rewind: the earlier place is the first
            return False
        return True
