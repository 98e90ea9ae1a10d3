"""Lines to records: the rows of a CSV by the names in its first line, or one JSON object a line."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import orjson

from connectors.files.lines import Line
from mainstem import Misconfigured


class Record(NamedTuple):
    """One record and the lines that it stands on; `problem` says why there is no data, never what stands there."""

    place: str
    data: dict[str, Any] | None
    problem: str | None = None


def read_ndjson(lines: Iterable[Line]) -> Iterator[Record]:
    """One record a line; blank lines are none."""
    for number, line in enumerate(lines, start=1):
        if line.problem:
            yield Record(f"line {number}", None, line.problem)
        elif line.text.strip():
            yield _object(line.text, f"line {number}")


def _object(text: str, place: str) -> Record:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return Record(place, None, "not JSON")
    if not isinstance(value, dict):
        return Record(place, None, "JSON, but not an object")
    return Record(place, value)


def read_csv(lines: Iterable[Line], *, empty_is_null: bool, required: str | None = None) -> Iterator[Record]:
    """One record a row; a row may span lines (RFC 4180), blank lines are none.

    Raises Misconfigured when the first line does not name the columns, the required one among them.
    """
    rows = _rows(lines)
    columns = _columns(next(rows, None), required)
    for row in rows:
        if row.problem is None and len(row.values) != len(columns):
            problem = f"{len(row.values)} values, but there are {len(columns)} columns"
            yield Record(row.place, None, problem)
        elif row.problem is not None:
            yield Record(row.place, None, row.problem)
        else:
            values = [text or None for text in row.values] if empty_is_null else row.values
            yield Record(row.place, dict(zip(columns, values, strict=True)))


class _Row(NamedTuple):
    place: str
    values: list[str]
    problem: str | None


def _columns(first: _Row | None, required: str | None) -> list[str]:
    columns = first.values if first is not None and first.problem is None else []
    if not columns or not all(columns) or len(set(columns)) < len(columns):
        raise Misconfigured("the first line does not name the columns, each once")
    if required is not None and required not in columns:
        raise Misconfigured(f"there is no column {required}")
    return columns


def _rows(lines: Iterable[Line]) -> Iterator[_Row]:
    problems: list[str] = []
    reader = csv.reader(_texts(lines, problems), strict=True)
    ended = False
    while not ended:
        first = reader.line_num + 1
        problems.clear()
        values: list[str] = []
        try:
            values = next(reader)
        except StopIteration:
            ended = True
        except csv.Error:
            problems.append("not valid CSV")
        if values or problems:
            last = reader.line_num
            place = f"lines {first} to {last}" if last > first else f"line {first}"
            yield _Row(place, values, problems[0] if problems else None)


def _texts(lines: Iterable[Line], problems: list[str]) -> Iterator[str]:
    for line in lines:
        if line.problem:
            problems.append(line.problem)
        yield line.text
