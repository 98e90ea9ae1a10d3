"""Which records are chosen, and in what pieces they are delivered."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import Any

import pytest
from fastavro import parse_schema, schemaless_writer
from hypothesis import given
from hypothesis import strategies as st

from mainstem.codec import headers as h
from mainstem.codec.avro import Decoder
from mainstem.codec.registry import Registry
from mainstem.event import Origin, Partition
from mainstem.recover.replay import Choice, Extent, Sight
from mainstem.recover.replay.choice import Chooser, fingerprints, key_forms
from mainstem.recover.replay.reading import pieces
from tests.unit.recover.letters import TOPIC, FakeMessage, sold

SCHEMA: dict[str, Any] = {
    "type": "record", "name": "shop.sold", "fields": [{"name": "n", "type": "int"}]
}  # fmt: skip
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


class OneSchema(Registry):
    """Knows the id 1."""

    def __init__(self) -> None:
        """Asks nobody."""

    def has(self, subject: str, schema_id: int) -> bool:
        return schema_id == 1

    def definition(self, schema_id: int) -> dict[str, Any]:
        return SCHEMA


def sight(definition: dict[str, Any] = SCHEMA) -> Sight:
    return Sight(lambda topic: Decoder(topic, OneSchema(), definition), lambda topic: definition)


def holding(n: int, offset: int = 0) -> FakeMessage:
    buffer = io.BytesIO(b"\x00\x00\x00\x00\x01")
    buffer.seek(5)
    schemaless_writer(buffer, parse_schema(SCHEMA), {"n": n})
    return FakeMessage(Origin(TOPIC, 0, offset), value_=buffer.getvalue())


def chooser(choice: Choice, extent: Extent = Extent()) -> Chooser:  # noqa: B008 - a frozen value
    return Chooser(extent, choice, [TOPIC], sight())


def test_without_a_choice_every_record_is_taken_and_none_is_decoded() -> None:
    everything = Chooser(Extent(), Choice(), [TOPIC], None)

    assert everything.takes(FakeMessage(Origin(TOPIC, 0, 0), value_=b"no avro"))
    assert everything.undecided == 0


def test_one_of_the_keys_and_all_of_the_predicates() -> None:
    chosen = chooser(Choice(keys=("k", "l"), where=("n > 1", "n < 4")))

    assert [chosen.takes(holding(n)) for n in range(5)] == [False, False, True, True, False]
    assert not chooser(Choice(keys=("l",), where=("n > 1",))).takes(holding(2))


def test_a_key_may_be_spelled_in_hex() -> None:
    assert key_forms("0x00ff") == [b"0x00ff", b"\x00\xff"]
    assert key_forms("0xzz") == [b"0xzz"]
    assert chooser(Choice(keys=("0x00ff",))).takes(sold(0, "a", key=b"\x00\xff"))


def test_a_key_that_is_missing_is_none_of_them() -> None:
    assert not chooser(Choice(keys=("None", ""))).takes(sold(0, "a", key=None))


def test_what_does_not_decode_is_counted_and_left_out() -> None:
    chosen = chooser(Choice(where=("n != 1",)))

    assert not chosen.takes(sold(0, "a"))
    assert chosen.undecided == 1


def test_a_tombstone_has_no_field_that_a_predicate_could_hold_for() -> None:
    chosen = chooser(Choice(where=("n != 1",)))

    assert not chosen.takes(FakeMessage(Origin(TOPIC, 0, 0), value_=None))
    assert chosen.undecided == 0


def test_event_time_and_key_hold_together() -> None:
    chosen = chooser(Choice(keys=("k",)), Extent(since=NOON, by_event_time=True))
    late, early = {h.TIME: b"2026-11-24T13:00:00Z"}, {h.TIME: b"2026-11-24T11:00:00Z"}

    assert chosen.takes(sold(0, "a", more=late))
    assert not chosen.takes(sold(0, "a", more=early))
    assert not chosen.takes(sold(0, "a", key=b"other", more=late))


def test_predicates_without_schemas_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="needs the topics' schemas"):
        Chooser(Extent(), Choice(where=("n = 1",)), [TOPIC], None)


def test_a_choice_by_value_is_bound_to_the_schema_and_one_by_key_is_not() -> None:
    changed = SCHEMA | {"fields": [{"name": "n", "type": "long"}]}
    by_value = Choice(where=("n = 1",))

    assert fingerprints(Choice(keys=("k",)), [TOPIC], sight()) == {}
    assert fingerprints(by_value, [TOPIC], sight()) != fingerprints(by_value, [TOPIC], sight(changed))


@given(st.lists(st.tuples(st.integers(0, 2), st.booleans()), min_size=1, max_size=40), st.integers(1, 7))
def test_pieces_hold_every_chosen_record_once_in_order_and_say_how_far_they_reach(
    records: list[tuple[int, bool]], size: int
) -> None:
    messages = [sold(offset, "e", partition=number) for offset, (number, _) in enumerate(records)]
    made = list(pieces(messages, [is_chosen for _, is_chosen in records], size))

    assert [m.offset() for piece in made for m in piece.chosen] == [
        n for n, (_, chosen) in enumerate(records) if chosen
    ]
    assert all(len(piece.chosen) <= size for piece in made)
    assert sum(piece.left_out for piece in made) == sum(not is_chosen for _, is_chosen in records)
    seen: set[int] = set()
    reached: dict[Partition, int] = {}
    for piece in made:
        reached |= piece.reached
        seen |= {message.offset() or 0 for message in piece.chosen}
        # Nothing chosen that is before the reached offsets is left for a later piece.
        assert {
            n for n, (p, chosen) in enumerate(records) if chosen and n < reached.get(Partition(TOPIC, p), 0)
        } == seen
