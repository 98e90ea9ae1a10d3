"""A batch that a target takes as a whole, in the bytes that came from Kafka."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from mainstem.sdk.sink import Transaction


class BinaryCopy(NamedTuple):
    """What PostgreSQL's `COPY ... (FORMAT BINARY)` reads, its header and its trailer included."""

    data: bytes
    keys_differ: bool
    """No two rows have the same key, as their bytes tell: a collation may still find some equal."""


class Undecoded(Protocol):
    """A batch of events each of which is one row of its fields as they are. None of them is a tombstone."""

    @property
    def fields(self) -> Sequence[str]:
        """The names of the fields that every row has."""

    def binary_copy(
        self, columns: Mapping[str, str], *, key: Sequence[str] = (), numbered: bool = False
    ) -> BinaryCopy | None:
        """The rows, in order. `columns` gives for each field, in the order of the copied columns, what it travels as:
        text, int8, float8, bool, bytea, numeric, date, time, timestamp, timestamptz or uuid.

        With `numbered` each row's number stands first, an int4 that counts from 0. None where a value or a type is not
        known to be written exactly as psycopg would write it.
        """


@runtime_checkable
class UndecodedTransaction(Transaction, Protocol):
    """A transaction of a target that takes such batches, too: see `TransactionalSink.takes_undecoded`."""

    async def write_undecoded(self, batch: Undecoded) -> bool:
        """All of it, as `write` would write the same records. False: nothing of it, let `write` do it.

        Raises what `write` raises; a Rejected says nothing of which record it is.
        """
