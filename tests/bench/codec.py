"""The native codec beside fastavro, in one process and one thread, without Kafka.

    python tests/bench/codec.py                     # a minute
    python tests/bench/codec.py --records 5000 --rounds 15

For a nested and a flat order: microseconds per record to decode to a dict, to a dataclass or to a batch of Arrow
columns, to encode each of them, and to decode and encode with two fields changed in between, where the native codec
makes views; in alternating rounds. Prints the medians and their ratio. Every value is compared first.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import make_dataclass
from decimal import Decimal
from functools import partial
from io import BytesIO
from typing import Any, cast

import fastavro
import pyarrow

from mainstem.codec.native import _avro
from mainstem.codec.native.loading import Table
from mainstem.codec.native.plan import compile_plan
from mainstem.codec.typed import Typed
from tests.bench import orders

Run = Callable[[], object]
NAMESPACE = "bench"
TOTAL = Decimal("99.95")
NOTE = "changed"
FRAME = b"\x00\x00\x00\x00\x01"


def class_of(schema: dict[str, Any]) -> type[Any]:
    """A dataclass for the record, and for the records of its lists."""
    hints = {field["name"]: Any for field in schema["fields"]}
    for field in schema["fields"]:
        inner = field["type"].get("items") if isinstance(field["type"], dict) else None
        if isinstance(inner, dict):
            hints[field["name"]] = cast(Any, list)[class_of(inner)]
    return make_dataclass(schema["name"], list(hints.items()), slots=True)


class Shape:
    """Records of one schema, their bytes, and both engines for them."""

    def __init__(self, schema: dict[str, Any], records: Sequence[dict[str, Any]]) -> None:
        self.plan = compile_plan(schema)
        self.parsed = fastavro.parse_schema(schema)
        self.records = records
        class_ = class_of(schema)
        self.typed, self.typed_by_fastavro = Typed[Any](class_, schema), Typed[Any](class_, schema)
        self.typed_by_fastavro._plan = None
        self.values = [self.write(record) for record in records]
        self.table = Table(schema)
        self.loader = self.table.loader()
        self.columns_schema = pyarrow.schema(self.table.layout)
        self.framed: list[bytes | None] = [FRAME + value for value in self.values]
        assert pyarrow.record_batch(self.load()).to_pylist() == records
        assert _avro.encode_columns(self.load(), self.loader, FRAME) == self.framed
        for record, value in zip(records, self.values, strict=True):
            assert self.plan.decode(value) == self.read(value) == record
            assert self.plan.encode(record) == value
            assert self.typed.encode(self.typed.decode(value)) == self.typed_by_fastavro.encode(
                self.typed_by_fastavro.decode(value)
            )
            assert self.change_view(value) == self.change_dict(value)

    def write(self, record: dict[str, Any]) -> bytes:
        buffer = BytesIO()
        fastavro.schemaless_writer(buffer, self.parsed, record)
        return buffer.getvalue()

    def change_dict(self, value: bytes) -> bytes:
        record = self.read(value)
        record["total"] = TOTAL
        record["note"] = NOTE
        return self.write(record)

    def change_view(self, value: bytes) -> bytes:
        return self.plan.encode(self.plan.view(value).replace(total=TOTAL, note=NOTE))

    def batch_by_rows(self) -> object:
        return pyarrow.RecordBatch.from_pylist([self.read(value) for value in self.values], self.columns_schema)

    def batch_by_columns(self) -> object:
        return pyarrow.record_batch(self.load())

    def load(self) -> _avro.Columns:
        return _avro.decode_columns(self.framed, {1: self.loader}, self.table.layout, repr, 10**6)

    def read(self, value: bytes) -> Any:
        return fastavro.schemaless_reader(BytesIO(value), self.parsed, None)


def each(work: Callable[[Any], object], items: Sequence[Any]) -> None:
    for item in items:
        work(item)


def compare(name: str, records: int, rounds: int, by_fastavro: Run, native: Run) -> None:
    """Prints the median time of a record in both, and how many times faster the second is."""
    took: dict[Run, list[float]] = {by_fastavro: [], native: []}
    for _ in range(rounds):
        for run, times in took.items():
            gc.collect()
            start = time.perf_counter()
            run()
            times.append((time.perf_counter() - start) / records * 1e6)
    slow, fast = (statistics.median(times) for times in took.values())
    print(f"  {name:34} fastavro {slow:6.2f} us   native {fast:5.2f} us   {slow / fast:5.1f} times", flush=True)  # noqa: T201


def measure(title: str, shape: Shape, rounds: int) -> None:
    count = len(shape.records)
    size = sum(map(len, shape.values)) / count
    print(f"{title}, {size:.0f} bytes, {count:,} records, median of {rounds} rounds", flush=True)  # noqa: T201
    compare(
        "decode to a dict",
        count,
        rounds,
        partial(each, shape.read, shape.values),
        partial(each, shape.plan.decode, shape.values),
    )
    compare(
        "encode a dict",
        count,
        rounds,
        partial(each, shape.write, shape.records),
        partial(each, shape.plan.encode, shape.records),
    )
    compare(
        "decode to a dataclass",
        count,
        rounds,
        partial(each, shape.typed_by_fastavro.decode, shape.values),
        partial(each, shape.typed.decode, shape.values),
    )
    instances = [shape.typed.decode(value) for value in shape.values]
    compare(
        "encode a dataclass",
        count,
        rounds,
        partial(each, shape.typed_by_fastavro.encode, instances),
        partial(each, shape.typed.encode, instances),
    )
    compare(
        "decode a batch, frames checked",
        count,
        rounds,
        partial(each, shape.read, shape.values),
        partial(_avro.decode_batch, shape.framed, {1: shape.plan}, repr, 10**6, False),
    )
    compare(
        "decode a batch to Arrow columns",
        count,
        rounds,
        partial(each, shape.read, shape.values),
        shape.load,
    )
    compare("a record batch of pyarrow's", count, rounds, shape.batch_by_rows, shape.batch_by_columns)
    compare(
        "encode a batch of Arrow columns",
        count,
        rounds,
        partial(each, shape.write, shape.records),
        partial(_avro.encode_columns, shape.load(), shape.loader, FRAME),
    )
    compare(
        "decode, change two fields, encode",
        count,
        rounds,
        partial(each, shape.change_dict, shape.values),
        partial(each, shape.change_view, shape.values),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--records", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=11)
    options = parser.parse_args()
    nested = Shape(orders.nested_schema(NAMESPACE), list(orders.nested_orders(options.records)))
    flat = Shape(orders.schema(NAMESPACE), list(orders.orders(options.records)))
    measure("nested order", nested, options.rounds)
    measure("flat order", flat, options.rounds)


if __name__ == "__main__":
    main()
