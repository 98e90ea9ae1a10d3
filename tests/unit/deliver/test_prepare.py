from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from mainstem import Event, Misconfigured, Partition, Rejected, Retryable, Row
from mainstem.codec.message import Message
from mainstem.deliver.prepare import Preparer
from mainstem.errors import FUNCTION_FAILED, MAPPING_FAILED, NOT_AVRO, TARGET_REFUSES
from mainstem.flow.dead_letter import ORIGIN_HEADERS, Failure
from mainstem.flow.item import Item, OnFailure
from mainstem.kafka.record import Record
from mainstem.sdk.sink import Mapped, ParkedKey
from mainstem.testing.raw_message import RawMessage
from tests.unit.deliver.sink_world import CODEC, REDRIVE, TOPIC, as_row, order, plan

ORIGIN = list(zip(ORIGIN_HEADERS, (TOPIC.encode(), b"3", b"41"), strict=True))


def message(
    record: Record, *, offset: int = 5, partition: int = 0, headers: Sequence[tuple[str, bytes]] = ()
) -> Message:
    return RawMessage(record.topic, partition, offset, record.key, record.value, [*record.headers, *headers])


def prepare(*messages: Message, mapping: Any = as_row, **changes: Any) -> list[Item]:
    return Preparer(plan(mapping, **changes), CODEC.decoder).prepare(messages)


def failure(item: Item) -> Failure:
    assert isinstance(item.outcome, Failure)
    return item.outcome


def test_a_record_is_decoded_mapped_and_knows_where_it_stands() -> None:
    (item,) = prepare(message(order(1), partition=2))
    assert isinstance(item.outcome, Mapped)
    assert item.outcome.rows == [{"id": "e1", "key": "k", "n": 1}]
    assert (item.partition, item.offset, item.event_id) == (Partition(TOPIC, 2), 5, "e1")
    assert (item.scope, item.other_scope, item.is_redriven) == (ParkedKey(TOPIC, b"k"), None, False)


def test_the_mapping_may_be_a_generator_and_may_give_nothing() -> None:
    def rows(event: Event) -> Any:
        yield from ({"n": n} for n in range(event.data["n"]))

    two, none = prepare(message(order(2)), message(order(0)), mapping=rows)
    assert [len(each.outcome.rows) for each in (two, none) if isinstance(each.outcome, Mapped)] == [2, 0]


def test_a_tombstone_has_no_rows_and_the_mapping_is_not_asked() -> None:
    def never(_event: Event) -> Sequence[Row]:
        raise AssertionError

    (item,) = prepare(message(order(1)._replace(value=None)), mapping=never)
    assert isinstance(item.outcome, Mapped)
    assert item.outcome.rows == ()


def test_one_record_that_does_not_decode_costs_the_others_nothing() -> None:
    bad, good = prepare(message(order(1)._replace(value=b"{}")), message(order(2)))
    assert (failure(bad).step, failure(bad).error.code, failure(bad).part) == ("decode", NOT_AVRO, "books.journal")
    assert isinstance(good.outcome, Mapped)


@pytest.mark.parametrize(
    ("error", "code"),
    [(Rejected("no such shop"), MAPPING_FAILED), (Rejected("closed", code=TARGET_REFUSES), TARGET_REFUSES)],
)
def test_what_the_mapping_rejects_is_that_records_failure(error: Rejected, code: Any) -> None:
    def rejects(_event: Event) -> Sequence[Row]:
        raise error

    (item,) = prepare(message(order(1)), mapping=rejects)
    assert (failure(item).step, failure(item).error.code) == ("map", code)


@pytest.mark.parametrize("bug", [KeyError("4711"), ValueError("4711"), StopIteration("4711"), RecursionError()])
def test_a_bug_in_the_mapping_is_no_records_fault_and_quotes_no_value(bug: Exception) -> None:
    def buggy(_event: Event) -> Sequence[Row]:
        raise bug

    with pytest.raises(Misconfigured) as caught:
        prepare(message(order(1)), mapping=buggy)
    assert caught.value.code is FUNCTION_FAILED
    assert caught.value.cause == f"the mapping of books.journal failed at shop.order.v1:0:5: {type(bug).__name__}"
    assert caught.value.__cause__ is bug


@pytest.mark.parametrize("error", [Retryable("busy"), Misconfigured("no table")])
def test_what_the_whole_batch_has_to_wait_for_is_raised(error: Exception) -> None:
    def waits(_event: Event) -> Sequence[Row]:
        raise error

    with pytest.raises(type(error)):
        prepare(message(order(1)), mapping=waits)


def test_a_redriven_record_belongs_to_the_order_of_its_origin_and_is_decoded_as_there() -> None:
    (item,) = prepare(message(order(1, topic=REDRIVE), headers=ORIGIN))
    assert isinstance(item.outcome, Mapped)
    assert (item.partition.topic, item.is_redriven, item.event_id) == (REDRIVE, True, "e1")
    assert item.scope == ParkedKey(TOPIC, b"k")
    assert item.other_scope == ParkedKey(TOPIC, b"\x00e1")


def test_live_and_redriven_records_may_come_in_one_batch_in_any_order() -> None:
    again = message(order(1, topic=REDRIVE), headers=ORIGIN)
    items = prepare(message(order(2)), again, message(order(3), partition=1), again)
    assert [item.is_redriven for item in items] == [False, True, False, True]
    assert {item.scope.topic for item in items} == {TOPIC}
    assert all(isinstance(item.outcome, Mapped) for item in items)


def test_a_live_record_that_claims_another_origin_belongs_where_it_stands() -> None:
    forged = list(zip(ORIGIN_HEADERS, (b"payments.salary.v1", b"0", b"0"), strict=True))
    (item,) = prepare(message(order(1), headers=forged))
    assert item.scope == ParkedKey(TOPIC, b"k")
    assert isinstance(item.outcome, Mapped)


@pytest.mark.parametrize(
    ("on_failure", "key", "scope"),
    [
        (OnFailure.PARK, "k", b"k"),
        (OnFailure.BLOCK, "k", b"k"),
        (OnFailure.PARK, "", b""),
        (OnFailure.PARK, None, b"\x00e1"),
        (OnFailure.SKIP, "k", b"\x00e1"),
    ],
)
def test_whose_order_a_record_belongs_to(on_failure: OnFailure, key: str | None, scope: bytes) -> None:
    (item,) = prepare(message(order(1, key=key)), on_failure=on_failure)
    assert item.scope == ParkedKey(TOPIC, scope)


def test_a_record_without_an_id_has_the_one_of_its_place() -> None:
    (item,) = prepare(message(order(1)._replace(headers=())))
    assert item.event_id == "kafka:shop.order.v1:0:5"
