"""Mutates Avro bytes and gives them to the native codec, until the time is over or something is wrong.

    python -m tests.fuzz.codec --seconds 1800         # exit code 1 after a second for a value, or 256 MB
    python -m tests.fuzz.codec --leaks 10000000       # reads and writes so many records; prints the memory as it goes

What is read is also written, read again, and compared with what a view of it and what Arrow columns say. A crash leaves
the seed on the screen.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime
from datetime import time as day_time
from decimal import Decimal
from typing import Any
from uuid import UUID

import psutil
import pyarrow

from mainstem.codec.native import _avro
from mainstem.codec.native.plan import compile_plan
from tests.fuzz.columns import Columnar, finite

MAX_SECONDS = 1.0
MAX_BYTES = 256_000_000
LINE = {"type": "record", "name": "Line", "fields": [{"name": "sku", "type": "string"}, {"name": "n", "type": "int"}]}


def logical(kind: str, name: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, "logicalType": name, **more}


FIELDS: dict[str, tuple[Any, Any]] = {
    "a": ("string", "Café crème"),
    "b": (["null", "string", LINE], {"sku": "x", "n": 1}),
    "c": ({"type": "array", "items": "Line"}, [{"sku": "y", "n": 2}, {"sku": "z", "n": -3}]),
    "d": (logical("bytes", "decimal", precision=12, scale=2), Decimal("12.34")),
    "e": (logical("bytes", "decimal", precision=40, scale=5), Decimal("12345678901234567890.12345")),
    "f": ({"type": "fixed", "name": "F", "size": 6, "logicalType": "decimal", "precision": 9, "scale": 1}, Decimal(7)),
    "g": (logical("long", "timestamp-millis"), datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
    "h": (logical("long", "local-timestamp-micros"), datetime(2026, 1, 2, 3, 4, 5)),  # noqa: DTZ001 - it has no zone
    "i": (logical("int", "date"), date(2026, 1, 2)),
    "j": (logical("int", "time-millis"), day_time(1, 2, 3)),
    "k": (logical("long", "time-micros"), day_time(1, 2, 3, 4)),
    "l": (logical("string", "uuid"), UUID(int=7)),
    "m": ({"type": "enum", "name": "E", "symbols": ["A", "B", "C"]}, "B"),
    "n": ({"type": "map", "values": {"type": "array", "items": ["null", "double"]}}, {"k": [None, 1.5]}),
    "o": (
        {"type": "array", "items": {"type": "array", "items": {"type": "array", "items": "boolean"}}},
        [[[True], []]],
    ),
    "p": (["null", "Root"], None),
    "q": ("float", 0.5),
    "r": ({"type": "fixed", "name": "G", "size": 3}, b"abc"),
    "s": ({"type": "array", "items": "null"}, [None, None]),
    "t": ("bytes", b"\x00\xff"),
    "u": ("boolean", True),
    "v": ("long", -(2**62)),
}
SCHEMA = {"type": "record", "name": "Root", "fields": [{"name": n, "type": t} for n, (t, _) in FIELDS.items()]}
READER = {
    "type": "record",
    "name": "Root",
    "fields": [
        {"name": "v", "type": "double"},
        {"name": "text", "aliases": ["a"], "type": "bytes"},
        {"name": "c", "type": {"type": "array", "items": {**LINE, "fields": LINE["fields"][1:]}}},
        {"name": "m", "type": {"type": "enum", "name": "E", "symbols": ["A", "Z"], "default": "Z"}},
        {"name": "new", "type": {"type": "array", "items": "int"}, "default": [1]},
        {"name": "p", "type": ["null", "Root"]},
    ],
}
VALUE = {name: value for name, (_, value) in FIELDS.items()}
PIECES = [
    b"\x00",
    b"\x01",
    b"\x02",
    b"\x7f",
    b"\x80",
    b"\xff",
    b"\xff" * 9 + b"\x01",
    b"\xfe\xff\xff\xff\x0f",
    b"\xed\xa0\x80",
]


def mutated(draw: random.Random, seeds: Sequence[bytes]) -> bytes:
    """A seed with some of its bytes changed, cut, doubled, or taken from another."""
    value = bytearray(draw.choice(seeds))
    for _ in range(draw.randint(1, 6)):
        place = draw.randrange(len(value) + 1)
        end = min(len(value), place + draw.choice((0, 1, 1, 2, 8, 40)))
        match draw.randrange(5):
            case 0:
                value[place:end] = draw.choice(PIECES)
            case 1:
                value[place:end] = draw.randbytes(end - place)
            case 2:
                value[place:end] = value[place:end] * draw.choice((2, 3, 200))
            case 3:
                value[place:end] = draw.choice(seeds)[place:end]
            case _:
                del value[place:end]
        del value[100_000:]
    return bytes(value)


class Timed:
    """Does the codec's work and keeps the longest time that a call took."""

    slowest_s = 0.0

    def __call__(self, work: Callable[[Any], Any], value: object) -> Any:
        start = time.thread_time()  # a busy machine is no hang
        try:
            return work(value)
        finally:
            self.slowest_s = max(self.slowest_s, time.thread_time() - start)


timed = Timed()


