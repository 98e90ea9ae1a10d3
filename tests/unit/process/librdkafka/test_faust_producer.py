"""What Faust's own tests ask of a producer, where it is promised here too and no other test of ours asks for it.
`docs/faust-conformance.md` has the whole list."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from confluent_kafka import KafkaError, KafkaException
from faust.exceptions import ImproperlyConfigured
from faust.sensors import Monitor
from yarl import URL

from mainstem.process.librdkafka import App
from mainstem.process.librdkafka.clients import servers
from mainstem.process.librdkafka.now import Now, Place, current
from mainstem.process.librdkafka.sending import Producer
from mainstem.process.librdkafka.transaction import ProducerFailed

BROKER = "librdkafka://127.0.0.1:9"


class Library:
    """Its producer, which keeps what it gets."""

    def __init__(self) -> None:
        self.records: list[tuple[Any, ...]] = []
        self.more: list[dict[str, Any]] = []
        self.unconfirmed = 0
        self.flushed = 0
        self.is_full = False
        self.error: Exception | None = None

    def produce(self, *record: Any, **more: Any) -> None:
        if self.error is not None:
            raise self.error
        if self.is_full:
            raise BufferError
        self.records.append(record)
        self.more.append(more)

    def poll(self, timeout: float) -> int:
        self.is_full = False
        return 0

    def __len__(self) -> int:
        return len(self.records)

    def flush(self, timeout: float) -> int:
        self.flushed += 1
        return self.unconfirmed


class Transaction:
    """What is written within one."""

    is_open = False

    def __init__(self) -> None:
        self.written: list[str] = []

    def write(self, topic: str, value: bytes, key: bytes, partition: int, **more: Any) -> None:
        self.written.append(topic)


def producing(**settings: Any) -> tuple[Producer, Library]:
    app = App("a", broker=BROKER, **settings)
    app.in_worker = True
    producer = cast(Producer, app.transport.create_producer())
    producer._client = library = Library()
    producer._sent, producer._refused = 0, None
    return producer, library


@pytest.mark.parametrize("headers", [{"h": b"1"}, [("h", b"1")], None])
async def test_headers_are_sent_whether_they_are_a_mapping_or_pairs(headers: Any) -> None:
    producer, library = producing()
    await producer.send("out", b"k", b"v", 3, 1.5, headers)
    assert library.records == [("out", b"v", b"k", 3)]
    expected = {"timestamp": 1500, "headers": [("h", b"1")]}
    assert library.more == [expected if headers else {"timestamp": 1500}]


async def test_where_no_partition_and_no_time_is_said_the_library_chooses_them() -> None:
    producer, library = producing()
    await producer.send("out", b"k", b"v", None, None, None)
    assert library.records == [("out", b"v", b"k", -1)]
    assert library.more == [{}]


async def test_a_full_buffer_of_the_library_is_waited_for() -> None:
    producer, library = producing()
    library.is_full = True
    await producer.send("out", b"k", b"v", None, None, None)
    assert len(library.records) == 1


async def test_what_an_event_sends_is_in_its_transaction_and_what_a_timer_sends_is_not() -> None:
    producer, library = producing()
    transaction = Transaction()
    producer.transactions = cast(Any, transaction)
    await producer.send("timers", b"k", b"v", None, None, None)
    with current(Now(Place("orders", 0, 0.0))):
        await producer.send("events", b"k", b"v", None, None, None)
        await producer.send_and_wait("events", b"k", b"v", None, None, None)
    assert [record[0] for record in library.records] == ["timers"]
    assert transaction.written == ["events", "events"]
    assert library.flushed == 0, "nobody waits within a transaction"


async def test_to_send_and_wait_is_to_wait_until_kafka_has_it() -> None:
    producer, library = producing()
    await producer.send_and_wait("out", b"k", b"v", None, None, None)
    assert library.flushed == 1


async def test_a_flush_fails_where_a_record_was_refused_or_is_not_confirmed() -> None:
    producer, library = producing()
    producer.write("out", b"k", b"v")
    await producer.flush()
    library.unconfirmed = 1
    with pytest.raises(ProducerFailed, match="not confirm"):
        await producer.flush()
    library.unconfirmed = 0
    producer._refuse(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE), None)
    with pytest.raises(ProducerFailed, match="refused"):
        await producer.flush()


async def test_a_producer_that_stops_sends_what_it_has() -> None:
    producer, library = producing()
    producer.write("out", b"k", b"v")
    await producer.on_stop()
    assert library.flushed == 1


async def test_a_record_that_the_library_does_not_take_is_an_error_at_once() -> None:
    producer, library = producing()
    library.error = KafkaException(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE))
    with pytest.raises(ProducerFailed, match="out could not be written"):
        await producer.send("out", b"k", b"v", None, None, None)


async def test_a_command_is_told_where_its_record_is_or_that_it_was_refused() -> None:
    producer, library = producing()
    producer.app.in_worker = False
    sent = await producer.send("out", b"k", b"v", None, None, None)
    report = library.more[0]["on_delivery"]
    report(
        None, SimpleNamespace(topic=lambda: "out", partition=lambda: 2, offset=lambda: 7, timestamp=lambda: (1, 1500))
    )
    where = await sent
    assert (where.topic, where.partition, where.offset, where.timestamp) == ("out", 2, 7, 1.5)
    report(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE), None)
    with pytest.raises(ProducerFailed):
        await sent


def test_brokers_without_a_port_have_kafkas() -> None:
    assert servers([URL("librdkafka://one"), URL("librdkafka://two:9999")]) == "one:9092,two:9999"


@pytest.mark.parametrize(
    "settings", [{"stream_publish_on_commit": True}, {"producer_partitioner": lambda key, every, available: 0}]
)
def test_settings_that_would_be_passed_over_are_refused(settings: Any) -> None:
    [name] = settings
    with pytest.raises(ImproperlyConfigured, match=name):
        App("a", broker=BROKER, **settings).transport  # noqa: B018 - made when it is asked for


class Sending:
    """Who sends by a topic."""

    def __init__(self) -> None:
        producer, self.library = producing()
        app: Any = producer.app
        app.producer = producer
        self.topic = app.topic("out")
        producer.transactions = self.transaction = cast(Any, Transaction())


async def test_what_is_sent_soon_has_headers_and_a_time_and_is_called_back() -> None:
    sending, called = Sending(), list[Any]()
    sent = sending.topic.send_soon(key=b"k", value=b"v", headers={"h": b"1"}, timestamp=1.5, callback=called.append)
    assert sending.library.records == [("out", b"v", b"k", -1)]
    assert sending.library.more == [{"headers": [("h", b"1")], "timestamp": 1500}]
    assert called == [sent]


@pytest.mark.parametrize("is_at_hand", [True, False])
async def test_a_topic_encodes_and_counts_what_it_sends_whether_the_producer_is_at_hand_or_not(
    is_at_hand: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    sending = Sending()
    app: Any = sending.topic.app
    app.producer.is_at_hand = is_at_hand

    async def started() -> Producer:
        return cast(Producer, app.producer)

    monkeypatch.setattr(app, "maybe_start_producer", started)
    app.sensors.add(monitor := Monitor())
    options = {"partition": 3, "timestamp": 1.5, "headers": {"h": b"1"}, "key_serializer": "raw"}
    await (await sending.topic.send(key=b"k", value={"n": 1}, **options))
    assert sending.library.records == [("out", b'{"n":1}', b"k", 3)]
    assert sending.library.more == [{"headers": [("h", b"1")], "timestamp": 1500}]
    assert (monitor.messages_sent, monitor.messages_sent_by_topic["out"], len(monitor.send_latency)) == (1, 1, 1)


async def test_what_a_topic_sends_is_in_a_transaction_if_an_event_has_caused_it() -> None:
    sending = Sending()
    cast(Any, sending.topic.app).producer.is_at_hand = True
    with current(Now(Place("orders", 0, 0.0))):
        await sending.topic.send(key=b"k", value=b"v")
    assert (sending.transaction.written, sending.library.records) == (["out"], [])


async def test_what_is_sent_soon_is_in_a_transaction_if_an_event_has_caused_it() -> None:
    sending = Sending()
    sending.topic.send_soon(key=b"k", value=b"v")
    assert (sending.transaction.written, len(sending.library.records)) == ([], 1)
    with current(Now(Place("orders", 0, 0.0))):
        sending.topic.send_soon(key=b"k", value=b"v")
    assert (sending.transaction.written, len(sending.library.records)) == (["out"], 1)
