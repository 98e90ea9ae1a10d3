"""Which records of a schema are which dataclasses, as a type's annotations say; and values there and back without the
native codec."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from types import NoneType, UnionType
from typing import Any, Union, cast, get_args, get_origin, get_type_hints, is_typeddict

from fastavro import parse_schema

from mainstem.errors import Misconfigured

Avro = Any
"""A schema or a part of one, as fastavro's parse_schema gives it: a name, a dict, or a list (a union)."""


class Shapes:
    """The dataclasses of a schema's records, by full name, and its named types."""

    def __init__(self, classes: Mapping[str, type[Any]], named: Mapping[str, Avro]) -> None:
        self.classes = classes
        self._named = named

    def made_of(self, value: Any, schema: Avro) -> Any:
        """What fastavro has read, with instances. A union's record comes as its name and its fields where it is one of
        several. Raises what a class raises."""
        if isinstance(value, tuple):
            schema, value = value
        schema = self._branch(schema, value)
        kind = schema["type"]
        if kind == "array":
            return [self.made_of(item, schema["items"]) for item in value]
        if kind == "map":
            return {key: self.made_of(item, schema["values"]) for key, item in value.items()}
        if kind != "record":
            return value
        data = {field["name"]: self.made_of(value[field["name"]], field["type"]) for field in schema["fields"]}
        class_ = self.classes.get(schema["name"])
        return data if class_ is None else class_(**data)

    def data_of(self, value: Any, schema: Avro) -> Any:
        """The other way: what fastavro writes. What does not fit the schema is left as it is, for it to refuse."""
        union = _definition(schema, self._named)
        for branch in union if isinstance(union, list) else ():
            record = _definition(branch, self._named)
            if record["type"] == "record" and self.classes.get(record["name"]) is type(value):
                return record["name"], self.data_of(value, record)
        schema = self._branch(union, value)
        if schema["type"] == "array" and isinstance(value, list):
            return [self.data_of(item, schema["items"]) for item in value]
        if schema["type"] == "map" and isinstance(value, dict):
            return {key: self.data_of(item, schema["values"]) for key, item in value.items()}
        return self._fields_of(value, schema) if schema["type"] == "record" else value

    def _fields_of(self, value: Any, record: Mapping[str, Any]) -> Any:
        types = {field["name"]: field["type"] for field in record["fields"]}
        if self.classes.get(record["name"]) is type(value):
            return {name: self.data_of(getattr(value, name), type_) for name, type_ in types.items()}
        if not isinstance(value, dict):
            return value
        return {key: self.data_of(item, types.get(key, "null")) for key, item in value.items()}

    def _branch(self, schema: Avro, value: Any) -> Mapping[str, Any]:
        """The schema, or of a union the one branch that such a container can be of; null where it does not matter."""
        schema = _definition(schema, self._named)
        if not isinstance(schema, list):
            return cast(Mapping[str, Any], schema)
        kinds = ("array",) if isinstance(value, list) else ("map", "record") if isinstance(value, dict) else ()
        found = [branch for branch in (_definition(one, self._named) for one in schema) if branch["type"] in kinds]
        return found[0] if len(found) == 1 else {"type": "null"}


def shapes_of(type_: Any, schema: Avro) -> Shapes:
    """Raises Misconfigured where a type and its record do not have the same fields."""
    named: dict[str, Avro] = {}
    walk = _Walk(named)
    walk.match(type_, parse_schema(schema, named_schemas=named))
    return Shapes(walk.classes, named)


class _Walk:
    def __init__(self, named: Mapping[str, Avro]) -> None:
        self.classes: dict[str, type[Any]] = {}
        self._known: dict[str, type[Any]] = {}
        """With those that a TypedDict describes."""
        self._named = named

    def match(self, hint: Any, schema: Avro) -> None:
        schema = _definition(schema, self._named)
        hints = _members(hint)
        if isinstance(schema, list):
            self._match_union(hints, [_definition(branch, self._named) for branch in schema])
        elif schema["type"] == "record":
            typed = [one for one in hints if is_record(one)]
            if len(typed) > 1:
                raise Misconfigured(
                    f"the record {schema['name']} cannot be one of {_listed(typed)}", fix="name one type"
                )
            if typed:
                self._match_record(typed[0], schema)
        elif schema["type"] in ("array", "map"):
            inner = schema["items" if schema["type"] == "array" else "values"]
            for one in hints:
                if arguments := get_args(one):
                    self.match(arguments[-1], inner)

    def _match_union(self, hints: list[Any], branches: list[Avro]) -> None:
        records = [branch for branch in branches if branch["type"] == "record"]
        typed = [one for one in hints if is_record(one)]
        if len(records) == len(typed) == 1:
            self._match_record(typed[0], records[0])
            typed = []
        for one in typed:
            found = [record for record in records if record["name"].rsplit(".", 1)[-1] == one.__name__]
            if not found:
                names = _listed(record["name"] for record in records) or "no record"
                raise Misconfigured(f"no record of the union is named {one.__name__}; it has {names}")
            self._match_record(one, found[0])
        for branch in branches:
            if branch["type"] in ("array", "map"):
                self.match(Union[tuple(hints)] if hints else Any, branch)  # noqa: UP007 - of types that are known only now

    def _match_record(self, type_: Any, record: Mapping[str, Any]) -> None:
        known = self._known.get(record["name"])
        if known is type_:
            return
        if known is not None:
            raise Misconfigured(f"the record {record['name']} cannot be both {known.__name__} and {type_.__name__}")
        self._known[record["name"]] = type_
        hints = _hints(type_)
        fields = {field["name"]: field["type"] for field in record["fields"]}
        taken = set(hints)
        if dataclasses.is_dataclass(type_):
            taken = {field.name for field in dataclasses.fields(type_) if field.init}
            self.classes[record["name"]] = cast(type[Any], type_)
        if taken != fields.keys():
            differing = _listed(sorted(taken ^ fields.keys()))
            raise Misconfigured(
                f"{type_.__name__} and the record {record['name']} differ in {differing}",
                fix="give both the same fields, by the same names",
            )
        for name, schema in fields.items():
            self.match(hints[name], schema)


def is_record(hint: Any) -> bool:
    """Whether a record can be one, or be described by one."""
    return isinstance(hint, type) and (dataclasses.is_dataclass(hint) or is_typeddict(hint))


def _hints(type_: type[Any]) -> Mapping[str, Any]:
    try:
        return get_type_hints(type_)
    except NameError as error:
        fix = "define what its annotations name at the top of its module"
        raise Misconfigured(f"the annotations of {type_.__name__}: {error}", fix=fix) from None


def _members(hint: Any) -> list[Any]:
    if get_origin(hint) in (Union, UnionType):
        return [one for one in get_args(hint) if one is not NoneType]
    return [hint]


def _definition(schema: Avro, named: Mapping[str, Avro]) -> Avro:
    return named.get(schema, {"type": schema}) if isinstance(schema, str) else schema


def _listed(things: Iterable[Any]) -> str:
    return ", ".join(getattr(thing, "__name__", str(thing)) for thing in things)
