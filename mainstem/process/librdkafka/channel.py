"""What an agent reads and writes a topic by."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Any, cast

import faust
from faust.exceptions import KeyDecodeError, ValueDecodeError
from faust.types.tuples import PendingMessage, RecordMetadata

from mainstem.process.librdkafka.handed import HANDED, NOWHERE


class Undecodable:
    """Stands for the value of a record that a reader's types do not take, until the reader comes to it."""

    def __init__(self, error: Exception) -> None:
        self.error = error


class Topic(faust.Topic):
    """As Faust's, but for three things. The names behind its pattern are found for each of its readers anew. A record
    that cannot be decoded comes to its reader in its turn: Faust takes it for done, throws the error at one reader, and
    gives the record to none of those after it. And what a worker sends is handed over at once, without a future, a log
    line and a look for the producer for each record, which cost more than what most agents do."""

    async def send(  # noqa: PLR0913 - Faust's signature
        self,
        *,
        key: Any = None,
        value: Any = None,
        partition: int | None = None,
        timestamp: float | None = None,
        headers: Any = None,
        schema: Any = None,
        key_serializer: Any = None,
        value_serializer: Any = None,
        callback: Any = None,
        force: bool = False,
    ) -> Awaitable[RecordMetadata]:
        """As Faust's. Raises ProducerFailed."""
        app = cast(Any, self.app)
        producer, sensors, topic = app.producer, app.sensors, self.get_topic_name()
        if callback is not None or not producer.is_at_hand:
            return await self._send_now(
                key, value, partition, timestamp, headers, schema, key_serializer, value_serializer, callback
            )
        sent = self.prepare_headers(headers)
        key, sent = self.prepare_key(key, key_serializer, schema, sent)
        value, sent = self.prepare_value(value, value_serializer, schema, sent)
        message = PendingMessage(self, key, value, partition, timestamp, sent, key_serializer, value_serializer, None)
        state = sensors.on_send_initiated(producer, topic, message, _size(key), _size(value))
        producer.hand_over(topic, key, value, partition, timestamp, sent)
        sensors.on_send_completed(producer, state, NOWHERE)
        return HANDED

    def _clone_args(self) -> Mapping[str, Any]:
        args: Mapping[str, Any] = super()._clone_args()
        return {**args, "topics": []} if self.pattern else args

    def _compile_decode(self) -> None:
        super()._compile_decode()
        if getattr(self.schema, "takes_batches", False):
            return
        create, decode = cast(Any, self.app).create_event, self.decode

        async def decode_or_mark(message: Any, *, propagate: bool = False) -> Any:
            try:
                return await decode(message, propagate=True)
            except (KeyDecodeError, ValueDecodeError) as error:
                return create(None, Undecodable(error), message.headers, message)

        self.decode = decode_or_mark  # type: ignore[method-assign]


def _size(part: Any) -> int:
    return len(part) if isinstance(part, bytes) else 0
