from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from mainstem import Event, Misconfigured, Rejected, Retryable, Unreachable
from mainstem.codec import headers as h
from mainstem.codec.message import origin_of
from mainstem.errors import BAD_PAYLOAD, FUNCTION_FAILED, MAPPING_FAILED, NOT_AVRO, RETRIES_EXHAUSTED, SCHEMA_REFUSES
from mainstem.flow import dead_letter as letter
from mainstem.flow import letter_status
from mainstem.observe.board import State
from tests.unit.process.conftest import WRITES, Hosted, OneSchema, message, raw, values

Host = Callable[..., Hosted]


def doubled(event: Event) -> Event:
    return event.replace(data={"n": event.data["n"] * 2})


async def test_each_input_becomes_an_output_in_order(host: Host) -> None:
    hosted = host(doubled)
    records = await hosted.step([message(id=f"e{n}", data={"n": n}) for n in range(5)])
    assert [data["n"] for data in values(records)] == [0, 2, 4, 6, 8]
    assert {record.topic for record in records} == {WRITES}
    assert hosted.report.counts["processed"] == 5


async def test_a_plain_function_may_return_what_has_to_be_awaited(host: Host) -> None:
    async def later(event: Event) -> Event:
        await asyncio.sleep(0)
        return doubled(event)

    def plain(event: Event) -> Any:
        return later(event)

    records = await host(plain).step([message(data={"n": n}, id=f"e{n}") for n in range(3)])
    assert [data["n"] for data in values(records)] == [0, 2, 4]


async def test_what_a_function_lets_fall_is_counted_as_skipped(host: Host) -> None:
    hosted = host(lambda event: None)
    assert await hosted.step([message()]) == []
    assert hosted.report.counts["skipped"] == 1


async def test_an_event_published_twice_is_processed_once(host: Host) -> None:
    hosted = host(doubled)
    first, again = message(id="same"), message(id="same")
    assert len(await hosted.step([first, again])) == 1
    assert await hosted.step([message(id="same")]) == []
    assert hosted.report.counts["duplicate"] == 2


async def test_a_record_read_again_after_a_crash_is_processed_again(host: Host) -> None:
    hosted = host(doubled)
    once = message(id="once")
    await hosted.step([once])
    assert len(await hosted.step([once])) == 1


async def test_a_new_revision_of_an_event_is_no_duplicate(host: Host) -> None:
    hosted = host(doubled)
    assert len(await hosted.step([message(id="same"), message(id="same", revision=1)])) == 2


async def test_a_rejected_record_is_a_dead_letter_with_its_bytes_and_headers(host: Host) -> None:
    def refuse(event: Event) -> None:
        raise Rejected("no such shop")

    bad = message(id="e9", headers={"mine": "kept"})
    dead, status = await host(refuse).step([bad])
    known = h.as_dict(dead.headers)
    assert (dead.topic, dead.key, dead.value) == ("total.dlq", bad.key(), bad.value())
    assert (known["ce_id"], known["mine"]) == (b"e9", b"kept")
    assert known[letter.OFFSET] == str(bad.offset()).encode()
    assert known[letter.CODE] == MAPPING_FAILED.number.encode()
    assert known[letter.STAGE] == b"process"
    assert status.topic == letter_status.TOPIC
    assert status.key == f"total.dlq|e9|{origin_of(bad)}".encode()
    assert orjson.loads(status.value or b"")["state"] == "waiting"


async def test_bytes_that_do_not_decode_are_a_dead_letter_and_the_next_record_flows(host: Host) -> None:
    hosted = host(doubled)
    records = await hosted.step([raw(b"no avro"), raw(b"\0\0\0\0\7\xff", event_id="cut"), message(id="good")])
    letters = [h.as_dict(record.headers) for record in records if record.topic == "total.dlq"]
    assert [known[letter.CODE].decode() for known in letters] == [NOT_AVRO.number, BAD_PAYLOAD.number]
    assert {known[letter.STAGE] for known in letters} == {b"decode"}
    assert [record.topic for record in records].count(WRITES) == 1
    assert (hosted.report.counts["dead_lettered"], hosted.report.counts["processed"]) == (2, 1)


async def test_a_result_that_does_not_fit_the_schema_is_a_dead_letter_that_names_the_field(host: Host) -> None:
    dead, _ = await host(lambda event: event.replace(data={"n": "many"})).step([message()])
    known = h.as_dict(dead.headers)
    assert known[letter.CODE] == SCHEMA_REFUSES.number.encode()
    assert b"n:" in known[letter.MESSAGE]
    assert b"many" not in known[letter.MESSAGE]


async def test_a_retryable_record_is_tried_in_place_before_the_later_ones(host: Host) -> None:
    seen = []

    def flaky(event: Event) -> Event:
        seen.append(event.id)
        if seen == ["a"]:
            raise Retryable("busy")
        return event

    hosted = host(flaky)
    records = await hosted.step([message(id="a"), message(id="b")])
    assert seen == ["a", "a", "b"]
    assert len(records) == 2
    assert len(hosted.slept) == 1


