"""Which code reads and writes Avro: the native extension where it was built, fastavro elsewhere.

MAINSTEM_CODEC chooses: `native`, which is the default, or `fastavro`. What is read and written is the same.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any, Final

from mainstem.errors import FOREIGN_SCHEMA, Misconfigured, Rejected
from mainstem.observe.logs import logger

try:
    from mainstem.codec.native import _avro
    from mainstem.codec.native.copying import Records
    from mainstem.codec.native.loading import Table
    from mainstem.codec.native.plan import Unsupported, compile_plan
except ImportError as missing:
    _missing: ImportError | None = missing
else:
    _missing = None

VARIABLE: Final = "MAINSTEM_CODEC"
NATIVE: Final = "native"
FASTAVRO: Final = "fastavro"
BUILD_IT: Final = f"install mainstem where a C compiler is, and leave {VARIABLE} unset"

NOT_TAKEN: tuple[type[Exception], ...] = (_avro.AvroError,) if _missing is None else ()
"""What a plan raises for bytes or a value that it does not take: it has a path and an offset, and quotes no value."""


def plan_of(writer: Any, reader: Any = None, *, classes: Mapping[str, type[Any]] | None = None) -> _avro.Plan | None:
    """The plan that reads the writer's bytes as the reader's values; None where fastavro is to do it."""
    if engine() == FASTAVRO:
        return None
    try:
        return compile_plan(writer, reader, classes=classes or {})
    except Unsupported:
        return None


def decode_batch(
    values: list[bytes | None], plans: dict[int, _avro.Plan], otherwise: Callable[[bytes], Any], max_bytes: int
) -> list[Any]:
    """Framed values, read by the plans of their schemas' ids; `otherwise` gives what stands for any other value."""
    if plans:
        return _avro.decode_batch(values, plans, otherwise, max_bytes, False)
    return [None if value is None else otherwise(value) for value in values]


def encode_batch(
    values: list[Any], plan: _avro.Plan | None, frame: bytes, otherwise: Callable[[Any], Any]
) -> list[Any]:
    """The values' bytes behind the frame; `otherwise` gives what stands for one that the plan does not write."""
    if plan is not None:
        return _avro.encode_batch(values, plan, frame, otherwise)
    return [None if value is None else otherwise(value) for value in values]


def table_of(topic: str, schema: Any) -> Table:
    """The Arrow columns of a topic's schema. Raises Misconfigured without the native codec, and where it makes none."""
    if engine() == FASTAVRO:
        raise Misconfigured("Arrow columns are made by the native codec only", fix=BUILD_IT)
    try:
        return Table(schema)
    except Unsupported as why:
        raise Misconfigured(f"{topic}: the values of its schema are no Arrow columns: {why}") from None


def loader_of(table: Table, topic: str, schema_id: int, writer: Any) -> _avro.Loader:
    """Fills the columns from what another schema wrote, or None for their own. Raises Rejected where it cannot."""
    try:
        return table.loader(writer)
    except Unsupported as why:
        raise Rejected(f"{topic}: schema {schema_id} fills other columns: {why}", code=FOREIGN_SCHEMA) from None


def decode_columns(
    values: list[Any],
    loaders: dict[int, _avro.Loader],
    layout: _avro.Layout,
    otherwise: Callable[[Any], Any],
    most: int,
) -> _avro.Columns:
    """Framed values as columns; `otherwise` gives the loader of any other value, or why it has none."""
    return _avro.decode_columns(values, loaders, layout, otherwise, most)


def records_of(writer: Any, reader: Any = None) -> Records | None:
    """The writer's records as rows of the reader's fields; None where values go by rows."""
    if engine() == FASTAVRO:
        return None
    try:
        return Records(writer, reader)
    except Unsupported:
        return None


def copy_plan_of(records: Records, columns: Mapping[str, str]) -> _avro.CopyPlan | None:
    """How they fill these columns of a binary COPY; None where values go by rows."""
    try:
        return records.copy_plan(columns)
    except Unsupported:
        return None


def copy_rows(
    values: list[bytes | None], plans: dict[int, _avro.CopyPlan], numbered: bool, key: tuple[int, ...], max_bytes: int
) -> tuple[bytes, bool] | None:
    """Framed values as what a binary COPY reads, and whether their keys differ; None where a value goes by rows."""
    return _avro.copy_rows(values, plans, max_bytes, numbered, key)


def any_has_header(headers: Iterable[Any], name: str) -> bool:
    """Whether any record has a header of that name, given the headers of each."""
    if _missing is None:
        return _avro.any_has_header(headers, name)
    return any(given == name for pairs in headers for given, _ in pairs or ())


def schema_ids(values: list[bytes | None], max_bytes: int) -> set[int]:
    """The ids before framed values; none where one is not framed, and where fastavro reads them."""
    return (_avro.schema_ids(values, max_bytes) if engine() == NATIVE else None) or set()


def engine() -> str:
    """NATIVE or FASTAVRO. Raises Misconfigured for any other choice."""
    wanted = os.environ.get(VARIABLE, NATIVE)
    if wanted not in (NATIVE, FASTAVRO):
        raise Misconfigured(f"{VARIABLE} is {wanted!r}, which is neither {NATIVE} nor {FASTAVRO}")
    if wanted == NATIVE and _missing is not None:
        _say_that_it_is_missing()
        return FASTAVRO
    return wanted


@cache
def _say_that_it_is_missing() -> None:
    logger("mainstem.codec").warning("the native codec was not built: Avro by fastavro", reason=str(_missing))
