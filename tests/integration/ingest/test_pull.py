"""Sources that are read, on a real broker: every event once for read_committed readers, whatever breaks between."""

from __future__ import annotations

import asyncio
import contextlib
import json
import uuid
from collections.abc import AsyncIterator, Callable
from itertools import count
from typing import Any

import pytest
from confluent_kafka import Producer
from pydantic import PrivateAttr

from mainstem.codec.avro import Encoder
from mainstem.codec.coerce import Coercer
from mainstem.codec.headers import as_dict
from mainstem.devstack import Stack
from mainstem.errors import Misconfigured, Retryable
from mainstem.event import Event
from mainstem.flow.retry import RetryPolicy
from mainstem.ingest import pull
from mainstem.ingest.positions import Stored, position_record, read_position
from mainstem.ingest.pull import PullIngest
from mainstem.ingest.writing import EventWriter
from mainstem.kafka.positions import POSITIONS
from mainstem.kafka.reader import reading
from mainstem.kafka.record import Record
from mainstem.kafka.topics import Admin, TopicSpec
from mainstem.kafka.transaction import TransactionalProducer
from mainstem.observe.board import Board, State
from mainstem.sdk.source import Batch, Position, Source

pytestmark = pytest.mark.stack
DEADLINE_S = 120
NUMBER = {"type": "record", "name": "number", "fields": [{"name": "n", "type": "int"}]}


class Numbers(Source):
    """Gives 0, 1, 2, ... in batches; `before` is called with each batch's first number, and may raise or wait."""

    count: int
    batch: int = 10
    poll_every_s: float = 0.05

    _before: Callable[[int], Any] | None = PrivateAttr(default=None)
    _acknowledged: list[int] = PrivateAttr(default_factory=list)

    def failing(self, before: Callable[[int], Any]) -> Numbers:
        self._before = before
        return self

    async def read(self, after: Position | None) -> AsyncIterator[Batch]:
        for start in range(0 if after is None else after["next"], self.count, self.batch):
            waits = None if self._before is None else self._before(start)
            if waits is not None:
                await waits
            numbers = range(start, min(start + self.batch, self.count))
            events = [Event(id=f"n:{n}", key=str(n % 7), data={"n": n if n % 100 != 99 else "odd"}) for n in numbers]
            yield Batch(events, {"next": numbers.stop})

    async def acknowledge(self, position: Position) -> None:
        self._acknowledged.append(position["next"])


@pytest.fixture
def config(stack: Stack) -> dict[str, Any]:
    Admin({"bootstrap.servers": stack.bootstrap}).create([TopicSpec(POSITIONS, 1, 1, {"cleanup.policy": "compact"})])
    return {"bootstrap.servers": stack.bootstrap}


@pytest.fixture
def name() -> str:
    return f"test{uuid.uuid4().hex}"


@pytest.fixture
def topic(config: dict[str, Any], name: str) -> str:
    made = f"test.{name}.v1"
    Admin(config).create([TopicSpec(made, 3), TopicSpec(f"{name}.numbers.dlq", 1)])
    return made


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pull, "PAUSE_S", 0.05)
    monkeypatch.setattr(pull, "POLICY", RetryPolicy(first_s=0.02, max_s=0.05))


def ingest(config: dict[str, Any], name: str, topic: str, source: Source, board: Board | None = None) -> PullIngest:
    writer = EventWriter(Encoder(topic, NUMBER, 1), Coercer(NUMBER))
    return PullIngest(name, "numbers", source, writer, config, board or Board())


@contextlib.asynccontextmanager
async def running(work: PullIngest) -> AsyncIterator[asyncio.Task[None]]:
    stop = asyncio.Event()
    task = asyncio.create_task(work.run(stop))
    try:
        yield task
    finally:
        stop.set()
        await asyncio.wait_for(task, DEADLINE_S)


async def first_pass(work: PullIngest) -> None:
    async with running(work):
        await asyncio.wait_for(work.first_pass.wait(), DEADLINE_S)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not holds():  # noqa: ASYNC110 - nobody announces it
            await asyncio.sleep(0.005)


