from __future__ import annotations

import asyncio
from time import monotonic
from typing import cast

import orjson
import pytest
from confluent_kafka import Message, Producer

from mainstem.codec import headers as h
from mainstem.errors import FUNCTION_FAILED, NOT_AVRO
from mainstem.flow import dead_letter as letter
from mainstem.flow.letter_status import TOPIC as LETTERS
from mainstem.kafka.record import Record
from mainstem.kafka.transaction import TransactionalProducer
from mainstem.observe import metrics
from mainstem.observe.board import State
from tests.backbone_process import BackboneProcess
from tests.integration.process.conftest import Place, Start, until

pytestmark = pytest.mark.stack


def headers(message: Message) -> dict[str, bytes]:
    return h.as_dict(cast(h.Headers, message.headers()))


def ids(messages: list[Message]) -> list[str]:
    return [headers(message)[h.ID].decode() for message in messages]


def abort(place: Place, records: list[Record]) -> None:
    """What a source leaves that was killed in the middle of a transaction."""
    producer = Producer({**place.config, "transactional.id": f"it-{place.tag}", "partitioner": "murmur2_random"})
    producer.init_transactions()
    producer.begin_transaction()
    for record in records:
        producer.produce(record.topic, record.value, record.key, headers=list(record.headers))
    producer.flush()
    producer.abort_transaction()


async def test_five_kills_lose_and_double_nothing_and_keep_the_order_of_each_key(place: Place, start: Start) -> None:
    place.write_stream("await asyncio.sleep(0.03)\nreturn event", define="async def")
    await place.producer.send([place.record(n, key=f"k{n % 40}") for n in range(2000)])
    stream = await start()
    for killed in range(1, 6):
        await until(lambda killed=killed: place.committed() >= 250 * killed)  # type: ignore[misc]
        stream.kill()
    await until(lambda: len(set(ids(place.read(place.writes)))) == 2000)
    by_key: dict[bytes, list[int]] = {}
    for message in place.read(place.writes):
        by_key.setdefault(message.key() or b"", []).append(int(headers(message)[h.ID][1:]))
    assert len(by_key) == 40
    assert sum(len(seen) for seen in by_key.values()) == 2000
    assert all(seen == sorted(seen) for seen in by_key.values())


async def test_an_event_published_twice_comes_out_once_also_across_a_restart(place: Place, start: Start) -> None:
    place.write_stream("return event")
    await place.producer.send([place.record(n, key="k", event_id=f"e{n % 5}") for n in range(10)])
    first = await start()
    await until(lambda: first.counts.get("duplicate") == 5)
    await first.end()
    await place.producer.send([place.record(3, key="k"), place.record(77, key="k")])
    second = await start()
    await until(lambda: second.counts.get("processed") == 1)
    assert second.counts["duplicate"] == 1
    assert ids(place.read(place.writes)) == ["e0", "e1", "e2", "e3", "e4", "e77"]


async def test_a_poison_record_is_a_dead_letter_and_the_others_flow(place: Place, start: Start) -> None:
    place.write_stream("if event.data['n'] == 1:\n    raise Rejected('one is refused')\nreturn event")
    poison = Record(place.reads, b"k", b"no avro", [("ce_id", b"poison"), ("mine", b"kept")])
    await place.producer.send([place.record(0, key="k"), poison, place.record(1, key="k"), place.record(2, key="k")])
    stream = await start()
    await until(lambda: stream.counts.get("processed") == 2)
    await until(lambda: stream.status.state is State.RUNNING)
    first, second = place.read(place.dlq)
    known = headers(first)
    assert (first.key(), first.value(), known["mine"]) == (b"k", b"no avro", b"kept")
    assert known[letter.CODE] == NOT_AVRO.number.encode()
    assert known[letter.TOPIC] == place.reads.encode()
    assert headers(second)[letter.MESSAGE] == b"one is refused"
    assert ids(place.read(place.writes)) == ["e0", "e2"]
    mine = [m for m in place.read(LETTERS) if (m.key() or b"").startswith(place.dlq.encode())]
    states = [orjson.loads(m.value() or b"") for m in mine]
    assert {said["event_id"]: said["state"] for said in states} == {"poison": "waiting", "e1": "waiting"}


async def test_a_bug_pauses_the_stream_and_mended_code_goes_on(place: Place, start: Start) -> None:
    place.write_stream("return event.replace(data={'n': event.data['wrong']})")
    await place.producer.send([place.record(n, key="k") for n in range(3)])
    broken = await start()
    await until(lambda: broken.status.state is State.PAUSED)
    assert broken.status.code == FUNCTION_FAILED.number
    assert f"{place.stream}.py:" in (broken.status.reason or "")
    assert await broken.end() < 5
    assert place.read(place.writes) == []
    place.write_stream("return event")
    mended = await start()
    await until(lambda: mended.counts.get("processed") == 3)
    assert ids(place.read(place.writes)) == ["e0", "e1", "e2"]


