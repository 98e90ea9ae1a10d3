"""The file source keeps the contract of pull sources, and says which line it cannot read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from connectors.files import FileSource
from connectors.files.lines import LONGEST_LINE_BYTES
from mainstem import Batch, Event, Misconfigured, Rejected, Retryable
from mainstem.testing.source_contract import PullSourceContract

Write = Callable[[str, bytes], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(name: str, content: bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return write


async def read(source: FileSource, after: Any = None) -> list[Event]:
    return [event for batch in await batches(source, after) for event in batch.events]


async def batches(source: FileSource, after: Any = None) -> list[Batch]:
    return [batch async for batch in source.read(after)]


def content(event: Event) -> Any:
    """The data, or the cause of its refusal without the folder."""
    try:
        return event.data
    except Rejected as refusal:
        return refusal.cause.rpartition("/")[2]


class TestCsv(PullSourceContract):
    @pytest.fixture
    def source(self, write: Write) -> FileSource:
        rows = [f"{n},name {n}" if n % 4 else f'{n},"two\nlines",too many' for n in range(10)]
        return FileSource(path=write("some.csv", "\n".join(["id,name", *rows]).encode()), key="id", batch_events=3)


class TestNdjson(PullSourceContract):
    @pytest.fixture
    def source(self, write: Write) -> FileSource:
        lines = [json.dumps({"id": n, "tags": ["a"]}) if n % 4 else "not JSON" for n in range(10)]
        return FileSource(path=write("some.ndjson", "\n".join(lines).encode()), key="id", batch_events=3)


async def test_an_event_is_named_by_the_content_and_its_place_in_it(write: Write) -> None:
    path = write("some.csv", b"id,name\n7,x\n8,\n")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()

    (batch,) = await batches(FileSource(path=path, key="id"))

    assert [event.id for event in batch.events] == [f"{digest[:16]}:0", f"{digest[:16]}:1"]
    assert [event.key for event in batch.events] == ["7", "8"]
    assert [event.data for event in batch.events] == [{"id": "7", "name": "x"}, {"id": "8", "name": None}]
    assert batch.position == {"content": digest, "offset": 2}


async def test_an_empty_cell_can_stay_text(write: Write) -> None:
    (event,) = await read(FileSource(path=write("some.csv", b"id,name\n7,\n"), empty_is_null=False))

    assert event.data == {"id": "7", "name": ""}


async def test_a_changed_file_is_read_from_the_start(write: Write) -> None:
    source = FileSource(path=write("some.csv", b"id\n1\n2\n"))
    (before,) = await batches(source)

    write("some.csv", b"id\n1\n2\n3\n")
    (after,) = await batches(source, before.position)

    assert [event.data["id"] for event in after.events] == ["1", "2", "3"]
    assert not {event.id for event in before.events} & {event.id for event in after.events}


async def test_a_file_that_is_read_whole_gives_nothing_more(write: Write) -> None:
    source = FileSource(path=write("some.csv", b"id\n1\n2\n"))
    (batch,) = await batches(source)

    assert await batches(source, batch.position) == []


async def test_a_file_that_is_written_to_while_it_is_read_is_given_up(write: Write) -> None:
    path = write("some.csv", b"id\n" + b"1\n" * 20_000)
    reading = FileSource(path=path, batch_events=10).read(None)
    await anext(reading)

    with path.open("ab") as file:
        file.write(b"2\n")

    with pytest.raises(Retryable, match="written to"):
        await anext(reading)


async def test_a_file_that_is_replaced_while_it_is_read_is_read_to_its_end(write: Write) -> None:
    path = write("some.csv", b"id\n1\n2\n")
    reading = FileSource(path=path, batch_events=1).read(None)
    first = await anext(reading)

    write("new.csv", b"id\n9\n").replace(path)

    assert [event.data["id"] async for batch in reading for event in batch.events] == ["2"]
    assert [event.data["id"] for event in await read(FileSource(path=path), first.position)] == ["9"]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"a,b\n1,2,3\n3,4\n", ["line 2: 3 values, but there are 2 columns", {"a": "3", "b": "4"}]),
        (b"a,b\n1\n3,4\n", ["line 2: 1 values, but there are 2 columns", {"a": "3", "b": "4"}]),
        (b"a,b\n\xff,2\n3,4\n", ["line 2: not UTF-8", {"a": "3", "b": "4"}]),
        (b'a,b\n"1\n\xff",2\n3,4\n', ["lines 2 to 3: not UTF-8", {"a": "3", "b": "4"}]),
        (b'a,b\n"x"y,2\n3,4\n', ["line 2: not valid CSV", {"a": "3", "b": "4"}]),
        (b'a,b\n1,2\n"3,4\n5,6\n', [{"a": "1", "b": "2"}, "lines 3 to 4: not valid CSV"]),
        (b"a,b\n" + b"x" * (3 * LONGEST_LINE_BYTES) + b"\n3,4\n",
         [f"line 2: longer than {LONGEST_LINE_BYTES} bytes", {"a": "3", "b": "4"}]),
        (b'\xef\xbb\xbfa,b\r\n1,"2, ""x"""\r\n\r\n"3\n3",4', [{"a": "1", "b": '2, "x"'}, {"a": "3\n3", "b": "4"}]),
        (b"a,b\n", []),
    ],
    ids=["ragged", "too few", "bytes", "bytes in a row", "quotes", "open quote", "too long", "RFC 4180", "no rows"],
)  # fmt: skip
async def test_a_bad_row_of_a_csv_is_refused_alone_and_by_its_line(
    write: Write, raw: bytes, expected: list[Any]
) -> None:
    events = await read(FileSource(path=write("some.csv", raw)))

    assert [content(event) for event in events] == [e if isinstance(e, dict) else f"some.csv {e}" for e in expected]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b'{"a": 1}\n\n[]\n{"a": 2}\n', [{"a": 1}, "line 3: JSON, but not an object", {"a": 2}]),
        (b'{"a": \n{"a": 2}', ["line 1: not JSON", {"a": 2}]),
        (b'{"a": "\xff"}\n{"a": 2}\r\n', ["line 1: not UTF-8", {"a": 2}]),
        (b"", []),
    ],
    ids=["not an object", "not JSON", "not UTF-8", "empty"],
)
async def test_a_bad_line_of_ndjson_is_refused_alone_and_by_its_number(
    write: Write, raw: bytes, expected: list[Any]
) -> None:
    events = await read(FileSource(path=write("some.jsonl", raw)))

    assert [content(event) for event in events] == [e if isinstance(e, dict) else f"some.jsonl {e}" for e in expected]


