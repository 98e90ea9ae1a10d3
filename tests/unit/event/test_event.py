from __future__ import annotations

from datetime import UTC, datetime
from typing import NoReturn

import pytest

from mainstem import Data, Event, Origin, Rejected

NOW = datetime(2026, 11, 1, tzinfo=UTC)


def whole() -> Event:
    return Event(
        id="e1",
        data={"card": "4711"},
        key="k",
        time=NOW,
        type="shop.order",
        source="/till",
        subject="s",
        trace="00-1",
        ingested_at=NOW,
        revision=2,
        headers={"x": "y"},
        origin=Origin("shop.order.v1", 1, 2),
    )


def attributes(event: Event) -> dict[str, object]:
    names = ("id", "key", "time", "type", "source", "subject", "trace", "ingested_at", "revision", "headers", "origin")
    return {name: getattr(event, name) for name in names}


def refuse() -> NoReturn:
    raise Rejected("does not decode")


def test_a_replaced_event_differs_in_what_was_replaced_and_in_nothing_else() -> None:
    before, after = whole(), whole().replace(key="other", revision=3)
    assert attributes(after) == {**attributes(before), "key": "other", "revision": 3}
    assert after.data == before.data
    assert before.key == "k"


def test_replacing_the_data_leaves_the_old_undecoded() -> None:
    event = Event(id="e1", decode=refuse)
    assert event.replace(data={"n": 1}).data == {"n": 1}
    assert event.replace(data=None).payload is None
    with pytest.raises(Rejected):
        _ = event.replace(key="k").data


def test_what_there_is_not_cannot_be_replaced() -> None:
    with pytest.raises(TypeError):
        whole().replace(dta={})


def test_data_is_decoded_once_and_only_when_it_is_read() -> None:
    decoded = []

    def decode() -> Data:
        decoded.append(1)
        return {"n": 1}

    event = Event(id="e1", decode=decode)
    _ = repr(event), event.id, event.replace(key="k")
    assert decoded == []
    assert (event.data, event.payload, event.replace(key="k").data) == ({"n": 1}, {"n": 1}, {"n": 1})
    assert decoded == [1]


def test_preloading_decodes_what_decodes_and_keeps_the_refusal_for_the_reader() -> None:
    event = Event(id="e1", decode=refuse)
    event.preload()
    with pytest.raises(Rejected, match="does not decode"):
        _ = event.payload


def test_a_tombstone_says_so() -> None:
    with pytest.raises(ValueError, match="e1 is a tombstone"):
        _ = Event(id="e1").data


def test_a_repr_shows_no_payload_and_no_header() -> None:
    event = whole().replace(headers={"authorization": "4711"})
    assert "4711" not in repr(event) + str(event) + f"{event}"
    assert "shop.order.v1:1:2" in repr(event)


def test_an_origin_is_written_as_the_command_line_takes_it() -> None:
    assert str(Origin("shop.order.v1", 1, 2)) == "shop.order.v1:1:2"
