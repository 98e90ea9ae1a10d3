"""What a replay does to a target, said in a sentence before anything happens."""

from __future__ import annotations

from enum import StrEnum

from mainstem.sdk.sink import Guarantee


class Manner(StrEnum):
    """How a sink writes an event that its target has seen before."""

    REPLACE = "replace"
    """All rows of the event's group are replaced as a whole."""
    UPSERT = "upsert"
    """A row of the same key is updated."""
    APPEND = "append"
    """Another row is added."""


_EXACTLY_ONCE = {
    Manner.REPLACE: "each group of rows is replaced by what its last replayed event makes of it: nothing is doubled, "
    "but a group that a newer event beyond the range has written since is set back; replay up to now to avoid that",
    Manner.UPSERT: "each row is written again as its last replayed event has it: nothing is doubled, but a row that a "
    "newer event beyond the range has written since is set back; replay up to the present to avoid that",
    Manner.APPEND: "rows are appended a second time: the target has no key by which it could know them; empty it of "
    "these events first",
}
_OTHERS = {
    Guarantee.IDEMPOTENT: "every event is sent again under its old id: a target that still remembers the id does "
    "nothing, one that has forgotten it does it again",
    Guarantee.AT_LEAST_ONCE: "every event is sent again, and the target takes each for a new one",
}


def effect(guarantee: Guarantee, manner: Manner) -> str:
    """What the target's guarantee makes of a replay."""
    if guarantee is Guarantee.EXACTLY_ONCE:
        return _EXACTLY_ONCE[manner]
    return _OTHERS[guarantee]


def manner_of(sink: object) -> Manner:
    """How a sink writes, by the settings that table-like sinks have: `replace_by`, then `key`."""
    if getattr(sink, "replace_by", None):
        return Manner.REPLACE
    return Manner.UPSERT if getattr(sink, "key", None) else Manner.APPEND
