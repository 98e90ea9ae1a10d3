"""What turns an event into the rows that a sink writes: a function of the user's, or a declaration field by field."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mainstem.errors import MAPPING_FAILED, Rejected
from mainstem.event import Data, Event
from mainstem.project import imports
from mainstem.project.findings import Place, ProjectError, did_you_mean, error, listed
from mainstem.sdk.sink import Row

MapFunction = Callable[[Event], Sequence[Row]]
"""Event -> rows (none for a tombstone). Raises Rejected where the event does not fit, and what a function raises."""

_REFERENCE = re.compile(r"([a-z][a-z0-9_]*):([A-Za-z_][A-Za-z0-9_]*)")


def as_it_is(event: Event) -> Sequence[Row]:
    """The event's data as one row."""
    data = event.payload
    return () if data is None else (data,)


def by_fields(fields: Mapping[str, str]) -> MapFunction:
    """One row with, for each target field, the value of the source field; a dotted path goes into nested records.

    A null on the way gives null. A field that is not there raises Rejected.
    """
    readers = [(target, _reader(source)) for target, source in fields.items()]

    def rows(event: Event) -> Sequence[Row]:
        data = event.payload
        return () if data is None else ({target: read(data) for target, read in readers},)

    return rows


def by_function(function: Callable[[Event], Any]) -> MapFunction:
    """The user's function, its result (rows, one row, nothing) always a sequence. It is not asked about tombstones."""

    def rows(event: Event) -> Sequence[Row]:
        if event.payload is None:
            return ()
        made = function(event)
        if made is None:
            return ()
        return (made,) if isinstance(made, Mapping) else tuple(made)

    return rows


def find_function(folder: Path, reference: str, place: Place) -> Callable[[Event], Any]:
    """The function that `module:function` names, from integrations/. Raises ProjectError at `place`."""
    if (named := _REFERENCE.fullmatch(reference)) is None:
        fix = "write `module:function` for a function of integrations/<module>.py, or target and source fields"
        raise ProjectError(error(place, f"`{reference}` names no function", fix=fix))
    name, attribute = named.groups()
    module = imports.load_module(folder, "integrations", name, place)
    if module is None:
        near = did_you_mean(name, imports.available(folder, "integrations"))
        fix = "correct the name or add the file"
        raise ProjectError(error(place, f"there is no integrations/{name}.py{near}", fix=fix))
    functions: dict[str, Callable[[Event], Any]] = {
        key: value
        for key, value in vars(module).items()
        if callable(value) and not isinstance(value, type) and not key.startswith("_")
    }
    if attribute not in functions:
        near = did_you_mean(attribute, functions)
        fix = f"the functions there are {listed(functions)}"
        raise ProjectError(error(place, f"integrations/{name}.py has no function `{attribute}`{near}", fix=fix))
    return functions[attribute]


def _reader(source: str) -> Callable[[Data], Any]:
    steps = source.split(".")

    def read(data: Data) -> Any:
        value: Any = data
        for step in steps:
            if value is None:
                return None
            try:
                value = value[step]
            except (KeyError, TypeError, IndexError):
                raise Rejected(f"the event has no field `{source}`", code=MAPPING_FAILED) from None
        return value

    return read
