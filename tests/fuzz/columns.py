"""The fuzzer's part for columns: they hold and refuse what rows do, are valid Arrow arrays, and are written as read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mainstem.codec.native import _avro
from mainstem.codec.native.loading import Table
from mainstem.codec.native.plan import compile_plan
from tests.unit.codec.native.arrow import FRAME, MAX_BYTES, comparable, rows_of

Timed = Callable[[Callable[[Any], Any], object], Any]


class Columnar:
    """One schema's bytes, read both ways. A type that holds itself is left out: it is no column."""

    def __init__(self, schema: dict[str, Any], reader: dict[str, Any] | None = None) -> None:
        writer, self._reader = finite(schema), finite(reader or schema)
        self._rows = compile_plan(writer, reader and self._reader)
        self._table = Table(self._reader)
        self._writer = self._table.loader()
        self._loader = self._table.loader(writer) if reader else self._writer

    def load(self, values: list[bytes | None]) -> _avro.Columns:
        framed = [value if value is None else FRAME + value for value in values]
        return _avro.decode_columns(framed, {1: self._loader}, self._table.layout, len, MAX_BYTES)

    def check(self, timed: Timed, value: bytes, good: bytes, *, closely: bool) -> None:
        """Raises AssertionError where rows and columns differ, or a refused value leaves a trace beside a good one.

        Of a value that is refused the trace is looked for only `closely`: making rows of columns takes long.
        """
        columns = timed(self.load, [value, good, value])
        read, refusal = self._row(value)
        refused = [str(error) for number, error in columns.refused if number != 1]
        assert refused in ([refusal] * 2 if refusal else [], refused if "more digits" in str(refused) else [])
        if refused and not closely:
            return
        rows = [read, self._row(good)[0], read] if not refused else [self._row(good)[0]]
        assert repr(comparable(rows_of(self._reader, columns))) == repr(comparable(rows))
        written = timed(self.write, columns)
        again = _avro.decode_columns(written, {1: self._writer}, self._table.layout, len, MAX_BYTES)
        assert repr(rows_of(self._reader, again)) == repr(rows_of(self._reader, columns))

    def write(self, columns: _avro.Columns) -> list[Any]:
        return _avro.encode_columns(columns, self._writer, FRAME)

    def _row(self, value: bytes) -> tuple[Any, str]:
        try:
            return self._rows.decode(FRAME + value, len(FRAME)), ""
        except _avro.AvroError as error:
            return None, str(error)


def finite(schema: dict[str, Any]) -> dict[str, Any]:
    return {**schema, "fields": [field for field in schema["fields"] if "Root" not in field["type"]]}
