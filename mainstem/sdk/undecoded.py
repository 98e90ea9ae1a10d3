"""A batch that a target takes as a whole, in the bytes that came from Kafka."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple, Protocol, runtime_checkable

from mainstem.sdk.sink import Target, Transaction


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


@runtime_checkable
class StagingTarget(Target, Protocol):
    """A target to which the next such batch is brought while the transaction before it is under way."""

    async def stage(self, batch: Undecoded) -> None:
        """Brings it there, or as much of it as can be done beforehand; nobody sees anything of it. What was staged
        before, and never written, is forgotten. Raises what `write_undecoded` raises, and holds nothing then."""

    def staged(self, batch: Undecoded) -> AbstractAsyncContextManager[UndecodedTransaction]:
        """The transaction in which to write a batch, which may have been staged: `write_undecoded` does what is left
        to be done."""