async def test_a_gentle_stop_commits_all_and_a_restart_does_nothing_twice(place: Place, start: Start) -> None:
    place.write_stream("return event")
    async with TransactionalProducer(place.config, f"it-{place.tag}") as source:
        for n in range(20):
            await source.commit([place.record(n, key=f"k{n}")])
    first = await start()
    await until(lambda: first.counts.get("processed") == 20)
    assert await first.end() < 5
    assert first.status.state is State.STOPPED
    second = await start()
    await until(lambda: second.status.state is State.RUNNING)
    await place.producer.send([place.record(20, key="k")])
    await until(lambda: second.counts.get("processed") == 1)
    assert len(place.read(place.writes)) == 21
    counted = f'mainstem_records_total{{integration="{place.stream}",outcome="processed"'.encode()
    await until(lambda: counted in metrics.merged())
    committed = f'mainstem_stream_commit_seconds_count{{stream="{place.stream}"}}'.encode()
    await until(lambda: committed in metrics.merged())


async def test_a_table_is_whole_before_the_first_record_and_stays_fresh(place: Place, start: Start) -> None:
    place.write_stream(
        "shop = shops.get(event.key)\nreturn event.replace(data={'n': shop['n'] if shop else -1})",
        arguments="event, shops",
        tables=f"'shops': {place.table!r}",
    )
    await place.producer.send([place.record(n, key=f"s{n}", topic=place.table) for n in range(500)])
    await place.producer.send([place.record(n, key=f"s{n}") for n in range(500)])
    stream = await start()
    await until(lambda: stream.counts.get("processed") == 500)
    decoder = place.codec.decoder(place.writes)
    outputs = [(m.key(), decoder.decode(m.value() or b"")["n"]) for m in place.read(place.writes)]
    assert len(outputs) == 500
    assert all(key == f"s{n}".encode() for key, n in outputs)
    await place.producer.send([place.record(7000, key="s7", topic=place.table)])

    def is_seen() -> bool:
        return any(decoder.decode(m.value() or b"")["n"] == 7000 for m in place.read(place.writes))

    asked = 1000
    deadline = monotonic() + 10
    while not await asyncio.to_thread(is_seen):
        assert monotonic() < deadline
        asked += 1
        await place.producer.send([place.record(asked, key="s7")])


async def test_what_a_source_aborted_is_never_read(place: Place, start: Start) -> None:
    place.write_stream("return event")
    await asyncio.to_thread(abort, place, [place.record(n, key="k") for n in range(3)])
    await place.producer.send([place.record(7, key="k")])
    stream = await start()
    await until(lambda: stream.counts.get("processed") == 1)
    assert await stream.end() < 5
    assert ids(place.read(place.writes)) == ["e7"]
    assert place.committed() >= 5  # three aborted, their marker, and the one


async def test_the_process_ends_when_its_parent_does(place: Place, start: Start) -> None:
    place.write_stream("return event")
    stream = await start()
    await until(lambda: stream.status.state is State.RUNNING)
    process = stream.supervisor._process
    assert process is not None
    assert process.stdin is not None
    process.stdin.close()
    assert await asyncio.wait_for(process.wait(), 60) == 0


async def test_a_missing_topic_pauses_until_it_is_made(place: Place, start: Start) -> None:
    place.write_stream("return event", arguments="event, gone", tables=f"'gone': 't{place.tag}.gone.v1'")
    stream = await start()
    await until(lambda: stream.status.state is State.PAUSED)
    assert f"t{place.tag}.gone.v1" in (stream.status.reason or "")


async def test_several_processes_of_a_stream_share_its_partitions(place: Place, free_port: int) -> None:
    place.write_stream("import os\nreturn event.replace(data={'n': os.getpid()})")

    with BackboneProcess(place.folder, free_port) as backbone:
        await asyncio.to_thread(lambda: backbone.start("it", "--workers", "2").until_ready())
        parts = {name for name in backbone.parts() if name.startswith(place.stream)}
        await place.producer.send([place.record(n, key=f"k{n}") for n in range(300)])
        await until(lambda: len(place.read(place.writes)) == 300)
        made = place.read(place.writes)
        assert await asyncio.to_thread(backbone.stop) == 0

    decoder = place.codec.decoder(place.writes)
    assert parts == {place.stream, f"{place.stream}/2"}
    assert len({decoder.decode(message.value() or b"")["n"] for message in made}) == 2
    assert sorted(ids(made)) == sorted(f"e{n}" for n in range(300))
