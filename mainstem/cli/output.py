"""Data to stdout in the form that was asked for; everything else that is said goes to stderr."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum, StrEnum
from io import StringIO
from typing import Annotated, Any
from uuid import UUID

import orjson
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text
from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import LiteralScalarString

from mainstem.codec import headers as h
from mainstem.event import Origin

GAP = "  "


class Format(StrEnum):
    """How data is printed."""

    TABLE = "table"
    JSON = "json"
    NDJSON = "ndjson"
    YAML = "yaml"


FormatOption = Annotated[Format, typer.Option("--output", "-o", help="How to print: table, json, ndjson or yaml.")]
Row = Mapping[str, Any]


def say(text: str) -> None:
    """Tells the person something; it is not data."""
    typer.echo(text, err=True)


def show_rows(rows: Iterable[Row], columns: Sequence[str], form: Format) -> None:
    """Prints rows. A table has these columns; the other forms have all that the rows hold."""
    plain = [as_plain(row) for row in rows]
    match form:
        case Format.TABLE:
            _print_table(plain, columns)
        case Format.JSON:
            typer.echo(_json(plain, orjson.OPT_INDENT_2))
        case Format.NDJSON:
            for row in plain:
                typer.echo(_json(row))
        case Format.YAML:
            typer.echo(_yaml(plain), nl=False)


def show_item(item: Row, form: Format) -> None:
    """Prints one thing; as a table it is a list of its fields."""
    plain = as_plain(item)
    match form:
        case Format.JSON:
            typer.echo(_json(plain, orjson.OPT_INDENT_2))
        case Format.NDJSON:
            typer.echo(_json(plain))
        case Format.TABLE | Format.YAML:
            typer.echo(_yaml(plain), nl=False)


def as_plain(value: Any) -> Any:
    """The value in JSON's types: times in RFC 3339, decimals as text so that no digit is lost, bytes as text or hex."""
    for kinds, convert in _PLAIN:
        if isinstance(value, kinds):
            return convert(value)
    return str(value)


def readable(value: bytes) -> str:
    """Bytes as text where they are printable text, otherwise as `0x...`."""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return f"0x{value.hex()}"
    return text if all(c.isprintable() or c in "\n\t" for c in text) else f"0x{value.hex()}"


@contextmanager
def progress(doing: str, total: int | None) -> Iterator[Progress]:
    """A bar on stderr for long work, for a person only; `advance(progress.task_ids[0], n)` moves it."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        bar.add_task(doing, total=total)
        yield bar


_PLAIN: Sequence[tuple[tuple[type, ...], Callable[[Any], Any]]] = (
    ((Enum,), lambda value: value.value),
    ((type(None), bool, float, str), lambda value: value),
    ((int,), lambda value: value if -(2**63) <= value < 2**64 else str(value)),  # what JSON writers and readers take
    ((Origin, Decimal, UUID), str),
    ((datetime,), lambda value: h.format_time(value).decode()),
    ((date, time), lambda value: value.isoformat()),
    ((bytes, bytearray), lambda value: readable(bytes(value))),
    ((Mapping,), lambda value: {str(as_plain(name)): as_plain(item) for name, item in value.items()}),
    ((Sequence, set, frozenset), lambda value: [as_plain(item) for item in value]),
)
"""The first that fits counts: an Origin is a tuple too, and a datetime a date."""


def _json(value: Any, options: int = 0) -> str:
    return orjson.dumps(value, option=options | orjson.OPT_PASSTHROUGH_DATETIME).decode()


def _yaml(value: Any) -> str:
    out = StringIO()
    writer = YAML()
    writer.default_flow_style = False
    writer.allow_unicode = True
    writer.width = 4096
    writer.dump(_with_blocks(value), out)
    return out.getvalue()


def _with_blocks(value: Any) -> Any:
    """Texts of several lines (a traceback) as blocks that can be read."""
    match value:
        case str() if "\n" in value:
            return LiteralScalarString(value)
        case dict():
            return {name: _with_blocks(item) for name, item in value.items()}
        case list():
            return [_with_blocks(item) for item in value]
        case _:
            return value


def _print_table(rows: Sequence[Row], columns: Sequence[str]) -> None:
    cells = [[_cell(row.get(column)) for column in columns] for row in rows]
    if sys.stdout.isatty():
        table = Table(*map(_title, columns), box=None, pad_edge=False)
        for line in cells:
            table.add_row(*map(Text, line))
        Console().print(table)
        return
    widths = [max(map(len, column)) for column in zip([_title(c) for c in columns], *cells, strict=True)]
    for line in ([_title(column) for column in columns], *cells):
        padded = GAP.join(text.ljust(width) for text, width in zip(line, widths, strict=True))
        typer.echo(padded.rstrip())


def _title(column: str) -> str:
    return column.replace("_", " ").upper()


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    text = value if isinstance(value, str) else _json(value) if isinstance(value, dict | list) else str(value)
    return " ".join(text.split())
