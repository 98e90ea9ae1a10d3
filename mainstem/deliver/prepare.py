"""Messages -> items: decodes and maps a whole batch. Runs in a worker thread; one record's fault stays its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import methodcaller

from mainstem.codec.avro import Decoder
from mainstem.codec.copying import Copier
from mainstem.codec.headers import DROP
from mainstem.codec.message import Message, ReceivedEvent, names_schema, origin_of
from mainstem.deliver.plan import SinkPlan
from mainstem.errors import FUNCTION_FAILED, MAPPING_FAILED, MainstemError, Misconfigured, Rejected
from mainstem.event import Event, Partition
from mainstem.flow.dead_letter import Failure, first_origin
from mainstem.flow.item import GivenUp, Item
from mainstem.project.mapping import as_it_is
from mainstem.sdk.sink import Mapped
from mainstem.sdk.undecoded import Undecoded

_topic, _value, _headers = methodcaller("topic"), methodcaller("value"), methodcaller("headers")


class Preparer:
    """Prepares the batches of one sink. `decoder_of` gives the decoder of an origin topic."""

    def __init__(self, plan: SinkPlan, decoder_of: Callable[[str], Decoder], *, takes_undecoded: bool = False) -> None:
        self._plan = plan
        self._decoder_of = decoder_of
        self._decoders: dict[str, Decoder] = {}
        self._as_a_whole = takes_undecoded and plan.mapping is as_it_is
        self._copiers: dict[str, Copier] = {}

    def prepare(self, messages: Iterable[Message]) -> list[Item]:
        """Raises Retryable or Misconfigured when the batch as a whole has to wait, a bug in the mapping included."""
        items = []
        on_failure = self._plan.on_failure
        partition = Partition("", 0)
        is_redriven = False
        decoder: Decoder | None = None
        for message in messages:
            here = (message.topic(), message.partition())
            if here != partition:  # rarely: a batch comes partition by partition
                partition = Partition(*origin_of(message)[:2])
                is_redriven = partition.topic == self._plan.redrive
                decoder = None if is_redriven else self._decoder(partition.topic)
            event = ReceivedEvent(message, decoder or self._decoder(first_origin(message).topic))
            outcome = GivenUp() if is_redriven and _is_given_up(message) else self._map(event)
            items.append(Item(message, partition, event, outcome, on_failure, is_redriven=is_redriven))
        return items

    def undecoded(self, messages: Sequence[Message]) -> Undecoded | None:
        """The batch as a whole, for a sink that takes it so and has no mapping; None where records need a look.

        Those are tombstones, redriven ones, what does not look like a value of the topic, and a batch of two topics.
        Raises Retryable as `prepare` does.
        """
        if not self._as_a_whole or not messages:
            return None
        (topic, *others) = set(map(_topic, messages))
        if others or topic is None or topic == self._plan.redrive or names_schema(map(_headers, messages)):
            return None
        if topic not in self._copiers:
            self._copiers[topic] = Copier(self._decoder(topic))
        return self._copiers[topic].batch(list(map(_value, messages)))

    def events(self, messages: Iterable[Message]) -> list[Event]:
        """The events of live records, undecoded."""
        return [ReceivedEvent(message, self._decoder(message.topic() or "")) for message in messages]

    def _map(self, event: Event) -> Mapped | Failure:
        try:
            if event.payload is None:
                return Mapped(event, ())
        except Rejected as error:
            return Failure(error, self._plan.part, "decode")
        try:
            rows = self._plan.mapping(event)
            return Mapped(event, rows if isinstance(rows, list) else list(rows))
        except Rejected as error:
            if error.code is Rejected.default:
                error.code = MAPPING_FAILED
            return Failure(error, self._plan.part, "map")
        except MainstemError:
            raise
        except Exception as error:
            # A bug in the author's function is no record's fault: the sink pauses and keeps the record.
            raise Misconfigured(
                f"the mapping of {self._plan.part} failed at {event.origin}: {type(error).__name__}",
                code=FUNCTION_FAILED,
            ) from error

    def _decoder(self, topic: str) -> Decoder:
        if topic not in self._decoders:
            self._decoders[topic] = self._decoder_of(topic)
        return self._decoders[topic]


def _is_given_up(message: Message) -> bool:
    return any(name == DROP for name, _ in message.headers() or ())
