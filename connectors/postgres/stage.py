"""One batch into the target table: binary COPY into a temporary table, then a merge."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import psycopg
from psycopg import pq, sql
from psycopg.errors import NumericValueOutOfRange

from connectors.postgres import merge
from connectors.postgres.layout import GROUP, PLACE, Cells, Layout, lay_out
from connectors.postgres.refusals import STAGE
from connectors.postgres.table import (
    Column,
    Connection,
    Table,
    cells_of,
    read_columns,
    refuse_look_alikes,
    require,
)
from mainstem import Mapped, Rejected, Undecoded
from mainstem.errors import TARGET_REFUSES

Groups = tuple[tuple[str, ...], ...]

_NOT_ADAPTABLE = (TypeError, ValueError, ArithmeticError, AttributeError, LookupError, struct.error, RecursionError)
"""What psycopg's dumpers raise for a value that they cannot write, beside a psycopg.Error without a state."""

_DROP = sql.SQL("DROP TABLE IF EXISTS pg_temp.{}").format(sql.Identifier(STAGE))
_EMPTY = sql.SQL("TRUNCATE pg_temp.{}").format(sql.Identifier(STAGE))
_OWN_COLUMNS = {name: Column(name, "int4", 23) for name in (GROUP, PLACE)}


class Copied(NamedTuple):
    """A batch that is in the stage."""

    columns: tuple[str, ...]
    keys_differ: bool


