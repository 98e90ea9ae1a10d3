"""The lines of a file as text, numbered, in bounded memory; a line that cannot be text is marked, not raised."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

LONGEST_LINE_BYTES = 1 << 20
"""Kafka's own default limit of a message: a longer line could not be published anyway."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Line(NamedTuple):
    """One physical line with its end. `problem` says why the text is not the line's own."""

    text: str
    problem: str | None = None


def read_lines(file: BinaryIO) -> Iterator[Line]:
    """All lines, in order. A byte order mark (a spreadsheet's) is not part of the first."""
    raw = file.readline(LONGEST_LINE_BYTES).removeprefix(_BYTE_ORDER_MARK)
    while raw:
        yield _too_long(file) if _is_cut(raw) else _decoded(raw)
        raw = file.readline(LONGEST_LINE_BYTES)


def _is_cut(raw: bytes) -> bool:
    return len(raw) >= LONGEST_LINE_BYTES - len(_BYTE_ORDER_MARK) and not raw.endswith(b"\n")


def _too_long(file: BinaryIO) -> Line:
    rest = file.readline(LONGEST_LINE_BYTES)
    while rest and not rest.endswith(b"\n"):
        rest = file.readline(LONGEST_LINE_BYTES)
    return Line("\n", f"longer than {LONGEST_LINE_BYTES} bytes")


def _decoded(raw: bytes) -> Line:
    try:
        return Line(raw.decode())
    except UnicodeDecodeError:
        return Line(raw.decode(errors="replace"), "not UTF-8")
