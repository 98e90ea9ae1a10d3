"""Validates data against a model and says what is wrong in the user's words, with line and column."""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from mainstem.project import shape
from mainstem.project.document import Loc, Region
from mainstem.project.findings import Finding, did_you_mean, error, listed
from mainstem.sdk.secret import MASK, Secret

M = TypeVar("M", bound=BaseModel)

_WANTED = {
    "string": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "list": "a list",
    "tuple": "a list",
    "set": "a list",
    "frozen_set": "a list",
    "dict": "a mapping of keys to values",
    "mapping": "a mapping of keys to values",
    "model": "a mapping of keys to values",
    "model_attributes": "a mapping of keys to values",
    "path": "a path",
    "url": "a URL",
    "none": "null",
}


@dataclass(frozen=True, slots=True)
class _Fault:
    """One of pydantic's errors, in words. `wanted` alone makes the message of a value of the wrong type."""

    loc: Loc
    message: str
    fix: str | None = None
    wanted: str | None = None
    at_key: bool = False


def validate(
    model: type[M], data: Any, region: Region, *, pending: Set[Loc] = frozenset()
) -> tuple[M | None, list[Finding]]:
    """The model made of the data, or all that is wrong with it.

    `pending` tells where placeholders stand: what is wrong with those is not reported, though there is no model then.
    """
    faults = list(_booleans_for_numbers(model, data))
    made: M | None = None
    try:
        made = model.model_validate(data, by_alias=True, by_name=False)
    except ValidationError as refused:
        details = refused.errors(include_url=False, include_input=False)
        faults += [_fault(model, data, region, detail) for detail in details if not _is_moot(region, detail, pending)]
    hidden = [secret.reveal() for secret in _secrets(data)]
    findings = [_finding(region, fault, hidden) for fault in _merged(faults)]
    return (None if findings else made), findings


def _is_moot(region: Region, detail: ErrorDetails, pending: Set[Loc]) -> bool:
    """Whether the error is about a placeholder, or about something that holds one."""
    if detail["type"] in ("missing", "extra_forbidden"):
        return False
    known = _known(region, detail["loc"])
    return any(loc[: len(known)] == known for loc in pending)


def _known(region: Region, loc: Loc) -> Loc:
    return region.document.known((*region.loc, *loc))[len(region.loc) :]


def _booleans_for_numbers(model: type[BaseModel], data: Any) -> Iterator[_Fault]:
    """pydantic would take `true` as 1."""
    for loc, annotation, value in shape.leaves(model, data):
        if not isinstance(value, bool) or bool in set(shape.members(annotation)):
            continue
        if shape.mentions(annotation, int, float):
            yield _Fault(loc, "", wanted=_WANTED["int" if shape.mentions(annotation, int) else "float"])


def _fault(model: type[BaseModel], data: Any, region: Region, detail: ErrorDetails) -> _Fault:
    kind, loc = detail["type"], detail["loc"]
    if kind == "missing":
        return _missing(model, loc)
    if kind == "extra_forbidden":
        return _unknown_key(model, loc)
    known = _known(region, loc)
    value, annotation = _get(data, known), shape.at(model, known)
    if isinstance(value, Secret) and not shape.mentions(annotation, Secret):
        return _Fault(known, "a secret may not stand here: the field is not one for secrets", "write the value itself")
    if kind in ("literal_error", "enum"):
        return _no_choice(known, annotation, value, str(detail.get("ctx", {}).get("expected", "")))
    wanted = _WANTED.get(kind.rpartition("_")[0])
    if wanted and kind.rpartition("_")[2] in ("type", "parsing", "required"):
        return _Fault(known, "", wanted=wanted)
    return _Fault(known, _in_words(detail))


def _in_words(detail: ErrorDetails) -> str:
    if detail["type"] == "too_short" and detail.get("ctx", {}).get("min_length") == 1:
        return "must not be empty"
    message = detail["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    return message.replace("Input should", "must", 1).replace("String should", "must", 1)


def _missing(model: type[BaseModel], loc: Loc) -> _Fault:
    *around, name = loc
    holder = shape.model_at(model, tuple(around))
    field = shape.keys(holder).get(str(name)) if holder else None
    meaning = (field.description or "").partition("\n")[0] if field else ""
    return _Fault(tuple(around), f"the key `{name}` is missing", f"add `{name}`: {meaning}".removesuffix(": "))


def _unknown_key(model: type[BaseModel], loc: Loc) -> _Fault:
    *around, name = loc
    holder = shape.model_at(model, tuple(around))
    known = set(shape.keys(holder)) if holder else set()
    near = did_you_mean(str(name), known)
    return _Fault(loc, f"unknown key `{name}`{near}", f"the keys here are {listed(known)}", at_key=True)


def _no_choice(loc: Loc, annotation: Any, value: Any, expected: str) -> _Fault:
    near = did_you_mean(value, shape.choices(annotation)) if isinstance(value, str) else ""
    return _Fault(loc, f"is none of the values that are allowed{near}", f"write {expected}")


def _merged(faults: list[_Fault]) -> Iterator[tuple[_Fault, str]]:
    """Errors with their messages. A union has an error for each of its members; together they are one."""
    wrong_types: dict[Loc, list[str]] = {}
    for fault in faults:
        if fault.wanted and fault.wanted not in wrong_types.setdefault(fault.loc, []):
            wrong_types[fault.loc].append(fault.wanted)
    for fault in faults:
        if not fault.wanted:
            yield fault, fault.message
        elif wanted := wrong_types.pop(fault.loc, None):
            yield fault, f"must be {' or '.join(wanted)}"


def _finding(region: Region, merged: tuple[_Fault, str], hidden: list[str]) -> Finding:
    fault, message = merged
    for secret in hidden:  # a connector's own validator may have quoted one
        message = message.replace(secret, MASK) if secret else message
    name = _dotted(fault.loc)
    text = message if not name or "`" in message[:20] else f"`{name}` {message}"
    return error(region.at(*fault.loc, key=fault.at_key), text, fix=fault.fix)


def _dotted(loc: Loc) -> str:
    """`sinks[0].topics[1]`"""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in loc)
    return text.removeprefix(".")


def _get(data: Any, loc: Loc) -> Any:
    for step in loc:
        try:
            data = data[step]
        except (LookupError, TypeError):
            return None
    return data


def _secrets(data: Any) -> Iterator[Secret]:
    match data:
        case Secret():
            yield data
        case dict():
            for inner in data.values():
                yield from _secrets(inner)
        case list():
            for inner in data:
                yield from _secrets(inner)