def read_all(config: dict[str, Any], topic: str) -> list[Any]:
    """To the true end: what has just been committed may stand behind a read_committed reader's end for a moment."""
    with reading(config) as reader:
        partitions = reader.partitions(topic)
        ends = Admin(config).ends(partitions)
        ranges = {partition: (0, ends[partition]) for partition in partitions}
        return [message for messages in reader.read(ranges) for message in messages]


def ids(config: dict[str, Any], topic: str) -> list[str]:
    found = [as_dict(message.headers())["ce_id"].decode() for message in read_all(config, topic)]
    return sorted(found, key=lambda event_id: int(event_id.removeprefix("n:")))


def expected(count: int) -> list[str]:
    return [f"n:{n}" for n in range(count) if n % 100 != 99]


async def test_a_source_is_read_to_its_end_and_acknowledged_in_order(
    config: dict[str, Any], name: str, topic: str
) -> None:
    source = Numbers(count=95)

    await first_pass(ingest(config, name, topic, source))

    assert ids(config, topic) == expected(95)
    assert source._acknowledged == [*range(10, 100, 10), 95]


async def test_an_event_that_does_not_fit_is_dead_lettered_with_its_batch(
    config: dict[str, Any], name: str, topic: str
) -> None:
    await first_pass(ingest(config, name, topic, Numbers(count=250)))

    assert ids(config, topic) == expected(250)
    letters = read_all(config, f"{name}.numbers.dlq")
    assert [json.loads(letter.value()) for letter in letters] == [{"n": "odd"}] * 2
    assert [as_dict(letter.headers())["ce_id"] for letter in letters] == [b"n:99", b"n:199"]


async def test_a_new_worker_goes_on_where_the_last_one_stood(config: dict[str, Any], name: str, topic: str) -> None:
    await first_pass(ingest(config, name, topic, Numbers(count=50)))

    source = Numbers(count=80)
    await first_pass(ingest(config, name, topic, source))

    assert ids(config, topic) == expected(80)
    assert source._acknowledged[0] == 60


async def test_a_worker_that_dies_anywhere_leaves_neither_gap_nor_double(
    config: dict[str, Any], name: str, topic: str
) -> None:
    for dies_at in (10, 30, 60, 90):
        died = asyncio.Event()

        def before(start: int, at: int = dies_at, died: asyncio.Event = died) -> None:
            if start >= at:
                died.set()

        work = ingest(config, name, topic, Numbers(count=1000).failing(before))
        task = asyncio.create_task(work.run(asyncio.Event()))
        await asyncio.wait_for(died.wait(), DEADLINE_S)
        task.cancel()  # while batches before this one are being committed
        with contextlib.suppress(asyncio.CancelledError):
            await task

    await first_pass(ingest(config, name, topic, Numbers(count=120)))

    assert ids(config, topic) == expected(120)


