from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from mainstem import Event
from mainstem.codec import headers as h
from mainstem.errors import TOO_LARGE
from mainstem.flow import dead_letter as letter
from mainstem.kafka.record import Record
from mainstem.process.outputs import MAX_BYTES
from mainstem.testing.raw_message import RawMessage
from tests.unit.process.conftest import Hosted, message

Host = Callable[..., Hosted]
WHEN = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)


async def test_what_an_event_does_not_say_it_has_from_the_one_it_came_from(host: Host) -> None:
    came = message(id="e1", time=WHEN, trace="00-ab-cd-01", ingested_at=WHEN, revision=2, key="k1")
    (record,) = await host(lambda event: Event(id="new", data={"n": 1})).step([came])
    known = h.as_dict(record.headers)
    assert record.key == b"k1"
    assert known[h.ID] == b"new"
    assert known[h.TYPE] == b"till.total"
    assert known[h.SOURCE] == b"/till"
    assert known[h.TIME] == known[h.INGESTED_AT] == h.format_time(WHEN)
    assert known[h.TRACE] == b"00-ab-cd-01"
    assert known[h.REVISION] == b"2"


async def test_one_output_keeps_the_id_of_its_input(host: Host) -> None:
    (record,) = await host(lambda event: [event]).step([message(id="e1")])
    assert h.as_dict(record.headers)[h.ID] == b"e1"


async def test_several_outputs_of_one_input_have_ids_of_their_own(host: Host) -> None:
    def three(event: Event) -> Iterator[Event]:
        yield event
        yield event.replace(id="mine")
        yield event.replace(key="other")

    records = await host(three).step([message(id="e1", key="k1")])
    assert [h.as_dict(record.headers)[h.ID] for record in records] == [b"e1/1", b"mine", b"e1/3"]
    assert [record.key for record in records] == [b"k1", b"k1", b"other"]


async def test_a_key_that_is_not_text_is_kept_byte_for_byte(host: Host) -> None:
    came = message(id="e1")
    came._key = b"\xff\xfe"
    (record,) = await host(lambda event: event).step([came])
    assert record.key == b"\xff\xfe"


async def test_headers_that_speak_of_the_input_alone_stay_behind(host: Host) -> None:
    came = message(id="e1", headers={"mine": "x", letter.TOPIC: "t", h.VALUE_SCHEMA_ID: ""})
    (record,) = await host(lambda event: event).step([came])
    known = h.as_dict(record.headers)
    assert known["mine"] == b"x"
    assert letter.TOPIC not in known
    assert h.VALUE_SCHEMA_ID not in known


async def test_an_output_that_kafka_would_refuse_is_a_dead_letter(host: Host) -> None:
    large = {"n": 1, "text": "x" * MAX_BYTES}
    dead, _ = await host(lambda event: event.replace(data=large)).step([message()])
    assert h.as_dict(dead.headers)[letter.CODE] == TOO_LARGE.number.encode()


async def test_what_is_no_event_is_a_bug_that_says_so(host: Host) -> None:
    answers = [{"n": 1}, 5]
    hosted = host(lambda event: answers.pop() if answers else event)
    reasons = []
    hosted.asleep = lambda: reasons.append(hosted.status.reason or "")
    assert len(await hosted.step([message()])) == 1
    assert len(reasons) == 2
    assert all("TypeError" in reason for reason in reasons)


def as_it_came(event: Event) -> Event:
    return event


def with_other_data(event: Event) -> Event:
    return event.replace(data={"n": 2})


@pytest.mark.parametrize("change", [as_it_came, with_other_data])
async def test_headers_that_nobody_looked_at_are_passed_on_as_if_they_were_read_and_written(
    host: Host, change: Callable[[Event], Event]
) -> None:
    """The one way is short, the other one knows every attribute: a reader sees no difference."""
    came = message(id="e1", time=WHEN, subject="s", trace="00-1", ingested_at=WHEN, revision=3, headers={"a": "kept"})

    short, long = await both_ways(host, came, change)
    assert h.as_dict(short.headers) == h.as_dict(long.headers)
    assert (short.topic, short.key, short.value) == (long.topic, long.key, long.value)
    assert h.as_dict(short.headers)[h.TYPE] == b"till.total"


@pytest.mark.parametrize("change", [as_it_came, with_other_data])
@pytest.mark.parametrize("stamp", [(1, 1_700_000_000_123), (0, 0), (1, 1 << 62)])
async def test_a_record_without_headers_gets_the_same_ones_whether_somebody_looked_or_not(
    host: Host, change: Callable[[Event], Event], stamp: tuple[int, int]
) -> None:
    value = message().value()
    short, long = await both_ways(host, RawMessage("till.order.v1", 2, 9, b"k", value, (), stamp), change)
    assert short == long
    assert h.as_dict(short.headers)[h.ID] == b"kafka:till.order.v1:2:9"
    assert (h.TIME in h.as_dict(short.headers)) is (stamp == (1, 1_700_000_000_123))


async def both_ways(host: Host, came: RawMessage, change: Callable[[Event], Event]) -> tuple[Record, Record]:
    """What it becomes where nobody looks at an attribute, and where the function does."""

    def look_first(event: Event) -> Event:
        assert event.id
        return change(event)

    (short,) = await host(change).step([came])
    (long,) = await host(look_first).step([came])
    return short, long


async def test_an_attribute_that_is_set_on_the_new_event_is_written(host: Host) -> None:
    def subject(event: Event) -> Event:
        made = event.replace(data={"n": 2})
        made.subject = "mine"
        return made

    (record,) = await host(subject).step([message(id="e1", time=WHEN)])
    assert h.as_dict(record.headers)[h.SUBJECT] == b"mine"
    assert h.as_dict(record.headers)[h.ID] == b"e1"


@pytest.mark.parametrize("missing", [h.TIME, h.CONTENT_TYPE, h.SPEC_VERSION, h.SOURCE, h.TYPE, h.ID])
def test_headers_of_less_than_a_whole_event_are_completed_and_not_passed_on(missing: str) -> None:
    whole = h.as_dict(message(id="e1", time=WHEN).headers())
    assert h.passed_on(whole, b"t", without=frozenset()) is not None
    del whole[missing]
    assert h.passed_on(whole, b"t", without=frozenset()) is None
