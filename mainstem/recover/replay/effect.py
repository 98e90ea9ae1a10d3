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
    GUARDED_REPLACE = "guarded replace"
    """As REPLACE, but for a group that holds a newer version."""
    GUARDED_UPSERT = "guarded upsert"
    """As UPSERT, but for a row of a newer version."""
    APPEND = "append"
    """Another row is added."""


_EXACTLY_ONCE = {
    Manner.REPLACE: "each group of rows is replaced by what its last replayed event makes of it: nothing is doubled, "
    "but a group that a newer event beyond the range has written since is set back; replay up to now to avoid that",
    Manner.UPSERT: "each row is written again as its last replayed event has it: nothing is doubled, but a row that a "
    "newer event beyond the range has written since is set back; replay up to the present to avoid that",
    Manner.GUARDED_REPLACE: "each group of rows is replaced by what its newest event makes of it: nothing is doubled, "
    "and a group that holds a newer version is left as it is",
    Manner.GUARDED_UPSERT: "each row is written again as its newest event has it: nothing is doubled, and a row of a "
    "newer version is left as it is",
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


def file_effect(*, reveal: bool) -> str:
    """What becomes of a replay into a file."""
    personal = "personal fields as they are" if reveal else "personal fields masked"
    return f"every record is written as a line of JSON, {personal}; the sink and its target are not touched"


def manner_of(sink: object) -> Manner:
    """How a sink writes, by the settings that table-like sinks have: `replace_by`, then `key`, each with `version`."""
    is_guarded = bool(getattr(sink, "version", None))
    if getattr(sink, "replace_by", None):
        return Manner.GUARDED_REPLACE if is_guarded else Manner.REPLACE
    if getattr(sink, "key", None):
        return Manner.GUARDED_UPSERT if is_guarded else Manner.UPSERT
    return Manner.APPEND