def check(plans: Sequence[_avro.Plan], writer: _avro.Plan, value: bytes) -> bool:
    """Whether the bytes were read. Raises AssertionError where reading, views and writing differ."""
    taken = False
    for plan in plans:
        try:
            read = timed(plan.decode, value)
        except _avro.AvroError as refused:
            assert 0 <= refused.offset <= len(value)
            assert len(str(refused)) < 1000
            continue
        taken = True
        assert repr(timed(plan.view, value)) == repr(read)
        if plan is writer:
            assert repr(writer.decode(timed(writer.encode, writer.view(value)))) == repr(read)
            assert rewritten(writer, read) in (repr(read), "")
    return taken


def rewritten(writer: _avro.Plan, read: Any) -> str:
    """What is read again; nothing where the bytes were of a number that has too many digits for its schema."""
    try:
        return repr(writer.decode(timed(writer.encode, read)))
    except _avro.AvroError as refused:
        assert "a decimal that does not fit" in str(refused)
        return ""


def fuzz(seconds: float, seed: int) -> int:
    draw, writer = random.Random(seed), compile_plan(SCHEMA)
    plans = [writer, compile_plan(SCHEMA, READER), compile_plan(LINE), compile_plan({"type": "map", "values": LINE})]
    seeds = [writer.encode(VALUE), writer.encode({**VALUE, "p": {**VALUE, "p": VALUE}}), plans[2].encode(VALUE["b"])]
    columnar, finite_value = [Columnar(SCHEMA), Columnar(SCHEMA, READER)], compile_plan(finite(SCHEMA)).encode(VALUE)
    seeds.append(finite_value)
    process, end = psutil.Process(), time.monotonic() + seconds
    tried = taken = 0
    most = 0
    while time.monotonic() < end:
        value = mutated(draw, seeds)
        if check(plans, writer, value):
            taken += 1
            if len(seeds) < 200 and len(value) < 4000:
                seeds.append(value)
        columnar[tried % 2].check(timed, value, finite_value, closely=tried % 50 < 2)
        tried += 1
        if tried % 1000 == 0:
            most = max(most, process.memory_info().rss)
    bounds = f"slowest {timed.slowest_s * 1000:.1f} ms, most {most / 1e6:.0f} MB"
    print(f"seed {seed}: {tried:,} values, {taken:,} read; {bounds}")  # noqa: T201
    return int(timed.slowest_s > MAX_SECONDS or most > MAX_BYTES)


def rounds(plan: _avro.Plan) -> Iterator[Callable[[], object]]:
    """The ways to use a codec, refusals included."""
    value = plan.encode(VALUE)
    yield lambda: plan.decode(value)
    yield lambda: plan.encode(VALUE)
    yield lambda: plan.encode(plan.view(value).replace(a="b", c=[{"sku": "", "n": 0}]))
    yield lambda: repr(plan.view(value))
    yield lambda: plan.view(value).to_dict()
    yield lambda: _refused(plan.decode, value[:-30])
    yield lambda: _refused(plan.view, value + b"x")
    yield lambda: _refused(plan.encode, {**VALUE, "v": "x"})
    yield lambda: _avro.decode_batch([b"\0\0\0\0\1" + value, None, b"x"], {1: plan}, len, 10**6, True)
    yield lambda: _avro.encode_batch([VALUE, None, 7], plan, b"\0\0\0\0\1", str)
    yield lambda: compile_plan(LINE, LINE)
    columnar, finite_value = Columnar(SCHEMA, READER), compile_plan(finite(SCHEMA)).encode(VALUE)
    yield lambda: columnar.load([finite_value, None, b"x", finite_value[:-9]])
    yield lambda: pyarrow.record_batch(columnar.load([finite_value] * 3)).slice(1).column(2)
    yield lambda: columnar.load([finite_value]).__arrow_c_array__()
    yield lambda: columnar.write(columnar.load([finite_value] * 2))
    yield lambda: _untaken(lambda: columnar.write(pyarrow.array([1])))
    yield lambda: Columnar({**SCHEMA, "fields": SCHEMA["fields"][:4]})


def _refused(work: Callable[[Any], object], value: Any) -> None:
    try:
        work(value)
    except _avro.AvroError:
        return
    raise AssertionError("it was taken")


def _untaken(work: Callable[[], object]) -> None:
    try:
        work()
    except (TypeError, pyarrow.ArrowException):
        return
    raise AssertionError("it was taken")


def leaks(records: int) -> int:
    """1 if the memory of the second half of the run is more than 2 MB above that of the first."""
    ways, process = list(rounds(compile_plan(SCHEMA))), psutil.Process()
    sizes: list[int] = []
    for part in range(20):
        for i in range(records // 20):
            ways[i % len(ways)]()
        sizes.append(process.memory_info().rss)
        print(f"  {(part + 1) * records // 20:>12,} records  {sizes[-1] / 1e6:.1f} MB", flush=True)  # noqa: T201
    return int(max(sizes[10:]) - max(sizes[:10]) > 2_000_000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 10**6)
    parser.add_argument("--leaks", type=int, metavar="RECORDS")
    options = parser.parse_args()
    if options.leaks:
        sys.exit(leaks(options.leaks))
    print(f"seed {options.seed}", flush=True)  # noqa: T201
    sys.exit(fuzz(options.seconds, options.seed))


if __name__ == "__main__":
    main()
