"""A sink's worker from Kafka to PostgreSQL: books exact, failures parked and dead-lettered, outages waited for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from mainstem import Event, devstack
from mainstem.app.services import Services
from mainstem.app.sinks import run_sink
from mainstem.codec import headers as h
from mainstem.codec.message import Message
from mainstem.flow import dead_letter as dl
from mainstem.flow.letter_status import TOPIC as LETTERS
from mainstem.flow.letter_status import read_status
from mainstem.kafka.producer import DurableProducer
from mainstem.kafka.reader import reading
from mainstem.kafka.record import Record
from mainstem.observe.board import State
from tests.demo_copy import DemoCopy, copy_demo

pytestmark = pytest.mark.stack
DEADLINE_S = 120
NOW = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def demo(tmp_path: Path, stack: devstack.Stack) -> DemoCopy:
    return copy_demo(tmp_path, stack)


@pytest.fixture
def services(demo: DemoCopy) -> Iterator[Services]:
    with demo.services() as connected:
        yield connected


def payment(number: int, *, department: str = "GROCERY", net: str = "5.00", total: str | None = None) -> Event:
    return Event(
        id=f"till:{number}",
        key=str(number),
        time=NOW,
        type="payments.payment_settled",
        source="test",
        ingested_at=datetime.now(UTC),
        data={
            "payment_id": str(number),
            "household_id": "h",
            "store_id": "s",
            "paid_at": NOW,
            "net": Decimal(total or net),
            "departments": [{"department": department, "net": Decimal(net), "discount": Decimal("0.10")}],
        },
    )


async def publish(demo: DemoCopy, events: Sequence[Event], services: Services) -> None:
    encoder = await asyncio.to_thread(services.codec.encoder, demo.payments)
    records = [
        Record(demo.payments, (e.key or "").encode(), encoder.encode(e.payload), h.write_headers(e)) for e in events
    ]
    async with DurableProducer(services.config) as producer:
        await producer.send(records)


@asynccontextmanager
async def running(demo: DemoCopy, services: Services) -> AsyncIterator[None]:
    stop = asyncio.Event()
    sink = services.project.sinks[0]
    task = asyncio.create_task(run_sink(services, sink, stop))
    try:
        yield
    finally:
        stop.set()
        async with asyncio.timeout(DEADLINE_S):
            await task


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not await asyncio.to_thread(holds):  # noqa: ASYNC110 - Kafka and PostgreSQL have no event for it
            await asyncio.sleep(0.05)


def query(demo: DemoCopy, sql: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(demo.accounting_dsn) as connection:
        return connection.execute(sql).fetchall()


def count(demo: DemoCopy) -> int:
    return int(query(demo, "SELECT count(*) FROM journal_line")[0][0])


def letters(services: Services, topic: str) -> list[dict[str, bytes]]:
    with reading(services.config) as reader:
        found: list[Message] = [m for batch in reader.read(reader.whole([topic])) for m in batch]
    return [{**h.as_dict(m.headers()), "key": m.key() or b"", "value": m.value() or b""} for m in found]


def statuses(services: Services, dlq: str) -> dict[str, str]:
    with reading(services.config) as reader:
        values = [m.value() for batch in reader.read(reader.whole([LETTERS])) for m in batch]
    found = [read_status(value) for value in values if value is not None]
    return {status.event_id: status.state for status in found if status.dlq == dlq}


async def redrive(demo: DemoCopy, services: Services) -> None:
    """Copies every dead letter to the sink's redrive topic, as `mainstem dlq redrive` does."""
    sink = services.project.sinks[0]
    with reading(services.config) as reader:
        found: list[Message] = [m for batch in reader.read(reader.whole([sink.dead_letters])) for m in batch]
    records = []
    for message in found:
        given = h.as_dict(message.headers())
        origin = [(n, given[c]) for n, c in zip(dl.ORIGIN_HEADERS, (dl.TOPIC, dl.PARTITION, dl.OFFSET), strict=True)]
        kept = [(name, value) for name, value in given.items() if name not in dl.ERROR_HEADERS]
        records.append(Record(sink.redrive, message.key(), message.value(), [*kept, *origin]))
    async with DurableProducer(services.config) as producer:
        await producer.send(records)


async def test_every_payment_becomes_a_balanced_entry(demo: DemoCopy, services: Services) -> None:
    await publish(demo, [payment(n) for n in range(500)], services)
    async with running(demo, services):
        await until(lambda: count(demo) == 1000)
    assert query(demo, "SELECT sum(debit), sum(credit) FROM journal_line") == [(Decimal(2500), Decimal(2500))]
    assert services.latencies.quantile(0.5) is not None


async def test_a_restarted_worker_delivers_only_what_is_new(demo: DemoCopy, services: Services) -> None:
    await publish(demo, [payment(n) for n in range(50)], services)
    async with running(demo, services):
        await until(lambda: count(demo) == 100)
    with psycopg.connect(demo.accounting_dsn) as connection:
        connection.execute("DELETE FROM journal_line")
    await publish(demo, [payment(n) for n in range(50, 60)], services)
    async with running(demo, services):
        await until(lambda: count(demo) == 20)
    assert query(demo, "SELECT min(payment_id::int) FROM journal_line") == [(50,)]


