"""How data is printed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

import pytest

from mainstem.cli.output import Format, as_plain, show_item, show_rows
from mainstem.event import Origin


class Colour(StrEnum):
    RED = "red"


class View(Mapping[str, int]):
    """A mapping that is not a dict, as a decoder may return."""

    def __getitem__(self, name: str) -> int:
        return 1

    def __iter__(self) -> Iterator[str]:
        return iter(["a"])

    def __len__(self) -> int:
        return 1


ROWS: list[dict[str, object]] = [
    {
        "place": Origin("t.x.v1", 0, 7),
        "at": datetime(2026, 11, 24, 12, tzinfo=UTC),
        "net": Decimal("1.50"),
        "key": b"k",
    },
    {
        "place": Origin("t.x.v1", 1, 12),
        "at": None,
        "net": Decimal("-0.10"),
        "key": b"\xff\x00",
        "data": {"a": [1, None]},
    },
]
TABLE = """\
PLACE        AT                    NET    KEY     DATA
t.x.v1:0:7   2026-11-24T12:00:00Z  1.50   k       -
t.x.v1:1:12  -                     -0.10  0xff00  {"a":[1,null]}
"""
NDJSON = """\
{"place":"t.x.v1:0:7","at":"2026-11-24T12:00:00Z","net":"1.50","key":"k"}
{"place":"t.x.v1:1:12","at":null,"net":"-0.10","key":"0xff00","data":{"a":[1,null]}}
"""
JSON = """\
[
  {
    "place": "t.x.v1:0:7",
    "at": "2026-11-24T12:00:00Z",
    "net": "1.50",
    "key": "k"
  }
]
"""
YAML = """\
- place: t.x.v1:0:7
  at: '2026-11-24T12:00:00Z'
  net: '1.50'
  key: k
"""


@pytest.mark.parametrize(
    ("form", "rows", "expected"),
    [(Format.TABLE, 2, TABLE), (Format.NDJSON, 2, NDJSON), (Format.JSON, 1, JSON), (Format.YAML, 1, YAML)],
)
def test_rows_are_printed_in_the_form_that_was_asked_for(
    capsys: pytest.CaptureFixture[str], form: Format, rows: int, expected: str
) -> None:
    show_rows(ROWS[:rows], ("place", "at", "net", "key", "data"), form)

    assert capsys.readouterr().out == expected


def test_a_table_without_rows_still_has_its_head(capsys: pytest.CaptureFixture[str]) -> None:
    show_rows([], ("topic", "schema_id"), Format.TABLE)

    assert capsys.readouterr().out == "TOPIC  SCHEMA ID\n"


def test_one_thing_is_shown_field_by_field_and_long_texts_as_blocks(capsys: pytest.CaptureFixture[str]) -> None:
    show_item({"id": "a", "stacktrace": "one\n  two\n", "nothing": None}, Format.TABLE)

    assert capsys.readouterr().out == "id: a\nstacktrace: |\n  one\n    two\nnothing:\n"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Colour.RED, "red"),
        (datetime(2026, 11, 24, 13, tzinfo=timezone(timedelta(hours=1))), "2026-11-24T12:00:00Z"),
        (date(2026, 11, 24), "2026-11-24"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (View(), {"a": 1}),
        ((1, b"x"), [1, "x"]),
        (b"line\nline", "line\nline"),
        (b"bell\x07", "0x62656c6c07"),
        (True, True),
        (2**70, str(2**70)),
    ],
)
def test_values_become_plain(value: object, expected: object) -> None:
    assert as_plain(value) == expected
