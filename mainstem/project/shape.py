"""Looks into the annotations of a pydantic model: which keys it takes at a place, and of what type a value there is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from mainstem.project.document import Loc


def keys(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """The keys that a model takes in a file: aliases where fields have one."""
    return {_key(name, field): field for name, field in model.model_fields.items()}


def _key(name: str, field: FieldInfo) -> str:
    return field.validation_alias if isinstance(field.validation_alias, str) else name


def members(annotation: Any) -> Iterator[Any]:
    """The annotation itself, or what a union, an alias or Annotated is made of."""
    if (alias := getattr(annotation, "__value__", None)) is not None:
        yield from members(alias)
    elif get_origin(annotation) is Annotated:
        yield from members(get_args(annotation)[0])
    elif get_origin(annotation) in (Union, UnionType):
        for member in get_args(annotation):
            yield from members(member)
    else:
        yield annotation


def is_model(annotation: Any) -> bool:
    """Whether the annotation is a model's class."""
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def mentions(annotation: Any, *kinds: type) -> bool:
    """Whether a value of one of these types may stand there."""
    return any(isinstance(member, type) and issubclass(member, kinds) for member in members(annotation))


def choices(annotation: Any) -> list[str]:
    """The texts that a Literal allows there."""
    return [
        str(choice) for member in members(annotation) if get_origin(member) is Literal for choice in get_args(member)
    ]


def inner(annotation: Any, step: str | int) -> Any | None:
    """The annotation of what is one step inside; None where nothing is."""
    for member in members(annotation):
        origin, args = get_origin(member), get_args(member)
        if is_model(member) and step in keys(member):
            return keys(member)[str(step)].annotation
        if not isinstance(origin, type) or not args:
            continue
        if issubclass(origin, Mapping) and isinstance(step, str):
            return args[1]
        if isinstance(step, int) and not issubclass(origin, Mapping):
            return args[step] if origin is tuple and args[-1] is not ... and step < len(args) else args[0]
    return None


def at(annotation: Any, loc: Loc) -> Any:
    """The annotation at a location; steps that lead nowhere are passed over, as in Document.known."""
    for step in loc:
        found = inner(annotation, step)
        annotation = annotation if found is None else found
    return annotation


def model_at(annotation: Any, loc: Loc) -> type[BaseModel] | None:
    """The model whose keys are taken at a location."""
    return next((member for member in members(at(annotation, loc)) if is_model(member)), None)


def leaves(annotation: Any, data: Any, loc: Loc = ()) -> Iterator[tuple[Loc, Any, Any]]:
    """Location, annotation and value of each scalar in the data, as far as the annotations tell of it."""
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else None
    if items is None:
        yield loc, annotation, data
        return
    for step, value in items:
        found = inner(annotation, step)
        if found is not None:
            yield from leaves(found, value, (*loc, step))
