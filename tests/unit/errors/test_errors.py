"""The catalogue is complete and stable, the tree in the docstring is the tree of the classes, the page is current."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from docs.errors import HUNDREDS, PAGE, page
from mainstem import errors
from mainstem.errors import (
    Code,
    Fenced,
    FieldError,
    MainstemError,
    Misconfigured,
    Refused,
    Rejected,
    RequestRefused,
    Retryable,
    Unreachable,
)

ROOT = Path(__file__).parents[3]
CODES = {name: value for name, value in vars(errors).items() if isinstance(value, Code)}
FIRST_CODES = {
    "RECORD_REJECTED": "MS-100",
    "NOT_AVRO": "MS-101",
    "FOREIGN_SCHEMA": "MS-102",
    "BAD_PAYLOAD": "MS-103",
    "SCHEMA_REFUSES": "MS-104",
    "TARGET_REFUSES": "MS-105",
    "MAPPING_FAILED": "MS-106",
    "PARKED_BEHIND": "MS-107",
    "MISCONFIGURED": "MS-200",
    "UNREACHABLE": "MS-300",
    "REFUSED": "MS-400",
}
"""Dead letters carry these: they may never get another number."""


def subclasses(parent: type[MainstemError]) -> Iterator[type[MainstemError]]:
    for child in parent.__subclasses__():
        if child.__module__ == errors.__name__:
            yield child
            yield from subclasses(child)


def drawn() -> dict[str, str]:
    """Class to parent, as the docstring draws them: each level is four columns further right."""
    path: list[str] = []
    parents = {}
    for line in (errors.__doc__ or "").splitlines():
        if not (found := re.match(r"^    ((?:\|   |    )*)(\+-- )?([A-Z]\w+)", line)):
            continue
        depth = len(found[1]) // 4 + bool(found[2])
        path[depth:] = [found[3]]
        parents[found[3]] = path[depth - 1] if depth else ""
    return parents


def test_a_number_is_given_once() -> None:
    with pytest.raises(ValueError, match="MS-105 is taken by 'The target refuses"):
        errors.code("MS-105", "again", "never")
    numbers = [code.number for code in errors.catalogue()]
    assert numbers == sorted(set(numbers))
    assert {code.number for code in CODES.values()} == set(numbers)


def test_the_numbers_that_dead_letters_carry_do_not_change() -> None:
    assert {name: CODES[name].number for name in FIRST_CODES} == FIRST_CODES


@pytest.mark.parametrize("code", CODES.values(), ids=CODES.keys())
def test_a_code_says_what_is_wrong_and_what_mends_it_in_a_line_each(code: Code) -> None:
    assert re.fullmatch(rf"MS-[{''.join(HUNDREDS)}]\d\d", code.number)
    for line in (code.title, code.fix):
        assert 5 < len(line) < 110
        assert "\n" not in line
        assert "|" not in line, "it would break the table"
        assert not line.endswith(".")


@pytest.mark.parametrize("name", CODES)
def test_every_code_can_occur(name: str) -> None:
    """Somewhere beside its definition: raised, or the default of a class."""
    files = [file for folder in ("mainstem", "connectors") for file in (ROOT / folder).rglob("*.py")]
    uses = sum(len(re.findall(rf"\b{name}\b", file.read_text())) for file in files)
    assert uses > 1


def test_the_tree_in_the_docstring_is_the_tree_of_the_classes() -> None:
    real = {child.__name__: child.__mro__[1].__name__ for child in subclasses(MainstemError)}
    assert drawn() == {"MainstemError": "", **real}


def test_the_page_is_current() -> None:
    assert PAGE.read_text() == f"{page()}\n", "run: python docs/errors.py"


def test_the_page_has_every_code_and_the_tree() -> None:
    text = page()
    for code in errors.catalogue():
        assert text.count(f"| {code.number} | {code.title} |") == 1
    assert "connectors/<" not in text, "a reader would see a tag there, which is nothing"
    assert "+-- Fenced " in text


def test_an_error_says_code_cause_and_fix_in_one_line() -> None:
    error = Rejected("no such account", code=errors.TARGET_REFUSES)
    assert str(error) == "MS-105 no such account (fix: mend the record or the target's rules, then redrive it)"
    assert str(Misconfigured("no table", fix="create it")) == "MS-200 no table (fix: create it)"


@pytest.mark.parametrize(
    ("kind", "number"),
    [
        (Retryable, "300"),
        (Unreachable, "300"),
        (Rejected, "100"),
        (Misconfigured, "200"),
        (Refused, "400"),
        (Fenced, "401"),
    ],
)
def test_every_class_has_a_code_of_its_own_unless_one_is_given(kind: type[MainstemError], number: str) -> None:
    assert kind("x").code.number == f"MS-{number}"
    assert kind("x", code=errors.TOO_LARGE).code is errors.TOO_LARGE
    assert kind("x").fix == kind("x").code.fix


def test_what_an_error_carries_besides() -> None:
    assert Retryable("x", after_s=3).after_s == 3
    refused = RequestRefused("x", status=422, fields=[FieldError("n", "int")])
    assert (refused.status, refused.fields, refused.code.number) == (422, (FieldError("n", "int"),), "MS-403")
    assert Fenced("x", partitions=[("t", 1), ("t", 1)]).partitions == {("t", 1)}
