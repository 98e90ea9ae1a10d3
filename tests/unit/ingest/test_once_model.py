"""Any order of requests, repeats and outcomes of publishing: no id is published twice within the window but after an
unknown outcome, and none that was acknowledged is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from mainstem.errors import Unreachable
from mainstem.event import Event
from mainstem.ingest.intake import Intake, Receipt, Sender
from mainstem.ingest.once import Once
from mainstem.kafka.record import Record
from tests.thorough import examples

IDS = st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=4)
SENDER = Sender("tests")


class Writer:
    """Makes a record of nothing but the event's id."""

    topic = "t.t.v1"

    def complete(self, event: Event, source: str, *, id_prefix: str = "", trace: str | None = None) -> Event:
        return event

    def record(self, event: Event) -> Record:
        return Record(self.topic, event.id.encode(), b"", [])


@dataclass(eq=False)
class Produce:
    """Records on their way to Kafka; it is decided later what becomes of them."""

    ids: list[str]
    outcome: asyncio.Future[None]


@dataclass(eq=False)
class Request:
    """One that came in; a repeat of the same ids is another one."""

    ids: list[str]
    answer: asyncio.Task[Receipt]


class Gateway(RuleBasedStateMachine):
    """One topic's intake. `log` is what stands in Kafka."""

    @initialize(capacity=st.integers(0, 6))
    def begin(self, capacity: int) -> None:
        self.runner = asyncio.Runner()
        self.capacity = capacity
        self.log: list[str] = []
        self.unknown: set[str] = set()
        """Ids that are durable, though nobody was told so."""
        self.under_way: list[Produce] = []
        self.requests: list[Request] = []
        self.start_anew()

    @rule(ids=IDS)
    def receive(self, ids: list[str]) -> None:
        self.runner.run(self._receive(ids))

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def publish(self, data: st.DataObject) -> None:
        produce = self._one(data)
        self._append(produce)
        self.runner.run(self._decide(produce, None))

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def fail(self, data: st.DataObject) -> None:
        self.runner.run(self._decide(self._one(data), Unreachable("down")))

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def lose_the_answer(self, data: st.DataObject) -> None:
        produce = self._one(data)
        self._append(produce)
        self.unknown.update(produce.ids)
        self.runner.run(self._decide(produce, Unreachable("no answer")))

    @precondition(lambda self: self.requests)
    @rule(data=st.data())
    def hang_up(self, data: st.DataObject) -> None:
        """A sender goes away: what it brought is not to hang for the others."""
        request = data.draw(st.sampled_from(self.requests))
        if not request.answer.done():
            self.unknown.update(request.ids)
        self.runner.run(self._cancel(request))
        self.under_way = [produce for produce in self.under_way if not produce.outcome.cancelled()]

    @rule()
    def start_anew(self) -> None:
        """A new process knows what the topic's tail says. Nobody was told of what was under way."""
        for request in getattr(self, "requests", []):
            self.runner.run(self._cancel(request))
        self.requests, self.under_way = [], []
        self.once = Once(self.capacity, self._tail())
        self.intake = Intake(Writer(), self, self.once, durable_within_s=3600)  # type: ignore[arg-type]

    async def send(self, records: Sequence[Record]) -> None:
        """The producer's: waits for what the machine decides."""
        produce = Produce([(record.key or b"").decode() for record in records], asyncio.Future())
        self.under_way.append(produce)
        await produce.outcome

    @invariant()
    def what_is_acknowledged_is_durable(self) -> None:
        for request in self.requests:
            if request.answer.done() and not request.answer.cancelled() and request.answer.exception() is None:
                assert set(request.ids) <= set(self.log)
                assert list(request.answer.result().ids) == request.ids

    @invariant()
    def nothing_is_under_way_twice(self) -> None:
        ids = [event_id for produce in self.under_way for event_id in produce.ids]
        assert len(set(ids)) == len(ids)

    @invariant()
    def nobody_waits_for_nothing(self) -> None:
        at_work = {event_id for produce in self.under_way for event_id in produce.ids}
        for request in self.requests:
            assert request.answer.done() or at_work & set(request.ids)
        for event_id in "abcdefgh":
            assert (self.once.under_way(event_id) is not None) == (event_id in at_work)

    def teardown(self) -> None:
        for request in getattr(self, "requests", []):
            self.runner.run(self._cancel(request))
        self.runner.close()

    def _one(self, data: st.DataObject) -> Produce:
        produce = data.draw(st.sampled_from(self.under_way))
        self.under_way.remove(produce)
        return produce

    def _append(self, produce: Produce) -> None:
        """Into Kafka. Within the window an id comes twice only if its first time was not known to have succeeded."""
        assert not set(produce.ids) & (set(self._tail()) - self.unknown)
        self.log += produce.ids

    def _tail(self) -> list[str]:
        return self.log[max(0, len(self.log) - self.capacity) :]

    async def _receive(self, ids: list[str]) -> None:
        events = [Event(id=event_id, data={}) for event_id in ids]
        self.requests.append(Request(ids, asyncio.create_task(self.intake.publish(events, SENDER))))
        await _turns()

    async def _decide(self, produce: Produce, error: Unreachable | None) -> None:
        if error is None:
            produce.outcome.set_result(None)
        else:
            produce.outcome.set_exception(error)
        await _turns()

    async def _cancel(self, request: Request) -> None:
        request.answer.cancel()
        await asyncio.gather(request.answer, return_exceptions=True)
        await _turns()


async def _turns() -> None:
    """Lets whoever can go on do so."""
    for _ in range(10):
        await asyncio.sleep(0)


TestGateway = Gateway.TestCase
TestGateway.settings = settings(max_examples=examples(150), stateful_step_count=30, deadline=None)
