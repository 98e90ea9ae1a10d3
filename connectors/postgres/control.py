"""mainstem's own tables in the target: offsets with their epochs, parked records, letters that have yet to be shipped.

Event ids and header names are kept as bytes: they come from outside, and a text of PostgreSQL cannot hold every one.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from psycopg.errors import InsufficientPrivilege

from connectors.postgres.table import Connection
from mainstem import Advance, Claim, Letter, Misconfigured, ParkedKey, Partition, Progress, SinkIdentity
from mainstem.errors import TARGET_NOT_READY, Fenced

log = logging.getLogger(__name__)

TABLES = (
    """CREATE TABLE IF NOT EXISTS mainstem_offsets (
    sink text NOT NULL, topic text NOT NULL, partition integer NOT NULL,
    next_offset bigint, epoch bigint NOT NULL, integration text NOT NULL, topic_id text,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (sink, topic, partition))""",
    """CREATE TABLE IF NOT EXISTS mainstem_parked (
    sink text NOT NULL, topic text NOT NULL, key bytea NOT NULL, seq bigint GENERATED ALWAYS AS IDENTITY,
    event_id bytea NOT NULL, topic_id text, parked_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (sink, topic, key, seq))""",
    """CREATE TABLE IF NOT EXISTS mainstem_letters (
    sink text NOT NULL, source_topic text NOT NULL, source_partition integer NOT NULL, source_offset bigint NOT NULL,
    n integer NOT NULL, topic_id text, topic text NOT NULL, key bytea, value bytea,
    header_names bytea[] NOT NULL, header_values bytea[] NOT NULL, decided_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (sink, source_topic, source_partition, source_offset, n))""",
)

_MISSING = """
SELECT count(*) FROM unnest(ARRAY['mainstem_offsets', 'mainstem_parked', 'mainstem_letters']) AS name
WHERE to_regclass(name) IS NULL
"""
_LOCK = "SELECT pg_advisory_xact_lock(hashtext('mainstem control tables'))"

_TAKE_OVER = """
INSERT INTO mainstem_offsets AS mine (sink, topic, partition, epoch, integration, topic_id)
SELECT %(sink)s, topic, partition, 1, %(integration)s, topic_id
FROM unnest(%(topics)s::text[], %(partitions)s::int[], %(topic_ids)s::text[]) AS asked (topic, partition, topic_id)
ORDER BY topic, partition
ON CONFLICT (sink, topic, partition) DO UPDATE SET
    epoch = mine.epoch + 1,
    next_offset = CASE WHEN mine.topic_id <> excluded.topic_id THEN NULL ELSE mine.next_offset END,
    topic_id = coalesce(excluded.topic_id, mine.topic_id),
    updated_at = now()
WHERE mine.integration = excluded.integration
RETURNING topic, partition, epoch, next_offset
"""
_DROP_PARKED = "DELETE FROM mainstem_parked WHERE sink = %s AND topic = %s AND topic_id <> %s"
_DROP_LETTERS = "DELETE FROM mainstem_letters WHERE sink = %s AND source_topic = %s AND topic_id <> %s"

_ADVANCE = """
UPDATE mainstem_offsets AS mine SET next_offset = step.next_offset, updated_at = now()
FROM unnest(%(topics)s::text[], %(partitions)s::int[], %(epochs)s::bigint[], %(expected)s::bigint[], %(next)s::bigint[])
    AS step (topic, partition, epoch, expected, next_offset)
WHERE mine.sink = %(sink)s AND mine.topic = step.topic AND mine.partition = step.partition
    AND mine.epoch = step.epoch AND mine.next_offset IS NOT DISTINCT FROM step.expected
RETURNING mine.topic, mine.partition
"""

_PARK = "INSERT INTO mainstem_parked (sink, topic, key, event_id, topic_id) VALUES (%s, %s, %s, %s, %s)"
_RELEASE = """
DELETE FROM mainstem_parked WHERE sink = %(sink)s AND topic = %(topic)s AND key = %(key)s AND seq = (
    SELECT min(seq) FROM mainstem_parked
    WHERE sink = %(sink)s AND topic = %(topic)s AND key = %(key)s AND event_id = %(event_id)s)
"""
_PARKED = "SELECT DISTINCT topic, key FROM mainstem_parked WHERE sink = %s AND topic = ANY(%s)"
_WAITING = """
SELECT topic, key, event_id FROM mainstem_parked
WHERE sink = %s AND (topic, key) IN (SELECT * FROM unnest(%s::text[], %s::bytea[]))
ORDER BY seq FOR UPDATE
"""

_POST = """
INSERT INTO mainstem_letters (sink, source_topic, source_partition, source_offset, n, topic_id, topic, key, value,
    header_names, header_values) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""
_LETTERS = """
SELECT source_offset, topic, key, value, header_names, header_values FROM mainstem_letters
WHERE sink = %s AND source_topic = %s AND source_partition = %s AND source_offset > %s ORDER BY source_offset, n
"""
_FORGET = """
DELETE FROM mainstem_letters
WHERE sink = %s AND source_topic = %s AND source_partition = %s AND source_offset <= %s
"""


