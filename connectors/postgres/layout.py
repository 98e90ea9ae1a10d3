"""Rows -> the tuples that are copied. Pure: no database here.

One shape for all rows is the usual case and costs one itemgetter call a row. Rows of several shapes are put into
groups, one statement each, so that a column that a row does not have is left to the table: what a row becomes must not
depend on which others happen to be in its batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import chain, count, repeat
from operator import itemgetter
from typing import Any, NamedTuple

from mainstem import Mapped, Row

Cells = tuple[Any, ...]

GROUP = "mainstem_group"
PLACE = "mainstem_place"
"""Orders the lines where the last one wins: the number of the event (replacing) or of the row (updating by key)."""


class Layout(NamedTuple):
    """A batch as it is copied. `columns` names the cells of each line: GROUP and PLACE, where needed, come first."""

    columns: tuple[str, ...]
    lines: Sequence[Cells]
    groups: tuple[tuple[str, ...], ...]
    """The columns of each group's rows, in the order in which the groups are merged."""


def lay_out(records: Sequence[Mapped], *, key: Sequence[str], replacing: bool, trusting: bool = False) -> Layout | None:
    """The batch's rows; None when there are none. `key` is what makes two rows the same one: they keep their order.

    With `trusting`, rows whose keys differ in Python are taken to differ in the database: no PLACE is copied for them.
    """
    rows = list(chain.from_iterable(map(_rows, records)))
    if not rows:
        return None
    columns = tuple(rows[0])
    places = _places(records) if replacing else count() if key else None
    even = _even(rows, columns)
    if even is None:
        return _ragged(rows, places or repeat(0), () if replacing else key)
    if places is None or (trusting and not replacing and _differ(rows, key)):
        return Layout(columns, even, (columns,))
    return Layout((PLACE, *columns), [(at, *cells) for at, cells in zip(places, even, strict=False)], (columns,))


_rows = itemgetter(1)


def _differ(rows: Sequence[Row], key: Sequence[str]) -> bool:
    try:
        return len(set(map(itemgetter(*key), rows))) == len(rows)
    except (KeyError, TypeError):
        return False


def _places(records: Sequence[Mapped]) -> Iterable[int]:
    return chain.from_iterable(map(repeat, count(), map(len, map(_rows, records))))


def _even(rows: Sequence[Row], columns: tuple[str, ...]) -> list[Cells] | None:
    """The cells of all rows when every row has exactly these columns, else None."""
    if set(map(len, rows)) != {len(columns)}:
        return None
    try:
        return list(map(_cells(columns), rows))
    except KeyError:
        return None


def _cells(columns: tuple[str, ...]) -> Callable[[Row], Cells]:
    if len(columns) > 1:
        return itemgetter(*columns)
    return lambda row: tuple(row[name] for name in columns)


def _ragged(rows: Sequence[Row], places: Iterable[int], key: Sequence[str]) -> Layout:
    """Puts each row into the first group of its shape that is not before its key's latest one."""
    groups: list[tuple[str, ...]] = []
    latest: dict[Cells, int] = {}
    numbers = []
    for row in rows:
        same = tuple(row.get(name) for name in key)
        number = _group(groups, tuple(sorted(row)), latest.get(same, 0))
        if key:
            latest[same] = number
        numbers.append(number)
    columns = tuple(sorted(set(chain.from_iterable(groups))))
    numbered = zip(numbers, places, rows, strict=False)
    lines = [(number, at, *(row.get(name) for name in columns)) for number, at, row in numbered]
    return Layout((GROUP, PLACE, *columns), lines, tuple(groups))


def _group(groups: list[tuple[str, ...]], shape: tuple[str, ...], not_before: int) -> int:
    try:
        return groups.index(shape, not_before)
    except ValueError:
        groups.append(shape)
        return len(groups) - 1