async def test_a_record_out_of_attempts_is_a_dead_letter(host: Host) -> None:
    def busy(event: Event) -> None:
        raise Retryable("busy", after_s=0)

    hosted = host(busy)
    dead, _ = await hosted.step([message()])
    known = h.as_dict(dead.headers)
    assert known[letter.CODE] == RETRIES_EXHAUSTED.number.encode()
    assert known[letter.ATTEMPTS] == b"8"
    assert len(hosted.slept) == 7


async def test_an_outage_costs_no_attempts(host: Host) -> None:
    tries = []

    def down(event: Event) -> Event:
        tries.append(event.id)
        if len(tries) <= 20:
            raise Unreachable("stock does not answer")
        return event

    hosted = host(down)
    (record,) = await hosted.step([message()])
    assert record.topic == WRITES
    assert len(hosted.slept) == 20
    assert max(hosted.slept) <= 5


async def test_the_registry_down_makes_the_stream_wait(host: Host) -> None:
    states = []
    hosted = host(doubled, registry=OneSchema(down=3))
    hosted.asleep = lambda: states.append(hosted.status.state)
    assert len(await hosted.step([message()])) == 1
    assert states == [State.WAITING] * 3


@pytest.mark.parametrize("failure", [KeyError("4711 0815 secret"), Misconfigured("no such table")])
async def test_a_bug_and_a_misconfiguration_pause_until_mended(host: Host, failure: Exception) -> None:
    broken = [failure, failure]

    def function(event: Event) -> Event:
        if broken:
            raise broken.pop()
        return event

    hosted = host(function)
    seen = []
    hosted.asleep = lambda: seen.append(hosted.status)
    (record,) = await hosted.step([message()])
    assert record.topic == WRITES
    assert [status.state for status in seen] == [State.PAUSED] * 2
    assert hosted.slept == [10.0, 10.0]


async def test_a_bug_is_told_once_with_its_place_and_without_values(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[dict[str, str]] = []
    broken = ["47", "47", "47"]

    def function(event: Event) -> Event:
        if broken:
            raise ValueError(f"card {broken.pop()}11")
        return event

    hosted = host(function)
    monkeypatch.setattr(hosted.report, "_log", type("Log", (), {"warning": lambda _, *a, **k: told.append(k)})())
    reasons = []
    hosted.asleep = lambda: reasons.append(hosted.status)
    await hosted.step([message()])
    assert len(told) == 1
    assert "ValueError" in told[0]["traceback"]
    assert "4711" not in str(told) + str(reasons)
    assert reasons[0].code == FUNCTION_FAILED.number
    assert reasons[0].reason is not None
    assert "test_runner.py:" in reasons[0].reason


async def test_data_changed_by_a_failed_try_is_whole_again_in_the_next(host: Host) -> None:
    tries = []

    def mutates(event: Event) -> Event:
        data = dict(event.data)
        tries.append(data["n"])
        event.data["n"] = 99  # type: ignore[index]
        if len(tries) == 1:
            raise Retryable("busy")
        return event.replace(data=data)

    await host(mutates).step([message()])
    assert tries == [1, 1]


async def test_a_tombstone_that_the_function_does_not_take_is_a_dead_letter(host: Host) -> None:
    hosted = host(doubled)
    dead, _ = await hosted.step([raw(None)])
    assert dead.topic == "total.dlq"
    assert dead.value is None
    assert hosted.slept == []


async def test_a_function_that_takes_tombstones_writes_them(host: Host) -> None:
    (record,) = await host(lambda event: event).step([raw(None)])
    assert (record.topic, record.value) == (WRITES, None)


async def test_async_functions_run_at_the_same_time_for_different_keys(host: Host) -> None:
    together = asyncio.Barrier(3)

    async def meets(event: Event) -> Event:
        await together.wait()
        return event

    async with asyncio.timeout(5):
        records = await host(meets).step([message(id=f"e{n}", key=f"k{n}", data={"n": n}) for n in range(3)])
    assert [data["n"] for data in values(records)] == [0, 1, 2]


async def test_async_functions_of_one_key_run_in_order(host: Host) -> None:
    under_way: list[str] = []

    async def one_at_a_time(event: Event) -> Event:
        assert not under_way
        under_way.append(event.id)
        await asyncio.sleep(0)
        under_way.pop()
        return event

    hosted = host(one_at_a_time)
    hosted.asleep = lambda: pytest.fail("two of one key were under way")
    assert len(await hosted.step([message(id=f"e{n}") for n in range(10)])) == 10


async def test_a_function_is_given_its_tables_by_name(host: Host) -> None:
    def named(event: Event, shops: dict[str, dict[str, str]]) -> Event:
        return event.replace(data={"n": 1, "text": shops["s1"]["name"]})

    records = await host(named, tables={"shops": {"s1": {"name": "corner"}}}).step([message()])
    assert values(records)[0]["text"] == "corner"


async def test_records_count_when_they_are_committed_and_not_before(host: Host) -> None:
    hosted = host(lambda event: event)
    made = await hosted.runner.step([message(), message(id="e2")])
    assert hosted.report.counts["processed"] == 0
    made.committed()
    assert hosted.report.counts["processed"] == 2