class Stage:
    """The staging table of one connection, and what the catalogue said when it was made.

    With `excludes_others` nobody else's batch is merged into the table between this one's merge and the end of its
    transaction. The batches of the others, live workers, do not exclude each other: no two have the same key.
    """

    def __init__(self, table: Table, *, excludes_others: bool = False) -> None:
        self.table = table
        self._excludes_others = excludes_others
        self._columns: Mapping[str, Column] = {}
        self._statements: dict[tuple[bool, Groups], list[bytes]] = {}
        self._trusts_equality = True
        self._is_fresh = False
        self._is_touched = False

    def prepare(self, connection: Connection) -> None:
        """For a new connection: reads the target's definition (it may have changed) and makes the staging table."""
        refuse_look_alikes(connection)
        self._columns = read_columns(connection, self.table)
        self._statements.clear()
        connection.execute(_DROP)
        connection.execute(merge.create_stage(self.table, self._columns))
        self._is_fresh = True

    def distrust(self) -> None:
        """The database finds keys equal that Python does not: from now on it is asked which are."""
        self._trusts_equality = False

    def begin(self) -> None:
        """A transaction has begun."""
        self._is_touched = False

    def committed(self) -> None:
        """COMMIT has emptied the stage, if the transaction has touched it.

        A rollback has not: no row of it is to be seen, but later ones may be put into the room that it left, and would
        be appended to the target out of order.
        """
        self._is_fresh = self._is_fresh or self._is_touched

    def write(self, connection: Connection, records: Sequence[Mapped]) -> None:
        """All rows of the batch, or an error: psycopg's, Rejected or Misconfigured. The caller holds a savepoint."""
        replacing = self.table.replace_by is not None
        layout = lay_out(records, key=self.table.key, replacing=replacing, trusting=self._trusts_equality)
        if layout is None:
            return
        require(self.table, self._columns, {name for group in layout.groups for name in group})
        self._empty(connection)
        self._copy(connection, layout)
        try:
            self._merge(connection, layout.groups, all_differ=PLACE not in layout.columns)
            return
        except NumericValueOutOfRange:
            overlong = self._overlong(layout)
            if overlong is None:
                raise
        raise overlong

    def write_undecoded(self, connection: Connection, batch: Undecoded) -> bool:
        """As `write`; False, and nothing is written, where the batch does not fit the table as it is."""
        copied = self.copy_undecoded(connection, batch)
        if copied is not None:
            connection.execute(self.merging(connection, copied), prepare=False)
        return copied is not None

    def copy_undecoded(self, connection: Connection, batch: Undecoded) -> Copied | None:
        """Puts the batch into the stage; None, and nothing is there, where it does not fit the table as it is."""
        cells = cells_of(self._columns, batch.fields)
        if cells is None or not cells.keys() >= {*self.table.key, *self.table.required} or not _is_utf8(connection):
            return None
        numbered = self.table.is_merged
        copied = batch.binary_copy(cells, key=self.table.key, numbered=numbered)
        if copied is None:
            return None
        self._empty(connection)
        names = (PLACE, *cells) if numbered else tuple(cells)
        with connection.cursor() as cursor, cursor.copy(merge.copy(names)) as copy:
            copy.write(copied.data)
        return Copied(tuple(cells), copied.keys_differ)

    def merging(self, connection: Connection, copied: Copied) -> bytes:
        """The statements that do the rest of a `write`, for what was put into the stage."""
        all_differ = copied.keys_differ and self._trusts_equality
        return b"; ".join(self._merges(connection, (copied.columns,), all_differ=all_differ))

    def _empty(self, connection: Connection) -> None:
        if not self._is_fresh:
            connection.execute(_EMPTY)
        self._is_fresh, self._is_touched = False, True

    def _merge(self, connection: Connection, groups: Groups, *, all_differ: bool) -> None:
        for statement in self._merges(connection, groups, all_differ=all_differ):
            connection.execute(statement, prepare=False)  # a plan made for an empty table is bad for a full one

    def _copy(self, connection: Connection, layout: Layout) -> None:
        columns = self._copied(layout)
        line: Cells = ()
        try:
            with connection.cursor() as cursor, cursor.copy(merge.copy([column.name for column in columns])) as copy:
                copy.set_types([column.dumped_as for column in columns])
                write_row = copy.write_row
                for line in layout.lines:
                    write_row(line)
            return
        except _NOT_ADAPTABLE:
            refused = _refused(connection, columns, line)
        except psycopg.Error as error:
            if error.sqlstate is not None or isinstance(error, psycopg.OperationalError):
                raise
            refused = _refused(connection, columns, line)
        raise refused  # outside the handlers: what psycopg says may hold the value

    def _copied(self, layout: Layout) -> list[Column]:
        return [_OWN_COLUMNS.get(name) or self._columns[name] for name in layout.columns]

    def _merges(self, connection: Connection, groups: Groups, *, all_differ: bool) -> list[bytes]:
        known = self._statements.get((all_differ, groups))
        if known is None:
            if len(self._statements) >= 64:
                self._statements.clear()
            composed = merge.merges(self.table, self._columns, groups, all_differ=all_differ)
            if self.table.is_merged:
                composed.insert(0, merge.take_turn(self.table, excludes_others=self._excludes_others))
            self._statements[all_differ, groups] = known = [statement.as_bytes(connection) for statement in composed]
        return known

    def _overlong(self, layout: Layout) -> Rejected | None:
        """Names the column of an integer that is out of range; the merge's own error does not."""
        for at, column in enumerate(self._copied(layout)):
            limit = column.limit
            if limit and any(line[at] is not None and not -limit <= line[at] < limit for line in layout.lines):
                return _does_not_fit(column.name, "an integer out of range")
        return None


def _is_utf8(connection: Connection) -> bool:
    """Whether the session's texts are the bytes that came from Kafka."""
    return connection.info.encoding == "utf-8"


def _refused(connection: Connection, columns: Sequence[Column], line: Cells) -> Rejected:
    for column, value in zip(columns, line, strict=True):
        dumper = connection.adapters.get_dumper_by_oid(column.dumped_as, pq.Format.BINARY)
        try:
            if value is not None:
                memoryview(dumper(type(value), connection).dump(value) or b"")
        except (*_NOT_ADAPTABLE, psycopg.Error):
            return _does_not_fit(column.name, f"a value of type {type(value).__name__}")
    return Rejected("PostgreSQL refuses the record: psycopg cannot write one of its values", code=TARGET_REFUSES)


def _does_not_fit(column: str, what: str) -> Rejected:
    return Rejected(f"PostgreSQL refuses the record: column {column} does not take {what}", code=TARGET_REFUSES)