async def test_records_that_the_database_refuses_are_dead_lettered_and_the_others_flow(
    demo: DemoCopy, services: Services
) -> None:
    bad = [payment(1000, department="SPIRITS"), payment(1001, net="0.00"), payment(1002, total="7.00")]
    good = [payment(n) for n in range(200)]
    await publish(demo, [*good[:100], *bad, *good[100:]], services)
    async with running(demo, services):
        await until(lambda: count(demo) == 400)
        await until(lambda: len(letters(services, demo.dlq)) == 3)
    found = {letter["ce_id"].decode(): letter for letter in letters(services, demo.dlq)}
    assert found.keys() == {"till:1000", "till:1001", "till:1002"}
    assert (
        "chart_of_accounts" in found["till:1000"][dl.MESSAGE].decode()
        or "account" in found["till:1000"][dl.MESSAGE].decode()
    )
    assert found["till:1000"][dl.CODE] == b"MS-105"
    assert found["till:1000"][dl.TOPIC].decode() == demo.payments
    assert len({letter[dl.CAUSE] for letter in found.values()}) == 3
    assert set(statuses(services, demo.dlq).values()) == {"waiting"}


async def test_later_records_of_a_parked_key_wait_and_a_redrive_delivers_them_in_order(
    demo: DemoCopy, services: Services
) -> None:
    first = payment(7, department="SPIRITS", net="1.00")
    second = payment(7, net="2.00").replace(id="till:7b")
    await publish(demo, [first], services)
    async with running(demo, services):
        await until(lambda: len(letters(services, demo.dlq)) == 1)
        await publish(demo, [second, payment(8)], services)
        await until(lambda: len(letters(services, demo.dlq)) == 2 and count(demo) == 2)
        codes = {letter["ce_id"].decode(): letter[dl.CODE] for letter in letters(services, demo.dlq)}
        assert codes == {"till:7": b"MS-105", "till:7b": b"MS-107"}
        with psycopg.connect(demo.accounting_dsn) as connection:
            connection.execute("INSERT INTO chart_of_accounts VALUES ('SPIRITS')")
        await redrive(demo, services)
        await until(lambda: set(statuses(services, demo.dlq).values()) == {"delivered"})
        assert query(demo, "SELECT debit FROM journal_line WHERE payment_id = '7' AND line_no = 0") == [(Decimal(2),)]
        await redrive(demo, services)  # a second click
        await publish(demo, [payment(7, net="3.00").replace(id="till:7c")], services)
        await until(
            lambda: query(demo, "SELECT debit FROM journal_line WHERE payment_id = '7' AND line_no = 0") == [(3,)]
        )
    assert len(letters(services, demo.dlq)) == 2


async def test_a_redriven_record_that_fails_again_is_dead_lettered_again_and_still_waits(
    demo: DemoCopy, services: Services
) -> None:
    await publish(demo, [payment(7, department="SPIRITS")], services)
    async with running(demo, services):
        await until(lambda: len(letters(services, demo.dlq)) == 1)
        await redrive(demo, services)
        await until(lambda: len(letters(services, demo.dlq)) == 2)
    again = letters(services, demo.dlq)[-1]
    assert again[dl.TOPIC].decode() == demo.payments
    assert statuses(services, demo.dlq) == {"till:7": "waiting"}


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (b"not avro at all", b"MS-101"),
        (b"\x00\x7f\xff\xff\xff" + b"x", b"MS-102"),
        (b"\x00", b"MS-101"),
        (b"", b"MS-101"),
    ],
)
async def test_a_malformed_record_is_dead_lettered_byte_for_byte(
    demo: DemoCopy, services: Services, value: bytes, code: bytes
) -> None:
    async with DurableProducer(services.config) as producer:
        await producer.send([Record(demo.payments, b"k", value, [("x", b"y")])])
    await publish(demo, [payment(1)], services)
    async with running(demo, services):
        await until(lambda: count(demo) == 2 and len(letters(services, demo.dlq)) == 1)
    (letter,) = letters(services, demo.dlq)
    assert (letter["value"], letter["key"], letter["x"], letter[dl.CODE]) == (value, b"k", b"y", code)


async def test_a_truncated_record_is_dead_lettered(demo: DemoCopy, services: Services) -> None:
    encoder = await asyncio.to_thread(services.codec.encoder, demo.payments)
    whole = encoder.encode(payment(1).payload) or b""
    async with DurableProducer(services.config) as producer:
        await producer.send([Record(demo.payments, b"k", whole[:-3]), Record(demo.payments, b"k2", whole + b"rest")])
    async with running(demo, services):
        await until(lambda: len(letters(services, demo.dlq)) == 2)
    assert {letter[dl.CODE] for letter in letters(services, demo.dlq)} == {b"MS-103"}


async def test_a_missing_table_pauses_the_sink_and_nothing_is_given_up(
    demo: DemoCopy, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mainstem.deliver.persistence.PROBE_S", 0.2)
    async with running(demo, services):
        await publish(demo, [payment(n) for n in range(10)], services)
        await until(lambda: count(demo) == 20)
        with psycopg.connect(demo.accounting_dsn) as connection:
            connection.execute("ALTER TABLE journal_line RENAME TO journal_line_gone")
        await publish(demo, [payment(n) for n in range(10, 20)], services)
        part = f"{demo.integration}.journal"
        await until(lambda: services.board.parts()[part].state is State.PAUSED)
        assert services.board.parts()[part].code == "MS-204"
        assert not services.board.is_ready()
        with psycopg.connect(demo.accounting_dsn) as connection:
            connection.execute("ALTER TABLE journal_line_gone RENAME TO journal_line")
        await until(lambda: count(demo) == 40)
        await until(services.board.is_ready)
    assert letters(services, demo.dlq) == []
