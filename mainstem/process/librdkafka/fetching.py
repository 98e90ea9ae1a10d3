"""The thread that owns the consumer and makes every call on it; whole batches cross to the loop.

While a rebalance callback runs, a call from any other thread blocks; calls from within are fine. So there is one
thread, and it serves the loop's calls also while it waits for the loop inside a callback.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from time import monotonic
from typing import Any, NamedTuple, TypeVar

from confluent_kafka import Consumer, KafkaError
from faust.types import TP

from mainstem.process.librdkafka.membership import ANSWER_S, Listener, Membership

POLL_S = 0.01
ROOM_S = 0.02
PAUSE_S = 0.5
"""Without room for so long the partitions are paused: pausing throws away what the library has fetched."""

ENDS = {KafkaError._FATAL, KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE}
"""Errors after which no record comes any more. A fatal one that comes among the records does not say that it is fatal,
but by its code."""

T = TypeVar("T")
Message = Any
"""confluent_kafka's; by its types every part of a record may be missing, which is so for errors only."""


class Fetched(NamedTuple):
    """Records of one partition, in order. They count only while the generation they were fetched in is the current."""

    generation: int
    partition: TP
    messages: Sequence[Message]
    size: int
    """Bytes of their values."""


class Ahead(NamedTuple):
    """How much is fetched and not delivered, at most: with a batch more nothing is fetched."""

    records: int
    size: int
    """Bytes of their values."""


class FetchThread:
    """One member of the group. All public methods but `post` and `wait_for` are the loop's."""

    def __init__(self, settings: Mapping[str, Any], listener: Listener, *, batch: int, ahead: Ahead, earliest: bool):
        self._settings = dict(settings)
        self._listener = listener
        self._batch = batch
        self._ahead = ahead
        is_incremental = settings.get("group.protocol") == "consumer"
        self._membership = Membership(self, listener, earliest=earliest, is_incremental=is_incremental)
        self._fetched: deque[Fetched] = deque()
        self._commands: deque[Callable[[], None]] = deque()
        self._came = self._came_bytes = 0  # each counter is written by one thread only
        self._took = self._took_bytes = 0
        self.turns = 0
        """How often the thread has gone round."""
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._topics: list[str] | None = None
        self._thread = threading.Thread(target=self._run, daemon=True, name="librdkafka-fetch")

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._consumer = Consumer({**self._settings, "error_cb": self._error})
        self._thread.start()

    async def stop(self) -> None:
        """Leaves the group."""
        self._stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            await asyncio.get_running_loop().run_in_executor(None, self._thread.join, ANSWER_S)

    def subscribe(self, topics: Iterable[str]) -> None:
        self._topics = sorted(topics)
        self._wake.set()

    def take(self) -> Fetched | None:
        """The next batch; `done` gives its room back."""
        return self._fetched.popleft() if self._fetched else None

    def done(self, fetched: Fetched) -> None:
        self._took += len(fetched.messages)
        self._took_bytes += fetched.size
        if self._has_room:
            self._wake.set()

    @property
    def backlog(self) -> int:
        """Records that are fetched, and not delivered yet."""
        return self._came - self._took

    @property
    def _has_room(self) -> bool:
        return self.backlog < self._ahead.records and self._came_bytes - self._took_bytes < self._ahead.size

    async def ask(self, what: Callable[[Consumer], T]) -> T:
        """The result of a call made in the thread."""
        future: asyncio.Future[T] = self._loop.create_future()

        def command() -> None:
            try:
                result = what(self._consumer)
            except Exception as error:  # noqa: BLE001 - the thread's boundary: whoever asked is told
                told = error
                self.post(lambda: None if future.done() else future.set_exception(told))
            else:
                self.post(lambda: None if future.done() else future.set_result(result))

        self._commands.append(command)
        self._wake.set()
        return await future

    async def restart(self, generation: int, offsets: Mapping[TP, int], running: Iterable[TP]) -> None:
        """Reads on from these offsets, the running partitions at once, the others when they are running.

        The offsets and the generation change in one step: a batch fetched in between would be lost. It assigns instead
        of seeking: a seek can be undone by the late answer to a question that librdkafka asked for the position before
        (rd_kafka_toppar_handle_Offset).
        """
        wanted = set(running)
        await self.ask(lambda consumer: self._membership.move(consumer, generation, offsets, wanted))

    def post(self, what: Callable[[], object]) -> None:
        """Calls it in the loop, some time."""
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(what)

    def wait_for(self, work: Coroutine[Any, Any, None]) -> None:
        """Runs it in the loop, and makes the loop's calls meanwhile. Only from within the thread."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        deadline = monotonic() + ANSWER_S
        while not future.done() and monotonic() < deadline:
            self._serve()
            self._wake.wait(0.001)
            self._wake.clear()
        if not future.done():
            future.cancel()
            self._listener.failed("a rebalance waited too long for the event loop")
            return
        future.result()

    def _run(self) -> None:
        consumer = self._consumer
        try:
            self._fetch(consumer)
            self._depart(consumer)
            consumer.close()
        except Exception as error:  # noqa: BLE001 - the thread's boundary
            self._listener.failed(f"the consumer ended: {error!r}")

    def _depart(self, consumer: Consumer) -> None:
        """Leaves the group. A member with a name would not, if it were only closed (KIP-345), and its partitions would
        wait for the end of its session."""
        consumer.unsubscribe()
        deadline = monotonic() + ANSWER_S
        while self._membership.is_in and monotonic() < deadline:
            self._serve()
            consumer.poll(POLL_S)

    def _fetch(self, consumer: Consumer) -> None:
        is_paused, full_since = False, 0.0
        while not self._stopping.is_set():
            self.turns += 1
            if self._topics is not None:
                topics, self._topics = self._topics, None
                self._membership.subscribe(consumer, topics)
            self._serve()
            if self._has_room:
                if is_paused:
                    self._membership.resume(consumer)
                is_paused, full_since = False, 0.0
                self._receive(consumer, self._batch)
            elif is_paused:
                self._receive(consumer, 1)  # serves the rebalances
            else:
                full_since = full_since or monotonic()
                self._wake.wait(ROOM_S)
                self._wake.clear()
                if monotonic() - full_since > PAUSE_S:
                    self._membership.pause(consumer)
                    is_paused = True

    def _receive(self, consumer: Consumer, most: int) -> None:
        first = consumer.poll(POLL_S)
        if first is None:
            return
        messages: list[Message] = [first, *consumer.consume(most - 1, 0)] if most > 1 else [first]
        groups: dict[tuple[str, int], list[Message]] = {}
        for message in messages:
            if message.error() is not None:
                self._hear(message.error())
                continue
            groups.setdefault((message.topic(), message.partition()), []).append(message)
        for (topic, number), batch in groups.items():
            size = sum(map(len, batch))  # a message's length is its value's
            self._came += len(batch)
            self._came_bytes += size
            self._fetched.append(Fetched(self._membership.generation, TP(topic, number), batch, size))
        if groups:
            self.post(self._listener.arrived)

    def _hear(self, error: KafkaError) -> None:
        if error.fatal() or error.code() in ENDS:
            self._listener.failed(f"the consumer: {error.str()}")

    def _error(self, error: KafkaError) -> None:
        if error.fatal():
            self._listener.failed(f"the consumer: {error.str()}")

    def _serve(self) -> None:
        while self._commands:
            self._commands.popleft()()
