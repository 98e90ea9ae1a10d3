"""Reference data: whole compacted topics in memory, complete before the first record and kept fresh from then on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from time import monotonic
from typing import Any

from mainstem.codec import headers as h
from mainstem.codec.avro import Decoder
from mainstem.codec.message import Message, decode_value, origin_of
from mainstem.errors import MainstemError, Misconfigured, Rejected, Retryable
from mainstem.event import Data, Origin, Partition
from mainstem.flow.retry import RetryPolicy
from mainstem.kafka.reader import Reader, reading
from mainstem.observe import metrics
from mainstem.observe.logs import logger

log = logger("mainstem.process.reference")

WAIT_MS = 500
"""How long a broker waits for something new before it answers that there is nothing: what is new, it tells at once."""
NEW_PARTITIONS_S = 60.0
_NO_HEADERS: Mapping[str, bytes] = {}


class _Undecoded:
    __slots__ = ("headers", "origin", "value")

    def __init__(self, value: bytes, headers: Mapping[str, bytes], origin: Origin) -> None:
        self.value = value
        self.headers = headers
        self.origin = origin


class ReferenceTable(Mapping[str, Data]):
    """The newest value of each key of a topic, decoded when it is first asked for.

    Written by one thread, read by another. A value that does not decode raises Misconfigured: the records that need it
    are not to blame, and wait until a good value, or a tombstone, is published for its key.
    """

    def __init__(self, topic: str, decoder: Decoder) -> None:
        self.topic = topic
        self._decoder = decoder
        self._values: dict[str, Data | _Undecoded] = {}

    def __getitem__(self, key: str) -> Data:
        found = self._values[key]
        return self._decode(key, found) if isinstance(found, _Undecoded) else found

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._values))

    def __len__(self) -> int:
        return len(self._values)

    def apply(self, messages: Sequence[Message]) -> None:
        """Takes these over, in their order; a tombstone deletes, a record without a key says nothing."""
        for message in messages:
            key = message.key()
            if key is None:
                continue
            name = key.decode(errors="replace")
            value = message.value()
            if value is None:
                self._values.pop(name, None)
                continue
            known = h.as_dict(message.headers())
            kept = known if h.VALUE_SCHEMA_ID in known else _NO_HEADERS
            self._values[name] = _Undecoded(value, kept, origin_of(message))

    def _decode(self, key: str, found: _Undecoded) -> Data:
        try:
            data = decode_value(self._decoder, found.value, found.headers)
        except Rejected as error:
            raise Misconfigured(
                f"the reference record at {found.origin} does not decode: {error.cause}",
                code=error.code,
                fix="publish a good value, or a tombstone, for its key",
            ) from None
        if self._values.get(key) is found:
            self._values[key] = data
        return data


class Feed:
    """Fills the tables of one stream. Use as a context manager once `load` is through: it tails while it is open."""

    def __init__(self, config: Mapping[str, Any], stream: str, tables: Sequence[ReferenceTable]) -> None:
        self._config = config
        self._tables = {table.topic: table for table in tables}
        self._gauges = {table.topic: metrics.table_records.labels(stream, table.topic) for table in tables}
        self._next: dict[Partition, int] = {}
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._tail, name=f"tables-{stream}", daemon=True)

    def load(self) -> None:
        """Reads every topic to the end that it has now. Blocks.

        That end is the high watermark, not the last stable offset: committed records can stand above an open
        transaction (KAFKA-10167). Raises Misconfigured when a topic is missing, Unreachable.
        """
        if not self._tables:
            return
        with reading(self._config, isolation="read_uncommitted") as reader:
            ranges = reader.whole(list(self._tables))
        with reading(self._config) as reader:
            self._read(reader, ranges)
        for table in self._tables.values():
            if len(table):
                log.info("reference table loaded", topic=table.topic, records=len(table))
            else:
                log.warning("reference table is empty", topic=table.topic)

    def __enter__(self) -> Feed:
        if self._tables:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()

    def _tail(self) -> None:
        policy, failures = RetryPolicy(max_s=10.0), 0
        while not self._stopped.is_set():
            try:
                self._follow()
                failures = 0
            except MainstemError as error:
                failures += 1
                log.warning("reference tables are not fresh", code=error.code.number, cause=error.cause)
                wish = error.after_s if isinstance(error, Retryable) else None
                self._stopped.wait(policy.pause(failures, wish_s=wish))

    def _follow(self) -> None:
        """Returns after NEW_PARTITIONS_S, so that partitions that were added are found."""
        with reading(self._config, wait_ms=WAIT_MS) as reader:
            bounds = reader.whole(list(self._tables))
            deadline = monotonic() + NEW_PARTITIONS_S
            for messages in reader.follow({p: self._start(p, low, end) for p, (low, end) in bounds.items()}):
                self._take(messages)
                if self._stopped.is_set() or monotonic() > deadline:
                    return

    def _start(self, partition: Partition, low: int, end: int) -> int:
        """Where to go on; at the beginning for a topic that was deleted and made again."""
        at = self._next.get(partition, low)
        return low if at > end else max(at, low)

    def _read(self, reader: Reader, ranges: Mapping[Partition, tuple[int, int]]) -> None:
        for messages in reader.read(ranges):
            self._take(messages)
        self._next |= {partition: end for partition, (_, end) in ranges.items()}

    def _take(self, messages: Sequence[Message]) -> None:
        if not messages:
            return
        for topic, table in self._tables.items():
            table.apply([message for message in messages if message.topic() == topic])
            self._gauges[topic].set(len(table))
        for message in messages:
            topic, number, offset = origin_of(message)
            self._next[Partition(topic, number)] = offset + 1


def tables_of(
    tables: Mapping[str, str], decoder_of: Callable[[str], Decoder]
) -> tuple[dict[str, ReferenceTable], list[ReferenceTable]]:
    """The tables of a stream by parameter, and each topic's once."""
    by_topic = {topic: ReferenceTable(topic, decoder_of(topic)) for topic in sorted(set(tables.values()))}
    return {name: by_topic[topic] for name, topic in tables.items()}, list(by_topic.values())