def during_the_third_commit(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """`act` is called when it has begun."""
    real, begun = TransactionalProducer.commit, count(1)

    async def commit(producer: TransactionalProducer, records: list[Record]) -> None:
        if next(begun) == 3:
            asyncio.get_running_loop().call_soon(act)
        await real(producer, records)

    monkeypatch.setattr(TransactionalProducer, "commit", commit)


async def test_a_stop_during_a_commit_ends_with_that_batch(
    config: dict[str, Any], name: str, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop, source = asyncio.Event(), Numbers(count=1000)
    during_the_third_commit(monkeypatch, stop.set)

    await asyncio.wait_for(ingest(config, name, topic, source).run(stop), DEADLINE_S)

    assert source._acknowledged == [10, 20, 30]
    assert ids(config, topic) == expected(30)


async def test_a_commit_that_is_cancelled_is_settled_by_the_next_worker(
    config: dict[str, Any], name: str, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Numbers(count=1000)
    work = asyncio.create_task(ingest(config, name, topic, source).run(asyncio.Event()))
    with monkeypatch.context() as patched:
        during_the_third_commit(patched, work.cancel)
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait_for(work, DEADLINE_S)
    assert source._acknowledged == [10, 20]

    await first_pass(ingest(config, name, topic, Numbers(count=120)))

    assert ids(config, topic) == expected(120)


async def test_failures_of_the_source_cost_nothing(config: dict[str, Any], name: str, topic: str) -> None:
    raised: list[type[Exception]] = []

    def before(start: int) -> None:
        errors = {20: Retryable("later"), 40: Misconfigured("no password"), 60: KeyError("a bug")}
        error = errors.get(start)
        if error is not None and type(error) not in raised:
            raised.append(type(error))
            raise error

    board = Board()
    await first_pass(ingest(config, name, topic, Numbers(count=80).failing(before), board))

    assert raised == [Retryable, Misconfigured, KeyError]
    assert ids(config, topic) == expected(80)


@pytest.mark.parametrize(
    ("error", "state", "code"),
    [
        (Retryable("later"), State.WAITING, "MS-300"),
        (Misconfigured("no password"), State.PAUSED, "MS-200"),
        (KeyError("a bug"), State.PAUSED, "MS-212"),
    ],
)
async def test_the_board_says_what_a_source_waits_for(
    config: dict[str, Any], name: str, topic: str, error: Exception, state: State, code: str
) -> None:
    def before(_: int) -> None:
        raise error

    board = Board()
    work = ingest(config, name, topic, Numbers(count=10).failing(before), board)
    async with running(work):
        await until(lambda: work.name in board.parts() and board.parts()[work.name].state is state)

        assert board.parts()[work.name].code == code
        assert not work.first_pass.is_set()


async def test_a_missing_topic_pauses_until_it_is_there(config: dict[str, Any], name: str) -> None:
    topic = f"test.{name}.late.v1"
    board = Board()
    work = ingest(config, name, topic, Numbers(count=20), board)
    async with running(work):
        await until(lambda: work.name in board.parts() and board.parts()[work.name].code == "MS-206")
        await asyncio.to_thread(Admin(config).create, [TopicSpec(topic, 1)])
        await asyncio.wait_for(work.first_pass.wait(), DEADLINE_S)

    assert ids(config, topic) == expected(20)


async def test_the_position_in_a_topic_that_was_made_anew_is_void(
    config: dict[str, Any], name: str, topic: str
) -> None:
    await first_pass(ingest(config, name, topic, Numbers(count=50)))
    Admin(config).delete([topic])
    Admin(config).create([TopicSpec(topic, 3)])

    await first_pass(ingest(config, name, topic, Numbers(count=50)))

    assert ids(config, topic) == expected(50)


async def test_a_zombie_writes_nothing_and_leaves(config: dict[str, Any], name: str, topic: str) -> None:
    woken, board = asyncio.Event(), Board()
    source = Numbers(count=50).failing(lambda n: woken.wait() if n == 20 else None)
    zombie = ingest(config, name, topic, source, board)
    async with running(zombie) as run:
        await until(lambda: source._acknowledged == [10, 20])
        await first_pass(ingest(config, name, topic, Numbers(count=50)))

        woken.set()
        await asyncio.wait_for(run, DEADLINE_S)

    assert ids(config, topic) == expected(50)
    assert (board.parts()[zombie.name].state, board.parts()[zombie.name].code) == (State.STANDBY, "MS-401")


async def test_a_position_behind_another_sources_open_transaction_is_not_missed(
    config: dict[str, Any], name: str, topic: str
) -> None:
    """It is not visible yet to read_committed readers: taking the one before for the last would publish twice."""
    other = Producer({**config, "transactional.id": f"mainstem.{name}.other"})
    await asyncio.to_thread(other.init_transactions, 10)
    async with TransactionalProducer(config, f"mainstem.{name}.mine") as mine:
        other.begin_transaction()
        other.produce(POSITIONS, b"{}", f"{name}.other".encode())
        await asyncio.to_thread(other.flush, 10)
        await mine.commit([position_record(f"{name}.mine", Stored({"next": 7}, "topic"))])

        finding = asyncio.create_task(asyncio.to_thread(read_position, config, f"{name}.mine"))
        await asyncio.to_thread(other.abort_transaction, 10)

        assert await asyncio.wait_for(finding, DEADLINE_S) == Stored({"next": 7}, "topic")


async def test_the_last_position_counts(config: dict[str, Any], name: str) -> None:
    async with TransactionalProducer(config, f"mainstem.{name}.p") as producer:
        for number in range(3):
            await producer.commit([position_record(name, Stored({"next": number}, "topic"))])
        await producer.commit([Record(POSITIONS, f"{name}x".encode(), b"{}")])

    assert read_position(config, name) == Stored({"next": 2}, "topic")
    assert read_position(config, f"{name}y") is None
