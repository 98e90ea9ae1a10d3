"""An event becomes rows: as it is, field by field, or by the user's function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mainstem.errors import MAPPING_FAILED, Rejected
from mainstem.event import Event
from mainstem.project.discover import find_mapping
from mainstem.project.fields import field_problem
from mainstem.project.findings import ProjectError
from mainstem.project.mapping import as_it_is, by_fields, by_function
from tests.unit.project.conftest import Folder

ORDER = Event(id="1", data={"id": "o1", "buyer": {"city": "Ulm", "address": None}})
TOMBSTONE = Event(id="2", key="o1")


def test_without_a_mapping_the_data_is_the_row() -> None:
    assert as_it_is(ORDER) == (ORDER.data,)


def test_declared_fields_are_picked_from_nested_records() -> None:
    rows = by_fields({"order": "id", "town": "buyer.city", "street": "buyer.address.street"})
    assert rows(ORDER) == ({"order": "o1", "town": "Ulm", "street": None},)


@pytest.mark.parametrize("path", ["nope", "buyer.nope", "id.nope"])
def test_a_field_that_is_not_there_rejects_the_record(path: str) -> None:
    with pytest.raises(Rejected, match=f"the event has no field `{path}`") as rejected:
        by_fields({"a": path})(ORDER)
    assert rejected.value.code is MAPPING_FAILED


@pytest.mark.parametrize(
    ("result", "rows"), [(None, ()), ({"a": 1}, ({"a": 1},)), ([{"a": 1}, {"a": 2}], ({"a": 1}, {"a": 2})), ([], ())]
)
def test_a_functions_result_is_always_a_sequence(result: Any, rows: Any) -> None:
    assert by_function(lambda event: result)(ORDER) == rows


def test_what_a_generator_raises_comes_out_of_the_call() -> None:
    def lines(event: Event) -> Any:
        yield {"a": 1}
        raise Rejected("no")

    with pytest.raises(Rejected):
        by_function(lines)(ORDER)


@pytest.mark.parametrize("mapping", [as_it_is, by_fields({"a": "id"}), by_function(lambda event: event.data)])
def test_a_tombstone_gives_no_rows(mapping: Callable[[Event], Any]) -> None:
    assert mapping(TOMBSTONE) == ()


def test_a_function_is_found_beside_its_integration(folder: Folder) -> None:
    project = folder.load()
    assert find_mapping(project, project.sinks[0])(ORDER) == ({"id": "o1"},)


@pytest.mark.parametrize(
    ("reference", "message", "fix"),
    [
        ("ordrs:lines", "there is no integrations/ordrs.py; did you mean `orders`?",
         "correct the name or add the file"),
        ("orders:line", "integrations/orders.py has no function `line`; did you mean `lines`?",
         "the functions there are lines"),
        ("orders.lines", "`orders.lines` names no function",
         "write `module:function` for a function of integrations/<module>.py, or target and source fields"),
        ("os.path:join", "`os.path:join` names no function",
         "write `module:function` for a function of integrations/<module>.py, or target and source fields"),
    ],
)  # fmt: skip
def test_a_function_that_is_not_there_has_its_place(folder: Folder, reference: str, message: str, fix: str) -> None:
    folder.edit("integrations/orders.yaml", "orders:lines", reference)
    project = folder.load()
    with pytest.raises(ProjectError) as refused:
        find_mapping(project, project.sinks[0])
    assert (refused.value.cause, refused.value.fix) == (f"integrations/orders.yaml:15:10: {message}", fix)


SCHEMA = {
    "type": "record",
    "namespace": "shop",
    "name": "order",
    "fields": [
        {"name": "id", "type": "string"},
        {"name": "buyer", "type": ["null", {"type": "record", "name": "person", "fields": [
            {"name": "city", "type": "string"},
            {"name": "parent", "type": ["null", "person"]},
            {"name": "boss", "type": ["null", "shop.person"]},
        ]}]},
        {"name": "tags", "type": {"type": "map", "values": "string"}},
        {"name": "lines", "type": {"type": "array", "items": "person"}},
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    "path", ["id", "buyer", "buyer.city", "buyer.parent.parent.city", "buyer.boss.city", "tags.x", "lines"]
)
def test_a_path_to_a_field_is_sound(path: str) -> None:
    assert field_problem(SCHEMA, path) is None


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("idd", "there is no field `idd`; did you mean `id`?"),
        ("buyer.cty", "there is no field `cty`; did you mean `city`?"),
        ("id.x", "`x` would be inside of something that is not a record"),
        ("lines.city", "`city` would be inside of something that is not a record"),
    ],
)
def test_a_path_to_nothing_is_told(path: str, problem: str) -> None:
    assert field_problem(SCHEMA, path) == problem