class Control:
    """The control rows of one sink. Methods run inside a transaction that the caller opened."""

    def __init__(self, identity: SinkIdentity) -> None:
        self._identity = identity
        self._sink = identity.name

    def create(self, connection: Connection) -> None:
        """Makes the tables that are missing; several workers may start at the same moment."""
        missing = connection.execute(_MISSING).fetchone()
        if missing == (0,):
            return
        try:
            with connection.transaction():
                connection.execute(_LOCK)
                for table in TABLES:
                    connection.execute(table)
            return
        except InsufficientPrivilege:
            statements = "; ".join(" ".join(table.split()) for table in TABLES)
        raise Misconfigured(
            "the role may not create mainstem's control tables in the target",
            code=TARGET_NOT_READY,
            fix=f"run as the schema's owner, then grant the role SELECT, INSERT, UPDATE, DELETE on them: {statements}",
        )

    def take_over(self, connection: Connection, partitions: Collection[Partition]) -> list[Claim]:
        """Raises the epochs. A topic that was deleted and made again starts from nothing."""
        asked = sorted(set(partitions))
        topic_ids = self._identity.topic_ids
        rows = connection.execute(
            _TAKE_OVER,
            {
                "sink": self._sink,
                "integration": self._identity.integration,
                "topics": [topic for topic, _ in asked],
                "partitions": [number for _, number in asked],
                "topic_ids": [topic_ids.get(topic) for topic, _ in asked],
            },
        ).fetchall()
        claims = {Partition(topic, number): (epoch, offset) for topic, number, epoch, offset in rows}
        others = [f"{topic}:{number}" for topic, number in asked if (topic, number) not in claims]
        if others:
            raise Misconfigured(
                f"the control rows of sink {self._sink} for {', '.join(others)} belong to another integration",
                code=TARGET_NOT_READY,
                fix="give the sink another name, or delete the rows from mainstem_offsets if that integration is gone",
            )
        for topic in sorted({topic for topic, _ in asked} & topic_ids.keys()):
            self._drop_earlier_incarnation(connection, topic, topic_ids[topic])
        return [Claim(partition, *claims[partition]) for partition in asked]

    def _drop_earlier_incarnation(self, connection: Connection, topic: str, topic_id: str) -> None:
        parked = connection.execute(_DROP_PARKED, [self._sink, topic, topic_id]).rowcount
        letters = connection.execute(_DROP_LETTERS, [self._sink, topic, topic_id]).rowcount
        if parked or letters:
            log.warning(
                "topic %s was made again: %d parked records and %d letters of the old one dropped",
                topic,
                parked,
                letters,
            )

    def advance(self, connection: Connection, advances: Sequence[Advance]) -> None:
        """Moves the offsets. Raises Fenced when an epoch or an offset is not as expected."""
        if not advances:
            return
        moved = connection.execute(
            _ADVANCE,
            {
                "sink": self._sink,
                "topics": [step.claim.partition.topic for step in advances],
                "partitions": [step.claim.partition.number for step in advances],
                "epochs": [step.claim.epoch for step in advances],
                "expected": [step.expected for step in advances],
                "next": [step.next_offset for step in advances],
            },
        ).fetchall()
        lost = {step.claim.partition for step in advances} - {Partition(*place) for place in moved}
        if lost:
            names = ", ".join(f"{topic}:{number}" for topic, number in sorted(lost))
            raise Fenced(f"sink {self._sink}: another worker took {names} over; nothing was written", partitions=lost)

    def settle(self, connection: Connection, progress: Progress) -> None:
        """Keeps letters and parked records, and takes the released ones out."""
        ids = self._identity.topic_ids
        with connection.cursor() as cursor:
            if progress.letters:
                cursor.executemany(_POST, self._posted(progress.letters))
            if progress.parked:
                cursor.executemany(
                    _PARK,
                    [(self._sink, k.topic, k.key, _bytes(event), ids.get(k.topic)) for k, event in progress.parked],
                )
            if progress.released:
                cursor.executemany(
                    _RELEASE,
                    [
                        {"sink": self._sink, "topic": k.topic, "key": k.key, "event_id": _bytes(event)}
                        for k, event in progress.released
                    ],
                )

    def _posted(self, letters: Sequence[Letter]) -> list[tuple[object, ...]]:
        counts: dict[tuple[Partition, int], int] = defaultdict(int)
        posted: list[tuple[object, ...]] = []
        for letter in letters:
            source = letter.partition
            n = counts[source, letter.offset]
            counts[source, letter.offset] = n + 1
            decided_by = (self._sink, source.topic, source.number, letter.offset, n)
            names = [_bytes(name) for name, _ in letter.headers]
            values = [value for _, value in letter.headers]
            topic_id = self._identity.topic_ids.get(source.topic)
            posted.append((*decided_by, topic_id, letter.topic, letter.key, letter.value, names, values))
        return posted

    def parked(self, connection: Connection, topics: Collection[str]) -> set[ParkedKey]:
        rows = connection.execute(_PARKED, [self._sink, list(topics)]).fetchall()
        return {ParkedKey(topic, key) for topic, key in rows}

    def waiting(self, connection: Connection, keys: Collection[ParkedKey]) -> Mapping[ParkedKey, Sequence[str]]:
        """Locks the rows that it finds until the transaction ends."""
        asked = [self._sink, [key.topic for key in keys], [key.key for key in keys]]
        waiting: dict[ParkedKey, list[str]] = {key: [] for key in keys}
        for topic, key, event_id in connection.execute(_WAITING, asked).fetchall():
            waiting[ParkedKey(topic, key)].append(_text(event_id))
        return waiting

    def letters(self, connection: Connection, partition: Partition, after: int) -> list[Letter]:
        rows = connection.execute(_LETTERS, [self._sink, *partition, after]).fetchall()
        return [
            Letter(partition, offset, topic, key, value, tuple(zip(map(_text, names), values, strict=True)))
            for offset, topic, key, value, names, values in rows
        ]

    def forget_letters(self, connection: Connection, partition: Partition, through: int) -> None:
        connection.execute(_FORGET, [self._sink, *partition, through])


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _text(stored: bytes) -> str:
    return stored.decode("utf-8", "surrogatepass")