@pytest.mark.parametrize("key", [b"null", b'""', b"1.5", b"true", b"[]"])
async def test_a_record_whose_key_cannot_be_one_is_refused_alone(write: Write, key: bytes) -> None:
    path = write("some.ndjson", b'{"id": %b}\n{"id": 8}\n{"id": "nine"}' % key)

    bad, number, text = await read(FileSource(path=path, key="id"))

    assert content(bad) == "some.ndjson line 1: id is not text or a whole number, so it cannot be the key"
    assert (bad.key, number.key, text.key) == (None, "8", "nine")


async def test_a_refusal_does_not_show_what_stands_in_the_line(write: Write) -> None:
    events = await read(FileSource(path=write("some.csv", b'a,b\ncanary\n"canary"x,2\n\xffcanary,1\n')))

    assert len(events) == 3
    assert not any("canary" in content(event) for event in events)


@pytest.mark.parametrize(
    ("name", "raw", "settings"),
    [
        ("some.csv", b"", {}),
        ("some.csv", b"a,a\n1,2\n", {}),
        ("some.csv", b"a,\n1,2\n", {}),
        ("some.csv", b"a,\xff\n1,2\n", {}),
        ("some.csv", b"a,b\n1,2\n", {"key": "c"}),
        ("some.txt", b"a,b\n1,2\n", {}),
    ],
    ids=["empty", "column twice", "column without name", "not UTF-8", "no such key", "unknown suffix"],
)
async def test_a_file_that_cannot_be_understood_is_a_misconfiguration_that_names_it(
    write: Write, name: str, raw: bytes, settings: dict[str, Any]
) -> None:
    with pytest.raises(Misconfigured, match=name):
        await read(FileSource(path=write(name, raw), **settings))


async def test_a_missing_file_is_a_misconfiguration(tmp_path: Path) -> None:
    for path in (tmp_path / "none.csv", tmp_path / "none" / "none.csv", tmp_path):
        source = FileSource(path=path, format="csv")
        with pytest.raises(Misconfigured, match=str(path)):
            await read(source)
        with pytest.raises(Misconfigured, match=str(path)):
            await source.check()


async def test_reading_given_up_closes_the_file(write: Write) -> None:
    path = write("some.csv", b"id\n1\n2\n")
    reading = FileSource(path=path, batch_events=1).read(None)
    await anext(reading)
    assert str(path) in open_files()

    await reading.aclose()  # type: ignore[attr-defined] # read is an async generator

    assert str(path) not in open_files()


def open_files() -> set[str]:
    descriptors = Path("/proc/self/fd")
    return {str(link.readlink()) for link in descriptors.iterdir() if link.is_symlink()}
